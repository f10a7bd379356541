#include "igvm/layout.h"

#include <stddef.h>

#include "proto/igvm.h"

#define NONE IGVM_LAYOUT_NONE

#define LAYOUT(type, name, mask_at, file_offset_at)                \
	{                                                          \
		type, sizeof(struct name), mask_at, file_offset_at \
	}
#define WITH_MASK(type, name) LAYOUT(type, name, offsetof(struct name, compatibility_mask), NONE)
#define WITH_BOTH(type, name)                                         \
	LAYOUT(type, name, offsetof(struct name, compatibility_mask), \
	       offsetof(struct name, file_offset))
#define PARAMETER(type) LAYOUT(type, igvm_vhs_parameter, NONE, NONE)

static const struct igvm_layout layouts[] = {
	WITH_MASK(IGVM_VHT_SUPPORTED_PLATFORM, igvm_vhs_supported_platform),
	WITH_MASK(IGVM_VHT_GUEST_POLICY, igvm_vhs_guest_policy),
	WITH_MASK(IGVM_VHT_RELOCATABLE_REGION, igvm_vhs_relocatable_region),
	WITH_MASK(IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, igvm_vhs_page_table_relocation),
	WITH_BOTH(IGVM_VHT_CORIM_DOCUMENT, igvm_vhs_corim_data),
	WITH_BOTH(IGVM_VHT_CORIM_SIGNATURE, igvm_vhs_corim_data),
	WITH_MASK(IGVM_VHT_CCA_POLICY, igvm_vhs_cca_policy),
	LAYOUT(IGVM_VHT_PARAMETER_AREA, igvm_vhs_parameter_area, NONE,
	       offsetof(struct igvm_vhs_parameter_area, file_offset)),
	WITH_BOTH(IGVM_VHT_PAGE_DATA, igvm_vhs_page_data),
	WITH_MASK(IGVM_VHT_PARAMETER_INSERT, igvm_vhs_parameter_insert),
	WITH_BOTH(IGVM_VHT_VP_CONTEXT, igvm_vhs_vp_context),
	WITH_MASK(IGVM_VHT_REQUIRED_MEMORY, igvm_vhs_required_memory),
	PARAMETER(IGVM_VHT_VP_COUNT_PARAMETER),
	PARAMETER(IGVM_VHT_SRAT),
	PARAMETER(IGVM_VHT_MADT),
	PARAMETER(IGVM_VHT_MMIO_RANGES),
	WITH_MASK(IGVM_VHT_SNP_ID_BLOCK, igvm_vhs_snp_id_block),
	PARAMETER(IGVM_VHT_MEMORY_MAP),
	WITH_MASK(IGVM_VHT_ERROR_RANGE, igvm_vhs_error_range),
	PARAMETER(IGVM_VHT_COMMAND_LINE),
	PARAMETER(IGVM_VHT_SLIT),
	PARAMETER(IGVM_VHT_PPTT),
	WITH_MASK(IGVM_VHT_VBS_MEASUREMENT, igvm_vhs_vbs_measurement),
	PARAMETER(IGVM_VHT_DEVICE_TREE),
	PARAMETER(IGVM_VHT_ENVIRONMENT_INFO_PARAMETER),
};

const struct igvm_layout *igvm_layout(uint32_t type)
{
	size_t i;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].type == type)
			return &layouts[i];
	return NULL;
}

enum igvm_section igvm_section(uint32_t type)
{
	if (type >= IGVM_VHT_PLATFORM_FIRST && type <= IGVM_VHT_PLATFORM_LAST)
		return IGVM_SECTION_PLATFORM;
	if (type >= IGVM_VHT_INIT_FIRST && type <= IGVM_VHT_INIT_LAST)
		return IGVM_SECTION_INIT;
	if (type >= IGVM_VHT_DIRECTIVE_FIRST && type <= IGVM_VHT_DIRECTIVE_LAST)
		return IGVM_SECTION_DIRECTIVE;
	return IGVM_SECTION_NONE;
}

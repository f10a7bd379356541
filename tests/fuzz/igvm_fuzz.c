#include <stdlib.h>
#include <string.h>

#include "igvm/content.h"
#include "igvm/crc32.h"
#include "igvm/measure.h"
#include "igvm/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

/* What a loader would do with a header: read all that it refers to, and stay in the file. */
static void use(const struct igvm_file *file, const struct igvm_header *header)
{
	struct igvm_vbs_vp_context_register reg;
	uint32_t i;

	if (header->data && (header->data < file->data || header->data_len > file->len ||
			     (size_t)(header->data - file->data) > file->len - header->data_len))
		abort();
	for (i = 0; header->data && i < header->data_len; i += 64)
		sink = header->data[i];
	if (header->known && header->type == IGVM_VHT_VP_CONTEXT &&
	    header->mask & igvm_platform_mask(file, IGVM_PLATFORM_VSM_ISOLATION))
		for (i = 0; i < igvm_vbs_register_count(header); i++) {
			igvm_vbs_register(header, i, &reg);
			if (reg.vtl > 2)
				abort();
		}
}

/* The checksum is put right first, or hardly any input would get past it. */
static void fix_checksum(uint8_t *data, size_t size)
{
	struct igvm_fixed_header fixed;
	size_t len = sizeof(fixed);
	uint32_t crc;

	if (size < sizeof(struct igvm_fixed_header_v2))
		return;
	memcpy(&fixed, data, sizeof(fixed));
	if (fixed.format_version == IGVM_FORMAT_VERSION_2)
		len = sizeof(struct igvm_fixed_header_v2);
	fixed.total_file_size = (uint32_t)size;
	fixed.checksum = 0;
	memcpy(data, &fixed, sizeof(fixed));
	if (fixed.variable_header_offset > size ||
	    fixed.variable_header_size > size - fixed.variable_header_offset)
		return;
	crc = crc32_update(0, data, len);
	fixed.checksum =
		crc32_update(crc, data + fixed.variable_header_offset, fixed.variable_header_size);
	memcpy(data, &fixed, sizeof(fixed));
}

/* Measuring takes as long as there is memory to measure. */
static bool small(const struct igvm_file *file)
{
	struct igvm_header header;
	uint32_t position = 0, pages = 0;

	while (igvm_next(file, &position, &header)) {
		if (header.type == IGVM_VHT_PARAMETER_AREA)
			pages += (uint32_t)(header.parameter_area.number_of_bytes / IGVM_PAGE_SIZE);
		else if (header.type == IGVM_VHT_PAGE_DATA)
			pages += igvm_page_data_size(&header.page_data) / IGVM_PAGE_SIZE;
		else if (header.type == IGVM_VHT_ERROR_RANGE)
			pages += header.error_range.size_bytes / IGVM_PAGE_SIZE;
		if (pages > 600)
			return false;
	}
	return true;
}

/* What igvmtool does with a valid file. */
static void examine(const struct igvm_file *file)
{
	struct igvm_component components[IGVM_COMPONENTS_MAX];
	struct igvm_measurement measurement;
	struct igvm_content content;
	struct igvm_error error;
	struct shim_params params;
	uint8_t digest[32], first[64];
	uint64_t region;
	unsigned int i;

	for (i = 0; i < file->platform_count; i++)
		igvm_measure(file, file->platforms[i].platform_type, &measurement, &error);
	if (igvm_content_open(&content, file, UINT32_MAX, &error))
		return;
	for (i = igvm_content_components(&content, components, &params, &region); i--;) {
		igvm_content_read(&content, components[i].gpa, first, sizeof(first));
		if (components[i].len < 0x100000)
			igvm_content_digest(&content, components[i].gpa, components[i].len, digest);
	}
	igvm_content_close(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* exact, so that reading past it is seen */
	struct igvm_header header;
	struct igvm_error error;
	struct igvm_file file;
	uint32_t position = 0;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	fix_checksum(copy, size);
	if (igvm_open(&file, copy, size, &error)) {
		if (!error.reason || error.offset > size)
			abort();
	} else {
		while (igvm_next(&file, &position, &header))
			use(&file, &header);
		if (position != file.headers_end)
			abort();
		if (small(&file))
			examine(&file);
	}
	free(copy);
	return 0;
}

#include "paravisor/boot/firmware_tables.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/guest_memory.h"
#include "paravisor/boot/acpi.h"
#include "paravisor/boot/boot_image.h"
#include "paravisor/boot/low_memory.h"
#include "paravisor/boot/smbios.h"

#define AREA_SIZE ((size_t)(MEMORY_MAP_HIGH - MEMORY_MAP_FIRMWARE))

/*
 * The BIOS data area, where kernels and memtest86+ look for the serial ports, the end of low memory
 * and the extended BIOS data area (IBM PS/2 and PC BIOS Interface Technical Reference, section 3).
 */
struct bda {
	uint16_t serial_ports[4];
	uint16_t parallel_ports[3];
	uint16_t ebda_segment;
	uint16_t equipment;
	uint8_t initialization;
	uint16_t memory_kib;
} __attribute__((packed));
_Static_assert(sizeof(struct bda) == 0x15 && offsetof(struct bda, memory_kib) == 0x13, "BDA");

#define EQUIPMENT_TWO_SERIAL_PORTS (2u << 9)

static int write_bda(struct guest_memory *gm)
{
	struct bda bda = {
		.serial_ports = { 0x3f8, 0x2f8 },
		.ebda_segment = (uint16_t)(MEMORY_MAP_EBDA >> 4),
		.equipment = EQUIPMENT_TWO_SERIAL_PORTS,
		.memory_kib = (uint16_t)(MEMORY_MAP_EBDA >> 10),
	};
	uint8_t ebda_kib = 1;
	int ret;

	ret = guest_memory_fill(gm, 0, 0, LOW_GDT);
	if (!ret)
		ret = guest_memory_write(gm, LOW_BDA, &bda, sizeof(bda));
	if (!ret)
		ret = guest_memory_fill(gm, MEMORY_MAP_EBDA, 0, MEMORY_MAP_VGA - MEMORY_MAP_EBDA);
	if (!ret)
		ret = guest_memory_write(gm, MEMORY_MAP_EBDA, &ebda_kib, sizeof(ebda_kib));
	return ret;
}

static int build(const struct linux_boot_config *config, uint64_t memory, uint8_t *area,
		 struct boot_error *error)
{
	const struct acpi_config acpi = { config->apic_ids, config->vp_count, config->mmio,
					  config->mmio_count, config->tpm };
	size_t len;
	int ret;

	ret = acpi_build(&acpi, FIRMWARE_ACPI, area, FIRMWARE_SMBIOS - FIRMWARE_ACPI, &len);
	if (ret)
		return boot_fail(error, ret, "no room for ACPI tables for %u processors",
				 config->vp_count);
	return smbios_build(memory, FIRMWARE_SMBIOS, area + (FIRMWARE_SMBIOS - FIRMWARE_ACPI),
			    FIRMWARE_SMBIOS_SIZE, &len);
}

int firmware_tables_write(struct guest_memory *gm, const struct linux_boot_config *config,
			  uint64_t memory, struct boot_error *error)
{
	uint8_t *area = calloc(1, AREA_SIZE);
	int ret;

	if (!area)
		return -ENOMEM;
	ret = build(config, memory, area, error);
	if (!ret)
		ret = guest_memory_write(gm, MEMORY_MAP_FIRMWARE, area, AREA_SIZE);
	if (!ret)
		ret = write_bda(gm);
	free(area);
	return ret;
}

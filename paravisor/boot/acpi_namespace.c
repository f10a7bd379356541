#include "paravisor/boot/acpi.h"

#include "paravisor/boot/acpi_platform.h"
#include "paravisor/boot/aml.h"
#include "proto/ppi.h"

/*
 * As Hyper-V describes it: the VMBus root device below a module device (ACPI 6.5 section 9.11) that
 * has the windows. Linux's hv_vmbus wants the root's own _CRS to exist and walks its ancestors for
 * address-space descriptors.
 */
static void put_vmbus(struct byte_writer *w, const struct acpi_config *config)
{
	size_t module, root, resources;
	unsigned int i;

	module = aml_device_begin(w, "VMOD");
	aml_name_string(w, "_HID", "ACPI0004");
	aml_name_number(w, "_UID", 0);
	resources = aml_resources_begin(w);
	for (i = 0; i < config->mmio_count; i++)
		if (config->mmio[i].len)
			aml_resource_window(w, config->mmio[i].gpa, config->mmio[i].len);
	aml_resources_end(w, resources);

	root = aml_device_begin(w, "VMBS");
	aml_name_string(w, "_HID", "VMBus");
	aml_name_number(w, "_UID", 0);
	aml_name_number(w, "_STA", ACPI_STA_WORKING);
	resources = aml_resources_begin(w);
	aml_resources_end(w, resources);
	aml_block_end(w, root);
	aml_block_end(w, module);
}

static void put_serial(struct byte_writer *w, const char *name, unsigned int uid, uint16_t port,
		       unsigned int irq)
{
	size_t device, resources;

	device = aml_device_begin(w, name);
	aml_name_eisa_id(w, "_HID", "PNP0501");
	aml_name_number(w, "_UID", uid);
	aml_name_number(w, "_STA", ACPI_STA_WORKING);
	resources = aml_resources_begin(w);
	aml_resource_io(w, port, 8);
	aml_resource_irq(w, irq);
	aml_resources_end(w, resources);
	aml_block_end(w, device);
}

static void put_rtc(struct byte_writer *w)
{
	size_t device, resources;

	device = aml_device_begin(w, "RTC");
	aml_name_eisa_id(w, "_HID", "PNP0B00");
	resources = aml_resources_begin(w);
	aml_resource_io(w, CMOS_RTC_PORT, 2);
	aml_resource_irq(w, ACPI_RTC_IRQ);
	aml_resources_end(w, resources);
	aml_block_end(w, device);
}

/*
 * What belongs to no device of its own (PNP0C02). The PPI's registers are here because Linux's tpm_tis takes a TPM's last
 * memory for its registers.
 */
static void put_motherboard(struct byte_writer *w, const struct acpi_tpm *tpm)
{
	size_t device, resources;

	device = aml_device_begin(w, "MBRD");
	aml_name_eisa_id(w, "_HID", "PNP0C02");
	aml_name_number(w, "_UID", 0);
	resources = aml_resources_begin(w);
	aml_resource_io(w, ACPI_PM_BASE, ACPI_PM_LEN);
	aml_resource_io(w, ACPI_ELCR_PORT, 2);
	if (tpm && tpm->ppi)
		aml_resource_memory(w, tpm->ppi, PPI_SIZE);
	aml_resources_end(w, resources);
	aml_block_end(w, device);
}

/* 8.4: a processor device's _UID is what its MADT entry names */
static void put_processor(struct byte_writer *w, unsigned int uid)
{
	static const char digits[] = "0123456789ABCDEF";
	char name[5] = { 'C', digits[uid >> 8 & 15], digits[uid >> 4 & 15], digits[uid & 15], 0 };
	size_t device = aml_device_begin(w, name);

	aml_name_string(w, "_HID", "ACPI0007");
	aml_name_number(w, "_UID", uid);
	aml_name_number(w, "_STA", ACPI_STA_WORKING);
	aml_block_end(w, device);
}

static void put_tpm(struct byte_writer *w, const struct acpi_tpm *tpm)
{
	size_t device, resources;

	device = aml_device_begin(w, "TPM");
	aml_name_string(w, "_HID", "MSFT0101");
	aml_name_number(w, "_UID", 0);
	aml_name_number(w, "_STA", ACPI_STA_WORKING);
	resources = aml_resources_begin(w);
	aml_resource_memory(w, tpm->base, tpm->len);
	aml_resources_end(w, resources);
	if (tpm->ppi)
		acpi_put_ppi(w, tpm->ppi);
	aml_block_end(w, device);
}

void acpi_put_namespace(struct byte_writer *w, const struct acpi_config *config)
{
	/* 7.4.2: what to write to PM1a and PM1b control, and two reserved */
	static const uint64_t s5[] = { ACPI_PM_SLEEP_TYPE_S5, ACPI_PM_SLEEP_TYPE_S5, 0, 0 };
	size_t scope;
	unsigned int i;

	aml_name_package(w, "\\_S5", s5, 4);
	scope = aml_scope_begin(w, "\\_SB");
	for (i = 0; i < config->vp_count; i++)
		put_processor(w, i);
	put_motherboard(w, config->tpm);
	put_rtc(w);
	put_serial(w, "COM1", 1, 0x3f8, 4);
	put_serial(w, "COM2", 2, 0x2f8, 3);
	put_vmbus(w, config);
	if (config->tpm)
		put_tpm(w, config->tpm);
	aml_block_end(w, scope);
}

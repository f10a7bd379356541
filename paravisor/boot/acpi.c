#include "paravisor/boot/acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "paravisor/boot/acpi_platform.h"
#include "paravisor/boot/byte_writer.h"
#include "proto/acpi.h"

#define OEM_ID       "ENTRES"
#define OEM_TABLE_ID "ENTRESOL"
#define CREATOR_ID   "ENTR"

/* What the XSDT lists. */
#define TABLES_MAX 4

struct build {
	const struct acpi_config *config;
	struct byte_writer w;
	uint64_t gpa; /* of w.buf */
	uint64_t tables[TABLES_MAX];
	unsigned int table_count;
	uint64_t dsdt, facs;
};

static uint64_t here(const struct build *b)
{
	return b->gpa + b->w.len;
}

static struct acpi_header header(const char *signature, uint8_t revision, size_t length)
{
	struct acpi_header h = { .length = (uint32_t)length,
				 .revision = revision,
				 .oem_revision = 1,
				 .creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
	memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
	return h;
}

/* Starts a table, aligned as some readers like it, and returns where in the buffer. */
static size_t table_begin(struct build *b)
{
	byte_writer_align(&b->w, 16);
	return b->w.len;
}

/* Sets length and checksum of the table that began at `start`. */
static void table_end(struct build *b, size_t start)
{
	uint8_t *table = b->w.buf + start;
	uint32_t length = (uint32_t)(b->w.len - start);

	if (b->w.full)
		return;
	memcpy(table + offsetof(struct acpi_header, length), &length, sizeof(length));
	table[offsetof(struct acpi_header, checksum)] = 0;
	table[offsetof(struct acpi_header, checksum)] = byte_checksum(table, length);
}

static void list_table(struct build *b, size_t start)
{
	b->tables[b->table_count++] = b->gpa + start;
}

/* 5.2.10: 64-byte aligned, no checksum. Unused without S3 or a shared global lock. */
static void put_facs(struct build *b)
{
	struct acpi_facs facs = { .signature = { 'F', 'A', 'C', 'S' },
				  .length = sizeof(facs),
				  .version = 2 };

	byte_writer_align(&b->w, 64);
	b->facs = here(b);
	byte_writer_put(&b->w, &facs, sizeof(facs));
}

/* 5.2.11.1; revision 2 makes AML's integers 64 bits wide */
static void put_dsdt(struct build *b)
{
	struct acpi_header h = header("DSDT", 2, 0);
	size_t start = table_begin(b);

	b->dsdt = here(b);
	byte_writer_put(&b->w, &h, sizeof(h));
	acpi_put_namespace(&b->w, b->config);
	table_end(b, start);
}

static struct acpi_gas io_register(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct acpi_gas){ ACPI_SPACE_IO, (uint8_t)(8 * bytes), 0, access, port };
}

/*
 * 5.2.9. No SMI command port: the machine is in ACPI mode from the start (4.8.2.5). The 32-bit
 * fields and their extended twins name the same registers; Linux compares them.
 */
static void fadt_registers(struct acpi_fadt *fadt)
{
	const uint16_t event = ACPI_PM_BASE + ACPI_PM_EVENT;
	const uint16_t control = ACPI_PM_BASE + ACPI_PM_CONTROL;
	const uint16_t timer = ACPI_PM_BASE + ACPI_PM_TIMER_VALUE;
	const uint16_t gpe0 = ACPI_PM_BASE + ACPI_PM_GPE0;

	fadt->pm1a_event = event;
	fadt->pm1_event_length = 4;
	fadt->x_pm1a_event = io_register(event, 4, ACPI_ACCESS_WORD);
	fadt->pm1a_control = control;
	fadt->pm1_control_length = 2;
	fadt->x_pm1a_control = io_register(control, 2, ACPI_ACCESS_WORD);
	fadt->pm_timer = timer;
	fadt->pm_timer_length = 4;
	fadt->x_pm_timer = io_register(timer, 4, ACPI_ACCESS_DWORD);
	fadt->gpe0 = gpe0;
	fadt->gpe0_length = ACPI_PM_GPES / 8 * 2; /* status and enable */
	fadt->x_gpe0 = io_register(gpe0, fadt->gpe0_length, ACPI_ACCESS_BYTE);
	fadt->reset_register = io_register(ACPI_RESET_PORT, 1, ACPI_ACCESS_BYTE);
	fadt->reset_value = ACPI_RESET_VALUE;
}

static void put_fadt(struct build *b)
{
	struct acpi_fadt fadt = {
		.header = header("FACP", 6, sizeof(fadt)),
		/* FIRMWARE_CTRL stays zero beside X_FIRMWARE_CTRL; the DSDT has no such rule */
		.x_facs = b->facs,
		.dsdt = (uint32_t)b->dsdt,
		.x_dsdt = b->dsdt,
		.sci_interrupt = ACPI_SCI,
		.c2_latency = 0xfff,
		.c3_latency = 0xfff,
		.century = CMOS_RTC_CENTURY,
		.boot_arch = ACPI_BOOT_LEGACY_DEVICES | ACPI_BOOT_NO_VGA | ACPI_BOOT_NO_ASPM,
		.flags = ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_SLP_BUTTON |
			 ACPI_FADT_FIX_RTC | ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG,
		.minor_revision = 5,
	};
	size_t start = table_begin(b);

	fadt_registers(&fadt);
	memcpy(&fadt.hypervisor_id, "ENTRESOL", sizeof(fadt.hypervisor_id));
	list_table(b, start);
	byte_writer_put(&b->w, &fadt, sizeof(fadt));
	table_end(b, start);
}

static bool needs_x2apic(const struct build *b, unsigned int uid)
{
	return b->config->apic_ids[uid] >= 255 || uid >= 255;
}

/*
 * 5.2.12.12: an APIC ID below 255 is told by a local APIC entry, and so is its processor's UID, if
 * that fits too.
 */
static void put_processor(struct build *b, unsigned int uid)
{
	uint32_t apic_id = b->config->apic_ids[uid];

	if (!needs_x2apic(b, uid)) {
		struct acpi_madt_local_apic entry = { ACPI_MADT_LOCAL_APIC, sizeof(entry),
						      (uint8_t)uid, (uint8_t)apic_id,
						      ACPI_MADT_ENABLED };
		byte_writer_put(&b->w, &entry, sizeof(entry));
	} else {
		struct acpi_madt_local_x2apic entry = {
			ACPI_MADT_LOCAL_X2APIC, sizeof(entry), 0, apic_id, ACPI_MADT_ENABLED, uid
		};
		byte_writer_put(&b->w, &entry, sizeof(entry));
	}
}

/* ISA interrupts are edge-triggered, active high, and wired straight through, except for these. */
static void put_interrupts(struct build *b)
{
	struct acpi_madt_io_apic io_apic = { ACPI_MADT_IO_APIC, sizeof(io_apic),
					     ACPI_IO_APIC_ID,   0,
					     IOAPIC_BASE,       0 };
	struct acpi_madt_override timer = {
		ACPI_MADT_INTERRUPT_OVERRIDE, sizeof(timer), 0, 0, ACPI_IO_APIC_TIMER, 0
	};
	struct acpi_madt_override sci = {
		ACPI_MADT_INTERRUPT_OVERRIDE,           sizeof(sci), 0, ACPI_SCI, ACPI_SCI,
		ACPI_INTI_ACTIVE_HIGH | ACPI_INTI_LEVEL
	};

	byte_writer_put(&b->w, &io_apic, sizeof(io_apic));
	byte_writer_put(&b->w, &timer, sizeof(timer));
	byte_writer_put(&b->w, &sci, sizeof(sci));
}

/* LINT1 of every processor takes NMIs, as on any PC. */
static void put_nmis(struct build *b, bool x2apic)
{
	struct acpi_madt_local_apic_nmi nmi = { ACPI_MADT_LOCAL_APIC_NMI, sizeof(nmi), 0xff, 0, 1 };
	struct acpi_madt_local_x2apic_nmi x2nmi = {
		ACPI_MADT_LOCAL_X2APIC_NMI, sizeof(x2nmi), 0, UINT32_MAX, 1, { 0 }
	};

	byte_writer_put(&b->w, &nmi, sizeof(nmi));
	if (x2apic)
		byte_writer_put(&b->w, &x2nmi, sizeof(x2nmi));
}

static void put_madt(struct build *b)
{
	struct acpi_madt madt = { header("APIC", 5, 0), ACPI_LOCAL_APIC, ACPI_MADT_PCAT_COMPAT };
	size_t start = table_begin(b);
	bool x2apic = false;
	unsigned int i;

	list_table(b, start);
	byte_writer_put(&b->w, &madt, sizeof(madt));
	for (i = 0; i < b->config->vp_count; i++) {
		put_processor(b, i);
		x2apic |= needs_x2apic(b, i);
	}
	put_interrupts(b);
	put_nmis(b, x2apic);
	table_end(b, start);
}

static void put_tpm2(struct build *b, const struct acpi_tpm *tpm)
{
	struct acpi_tpm2 tpm2 = {
		.header = header("TPM2", 4, sizeof(tpm2)),
		.control_area = tpm->control_area,
		.start_method = tpm->start_method,
		.log_min_length = tpm->log_len,
		.log_address = tpm->log_gpa,
	};
	size_t start = table_begin(b);

	list_table(b, start);
	byte_writer_put(&b->w, &tpm2, sizeof(tpm2));
	table_end(b, start);
}

/* 5.2.8. Returns its address. */
static uint64_t put_xsdt(struct build *b)
{
	struct acpi_header h = header("XSDT", 1, 0);
	size_t start = table_begin(b);
	unsigned int i;

	byte_writer_put(&b->w, &h, sizeof(h));
	for (i = 0; i < b->table_count; i++)
		byte_writer_number(&b->w, b->tables[i], 8);
	table_end(b, start);
	return b->gpa + start;
}

/* 5.2.5.3. The first 20 bytes have a checksum of their own, from ACPI 1.0. */
static void finish_rsdp(struct build *b, uint64_t xsdt)
{
	struct acpi_rsdp rsdp = { .signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
				  .revision = 2,
				  .length = sizeof(rsdp),
				  .xsdt = xsdt };

	memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
	rsdp.checksum = byte_checksum(&rsdp, 20);
	rsdp.extended_checksum = byte_checksum(&rsdp, sizeof(rsdp));
	memcpy(b->w.buf, &rsdp, sizeof(rsdp));
}

int acpi_build(const struct acpi_config *config, uint64_t gpa, void *buf, size_t cap, size_t *len)
{
	static const struct acpi_rsdp room;
	struct build b = { .config = config, .w = byte_writer_over(buf, cap), .gpa = gpa };
	uint64_t xsdt;

	if (gpa % 64 || !config->vp_count || gpa > UINT32_MAX || cap > UINT32_MAX - gpa)
		return -EINVAL;
	if (config->vp_count > ACPI_PROCESSORS_MAX)
		return -ENOSPC;
	byte_writer_put(&b.w, &room, sizeof(room));
	put_facs(&b);
	put_dsdt(&b);
	put_fadt(&b);
	put_madt(&b);
	if (config->tpm)
		put_tpm2(&b, config->tpm);
	xsdt = put_xsdt(&b);
	if (b.w.full)
		return -ENOSPC;
	finish_rsdp(&b, xsdt);
	*len = b.w.len;
	return 0;
}

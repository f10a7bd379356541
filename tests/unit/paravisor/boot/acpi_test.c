#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "paravisor/boot/acpi.h"
#include "paravisor/boot/acpi_platform.h"
#include "proto/acpi.h"

#define GPA         0xe0000ull
#define VPS_MANY    300
#define MMIO_WINDOW 0xd0000000ull

static uint8_t buf[0x10000];
static uint32_t apic_ids[ACPI_PROCESSORS_MAX + 1];
static const struct boot_range windows[] = { { MMIO_WINDOW, 0x10000000 },
					     { 0x1000000000, 0x100000000 } };
static const struct acpi_tpm tpm = { 0xfed40000, 0x5000,  7,         0xfed40040,
				     0x7fff0000, 0x10000, 0xfed45000 };

static struct acpi_config config(unsigned int vps)
{
	unsigned int i;

	for (i = 0; i <= ACPI_PROCESSORS_MAX; i++)
		apic_ids[i] = i;
	return (struct acpi_config){ apic_ids, vps, windows, 2, NULL };
}

static void build(const struct acpi_config *c)
{
	size_t len;

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(acpi_build(c, GPA, buf, sizeof(buf), &len), 0);
	assert_int_equal(buf[len], 0xee);
}

static const void *at(uint64_t gpa)
{
	assert_in_range(gpa, GPA, GPA + sizeof(buf) - sizeof(struct acpi_header));
	return buf + (gpa - GPA);
}

static void assert_sums_up(const void *table, size_t len)
{
	const uint8_t *p = table;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	assert_int_equal(sum, 0);
}

static const struct acpi_header *checked(uint64_t gpa)
{
	const struct acpi_header *header = at(gpa);

	assert_in_range(header->length, sizeof(*header), GPA + sizeof(buf) - gpa);
	assert_sums_up(header, header->length);
	return header;
}

/* Walks as an operating system does, from the RSDP on. */
static const struct acpi_header *find(const char *signature)
{
	const struct acpi_rsdp *rsdp = at(GPA);
	const struct acpi_header *xsdt = checked(rsdp->xsdt);
	const struct acpi_fadt *fadt;
	uint64_t address;
	unsigned int i;

	assert_memory_equal(rsdp->signature, "RSD PTR ", 8);
	assert_int_equal(rsdp->revision, 2);
	assert_sums_up(rsdp, 20);
	assert_sums_up(rsdp, rsdp->length);
	assert_memory_equal(xsdt->signature, "XSDT", 4);
	for (i = sizeof(*xsdt); i < xsdt->length; i += 8) {
		memcpy(&address, (const uint8_t *)xsdt + i, 8);
		if (!memcmp(checked(address)->signature, signature, 4))
			return checked(address);
	}
	if (strcmp(signature, "DSDT") != 0)
		return NULL;
	fadt = (const void *)find("FACP");
	assert_int_equal(fadt->dsdt, fadt->x_dsdt);
	return checked(fadt->x_dsdt);
}

static void every_table_is_found(void **state)
{
	static const char *const signatures[] = { "FACP", "APIC", "DSDT" };
	struct acpi_config c = config(2);
	unsigned int i;

	(void)state;
	build(&c);
	for (i = 0; i < 3; i++)
		assert_memory_equal(find(signatures[i])->signature, signatures[i], 4);
	assert_null(find("TPM2"));
}

static void fixed_hardware(void **state)
{
	struct acpi_config c = config(1);
	const struct acpi_fadt *fadt;
	const struct acpi_facs *facs;

	(void)state;
	build(&c);
	fadt = (const void *)find("FACP");
	facs = at(fadt->x_facs);
	assert_memory_equal(facs->signature, "FACS", 4);
	assert_int_equal(fadt->x_facs % 64, 0);
	assert_int_equal(fadt->facs, 0);
	assert_int_equal(fadt->smi_command, 0);
	/* Linux compares the two descriptions of each register */
	assert_int_equal(fadt->x_pm1a_event.address, fadt->pm1a_event);
	assert_int_equal(fadt->x_pm1a_event.bit_width, fadt->pm1_event_length * 8);
	assert_int_equal(fadt->x_pm1a_control.address, fadt->pm1a_control);
	assert_int_equal(fadt->x_pm1a_control.bit_width, fadt->pm1_control_length * 8);
	assert_int_equal(fadt->x_pm_timer.address, fadt->pm_timer);
	assert_int_equal(fadt->x_pm_timer.bit_width, fadt->pm_timer_length * 8);
	assert_int_equal(fadt->x_gpe0.address, fadt->gpe0);
	assert_int_equal(fadt->x_gpe0.bit_width, fadt->gpe0_length * 8);
	assert_int_equal(fadt->reset_register.address, 0xcf9);
	assert_int_equal(fadt->boot_arch & ACPI_BOOT_8042, 0);
}

struct madt_count {
	unsigned int xapic, x2apic, io_apic, override, nmi, x2nmi;
};

static struct madt_count count_madt(void)
{
	const struct acpi_header *madt = find("APIC");
	const uint8_t *p = (const uint8_t *)madt + sizeof(struct acpi_madt);
	const uint8_t *end = (const uint8_t *)madt + madt->length;
	struct madt_count n = { 0 };

	for (; p < end; p += p[1]) {
		assert_true(p[1] >= 2 && p[1] <= end - p);
		n.xapic += p[0] == ACPI_MADT_LOCAL_APIC;
		n.x2apic += p[0] == ACPI_MADT_LOCAL_X2APIC;
		n.io_apic += p[0] == ACPI_MADT_IO_APIC;
		n.override += p[0] == ACPI_MADT_INTERRUPT_OVERRIDE;
		n.nmi += p[0] == ACPI_MADT_LOCAL_APIC_NMI;
		n.x2nmi += p[0] == ACPI_MADT_LOCAL_X2APIC_NMI;
	}
	assert_ptr_equal(p, end);
	return n;
}

static void interrupts(void **state)
{
	struct acpi_config c = config(4);
	struct madt_count n;

	(void)state;
	build(&c);
	n = count_madt();
	assert_int_equal(n.xapic, 4);
	assert_int_equal(n.x2apic, 0);
	assert_int_equal(n.io_apic, 1);
	assert_int_equal(n.override, 2);
	assert_int_equal(n.nmi, 1);
	assert_int_equal(n.x2nmi, 0);

	c = config(VPS_MANY);
	build(&c);
	n = count_madt();
	assert_int_equal(n.xapic, 255);
	assert_int_equal(n.x2apic, VPS_MANY - 255);
	assert_int_equal(n.x2nmi, 1);
}

/* APIC IDs need not be consecutive, nor start at zero; UIDs are indexes. */
static void sparse_apic_ids(void **state)
{
	struct acpi_config c = config(2);
	const struct acpi_madt_local_apic *first;
	const struct acpi_madt_local_x2apic *second;

	(void)state;
	apic_ids[0] = 8;
	apic_ids[1] = 255;
	build(&c);
	first = (const void *)((const uint8_t *)find("APIC") + sizeof(struct acpi_madt));
	second = (const void *)(first + 1);
	assert_int_equal(first->type, ACPI_MADT_LOCAL_APIC);
	assert_int_equal(first->processor_uid, 0);
	assert_int_equal(first->apic_id, 8);
	assert_int_equal(second->type, ACPI_MADT_LOCAL_X2APIC);
	assert_int_equal(second->processor_uid, 1);
	assert_int_equal(second->x2apic_id, 255);
}

static void tpm_table(void **state)
{
	struct acpi_config c = config(1);
	const struct acpi_tpm2 *table;

	(void)state;
	c.tpm = &tpm;
	build(&c);
	table = (const void *)find("TPM2");
	assert_non_null(table);
	assert_int_equal(table->control_area, tpm.control_area);
	assert_int_equal(table->start_method, tpm.start_method);
	assert_int_equal(table->log_address, tpm.log_gpa);
	assert_int_equal(table->log_min_length, tpm.log_len);
}

static void refusals(void **state)
{
	struct acpi_config c = config(1);
	size_t len, cap;

	(void)state;
	assert_int_equal(acpi_build(&c, GPA + 16, buf, sizeof(buf), &len), -EINVAL);
	assert_int_equal(acpi_build(&c, UINT64_MAX & ~63ull, buf, sizeof(buf), &len), -EINVAL);
	for (cap = 0; cap < 600; cap++) {
		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(acpi_build(&c, GPA, buf, cap, &len), -ENOSPC);
		assert_int_equal(buf[cap], 0xee);
	}
	c = config(0);
	assert_int_equal(acpi_build(&c, GPA, buf, sizeof(buf), &len), -EINVAL);
	c = config(ACPI_PROCESSORS_MAX);
	assert_int_equal(acpi_build(&c, GPA, buf, sizeof(buf), &len), -ENOSPC);
	c = config(ACPI_PROCESSORS_MAX + 1);
	assert_int_equal(acpi_build(&c, GPA, buf, sizeof(buf), &len), -ENOSPC);
}

static void save(const char *folder, const char *name, const struct acpi_header *table)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(table, 1, table->length, file), table->length);
	assert_int_equal(fclose(file), 0);
}

/* Runs a shell command; its exit status. */
static int run(const char *folder, const char *command)
{
	char line[1024];
	int status;

	snprintf(line, sizeof(line), "cd %s && %s", folder, command);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * The reference compiler disassembles every table and compiles the text again, the DSDT without a
 * warning, and gets the same bytes (but for its own compiler's name in the header). Message 6033
 * complains of "VMBus", Hyper-V's hardware ID, which is not formed as the specification says.
 */
static void iasl_agrees(void **state)
{
	char folder[] = "/tmp/entresol-acpi-XXXXXX", command[600];
	static const char *const names[] = { "FACP", "APIC", "TPM2", "DSDT" };
	struct acpi_config c = config(VPS_MANY);
	unsigned int i;

	(void)state;
	if (system("command -v iasl >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	c.tpm = &tpm;
	build(&c);
	for (i = 0; i < 4; i++) {
		save(folder, names[i], find(names[i]));
		snprintf(command, sizeof(command),
			 "iasl -d %1$s.dat >%1$s.log 2>&1 && mkdir -p new && "
			 "iasl -oa -vs -vw 6033 -p new/%1$s %1$s.dsl >>%1$s.log 2>&1 && "
			 "grep -q '0 Errors, 0 Warnings\\|^Compilation successful' %1$s.log && "
			 "! grep -qi ' warning  ' %1$s.log && "
			 "tail -c +37 %1$s.dat >want && tail -c +37 new/%1$s.aml >got && "
			 "cmp want got || { cat %1$s.log; false; }",
			 names[i]);
		assert_int_equal(run(folder, command), 0);
	}
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_table_is_found),
		cmocka_unit_test(fixed_hardware),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(sparse_apic_ids),
		cmocka_unit_test(tpm_table),
		cmocka_unit_test(refusals),
		cmocka_unit_test(iasl_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

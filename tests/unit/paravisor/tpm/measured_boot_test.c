/* What is extended for files in VTL0's memory, and what the log says of it. */

#include "paravisor/tpm/measured_boot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/guest_memory.h"
#include "paravisor/boot/low_memory.h"
#include "paravisor/tpm/vtpm.h"

#define RAM    0x800000u
#define KERNEL 0x200123u /* at no page's start */
#define INITRD 0x400000u
#define PCRS   24

#define SHA1   0x0004
#define SHA256 0x000B

/* FIPS 180-4's examples: a million times "a", and "abc". */
static const uint8_t million_sha1[] = { 0x34, 0xaa, 0x97, 0x3c, 0xd4, 0xc4, 0xda, 0xa4 };
static const uint8_t million_sha256[] = { 0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92 };
static const uint8_t abc_sha256[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };

/* The TPM: two banks, and what each PCR was last extended by. */
static struct {
	unsigned int extends[PCRS];
	uint8_t sha1[PCRS][20], sha256[PCRS][32];
	int refuse;
	bool fifo;
} tpm;

bool vtpm_is_fifo(const struct vtpm *vtpm)
{
	(void)vtpm;
	return tpm.fifo;
}

static void take_extend(const uint8_t *cmd, size_t len)
{
	unsigned int pcr = cmd[13];

	assert_int_equal(len, 27 + 4 + 2 + 20 + 2 + 32);
	assert_in_range(pcr, 0, PCRS - 1);
	assert_int_equal(cmd[30], 2);
	assert_int_equal(cmd[32], SHA1);
	assert_int_equal(cmd[54], SHA256);
	tpm.extends[pcr]++;
	memcpy(tpm.sha1[pcr], cmd + 33, 20);
	memcpy(tpm.sha256[pcr], cmd + 55, 32);
}

int vtpm_execute(struct vtpm *vtpm, const uint8_t *cmd, size_t cmd_len, uint8_t *rsp, size_t *len)
{
	static const uint8_t banks[] = {
		0x80, 0x01, 0, 0,    0,    31,   0, 0,      0, 0, /* header */
		0,    0,    0, 0,    5,    0,    0, 0,      2,    /* no more; PCRs; two banks */
		0,    SHA1, 3, 0xFF, 0xFF, 0xFF, 0, SHA256, 3, 0xFF, 0xFF, 0xFF,
	};

	(void)vtpm;
	assert_in_range(cmd_len, 14, 1024);
	if (tpm.refuse)
		return tpm.refuse;
	if (cmd[9] == 0x82) {
		take_extend(cmd, cmd_len);
		*len = 10;
		return 0;
	}
	assert_int_equal(cmd[9], 0x7A);
	assert_true(*len >= sizeof(banks));
	memcpy(rsp, banks, sizeof(banks));
	*len = sizeof(banks);
	return 0;
}

struct fixture {
	uint8_t *ram;
	struct guest_memory *memory;
	struct linux_boot_config config;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&tpm, 0, sizeof(tpm));
	f->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f->memory = guest_memory_create();
	if (f->ram == MAP_FAILED || guest_memory_add(f->memory, 0, f->ram, RAM))
		return -1;
	memset(f->ram + KERNEL, 'a', 1000000);
	memcpy(f->ram + INITRD, "abc", 3);
	memcpy(f->ram + LOW_CMDLINE, "abc", 4);
	f->config.kernel = (struct boot_range){ KERNEL, 1000000 };
	f->config.initrd = (struct boot_range){ INITRD, 3 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_memory_destroy(f->memory);
	munmap(f->ram, RAM);
	free(f);
	return 0;
}

static void files_are_measured_by_every_bank(void **state)
{
	struct fixture *f = *state;
	struct measured_boot boot;

	assert_int_equal(measured_boot_begin(&boot, NULL, f->memory, &f->config), 0);
	memset(f->ram + KERNEL, 0, 1000000); /* the loader moves what was measured */
	assert_int_equal(measured_boot_finish(&boot), 0);
	assert_memory_equal(tpm.sha1[4], million_sha1, sizeof(million_sha1));
	assert_memory_equal(tpm.sha256[4], million_sha256, sizeof(million_sha256));
	assert_memory_equal(tpm.sha256[8], abc_sha256, sizeof(abc_sha256));
	assert_memory_equal(tpm.sha256[9], abc_sha256, sizeof(abc_sha256));
	for (unsigned int pcr = 0; pcr <= 7; pcr++) /* a separator, and what else there is */
		assert_int_equal(tpm.extends[pcr], pcr == 0 || pcr == 1 || pcr == 4 ? 2 : 1);
	/* The log, where the table says, begins with the event that names its format. */
	assert_memory_equal(f->ram + boot.acpi.log_gpa + 32, "Spec ID Event03", 16);
}

static void the_table_names_the_registers(void **state)
{
	struct fixture *f = *state;
	struct measured_boot boot;

	measured_boot_begin(&boot, NULL, f->memory, &f->config);
	assert_int_equal(boot.acpi.start_method, 7);
	assert_int_equal(boot.acpi.control_area, 0xFED40040);
	tpm.fifo = true;
	measured_boot_begin(&boot, NULL, f->memory, &f->config);
	assert_int_equal(boot.acpi.start_method, 6);
	assert_int_equal(boot.acpi.control_area, 0);
}

static void memory_that_is_not_there(void **state)
{
	struct fixture *f = *state;
	struct measured_boot boot;

	f->config.kernel.gpa = RAM - 0x1000;
	assert_int_equal(measured_boot_begin(&boot, NULL, f->memory, &f->config), -EFAULT);
	tpm.refuse = 0x101;
	f->config.kernel.gpa = KERNEL;
	assert_int_equal(measured_boot_begin(&boot, NULL, f->memory, &f->config), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_measured_by_every_bank, setup, teardown),
		cmocka_unit_test_setup_teardown(the_table_names_the_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_is_not_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

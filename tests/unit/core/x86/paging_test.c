#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/x86/paging.h"
#include "core/x86/x86.h"

/* A guest's first 64 KiB, where the tests build tables. What lies beyond is no memory. */
static uint8_t ram[64 << 10];
static unsigned int swaps, refuse_swaps;

#define P   0x01ull
#define W   0x02ull
#define U   0x04ull
#define PWT 0x08ull
#define A   0x20ull
#define D   0x40ull
#define PS  0x80ull
#define NX  (1ull << 63)

static int ram_read(void *ctx, uint64_t gpa, void *data, size_t len)
{
	(void)ctx;
	assert_int_equal(gpa % len, 0);
	if (gpa > sizeof(ram) - len)
		return -EFAULT;
	memcpy(data, ram + gpa, len);
	return 0;
}

static int ram_cmpxchg(void *ctx, uint64_t gpa, uint64_t expected, uint64_t desired, size_t len)
{
	(void)ctx;
	if (refuse_swaps) {
		refuse_swaps--;
		return -EAGAIN;
	}
	if (memcmp(ram + gpa, &expected, len))
		return -EAGAIN;
	memcpy(ram + gpa, &desired, len);
	swaps++;
	return 0;
}

static const struct x86_paging_memory memory = { ram_read, ram_cmpxchg, NULL };

static const struct x86_paging long_mode = {
	.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP,
	.cr3 = 0x1000,
	.cr4 = X86_CR4_PAE,
	.efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE,
	.physical_address_bits = 40,
};

static void entry64(uint64_t table, unsigned int index, uint64_t value)
{
	memcpy(ram + table + index * 8, &value, 8);
}

static uint64_t get64(uint64_t table, unsigned int index)
{
	uint64_t value;

	memcpy(&value, ram + table + index * 8, 8);
	return value;
}

static void entry32(uint64_t table, unsigned int index, uint32_t value)
{
	memcpy(ram + table + index * 4, &value, 4);
}

/* PML4 at 1000, PDPT at 2000, PD at 3000, PT at 4000; one path of full rights. */
static int setup(void **state)
{
	(void)state;
	memset(ram, 0, sizeof(ram));
	swaps = refuse_swaps = 0;
	entry64(0x1000, 0, 0x2000 | P | W | U);
	entry64(0x2000, 0, 0x3000 | P | W | U);
	entry64(0x3000, 0, 0x4000 | P | W | U);
	return 0;
}

static int walk(const struct x86_paging *paging, uint64_t linear, uint32_t access,
		struct x86_translation *t, uint32_t *code)
{
	return x86_paging_walk(paging, &memory, linear, access, 0, t, code);
}

static void expect_gpa(const struct x86_paging *paging, uint64_t linear, uint32_t access,
		       uint64_t gpa)
{
	struct x86_translation t;
	uint32_t code;

	assert_int_equal(walk(paging, linear, access, &t, &code), 0);
	assert_int_equal(t.gpa, gpa);
}

static void expect_fault(const struct x86_paging *paging, uint64_t linear, uint32_t access,
			 uint32_t error_code)
{
	struct x86_translation t;
	uint32_t code;

	assert_int_equal(walk(paging, linear, access, &t, &code), -EFAULT);
	assert_int_equal(code, error_code);
}

static void test_no_paging(void **state)
{
	struct x86_paging real = { .cr0 = 0, .physical_address_bits = 40 };

	(void)state;
	expect_gpa(&real, 0x12345, X86_ACCESS_WRITE, 0x12345);
	expect_gpa(&real, 0x1fffffff0ull, X86_ACCESS_READ, 0xfffffff0);
}

static void test_page_sizes(void **state)
{
	struct x86_translation t;
	uint32_t code;

	(void)state;
	entry64(0x4000, 5, 0xabcd5000 | P | W | U);
	expect_gpa(&long_mode, 0x5678, X86_ACCESS_READ, 0xabcd5678);
	entry64(0x3000, 1, 0x40200000 | P | W | PS);
	assert_int_equal(walk(&long_mode, 0x234567, X86_ACCESS_READ, &t, &code), 0);
	assert_int_equal(t.gpa, 0x40234567);
	assert_int_equal(t.page_size, 2 << 20);
	assert_false(t.user);
	entry64(0x2000, 1, 0x80000000 | P | PS | PWT | 1ull << 12);
	assert_int_equal(walk(&long_mode, 0x40abcdef, X86_ACCESS_READ, &t, &code), 0);
	assert_int_equal(t.gpa, 0x80abcdef);
	assert_int_equal(t.page_size, 1 << 30);
	assert_false(t.writable);
	assert_int_equal(t.pat, 5); /* PAT and PWT */
}

static void test_five_levels(void **state)
{
	struct x86_paging five = long_mode;

	(void)state;
	five.cr4 |= X86_CR4_LA57;
	five.cr3 = 0x8000;
	entry64(0x8000, 3, 0x1000 | P | W | U);
	entry64(0x4000, 5, 0x77000 | P);
	expect_gpa(&five, (3ull << 48) | 0x5123, X86_ACCESS_READ, 0x77123);
	expect_fault(&five, 0x5123, X86_ACCESS_READ, 0);
}

static void test_not_present(void **state)
{
	(void)state;
	expect_fault(&long_mode, 0x5000, X86_ACCESS_READ, 0);
	expect_fault(&long_mode, 0x5000, X86_ACCESS_WRITE | X86_ACCESS_USER,
		     X86_PF_WRITE | X86_PF_USER);
	expect_fault(&long_mode, 1ull << 39, X86_ACCESS_FETCH, X86_PF_FETCH);
}

static void test_rights_of_all_levels(void **state)
{
	(void)state;
	entry64(0x4000, 5, 0x5000 | P | W | U);
	expect_gpa(&long_mode, 0x5000, X86_ACCESS_WRITE | X86_ACCESS_USER, 0x5000);
	entry64(0x3000, 0, 0x4000 | P | U); /* read-only above */
	expect_fault(&long_mode, 0x5000, X86_ACCESS_WRITE | X86_ACCESS_USER,
		     X86_PF_PRESENT | X86_PF_WRITE | X86_PF_USER);
	expect_fault(&long_mode, 0x5000, X86_ACCESS_WRITE, X86_PF_PRESENT | X86_PF_WRITE);
	entry64(0x3000, 0, 0x4000 | P | W); /* supervisor's above */
	expect_fault(&long_mode, 0x5000, X86_ACCESS_READ | X86_ACCESS_USER,
		     X86_PF_PRESENT | X86_PF_USER);
	expect_gpa(&long_mode, 0x5000, X86_ACCESS_WRITE, 0x5000);
	entry64(0x3000, 0, 0x4000 | P | W | U | NX);
	expect_fault(&long_mode, 0x5000, X86_ACCESS_FETCH, X86_PF_PRESENT | X86_PF_FETCH);
	expect_gpa(&long_mode, 0x5000, X86_ACCESS_READ, 0x5000);
}

static void test_write_protect(void **state)
{
	struct x86_paging lax = long_mode;

	(void)state;
	lax.cr0 &= ~X86_CR0_WP;
	entry64(0x4000, 5, 0x5000 | P | U);
	expect_gpa(&lax, 0x5000, X86_ACCESS_WRITE, 0x5000);
	expect_fault(&lax, 0x5000, X86_ACCESS_WRITE | X86_ACCESS_USER,
		     X86_PF_PRESENT | X86_PF_WRITE | X86_PF_USER);
}

static void test_smep_and_smap(void **state)
{
	struct x86_paging strict = long_mode;
	struct x86_translation t;
	uint32_t code;

	(void)state;
	strict.cr4 |= X86_CR4_SMEP | X86_CR4_SMAP;
	entry64(0x4000, 5, 0x5000 | P | W | U);
	expect_fault(&strict, 0x5000, X86_ACCESS_FETCH, X86_PF_PRESENT | X86_PF_FETCH);
	expect_fault(&strict, 0x5000, X86_ACCESS_READ, X86_PF_PRESENT);
	expect_gpa(&strict, 0x5000, X86_ACCESS_READ | X86_ACCESS_USER, 0x5000);
	strict.rflags = X86_RFLAGS_AC;
	expect_gpa(&strict, 0x5000, X86_ACCESS_READ, 0x5000);
	assert_int_equal(x86_paging_walk(&strict, &memory, 0x5000, X86_ACCESS_READ,
					 X86_WALK_ENFORCE_SMAP, &t, &code),
			 -EFAULT);
	strict.rflags = 0;
	assert_int_equal(x86_paging_walk(&strict, &memory, 0x5000, X86_ACCESS_READ,
					 X86_WALK_IGNORE_SMAP, &t, &code),
			 0);
	assert_int_equal(x86_paging_walk(&strict, &memory, 0x5000, X86_ACCESS_FETCH,
					 X86_WALK_NO_PRIVILEGE_CHECK, &t, &code),
			 0);
}

static void test_reserved_bits(void **state)
{
	struct x86_paging no_nx = long_mode;
	const uint32_t fault = X86_PF_PRESENT | X86_PF_RESERVED;

	(void)state;
	no_nx.efer &= ~X86_EFER_NXE;
	entry64(0x4000, 5, 0x5000 | P | NX);
	expect_gpa(&long_mode, 0x5000, X86_ACCESS_READ, 0x5000);
	expect_fault(&no_nx, 0x5000, X86_ACCESS_READ, fault);
	entry64(0x4000, 6, 1ull << 40 | P); /* beyond the physical address width */
	expect_fault(&long_mode, 0x6000, X86_ACCESS_READ, fault);
	entry64(0x3000, 1, 0x40202000 | P | PS); /* a 2 MiB page that is not aligned */
	expect_fault(&long_mode, 0x200000, X86_ACCESS_READ, fault);
	entry64(0x1000, 1, 0x2000 | P | PS); /* no page is as large as that */
	expect_fault(&long_mode, 1ull << 39, X86_ACCESS_READ, fault);
}

static void test_pae(void **state)
{
	struct x86_paging pae = long_mode;

	(void)state;
	pae.efer = X86_EFER_NXE;
	pae.cr3 = 0x9020; /* 32 bytes' alignment is enough */
	entry64(0x9020, 3, 0x3000 | P);
	entry64(0x3000, 0, 0x4000 | P | W | U);
	entry64(0x4000, 5, 0x5000 | P | W | U);
	expect_gpa(&pae, 0xc0005123, X86_ACCESS_WRITE | X86_ACCESS_USER, 0x5123);
	expect_gpa(&pae, 0xffffffffc0005123ull, X86_ACCESS_READ, 0x5123);
	expect_fault(&pae, 0x5123, X86_ACCESS_READ, 0);
	entry64(0x9020, 3, 0x3000 | P | W); /* pointers hold no rights */
	expect_fault(&pae, 0xc0005123, X86_ACCESS_READ, X86_PF_PRESENT | X86_PF_RESERVED);
}

static void test_32_bit(void **state)
{
	struct x86_paging p32 = { .cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP,
				  .cr3 = 0xa000,
				  .physical_address_bits = 40 };
	struct x86_translation t;
	uint32_t code;

	(void)state;
	entry32(0xa000, 1, 0xb000 | P | W | U);
	entry32(0xb000, 2, 0x12345000 | P | W);
	expect_gpa(&p32, 0x402678, X86_ACCESS_WRITE, 0x12345678);
	/* Without PSE the bit means nothing and a table is looked for; with it this is a 4 MiB page at 1:40800000. */
	entry32(0xa000, 2, 0x40800000 | 1 << 13 | PS | P);
	assert_int_equal(walk(&p32, 0x812345, X86_ACCESS_WRITE, &t, &code), -ENXIO);
	assert_int_equal(code, X86_PF_WRITE);
	p32.cr4 = X86_CR4_PSE;
	assert_int_equal(walk(&p32, 0x812345, X86_ACCESS_READ, &t, &code), 0);
	assert_int_equal(t.gpa, 0x140812345ull);
	assert_int_equal(t.page_size, 4 << 20);
	/* No execute bit and no SMEP: a fetch is a read to the error code. */
	expect_fault(&p32, 0xc00000, X86_ACCESS_FETCH, 0);
}

static void test_table_outside_memory(void **state)
{
	struct x86_translation t;
	uint32_t code;

	(void)state;
	entry64(0x3000, 0, 0x4000000 | P | W | U);
	assert_int_equal(walk(&long_mode, 0x5000, X86_ACCESS_READ, &t, &code), -ENXIO);
	assert_int_equal(code, 0);
}

static void test_accessed_and_dirty(void **state)
{
	struct x86_translation t;
	uint32_t code;

	(void)state;
	entry64(0x4000, 5, 0x5000 | P | W);
	expect_gpa(&long_mode, 0x5000, X86_ACCESS_WRITE, 0x5000);
	assert_int_equal(swaps, 0);
	assert_int_equal(x86_paging_walk(&long_mode, &memory, 0x5000, X86_ACCESS_READ,
					 X86_WALK_SET_BITS, &t, &code),
			 0);
	assert_int_equal(get64(0x4000, 5), 0x5000 | P | W | A);
	assert_int_equal(get64(0x1000, 0), 0x2000 | P | W | U | A);
	refuse_swaps = 2; /* someone else is changing the leaf: the walk starts over */
	assert_int_equal(x86_paging_walk(&long_mode, &memory, 0x5000, X86_ACCESS_WRITE,
					 X86_WALK_SET_BITS, &t, &code),
			 0);
	assert_int_equal(get64(0x4000, 5), 0x5000 | P | W | A | D);
	assert_int_equal(get64(0x3000, 0), 0x4000 | P | W | U | A);
	assert_int_equal(swaps, 5);
	entry64(0x4000, 6, 0x6000 | P);
	refuse_swaps = 1000;
	assert_int_equal(x86_paging_walk(&long_mode, &memory, 0x6000, X86_ACCESS_READ,
					 X86_WALK_SET_BITS, &t, &code),
			 -EAGAIN);
}

/* A walk that faults leaves the entries alone. */
static void test_no_bits_on_fault(void **state)
{
	struct x86_translation t;
	uint32_t code;

	(void)state;
	entry64(0x4000, 5, 0x5000 | P);
	assert_int_equal(x86_paging_walk(&long_mode, &memory, 0x5000, X86_ACCESS_WRITE,
					 X86_WALK_SET_BITS, &t, &code),
			 -EFAULT);
	assert_int_equal(swaps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_paging, setup),
		cmocka_unit_test_setup(test_page_sizes, setup),
		cmocka_unit_test_setup(test_five_levels, setup),
		cmocka_unit_test_setup(test_not_present, setup),
		cmocka_unit_test_setup(test_rights_of_all_levels, setup),
		cmocka_unit_test_setup(test_write_protect, setup),
		cmocka_unit_test_setup(test_smep_and_smap, setup),
		cmocka_unit_test_setup(test_reserved_bits, setup),
		cmocka_unit_test_setup(test_pae, setup),
		cmocka_unit_test_setup(test_32_bit, setup),
		cmocka_unit_test_setup(test_table_outside_memory, setup),
		cmocka_unit_test_setup(test_accessed_and_dirty, setup),
		cmocka_unit_test_setup(test_no_bits_on_fault, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

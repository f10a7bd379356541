#include "core/sha256_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* FIPS 180-4's example: "abc", padded to one block. */
static void example(void (*block)(uint32_t *, const uint8_t *))
{
	static const uint32_t digest[8] = { 0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
					    0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad };
	uint8_t data[64] = { 'a', 'b', 'c', 0x80, [63] = 24 };
	uint32_t state[8];

	memcpy(state, initial, sizeof(state));
	block(state, data);
	assert_memory_equal(state, digest, sizeof(state));
}

static void portable_hashes_the_standards_example(void **unused)
{
	(void)unused;
	example(sha256_block_portable);
}

static void instructions_hash_the_standards_example(void **unused)
{
	(void)unused;
	if (!sha256_block_has_sha())
		skip();
	example(sha256_block_sha);
}

static void both_agree_on_any_block(void **unused)
{
	uint32_t a[8], b[8], seed = 1;
	uint8_t data[65];

	(void)unused;
	if (!sha256_block_has_sha())
		skip();
	memcpy(a, initial, sizeof(a));
	memcpy(b, initial, sizeof(b));
	for (unsigned int n = 0; n < 10000; n++) {
		for (unsigned int i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		sha256_block_portable(a, data + (n & 1)); /* any alignment */
		sha256_block_sha(b, data + (n & 1));
		assert_memory_equal(a, b, sizeof(a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(portable_hashes_the_standards_example),
		cmocka_unit_test(instructions_hash_the_standards_example),
		cmocka_unit_test(both_agree_on_any_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

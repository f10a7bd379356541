#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "paravisor/boot/smbios.h"

#define GPA 0xf0000ull

static uint8_t buf[4096];

/* DSP0134 6.1: the next structure, after the strings of this one */
static const uint8_t *next(const uint8_t *at)
{
	at += at[1];
	while (at[0] || at[1])
		at++;
	return at + 2;
}

static const char *string(const uint8_t *structure, unsigned int offset)
{
	const char *s = (const char *)structure + structure[1];
	unsigned int i;

	assert_true(structure[offset] != 0);
	for (i = 1; i < structure[offset]; i++) {
		assert_true(*s);
		s += strlen(s) + 1;
	}
	return s;
}

static uint64_t number(const uint8_t *at, unsigned int size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | at[size];
	return value;
}

static const uint8_t *find(const uint8_t *at, uint8_t type)
{
	for (; at[0] != type; at = next(at))
		assert_int_not_equal(at[0], 127);
	return at;
}

static const uint8_t *build(uint64_t memory)
{
	uint8_t sum = 0;
	size_t len, i;

	memset(buf, 0, sizeof(buf));
	assert_int_equal(smbios_build(memory, GPA, buf, sizeof(buf), &len), 0);
	assert_memory_equal(buf, "_SM3_", 5);
	assert_int_equal(buf[6], 24);
	for (i = 0; i < 24; i++)
		sum += buf[i];
	assert_int_equal(sum, 0);
	assert_int_equal(number(buf + 12, 4), GPA + len - number(buf + 16, 8));
	return buf + (number(buf + 16, 8) - GPA);
}

static void structures(void **state)
{
	const uint8_t *first = build(512ull << 20), *at, *end = buf;
	uint16_t handles[16];
	unsigned int count = 0, i;

	(void)state;
	assert_string_equal(string(first, 4), "Entresol");
	/* Linux trusts PCI type 1 accesses when this year is after 2000 */
	assert_string_equal(string(first, 8), "01/01/2026");
	at = find(first, 1);
	assert_int_equal(at[1], 0x1b);
	assert_string_equal(string(at, 5), "Virtual Machine");
	assert_int_equal(find(first, 3)[1], 0x16);
	assert_int_equal(find(first, 32)[1], 0xb);
	for (at = first;; at = next(at)) {
		assert_true(count < 16);
		handles[count] = (uint16_t)number(at + 2, 2);
		for (i = 0; i < count; i++)
			assert_int_not_equal(handles[i], handles[count]);
		count++;
		end = next(at);
		if (at[0] == 127)
			break;
	}
	assert_int_equal(end - first, number(buf + 12, 4));
}

static void memory_sizes(void **state)
{
	const uint8_t *at = build(512ull << 20);

	(void)state;
	assert_int_equal(number(find(at, 16) + 7, 4), 512 << 10);
	assert_int_equal(number(find(at, 17) + 0xc, 2), 512);
	at = build(4ull << 40);
	assert_int_equal(number(find(at, 16) + 7, 4), 0x80000000u);
	assert_int_equal(number(find(at, 16) + 0xf, 8), 4ull << 40);
	assert_int_equal(number(find(at, 17) + 0xc, 2), 0x7fff);
	assert_int_equal(number(find(at, 17) + 0x1c, 4), 4u << 20);
	assert_int_equal(number(find(at, 17) + 4, 2), number(find(at, 16) + 2, 2));
}

static void refusals(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(smbios_build(1 << 20, GPA + 1, buf, sizeof(buf), &len), -EINVAL);
	assert_int_equal(smbios_build(1 << 20, GPA, buf, 100, &len), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),
		cmocka_unit_test(memory_sizes),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

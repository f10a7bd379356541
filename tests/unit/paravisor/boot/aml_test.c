#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "paravisor/boot/aml.h"

/* Expected bytes are worked out by hand from ACPI 6.5 chapter 20 and section 6.4. */

static uint8_t buf[0x20000];

static void assert_bytes(const struct byte_writer *w, const void *bytes, size_t len)
{
	assert_false(w->full);
	assert_int_equal(w->len, len);
	assert_memory_equal(w->buf, bytes, len);
}

static void numbers(void **state)
{
	static const uint8_t expected[] = { 0x08, 'A',  '_',  '_',  '_', 0x00, 0x08, 'A',  '_',
					    '_',  '_',  0x01, 0x08, 'A', '_',  '_',  '_',  0x0a,
					    2,    0x08, 'A',  '_',  '_', '_',  0x0b, 0x00, 0x01,
					    0x08, 'A',  '_',  '_',  '_', 0x0c, 0,    0,    1,
					    0,    0x08, 'A',  '_',  '_', '_',  0x0e, 0,    0,
					    0,    0,    1,    0,    0,   0 };
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));
	static const uint64_t values[] = { 0, 1, 2, 0x100, 0x10000, 0x100000000 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		aml_name_number(&w, "A", values[i]);
	assert_bytes(&w, expected, sizeof(expected));
}

static void identifiers(void **state)
{
	/* PNP0501 is the specification's own example of the encoding: 0x0105d041 */
	static const uint8_t expected[] = { 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01,
					    0x08, '_', 'H', 'I', 'D', 0x0d, 'V',  'M',  0 };
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));

	(void)state;
	aml_name_eisa_id(&w, "_HID", "PNP0501");
	aml_name_string(&w, "_HID", "VM");
	assert_bytes(&w, expected, sizeof(expected));
}

static void nesting(void **state)
{
	static const uint8_t expected[] = {
		0x10, 0x13, '\\', '_', 'S',  'B', '_', 0x5b, 0x82, 0x0b,
		'D',  'E',  'V',  '0', 0x08, 'A', 'B', '_',  '_',  0x01
	};
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));
	size_t scope = aml_scope_begin(&w, "\\_SB");
	size_t device = aml_device_begin(&w, "DEV0");

	(void)state;
	aml_name_number(&w, "AB", 1);
	aml_block_end(&w, device);
	aml_block_end(&w, scope);
	/* lengths count themselves: 1 + 4 + 6, 1 + 5 + 2 + 11 */
	assert_bytes(&w, expected, sizeof(expected));
}

/* 20.2.4: one byte up to 63, then the low nibble and up to three more bytes */
static void check_length(size_t body, const uint8_t *expected, size_t size)
{
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));
	size_t mark = w.len, i;

	for (i = 0; i < body; i++)
		byte_writer_u8(&w, 0xaa);
	aml_block_end(&w, mark);
	assert_false(w.full);
	assert_int_equal(w.len, body + size);
	assert_memory_equal(w.buf, expected, size);
	assert_int_equal(w.buf[size], 0xaa);
}

static void package_lengths(void **state)
{
	(void)state;
	check_length(62, (const uint8_t[]){ 0x3f }, 1);
	check_length(63, (const uint8_t[]){ 0x41, 0x04 }, 2);
	check_length(0xffd, (const uint8_t[]){ 0x4f, 0xff }, 2);
	check_length(0xffe, (const uint8_t[]){ 0x81, 0x00, 0x01 }, 3);
	check_length(0x12345, (const uint8_t[]){ 0x88, 0x34, 0x12 }, 3);
}

static void resources(void **state)
{
	/* ports, interrupt 4, memory, end */
	static const uint8_t expected[] = { 0x08, '_',  'C',  'R',  'S',  0x11, 1 + 2 + 25,
					    0x0a, 25,   0x47, 0x01, 0xf8, 0x03, 0xf8,
					    0x03, 0x01, 0x08, 0x22, 0x10, 0x00, 0x86,
					    0x09, 0x00, 0x01, 0x00, 0x00, 0xd4, 0xfe,
					    0x00, 0x50, 0x00, 0x00, 0x79, 0x00 };
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));
	size_t mark = aml_resources_begin(&w);

	(void)state;
	aml_resource_io(&w, 0x3f8, 8);
	aml_resource_irq(&w, 4);
	aml_resource_memory(&w, 0xfed40000, 0x5000);
	aml_resources_end(&w, mark);
	assert_bytes(&w, expected, sizeof(expected));
}

static void windows(void **state)
{
	static const uint8_t expected[] = { 0x8a, 43,   0, 0, 0x0c, 0x03, 0, 0, 0, 0, 0,    0,
					    0,    0,    0, 0, 0,    0xc0, 0, 0, 0, 0, 0xff, 0xff,
					    0xff, 0xdf, 0, 0, 0,    0,    0, 0, 0, 0, 0,    0,
					    0,    0,    0, 0, 0,    0x20, 0, 0, 0, 0 };
	struct byte_writer w = byte_writer_over(buf, sizeof(buf));

	(void)state;
	aml_resource_window(&w, 0xc0000000, 0x20000000);
	assert_bytes(&w, expected, sizeof(expected));
}

/* Nothing is written behind the buffer, whatever does not fit. */
static void overflow(void **state)
{
	size_t cap;

	(void)state;
	for (cap = 0; cap < 64; cap++) {
		struct byte_writer w = byte_writer_over(buf, cap);
		size_t device, mark;

		memset(buf, 0x55, sizeof(buf));
		device = aml_device_begin(&w, "DEV0");
		aml_name_string(&w, "_HID", "MSFT0101");
		mark = aml_resources_begin(&w);
		aml_resource_window(&w, 0, 0x1000);
		aml_resources_end(&w, mark);
		aml_block_end(&w, device);
		assert_true(w.full);
		assert_int_equal(buf[cap], 0x55);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),   cmocka_unit_test(identifiers),
		cmocka_unit_test(nesting),   cmocka_unit_test(package_lengths),
		cmocka_unit_test(resources), cmocka_unit_test(windows),
		cmocka_unit_test(overflow)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

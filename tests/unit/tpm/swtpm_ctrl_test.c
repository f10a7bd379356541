// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tpm/swtpm_ctrl.h"

/* Where one message ends and the next begins. */

static void test_fixed(void **state)
{
	static const uint8_t shutdown[] = { 0, 0, 0, 3 }, init[] = { 0, 0, 0, 2, 0, 0, 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(shutdown, 3), 0);
	assert_int_equal(ctrl_message_size(shutdown, 4), 4);
	assert_int_equal(ctrl_message_size(init, 4), 8);
	assert_int_equal(ctrl_message_size(init, 8), 8);
}

/* swtpm_ioctl sends one byte of locality, QEMU that and three of padding. */
static void test_padding(void **state)
{
	static const uint8_t locality[] = { 0, 0, 0, 5, 3, 0, 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(locality, 4), 5);
	assert_int_equal(ctrl_message_size(locality, 5), 5);
	assert_int_equal(ctrl_message_size(locality, 8), 8);
}

/* What says its own length is that long, whatever came with it. */
static void test_variable(void **state)
{
	static const uint8_t data[] = { 0, 0, 0, 7, 0, 0, 0, 2, 'a', 'b', 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(data, 6), 0);
	assert_int_equal(ctrl_message_size(data, 8), 10);
	assert_int_equal(ctrl_message_size(data, 12), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_variable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

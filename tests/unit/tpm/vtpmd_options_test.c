// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "tpm/vtpmd_options.h"

static struct vtpmd_options o;

/* Parses what stands between blanks. */
static int parse(const char *line)
{
	static char words[512], name[] = "vtpmd";
	char *argv[32] = { name }, *save = NULL;
	int argc = 1;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	for (char *p = strtok_r(words, " ", &save); p; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	return vtpmd_options_parse(&o, argc, argv);
}

#define DIR "--tpmstate dir=/state "

static void swtpms_options_are_taken(void **state)
{
	(void)state;
	assert_int_equal(parse("--tpm2 --tpmstate dir=/state,mode=0600 --server type=tcp,port=2321 "
			       "--ctrl type=unixio,path=/run/ctrl,mode=0660 --key file=/key "
			       "--pid file=/pid --flags not-need-init,startup-clear --daemon "
			       "--terminate --seccomp action=none --log level=3"),
			 0);
	assert_string_equal(o.dir, "/state");
	assert_string_equal(o.key_file, "/key");
	assert_string_equal(o.pid_file, "/pid");
	assert_int_equal(o.server.kind, VTPMD_SOCKET_TCP);
	assert_int_equal(o.server.number, 2321);
	assert_string_equal(o.server.where, "127.0.0.1");
	assert_int_equal(o.ctrl.kind, VTPMD_SOCKET_UNIX);
	assert_int_equal(o.ctrl.number, 0660);
	assert_string_equal(o.ctrl.where, "/run/ctrl");
	assert_true(o.init && o.startup && !o.startup_state);
	assert_true(o.daemon && o.terminate && o.unfiltered && o.durable);
}

static void what_is_not_said_is_safe(void **state)
{
	(void)state;
	assert_int_equal(parse(DIR "--server type=unixio,path=p"), 0);
	assert_int_equal(o.server.number, 0600);
	assert_true(o.durable && !o.unfiltered && !o.init && !o.startup && !o.daemon);
	assert_string_equal(o.key_file, "");
	assert_int_equal(parse("--tpmstate dir=d,sync=no -p 2000 --seccomp action=kill"), 0);
	assert_false(o.durable);
	assert_false(o.unfiltered);
	assert_int_equal(o.server.number, 2000);
	assert_int_equal(parse(DIR "--server type=tcp,port=1,bindaddr=0.0.0.0"), 0);
	assert_string_equal(o.server.where, "0.0.0.0");
}

static void descriptors_are_taken(void **state)
{
	(void)state;
	assert_int_equal(parse(DIR "--ctrl type=unixio,clientfd=7 --server fd=12"), 0);
	assert_int_equal(o.ctrl.kind, VTPMD_SOCKET_FD);
	assert_int_equal(o.ctrl.number, 7);
	assert_int_equal(o.server.kind, VTPMD_SOCKET_FD);
	assert_int_equal(o.server.number, 12);
	assert_int_equal(parse(DIR "--mssim port=65534 --flags startup-state"), 0);
	assert_int_equal(o.mssim, 65534);
	assert_true(o.init && o.startup && o.startup_state);
}

/* An option that would protect and is not understood must not be passed over: a password of the state, a mode. */
static void what_is_not_known_is_refused(void **state)
{
	static const char *const lines[] = {
		"--server port=1",
		DIR,
		DIR "--server port=1 more",
		DIR "--server port=1 --key pwdfile=/key",
		DIR "--server port=1 --key file=",
		DIR "--server port=1 --key file=/key,mode=aes-cbc",
		DIR "--server port=1 --tpmstate backend-uri=file://x",
		DIR "--server port=1 --tpmstate dir=d,mode=0640",
		DIR "--server port=1 --tpmstate dir=d,mode=9",
		DIR "--server port=1 --tpmstate dir=d,sync=maybe",
		DIR "--server port=1 --seccomp action=log",
		DIR "--server port=1 --seccomp none",
		DIR "--server port=1 --flags startup-cleared",
		DIR "--server port=1 --flags startup-clear,",
		DIR "--server port=0",
		DIR "--server port=65536",
		DIR "--server port=23x",
		DIR "--server port=-1",
		DIR "--server type=tcp",
		DIR "--server type=unixio",
		DIR "--server type=unixio,path=p,mode=1777",
		DIR "--server type=udp,port=1",
		DIR "--server fd=none",
		DIR "--server fd=99999999999",
		DIR "--mssim port=65535",
		DIR "--mssim 2321",
		DIR "--port 0x10",
		DIR "--profile name=null",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (parse(lines[i]) != -EINVAL)
			fail_msg("taken: %s", lines[i]);
}

static void what_is_too_long_is_refused(void **state)
{
	char line[400] = DIR "--server type=unixio,path=";

	(void)state;
	memset(line + strlen(line), 'p', 108);
	assert_int_equal(parse(line), -EINVAL);
	line[strlen(line) - 1] = '\0';
	assert_int_equal(parse(line), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swtpms_options_are_taken),
		cmocka_unit_test(what_is_not_said_is_safe),
		cmocka_unit_test(descriptors_are_taken),
		cmocka_unit_test(what_is_not_known_is_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

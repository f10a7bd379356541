#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "host/options.h"

static int parse(struct options *options, const char *option, const char *value)
{
	const char *argv[] = { "vtlhost", "--igvm", "image", option, value, NULL };
	int argc = option ? 5 : 3;

	optind = 0; /* glibc and musl: start over */
	return options_parse(options, argc, (char **)argv);
}

static void defaults(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, NULL), 0);
	assert_int_equal(o.cpus, 2);
	assert_int_equal(o.memory, 1ull << 30);
	assert_int_equal(o.timeout, 0);
	assert_false(o.probe);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{ "512M", 512ull << 20 },
		{ "3G", 3ull << 30 },
		{ "3g", 3ull << 30 },
		{ "1048576K", 1ull << 30 },
		{ "1073741824", 1ull << 30 },
		{ "513M", 512ull << 20 },
		{ "", 0 },
		{ "M", 0 },
		{ "-1G", 0 },
		{ "1T", 0 },
		{ "1GB", 0 },
		{ "0", 0 },
		{ "10M", 0 },
		{ "18446744073709551616", 0 },
		{ "18446744073709551615G", 0 },
		{ " 1G", 0 },
	};
	struct options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = parse(&o, "--memory", cases[i].text);

		assert_int_equal(ret, cases[i].bytes ? 0 : -EINVAL);
		if (!ret)
			assert_int_equal(o.memory, cases[i].bytes);
	}
}

static void counts(void **state)
{
	static const char *const bad[] = { "0", "65", "10000", "-1", "2x", "", "two" };
	struct options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&o, "--cpus", bad[i]), -EINVAL);
	assert_int_equal(parse(&o, "--cpus", "64"), 0);
	assert_int_equal(o.cpus, 64);
	assert_int_equal(parse(&o, "--timeout", "0"), -EINVAL);
	assert_int_equal(parse(&o, "--timeout", "30"), 0);
}

static void missing_and_unknown(void **state)
{
	const char *none[] = { "vtlhost", NULL };
	struct options o;

	(void)state;
	optind = 0;
	assert_int_equal(options_parse(&o, 1, (char **)none), -EINVAL);
	assert_int_equal(parse(&o, "--frobnicate", "1"), -EINVAL);
	assert_int_equal(parse(&o, "stray", "words"), -EINVAL);
}

/* Cut apart in place, so the text is copied; it lives on like a command line. */
static int parse_disks(struct options *options, const char *first, const char *second)
{
	static char text[2][64];
	const char *argv[] = { "vtlhost", "--igvm", "image", "--nvme",
			       text[0],   "--nvme", text[1], NULL };

	snprintf(text[0], sizeof(text[0]), "%s", first);
	snprintf(text[1], sizeof(text[1]), "%s", second ? second : "");
	optind = 0;
	return options_parse(options, second ? 7 : 5, (char **)argv);
}

static void disks(void **state)
{
	static const char *const bad[] = { "",
					   ",ro",
					   "memory",
					   "f,size=",
					   "f,size=1T",
					   "f,rw",
					   "f,lun=256",
					   "f,physical=1024",
					   "f,lun=",
					   "f,",
					   "f,chunk=3",
					   "f,sector=1024",
					   "f,fault=",
					   "f,fault=burn",
					   "f,fault=stall:after=x" };
	struct options o;
	size_t i;

	(void)state;
	assert_int_equal(parse_disks(&o, "a.img", "memory,ro,size=64M,sector=4096"), 0);
	assert_int_equal(o.disk_count, 2);
	assert_string_equal(o.disks[0].path, "a.img");
	assert_false(o.disks[0].read_only);
	assert_int_equal(o.disks[0].sector_size, 512);
	assert_int_equal(o.disks[0].lun, 0);
	assert_null(o.disks[1].path);
	assert_true(o.disks[1].read_only);
	assert_int_equal(o.disks[1].size, 64 << 20);
	assert_int_equal(o.disks[1].sector_size, 4096);
	assert_int_equal(o.disks[1].lun, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_disks(&o, bad[i], NULL), -EINVAL);
}

static void disk_faults(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse_disks(&o, "a,fault=stall:after=5:count=1,ro", "b,fault=fatal"), 0);
	assert_int_equal(o.disks[0].fault_count, 1);
	assert_int_equal(o.disks[0].faults[0].kind, NVME_EMU_FAULT_STALL);
	assert_int_equal(o.disks[0].faults[0].after, 5);
	assert_true(o.disks[0].read_only);
	assert_int_equal(o.disks[1].faults[0].kind, NVME_EMU_FAULT_FATAL);
}

static void disk_places(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse_disks(&o, "a,lun=0,chunk=64", "b,lun=0"), 0);
	assert_int_equal(o.disks[0].chunk_kib, 64);
	assert_int_equal(o.disks[1].lun, 0);
	assert_int_equal(parse_disks(&o, "a,lun=3", "b.iso,dvd"), 0);
	assert_int_equal(o.disks[0].lun, 3);
	assert_int_equal(o.disks[1].lun, 0);
	assert_true(o.disks[1].dvd && o.disks[1].read_only);
	assert_int_equal(parse_disks(&o, "a,lun=2", "b,dvd,lun=2"), -EINVAL);
}

static int parse_net(struct options *options, const char *text)
{
	static char copy[128];
	const char *argv[] = { "vtlhost", "--igvm", "image", "--net", copy, NULL };

	snprintf(copy, sizeof(copy), "%s", text);
	optind = 0;
	return options_parse(options, 5, (char **)argv);
}

static void networks(void **state)
{
	static const char *const bad[] = {
		"",
		"users",
		"tap=",
		"tap=a/b",
		"tap=a-name-that-is-too-long",
		"tap=a,hostfwd=tcp:1-:2",
		"user,",
		"none,vf",
		"user,vf,vt",
		"user,hostfwd=",
		"user,hostfwd=tcp:22",
		"user,hostfwd=icmp:1-:2",
		"user,hostfwd=tcp:0-:2",
		"user,hostfwd=tcp:1-:65536",
		"user,mtu=",
		"user,mtu=500",
		"user,mtu=9001",
		"tap=a,mtu=1500",
	};
	struct options o;
	size_t i;

	(void)state;
	assert_int_equal(parse_net(&o, "none"), 0);
	assert_int_equal(o.net.kind, NET_NONE);
	assert_int_equal(parse_net(&o, "tap=tap0"), 0);
	assert_int_equal(o.net.kind, NET_TAP);
	assert_string_equal(o.net.name, "tap0");
	assert_int_equal(parse_net(&o, "packet=eth0"), 0);
	assert_int_equal(o.net.kind, NET_PACKET);
	assert_int_equal(
		parse_net(&o, "user,hostfwd=tcp:2222-:22,hostfwd=udp:127.0.0.1:53-10.0.2.15:54"),
		0);
	assert_int_equal(o.net.kind, NET_USER);
	assert_int_equal(o.net.forward_count, 2);
	assert_null(o.net.forwards[0].address);
	assert_int_equal(o.net.forwards[0].host_port, 2222);
	assert_int_equal(o.net.forwards[0].guest_port, 22);
	assert_string_equal(o.net.forwards[1].address, "127.0.0.1");
	assert_int_equal(o.net.forwards[1].host_port, 53);
	assert_int_equal(o.net.forwards[1].guest_port, 54);
	assert_true(o.net.forwards[1].udp);
	assert_false(o.net.vf);
	assert_int_equal(parse_net(&o, "packet=eth0,vf"), 0);
	assert_string_equal(o.net.name, "eth0");
	assert_true(o.net.vf);
	assert_int_equal(parse_net(&o, "user,vf,hostfwd=tcp:2222-:22"), 0);
	assert_true(o.net.vf);
	assert_int_equal(o.net.forward_count, 1);
	assert_int_equal(o.net.mtu, 0);
	assert_int_equal(parse_net(&o, "user,mtu=9000,hostfwd=tcp:1-:2"), 0);
	assert_int_equal(o.net.mtu, 9000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_net(&o, bad[i]) != -EINVAL)
			fail_msg("--net '%s' was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(sizes),
		cmocka_unit_test(counts),
		cmocka_unit_test(disks),
		cmocka_unit_test(disk_faults),
		cmocka_unit_test(disk_places),
		cmocka_unit_test(missing_and_unknown),
		cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

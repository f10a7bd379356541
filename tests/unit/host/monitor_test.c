#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/devices.h"
#include "host/monitor.h"
#include "host/options.h"
#include "host/partition.h"

static struct partition partition;
static struct options options;
static char answer[200];

static struct {
	int result;
	unsigned int added, removals, lun, vf_changes;
	uint64_t size;
	char fault[64], net[16];
} devices;

/* --- devices.c --- */

int host_devices_add_disk(struct host_devices *d, unsigned int index)
{
	(void)d;
	devices.added = index;
	return devices.result;
}

int host_devices_disks_removed(struct host_devices *d)
{
	(void)d;
	devices.removals++;
	return devices.result;
}

int host_devices_resize_disk(struct host_devices *d, unsigned int lun, uint64_t size)
{
	(void)d;
	devices.lun = lun;
	devices.size = size;
	return devices.result;
}

int host_devices_fault(struct host_devices *d, unsigned int lun, const char *text)
{
	(void)d;
	devices.lun = lun;
	snprintf(devices.fault, sizeof(devices.fault), "%s", text);
	return devices.result;
}

int host_devices_vf_changed(struct host_devices *d)
{
	(void)d;
	devices.vf_changes++;
	return devices.result;
}

int host_devices_net(struct host_devices *d, const char *what)
{
	(void)d;
	snprintf(devices.net, sizeof(devices.net), "%s", what);
	return devices.result;
}

static int setup(void **state)
{
	(void)state;
	memset(&devices, 0, sizeof(devices));
	memset(&options, 0, sizeof(options));
	partition.devices = (struct host_devices *)&devices;
	options.disks[0] = (struct disk_option){ .path = "/a", .lun = 0 };
	options.disks[1] = (struct disk_option){ .path = "/b", .lun = 1 };
	options.disk_count = 2;
	return 0;
}

static const char *command(const char *text)
{
	char line[100];

	snprintf(line, sizeof(line), "%s", text);
	monitor_command(&options, &partition, line, answer, sizeof(answer));
	return answer;
}

static void comes_and_goes(void **state)
{
	(void)state;
	assert_string_equal(command("add  /c,ro"), "add: done");
	assert_int_equal(devices.added, 2);
	assert_int_equal(options.disk_count, 3);
	assert_int_equal(options.disks[2].lun, 2);
	assert_true(options.disks[2].read_only);
	assert_string_equal(command("remove 1"), "remove: done");
	assert_int_equal(devices.removals, 1);
	assert_true(options.disks[1].removed);
	assert_false(options.disks[0].removed);
	assert_non_null(strstr(command("remove 1"), "No such"));
	assert_string_equal(command("add memory,size=1M"), "add: done");
	assert_int_equal(options.disks[3].lun, 1); /* free again */
	free((void *)(uintptr_t)options.disks[2].path);
}

static void discs_are_exchanged(void **state)
{
	(void)state;
	options.disks[1].dvd = true;
	assert_string_equal(command("insert 1 memory,size=1M"), "insert: done");
	assert_int_equal(devices.added, 2);
	assert_true(options.disks[1].removed);
	assert_true(options.disks[2].dvd && !options.disks[2].removed);
	assert_int_equal(options.disks[2].lun, 1);
	assert_string_equal(command("eject 1"), "eject: done");
	assert_true(options.disks[3].dvd && options.disks[3].empty);
	assert_true(options.disks[2].removed);
	devices.result = -EIO;
	assert_null(strstr(command("insert 1 memory,size=1M"), "done"));
	assert_false(options.disks[3].removed);
	assert_true(options.disks[4].removed);
	assert_null(strstr(command("insert 1 memory"), "done"));
	assert_false(options.disks[3].removed);
	devices.result = 0;
	assert_null(strstr(command("eject 0"), "done")); /* no drive */
	assert_null(strstr(command("insert 7 memory,size=1M"), "done"));
}

static void failures_are_said(void **state)
{
	(void)state;
	devices.result = -EIO;
	assert_null(strstr(command("add /c"), "done"));
	assert_true(options.disks[2].removed);
	free((void *)(uintptr_t)options.disks[2].path);
	assert_null(strstr(command("add /c,nonsense"), "done"));
	assert_int_equal(options.disk_count, 3);
	assert_null(strstr(command("remove x"), "done"));
	assert_null(strstr(command("resize 1"), "done"));
	assert_non_null(strstr(command(""), "commands:"));
	assert_non_null(strstr(command("frobnicate 1"), "commands:"));
	partition.devices = NULL;
	assert_null(strstr(command("remove 1"), "done"));
}

static void changes(void **state)
{
	(void)state;
	assert_string_equal(command("resize 1 64M"), "resize: done");
	assert_int_equal(devices.lun, 1);
	assert_int_equal(devices.size, 64 << 20);
	assert_string_equal(command("fault 0 status,status=0x281,count=1"), "fault: done");
	assert_string_equal(devices.fault, "status,status=0x281,count=1");
	assert_string_equal(command("net down"), "net: done");
	assert_string_equal(devices.net, "down");
}

static void vtl0s_own_function(void **state)
{
	(void)state;
	assert_null(strstr(command("vf off"), "done")); /* there is none */
	options.net.vf = true;
	assert_string_equal(command("vf off"), "vf: done");
	assert_true(options.net.vf_off);
	assert_string_equal(command("vf on"), "vf: done");
	assert_false(options.net.vf_off);
	assert_null(strstr(command("vf maybe"), "done"));
	assert_int_equal(devices.vf_changes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(comes_and_goes, setup),
		cmocka_unit_test_setup(discs_are_exchanged, setup),
		cmocka_unit_test_setup(failures_are_said, setup),
		cmocka_unit_test_setup(changes, setup),
		cmocka_unit_test_setup(vtl0s_own_function, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

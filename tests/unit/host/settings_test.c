/* What vtlhost's GET says about disks, read as the paravisor reads it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/guid.h"
#include "host/options.h"
#include "host/settings.h"
#include "paravisor/settings.h"

static struct settings settings;

static void read_platform(const struct options *options)
{
	char error[200] = "";
	size_t len;
	char *text = host_settings_platform(options, &len);

	assert_non_null(text);
	if (settings_parse_platform(&settings, text, len, error, sizeof(error)))
		fail_msg("%s", error);
	free(text);
}

static void no_disks(void **state)
{
	struct options options = { .cpus = 1 };

	(void)state;
	read_platform(&options);
	assert_int_equal(settings.controller_count, 1);
	assert_int_equal(settings.lun_count, 0);
	assert_int_equal(settings.sub_channels, 0);
}

static void tpm_key(void **state)
{
	struct options options = { .cpus = 1 };

	(void)state;
	read_platform(&options);
	assert_true(settings.tpm);
	assert_false(settings.has_tpm_key);
	options.has_tpm_key = true;
	memset(options.tpm_key, 0xA5, sizeof(options.tpm_key));
	read_platform(&options);
	assert_true(settings.has_tpm_key);
	assert_memory_equal(settings.tpm_key, options.tpm_key, sizeof(options.tpm_key));
}

static void disks(void **state)
{
	struct options options = {
		.cpus = 4,
		.disks = { { .path = "/a", .lun = 0, .physical_size = 4096 },
			   { .path = "/b", .lun = 5, .chunk_kib = 64 },
			   { .path = "/b", .lun = 2, .dvd = true },
			   { .path = "/c", .lun = 5, .chunk_kib = 128 } },
		.disk_count = 4,
	};
	struct guid instance;
	unsigned int i;

	(void)state;
	read_platform(&options);
	assert_int_equal(settings.sub_channels, 3);
	assert_int_equal(settings.lun_count, 3);
	assert_int_equal(settings.device_count, 4);
	assert_int_equal(settings.luns[0].location, 0);
	assert_int_equal(settings.luns[0].device_count, 1);
	assert_int_equal(settings.luns[0].physical_sector_size, 4096);
	assert_int_equal(settings.luns[1].physical_sector_size, 0);
	assert_int_equal(settings.luns[1].location, 2);
	assert_true(settings.luns[1].dvd);
	assert_int_equal(settings.luns[2].location, 5);
	assert_int_equal(settings.luns[2].device_count, 2);
	assert_int_equal(settings.luns[2].chunk_size, 64 << 10);
	for (i = 0; i < 2; i++) {
		const struct settings_device *device =
			&settings.devices[settings.luns[2].first_device + i];

		host_settings_disk_instance(i ? 3 : 1, &instance);
		assert_true(guid_equal(&device->instance, &instance));
		assert_int_equal(device->nsid, 1);
	}
}

/* LUNs are counted through all controllers; one that has none is not there, but for the first. */
static void controllers(void **state)
{
	struct options options = {
		.cpus = 1,
		.disks = { { .path = "/a", .lun = 64 + 3 }, { .path = "/b", .lun = 192 } },
		.disk_count = 2,
	};
	struct guid second;

	(void)state;
	read_platform(&options);
	assert_int_equal(settings.controller_count, 3);
	assert_int_equal(settings.lun_count, 2);
	assert_int_equal(settings.luns[0].controller, 1);
	assert_int_equal(settings.luns[0].location, 3);
	assert_int_equal(settings.luns[1].controller, 2);
	assert_int_equal(settings.luns[1].location, 0);
	second = settings.controllers[2];
	options.disks[0].removed = true;
	read_platform(&options);
	assert_int_equal(settings.controller_count, 2);
	assert_true(guid_equal(&settings.controllers[1], &second));
}

/* Linux makes a PCI domain of data2; a guest tells disks apart by device_id. */
static void networks(void **state)
{
	struct options options = { .cpus = 2, .net.kind = NET_USER };
	struct guid instance, vf;

	(void)state;
	host_settings_nic_instance(&instance);
	host_settings_vf_instance(&vf);
	read_platform(&options);
	assert_int_equal(settings.nic_count, 1);
	assert_true(guid_equal(&settings.nics[0].instance, &instance));
	assert_int_equal(settings.nics[0].sub_channels, 1);
	assert_false(settings.nics[0].has_vf);
	options.net.vf = true;
	read_platform(&options);
	assert_true(settings.nics[0].has_vf);
	assert_true(guid_equal(&settings.nics[0].vf_instance, &vf));
	assert_int_not_equal(vf.data2, instance.data2); /* Linux's PCI domains */
}

static void identities_differ_and_stay(void **state)
{
	struct options options = {
		.cpus = 1,
		.disks = { { .path = "/a", .lun = 0 },
			   { .path = "/a", .lun = 1 },
			   { .path = "/b", .lun = 2 } },
		.disk_count = 3,
	};
	struct guid first, second;
	struct settings_lun before;

	(void)state;
	host_settings_disk_instance(0, &first);
	host_settings_disk_instance(1, &second);
	assert_int_not_equal(first.data2, second.data2);
	assert_int_not_equal(first.data2, 0);
	read_platform(&options);
	assert_false(guid_equal(&settings.luns[0].device_id, &settings.luns[1].device_id));
	assert_false(guid_equal(&settings.luns[0].device_id, &settings.luns[2].device_id));
	before = settings.luns[2];
	read_platform(&options);
	assert_memory_equal(&before.device_id, &settings.luns[2].device_id, sizeof(struct guid));
	assert_string_equal(before.serial, settings.luns[2].serial);
}

static void as_many_as_there_can_be(void **state)
{
	static struct options options = { .cpus = 64, .disk_count = HOST_MAX_DISKS };
	unsigned int i;

	(void)state;
	for (i = 0; i < HOST_MAX_DISKS; i++)
		options.disks[i] = (struct disk_option){ .path = "/disk", .lun = i };
	read_platform(&options);
	assert_int_equal(settings.lun_count, HOST_MAX_DISKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_disks),
		cmocka_unit_test(tpm_key),
		cmocka_unit_test(disks),
		cmocka_unit_test(controllers),
		cmocka_unit_test(networks),
		cmocka_unit_test(identities_differ_and_stay),
		cmocka_unit_test(as_many_as_there_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

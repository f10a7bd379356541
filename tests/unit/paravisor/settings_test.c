#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/guid.h"
#include "paravisor/settings.h"

#define DISK_BUS    "00000000-0000-4000-8000-000000000001"
#define STRIPE_BUS  "00000000-0000-4000-8000-000000000002"
#define CONTROLLER  "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define DEVICE(bus) "{\"device_type\":\"NVMe\",\"device_path\":\"" bus "\",\"sub_device_path\":1}"
#define SINGLE      "\"physical_devices\":{\"type\":\"single\",\"device\":" DEVICE(DISK_BUS) "}"
#define LUN(text)   "{\"location\":0," SINGLE "," text "}"
#define CONTROLLER_WITH(luns) \
	"{\"instance_id\":\"" CONTROLLER "\",\"protocol\":\"SCSI\",\"luns\":[" luns "]}"
#define SETTINGS(controllers) \
	"{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":[" controllers "]}}"
#define SETTINGS_OF(lun) SETTINGS(CONTROLLER_WITH(lun))

static const char full[] =
	"{\"version\":\"V1\",\"fixed\":{\"scsi_sub_channels\":3},\"dynamic\":{\"storage_"
	"controllers\":["
	"{\"instance_id\":\"" CONTROLLER "\",\"protocol\":\"scsi\",\"luns\":["
	"{\"location\":0,\"device_id\":\"" STRIPE_BUS "\",\"vendor_id\":\"Entresol\","
	"\"product_id\":\"A product's much too long name\",\"product_revision_level\":\"1.0\","
	"\"serial_number\":\"0\"," SINGLE "},"
	"{\"location\":63,\"chunk_size_in_kb\":64,\"physical_devices\":{\"type\":\"STRIPED\","
	"\"devices\":[" DEVICE(DISK_BUS) "," DEVICE(
		STRIPE_BUS) "]}},"
			    "{\"location\":2,\"is_dvd\":true}]}]}}";

static struct settings settings;
static char why[160];

static int parse(const char *text)
{
	why[0] = 0;
	return settings_parse(&settings, text, strlen(text), why, sizeof(why));
}

static void test_full(void **state)
{
	const struct settings_lun *lun = settings.luns;
	struct guid disk, stripe;

	(void)state;
	guid_parse(DISK_BUS, &disk);
	guid_parse(STRIPE_BUS, &stripe);
	assert_int_equal(parse(full), 0);
	assert_int_equal(settings.sub_channels, 3);
	assert_int_equal(settings.controller_count, 1);
	assert_int_equal(settings.lun_count, 3);
	assert_int_equal(settings.device_count, 3);
	assert_int_equal(lun->location, 0);
	assert_true(guid_equal(&lun->device_id, &stripe));
	assert_string_equal(lun->vendor, "Entresol");
	assert_string_equal(lun->product, "A product's much");
	assert_int_equal(lun->device_count, 1);
	assert_true(guid_equal(&settings.devices[lun->first_device].instance, &disk));
	lun++;
	assert_int_equal(lun->location, 63);
	assert_int_equal(lun->chunk_size, 65536);
	assert_int_equal(lun->device_count, 2);
	assert_true(guid_equal(&settings.devices[lun->first_device + 1].instance, &stripe));
	lun++;
	assert_true(lun->dvd);
	assert_int_equal(lun->device_count, 0);
}

static void test_nature_of_a_lun(void **state)
{
	const struct settings_lun *lun = &settings.luns[0];

	(void)state;
	assert_int_equal(parse(SETTINGS_OF(LUN("\"is_dvd\":false"))), 0);
	assert_false(lun->no_fua || lun->no_write_cache);
	assert_int_equal(lun->rotation_rate + lun->max_transfer + lun->physical_sector_size, 0);
	assert_int_equal(parse(SETTINGS_OF(LUN("\"fua\":true,\"write_cache\":true"))), 0);
	assert_false(lun->no_fua || lun->no_write_cache);
	assert_int_equal(
		parse(SETTINGS_OF(LUN("\"fua\":false,\"write_cache\":false,"
				      "\"medium_rotation_rate\":7200,\"max_transfer_length\":65536,"
				      "\"physical_sector_size\":4096"))),
		0);
	assert_true(lun->no_fua && lun->no_write_cache);
	assert_int_equal(lun->rotation_rate, 7200);
	assert_int_equal(lun->max_transfer, 65536);
	assert_int_equal(lun->physical_sector_size, 4096);
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"[]",
		"{\"version\":\"V2\"}",
		"{\"version\":1}",
		"{\"namespace_settings\":[{\"namespace\":\"Base\",\"settings\":\"*\"}]}",
		"{\"namespace_settings\":[{\"namespace\":\"Base\"}]}",
		"{\"version\":\"V1\",\"fixed\":{\"scsi_sub_channels\":65536}}",
		SETTINGS("{}"),
		SETTINGS("{\"instance_id\":\"x\",\"protocol\":\"SCSI\"}"),
		SETTINGS("{\"instance_id\":\"" CONTROLLER "\",\"protocol\":\"IDE\"}"),
		SETTINGS(CONTROLLER_WITH("") "," CONTROLLER_WITH("")),
		SETTINGS_OF("{\"location\":0}"),
		SETTINGS_OF("{\"location\":64," SINGLE "}"),
		SETTINGS_OF("{\"location\":-1," SINGLE "}"),
		SETTINGS_OF("{" SINGLE "}"),
		SETTINGS_OF("{\"location\":1," SINGLE "},{\"location\":1," SINGLE "}"),
		SETTINGS_OF(LUN("\"chunk_size_in_kb\":0")),
		SETTINGS_OF(LUN("\"chunk_size_in_kb\":96")),
		SETTINGS_OF(LUN("\"chunk_size_in_kb\":4294967296")),
		SETTINGS_OF(LUN("\"physical_sector_size\":513")),
		SETTINGS_OF(LUN("\"fua\":0")),
		SETTINGS_OF(LUN("\"write_cache\":\"yes\"")),
		SETTINGS_OF(LUN("\"medium_rotation_rate\":65535")),
		SETTINGS_OF(LUN("\"max_transfer_length\":4294967296")),
		SETTINGS_OF(LUN("\"scsi_disk_size_in_bytes\":\"1\"")),
		SETTINGS_OF(LUN("\"is_dvd\":1")),
		SETTINGS_OF(LUN("\"device_id\":\"1\"")),
		SETTINGS_OF(LUN("\"vendor_id\":1")),
		SETTINGS_OF("{\"location\":0,\"physical_devices\":{\"type\":\"mirrored\"}}"),
		SETTINGS_OF("{\"location\":0,\"physical_devices\":{\"type\":\"single\"}}"),
		SETTINGS_OF("{\"location\":0,\"physical_devices\":{\"type\":\"striped\","
			    "\"devices\":[]}}"),
		SETTINGS_OF("{\"location\":0,\"physical_devices\":{\"type\":\"single\",\"device\":"
			    "{\"device_type\":\"vscsi\",\"device_path\":\"" DISK_BUS "\"}}}"),
		SETTINGS_OF("{\"location\":0,\"physical_devices\":{\"type\":\"single\",\"device\":"
			    "{\"device_type\":\"nvme\",\"device_path\":\"" DISK_BUS
			    "\",\"sub_device_path\":0}}}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!parse(texts[i]))
			fail_msg("%s", texts[i]);
		assert_true(why[0]);
	}
}

/* More LUNs, controllers or devices than there is room for end in an error, not beyond the arrays. */
static void test_limits(void **state)
{
	static char text[1 << 20];
	size_t used;

	(void)state;
	for (unsigned int count = 4; count <= 5; count++) {
		used = (size_t)sprintf(
			text, "{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":[");
		for (unsigned int i = 0; i < count; i++)
			used += (size_t)sprintf(
				text + used,
				"%s{\"instance_id\":\"00000000-0000-4000-8000-00000000010%u\","
				"\"protocol\":\"SCSI\"}",
				i ? "," : "", i);
		sprintf(text + used, "]}}");
		assert_int_equal(parse(text), count == 4 ? 0 : -E2BIG);
	}
	for (unsigned int count = 64; count <= 65; count++) {
		used = (size_t)sprintf(text,
				       "{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":["
				       "{\"instance_id\":\"" CONTROLLER "\",\"protocol\":\"SCSI\","
				       "\"luns\":[{\"location\":0,\"physical_devices\":"
				       "{\"type\":\"striped\",\"devices\":[");
		for (unsigned int i = 0; i < count; i++)
			used += (size_t)sprintf(text + used, "%s" DEVICE(DISK_BUS), i ? "," : "");
		sprintf(text + used, "]}}]}]}}");
		assert_int_equal(parse(text), count == 64 ? 0 : -E2BIG);
	}
}

static void encode(const char *text, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)(uint8_t)text[i] << 16;

		if (i + 1 < len)
			bits |= (uint32_t)(uint8_t)text[i + 1] << 8;
		if (i + 2 < len)
			bits |= (uint8_t)text[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	*out = 0;
}

static void test_namespaces(void **state)
{
	static char inner[8192], text[16384];

	(void)state;
	encode(full, inner);
	sprintf(text,
		"{\"namespace_settings\":[{\"namespace\":\"Other\",\"settings\":\"*\"},"
		"{\"namespace\":\"base\",\"settings\":\"%s\"}]}",
		inner);
	assert_int_equal(parse(text), 0);
	assert_int_equal(settings.lun_count, 3);

	/* Not any deeper. */
	encode(text, inner);
	sprintf(text, "{\"namespace_settings\":[{\"namespace\":\"Base\",\"settings\":\"%s\"}]}",
		inner);
	assert_int_equal(parse(text), -EINVAL);
}

static int parse_platform(const char *text)
{
	why[0] = 0;
	return settings_parse_platform(&settings, text, strlen(text), why, sizeof(why));
}

static void test_platform(void **state)
{
	static char inner[8192], text[16384];

	(void)state;
	encode(full, inner);
	sprintf(text, "{\"V1\":{},\"V2\":{\"Static\":{\"Vtl2Settings\":\"%s\"},\"Dynamic\":{}}}",
		inner);
	assert_int_equal(parse_platform(text), 0);
	assert_int_equal(settings.lun_count, 3);
	assert_false(settings.tpm);
	assert_int_equal(parse_platform("{\"V1\":{\"EnableTpm\":true}}"), 0);
	assert_true(settings.tpm);
	assert_int_equal(parse_platform("{}"), 0);
	assert_int_equal(settings.lun_count, 0);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"Vtl2Settings\":null}}}"), 0);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"Vtl2Settings\":\"\"}}}"), 0);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"Vtl2Settings\":1}}}"), -EINVAL);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"Vtl2Settings\":\"e30=\"}}}"),
			 -EINVAL);
	assert_true(why[0]);
	assert_int_equal(parse_platform(""), -EINVAL);
	assert_false(settings.has_tpm_key);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"EntresolTpmKey\":"
					"\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}}}"),
			 0);
	assert_true(settings.has_tpm_key);
	for (unsigned int i = 0; i < SETTINGS_TPM_KEY; i++)
		assert_int_equal(settings.tpm_key[i], i);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"EntresolTpmKey\":\"AAEC\"}}}"),
			 -EINVAL);
	assert_int_equal(parse_platform("{\"V2\":{\"Static\":{\"EntresolTpmKey\":7}}}"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),       cmocka_unit_test(test_nature_of_a_lun),
		cmocka_unit_test(test_refuses),    cmocka_unit_test(test_limits),
		cmocka_unit_test(test_namespaces), cmocka_unit_test(test_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "paravisor/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base64.h"
#include "core/guid.h"
#include "core/json.h"

/* Of one JSON text. A value takes a token, a member two. */
#define TOKENS_MAX 32768u

#define CHUNK_MIN 4096u
#define CHUNK_MAX (16u << 20)

struct reader {
	struct json json;
	struct settings *settings;
	char *error;
	size_t error_len;
};

static int fail(struct reader *r, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct reader *r, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->error, r->error_len, format, args);
	va_end(args);
	return err;
}

static uint32_t member(struct reader *r, uint32_t object, const char *name)
{
	return json_member(&r->json, object, name);
}

/* --- fields: absent ones leave *value as it is */

static int read_bool(struct reader *r, uint32_t object, const char *name, bool *value)
{
	int ret = json_bool(&r->json, member(r, object, name), value);

	return ret && ret != -ENOENT ? fail(r, ret, "%s is neither true nor false", name) : 0;
}

static int read_uint(struct reader *r, uint32_t object, const char *name, uint64_t max,
		     uint64_t *value)
{
	int ret = json_uint(&r->json, member(r, object, name), value);

	if (ret == -ENOENT)
		return 0;
	if (ret || *value > max)
		return fail(r, -EINVAL, "%s is not a number from 0 to %llu", name,
			    (unsigned long long)max);
	return 0;
}

static int read_u32(struct reader *r, uint32_t object, const char *name, uint32_t max,
		    uint32_t *value)
{
	uint64_t wide = *value;
	int ret = read_uint(r, object, name, max, &wide);

	*value = (uint32_t)wide;
	return ret;
}

/* What SCSI has no room for is cut off. */
static int read_text(struct reader *r, uint32_t object, const char *name, char *buf, size_t size)
{
	char text[256]; /* at least `size` */
	int ret = json_string(&r->json, member(r, object, name), text, sizeof(text));

	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return fail(r, ret, "%s is not a text of at most %zu bytes", name,
			    sizeof(text) - 1);
	text[size - 1] = 0;
	memcpy(buf, text, strlen(text) + 1);
	return 0;
}

static int read_guid(struct reader *r, uint32_t object, const char *name, bool needed,
		     struct guid *guid)
{
	char text[64];
	int ret = json_string(&r->json, member(r, object, name), text, sizeof(text));

	if (ret == -ENOENT && !needed)
		return 0;
	if (ret < 0 || guid_parse(text, guid))
		return fail(r, -EINVAL, "%s is not a GUID", name);
	return 0;
}

/* Names of enumerations come in several spellings. */
static bool is_word(struct reader *r, uint32_t value, const char *word)
{
	char text[32];

	return json_string(&r->json, value, text, sizeof(text)) >= 0 && !strcasecmp(text, word);
}

/* --- physical devices */

static int read_device(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	struct settings *settings = r->settings;
	struct settings_device device = { .nsid = 1 };
	int ret;

	if (!is_word(r, member(r, object, "device_type"), "nvme"))
		return fail(r, -EINVAL, "device_type is not NVMe");
	if (settings->device_count == SETTINGS_DEVICES_MAX ||
	    lun->device_count == SETTINGS_STRIPE_MAX)
		return fail(r, -E2BIG, "too many physical devices");
	ret = read_guid(r, object, "device_path", true, &device.instance);
	if (!ret)
		ret = read_u32(r, object, "sub_device_path", UINT32_MAX - 1, &device.nsid);
	if (!ret && !device.nsid)
		ret = fail(r, -EINVAL, "sub_device_path is no namespace");
	if (ret)
		return ret;
	settings->devices[settings->device_count++] = device;
	lun->device_count++;
	return 0;
}

static int read_stripe(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	uint32_t devices = member(r, object, "devices"), at;

	for (at = json_first(&r->json, devices); at != JSON_NONE;
	     at = json_next(&r->json, devices, at)) {
		int ret = read_device(r, at, lun);

		if (ret)
			return ret;
	}
	if (!lun->device_count)
		return fail(r, -EINVAL, "a stripe has no devices");
	return 0;
}

static int read_devices(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	uint32_t type = member(r, object, "type");

	lun->first_device = (uint16_t)r->settings->device_count;
	if (object == JSON_NONE)
		return lun->dvd ? 0 : fail(r, -EINVAL, "a disk has no physical_devices");
	if (is_word(r, type, "single"))
		return read_device(r, member(r, object, "device"), lun);
	if (is_word(r, type, "striped") || is_word(r, type, "striping"))
		return read_stripe(r, object, lun);
	return fail(r, -EINVAL, "the type of physical_devices is not known");
}

/* --- logical units */

static int read_chunk_size(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	uint32_t kib = 128;
	int ret = read_u32(r, object, "chunk_size_in_kb", CHUNK_MAX / 1024, &kib);

	lun->chunk_size = kib * 1024;
	if (!ret && (lun->chunk_size < CHUNK_MIN || lun->chunk_size & (lun->chunk_size - 1)))
		ret = fail(r, -EINVAL, "chunk_size_in_kb is no power of two from 4");
	return ret;
}

static int read_sector_size(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	uint32_t *size = &lun->physical_sector_size;
	int ret = read_u32(r, object, "physical_sector_size", 1u << 20, size);

	if (!ret && *size && (*size < 512 || *size & (*size - 1)))
		ret = fail(r, -EINVAL, "physical_sector_size is no power of two from 512");
	return ret;
}

/* What there is by default may be denied. */
static int read_denial(struct reader *r, uint32_t object, const char *name, bool *denied)
{
	bool value = true;
	int ret = read_bool(r, object, name, &value);

	*denied = !value;
	return ret;
}

static int read_characteristics(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	int ret = read_denial(r, object, "fua", &lun->no_fua);

	if (!ret)
		ret = read_denial(r, object, "write_cache", &lun->no_write_cache);
	if (!ret)
		ret = read_u32(r, object, "medium_rotation_rate", 0xFFFE, &lun->rotation_rate);
	if (!ret)
		ret = read_u32(r, object, "max_transfer_length", UINT32_MAX, &lun->max_transfer);
	return ret ? ret : read_sector_size(r, object, lun);
}

static int read_identity(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	int ret = read_guid(r, object, "device_id", false, &lun->device_id);

	if (!ret)
		ret = read_text(r, object, "vendor_id", lun->vendor, sizeof(lun->vendor));
	if (!ret)
		ret = read_text(r, object, "product_id", lun->product, sizeof(lun->product));
	if (!ret)
		ret = read_text(r, object, "product_revision_level", lun->revision,
				sizeof(lun->revision));
	if (!ret)
		ret = read_text(r, object, "serial_number", lun->serial, sizeof(lun->serial));
	return ret;
}

static bool location_taken(const struct settings *settings, const struct settings_lun *lun)
{
	for (unsigned int i = 0; i < settings->lun_count; i++)
		if (settings->luns[i].controller == lun->controller &&
		    settings->luns[i].location == lun->location)
			return true;
	return false;
}

static int read_lun_fields(struct reader *r, uint32_t object, struct settings_lun *lun)
{
	int ret = read_bool(r, object, "is_dvd", &lun->dvd);

	if (!ret)
		ret = read_bool(r, object, "disable_thin_provisioning", &lun->no_unmap);
	if (!ret)
		ret = read_uint(r, object, "scsi_disk_size_in_bytes", UINT64_MAX, &lun->size);
	if (!ret)
		ret = read_identity(r, object, lun);
	if (!ret)
		ret = read_chunk_size(r, object, lun);
	if (!ret)
		ret = read_characteristics(r, object, lun);
	if (!ret)
		ret = read_devices(r, member(r, object, "physical_devices"), lun);
	return ret;
}

static int read_lun(struct reader *r, uint32_t object, unsigned int controller)
{
	struct settings *settings = r->settings;
	struct settings_lun lun = { .controller = (uint8_t)controller };
	uint64_t location;
	int ret;

	if (json_uint(&r->json, member(r, object, "location"), &location) ||
	    location >= SETTINGS_LUNS_MAX)
		return fail(r, -EINVAL, "a LUN has no location from 0 to %d",
			    SETTINGS_LUNS_MAX - 1);
	lun.location = (uint8_t)location;
	if (location_taken(settings, &lun))
		return fail(r, -EINVAL, "two LUNs at location %u", lun.location);
	ret = read_lun_fields(r, object, &lun);
	if (!ret)
		settings->luns[settings->lun_count++] = lun;
	return ret;
}

/* --- controllers */

static int read_controller(struct reader *r, uint32_t object)
{
	struct settings *settings = r->settings;
	uint32_t luns = member(r, object, "luns"), at;
	unsigned int index = settings->controller_count;
	struct guid *instance = &settings->controllers[index];
	int ret;

	if (index == SETTINGS_CONTROLLERS_MAX)
		return fail(r, -E2BIG, "more than %d storage controllers",
			    SETTINGS_CONTROLLERS_MAX);
	if (!is_word(r, member(r, object, "protocol"), "SCSI"))
		return fail(r, -EINVAL, "a storage controller's protocol is not SCSI");
	ret = read_guid(r, object, "instance_id", true, instance);
	for (unsigned int i = 0; !ret && i < index; i++)
		if (guid_equal(&settings->controllers[i], instance))
			ret = fail(r, -EINVAL, "two storage controllers of one instance_id");
	if (ret)
		return ret;
	settings->controller_count++;
	for (at = json_first(&r->json, luns); !ret && at != JSON_NONE;
	     at = json_next(&r->json, luns, at))
		ret = read_lun(r, at, index);
	return ret;
}

/* --- network cards */

/* Each has a function of its own, and each function of VTL0's is somebody's. */
static int check_nics(struct reader *r, const struct settings_nic *a, const struct settings_nic *b)
{
	if (guid_equal(&a->instance, &b->instance))
		return fail(r, -EINVAL, "two network cards of one instance_id");
	if ((a->has_vf && guid_equal(&a->vf_instance, &b->instance)) ||
	    (b->has_vf && guid_equal(&b->vf_instance, &a->instance)) ||
	    (a->has_vf && b->has_vf && guid_equal(&a->vf_instance, &b->vf_instance)))
		return fail(r, -EINVAL, "one function for two network cards");
	return 0;
}

static int read_nic(struct reader *r, uint32_t object)
{
	struct settings *settings = r->settings;
	static const struct guid none;
	struct settings_nic nic = { .sub_channels = UINT32_MAX };
	int ret;

	if (settings->nic_count == SETTINGS_NICS_MAX)
		return fail(r, -E2BIG, "more than %d network cards", SETTINGS_NICS_MAX);
	ret = read_guid(r, object, "instance_id", true, &nic.instance);
	if (!ret)
		ret = read_u32(r, object, "max_sub_channels", 65535, &nic.sub_channels);
	if (!ret)
		ret = read_guid(r, object, "subordinate_instance_id", false, &nic.vf_instance);
	nic.has_vf = !guid_equal(&nic.vf_instance, &none);
	if (!ret && nic.has_vf && guid_equal(&nic.vf_instance, &nic.instance))
		ret = fail(r, -EINVAL, "a network card's function cannot be VTL0's, too");
	for (unsigned int i = 0; !ret && i < settings->nic_count; i++)
		ret = check_nics(r, &settings->nics[i], &nic);
	if (!ret)
		settings->nics[settings->nic_count++] = nic;
	return ret;
}

static int read_nics(struct reader *r, uint32_t list)
{
	int ret = 0;

	for (uint32_t at = json_first(&r->json, list); !ret && at != JSON_NONE;
	     at = json_next(&r->json, list, at))
		ret = read_nic(r, at);
	return ret;
}

static int read_fixed_and_dynamic(struct reader *r, uint32_t root)
{
	uint32_t list = member(r, member(r, root, "dynamic"), "storage_controllers"), at;
	int ret = read_u32(r, member(r, root, "fixed"), "scsi_sub_channels", 65535,
			   &r->settings->sub_channels);

	for (at = json_first(&r->json, list); !ret && at != JSON_NONE;
	     at = json_next(&r->json, list, at))
		ret = read_controller(r, at);
	if (!ret)
		ret = read_nics(r, member(r, member(r, root, "dynamic"), "nic_devices"));
	return ret;
}

/* --- the texts that these are in */

/* A reader over its own copies; *copy and the tokens are to be freed, whatever it returns. */
static int open_text(struct reader *r, const char *text, size_t len, struct json_token **tokens)
{
	int ret;

	*tokens = malloc(TOKENS_MAX * sizeof(**tokens));
	if (!*tokens)
		return fail(r, -ENOMEM, "out of memory");
	ret = json_parse(&r->json, text, len, *tokens, TOKENS_MAX);
	if (ret == -E2BIG)
		return fail(r, ret, "the settings are too large");
	if (ret)
		return fail(r, ret, "the settings are not JSON");
	return 0;
}

/* The bytes that a Base64 string stands for, to be freed. */
static int decode(struct reader *r, uint32_t value, char **bytes, size_t *len)
{
	size_t size = json_raw_len(&r->json, value) + 1;
	int ret;

	*bytes = malloc(size);
	if (!*bytes)
		return fail(r, -ENOMEM, "out of memory");
	ret = json_string(&r->json, value, *bytes, size);
	if (ret >= 0)
		ret = base64_decode(*bytes, (size_t)ret, *bytes, size);
	if (ret < 0)
		return fail(r, ret, "settings that should be Base64 are not");
	*len = (size_t)ret;
	return 0;
}

static int read_settings(struct reader *r, const char *text, size_t len, bool may_nest);

static int read_namespaces(struct reader *r, uint32_t list)
{
	for (uint32_t at = json_first(&r->json, list); at != JSON_NONE;
	     at = json_next(&r->json, list, at)) {
		char *bytes = NULL;
		size_t len;
		int ret;

		if (!is_word(r, member(r, at, "namespace"), "Base"))
			continue;
		ret = decode(r, member(r, at, "settings"), &bytes, &len);
		if (!ret) {
			struct json outer = r->json;

			ret = read_settings(r, bytes, len, false);
			r->json = outer;
		}
		free(bytes);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_settings(struct reader *r, const char *text, size_t len, bool may_nest)
{
	struct json_token *tokens = NULL;
	int ret = open_text(r, text, len, &tokens);
	uint32_t namespaces;

	if (!ret) {
		namespaces = member(r, 0, "namespace_settings");
		if (namespaces != JSON_NONE && may_nest)
			ret = read_namespaces(r, namespaces);
		else if (!is_word(r, member(r, 0, "version"), "V1"))
			ret = fail(r, -EINVAL, "VTL2 settings of another version than V1");
		else
			ret = read_fixed_and_dynamic(r, 0);
	}
	free(tokens);
	return ret;
}

static struct reader begin(struct settings *settings, char *error, size_t error_len)
{
	memset(settings, 0, sizeof(*settings));
	settings->sub_channels = UINT32_MAX;
	return (struct reader){ .settings = settings, .error = error, .error_len = error_len };
}

int settings_parse(struct settings *settings, const char *text, size_t len, char *error,
		   size_t error_len)
{
	struct reader r = begin(settings, error, error_len);

	return read_settings(&r, text, len, true);
}

/* Ours: other paravisors do not know it, other hosts do not have it. */
static int read_tpm_key(struct reader *r, uint32_t value)
{
	struct settings *settings = r->settings;
	char *bytes = NULL;
	size_t len;
	int ret;

	if (value == JSON_NONE)
		return 0;
	ret = decode(r, value, &bytes, &len);
	if (!ret && len != sizeof(settings->tpm_key))
		ret = fail(r, -EINVAL, "EntresolTpmKey is not %zu bytes",
			   sizeof(settings->tpm_key));
	if (!ret) {
		memcpy(settings->tpm_key, bytes, len);
		settings->has_tpm_key = true;
		explicit_bzero(bytes, len);
	}
	free(bytes);
	return ret;
}

static int read_platform(struct reader *r)
{
	uint32_t v2 = member(r, member(r, 0, "V2"), "Static");
	uint32_t value = member(r, v2, "Vtl2Settings");
	char *bytes = NULL;
	size_t len = 0;
	int ret = read_bool(r, member(r, 0, "V1"), "EnableTpm", &r->settings->tpm);

	if (!ret)
		ret = read_tpm_key(r, member(r, v2, "EntresolTpmKey"));
	if (ret || value == JSON_NONE)
		return ret;
	ret = decode(r, value, &bytes, &len);
	if (!ret && len)
		ret = read_settings(r, bytes, len, true);
	free(bytes);
	return ret;
}

int settings_parse_platform(struct settings *settings, const char *text, size_t len, char *error,
			    size_t error_len)
{
	struct reader r = begin(settings, error, error_len);
	struct json_token *tokens = NULL;
	int ret = open_text(&r, text, len, &tokens);

	if (!ret)
		ret = read_platform(&r);
	free(tokens);
	return ret;
}

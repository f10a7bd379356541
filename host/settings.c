#include "host/settings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/guid.h"
#include "host/options.h"

/*
 * Of the first SCSI controller on VTL0's VMBus: the last byte counts on; of all disks' controllers, whose data2 is
 * their number.
 */
static const struct guid scsi_instance = {
	0x91763c7b, 0x4582, 0x49f2, { 0x8c, 0x90, 0xca, 0xbf, 0x05, 0x58, 0x28, 0xa0 }
};
static const struct guid nvme_instance = {
	0x58ac1795, 0, 0x4332, { 0x9b, 0x61, 0x8c, 0x07, 0xd5, 0xd9, 0x50, 0xb7 }
};
static const struct guid lun_device = {
	0x2e1890aa, 0xeb1c, 0x4a4a, { 0x92, 0xda, 0, 0, 0, 0, 0, 0 }
};

/* Its data2 is out of the disks' way. */
static const struct guid nic_instance = {
	0x6a1d2c3f, 0x7001, 0x4b0e, { 0xa4, 0x5c, 0x1e, 0x57, 0x33, 0x90, 0x2d, 0x68 }
};

static const struct guid vf_instance = {
	0x6a1d2c40, 0x7002, 0x4b0e, { 0xa4, 0x5c, 0x1e, 0x57, 0x33, 0x90, 0x2d, 0x68 }
};

/* Linux takes data2 for the number of the PCI domain, in which 0 is not for VMBus. */
void host_settings_disk_instance(unsigned int index, struct guid *instance)
{
	*instance = nvme_instance;
	instance->data2 = (uint16_t)(index + 1);
}

void host_settings_nic_instance(struct guid *instance)
{
	*instance = nic_instance;
}

void host_settings_vf_instance(struct guid *instance)
{
	*instance = vf_instance;
}

/* --- text that grows --- */

struct text {
	char *bytes; /* NULL after a failure, which later calls keep */
	size_t len, size;
	bool failed;
};

static bool reserve(struct text *text, size_t more)
{
	size_t size = (text->len + more) * 2;
	char *bytes;

	if (text->failed)
		return false;
	if (text->size - text->len >= more)
		return true;
	bytes = realloc(text->bytes, size);
	if (!bytes) {
		free(text->bytes);
		*text = (struct text){ .failed = true };
		return false;
	}
	text->bytes = bytes;
	text->size = size;
	return true;
}

static void append(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len >= 0 && reserve(text, (size_t)len + 1)) {
		vsnprintf(text->bytes + text->len, (size_t)len + 1, fmt, again);
		text->len += (size_t)len;
	}
	va_end(again);
	va_end(args);
}

static void append_base64(struct text *text, const char *bytes, size_t len)
{
	if (!reserve(text, base64_encoded_len(len)))
		return;
	base64_encode(bytes, len, text->bytes + text->len);
	text->len += base64_encoded_len(len);
}

static char *finish(struct text *text, size_t *len)
{
	*len = text->len;
	return text->bytes;
}

/* --- VTL2 settings --- */

static void append_device(struct text *text, unsigned int index)
{
	char instance[GUID_TEXT_SIZE];
	struct guid guid;

	host_settings_disk_instance(index, &guid);
	guid_format(&guid, instance);
	append(text, "{\"device_type\":\"nvme\",\"device_path\":\"%s\",\"sub_device_path\":1}",
	       instance);
}

/* Of the disk's file and its place (FNV-1a). */
void host_settings_disk_id(const struct disk_option *disk, struct guid *id)
{
	const char *path = disk->path ? disk->path : "";
	uint32_t hash = 2166136261u ^ disk->lun;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 16777619u;
	*id = lun_device;
	memcpy(id->data4 + 2, &hash, sizeof(hash));
	id->data4[7] = (uint8_t)disk->lun;
}

/* One disk by itself, several as a stripe in the order of the command line. */
static void append_devices(struct text *text, const struct options *options, unsigned int lun,
			   bool striped)
{
	const char *separator = "";
	unsigned int i;

	append(text, striped ? ",\"physical_devices\":{\"type\":\"striped\",\"devices\":["
			     : ",\"physical_devices\":{\"type\":\"single\",\"device\":");
	for (i = 0; i < options->disk_count; i++) {
		if (options->disks[i].lun != lun || options->disks[i].removed)
			continue;
		append(text, "%s", separator);
		append_device(text, i);
		separator = ",";
	}
	append(text, striped ? "]}" : "}");
}

static void append_lun(struct text *text, const struct options *options,
		       const struct disk_option *disk, unsigned int count)
{
	char id[GUID_TEXT_SIZE];
	struct guid device;

	host_settings_disk_id(disk, &device);
	guid_format(&device, id);
	append(text,
	       "{\"location\":%u,\"device_id\":\"%s\",\"vendor_id\":\"Entresol\","
	       "\"product_id\":\"Virtual %s\",\"product_revision_level\":\"1.0\","
	       "\"serial_number\":\"%.8s%u\",\"model_number\":\"Virtual Disk\"",
	       disk->lun % HOST_LUNS, id, disk->dvd ? "DVD-ROM" : "Disk", id + 24, disk->lun);
	if (disk->dvd)
		append(text, ",\"is_dvd\":true");
	if (disk->physical_size)
		append(text, ",\"physical_sector_size\":%u", disk->physical_size);
	if (count > 1)
		append(text, ",\"chunk_size_in_kb\":%u", disk->chunk_kib);
	if (!disk->empty)
		append_devices(text, options, disk->lun, count > 1);
	append(text, "}");
}

/* The first disk of a LUN, and how many there are; NULL: none. */
static const struct disk_option *find_lun(const struct options *options, unsigned int lun,
					  unsigned int *count)
{
	const struct disk_option *disk = NULL;
	unsigned int i;

	*count = 0;
	for (i = 0; i < options->disk_count; i++) {
		if (options->disks[i].lun != lun || options->disks[i].removed)
			continue;
		if (!disk)
			disk = &options->disks[i];
		(*count)++;
	}
	return disk;
}

static bool has_luns(const struct options *options, unsigned int controller)
{
	for (unsigned int i = 0; i < options->disk_count; i++)
		if (options->disks[i].lun / HOST_LUNS == controller && !options->disks[i].removed)
			return true;
	return false;
}

static void append_luns(struct text *text, const struct options *options, unsigned int controller)
{
	const char *separator = "";
	unsigned int count;

	for (unsigned int i = 0; i < HOST_LUNS; i++) {
		const struct disk_option *disk =
			find_lun(options, controller * HOST_LUNS + i, &count);

		if (!disk)
			continue;
		append(text, "%s", separator);
		append_lun(text, options, disk, count);
		separator = ",";
	}
}

/* The first is there even without disks: they may come later. */
static void append_controllers(struct text *text, const struct options *options)
{
	char instance[GUID_TEXT_SIZE];
	struct guid guid = scsi_instance;

	for (unsigned int i = 0; i < HOST_MAX_LUNS / HOST_LUNS; i++, guid.data4[7]++) {
		if (i && !has_luns(options, i))
			continue;
		guid_format(&guid, instance);
		append(text, "%s{\"instance_id\":\"%s\",\"protocol\":\"SCSI\",\"luns\":[",
		       i ? "," : "", instance);
		append_luns(text, options, i);
		append(text, "]}");
	}
}

/* VTL2 finds the function on its bus under the number that it offers the guest's card with. */
static void append_nic(struct text *text, const struct options *options)
{
	char instance[GUID_TEXT_SIZE];

	if (options->net.kind == NET_NONE)
		return;
	guid_format(&nic_instance, instance);
	append(text, ",\"nic_devices\":[{\"instance_id\":\"%s\",\"max_sub_channels\":%u", instance,
	       options->cpus - 1);
	guid_format(&vf_instance, instance);
	if (options->net.vf && !options->net.vf_off)
		append(text, ",\"subordinate_instance_id\":\"%s\"", instance);
	append(text, "}]");
}

/* A sub-channel for each further VP. */
char *host_settings_vtl2(const struct options *options, size_t *len)
{
	struct text text = { 0 };

	append(&text,
	       "{\"version\":\"V1\",\"fixed\":{\"scsi_sub_channels\":%u},"
	       "\"dynamic\":{\"storage_controllers\":[",
	       options->cpus - 1);
	append_controllers(&text, options);
	append(&text, "]");
	append_nic(&text, options);
	append(&text, "}}");
	return finish(&text, len);
}

/* --- platform settings --- */

/* What OpenHCL wants to be there, with values that say "nothing special". */
static void append_firmware(struct text *text)
{
	append(text, "\"V1\":{\"SecureBootEnabled\":false,\"SecureBootTemplateId\":\"None\","
		     "\"EnableBattery\":false,\"EnableProcessorIdle\":false,\"EnableTpm\":true,"
		     "\"Com1\":{\"EnablePort\":true,\"DebuggerMode\":false,"
		     "\"EnableVmbusRedirector\":false},"
		     "\"Com2\":{\"EnablePort\":false,\"DebuggerMode\":false,"
		     "\"EnableVmbusRedirector\":false},"
		     "\"BiosGuid\":\"00000000-0000-0000-0000-000000000000\",\"ConsoleMode\":1,"
		     "\"EnableFirmwareDebugging\":false,\"EnableHibernation\":false,"
		     "\"SerialNumber\":\"0\",\"BaseBoardSerialNumber\":\"0\","
		     "\"ChassisSerialNumber\":\"0\",\"ChassisAssetTag\":\"0\"}");
}

static void append_static(struct text *text, const struct options *options, const char *settings,
			  size_t len)
{
	append(text, "\"Static\":{\"LegacyMemoryMap\":false,\"PauseAfterBootFailure\":false,"
		     "\"PxeIpV6\":false,\"MeasureAdditionalPcrs\":true,"
		     "\"DisableFrontpage\":true,\"DisableSha384Pcr\":false,"
		     "\"MediaPresentEnabledByDefault\":false,\"MemoryProtectionMode\":0,"
		     "\"VpciBootEnabled\":false,\"NumLockEnabled\":false,"
		     "\"Smbios\":{\"SystemManufacturer\":\"Entresol\","
		     "\"SystemProductName\":\"Virtual Machine\",\"SystemVersion\":\"1\","
		     "\"SystemSKUNumber\":\"None\",\"SystemFamily\":\"Virtual Machine\","
		     "\"BiosLockString\":\"0\",\"MemoryDeviceSerialNumber\":\"0\"},"
		     "\"VmbusRedirectionEnabled\":true,\"NoPersistentSecrets\":false,"
		     "\"WatchdogEnabled\":false,");
	if (options->has_tpm_key) {
		append(text, "\"EntresolTpmKey\":\"");
		append_base64(text, (const char *)options->tpm_key, sizeof(options->tpm_key));
		append(text, "\",");
	}
	append(text, "\"Vtl2Settings\":\"");
	append_base64(text, settings, len);
	append(text, "\"}");
}

static void append_dynamic(struct text *text)
{
	append(text, "\"Dynamic\":{\"NvdimmCount\":0,\"EnablePsp\":false,"
		     "\"GenerationIdLow\":0,\"GenerationIdHigh\":0,"
		     "\"Smbios\":{\"ProcessorManufacturer\":\"\",\"ProcessorVersion\":\"\","
		     "\"ProcessorID\":0,\"ExternalClock\":0,\"MaxSpeed\":0,"
		     "\"CurrentSpeed\":0,\"ProcessorCharacteristics\":0,"
		     "\"ProcessorFamily2\":0,\"ProcessorType\":3,\"Voltage\":0,"
		     "\"Status\":65,\"ProcessorUpgrade\":0},\"IsServicingScenario\":false}");
}

char *host_settings_platform(const struct options *options, size_t *len)
{
	struct text text = { 0 };
	size_t vtl2_len;
	char *vtl2 = host_settings_vtl2(options, &vtl2_len);

	if (!vtl2)
		return NULL;
	append(&text, "{");
	append_firmware(&text);
	append(&text, ",\"V2\":{");
	append_static(&text, options, vtl2, vtl2_len);
	append(&text, ",");
	append_dynamic(&text);
	append(&text, "}}");
	free(vtl2);
	return finish(&text, len);
}

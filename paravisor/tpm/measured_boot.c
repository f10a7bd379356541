#include "paravisor/tpm/measured_boot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/low_memory.h"
#include "paravisor/tpm/vtpm.h"
#include "proto/ppi.h"
#include "proto/tpm.h"
#include "tpm/crypto/hash.h"
#include "tpm/interface.h"

/* TCG ACPI Specification 1.2, 7.3: the least that a log area may have. */
#define LOG_SIZE 0x10000u

#define FOUR_GIB 0x100000000ull
#define CHUNK    0x1000u

/* ACPI's start method of the CRB interface (TCG ACPI Specification 1.2, 7.3.1). */
#define START_METHOD_FIFO 6
#define START_METHOD_CRB  7
#define CONTROL_AREA      (INTERFACE_BASE + 0x40)

/* PFP 2.3.4; 8 and 9 as boot loaders use them. */
enum {
	PCR_CRTM = 0,
	PCR_PLATFORM = 1,
	PCR_LOADER = 4,
	PCR_LAST_SEPARATOR = 7,
	PCR_CMDLINE = 8,
	PCR_FILES = 9,
};

/* --- hashing --- */

/* In this process: a pipe to the vTPM's and back costs more than the hash. */
struct hashing {
	struct hash_ctx ctx[EVENT_DIGESTS_MAX];
	unsigned int count;
};

static void hash_begin(const struct measured_boot *boot, struct hashing *hashing)
{
	hashing->count = boot->algorithm_count;
	for (unsigned int i = 0; i < hashing->count; i++)
		hash_start(&hashing->ctx[i], boot->algorithms[i]);
}

static void hash_add(struct hashing *hashing, const void *data, size_t len)
{
	for (unsigned int i = 0; i < hashing->count; i++)
		hash_update(&hashing->ctx[i], data, len);
}

static void hash_end(struct hashing *hashing, struct event_digests *digests)
{
	digests->count = hashing->count;
	for (unsigned int i = 0; i < hashing->count; i++) {
		digests->digest[i].algorithm = hashing->ctx[i].alg;
		hash_finish(&hashing->ctx[i], digests->digest[i].bytes);
	}
}

static void hash(const struct measured_boot *boot, const void *data, size_t len,
		 struct event_digests *digests)
{
	struct hashing hashing;

	hash_begin(boot, &hashing);
	hash_add(&hashing, data, len);
	hash_end(&hashing, digests);
}

static int hash_memory(const struct measured_boot *boot, uint64_t gpa, uint64_t len,
		       struct event_digests *digests)
{
	struct hashing hashing;
	uint8_t chunk[CHUNK];
	int ret = 0;

	hash_begin(boot, &hashing);
	while (len && !ret) {
		size_t n = len < CHUNK ? (size_t)len : CHUNK;

		ret = guest_memory_read(boot->memory, gpa, chunk, n);
		hash_add(&hashing, chunk, ret ? 0 : n);
		gpa += n;
		len -= n;
	}
	hash_end(&hashing, digests);
	return ret;
}

/* --- the TPM's commands --- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static uint8_t *put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static bool any(const uint8_t *bytes, size_t len)
{
	while (len--)
		if (*bytes++)
			return true;
	return false;
}

/*
 * The banks with PCRs, from TPML_PCR_SELECTION (Part 2, 10.9.7): for each an algorithm, a length and so many bytes of
 * bits.
 */
static int parse_banks(struct measured_boot *boot, const uint8_t *p, size_t len)
{
	uint32_t count;

	if (len < 4)
		return -EPROTO;
	count = get32(p);
	p += 4;
	len -= 4;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t algorithm;
		size_t bits;

		if (len < 3 || p[2] > len - 3)
			return -EPROTO;
		algorithm = (uint16_t)(p[0] << 8 | p[1]);
		bits = p[2];
		if (any(p + 3, bits) && event_digest_size(algorithm) && hash_size(algorithm)) {
			if (boot->algorithm_count == EVENT_DIGESTS_MAX)
				return -EPROTO;
			boot->algorithms[boot->algorithm_count++] = algorithm;
		}
		p += 3 + bits;
		len -= 3 + bits;
	}
	return boot->algorithm_count ? 0 : -EIO;
}

/* TPM2_GetCapability(TPM_CAP_PCRS): moreData, the capability, the list. */
static int find_banks(struct measured_boot *boot)
{
	static const uint8_t cmd[] = { 0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7A, 0,
				       0,    0,    5, 0, 0, 0,  0, 0, 0,    0,    1 };
	uint8_t rsp[256];
	size_t len = sizeof(rsp);
	int ret = vtpm_execute(boot->vtpm, cmd, sizeof(cmd), rsp, &len);

	if (ret)
		return ret < 0 ? ret : -EIO;
	return len < 15 ? -EPROTO : parse_banks(boot, rsp + 15, len - 15);
}

/* TPM2_PCR_Extend with an empty password (Part 3, 22.2). */
static int extend(struct measured_boot *boot, uint32_t pcr, const struct event_digests *digests)
{
	uint8_t cmd[27 + 4 + EVENT_DIGESTS_MAX * (2 + EVENT_DIGEST_SIZE)] = {
		0x80, 0x02, 0, 0, 0,    0, 0, 0,    0x01, 0x82, 0, 0, 0, (uint8_t)pcr,
		0,    0,    0, 9, 0x40, 0, 0, 0x09, 0,    0,    0, 0, 0,
	};
	uint8_t rsp[64], *p = cmd + 27;
	size_t len = sizeof(rsp);
	int ret;

	p = put16(put16(p, 0), digests->count);
	for (unsigned int i = 0; i < digests->count; i++) {
		size_t size = event_digest_size(digests->digest[i].algorithm);

		p = put16(p, digests->digest[i].algorithm);
		memcpy(p, digests->digest[i].bytes, size);
		p += size;
	}
	put16(cmd + 4, (unsigned int)(p - cmd)); /* bytes 2 and 3 are zero */
	ret = vtpm_execute(boot->vtpm, cmd, (size_t)(p - cmd), rsp, &len);
	return ret > 0 ? -EIO : ret;
}

/* --- events --- */

static int record(struct measured_boot *boot, struct event_log *log, uint32_t pcr, uint32_t type,
		  const struct event_digests *digests, const void *data, size_t len)
{
	int ret = extend(boot, pcr, digests);

	return ret ? ret : event_log_add(log, pcr, type, digests, data, len);
}

/* An event whose digest is that of its own data. */
static int record_data(struct measured_boot *boot, struct event_log *log, uint32_t pcr,
		       uint32_t type, const void *data, size_t len)
{
	struct event_digests digests;

	hash(boot, data, len, &digests);
	return record(boot, log, pcr, type, &digests, data, len);
}

/* An event whose digest is that of something larger, which a text names. */
static int record_named(struct measured_boot *boot, struct event_log *log, uint32_t pcr,
			uint32_t type, const struct event_digests *digests, const char *name)
{
	return record(boot, log, pcr, type, digests, name, strlen(name) + 1);
}

/* UCS-2, as PFP 10.4.1 has it. What the paravisor is in detail, its launch measurement tells. */
static int record_version(struct measured_boot *boot, struct event_log *log)
{
	static const uint8_t version[] = { 'E', 0,   'n', 0,   't', 0,   'r', 0,   'e', 0, 's',
					   0,   'o', 0,   'l', 0,   ' ', 0,   '1', 0,   0, 0 };

	return record_data(boot, log, PCR_CRTM, EV_S_CRTM_VERSION, version, sizeof(version));
}

/* ACPI and SMBIOS, as the loader has left them. */
static int record_tables(struct measured_boot *boot, struct event_log *log)
{
	struct event_digests digests;
	int ret = hash_memory(boot, MEMORY_MAP_FIRMWARE, MEMORY_MAP_HIGH - MEMORY_MAP_FIRMWARE,
			      &digests);

	return ret ? ret
		   : record_named(boot, log, PCR_PLATFORM, EV_PLATFORM_CONFIG_FLAGS, &digests,
				  "ACPI and SMBIOS tables");
}

static int record_separators(struct measured_boot *boot, struct event_log *log)
{
	static const uint8_t zeros[4];
	int ret = 0;

	for (uint32_t pcr = 0; pcr <= PCR_LAST_SEPARATOR && !ret; pcr++)
		ret = record_data(boot, log, pcr, EV_SEPARATOR, zeros, sizeof(zeros));
	return ret;
}

/* As GRUB does it: the text behind the prefix is what is measured, as the kernel gets it, without the final zero. */
static int record_cmdline(struct measured_boot *boot, struct event_log *log)
{
	static const char prefix[] = "kernel_cmdline: ";
	const size_t at = sizeof(prefix) - 1;
	struct event_digests digests;
	char *text = calloc(1, at + LOW_CMDLINE_MAX + 1);
	size_t len;
	int ret;

	if (!text)
		return -ENOMEM;
	memcpy(text, prefix, at);
	ret = guest_memory_read(boot->memory, LOW_CMDLINE, text + at, LOW_CMDLINE_MAX);
	len = strnlen(text + at, LOW_CMDLINE_MAX);
	if (!ret) {
		hash(boot, text + at, len, &digests);
		ret = record(boot, log, PCR_CMDLINE, EV_IPL, &digests, text, at + len + 1);
	}
	free(text);
	return ret;
}

static int record_all(struct measured_boot *boot, struct event_log *log)
{
	int ret = record_version(boot, log);

	if (!ret)
		ret = record_tables(boot, log);
	if (!ret)
		ret = record_separators(boot, log);
	if (!ret)
		ret = record_named(boot, log, PCR_LOADER, EV_IPL, &boot->kernel, "kernel");
	if (!ret)
		ret = record_cmdline(boot, log);
	if (!ret && boot->initrd.count)
		ret = record_named(boot, log, PCR_FILES, EV_IPL, &boot->initrd, "initrd");
	return ret;
}

/* --- the log's place --- */

static bool overlap(const struct boot_range *a, uint64_t gpa)
{
	return a->len && a->gpa < gpa + LOG_SIZE && gpa < a->gpa + a->len;
}

/* The highest place below 4 GiB that no staged file lies in: each that does moves it down. */
static bool place_in(struct boot_range ram, const struct boot_range *files, unsigned int count,
		     uint64_t *gpa)
{
	uint64_t end = ram.gpa + ram.len;
	unsigned int i;

	if (end > FOUR_GIB)
		end = FOUR_GIB;
	do {
		if (end < ram.gpa + LOG_SIZE || end < MEMORY_MAP_HIGH + LOG_SIZE)
			return false;
		*gpa = (end - LOG_SIZE) & ~(uint64_t)(LOG_SIZE - 1);
		for (i = 0; i < count && !overlap(&files[i], *gpa); i++)
			;
		if (i < count)
			end = files[i].gpa;
	} while (i < count);
	return *gpa >= ram.gpa && *gpa >= MEMORY_MAP_HIGH;
}

static int place_log(struct measured_boot *boot, const struct linux_boot_config *config)
{
	const struct boot_range files[] = { config->kernel, config->initrd, config->cmdline };
	struct boot_range ram;
	uint64_t gpa;

	for (unsigned int i = 0; !guest_memory_range(boot->memory, i, &ram.gpa, &ram.len); i++)
		if (ram.gpa < FOUR_GIB &&
		    place_in(ram, files, sizeof(files) / sizeof(*files), &gpa)) {
			/* NVS: the guest leaves it alone for good. */
			boot->region = (struct boot_region){ { gpa, LOG_SIZE }, E820_NVS };
			return 0;
		}
	return -ENOSPC;
}

/* --- */

int measured_boot_begin(struct measured_boot *boot, struct vtpm *vtpm, struct guest_memory *memory,
			const struct linux_boot_config *config)
{
	int ret;

	*boot = (struct measured_boot){ .vtpm = vtpm, .memory = memory };
	ret = place_log(boot, config);
	if (!ret)
		ret = find_banks(boot);
	if (!ret)
		ret = hash_memory(boot, config->kernel.gpa, config->kernel.len, &boot->kernel);
	if (!ret && config->initrd.len)
		ret = hash_memory(boot, config->initrd.gpa, config->initrd.len, &boot->initrd);
	boot->acpi = (struct acpi_tpm){
		.base = INTERFACE_BASE,
		.len = INTERFACE_SIZE,
		.start_method = vtpm_is_fifo(vtpm) ? START_METHOD_FIFO : START_METHOD_CRB,
		.control_area = vtpm_is_fifo(vtpm) ? 0 : CONTROL_AREA,
		.log_gpa = boot->region.range.gpa,
		.log_len = LOG_SIZE,
		.ppi = PPI_BASE,
	};
	return ret;
}

int measured_boot_finish(struct measured_boot *boot)
{
	uint8_t *area = calloc(1, LOG_SIZE);
	struct event_log log;
	int ret;

	if (!area)
		return -ENOMEM;
	ret = event_log_begin(&log, area, LOG_SIZE, boot->algorithms, boot->algorithm_count);
	if (!ret)
		ret = record_all(boot, &log);
	if (!ret)
		ret = guest_memory_write(boot->memory, boot->region.range.gpa, area, LOG_SIZE);
	free(area);
	return ret;
}

#include "igvm/measure.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <string.h>

#include "proto/sev_snp.h"
#include "proto/tdx.h"

#define SHA384_LEN 48
#define SHA256_LEN 32

static const uint8_t zero_page[IGVM_PAGE_SIZE];

/* One page as a platform imports it. `data` is NULL for a page of zeros. */
struct page {
	uint64_t gpa;
	const uint8_t *data;
	uint16_t type; /* enum igvm_page_data_type */
	bool measured;
	bool shared; /* the host's to see and to write */
};

struct platform;

struct measuring {
	const struct platform *platform;
	uint32_t mask;
	uint8_t digest[IGVM_DIGEST_MAX];
	mbedtls_sha512_context sha384; /* of TDX, which hashes one long message */
	struct igvm_error *error;
};

struct platform {
	unsigned int type;
	const char *name, *algorithm;
	unsigned int len;
	void (*page)(struct measuring *m, const struct page *page);
	int (*context)(struct measuring *m, const struct igvm_header *header);
	bool context_last;
};

static int fail(struct measuring *m, const struct igvm_header *header, const char *reason)
{
	*m->error = (struct igvm_error){ header->offset, reason };
	return -EINVAL;
}

static const uint8_t *content(const struct page *page)
{
	return page->data ? page->data : zero_page;
}

/* --- SEV-SNP: a chain of PAGE_INFO structures --- */

static void snp_extend(struct measuring *m, uint8_t type, uint64_t gpa, const uint8_t *data)
{
	struct snp_page_info info = { .length = sizeof(info), .page_type = type, .gpa = gpa };

	memcpy(info.digest_cur, m->digest, SHA384_LEN);
	if (data)
		mbedtls_sha512(data, IGVM_PAGE_SIZE, info.contents, 1);
	mbedtls_sha512((const void *)&info, sizeof(info), m->digest, 1);
}

static void snp_page(struct measuring *m, const struct page *page)
{
	if (page->shared)
		return;
	if (page->type == IGVM_PAGE_DATA_SECRETS)
		snp_extend(m, SNP_PAGE_TYPE_SECRETS, page->gpa, NULL);
	else if (page->type != IGVM_PAGE_DATA_NORMAL)
		snp_extend(m, SNP_PAGE_TYPE_CPUID, page->gpa, NULL);
	else if (!page->measured)
		snp_extend(m, SNP_PAGE_TYPE_UNMEASURED, page->gpa, NULL);
	else
		snp_extend(m, SNP_PAGE_TYPE_NORMAL, page->gpa, content(page));
}

static int snp_context(struct measuring *m, const struct igvm_header *header)
{
	snp_extend(m, SNP_PAGE_TYPE_VMSA, header->vp_context.gpa, header->data);
	return 0;
}

/* --- TDX: one SHA-384 over a record for each page and each 256 bytes of it --- */

static void tdx_record(struct measuring *m, const char *operation, uint64_t gpa)
{
	struct tdx_measured record = { .gpa = gpa };

	memcpy(record.operation, operation, strlen(operation));
	mbedtls_sha512_update(&m->sha384, (const void *)&record, sizeof(record));
}

static void tdx_page(struct measuring *m, const struct page *page)
{
	uint32_t at;

	if (page->shared)
		return;
	tdx_record(m, TDX_OPERATION_PAGE_ADD, page->gpa);
	for (at = 0; page->measured && at < IGVM_PAGE_SIZE; at += TDX_EXTEND_SIZE) {
		tdx_record(m, TDX_OPERATION_EXTEND, page->gpa + at);
		mbedtls_sha512_update(&m->sha384, content(page) + at, TDX_EXTEND_SIZE);
	}
}

static int tdx_context(struct measuring *m, const struct igvm_header *header)
{
	return fail(m, header, "TDX has no VP context");
}

/* --- VBS: a chain of chunks --- */

enum vbs_chunk_type {
	VBS_CHUNK_VP_REGISTER = 0,
	VBS_CHUNK_GPA_PAGE = 2,
};

struct vbs_chunk_header {
	uint32_t byte_count;
	uint32_t type;
	uint64_t reserved_08;
};

#define VBS_PAGE_READABLE   0x1u
#define VBS_PAGE_WRITABLE   0x2u
#define VBS_PAGE_UNMEASURED 0x4u

struct vbs_page_chunk {
	struct vbs_chunk_header header;
	uint64_t metadata;
	uint64_t page_number;
};
static_assert(sizeof(struct vbs_page_chunk) == 32, "VBS_VM_BOOT_MEASUREMENT_CHUNK_GPA_PAGE");

struct vbs_register_chunk {
	struct vbs_chunk_header header;
	uint32_t reserved_10;
	uint8_t vtl;
	uint8_t reserved_15[7];
	uint32_t name;
	uint8_t value[16];
};
static_assert(sizeof(struct vbs_register_chunk) == 48, "VBS_VM_BOOT_MEASUREMENT_CHUNK_VP_REGISTER");

static void vbs_extend(struct measuring *m, const void *chunk, size_t len, const uint8_t *page)
{
	mbedtls_sha256_context sha;

	mbedtls_sha256_init(&sha);
	mbedtls_sha256_starts(&sha, 0);
	mbedtls_sha256_update(&sha, m->digest, SHA256_LEN);
	mbedtls_sha256_update(&sha, chunk, len);
	if (page)
		mbedtls_sha256_update(&sha, page, IGVM_PAGE_SIZE);
	mbedtls_sha256_finish(&sha, m->digest);
	mbedtls_sha256_free(&sha);
}

static void vbs_page_chunk(struct measuring *m, uint64_t gpa, uint64_t metadata,
			   const uint8_t *data)
{
	const struct vbs_page_chunk chunk = {
		.header = { .byte_count = sizeof(chunk) + IGVM_PAGE_SIZE,
			    .type = VBS_CHUNK_GPA_PAGE },
		.metadata = metadata,
		.page_number = gpa / IGVM_PAGE_SIZE,
	};

	vbs_extend(m, &chunk, sizeof(chunk), data);
}

static void vbs_page(struct measuring *m, const struct page *page)
{
	if (!page->shared)
		vbs_page_chunk(m, page->gpa, page->measured ? 0 : VBS_PAGE_UNMEASURED,
			       page->measured ? content(page) : zero_page);
}

static int vbs_context(struct measuring *m, const struct igvm_header *header)
{
	struct igvm_vbs_vp_context_register reg;
	uint32_t i;

	for (i = 0; i < igvm_vbs_register_count(header); i++) {
		struct vbs_register_chunk chunk = { .header = { .byte_count = sizeof(chunk),
								.type = VBS_CHUNK_VP_REGISTER } };

		igvm_vbs_register(header, i, &reg);
		chunk.vtl = reg.vtl;
		chunk.name = reg.register_name;
		memcpy(chunk.value, reg.register_value, sizeof(chunk.value));
		vbs_extend(m, &chunk, sizeof(chunk), NULL);
	}
	return 0;
}

/* --- all of them: headers in the file's order --- */

static const struct platform platforms[] = {
	{ IGVM_PLATFORM_SEV_SNP, "SNP launch digest", "sha384", SHA384_LEN, snp_page, snp_context,
	  false },
	{ IGVM_PLATFORM_TDX, "TDX MRTD", "sha384", SHA384_LEN, tdx_page, tdx_context, false },
	{ IGVM_PLATFORM_VSM_ISOLATION, "VBS boot digest", "sha256", SHA256_LEN, vbs_page,
	  vbs_context, true },
};

static void page_data(struct measuring *m, const struct igvm_header *header)
{
	const struct igvm_vhs_page_data *p = &header->page_data;
	struct page page = { .gpa = p->gpa,
			     .data = header->data,
			     .type = p->data_type,
			     .measured = !(p->flags & IGVM_PAGE_DATA_UNMEASURED),
			     .shared = p->flags & IGVM_PAGE_DATA_SHARED };
	uint64_t end = p->gpa + igvm_page_data_size(p);

	for (; page.gpa < end; page.gpa += IGVM_PAGE_SIZE) {
		m->platform->page(m, &page);
		if (page.data)
			page.data += IGVM_PAGE_SIZE;
	}
}

static uint64_t area_size(const struct igvm_file *file, uint32_t index)
{
	struct igvm_header header;
	uint32_t position = 0;

	while (igvm_next(file, &position, &header))
		if (header.type == IGVM_VHT_PARAMETER_AREA &&
		    header.parameter_area.parameter_area_index == index)
			return header.parameter_area.number_of_bytes;
	return 0;
}

/* Parameters are imported as unmeasured pages, lowest first. */
static void parameter_insert(struct measuring *m, const struct igvm_file *file,
			     const struct igvm_header *header)
{
	struct page page = { .gpa = header->parameter_insert.gpa };
	uint64_t end = page.gpa + area_size(file, header->parameter_insert.parameter_area_index);

	for (; page.gpa < end; page.gpa += IGVM_PAGE_SIZE)
		m->platform->page(m, &page);
}

/* Only VBS knows of pages that are imported for the guest and the host alike. */
static void error_range(struct measuring *m, const struct igvm_header *header)
{
	uint64_t gpa = header->error_range.gpa, end = gpa + header->error_range.size_bytes;

	for (; m->platform->type == IGVM_PLATFORM_VSM_ISOLATION && gpa < end; gpa += IGVM_PAGE_SIZE)
		vbs_page_chunk(m, gpa, VBS_PAGE_READABLE | VBS_PAGE_WRITABLE | VBS_PAGE_UNMEASURED,
			       zero_page);
}

static int measure_header(struct measuring *m, const struct igvm_file *file,
			  const struct igvm_header *header)
{
	switch (header->type) {
	case IGVM_VHT_PAGE_DATA:
		if (header->page_data.data_type != IGVM_PAGE_DATA_NORMAL &&
		    m->platform->type != IGVM_PLATFORM_SEV_SNP)
			return fail(m, header,
				    "secrets or CPUID page for another platform than SNP");
		page_data(m, header);
		return 0;
	case IGVM_VHT_PARAMETER_INSERT:
		parameter_insert(m, file, header);
		return 0;
	case IGVM_VHT_ERROR_RANGE:
		error_range(m, header);
		return 0;
	case IGVM_VHT_VP_CONTEXT:
		return m->platform->context_last ? 0 : m->platform->context(m, header);
	default:
		return 0;
	}
}

static int measure_headers(struct measuring *m, const struct igvm_file *file)
{
	struct igvm_header header;
	uint32_t position = 0;
	int ret = 0;

	while (!ret && igvm_next(file, &position, &header))
		if (header.known && header.mask & m->mask)
			ret = measure_header(m, file, &header);
	for (position = 0;
	     !ret && m->platform->context_last && igvm_next(file, &position, &header);)
		if (header.type == IGVM_VHT_VP_CONTEXT && header.mask & m->mask)
			ret = m->platform->context(m, &header);
	return ret;
}

static const struct platform *find_platform(unsigned int type)
{
	size_t i;

	for (i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
		if (platforms[i].type == type)
			return &platforms[i];
	return NULL;
}

int igvm_measure(const struct igvm_file *file, unsigned int type, struct igvm_measurement *result,
		 struct igvm_error *error)
{
	struct measuring m = { .platform = find_platform(type),
			       .mask = igvm_platform_mask(file, type),
			       .error = error };
	int ret;

	if (!m.mask)
		return -ENOENT;
	if (!m.platform)
		return -EOPNOTSUPP;
	mbedtls_sha512_init(&m.sha384);
	mbedtls_sha512_starts(&m.sha384, 1);
	ret = measure_headers(&m, file);
	if (type == IGVM_PLATFORM_TDX)
		mbedtls_sha512_finish(&m.sha384, m.digest);
	mbedtls_sha512_free(&m.sha384);
	*result = (struct igvm_measurement){
		m.platform->name, m.platform->algorithm, m.platform->len, { 0 }
	};
	memcpy(result->digest, m.digest, m.platform->len);
	return ret;
}

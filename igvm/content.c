#include "igvm/content.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT_LIMIT (1ull << 32) /* no file holds more */

/* --- pages --- */

static size_t count_pages(const struct igvm_file *file, uint32_t mask)
{
	struct igvm_header header;
	uint32_t position = 0;
	size_t count = 0;

	while (igvm_next(file, &position, &header))
		if (header.type == IGVM_VHT_PAGE_DATA && header.mask & mask)
			count += igvm_page_data_size(&header.page_data) / IGVM_PAGE_SIZE;
	return count;
}

static void add_pages(struct igvm_content *content, const struct igvm_header *header)
{
	uint32_t at, size = igvm_page_data_size(&header->page_data);

	for (at = 0; at < size; at += IGVM_PAGE_SIZE)
		content->pages[content->count++] = (struct igvm_content_page){
			.gpa = header->page_data.gpa + at,
			.data = header->data ? header->data + at : NULL,
			.flags = header->page_data.flags,
			.type = header->page_data.data_type,
			.offset = header->offset,
		};
}

static int by_address(const void *a, const void *b)
{
	const struct igvm_content_page *x = a, *y = b;

	if (x->gpa != y->gpa)
		return x->gpa < y->gpa ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int check_twice(const struct igvm_content *content, struct igvm_error *error)
{
	size_t i;

	for (i = 1; i < content->count; i++)
		if (content->pages[i].gpa == content->pages[i - 1].gpa) {
			*error = (struct igvm_error){ content->pages[i].offset,
						      "page is filled twice" };
			return -EEXIST;
		}
	return 0;
}

int igvm_content_open(struct igvm_content *content, const struct igvm_file *file, uint32_t mask,
		      struct igvm_error *error)
{
	size_t count = count_pages(file, mask);
	struct igvm_header header;
	uint32_t position = 0;
	int ret;

	*content = (struct igvm_content){ .pages = calloc(count + 1, sizeof(*content->pages)) };
	if (!content->pages)
		return -ENOMEM;
	while (igvm_next(file, &position, &header))
		if (header.type == IGVM_VHT_PAGE_DATA && header.mask & mask)
			add_pages(content, &header);
	qsort(content->pages, content->count, sizeof(*content->pages), by_address);
	ret = check_twice(content, error);
	if (ret)
		igvm_content_close(content);
	return ret;
}

void igvm_content_close(struct igvm_content *content)
{
	free(content->pages);
	*content = (struct igvm_content){ 0 };
}

static const struct igvm_content_page *find_page(const struct igvm_content *content, uint64_t gpa)
{
	const struct igvm_content_page key = { .gpa = gpa & ~(uint64_t)(IGVM_PAGE_SIZE - 1) };
	size_t low = 0, high = content->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (content->pages[middle].gpa == key.gpa)
			return &content->pages[middle];
		if (content->pages[middle].gpa < key.gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool igvm_content_has(const struct igvm_content *content, uint64_t gpa)
{
	return find_page(content, gpa);
}

void igvm_content_read(const struct igvm_content *content, uint64_t gpa, void *to, size_t len)
{
	const struct igvm_content_page *page;
	uint8_t *out = to;
	size_t in_page, n;

	for (; len; len -= n, gpa += n, out += n) {
		in_page = gpa % IGVM_PAGE_SIZE;
		n = IGVM_PAGE_SIZE - in_page < len ? IGVM_PAGE_SIZE - in_page : len;
		page = find_page(content, gpa);
		if (page && page->data)
			memcpy(out, page->data + in_page, n);
		else
			memset(out, 0, n);
	}
}

void igvm_content_digest(const struct igvm_content *content, uint64_t gpa, uint64_t len,
			 uint8_t digest[32])
{
	mbedtls_sha256_context sha;
	uint8_t page[IGVM_PAGE_SIZE];
	uint64_t n;

	mbedtls_sha256_init(&sha);
	mbedtls_sha256_starts(&sha, 0);
	for (; len; len -= n, gpa += n) {
		n = len < sizeof(page) ? len : sizeof(page);
		igvm_content_read(content, gpa, page, n);
		mbedtls_sha256_update(&sha, page, n);
	}
	mbedtls_sha256_finish(&sha, digest);
	mbedtls_sha256_free(&sha);
}

/* --- components --- */

static bool find_params(const struct igvm_content *content, struct shim_params *params,
			uint64_t *region)
{
	size_t i;

	for (i = 0; i < content->count; i++) {
		const struct igvm_content_page *page = &content->pages[i];

		if (!page->data)
			continue;
		memcpy(params, page->data, sizeof(*params));
		*region = page->gpa;
		if (params->magic == SHIM_PARAMS_MAGIC && params->version == SHIM_PARAMS_VERSION)
			return true;
	}
	return false;
}

/* The shim's end is not among the parameters: it is where its pages end. */
static uint64_t shim_len(const struct igvm_content *content, uint64_t region)
{
	uint64_t start = region + SHIM_LINK_OFFSET, end = start;

	while (igvm_content_has(content, end))
		end += IGVM_PAGE_SIZE;
	return end - start;
}

static void add(struct igvm_component *components, unsigned int *count, const char *name,
		uint64_t gpa, uint64_t len)
{
	if (len && len < COMPONENT_LIMIT && *count < IGVM_COMPONENTS_MAX)
		components[(*count)++] = (struct igvm_component){ name, gpa, len };
}

unsigned int igvm_content_components(const struct igvm_content *content,
				     struct igvm_component components[IGVM_COMPONENTS_MAX],
				     struct shim_params *params, uint64_t *region)
{
	static const char *const payloads[SHIM_PAYLOAD_COUNT] = { "vtl0-kernel", "vtl0-initrd",
								  "vtl0-cmdline", "vtl0-firmware" };
	unsigned int count = 0, i;

	if (!find_params(content, params, region))
		return 0;
	add(components, &count, "params", *region, sizeof(*params));
	add(components, &count, "cmdline", *region + params->command_line.offset,
	    params->command_line.len);
	add(components, &count, "shim", *region + SHIM_LINK_OFFSET, shim_len(content, *region));
	add(components, &count, "kernel", *region + params->kernel.offset, params->kernel.len);
	add(components, &count, "initrd", *region + params->initrd.offset, params->initrd.len);
	add(components, &count, "page-tables", *region + params->entry_tables.offset,
	    params->entry_tables.len);
	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++)
		add(components, &count, payloads[i], params->payload[i].gpa,
		    params->payload[i].len);
	return count;
}

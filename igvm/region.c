#include "igvm/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/writer.h"
#include "proto/igvm.h"

int region_init(struct region *region, uint64_t len)
{
	uint64_t pages = (len + IGVM_PAGE_SIZE - 1) / IGVM_PAGE_SIZE;

	region->len = pages * IGVM_PAGE_SIZE;
	region->bytes = calloc(pages, IGVM_PAGE_SIZE);
	region->pages = calloc(pages, 1);
	if (region->bytes && region->pages)
		return 0;
	region_free(region);
	return -ENOMEM;
}

void region_free(struct region *region)
{
	free(region->bytes);
	free(region->pages);
	*region = (struct region){ 0 };
}

int region_place(struct region *region, uint64_t offset, const void *data, uint64_t len,
		 uint64_t memory, enum region_page kind)
{
	uint64_t first = offset / IGVM_PAGE_SIZE, last, i;

	if (!memory)
		return 0;
	if (len > memory || offset > region->len || memory > region->len - offset)
		return -ERANGE;
	last = (offset + memory - 1) / IGVM_PAGE_SIZE;
	for (i = first; i <= last; i++)
		if (region->pages[i] != REGION_ABSENT)
			return -EEXIST;
	memset(region->pages + first, kind, last - first + 1);
	if (len)
		memcpy(region->bytes + offset, data, len);
	return 0;
}

void region_write_page(struct igvm_writer *writer, uint64_t gpa, const uint8_t *page, uint32_t mask)
{
	static const uint8_t zero[IGVM_PAGE_SIZE];
	struct igvm_vhs_page_data header = { .gpa = gpa, .compatibility_mask = mask };

	if (memcmp(page, zero, IGVM_PAGE_SIZE) != 0)
		header.file_offset = igvm_writer_data(writer, page, IGVM_PAGE_SIZE);
	igvm_writer_header(writer, IGVM_VHT_PAGE_DATA, &header, sizeof(header));
}

static void write_special(struct igvm_writer *writer, uint64_t gpa, uint16_t type, uint32_t mask)
{
	const struct igvm_vhs_page_data header = { .gpa = gpa,
						   .compatibility_mask = mask,
						   .data_type = type };

	igvm_writer_header(writer, IGVM_VHT_PAGE_DATA, &header, sizeof(header));
}

void region_write(const struct region *region, struct igvm_writer *writer, uint64_t gpa,
		  uint32_t mask)
{
	uint64_t at;

	for (at = 0; at < region->len; at += IGVM_PAGE_SIZE)
		switch (region->pages[at / IGVM_PAGE_SIZE]) {
		case REGION_DATA:
			region_write_page(writer, gpa + at, region->bytes + at, mask);
			break;
		case REGION_SECRETS:
			write_special(writer, gpa + at, IGVM_PAGE_DATA_SECRETS, mask);
			break;
		case REGION_CPUID:
			write_special(writer, gpa + at, IGVM_PAGE_DATA_CPUID_DATA, mask);
			break;
		default:
			break;
		}
}

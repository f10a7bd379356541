#include "igvm/reader.h"

#include <errno.h>
#include <string.h>

#include "igvm/crc32.h"
#include "igvm/layout.h"
#include "igvm/reader_check.h"

static int fail(struct igvm_error *error, uint64_t offset, const char *reason)
{
	*error = (struct igvm_error){ offset, reason };
	return -EINVAL;
}

static uint32_t read32(const struct igvm_file *file, uint64_t offset)
{
	uint32_t value;

	memcpy(&value, file->data + offset, sizeof(value));
	return value;
}

/* --- fixed header --- */

static int check_fixed_header(struct igvm_file *file, struct igvm_fixed_header *fixed,
			      struct igvm_error *error)
{
	uint64_t size = sizeof(*fixed);

	if (file->len < size)
		return fail(error, 0, "shorter than a fixed header");
	memcpy(fixed, file->data, sizeof(*fixed));
	if (fixed->magic != IGVM_MAGIC_VALUE)
		return fail(error, 0, "not an IGVM file");
	if (fixed->format_version == IGVM_FORMAT_VERSION_2)
		size = sizeof(struct igvm_fixed_header_v2);
	else if (fixed->format_version != IGVM_FORMAT_VERSION_1)
		return fail(error, 4, "unknown format version");
	if (file->len < size)
		return fail(error, 0, "shorter than a fixed header of version 2");
	if (fixed->total_file_size != file->len)
		return fail(error, 16, "the file has another size than it says");
	if (fixed->variable_header_offset < size || fixed->variable_header_offset % 8)
		return fail(error, 8,
			    "variable headers start inside the fixed header or unaligned");
	if (fixed->variable_header_offset > file->len ||
	    fixed->variable_header_size > file->len - fixed->variable_header_offset)
		return fail(error, 12, "variable headers reach past the end of the file");
	return 0;
}

static int check_version_2(struct igvm_file *file, struct igvm_error *error)
{
	struct igvm_fixed_header_v2 fixed;

	if (file->format_version < IGVM_FORMAT_VERSION_2)
		return 0; /* x64, which is 0 */
	memcpy(&fixed, file->data, sizeof(fixed));
	if (fixed.architecture > IGVM_ARCHITECTURE_AARCH64)
		return fail(error, offsetof(struct igvm_fixed_header_v2, architecture),
			    "unknown architecture");
	if (fixed.page_size != IGVM_PAGE_SIZE)
		return fail(error, offsetof(struct igvm_fixed_header_v2, page_size),
			    "page size is not 4 KiB");
	file->architecture = fixed.architecture;
	return 0;
}

/*
 * The checksum covers "the fixed and variable header"; what may lie between them belongs to
 * neither (as other tools compute it).
 */
static uint32_t checksum(const struct igvm_file *file)
{
	size_t fixed = file->format_version == IGVM_FORMAT_VERSION_1
			       ? sizeof(struct igvm_fixed_header)
			       : sizeof(struct igvm_fixed_header_v2);
	struct igvm_fixed_header_v2 header;
	uint32_t crc;

	memcpy(&header, file->data, fixed);
	header.v1.checksum = 0;
	crc = crc32_update(0, &header, fixed);
	return crc32_update(crc, file->data + file->headers, file->headers_end - file->headers);
}

static int open_fixed_header(struct igvm_file *file, struct igvm_error *error)
{
	struct igvm_fixed_header fixed;
	int ret = check_fixed_header(file, &fixed, error);

	if (ret)
		return ret;
	file->format_version = fixed.format_version;
	file->checksum = fixed.checksum;
	file->headers = fixed.variable_header_offset;
	file->headers_end = fixed.variable_header_offset + fixed.variable_header_size;
	ret = check_version_2(file, error);
	if (!ret && checksum(file) != fixed.checksum)
		ret = fail(error, 20, "wrong checksum");
	return ret;
}

/* --- variable headers --- */

static uint32_t platform_of(const struct igvm_file *file, uint32_t mask)
{
	unsigned int i;

	for (i = 0; i < file->platform_count; i++)
		if (file->platforms[i].compatibility_mask & mask)
			return file->platforms[i].platform_type;
	return UINT32_MAX;
}

/* Bytes of a VP context at file offset `at`, which lies in the file; 0 for what has none. */
static uint64_t vp_context_size(const struct igvm_file *file, uint32_t mask, uint64_t at)
{
	switch (platform_of(file, mask)) {
	case IGVM_PLATFORM_VSM_ISOLATION:
		if (file->len - at < sizeof(struct igvm_vbs_vp_context_header))
			return sizeof(struct igvm_vbs_vp_context_header);
		return sizeof(struct igvm_vbs_vp_context_header) +
		       (uint64_t)read32(file, at) * sizeof(struct igvm_vbs_vp_context_register);
	case IGVM_PLATFORM_TDX:
		return 0;
	default:
		return IGVM_PAGE_SIZE;
	}
}

static uint64_t data_size(const struct igvm_file *file, const struct igvm_header *header,
			  uint32_t at)
{
	switch (header->type) {
	case IGVM_VHT_PAGE_DATA:
		return igvm_page_data_size(&header->page_data);
	case IGVM_VHT_PARAMETER_AREA:
		return header->parameter_area.number_of_bytes;
	case IGVM_VHT_VP_CONTEXT:
		return vp_context_size(file, header->mask, at);
	default:
		return header->corim.size_bytes;
	}
}

static int find_data(const struct igvm_file *file, const struct igvm_layout *layout,
		     struct igvm_header *header, struct igvm_error *error)
{
	uint64_t field = header->offset + layout->file_offset_at, size;
	uint32_t at = read32(file, field);

	if (!at) {
		if (header->type == IGVM_VHT_PAGE_DATA || header->type == IGVM_VHT_PARAMETER_AREA)
			return 0;
		return fail(error, field, "has no data");
	}
	if (at < file->headers_end || at >= file->len)
		return fail(error, field, "data starts outside the file's data");
	size = data_size(file, header, at);
	if (size > file->len - at)
		return fail(error, field, "data reaches past the end of the file");
	header->data = file->data + at;
	header->data_len = (uint32_t)size;
	return 0;
}

static int read_known(const struct igvm_file *file, const struct igvm_layout *layout,
		      struct igvm_header *header, struct igvm_error *error)
{
	if (header->length != layout->size)
		return fail(error, header->offset - 4, "wrong length for its type");
	memcpy(&header->supported_platform, file->data + header->offset, layout->size);
	if (layout->mask_at != IGVM_LAYOUT_NONE)
		header->mask = read32(file, header->offset + layout->mask_at);
	if (layout->file_offset_at != IGVM_LAYOUT_NONE)
		return find_data(file, layout, header, error);
	return 0;
}

/* Reads the header at `*position` and moves on to the next; -EINVAL with the reason. */
static int read_header(const struct igvm_file *file, uint32_t *position, struct igvm_header *header,
		       struct igvm_error *error)
{
	const struct igvm_layout *layout;
	struct igvm_vhs_variable_header head;
	uint32_t left = file->headers_end - *position, i;
	uint64_t padded;

	if (left < sizeof(head))
		return fail(error, *position, "incomplete variable header");
	memcpy(&head, file->data + *position, sizeof(head));
	padded = ((uint64_t)head.length + 7) & ~7ull;
	if (padded > left - sizeof(head))
		return fail(error, *position + 4ull, "reaches past the variable headers");
	*header = (struct igvm_header){ .type = head.type & ~IGVM_VHT_OPTIONAL,
					.offset = *position + (uint32_t)sizeof(head),
					.length = head.length,
					.mask = UINT32_MAX };
	for (i = head.length; i < padded; i++)
		if (file->data[header->offset + i])
			return fail(error, header->offset + i, "padding is not zero");
	*position = header->offset + (uint32_t)padded;
	layout = igvm_layout(header->type);
	header->known = layout;
	if (layout)
		return read_known(file, layout, header, error);
	if (!(head.type & IGVM_VHT_OPTIONAL))
		return fail(error, header->offset - sizeof(head), "unknown type");
	header->data = file->data + header->offset;
	header->data_len = head.length;
	return 0;
}

int igvm_open(struct igvm_file *file, const void *data, size_t len, struct igvm_error *error)
{
	struct igvm_check check = { .file = file };
	struct igvm_header header;
	uint32_t position;
	int ret;

	*file = (struct igvm_file){ .data = data, .len = len };
	*error = (struct igvm_error){ 0 };
	ret = open_fixed_header(file, error);
	for (position = file->headers; !ret && position < file->headers_end;) {
		ret = read_header(file, &position, &header, error);
		if (!ret)
			ret = igvm_check_header(&check, &header, error);
	}
	if (!ret)
		ret = igvm_check_end(&check, error);
	return ret;
}

bool igvm_next(const struct igvm_file *file, uint32_t *position, struct igvm_header *header)
{
	struct igvm_error error;

	if (!*position)
		*position = file->headers;
	return *position < file->headers_end && !read_header(file, position, header, &error);
}

/* --- what callers ask --- */

uint32_t igvm_platform_mask(const struct igvm_file *file, unsigned int type)
{
	unsigned int i;

	for (i = 0; i < file->platform_count; i++)
		if (file->platforms[i].platform_type == type)
			return file->platforms[i].compatibility_mask;
	return 0;
}

bool igvm_is_parameter(uint32_t type)
{
	const struct igvm_layout *layout = igvm_layout(type);

	return layout && igvm_section(type) == IGVM_SECTION_DIRECTIVE &&
	       layout->size == sizeof(struct igvm_vhs_parameter);
}

uint32_t igvm_page_data_size(const struct igvm_vhs_page_data *page)
{
	return page->flags & IGVM_PAGE_DATA_IS_2MB_PAGE ? IGVM_LARGE_PAGE_SIZE : IGVM_PAGE_SIZE;
}

uint32_t igvm_vbs_register_count(const struct igvm_header *context)
{
	return context->data_len / sizeof(struct igvm_vbs_vp_context_register);
}

void igvm_vbs_register(const struct igvm_header *context, uint32_t i,
		       struct igvm_vbs_vp_context_register *reg)
{
	memcpy(reg, context->data + sizeof(struct igvm_vbs_vp_context_header) + i * sizeof(*reg),
	       sizeof(*reg));
}

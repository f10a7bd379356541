#include "igvm/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/crc32.h"
#include "igvm/layout.h"
#include "proto/igvm.h"

/* References are file offsets as if the data began here; finish() moves them to where it does. */
#define REFERENCE_BASE IGVM_PAGE_SIZE

static size_t align_up(size_t value, size_t to)
{
	return (value + to - 1) / to * to;
}

/* Room for `len` bytes more, zeroed; NULL sets the writer's error. */
static uint8_t *extend(struct igvm_writer *writer, struct igvm_buffer *buffer, size_t len)
{
	size_t capacity = buffer->capacity ? buffer->capacity : 65536;
	uint8_t *data;

	if (writer->error)
		return NULL;
	if (len > UINT32_MAX - buffer->len) {
		writer->error = -EFBIG;
		return NULL;
	}
	while (capacity < buffer->len + len)
		capacity *= 2;
	if (capacity != buffer->capacity) {
		data = realloc(buffer->data, capacity);
		if (!data) {
			writer->error = -ENOMEM;
			return NULL;
		}
		buffer->data = data;
		buffer->capacity = capacity;
	}
	data = buffer->data + buffer->len;
	memset(data, 0, len);
	buffer->len += len;
	return data;
}

void igvm_writer_init(struct igvm_writer *writer, uint32_t format_version, uint32_t architecture)
{
	*writer = (struct igvm_writer){ .format_version = format_version,
					.architecture = architecture };
}

uint32_t igvm_writer_data(struct igvm_writer *writer, const void *data, size_t len)
{
	struct igvm_buffer *buffer = &writer->data;
	size_t start = align_up(buffer->len, len % IGVM_PAGE_SIZE ? 16 : IGVM_PAGE_SIZE);

	if (start > buffer->len)
		extend(writer, buffer, start - buffer->len);
	if (extend(writer, buffer, len))
		memcpy(buffer->data + start, data, len);
	return (uint32_t)(REFERENCE_BASE + start);
}

void igvm_writer_header(struct igvm_writer *writer, uint32_t type, const void *content,
			uint32_t len)
{
	struct igvm_vhs_variable_header head = { .type = type, .length = len };
	uint8_t *at = extend(writer, &writer->headers, sizeof(head) + align_up(len, 8));

	if (!at)
		return;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), content, len);
}

/* The data begins at `data_start` of the file. */
static void move_references(struct igvm_buffer *headers, uint32_t data_start)
{
	struct igvm_vhs_variable_header head;
	const struct igvm_layout *layout;
	size_t at = 0;
	uint32_t reference;

	while (at < headers->len) {
		memcpy(&head, headers->data + at, sizeof(head));
		at += sizeof(head);
		layout = igvm_layout(head.type & ~IGVM_VHT_OPTIONAL);
		if (layout && layout->file_offset_at != IGVM_LAYOUT_NONE &&
		    head.length == layout->size) {
			uint8_t *field = headers->data + at + layout->file_offset_at;

			memcpy(&reference, field, sizeof(reference));
			reference = reference ? reference - REFERENCE_BASE + data_start : 0;
			memcpy(field, &reference, sizeof(reference));
		}
		at += align_up(head.length, 8);
	}
}

static void write_fixed_header(const struct igvm_writer *writer, uint8_t *file, size_t fixed,
			       size_t total)
{
	struct igvm_fixed_header_v2 header = {
		.v1 = { .magic = IGVM_MAGIC_VALUE,
			.format_version = writer->format_version,
			.variable_header_offset = (uint32_t)fixed,
			.variable_header_size = (uint32_t)writer->headers.len,
			.total_file_size = (uint32_t)total },
		.architecture = writer->architecture,
		.page_size = IGVM_PAGE_SIZE,
	};

	memcpy(file, &header, fixed);
	header.v1.checksum = crc32_update(0, file, fixed + writer->headers.len);
	memcpy(file, &header, fixed);
}

int igvm_writer_finish(struct igvm_writer *writer, uint8_t **file, size_t *len)
{
	size_t fixed = writer->format_version == IGVM_FORMAT_VERSION_1
			       ? sizeof(struct igvm_fixed_header)
			       : sizeof(struct igvm_fixed_header_v2);
	size_t data_start = align_up(fixed + writer->headers.len, IGVM_PAGE_SIZE);
	size_t total = data_start + writer->data.len;
	int ret = writer->error;

	if (!ret && total > UINT32_MAX)
		ret = -EFBIG;
	if (!ret) {
		*file = calloc(1, total);
		ret = *file ? 0 : -ENOMEM;
	}
	if (!ret) {
		move_references(&writer->headers, (uint32_t)data_start);
		if (writer->headers.len)
			memcpy(*file + fixed, writer->headers.data, writer->headers.len);
		if (writer->data.len)
			memcpy(*file + data_start, writer->data.data, writer->data.len);
		write_fixed_header(writer, *file, fixed, total);
		*len = total;
	}
	igvm_writer_free(writer);
	return ret;
}

void igvm_writer_free(struct igvm_writer *writer)
{
	free(writer->headers.data);
	free(writer->data.data);
	writer->headers = writer->data = (struct igvm_buffer){ 0 };
}

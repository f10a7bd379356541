#ifndef IGVM_WRITER_H
#define IGVM_WRITER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Builds an IGVM file in memory, headers in the order in which they are given. One thread. An
 * error (no memory, a file above 4 GiB) is kept and returned by igvm_writer_finish(), so that the
 * calls before it need no check.
 */

struct igvm_buffer {
	uint8_t *data;
	size_t len, capacity;
};

struct igvm_writer {
	uint32_t format_version;
	uint32_t architecture; /* of version 2 files */
	struct igvm_buffer headers, data;
	int error;
};

/* Everything zero but these two is an empty writer too. */
void igvm_writer_init(struct igvm_writer *writer, uint32_t format_version, uint32_t architecture);

/*
 * Adds file data, copied; whole pages are aligned to pages in the file. Returns what goes into the
 * file_offset field of a header (never 0; not yet the offset in the file).
 */
uint32_t igvm_writer_data(struct igvm_writer *writer, const void *data, size_t len);

/* Adds a variable header (enum igvm_vht, possibly with IGVM_VHT_OPTIONAL) with its content, copied. */
void igvm_writer_header(struct igvm_writer *writer, uint32_t type, const void *content,
			uint32_t len);

/*
 * Gives the file: `*file` belongs to the caller, who frees it. 0, -ENOMEM or -EFBIG. Whether
 * the file is valid is for igvm_open() to tell. The writer is empty afterwards.
 */
int igvm_writer_finish(struct igvm_writer *writer, uint8_t **file, size_t *len);

/* Frees what was added, for a file that is not wanted any more. */
void igvm_writer_free(struct igvm_writer *writer);

#endif

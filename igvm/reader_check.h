#ifndef IGVM_READER_CHECK_H
#define IGVM_READER_CHECK_H

#include "igvm/layout.h"
#include "igvm/reader.h"

/* The rules that variable headers obey, each by itself and together. Used by igvm_open() alone. */

struct igvm_area {
	uint32_t index;
	bool inserted;
	uint64_t size;
};

struct igvm_region {
	uint32_t mask;
	uint32_t no_context; /* platforms of `mask` for which its VP's context has not come yet */
	uint32_t offset;     /* of its header, for messages */
	uint16_t vp_index;
	uint8_t vtl;
	bool page_tables;
	uint64_t gpa, size;
};

struct igvm_check {
	struct igvm_file *file;
	enum igvm_section section;
	uint32_t masks; /* of all platforms so far */
	uint32_t page_table_masks, corim_masks, corim_signature_masks;
	unsigned int area_count, region_count;
	struct igvm_area areas[IGVM_PARAMETER_AREAS_MAX];
	struct igvm_region regions[IGVM_REGIONS_MAX];
};

/* One header, in the file's order: 0, or -EINVAL with the reason. Adds platforms to the file. */
int igvm_check_header(struct igvm_check *check, const struct igvm_header *header,
		      struct igvm_error *error);

/* After the last one. */
int igvm_check_end(struct igvm_check *check, struct igvm_error *error);

#endif

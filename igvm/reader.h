#ifndef IGVM_READER_H
#define IGVM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/igvm.h"

/*
 * Reads an IGVM file that is in memory. igvm_open() validates all of it, so that what igvm_next()
 * hands out needs no further check against the file's own bounds, order and references. Nothing is
 * allocated; any thread may read, as nothing is written. docs/igvm.md lists what is refused.
 */

#define IGVM_PLATFORMS_MAX       32  /* a bit each */
#define IGVM_PARAMETER_AREAS_MAX 128 /* a file with more is refused */
#define IGVM_REGIONS_MAX         64  /* relocatable and page table regions, together; likewise */

struct igvm_error {
	uint64_t offset;    /* in the file, of the field or structure that is wrong */
	const char *reason; /* static */
};

struct igvm_file {
	const uint8_t *data; /* the caller's; stays unchanged while the file is in use */
	size_t len;
	uint32_t format_version;
	uint32_t architecture; /* enum igvm_architecture */
	uint32_t checksum;
	uint32_t headers, headers_end; /* offsets of the variable headers */
	unsigned int platform_count;
	struct igvm_vhs_supported_platform platforms[IGVM_PLATFORMS_MAX];
};

struct igvm_header {
	uint32_t type;   /* without IGVM_VHT_OPTIONAL */
	bool known;      /* false: optional and to be skipped; then `data` is its content */
	uint32_t offset; /* of the content, in the file */
	uint32_t length; /* of the content */
	uint32_t mask;   /* of platforms; all ones for a structure without one */

	/* What it refers to: NULL for zeros (page data, parameter area) or for nothing. */
	const uint8_t *data;
	uint32_t data_len;

	/* A copy of the content, by type. */
	union {
		struct igvm_vhs_supported_platform supported_platform;
		struct igvm_vhs_guest_policy guest_policy;
		struct igvm_vhs_relocatable_region relocatable_region;
		struct igvm_vhs_page_table_relocation page_table_relocation;
		struct igvm_vhs_corim_data corim;
		struct igvm_vhs_cca_policy cca_policy;
		struct igvm_vhs_parameter_area parameter_area;
		struct igvm_vhs_page_data page_data;
		struct igvm_vhs_parameter_insert parameter_insert;
		struct igvm_vhs_vp_context vp_context;
		struct igvm_vhs_required_memory required_memory;
		struct igvm_vhs_parameter parameter; /* of all types that igvm_is_parameter() */
		struct igvm_vhs_snp_id_block snp_id_block;
		struct igvm_vhs_error_range error_range;
		struct igvm_vhs_vbs_measurement vbs_measurement;
	};
};

/*
 * Validates `len` bytes and fills `file`, which refers to them. 0, or -EINVAL with the place and
 * the reason in `error`.
 */
int igvm_open(struct igvm_file *file, const void *data, size_t len, struct igvm_error *error);

/*
 * The headers in their order: `position` is 0 at the start and belongs to the iterator. False
 * after the last one.
 */
bool igvm_next(const struct igvm_file *file, uint32_t *position, struct igvm_header *header);

/* The compatibility mask of a platform (enum igvm_platform_type); 0: not supported by the file. */
uint32_t igvm_platform_mask(const struct igvm_file *file, unsigned int type);

/* Whether a type is one of those that put something into a parameter area. */
bool igvm_is_parameter(uint32_t type);

/* Bytes of guest memory that a page data header fills: a small page or a large one. */
uint32_t igvm_page_data_size(const struct igvm_vhs_page_data *page);

/* The registers of a VP context of platform VSM_ISOLATION; `i` is below the count. */
uint32_t igvm_vbs_register_count(const struct igvm_header *context);
void igvm_vbs_register(const struct igvm_header *context, uint32_t i,
		       struct igvm_vbs_vp_context_register *reg);

#endif

#ifndef IGVM_CONTENT_H
#define IGVM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igvm/reader.h"
#include "proto/shim.h"

/*
 * Guest memory as a file fills it for one platform: small pages by address. And, for an image that
 * igvmtool built, what the shim's parameters say lies where.
 */

struct igvm_content_page {
	uint64_t gpa;
	const uint8_t *data; /* in the file; NULL: zeros */
	uint32_t flags;      /* IGVM_PAGE_DATA_ */
	uint16_t type;       /* enum igvm_page_data_type */
	uint32_t offset;     /* of its header in the file */
};

struct igvm_content {
	struct igvm_content_page *pages; /* by address */
	size_t count;
};

#define IGVM_COMPONENTS_MAX 12

struct igvm_component {
	const char *name; /* static */
	uint64_t gpa, len;
};

/*
 * Collects the pages of platforms `mask`; `file` must outlive it. 0, -ENOMEM, or -EEXIST when two
 * headers fill the same page: `error` says where the second one is.
 */
int igvm_content_open(struct igvm_content *content, const struct igvm_file *file, uint32_t mask,
		      struct igvm_error *error);
void igvm_content_close(struct igvm_content *content);

/* Whether the file fills the page at `gpa` (aligned). */
bool igvm_content_has(const struct igvm_content *content, uint64_t gpa);

/* Copies out `len` bytes from any `gpa`; zeros where the file has nothing. */
void igvm_content_read(const struct igvm_content *content, uint64_t gpa, void *to, size_t len);

/*
 * Finds the shim's parameters and names what they describe. Returns how many components there are;
 * 0 for a file that is not of ours. `params` and `*region` (its GPA) are set then.
 */
unsigned int igvm_content_components(const struct igvm_content *content,
				     struct igvm_component components[IGVM_COMPONENTS_MAX],
				     struct shim_params *params, uint64_t *region);

/* SHA-256 of a range. */
void igvm_content_digest(const struct igvm_content *content, uint64_t gpa, uint64_t len,
			 uint8_t digest[32]);

#endif

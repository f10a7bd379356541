#ifndef IGVM_IMAGE_H
#define IGVM_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "igvm/manifest.h"

/* Lays out and writes an image: docs/igvm.md has the layout, proto/shim.h what the shim sees of it. */

struct image_blob {
	const uint8_t *data;
	size_t len;
};

struct image_inputs {
	struct image_blob shim, kernel, initrd, reset_vector;
	struct image_blob payload[SHIM_PAYLOAD_COUNT]; /* without the command line */
};

#define IMAGE_COMPONENTS_MAX 12

struct image_component {
	const char *name;
	uint64_t gpa;
	uint64_t memory;    /* bytes it takes in the guest */
	uint64_t len;       /* of what was given */
	uint8_t sha256[32]; /* of what was given */
};

struct image {
	uint8_t *file;
	size_t len;
	uint64_t region_gpa, region_len;
	unsigned int component_count;
	struct image_component components[IMAGE_COMPONENTS_MAX];
};

/*
 * Builds the file that the manifest describes from `inputs`, the same bytes each time. The caller
 * frees `image->file`. 0, or -errno with one line in `error`.
 */
int image_build(struct image *image, const struct manifest *manifest,
		const struct image_inputs *inputs, char *error, size_t error_len);

#endif

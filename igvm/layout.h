#ifndef IGVM_LAYOUT_H
#define IGVM_LAYOUT_H

#include <stdint.h>

/* Between reader and writer: what is common to all variable headers of a type. */

#define IGVM_LAYOUT_NONE 0xffff

struct igvm_layout {
	uint32_t type;
	uint16_t size;
	uint16_t mask_at;        /* offset of compatibility_mask, or IGVM_LAYOUT_NONE */
	uint16_t file_offset_at; /* offset of file_offset, or IGVM_LAYOUT_NONE */
};

/* NULL for a type that is not in the specification. */
const struct igvm_layout *igvm_layout(uint32_t type);

enum igvm_section {
	IGVM_SECTION_PLATFORM,
	IGVM_SECTION_INIT,
	IGVM_SECTION_DIRECTIVE,
	IGVM_SECTION_NONE
};

enum igvm_section igvm_section(uint32_t type);

#endif

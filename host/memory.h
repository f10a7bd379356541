#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The partition's physical memory, and what each VTL may do with it.
 *
 * One file backs it and is mapped twice: VTL2's view gives everything, VTL0's view carries VTL2's
 * protections as page protections of this process. KVM_RUN of a VTL0 processor that touches what
 * its view denies returns -EFAULT with nothing executed; docs/vtlhost.md tells why that beats
 * leaving the range out of KVM's memory slots.
 */

#define HOST_PAGE_SIZE 4096ull

#define HOST_LOW_RAM_END        0xC0000000ull /* the MMIO hole lies from here to 4 GiB */
#define HOST_HIGH_RAM_BASE      0x100000000ull
#define HOST_LAPIC_BASE         0xFEE00000ull
#define HOST_FIRMWARE_BASE      0xFF000000ull /* memory, up to 4 GiB, as far as an image fills it */
#define HOST_VTL2_MMIO_SIZE     0x10000000ull
#define HOST_VTL0_MMIO_SIZE     0x40000000ull
#define HOST_VTL0_LOW_MMIO      0xF8000000ull
#define HOST_VTL0_LOW_MMIO_SIZE 0x06000000ull

enum host_access {
	HOST_READ = 1,
	HOST_WRITE = 2,
	HOST_EXECUTE = 4,
	HOST_ALL = 7
};

enum host_view {
	HOST_VIEW_VTL0,
	HOST_VIEW_VTL2,
	HOST_VIEW_COUNT
};

struct host_range {
	uint64_t gpa, len;
	bool vtl2; /* VTL2's own: VTL0 starts with no access */
};

struct host_memory {
	int fd;
	uint64_t space_end; /* first GPA beyond everything that is mapped or reserved */
	uint8_t *view[HOST_VIEW_COUNT];
	uint8_t *access; /* of VTL0, enum host_access bits, one byte a page up to space_end */
	struct host_range ranges[4];
	unsigned int range_count;
	uint64_t file_size;
	uint64_t vtl2_base, vtl2_size;
	uint64_t vtl2_mmio_base; /* HOST_VTL2_MMIO_SIZE bytes, above all RAM */
	uint64_t vtl0_mmio_base; /* HOST_VTL0_MMIO_SIZE bytes, above that */
};

/* Lays out and maps RAM: sizes in bytes, multiples of 2 MiB. 0 or -errno. */
int host_memory_init(struct host_memory *mem, uint64_t vtl0_size, uint64_t vtl2_size);
void host_memory_destroy(struct host_memory *mem);

/*
 * Maps more RAM for VTL0, whole pages below space_end where nothing is. Before VPs run. 0, or -errno and
 * the memory only to be destroyed.
 */
int host_memory_add(struct host_memory *mem, uint64_t gpa, uint64_t len);

/* Whether all of [gpa, gpa + len) is RAM. */
bool host_memory_is_ram(const struct host_memory *mem, uint64_t gpa, uint64_t len);

/* Whether the range that this GPA is in is VTL2's own. */
bool host_memory_is_vtl2(const struct host_memory *mem, uint64_t gpa);

/* Whether the view may make this access to all of [gpa, gpa + len). */
bool host_memory_allows(const struct host_memory *mem, enum host_view view, uint64_t gpa,
			uint64_t len, enum host_access access);

/* Bounded copies with the rights of a view: 0 or -EFAULT. Any thread. */
int host_memory_read(const struct host_memory *mem, enum host_view view, uint64_t gpa, void *buf,
		     size_t len);
int host_memory_write(const struct host_memory *mem, enum host_view view, uint64_t gpa,
		      const void *buf, size_t len);

/*
 * Sets VTL0's rights to whole pages. -EFAULT when the range is not RAM, -EINVAL when not aligned.
 * The caller serialises calls; VPs that run VTL0 see the change at once.
 */
int host_memory_protect(struct host_memory *mem, uint64_t gpa, uint64_t len,
			enum host_access access);

/* A pointer for pages that the host itself writes (overlays, SynIC pages): NULL if not RAM. */
void *host_memory_pointer(const struct host_memory *mem, uint64_t gpa, uint64_t len);

#endif

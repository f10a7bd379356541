#include "host/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN_2M(x) (((x) + 0x1fffffull) & ~0x1fffffull)

static void add_range(struct host_memory *mem, uint64_t gpa, uint64_t len, bool vtl2)
{
	mem->ranges[mem->range_count++] = (struct host_range){ gpa, len, vtl2 };
}

static void lay_out(struct host_memory *mem, uint64_t vtl0_size, uint64_t vtl2_size)
{
	uint64_t low = vtl0_size < HOST_LOW_RAM_END ? vtl0_size : HOST_LOW_RAM_END;
	uint64_t high = vtl0_size - low;

	add_range(mem, 0, low, false);
	if (high)
		add_range(mem, HOST_HIGH_RAM_BASE, high, false);
	mem->vtl2_base = ALIGN_2M(HOST_HIGH_RAM_BASE + high);
	mem->vtl2_size = vtl2_size;
	add_range(mem, mem->vtl2_base, vtl2_size, true);
	mem->vtl2_mmio_base = ALIGN_2M(mem->vtl2_base + vtl2_size);
	mem->vtl0_mmio_base = mem->vtl2_mmio_base + HOST_VTL2_MMIO_SIZE;
	mem->space_end = mem->vtl0_mmio_base + HOST_VTL0_MMIO_SIZE;
}

static int map_views(struct host_memory *mem)
{
	unsigned int v;

	for (v = 0; v < HOST_VIEW_COUNT; v++) {
		mem->view[v] = mmap(NULL, mem->space_end, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mem->view[v] == MAP_FAILED) {
			mem->view[v] = NULL;
			return -errno;
		}
	}
	return 0;
}

/* Appends the range to the file that backs memory, and maps it there. */
static int map_range(struct host_memory *mem, const struct host_range *range)
{
	unsigned int v;

	if (ftruncate(mem->fd, (off_t)(mem->file_size + range->len)) < 0)
		return -errno;
	for (v = 0; v < HOST_VIEW_COUNT; v++) {
		int prot = v == HOST_VIEW_VTL0 && range->vtl2 ? PROT_NONE : PROT_READ | PROT_WRITE;
		void *at = mem->view[v] + range->gpa;

		if (mmap(at, range->len, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mem->fd,
			 (off_t)mem->file_size) == MAP_FAILED)
			return -errno;
		madvise(at, range->len, MADV_HUGEPAGE); /* a wish: small pages do too */
		madvise(at, range->len, MADV_DONTDUMP);
	}
	if (!range->vtl2)
		memset(mem->access + range->gpa / HOST_PAGE_SIZE, HOST_ALL,
		       range->len / HOST_PAGE_SIZE);
	mem->file_size += range->len;
	return 0;
}

int host_memory_init(struct host_memory *mem, uint64_t vtl0_size, uint64_t vtl2_size)
{
	unsigned int i;
	int ret;

	memset(mem, 0, sizeof(*mem));
	lay_out(mem, vtl0_size, vtl2_size);
	mem->fd = memfd_create("guest-memory", MFD_CLOEXEC);
	if (mem->fd < 0)
		return -errno;
	mem->access = mmap(NULL, mem->space_end / HOST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->access == MAP_FAILED) {
		ret = -errno;
		mem->access = NULL;
		goto destroy;
	}
	ret = map_views(mem);
	for (i = 0; i < mem->range_count && !ret; i++)
		ret = map_range(mem, &mem->ranges[i]);
	if (ret)
		goto destroy;
	return 0;

destroy:
	host_memory_destroy(mem);
	return ret;
}

int host_memory_add(struct host_memory *mem, uint64_t gpa, uint64_t len)
{
	if (mem->range_count == sizeof(mem->ranges) / sizeof(*mem->ranges))
		return -ENOSPC;
	if (!len || (gpa | len) % HOST_PAGE_SIZE || gpa >= mem->space_end ||
	    len > mem->space_end - gpa)
		return -EINVAL;
	add_range(mem, gpa, len, false);
	return map_range(mem, &mem->ranges[mem->range_count - 1]);
}

void host_memory_destroy(struct host_memory *mem)
{
	unsigned int v;

	for (v = 0; v < HOST_VIEW_COUNT; v++)
		if (mem->view[v])
			munmap(mem->view[v], mem->space_end);
	if (mem->access)
		munmap(mem->access, mem->space_end / HOST_PAGE_SIZE);
	close(mem->fd);
	memset(mem, 0, sizeof(*mem));
	mem->fd = -1;
}

static const struct host_range *find_range(const struct host_memory *mem, uint64_t gpa,
					   uint64_t len)
{
	unsigned int i;

	for (i = 0; i < mem->range_count; i++) {
		const struct host_range *range = &mem->ranges[i];

		if (gpa >= range->gpa && gpa - range->gpa < range->len &&
		    len <= range->len - (gpa - range->gpa))
			return range;
	}
	return NULL;
}

bool host_memory_is_ram(const struct host_memory *mem, uint64_t gpa, uint64_t len)
{
	return find_range(mem, gpa, len) != NULL;
}

bool host_memory_is_vtl2(const struct host_memory *mem, uint64_t gpa)
{
	const struct host_range *range = find_range(mem, gpa, 1);

	return range && range->vtl2;
}

bool host_memory_allows(const struct host_memory *mem, enum host_view view, uint64_t gpa,
			uint64_t len, enum host_access access)
{
	uint64_t page;

	if (!len)
		return true;
	if (!find_range(mem, gpa, len))
		return false;
	if (view == HOST_VIEW_VTL2)
		return true;
	for (page = gpa / HOST_PAGE_SIZE; page <= (gpa + len - 1) / HOST_PAGE_SIZE; page++)
		if ((__atomic_load_n(&mem->access[page], __ATOMIC_RELAXED) & access) != access)
			return false;
	return true;
}

/*
 * The copies go through VTL2's view: VTL0's own view can lose a right between the check and the
 * copy, which would be a fault here. The guest can cause no more by that race than by making its
 * access a moment earlier.
 */
int host_memory_read(const struct host_memory *mem, enum host_view view, uint64_t gpa, void *buf,
		     size_t len)
{
	if (!host_memory_allows(mem, view, gpa, len, HOST_READ))
		return -EFAULT;
	memcpy(buf, mem->view[HOST_VIEW_VTL2] + gpa, len);
	return 0;
}

int host_memory_write(const struct host_memory *mem, enum host_view view, uint64_t gpa,
		      const void *buf, size_t len)
{
	if (!host_memory_allows(mem, view, gpa, len, HOST_WRITE))
		return -EFAULT;
	memcpy(mem->view[HOST_VIEW_VTL2] + gpa, buf, len);
	return 0;
}

int host_memory_protect(struct host_memory *mem, uint64_t gpa, uint64_t len,
			enum host_access access)
{
	int prot = 0;

	if (!len || (gpa | len) % HOST_PAGE_SIZE)
		return -EINVAL;
	if (!find_range(mem, gpa, len))
		return -EFAULT;
	/* KVM maps what is readable as executable: docs/vtlhost.md names the difference. */
	if (access & (HOST_READ | HOST_EXECUTE))
		prot |= PROT_READ;
	if (access & HOST_WRITE)
		prot |= PROT_READ | PROT_WRITE;
	memset(mem->access + gpa / HOST_PAGE_SIZE, access, len / HOST_PAGE_SIZE);
	if (mprotect(mem->view[HOST_VIEW_VTL0] + gpa, len, prot) < 0)
		return -errno;
	return 0;
}

void *host_memory_pointer(const struct host_memory *mem, uint64_t gpa, uint64_t len)
{
	if (!find_range(mem, gpa, len))
		return NULL;
	return mem->view[HOST_VIEW_VTL2] + gpa;
}

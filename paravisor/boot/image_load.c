#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_image.h"

#define FOUR_GIB         0x100000000ull
#define PAGE             0x1000ull
#define MOVE_CHUNK       0x10000u
#define MEBIBYTES(bytes) ((unsigned long long)(((bytes) + 0xfffff) >> 20))

struct load {
	struct guest_memory *gm;
	struct memory_map *map;
	struct boot_image *image;
	struct boot_range kernel;
	struct boot_range *initrd;
	struct boot_error *error;
};

static bool overlap(struct boot_range a, struct boot_range b)
{
	return a.len && b.len && a.gpa < b.gpa + b.len && b.gpa < a.gpa + a.len;
}

static struct boot_range window_of(const struct boot_image *image)
{
	return (struct boot_range){ image->window_gpa, image->window_len };
}

/* memmove() within guest memory, from whichever end the overlap allows. */
static int move(struct guest_memory *gm, uint64_t to, uint64_t from, uint64_t len)
{
	uint8_t *chunk;
	uint64_t done;
	int ret = 0;

	if (to == from)
		return 0;
	chunk = malloc(MOVE_CHUNK);
	if (!chunk)
		return -ENOMEM;
	for (done = 0; done < len && !ret;) {
		size_t n = len - done < MOVE_CHUNK ? (size_t)(len - done) : MOVE_CHUNK;
		uint64_t at = to < from ? done : len - done - n;

		ret = guest_memory_read(gm, from + at, chunk, n);
		if (!ret)
			ret = guest_memory_write(gm, to + at, chunk, n);
		done += n;
	}
	free(chunk);
	return ret;
}

static bool initrd_may_stay(const struct load *l)
{
	const struct boot_range *initrd = l->initrd;

	return memory_map_is_ram(l->map, initrd->gpa, initrd->len) &&
	       initrd->gpa + initrd->len <= l->image->initrd_end &&
	       !memory_map_is_taken(l->map, initrd->gpa, initrd->len);
}

/* Where the kernel wants to be, else the lowest other place, if it can do with one. */
static int find_window(struct load *l)
{
	struct boot_image *image = l->image;

	if (memory_map_is_ram(l->map, image->window_gpa, image->window_len) &&
	    !memory_map_is_taken(l->map, image->window_gpa, image->window_len))
		return 0;
	if (!image->alignment)
		return -ENOSPC;
	return memory_map_find(l->map, image->window_len, image->alignment, image->window_gpa,
			       FOUR_GIB, false, &image->window_gpa);
}

/* Chooses the kernel's window, around the initrd where that is possible. */
static int place_kernel(struct load *l, bool *initrd_stays)
{
	unsigned int taken = l->map->taken_count;
	int ret;

	*initrd_stays = !l->initrd->len || initrd_may_stay(l);
	if (*initrd_stays && l->initrd->len) {
		ret = memory_map_take(l->map, l->initrd->gpa, l->initrd->len);
		if (!ret)
			ret = find_window(l);
		if (!ret)
			goto found;
		l->map->taken_count = taken;
		*initrd_stays = false;
	}
	ret = find_window(l);
	if (ret)
		return boot_fail(l->error, ret,
				 "kernel: no room for it, it needs %llu MiB of memory at 0x%llx",
				 MEBIBYTES(l->image->window_len),
				 (unsigned long long)l->image->window_gpa);
found:
	return memory_map_take(l->map, l->image->window_gpa, l->image->window_len);
}

/*
 * Several segments are copied one after the other, so their file may not lie where they go. It is
 * moved away first, to where it harms nothing that is still needed.
 */
static int rescue_file(struct load *l)
{
	unsigned int taken = l->map->taken_count;
	uint64_t gpa;
	int ret;

	if (l->image->segment_count == 1 || !overlap(l->kernel, window_of(l->image)))
		return 0;
	ret = memory_map_take(l->map, l->initrd->gpa, l->initrd->len);
	if (!ret)
		ret = memory_map_find(l->map, l->kernel.len, PAGE, 0, UINT64_MAX, true, &gpa);
	l->map->taken_count = taken;
	if (ret)
		return boot_fail(l->error, ret, "kernel: no room to copy its %llu MiB",
				 MEBIBYTES(l->kernel.len));
	ret = move(l->gm, gpa, l->kernel.gpa, l->kernel.len);
	l->kernel.gpa = gpa;
	return ret;
}

static int copy_kernel(struct load *l)
{
	const struct boot_image *image = l->image;
	unsigned int i;
	int ret;

	ret = rescue_file(l);
	for (i = 0; i < image->segment_count && !ret; i++) {
		const struct boot_image_segment *s = &image->segments[i];
		uint64_t to = image->window_gpa + s->at;

		ret = move(l->gm, to, l->kernel.gpa + s->offset, s->filesz);
		if (!ret)
			ret = guest_memory_fill(l->gm, to + s->filesz, 0, s->memsz - s->filesz);
	}
	return ret;
}

/* As high as the kernel allows, though rather below 4 GiB, where every kernel has read one. */
static int find_initrd(const struct load *l, uint64_t *gpa)
{
	uint64_t len = l->initrd->len, end = l->image->initrd_end;
	int ret;

	ret = memory_map_find(l->map, len, PAGE, 0, end < FOUR_GIB ? end : FOUR_GIB, true, gpa);
	return ret ? memory_map_find(l->map, len, PAGE, 0, end, true, gpa) : 0;
}

/* Beside the kernel's file too, if that is still needed. */
static int move_initrd(struct load *l, bool keep_kernel_file)
{
	unsigned int taken = l->map->taken_count;
	uint64_t gpa;
	int ret = 0;

	if (keep_kernel_file)
		ret = memory_map_take(l->map, l->kernel.gpa, l->kernel.len);
	if (!ret)
		ret = find_initrd(l, &gpa);
	l->map->taken_count = taken;
	if (ret)
		return boot_fail(l->error, ret,
				 "initrd: no room for its %llu MiB beside the kernel",
				 MEBIBYTES(l->initrd->len));
	ret = move(l->gm, gpa, l->initrd->gpa, l->initrd->len);
	l->initrd->gpa = gpa;
	return ret;
}

/* Whichever of the two stands in the other's way goes first. */
static int move_both(struct load *l)
{
	int ret;

	if (overlap(*l->initrd, window_of(l->image))) {
		ret = move_initrd(l, true);
		return ret ? ret : copy_kernel(l);
	}
	ret = copy_kernel(l);
	return ret ? ret : move_initrd(l, false);
}

int boot_image_load(struct guest_memory *gm, struct memory_map *map, struct boot_image *image,
		    struct boot_range kernel, struct boot_range *initrd, struct boot_error *error)
{
	struct load l = { gm, map, image, kernel, initrd, error };
	bool initrd_stays;
	int ret;

	ret = memory_map_take(map, 0, MEMORY_MAP_HIGH);
	if (!ret)
		ret = place_kernel(&l, &initrd_stays);
	if (ret)
		return ret;
	return initrd_stays ? copy_kernel(&l) : move_both(&l);
}

#include "devices/storage/stripe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/disk.h"

/*
 * A request becomes at most one request a member: what it covers of a member is one range there,
 * however many chunks it spans, for the chunks in between are the other members'. Only the pieces of
 * memory are many.
 */

struct member_watcher {
	struct disk_watcher watcher;
	struct stripe *stripe;
};

struct stripe {
	struct disk disk;
	struct disk *members[STRIPE_MEMBERS_MAX];
	struct member_watcher *watchers;
	unsigned int member_count;
	uint32_t sector_size;
	uint64_t chunk; /* sectors */
	uint8_t id[16];
	char serial[21];
};

struct stripe_io;

struct stripe_part {
	struct disk_request request;
	struct stripe_io *io;
	struct disk_segment *segments; /* as far as they are filled */
};

/* A request under way. All of it on the thread of the loop that it was submitted with. */
struct stripe_io {
	struct disk_request *request;
	unsigned int part_count, pending;
	struct stripe_part parts[];
	/* Behind them, the segments of all parts. */
};

/* --- Where sectors are */

struct place {
	unsigned int member;
	uint64_t sector;
	uint64_t left; /* to the chunk's end */
};

static struct place place_of(const struct stripe *stripe, uint64_t sector)
{
	uint64_t chunk = sector / stripe->chunk, in_chunk = sector % stripe->chunk;
	/* clang-tidy thinks that it can be zero, which stripe_create() refuses. */
	uint64_t row = chunk / stripe->member_count; /* NOLINT(clang-analyzer-core.DivideZero) */

	return (struct place){
		.member = (unsigned int)(chunk - row * stripe->member_count),
		.sector = row * stripe->chunk + in_chunk,
		.left = stripe->chunk - in_chunk,
	};
}

/* Of a member's sectors, how many lie before `sector` of the stripe. */
static uint64_t sectors_before(const struct stripe *stripe, unsigned int member, uint64_t sector)
{
	struct place place = place_of(stripe, sector);
	uint64_t row = place.sector / stripe->chunk * stripe->chunk;

	if (member < place.member)
		return row + stripe->chunk;
	return member == place.member ? place.sector : row;
}

/* --- Ends */

static void part_over(struct stripe_io *io)
{
	int err = 0;

	if (--io->pending)
		return;
	/* Of several errors, that of the first member: which one came first is chance. */
	for (unsigned int i = 0; i < io->part_count && !err; i++)
		err = io->parts[i].request.err;
	io->request->done(io->request, err);
	free(io);
}

static void part_done(struct disk_request *request, int err)
{
	struct stripe_part *part = container_of(request, struct stripe_part, request);

	request->err = err;
	part_over(part->io);
}

/* --- Beginnings */

static void add_segment(struct stripe_part *part, uint64_t gpa, uint64_t len)
{
	struct disk_request *request = &part->request;
	struct disk_segment *last;

	if (!part->segments) {
		request->segment_count++; /* only counting */
		return;
	}
	last = &part->segments[request->segment_count];
	if (request->segment_count && last[-1].gpa + last[-1].len == gpa)
		last[-1].len += len;
	else
		part->segments[request->segment_count++] = (struct disk_segment){ gpa, len };
}

/* Deals the request's memory out to the parts, chunk after chunk. */
static void deal(const struct stripe *stripe, struct stripe_io *io, struct stripe_part *const *of)
{
	const struct disk_request *request = io->request;
	uint64_t sector = request->sector, offset = 0, left = request->count;
	unsigned int segment = 0;

	while (left) {
		struct place place = place_of(stripe, sector);
		uint64_t sectors = place.left < left ? place.left : left;
		uint64_t bytes = sectors * stripe->sector_size;

		sector += sectors;
		left -= sectors;
		while (bytes && segment < request->segment_count) {
			const struct disk_segment *at = &request->segments[segment];
			uint64_t len = at->len - offset < bytes ? at->len - offset : bytes;

			if (len)
				add_segment(of[place.member], at->gpa + offset, len);
			bytes -= len;
			offset += len;
			if (offset == at->len) {
				segment++;
				offset = 0;
			}
		}
	}
}

static bool has_data(const struct disk_request *request)
{
	return request->operation == DISK_READ || request->operation == DISK_WRITE ||
	       request->operation == DISK_COMPARE;
}

static unsigned int chunks_of(const struct stripe *stripe, const struct disk_request *request)
{
	if (request->operation == DISK_FLUSH || !request->count)
		return 1;
	return (unsigned int)((request->sector + request->count - 1) / stripe->chunk -
			      request->sector / stripe->chunk + 1);
}

/* What the request covers of a member, if anything. */
static void make_part(const struct stripe *stripe, struct stripe_io *io, unsigned int member,
		      struct stripe_part **of)
{
	const struct disk_request *request = io->request;
	struct stripe_part *part = &io->parts[io->part_count];
	uint64_t first = sectors_before(stripe, member, request->sector);
	uint64_t end = sectors_before(stripe, member, request->sector + request->count);

	if (request->operation == DISK_FLUSH)
		first = end = 0;
	else if (end == first)
		return;
	io->part_count++;
	*part = (struct stripe_part){ .io = io };
	part->request = (struct disk_request){
		.operation = request->operation,
		.fua = request->fua,
		.sector = first,
		.count = end - first,
		.done = part_done,
		.disk = stripe->members[member],
	};
	of[member] = part;
}

/* The parts, with their ranges. */
static void make_parts(const struct stripe *stripe, struct stripe_io *io, struct stripe_part **of)
{
	for (unsigned int member = 0; member < stripe->member_count; member++)
		make_part(stripe, io, member, of);
}

/* Once to count the pieces of each part, once to make them. */
static void deal_segments(const struct stripe *stripe, struct stripe_io *io,
			  struct stripe_part *const *of, struct disk_segment *segments)
{
	deal(stripe, io, of);
	for (unsigned int i = 0; i < io->part_count; i++) {
		struct stripe_part *part = &io->parts[i];

		part->request.segments = part->segments = segments;
		segments += part->request.segment_count;
		part->request.segment_count = 0;
	}
	deal(stripe, io, of);
}

/* The borders of chunks cut segments; a single part has the request's own. */
static struct stripe_io *make_io(const struct stripe *stripe, struct disk_request *request)
{
	struct stripe_part *of[STRIPE_MEMBERS_MAX];
	unsigned int chunks = chunks_of(stripe, request), parts = chunks;
	size_t pieces = 0;
	struct stripe_io *io;

	if (request->operation == DISK_FLUSH || parts > stripe->member_count)
		parts = stripe->member_count;
	if (has_data(request) && parts > 1)
		pieces = (size_t)request->segment_count + chunks;
	io = malloc(sizeof(*io) + parts * sizeof(io->parts[0]) +
		    pieces * sizeof(struct disk_segment));
	if (!io)
		return NULL;
	*io = (struct stripe_io){ .request = request };
	make_parts(stripe, io, of);
	if (pieces) {
		deal_segments(stripe, io, of, (void *)&io->parts[parts]);
	} else if (io->part_count && has_data(request)) {
		io->parts[0].request.segments = request->segments;
		io->parts[0].request.segment_count = request->segment_count;
	}
	return io;
}

static void submit(struct disk *disk, struct event_loop *loop, struct disk_request *request)
{
	struct stripe *stripe = container_of(disk, struct stripe, disk);
	struct stripe_io *io = make_io(stripe, request);

	if (!io) {
		request->done(request, -ENOMEM);
		return;
	}
	/* One more, so that no answer ends the request while parts are still handed out. */
	io->pending = io->part_count + 1;
	for (unsigned int i = 0; i < io->part_count; i++) {
		struct disk_request *part = &io->parts[i].request;

		part->disk->ops->submit(part->disk, loop, part);
	}
	part_over(io);
}

/* --- What the disk is */

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void join_info(struct disk_info *all, const struct disk_info *one)
{
	if (one->sectors < all->sectors)
		all->sectors = one->sectors;
	all->physical_sector_size = larger(all->physical_sector_size, one->physical_sector_size);
	all->read_only |= one->read_only;
	all->can_unmap &= one->can_unmap;
	all->emulated &= one->emulated;
	all->can_write_zeroes &= one->can_write_zeroes;
	all->can_compare &= one->can_compare;
	all->can_verify &= one->can_verify;
	all->unmap_reads_zero &= one->unmap_reads_zero;
	all->unmap_granularity = larger(all->unmap_granularity, one->unmap_granularity);
}

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct stripe *stripe = container_of(disk, struct stripe, disk);
	struct disk_info one;

	stripe->members[0]->ops->get_info(stripe->members[0], info);
	for (unsigned int m = 1; m < stripe->member_count; m++) {
		stripe->members[m]->ops->get_info(stripe->members[m], &one);
		join_info(info, &one);
	}
	info->sectors = info->sectors / stripe->chunk * stripe->chunk * stripe->member_count;
	info->sector_size = stripe->sector_size;
	info->unmap_alignment = 0;
	info->can_reserve = false; /* of one, or of all? */
	memcpy(info->id, stripe->id, sizeof(info->id));
	memcpy(info->serial, stripe->serial, sizeof(info->serial));
}

static const struct disk_ops stripe_ops = { .get_info = get_info, .submit = submit };

static void member_changed(struct disk_watcher *watcher)
{
	struct member_watcher *w = container_of(watcher, struct member_watcher, watcher);

	disk_changed(&w->stripe->disk);
}

/* --- Creation */

/* Capacities that would overflow are not to be had of real members. */
static int check_members(const struct stripe_config *config, uint32_t *sector_size)
{
	struct disk_info info;

	if (!config->member_count || config->member_count > STRIPE_MEMBERS_MAX)
		return -EINVAL;
	for (unsigned int m = 0; m < config->member_count; m++) {
		config->members[m]->ops->get_info(config->members[m], &info);
		if (m && info.sector_size != *sector_size)
			return -EINVAL;
		*sector_size = info.sector_size;
		if (!info.sector_size || info.sectors > UINT64_MAX / 2 / STRIPE_MEMBERS_MAX)
			return -EINVAL;
	}
	if (!config->chunk_size || config->chunk_size % *sector_size)
		return -EINVAL;
	return 0;
}

static void watch_members(struct stripe *stripe)
{
	struct member_watcher *watchers = stripe->watchers;

	for (unsigned int m = 0; m < stripe->member_count; m++) {
		watchers[m].stripe = stripe;
		watchers[m].watcher.changed = member_changed;
		disk_watch(stripe->members[m], &watchers[m].watcher);
	}
}

int stripe_create(const struct stripe_config *config, struct stripe **out)
{
	uint32_t sector_size = 0;
	struct stripe *stripe;
	int err = check_members(config, &sector_size);

	if (err)
		return err;
	stripe = calloc(1, sizeof(*stripe));
	if (!stripe)
		return -ENOMEM;
	stripe->watchers = calloc(config->member_count, sizeof(*stripe->watchers));
	if (!stripe->watchers) {
		free(stripe);
		return -ENOMEM;
	}
	for (unsigned int m = 0; m < config->member_count; m++)
		stripe->members[m] = config->members[m];
	memcpy(stripe->id, config->id, sizeof(stripe->id));
	memcpy(stripe->serial, config->serial, sizeof(stripe->serial));
	stripe->member_count = config->member_count;
	stripe->sector_size = sector_size;
	stripe->chunk = config->chunk_size / sector_size;
	disk_init(&stripe->disk, &stripe_ops);
	watch_members(stripe);
	*out = stripe;
	return 0;
}

void stripe_destroy(struct stripe *stripe)
{
	for (unsigned int m = 0; m < stripe->member_count; m++)
		disk_unwatch(stripe->members[m], &stripe->watchers[m].watcher);
	disk_fini(&stripe->disk);
	free(stripe->watchers);
	free(stripe);
}

struct disk *stripe_disk(struct stripe *stripe)
{
	return &stripe->disk;
}

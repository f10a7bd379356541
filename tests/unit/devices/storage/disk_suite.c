#include "tests/unit/devices/storage/disk_suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/disk.h"
#include "core/event_loop.h"

#define PAGE         4096u
#define SEGMENTS_MAX 300u
#define UNKNOWN      UINT32_MAX /* whatever: a generation of contents */
#define WAIT_MS      60000

struct worker;

struct slot {
	struct disk_request request;
	struct worker *worker;
	struct disk_segment segments[SEGMENTS_MAX];
	uint64_t at;         /* of its RAM, from the worker's config->gpa */
	uint32_t generation; /* of what is being written */
	bool busy;
	bool known, differs; /* what is there, and what is compared with it */
};

struct worker {
	const struct disk_suite_config *config;
	struct disk_suite_result *result;
	pthread_mutex_t *lock; /* of result */
	unsigned int *working; /* workers that have requests; atomic */
	struct disk_info info;
	unsigned int index;
	struct event_loop *loop;
	pthread_t thread;
	uint64_t first, sectors; /* its part of the disk */
	uint32_t *contents;      /* generation of each sector; 0: zeroes */
	uint8_t *busy;           /* sectors with a request under way */
	uint64_t room;           /* bytes of RAM a slot */
	struct slot *slots;
	unsigned int started, done, under_way;
	uint32_t generation;
	unsigned int seed;
	bool failed;
};

static unsigned int pick(struct worker *w, unsigned int n)
{
	return (unsigned int)rand_r(&w->seed) % n;
}

static void failed(struct worker *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pthread_mutex_lock(w->lock);
	if (!w->result->why[0])
		vsnprintf(w->result->why, sizeof(w->result->why), format, args);
	pthread_mutex_unlock(w->lock);
	va_end(args);
	w->failed = true;
}

/* --- What sectors hold: words that no other sector and no other time has */

static uint64_t word(uint64_t sector, uint32_t generation, unsigned int index)
{
	if (!generation)
		return 0;
	return (sector << 32 ^ generation) * 0x9E3779B97F4A7C15ull + index;
}

/* The request's memory as one run of bytes, for what is not aligned. */
struct view {
	const struct slot *slot;
	unsigned int segment;
	uint64_t offset;
};

static uint8_t *view_byte(struct worker *w, struct view *view)
{
	const struct disk_segment *at = &view->slot->segments[view->segment];
	uint8_t *p;

	while (view->offset == at->len) {
		view->segment++;
		view->offset = 0;
		at++;
	}
	p = w->config->ram + (at->gpa - w->config->gpa) + view->offset;
	view->offset++;
	return p;
}

static void fill_sector(struct worker *w, struct view *view, uint64_t sector, uint32_t generation)
{
	for (unsigned int i = 0; i < w->info.sector_size / 8; i++) {
		uint64_t value = word(sector, generation, i);

		for (unsigned int b = 0; b < 8; b++)
			*view_byte(w, view) = (uint8_t)(value >> 8 * b);
	}
}

static void fill(struct worker *w, struct slot *slot)
{
	struct view view = { .slot = slot };

	for (uint64_t s = 0; s < slot->request.count; s++)
		fill_sector(w, &view, slot->request.sector + s, slot->generation);
}

/* What is there, or with one sector of another time in it. */
static void fill_contents(struct worker *w, struct slot *slot)
{
	uint32_t wrong = pick(w, 2) ? pick(w, (unsigned int)slot->request.count) : UNKNOWN;
	struct view view = { .slot = slot };

	slot->differs = wrong != UNKNOWN;
	slot->known = true;
	for (uint64_t s = 0; s < slot->request.count; s++) {
		uint64_t sector = slot->request.sector + s;
		uint32_t generation = w->contents[sector - w->first];

		slot->known &= generation != UNKNOWN;
		fill_sector(w, &view, sector, s == wrong ? ++w->generation : generation);
	}
}

static void verify(struct worker *w, struct slot *slot)
{
	struct view view = { .slot = slot };

	for (uint64_t s = 0; s < slot->request.count && !w->failed; s++) {
		uint64_t sector = slot->request.sector + s;
		uint32_t generation = w->contents[sector - w->first];

		for (unsigned int i = 0; i < w->info.sector_size / 8; i++) {
			uint64_t found = 0, expected = word(sector, generation, i);

			for (unsigned int b = 0; b < 8; b++)
				found |= (uint64_t)*view_byte(w, &view) << 8 * b;
			if (generation != UNKNOWN && found != expected) {
				failed(w, "sector %llu, word %u: %llx, not %llx",
				       (unsigned long long)sector, i, (unsigned long long)found,
				       (unsigned long long)expected);
				break;
			}
		}
	}
}

/* --- Making requests */

static void add(struct slot *slot, uint64_t gpa, uint64_t len)
{
	slot->segments[slot->request.segment_count++] = (struct disk_segment){ gpa, len };
}

/* Whole pages, some of them out of order. */
static void scatter_pages(struct worker *w, struct slot *slot, uint64_t len)
{
	uint64_t gpa = w->config->gpa + slot->at, pages = w->room / PAGE / 2, page = 0;
	bool backwards = pick(w, 2);

	while (len) {
		uint64_t n = 1 + pick(w, 32), place;

		if (n > pages - page)
			n = pages - page;
		if (n * PAGE > len || slot->request.segment_count == SEGMENTS_MAX - 1)
			n = (len + PAGE - 1) / PAGE;
		place = backwards ? 2 * pages - page - n : page;
		add(slot, gpa + place * PAGE, n * PAGE < len ? n * PAGE : len);
		page += n;
		len -= n * PAGE < len ? n * PAGE : len;
	}
}

/* Begins anywhere in a page, at sectors', dwords' or bytes' distance; pieces of any length. */
static void scatter_bytes(struct worker *w, struct slot *slot, uint64_t len)
{
	static const unsigned int steps[] = { 512, 512, 4, 1 };
	unsigned int step = steps[pick(w, 4)];
	uint64_t gpa = w->config->gpa + slot->at + pick(w, PAGE / step) * step;
	bool one_piece = pick(w, 2);

	while (len) {
		uint64_t n = (1 + pick(w, 40000 / step)) * step;

		if (one_piece || n > len || slot->request.segment_count >= 20)
			n = len;
		add(slot, gpa, n);
		gpa += n;
		len -= n;
		if (!one_piece)
			gpa += pick(w, 2) * step;
	}
}

/* A place where nothing is under way: 0 sectors when there was none. */
static uint32_t find_place(struct worker *w, uint64_t *sector)
{
	uint32_t max = w->config->max_sectors, count;

	if (max > w->sectors)
		max = (uint32_t)w->sectors;
	count = pick(w, 3) ? 1 + pick(w, max < 16 ? max : 16) : 1 + pick(w, max);
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t at = pick(w, (unsigned int)(w->sectors - count + 1));

		if (!memchr(w->busy + at, 1, count)) {
			*sector = w->first + at;
			return count;
		}
		count = 1;
	}
	return 0;
}

static enum disk_operation pick_operation(struct worker *w)
{
	unsigned int n = pick(w, 32);

	if (n == 0)
		return DISK_FLUSH;
	if (n == 1 && w->info.can_unmap)
		return DISK_UNMAP;
	if (n == 2 && w->info.can_write_zeroes)
		return DISK_WRITE_ZEROES;
	if (n == 3 && w->info.can_verify)
		return DISK_VERIFY;
	if (n < 6 && w->info.can_compare)
		return DISK_COMPARE;
	return n < 20 ? DISK_WRITE : DISK_READ;
}

static void request_done(struct disk_request *request, int err);

static bool make(struct worker *w, struct slot *slot)
{
	struct disk_request *request = &slot->request;
	uint64_t sector = 0, len;
	uint32_t count = 0;

	*request = (struct disk_request){ .operation = pick_operation(w),
					  .segments = slot->segments,
					  .done = request_done };
	if (request->operation == DISK_FLUSH)
		return true;
	count = find_place(w, &sector);
	if (!count)
		return false;
	request->sector = sector;
	request->count = count;
	request->fua = pick(w, 4) == 0;
	memset(w->busy + (sector - w->first), 1, count);
	len = (uint64_t)count * w->info.sector_size;
	if (request->operation == DISK_UNMAP || request->operation == DISK_WRITE_ZEROES ||
	    request->operation == DISK_VERIFY)
		return true;
	if (w->config->aligned || pick(w, 2))
		scatter_pages(w, slot, len);
	else
		scatter_bytes(w, slot, len);
	if (request->operation == DISK_WRITE) {
		slot->generation = ++w->generation;
		fill(w, slot);
	} else if (request->operation == DISK_COMPARE) {
		fill_contents(w, slot);
	} else {
		memset(w->config->ram + slot->at, 0xEE, w->room);
	}
	return true;
}

/* --- Their ends */

static void account(struct worker *w, struct slot *slot, int err)
{
	struct disk_request *request = &slot->request;
	uint32_t *contents = w->contents + (request->sector - w->first), now = UNKNOWN;

	if (request->operation == DISK_FLUSH)
		return;
	memset(w->busy + (request->sector - w->first), 0, request->count);
	if (request->operation == DISK_READ && !err)
		verify(w, slot);
	if (request->operation == DISK_READ || request->operation == DISK_COMPARE ||
	    request->operation == DISK_VERIFY)
		return;
	if (!err && request->operation == DISK_WRITE)
		now = slot->generation;
	if (!err && request->operation == DISK_WRITE_ZEROES)
		now = 0;
	for (uint64_t i = 0; i < request->count; i++)
		contents[i] = now;
}

/* A difference that should be found is no error: 0. */
static int check_comparison(struct worker *w, const struct slot *slot, int err)
{
	if (slot->known && slot->differs != (err == -EILSEQ))
		failed(w, "a comparison of sectors at %llu says %s",
		       (unsigned long long)slot->request.sector, err ? "different" : "equal");
	return 0;
}

static void request_done(struct disk_request *request, int err)
{
	struct slot *slot = container_of(request, struct slot, request);
	struct worker *w = slot->worker;

	if (!slot->busy) {
		failed(w, "a request was answered twice");
		return;
	}
	slot->busy = false;
	w->under_way--;
	w->done++;
	if (request->operation == DISK_COMPARE && (!err || err == -EILSEQ))
		err = check_comparison(w, slot, err);
	if (err && !w->config->errors_allowed)
		failed(w, "operation %d of %llu sectors at %llu: error %d", request->operation,
		       (unsigned long long)request->count, (unsigned long long)request->sector,
		       -err);
	account(w, slot, err);
	pthread_mutex_lock(w->lock);
	w->result->requests++;
	w->result->errors += err != 0;
	if (!err && request->segment_count)
		w->result->bytes += request->count * w->info.sector_size;
	pthread_mutex_unlock(w->lock);
	if (w->config->progress)
		w->config->progress(w->config->ctx, w->index, w->done);
}

static void start_some(struct worker *w)
{
	for (unsigned int i = 0; i < w->config->depth; i++) {
		struct slot *slot = &w->slots[i];

		if (slot->busy || w->started >= w->config->requests || w->failed)
			continue;
		if (!make(w, slot))
			return;
		slot->busy = true;
		w->started++;
		w->under_way++;
		w->config->disk->ops->submit(w->config->disk, w->loop, &slot->request);
	}
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	uint64_t deadline = 0;

	while (w->under_way || (w->started < w->config->requests && !w->failed)) {
		unsigned int before = w->done;

		start_some(w);
		if (!w->under_way)
			continue;
		if (w->done != before || !deadline)
			deadline = event_loop_now_ns() + WAIT_MS * 1000000ull;
		before = w->done;
		event_loop_run_once(w->loop, 1000);
		if (w->done != before) {
			deadline = 0;
		} else if (event_loop_now_ns() > deadline) {
			failed(w, "worker %u: %u requests without an answer", w->index,
			       w->under_way);
			break;
		}
	}
	/* Another's requests may go through this loop. */
	__atomic_fetch_sub(w->working, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(w->working, __ATOMIC_ACQUIRE))
		event_loop_run_once(w->loop, 10);
	return NULL;
}

/* --- */

static bool init(struct worker *w, const struct disk_suite_config *config, unsigned int index)
{
	uint64_t share = config->ram_len / config->workers;

	w->config = config;
	w->index = index;
	w->loop = config->loops[index];
	w->seed = config->seed * 1000 + index;
	config->disk->ops->get_info(config->disk, &w->info);
	w->sectors = w->info.sectors / config->workers;
	w->first = w->sectors * index;
	w->room = share / config->depth / PAGE * PAGE;
	w->contents = malloc(w->sectors * sizeof(*w->contents));
	w->busy = calloc(1, w->sectors);
	w->slots = calloc(config->depth, sizeof(*w->slots));
	if (!w->contents || !w->busy || !w->slots)
		return false;
	memset(w->contents, 0xFF, w->sectors * sizeof(*w->contents));
	for (unsigned int i = 0; i < config->depth; i++) {
		w->slots[i].worker = w;
		w->slots[i].at = share * index + w->room * i;
	}
	/* Scattered pages take twice the room, unaligned pieces a little more than the data. */
	return w->room >= 2ull * config->max_sectors * w->info.sector_size + 4 * PAGE;
}

bool disk_suite_run(const struct disk_suite_config *config, struct disk_suite_result *result)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct worker *workers = calloc(config->workers, sizeof(*workers));
	unsigned int working = config->workers;
	bool answered = true;

	*result = (struct disk_suite_result){ 0 };
	if (!workers)
		abort();
	for (unsigned int i = 0; i < config->workers; i++) {
		workers[i].result = result;
		workers[i].lock = &lock;
		workers[i].working = &working;
		if (!init(&workers[i], config, i))
			failed(&workers[i], "not enough memory");
	}
	if (!result->why[0]) {
		for (unsigned int i = 0; i < config->workers; i++)
			if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
				abort();
		for (unsigned int i = 0; i < config->workers; i++)
			pthread_join(workers[i].thread, NULL);
	}
	/* Requests without an answer would be written to: then all of it stays. */
	for (unsigned int i = 0; i < config->workers; i++)
		answered &= !workers[i].under_way;
	for (unsigned int i = 0; i < config->workers && answered; i++) {
		free(workers[i].contents);
		free(workers[i].busy);
		free(workers[i].slots);
	}
	if (answered)
		free(workers);
	return !result->why[0];
}

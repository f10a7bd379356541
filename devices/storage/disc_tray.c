#include "devices/storage/disc_tray.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/disk.h"

/* A medium that lies in the tray, or that the last requests still read. */
struct disc {
	struct disc_tray *tray;
	struct disc_medium medium;
	struct disk_watcher watcher;
	unsigned int references; /* the tray's and each request's; under the tray's lock */
	unsigned int ratio;      /* of its sectors in one of ours */
};

struct disc_tray {
	struct disk disk;
	pthread_mutex_t lock;
	struct disc *disc; /* NULL: empty; under the lock */
};

/* A read on its way. */
struct disc_read {
	struct disk_request inner;
	struct disk_request *outer;
	struct disc *disc;
};

/* --- Discs */

static struct disc *take(struct disc_tray *tray)
{
	struct disc *disc;

	pthread_mutex_lock(&tray->lock);
	disc = tray->disc;
	if (disc)
		disc->references++;
	pthread_mutex_unlock(&tray->lock);
	return disc;
}

static void put(struct disc *disc)
{
	struct disc_tray *tray = disc->tray;
	unsigned int left;

	pthread_mutex_lock(&tray->lock);
	left = --disc->references;
	pthread_mutex_unlock(&tray->lock);
	if (left)
		return;
	disk_unwatch(disc->medium.disk, &disc->watcher);
	if (disc->medium.released)
		disc->medium.released(disc->medium.ctx);
	free(disc);
}

/* --- As a disk */

static void disc_info(const struct disc *disc, struct disk_info *info)
{
	struct disk *disk = disc->medium.disk;

	disk->ops->get_info(disk, info);
	info->sectors /= disc->ratio;
}

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct disc_tray *tray = container_of(disk, struct disc_tray, disk);
	struct disc *disc = take(tray);

	*info = (struct disk_info){ 0 };
	if (disc) {
		disc_info(disc, info);
		put(disc);
	}
	info->sector_size = info->physical_sector_size = DISC_SECTOR;
	info->read_only = true;
	info->can_unmap = info->can_write_zeroes = info->can_reserve = false;
	info->can_compare = info->can_verify = false;
}

static void read_done(struct disk_request *request, int err)
{
	struct disc_read *read = container_of(request, struct disc_read, inner);
	struct disk_request *outer = read->outer;

	put(read->disc);
	free(read);
	outer->done(outer, err);
}

static void start_read(struct disc *disc, struct event_loop *loop, struct disk_request *request)
{
	struct disc_read *read = malloc(sizeof(*read));
	struct disk *disk = disc->medium.disk;

	if (!read) {
		put(disc);
		request->done(request, -ENOMEM);
		return;
	}
	*read = (struct disc_read){
		.inner = { .operation = DISK_READ,
			   .sector = request->sector * disc->ratio,
			   .count = request->count * disc->ratio,
			   .segments = request->segments,
			   .segment_count = request->segment_count,
			   .done = read_done },
		.outer = request,
		.disc = disc,
	};
	disk->ops->submit(disk, loop, &read->inner);
}

/* The caller has looked at the size of a medium that may not be this one. */
static void submit(struct disk *disk, struct event_loop *loop, struct disk_request *request)
{
	struct disc_tray *tray = container_of(disk, struct disc_tray, disk);
	struct disk_info info;
	struct disc *disc;

	if (request->operation != DISK_READ) {
		request->done(request, request->operation == DISK_FLUSH ? 0 : -EROFS);
		return;
	}
	disc = take(tray);
	if (disc)
		disc_info(disc, &info);
	if (disc && disk_range_valid(&info, request->sector, request->count)) {
		start_read(disc, loop, request);
		return;
	}
	if (disc)
		put(disc);
	request->done(request, -ENODEV);
}

static const struct disk_ops tray_ops = { .get_info = get_info, .submit = submit };

/* --- For the owner */

struct disc_tray *disc_tray_create(void)
{
	struct disc_tray *tray = calloc(1, sizeof(*tray));

	if (!tray)
		return NULL;
	disk_init(&tray->disk, &tray_ops);
	pthread_mutex_init(&tray->lock, NULL);
	return tray;
}

void disc_tray_destroy(struct disc_tray *tray)
{
	if (tray->disc)
		put(tray->disc);
	disk_fini(&tray->disk);
	pthread_mutex_destroy(&tray->lock);
	free(tray);
}

static void medium_changed(struct disk_watcher *watcher)
{
	struct disc *disc = container_of(watcher, struct disc, watcher);

	disk_changed(&disc->tray->disk);
}

static int make_disc(struct disc_tray *tray, const struct disc_medium *medium, struct disc **result)
{
	struct disc *disc;
	struct disk_info info;

	medium->disk->ops->get_info(medium->disk, &info);
	if (!info.sector_size || info.sector_size > DISC_SECTOR)
		return -EINVAL;
	disc = calloc(1, sizeof(*disc));
	if (!disc)
		return -ENOMEM;
	disc->tray = tray;
	disc->medium = *medium;
	disc->references = 1;
	disc->ratio = DISC_SECTOR / info.sector_size;
	disc->watcher.changed = medium_changed;
	disk_watch(medium->disk, &disc->watcher);
	*result = disc;
	return 0;
}

int disc_tray_load(struct disc_tray *tray, const struct disc_medium *medium)
{
	struct disc *disc = NULL, *old;
	int ret = medium->disk ? make_disc(tray, medium, &disc) : 0;

	if (ret)
		return ret;
	pthread_mutex_lock(&tray->lock);
	old = tray->disc;
	tray->disc = disc;
	pthread_mutex_unlock(&tray->lock);
	if (old)
		put(old);
	disk_changed(&tray->disk);
	return 0;
}

struct disk *disc_tray_disk(struct disc_tray *tray)
{
	return &tray->disk;
}

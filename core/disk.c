#include "core/disk.h"

void disk_init(struct disk *disk, const struct disk_ops *ops)
{
	disk->ops = ops;
	disk->watchers = NULL;
	pthread_mutex_init(&disk->lock, NULL);
}

void disk_fini(struct disk *disk)
{
	pthread_mutex_destroy(&disk->lock);
}

void disk_watch(struct disk *disk, struct disk_watcher *watcher)
{
	pthread_mutex_lock(&disk->lock);
	watcher->next = disk->watchers;
	disk->watchers = watcher;
	pthread_mutex_unlock(&disk->lock);
}

void disk_unwatch(struct disk *disk, struct disk_watcher *watcher)
{
	struct disk_watcher **link = &disk->watchers;

	pthread_mutex_lock(&disk->lock);
	while (*link && *link != watcher)
		link = &(*link)->next;
	if (*link)
		*link = watcher->next;
	pthread_mutex_unlock(&disk->lock);
}

void disk_changed(struct disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	for (struct disk_watcher *watcher = disk->watchers; watcher; watcher = watcher->next)
		watcher->changed(watcher);
	pthread_mutex_unlock(&disk->lock);
}

#ifndef CORE_DEVICE_LOCK_H
#define CORE_DEVICE_LOCK_H

#include <pthread.h>

/*
 * The mutex of one device or one group of devices. The chipset devices share one: a PC's interrupt
 * wiring crosses them all. Lock order: a device's lock may be held when an interrupt is raised; the
 * interrupt path takes no device lock but the chipset's, which is recursive for that reason.
 */
struct device_lock {
	pthread_mutex_t mutex;
};

/* 0, or -ENOMEM and the like. */
int device_lock_init(struct device_lock *lock);

/* Nobody holds it. */
void device_lock_destroy(struct device_lock *lock);

/* Any thread; nests within one thread. */
void device_lock_acquire(struct device_lock *lock);
void device_lock_release(struct device_lock *lock);

#endif

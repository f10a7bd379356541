#include "core/device_lock.h"

#include <stdlib.h>

int device_lock_init(struct device_lock *lock)
{
	pthread_mutexattr_t attr;
	int err;

	err = pthread_mutexattr_init(&attr);
	if (err)
		return -err;
	err = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	if (!err)
		err = pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return -err;
}

void device_lock_destroy(struct device_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

/* Locking fails only when the mutex is not one or nests 2^32 deep: a broken invariant. */
void device_lock_acquire(struct device_lock *lock)
{
	if (pthread_mutex_lock(&lock->mutex))
		abort();
}

void device_lock_release(struct device_lock *lock)
{
	if (pthread_mutex_unlock(&lock->mutex))
		abort();
}

#ifndef PARAVISOR_STORAGE_INTERNAL_H
#define PARAVISOR_STORAGE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "paravisor/settings.h"

/*
 * Shared by paravisor/storage*.c only. All of it is the thread's that changes things (before that runs, the one that
 * starts it), but for what is marked.
 */

struct disc_tray;
struct disk;
struct scsi_lun;
struct storvsp;
struct stripe;

/* Why something cannot be, in one line for the host. */
struct storage_error {
	char text[160];
};

/* Keeps the first reason; returns err. */
int storage_fail(struct storage_error *error, const char *what, const struct guid *guid, int err);

/* A controller that the host assigned to VTL2. */
struct storage_function {
	struct storage_function *next;
	struct guid instance;
	char address[16];
	struct pci_device_access *pci;
	struct nvme *nvme;
	unsigned int users; /* disks of units */
};

struct storage_controller {
	struct guid instance;
	struct storvsp *storvsp; /* NULL: there is no such controller */
	struct storage_unit *units[SETTINGS_LUNS_MAX];
};

struct storage_unit {
	struct storage_controller *controller;
	struct settings_lun lun;         /* as the host describes it; first_device means nothing */
	struct settings_device *devices; /* lun.device_count of them */
	struct storage_function **functions; /* each device's; NULL: not taken */
	struct stripe *stripe;
	struct disk *disk;      /* a namespace, or the stripe; NULL: a drive without a medium */
	struct disc_tray *tray; /* a drive's, with the disk in it */
	struct scsi_lun *scsi;
	sem_t released;    /* the last command is done */
	sem_t medium_free; /* the last read of the medium that was in the tray is done */
};

struct storage {
	struct machine *machine;
	struct opener *opener;
	struct dma_pool *pool;
	uint64_t host_id; /* by which reservations know this VM */
	struct storage_controller controllers[SETTINGS_CONTROLLERS_MAX];

	pthread_mutex_t
		lock; /* of the list of functions, and of what they offer to storage_shut_down() */
	struct storage_function *functions;

	struct event_loop *loop; /* the thread's */
	pthread_t thread;
	unsigned int changes; /* that wait or are under way; VP 0's thread */
};

/*
 * storage_function.c: a function with its driver, taken from VTL2's kernel if it is not in use yet; and given back, to
 * the kernel if nobody else uses it. Getting waits for the kernel, putting for the controller.
 */
int storage_function_get(struct storage *storage, const struct guid *instance,
			 struct storage_function **function, struct storage_error *error);
void storage_function_put(struct storage *storage, struct storage_function *function);

/* storage_unit.c: a unit of the controller that nobody sees yet. 0 or -errno with the reason. */
int storage_unit_create(struct storage *storage, struct storage_controller *controller,
			const struct settings *settings, const struct settings_lun *lun,
			struct storage_unit **unit, struct storage_error *error);

enum storage_likeness {
	STORAGE_UNIT_OTHER,
	STORAGE_UNIT_SAME,
	STORAGE_UNIT_OTHER_MEDIUM, /* the same drive */
};

/* What is it to the one that the settings describe? */
enum storage_likeness storage_unit_compare(const struct storage_unit *unit,
					   const struct settings *settings,
					   const struct settings_lun *lun);

/*
 * Gives a drive the medium of another that nobody sees, which gets the former one instead, when no read needs it any
 * more: waits for that. 0; -ENOMEM: all is as it was.
 */
int storage_unit_swap_medium(struct storage_unit *drive, struct storage_unit *other);

/* Shows it to the guest, and takes it away. */
int storage_unit_attach(struct storage_unit *unit);
void storage_unit_detach(struct storage_unit *unit);

/* Waits for commands under way, and gives back what it was made of. Not attached (any more). */
void storage_unit_destroy(struct storage *storage, struct storage_unit *unit);

/* storage_change.c: makes everything as the settings say, or nothing. 0 or -errno with the reason. */
int storage_apply(struct storage *storage, const struct settings *settings,
		  struct storage_error *error);

#endif

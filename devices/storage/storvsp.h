#ifndef DEVICES_STORAGE_STORVSP_H
#define DEVICES_STORAGE_STORVSP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * A SCSI controller on VMBus, as storvsc drivers know it: protocol versions from Windows 6 to
 * 10, a primary channel and sub-channels, and up to 2 targets of 64 logical units. Commands of a
 * channel run on the channel's event loop, from ring to disk and back.
 */

struct scsi_lun;
struct storvsp;
struct vmbus_server;

#define STORVSP_TARGETS 2
#define STORVSP_LUNS    64

struct storvsp_config {
	struct vmbus_server *server;
	struct guid instance;
	uint16_t max_sub_channels; /* what the guest may ask for: VPs less one */
};

/* Offers the controller. 0 or -errno. */
int storvsp_create(const struct storvsp_config *config, struct storvsp **storvsp);

/*
 * Takes the controller from the guest; when the last of its channels is gone, gives back its units
 * and calls gone(ctx), on the primary channel's loop, and is no more.
 */
void storvsp_destroy(struct storvsp *storvsp, void (*gone)(void *ctx), void *ctx);

/*
 * Puts a unit at a number, taking a reference, or takes it away. A guest that has seen the
 * controller is told to look again. Any thread. -EEXIST, -ENOENT, -EINVAL.
 */
int storvsp_attach(struct storvsp *storvsp, uint8_t target, uint8_t number, struct scsi_lun *lun);
int storvsp_detach(struct storvsp *storvsp, uint8_t target, uint8_t number);

/* Has the guest look again at what there is: a unit has something to say. Any thread. */
void storvsp_rescan(struct storvsp *storvsp);

#endif

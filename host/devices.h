#ifndef HOST_DEVICES_H
#define HOST_DEVICES_H

/*
 * What VTL2 finds on its VMBus, by the command line: GET with its settings and the guest's state, and
 * a VPCI bus for each disk.
 */

struct host_devices;
struct partition;

/* After the partition's VMBus and VPCI. On failure logs one line. 0 or -errno. */
int host_devices_create(struct partition *partition, struct host_devices **devices);

/* When VMBus has stopped, before VPCI goes. */
void host_devices_stop(struct host_devices *devices);

/* When VMBus has stopped and VPCI is gone. */
void host_devices_destroy(struct host_devices *devices);

#endif

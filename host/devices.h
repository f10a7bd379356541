#ifndef HOST_DEVICES_H
#define HOST_DEVICES_H

#include <stdint.h>

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

/*
 * What the monitor changes (host/monitor.h): a disk that was added to the options, disks that were
 * marked as removed there (maybe before one was added in their place), and one LUN's. VTL2 hears of the first two by GET. 0 or -errno. The main
 * thread.
 */
int host_devices_add_disk(struct host_devices *devices, unsigned int index);
int host_devices_disks_removed(struct host_devices *devices);
int host_devices_resize_disk(struct host_devices *devices, unsigned int lun, uint64_t size);
int host_devices_fault(struct host_devices *devices, unsigned int lun, const char *text);

/* The options say anew whether VTL0 has a network function of its own: VTL2 is told. 0 or -errno. */
int host_devices_vf_changed(struct host_devices *devices);
/* Likewise: host_net_command(). */
int host_devices_net(struct host_devices *devices, const char *what);

#endif

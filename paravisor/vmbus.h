#ifndef PARAVISOR_VMBUS_H
#define PARAVISOR_VMBUS_H

#include <stdint.h>

struct machine;
struct vp;

/*
 * The VMBus server toward VTL0 over VTL0's own SynIC: its answers go by HvCallPostMessageDirect and
 * HvCallSignalEventDirect, its input is VTL0's HvCallPostMessage and HvCallSignalEvent.
 *
 * Creates it and makes it the machine's sink for those hypercalls. After the VPs' loops and memory
 * exist, before VTL0 runs. 0 or -ENOMEM.
 */
int vmbus_start(struct machine *machine);

/* VP_EXIT_SLOT_FREE: messages for these SINTs (a bit each) of the VP can be posted. VP's thread. */
void vmbus_slot_free(struct vp *vp, uint16_t sints);

#endif

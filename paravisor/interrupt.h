#ifndef PARAVISOR_INTERRUPT_H
#define PARAVISOR_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/hv_register.h"

/*
 * From the chipset's interrupt controllers to VTL0's local APICs. The I/O APIC's interrupts are
 * asserted by the hypervisor; the 8259s' need VP 0 to take them when it can.
 */

struct machine;
struct vp;

/* Fits struct ioapic_delivery; ctx is the struct machine. Any thread. */
void interrupt_from_ioapic(void *machine, uint8_t destination, bool logical, unsigned int mode,
			   uint8_t vector, bool level);

/* Fits struct pic8259_output; ctx is the struct machine. Any thread. */
void interrupt_from_pic(void *machine, bool asserted);

/* VTL0's local APIC has finished a level-triggered interrupt. Any thread. */
void interrupt_eoi(struct machine *machine, uint8_t vector);

/* VP_EXIT_INTERRUPTIBLE, on the VP's thread. 0 or -errno. */
int interrupt_deliverable(struct vp *vp);

/*
 * Asks for these deliverability notifications of the hypervisor's (TLFS 15.10), besides those that have been asked for
 * and have not come. The VP's thread. 0 or -errno.
 */
int interrupt_notify(struct vp *vp, union hv_deliverability_notifications_register more);

#endif

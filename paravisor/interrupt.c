#include "paravisor/interrupt.h"

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/chipset.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

/* Delivery modes of the 82093AA and of HvCallAssertVirtualInterrupt have the same numbers. */
_Static_assert((int)IOAPIC_FIXED == (int)HV_X64_INTERRUPT_TYPE_FIXED, "same encoding");
_Static_assert((int)IOAPIC_NMI == (int)HV_X64_INTERRUPT_TYPE_NMI, "same encoding");

void interrupt_from_ioapic(void *ctx, uint8_t destination, bool logical, unsigned int mode,
			   uint8_t vector, bool level)
{
	struct machine *machine = ctx;
	struct vtl_interrupt interrupt = {
		.type = mode,
		.destination = destination,
		.logical = logical,
		.level_triggered = level,
		.vector = vector,
	};
	int ret;

	switch (mode) {
	case IOAPIC_FIXED:
	case IOAPIC_LOWEST_PRIORITY:
	case IOAPIC_NMI:
		break;
	case IOAPIC_INIT: /* stops the processor that it goes to: worth a line */
		log_limited(LOG_INFO, "I/O APIC sends INIT to APIC %#x", destination);
		break;
	default: /* no SMM here, and no 8259 behind the I/O APIC */
		log_limited(LOG_WARN, "I/O APIC entry with delivery mode %u ignored", mode);
		return;
	}
	ret = machine->vtl->ops->assert_interrupt(machine->vtl, &interrupt);
	if (ret)
		log_limited(LOG_WARN, "vector %#x for APIC %#x not asserted: errno %d", vector,
			    destination, -ret);
}

int interrupt_notify(struct vp *vp, union hv_deliverability_notifications_register more)
{
	int ret;

	more.as_uint64 |= vp->wanted.as_uint64;
	if (more.as_uint64 == vp->wanted.as_uint64)
		return 0;
	ret = vtl_vp_set(vp->vtl, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, more.as_uint64);
	if (!ret)
		vp->wanted = more;
	return ret;
}

/* On VP 0's thread: asks to be told when an external interrupt can be delivered. */
static void want_interrupt(void *ctx)
{
	const union hv_deliverability_notifications_register interrupt = { .interrupt_notification =
										   1 };
	struct vp *vp = ctx;
	int ret;

	if (!__atomic_load_n(&vp->machine->pic_asserted, __ATOMIC_ACQUIRE))
		return;
	ret = interrupt_notify(vp, interrupt);
	if (ret)
		log_limited(LOG_WARN, "no notice of interruptibility: errno %d", -ret);
}

void interrupt_from_pic(void *ctx, bool asserted)
{
	struct machine *machine = ctx;
	struct vp *vp = &machine->vps[0];

	__atomic_store_n(&machine->pic_asserted, asserted, __ATOMIC_RELEASE);
	if (asserted && event_loop_post(vp->loop, want_interrupt, vp))
		log_limited(LOG_WARN, "out of memory for an interrupt");
}

void interrupt_eoi(struct machine *machine, uint8_t vector)
{
	chipset_ioapic_eoi(machine->chipset, vector);
}

/* TLFS 10.4: the 8259 is asked for the vector only when VP 0 takes the interrupt. */
int interrupt_deliverable(struct vp *vp)
{
	union hv_register_value event = { 0 };
	int ret = 0;

	vp->wanted.interrupt_notification = 0;
	if (vp->index != 0)
		return 0;
	if (__atomic_load_n(&vp->machine->pic_asserted, __ATOMIC_ACQUIRE)) {
		event.pending_ext_int_event.event_pending = 1;
		event.pending_ext_int_event.event_type = HV_X64_PENDING_EVENT_EXT_INT;
		event.pending_ext_int_event.vector = chipset_pic_acknowledge(vp->machine->chipset);
		ret = vtl_vp_set_value(vp->vtl, HV_REGISTER_PENDING_EVENT0, &event);
	}
	want_interrupt(vp); /* there may be another one behind it */
	return ret;
}

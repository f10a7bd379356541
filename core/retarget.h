#ifndef CORE_RETARGET_H
#define CORE_RETARGET_H

#include <stddef.h>
#include <stdint.h>

/* HvCallRetargetDeviceInterrupt (TLFS, "Interrupt Controller"), taken apart. */

struct hv_input_retarget_device_interrupt;

struct retarget {
	uint32_t device_id;
	uint64_t address; /* of the interrupt's message */
	uint32_t data;
	uint32_t vp; /* the first of those that may take it: any will do for a fixed interrupt */
	uint32_t vector;
};

/*
 * in: a copy of the caller's input; `set`: the `count` eight-byte words of the hypercall's variable
 * header, which follow it. Sees VPs 0 to 63 only. 0, or -EINVAL.
 */
int retarget_parse(const struct hv_input_retarget_device_interrupt *in, const uint64_t *set,
		   size_t count, struct retarget *retarget);

#endif

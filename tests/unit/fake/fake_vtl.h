#ifndef TESTS_UNIT_FAKE_FAKE_VTL_H
#define TESTS_UNIT_FAKE_FAKE_VTL_H

#include <stdbool.h>

#include "vtl/vtl.h"

/* A VTL0 of one processor that does not run: its registers are what the test says. */
struct fake_vtl {
	struct vtl vtl;
	struct vtl_ops ops; /* its own, for tests to replace some */
	struct vtl_vp vp;
	struct vtl_registers cpu; /* the processor's own */
	uint8_t xmm[16][16];
	uint64_t interrupt_state;
	union hv_register_value pending_event;
	uint64_t notifications;           /* deliverability notifications asked for */
	unsigned int loads, stores, sets; /* calls of these operations */
	uint32_t loaded, stored;          /* classes of the last one */
	int fail;                         /* what every operation returns, when not 0 */
	struct vp_exit next_exit;         /* what run() gives */
};

/* Ready to use; *fake is the caller's. */
void fake_vtl_init(struct fake_vtl *fake);

#endif

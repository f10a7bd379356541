#ifndef PROTO_HOST_PORT_H
#define PROTO_HOST_PORT_H

#include <stdint.h>

/*
 * The message port between the paravisor and the development host: VTL0's console, VTL2's log and
 * how the run ended. It uses Hyper-V's own message mechanism: HvCallPostMessage (0x5C) to a
 * connection towards the host, and messages in SINT 7 of VP 0 (/dev/mshv_sint) towards VTL2. What
 * the messages mean is ours; docs/host-port.md says what replaces them on Hyper-V.
 *
 * Every message is an HV_MESSAGE whose type is one of host_port_type and whose payload (up to 240
 * bytes, TLFS 11.4) is given beside each type.
 */

#define HOST_PORT_CONNECTION_ID 0x45530001u
#define HOST_PORT_SINT		7
#define HOST_PORT_PAYLOAD_MAX	240

enum host_port_type {
	HOST_PORT_CONSOLE = 0x4501, /* either way: bytes of VTL0's COM1 */
	HOST_PORT_LOG = 0x4502,	    /* to the host: log level (1 byte), then one line */
	HOST_PORT_COUNTERS = 0x4503, /* to the host: struct host_port_counters */
	HOST_PORT_OUTCOME = 0x4504, /* to the host, last: struct host_port_outcome */
};

/* What VTL0 did, or what stopped it. */
enum host_port_result {
	HOST_PORT_POWER_OFF = 0, /* the guest powered itself off */
	HOST_PORT_RESET = 1,	 /* the guest asked for a reset */
	HOST_PORT_CRASH = 2,	 /* triple fault, or a crash that the guest reported */
	HOST_PORT_FAILURE = 3,	 /* the paravisor cannot go on, or could not start VTL0 */
};

struct host_port_outcome {
	uint32_t result; /* enum host_port_result */
	uint32_t reserved;
	char reason[HOST_PORT_PAYLOAD_MAX - 8]; /* not terminated when full */
};
_Static_assert(sizeof(struct host_port_outcome) == HOST_PORT_PAYLOAD_MAX, "one message");

/* Exits of VTL0 by kind since the start, summed over VPs. */
enum host_port_counter {
	HOST_PORT_EXITS_PIO,
	HOST_PORT_EXITS_MMIO,
	HOST_PORT_EXITS_MSR,
	HOST_PORT_EXITS_CPUID,
	HOST_PORT_EXITS_HYPERCALL,
	HOST_PORT_EXITS_HALT,
	HOST_PORT_EXITS_EOI,
	HOST_PORT_EXITS_WAKE, /* MSHV_RETURN_TO_LOWER_VTL ended for the event loop's sake */
	HOST_PORT_EXITS_OTHER,
	HOST_PORT_COUNTER_COUNT
};

struct host_port_counters {
	uint64_t vtl2_memory_used; /* bytes: VTL2's RAM less what its kernel has free */
	uint64_t vtl2_memory_total;
	uint64_t exits[HOST_PORT_COUNTER_COUNT];
};
_Static_assert(sizeof(struct host_port_counters) <= HOST_PORT_PAYLOAD_MAX, "one message");

#endif

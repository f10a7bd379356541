#ifndef PARAVISOR_MACHINE_H
#define PARAVISOR_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "paravisor/crash.h"
#include "paravisor/options.h"
#include "paravisor/topology.h"
#include "proto/host_port.h"

/* VTL0's machine: what all VPs share. Wired by main, before VTL0 runs. */

struct chipset;
struct get;
struct guest_memory;
struct host_port;
struct hypercall_sink;
struct io_bus;
struct relay;
struct settings;
struct network;
struct opener;
struct storage;
struct dma_pool;
struct vmbus_server;
struct vp;
struct vtl;
struct ppi;
struct vtpm;

struct machine {
	struct options options;
	struct topology topology;
	struct vtl *vtl;
	struct guest_memory *memory;
	struct io_bus *bus;
	struct chipset *chipset;
	struct host_port *host_port;
	struct get *get;            /* NULL: the host has none, and VTL0 no devices of VTL2's */
	struct settings *settings;  /* what the host wants at the start; NULL without GET */
	struct vmbus_server *vmbus; /* toward VTL0 */
	struct storage *storage;    /* NULL: none */
	struct network *network;    /* NULL: none */
	struct relay *relay;        /* NULL: VTL0 has no functions for itself */
	struct opener *opener;      /* of functions */
	struct dma_pool *pool;      /* NULL: none */
	uint64_t pool_len;          /* bytes of VTL0's RAM that VTL2 keeps for its devices */
	struct vtpm *vtpm;          /* NULL: VTL0 has no TPM */
	struct ppi *ppi;            /* its physical presence interface */
	const struct hypercall_sink *sink; /* NULL: VTL0 has no message connections */
	bool pic_asserted;                 /* atomic: the 8259s want VP 0 to take an interrupt */

	struct vp *vps; /* topology.vp_count of them */

	uint64_t mtrr_def_type; /* of all VPs at the start */
	struct crash crash;

	/* How the run ends: the first outcome counts. */
	pthread_mutex_t end_lock;
	bool ended; /* atomic; true: no VP runs VTL0 any more */
	struct host_port_outcome outcome;
	uint32_t crashed_vp; /* the last that VTL0 cannot run any more; atomic */
};

/* Any thread: ends the run. `format` gives the one-line reason. Returns at once. */
void machine_end(struct machine *machine, enum host_port_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool machine_has_ended(const struct machine *machine);

#endif

#ifndef PARAVISOR_HOST_PORT_H
#define PARAVISOR_HOST_PORT_H

#include <stddef.h>
#include <stdint.h>

/*
 * The paravisor's end of proto/host_port.h: VTL0's console both ways, the log, counters and the
 * outcome. docs/host-port.md says what replaces it on Hyper-V.
 */

struct host_port;
struct host_port_outcome;
struct machine;

/* Opens the port and sends the log there from now on. Before other threads exist. 0 or -errno. */
int host_port_create(struct host_port **port);

/* Fits struct serial_backend.transmit; ctx is the struct host_port. Any thread. */
void host_port_transmit(void *port, const uint8_t *bytes, size_t len);

/* Fits struct serial_backend.receive_ready; ctx is the struct host_port. Any thread. */
void host_port_receive_ready(void *port);

/* Lets input in: typed bytes for the machine's COM1, requests for counters. VP 0's thread. */
int host_port_start_input(struct host_port *port, struct machine *machine);

/* Sends the counters as they are now. Any thread. */
void host_port_send_counters(struct host_port *port, const struct machine *machine);

/* The last message of a run. */
void host_port_send_outcome(struct host_port *port, const struct host_port_outcome *outcome);

#endif

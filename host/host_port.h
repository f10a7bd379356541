#ifndef HOST_HOST_PORT_H
#define HOST_HOST_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/host_port.h"

/* The development host's end of proto/host_port.h. */

struct host_port;
struct partition;

/* console_fd: where VTL0's console goes. NULL when out of memory. */
struct host_port *host_port_create(struct partition *partition, int console_fd);
void host_port_destroy(struct host_port *port);

/* A message that VTL2 posted. 0 or -EINVAL. Any VP thread. */
int host_port_message(struct host_port *port, uint32_t type, const uint8_t *payload, size_t len);

/*
 * Console input for VTL0. Returns how many of the bytes were taken: fewer when VTL2 does not listen
 * yet or is behind. The main thread only.
 */
size_t host_port_input(struct host_port *port, const uint8_t *bytes, size_t len);

/* Asks VTL2 for its counters. The main thread only. */
void host_port_request_counters(struct host_port *port);

/* The counters that VTL2 sent last; zeroes before. */
void host_port_counters(struct host_port *port, struct host_port_counters *counters);

#endif

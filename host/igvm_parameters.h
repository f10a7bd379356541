#ifndef HOST_IGVM_PARAMETERS_H
#define HOST_IGVM_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

struct host_payloads;
struct partition;

/*
 * Writes what a usage (IGVM_VHT_VP_COUNT_PARAMETER and its like) asks for to the `len` bytes from
 * `to` on. -ENOSPC when they are too few, -EOPNOTSUPP for what this host cannot tell.
 */
int igvm_parameters_fill(const struct partition *partition, const struct host_payloads *payloads,
			 uint32_t type, uint8_t *to, size_t len);

/* The name of a usage, for messages. */
const char *igvm_parameters_name(uint32_t type);

#endif

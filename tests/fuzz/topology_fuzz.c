#include <stdlib.h>
#include <string.h>

#include "paravisor/topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as the host's device tree. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct topology topology;
	char error[160] = "";
	void *copy = malloc(size ? size : 1); /* exact, so that reading past it is seen; aligned */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (!topology_parse(&topology, copy, size, error, sizeof(error))) {
		if (!topology.vp_count || !topology.vtl0_count)
			abort();
	} else if (!error[0]) {
		abort(); /* no reason given */
	}
	free(copy);
	return 0;
}

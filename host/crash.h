#ifndef HOST_CRASH_H
#define HOST_CRASH_H

#include <stddef.h>
#include <stdint.h>

#include "host/memory.h"

/*
 * What a guest says of its own end (TLFS 3.14, HV_CRASH_CTL_REG_CONTENTS), as one line in `why`: the last words that
 * its memory has, which go to the log, or the parameters. `control` is what it wrote to its control register. Any thread.
 */
void host_crash_reason(const struct host_memory *memory, enum host_view view, uint64_t control,
		       const uint64_t parameters[5], char *why, size_t size);

#endif

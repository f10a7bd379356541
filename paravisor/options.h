#ifndef PARAVISOR_OPTIONS_H
#define PARAVISOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/log.h"
#include "paravisor/boot/memory_map.h"

/* What VTL2's kernel command line tells after its "--". docs/paravisor.md lists the options. */
struct options {
	struct boot_range kernel, initrd, cmdline; /* staged files; len 0: none */
	struct boot_range firmware;                /* instead of them */
	enum log_level log_level;
	bool no_tpm;          /* VTL0 gets none */
	bool tpm_fifo;        /* it has FIFO (TIS) registers instead of a CRB */
	long long wall_clock; /* UTC at start, seconds since 1970; 0: not told */
};

/* 0, or -EINVAL with one line in error[0..error_len). */
int options_parse(struct options *options, int argc, char *const argv[], char *error,
		  size_t error_len);

#endif

#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/disk_option.h"

#define HOST_MAX_VPS 64

/* The command line, checked. Strings point into argv. */
struct options {
	const char *igvm;        /* the image; NULL while VTL2's kernel may be loaded by itself */
	const char *vtl2_kernel; /* ELF vmlinux */
	const char *vtl2_initrd;
	const char *vtl2_append; /* more words for VTL2's kernel command line, or NULL */
	const char *kernel;      /* VTL0's */
	const char *initrd;      /* or NULL */
	const char *append;      /* or NULL */
	const char *log;         /* VTL2's log: a path, or NULL for none */
	const char *guest_state; /* the VMGS device: a path, or NULL for none */
	unsigned int cpus;
	uint64_t memory;      /* bytes of VTL0 RAM */
	uint64_t vtl2_memory; /* bytes of VTL2 RAM */
	unsigned int timeout; /* seconds, 0: none */
	bool no_reboot;       /* a guest reset ends the run */
	bool probe;           /* only find out whether KVM serves */
	struct disk_option disks[HOST_MAX_DISKS];
	unsigned int disk_count;
};

/*
 * Fills *options from the command line. On a mistake prints one line to standard error and returns
 * -EINVAL; after --help prints the usage and returns 1.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif

#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/key_file.h"
#include "host/disk_option.h"
#include "host/net_option.h"

#define HOST_MAX_VPS 64

/* The command line, checked. Strings point into argv. */
struct options {
	const char *igvm;        /* the image */
	const char *vtl2_append; /* the host's words for VTL2's kernel, or NULL */
	const char *kernel;      /* VTL0's, where the image leaves it to the host; or NULL */
	const char *initrd;      /* or NULL */
	const char *append;      /* or NULL */
	const char *log;         /* VTL2's log: a path, or NULL: kept for the run only */
	const char *guest_state; /* the VMGS device: a path, or NULL for none */
	bool has_tpm_key;        /* the guest's TPM seals what it keeps there */
	uint8_t tpm_key[KEY_FILE_SIZE];
	unsigned int cpus;
	uint64_t memory;      /* bytes of VTL0 RAM */
	uint64_t vtl2_memory; /* bytes of VTL2 RAM */
	unsigned int timeout; /* seconds, 0: none */
	bool no_reboot;       /* a guest reset ends the run */
	bool own_timers;      /* VTL0's stay vtlhost's, as where KVM has none */
	bool outlive_crash;   /* a guest that says that it crashed goes on */
	bool check;           /* only look at these options */
	bool probe;           /* only find out whether KVM serves */
	struct disk_option disks[HOST_MAX_DISKS];
	unsigned int disk_count;
	struct net_option net;
};

/*
 * Fills *options from the command line. On a mistake prints one line to standard error and returns
 * -EINVAL; after --help prints the usage and returns 1.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif

#ifndef IGVM_MANIFEST_H
#define IGVM_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/shim.h"

/* What an image is made of: the text that `igvmtool build` reads. docs/igvm.md has the keys. */

struct manifest {
	char *text;         /* what the strings below point into */
	unsigned int line;  /* of the error, for messages */
	uint32_t isolation; /* enum shim_isolation */
	uint32_t format;    /* version of the file format */
	uint32_t svn;
	uint64_t base;   /* GPA of VTL2's region */
	uint64_t memory; /* its size; 0: as small as its content allows */
	uint64_t shared_gpa_boundary;
	uint64_t policy;
	uint64_t sev_features;
	bool debug;
	bool host_payload;
	uint64_t vtl0_base, vtl0_top;       /* where VTL0's payload begins or ends; one of them */
	const char *shim, *kernel, *initrd; /* paths */
	const char *reset_vector;
	const char *command_line;                /* of VTL2's kernel */
	const char *payload[SHIM_PAYLOAD_COUNT]; /* paths; of the command line its words */
};

/*
 * Parses `text`, a string that becomes the manifest's, which frees it in manifest_free(). 0, or
 * -EINVAL with `*reason` (static) and the line in `manifest->line`.
 */
int manifest_parse(struct manifest *manifest, char *text, const char **reason);

void manifest_free(struct manifest *manifest);

/* The name of an isolation (enum shim_isolation) as manifests have it. */
const char *manifest_isolation_name(uint32_t isolation);

#endif

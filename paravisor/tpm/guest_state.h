#ifndef PARAVISOR_TPM_GUEST_STATE_H
#define PARAVISOR_TPM_GUEST_STATE_H

#include <stddef.h>

#include "paravisor/tpm/state.h"

/*
 * The vTPM's state in the host's VMGS, from its first byte on. docs/vtpm-process.md says what that leaves to be done.
 */

struct get;
struct guest_state;

/*
 * Reads what is there. *state, of *len bytes, is the caller's to free. 0; -ENODEV: the host has no VMGS; -EEXIST: it
 * holds something else, or is too small; -ENOMEM, -EPROTO, -errno. Before get_start().
 */
int guest_state_open(struct guest_state **out, struct get *get, void **state, size_t *len);

/* For vtpm_create(); the context is the struct guest_state. */
extern const struct vtpm_backing guest_state_backing;

#endif

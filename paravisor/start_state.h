#ifndef PARAVISOR_START_STATE_H
#define PARAVISOR_START_STATE_H

#include <stdint.h>

struct boot_vp_state;
struct vtl_vp;

/* Puts a VP of VTL0 into the state that the loader described. VP's thread. 0 or -errno. */
int start_state_set(struct vtl_vp *vp, const struct boot_vp_state *state);

/*
 * The default memory type, which firmware sets on every processor and INIT leaves alone: for the
 * VPs that VTL0 starts by itself. VP's thread. 0 or -errno.
 */
int start_state_set_memory_type(struct vtl_vp *vp, uint64_t mtrr_def_type);

#endif

#ifndef PARAVISOR_START_STATE_H
#define PARAVISOR_START_STATE_H

struct boot_vp_state;
struct vtl_vp;

/* Puts a VP of VTL0 into the state that the loader described. VP's thread. 0 or -errno. */
int start_state_set(struct vtl_vp *vp, const struct boot_vp_state *state);

#endif

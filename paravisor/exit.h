#ifndef PARAVISOR_EXIT_H
#define PARAVISOR_EXIT_H

#include <stdint.h>

/* What is done about VTL0's exits. All on the VP's thread; nothing a guest does ends the process. */

struct vp;
struct vp_exit;
struct vtl_exception;

/* Handles one exit of any kind but VP_EXIT_WAKE: VTL0 can then run again, or the run has ended. */
void exit_dispatch(struct vp *vp, const struct vp_exit *exit);

/* One per kind, in the file of that name. 0, or -errno when VTL0 cannot go on. */
int exit_pio(struct vp *vp, const struct vp_exit *exit);
int exit_memory(struct vp *vp, const struct vp_exit *exit);
int exit_msr(struct vp *vp, const struct vp_exit *exit);
int exit_cpuid(struct vp *vp, const struct vp_exit *exit);
int exit_hypercall(struct vp *vp, const struct vp_exit *exit);

/* Emulates the instruction of the exit, its memory and I/O accesses included. */
int exit_emulate(struct vp *vp, const struct vp_exit *exit);

/* Raises an exception without an address: with error code 0 where the vector has one. */
int exit_raise(struct vp *vp, uint8_t vector);

#endif

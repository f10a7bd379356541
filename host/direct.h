#ifndef HOST_DIRECT_H
#define HOST_DIRECT_H

#include <stdbool.h>

/* Registers of functions that VTL2 has given on to VTL0 (docs/vpci.md): VTL0's writes without VTL2. */

struct fault;
struct vcpu;

/*
 * Does VTL0's instruction, whose write the fault is, and goes on behind it; false: it is none of
 * these, or nothing so simple, and has done nothing. VTL2 emulates it then. The VP's thread.
 */
bool direct_write(struct vcpu *vcpu, const struct fault *fault);

#endif

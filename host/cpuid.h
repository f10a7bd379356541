#ifndef HOST_CPUID_H
#define HOST_CPUID_H

struct vcpu;

/* Gives a vCPU its CPUID: the host's, one socket of single-threaded cores, Hyper-V's leaves. */
int cpuid_install(struct vcpu *vcpu);

#endif

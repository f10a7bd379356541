#ifndef TESTS_GUESTS_GUEST_LIMITS_H
#define TESTS_GUESTS_GUEST_LIMITS_H

/* What C and assembly share. */
#define GUEST_MAPPED_GIB 64 /* identity map */
#define GUEST_MAX_CPUS   16
#define GUEST_STACK_SIZE 16384
#define GUEST_AP_PAGE    0x8000

/* struct guest_cpu */
#define CPU_RECOVERY   0
#define CPU_VECTOR     8
#define CPU_ERROR      16
#define CPU_RIP        24
#define CPU_CR2        32
#define CPU_INTERRUPTS 40
#define CPU_SIZE       64

#define GUEST_FIRST_TSS 0x20
#define GUEST_LAPIC     0xfee00000
#define GUEST_LAPIC_EOI 0xfee000b0

#endif

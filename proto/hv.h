#ifndef PROTO_HV_H
#define PROTO_HV_H

/*
 * The wire layouts and numbers of Microsoft's Hypervisor Top-Level Functional Specification (TLFS)
 * that either side of the VTL2 interface uses. Names are the specification's, in C spelling:
 * HvCallPostMessage is HV_CALL_POST_MESSAGE, HV_X64_SEGMENT_REGISTER is hv_x64_segment_register.
 * What the public text leaves out follows Linux's include/hyperv and microsoft/openvmm's hvdef.
 *
 * Everything is little-endian and x86-64 only. No code here.
 */

#include "proto/hv_cpuid.h"
#include "proto/hv_register.h"
#include "proto/hv_message.h"
#include "proto/hv_synic.h"
#include "proto/hv_hypercall.h"

#endif

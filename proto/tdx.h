#ifndef PROTO_TDX_H
#define PROTO_TDX_H

#include <assert.h>
#include <stdint.h>

/*
 * Intel TDX: what goes into MRTD while a TD is built. TDX module base specification, chapter
 * "Measurement and Attestation", and the leaf functions TDH.MEM.PAGE.ADD and TDH.MR.EXTEND.
 */

#define TDX_EXTEND_SIZE 256 /* bytes of a page for each TDH.MR.EXTEND */

/* TDH.MEM.PAGE.ADD extends MRTD by this, TDH.MR.EXTEND by this and then the 256 bytes. */
struct tdx_measured {
	char operation[16]; /* padded with zeros */
	uint64_t gpa;
	uint8_t reserved_18[104];
};
static_assert(sizeof(struct tdx_measured) == 128, "TDX module");

#define TDX_OPERATION_PAGE_ADD "MEM.PAGE.ADD"
#define TDX_OPERATION_EXTEND   "MR.EXTEND"

#define TDX_RESET_VECTOR 0xfffffff0ull /* where VPs start, in 32-bit protected mode */
#define TDX_RESET_PAGE   0xfffff000ull

#endif

#ifndef VTL_MSHV_UAPI_H
#define VTL_MSHV_UAPI_H

#include <stddef.h>
#include <stdint.h>

#include <linux/mshv.h>

/*
 * The pages that Linux's mshv_vtl driver shares with the program that runs VTL0. They are part of
 * its ABI, but no exported header describes them (drivers/hv/mshv_vtl.h in the kernel's source).
 */

/* The layout of FXSAVE (SDM vol. 1, table 10-2). */
struct mshv_fx_state {
	uint8_t legacy[160];
	uint8_t xmm[16][16];
	uint8_t reserved[96];
};
_Static_assert(sizeof(struct mshv_fx_state) == 512, "FXSAVE area");

/* Registers that the VTLs of a VP share: the driver swaps them at every switch. */
#define MSHV_CONTEXT_CR2 4 /* in RSP's place, which is not shared */

struct mshv_cpu_context {
	uint64_t gp_registers[16]; /* in the order of their encoding, but for MSHV_CONTEXT_CR2 */
	struct mshv_fx_state fx;
};

struct mshv_run_page {
	uint32_t cancel; /* nonzero: MSHV_RETURN_TO_LOWER_VTL returns EINTR; ours to clear */
	uint32_t vtl_return_action_size;
	uint32_t padding[2];
	uint8_t exit_message[MSHV_MAX_RUN_MSG_SIZE]; /* struct hv_message */
	union {
		struct mshv_cpu_context context;
		uint8_t context_room[1024];
	};
	uint8_t vtl_return_actions[MSHV_MAX_RUN_MSG_SIZE]; /* struct hv_vtl_return_action */
};
_Static_assert(offsetof(struct mshv_run_page, exit_message) == 16, "driver's ABI");
_Static_assert(offsetof(struct mshv_run_page, context) == 272, "driver's ABI");
_Static_assert(offsetof(struct mshv_run_page, context.fx) == 400, "driver's ABI");
_Static_assert(offsetof(struct mshv_run_page, vtl_return_actions) == 1296, "driver's ABI");

/* Page offsets of a CPU's pages in the VTL's file: the kind above bit 16, the CPU below. */
enum mshv_vtl_page {
	MSHV_VTL_RUN_PAGE,
	MSHV_VTL_REGISTER_PAGE
};

#define MSHV_VTL_PAGE_OFFSET(kind, cpu) ((((uint64_t)(kind) << 16) | (cpu)) * 4096)

#endif

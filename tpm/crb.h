/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRB_H
#define TPM_CRB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/io_bus.h"

/*
 * The command response buffer interface (TCG PC Client Platform TPM Profile 1.05, 6.5), localities 0 to 4. It knows
 * nothing of the engine: commands go out through submit() and answers come back through crb_complete().
 */

#define CRB_BASE       0xFED40000ull
#define CRB_SIZE       0x5000 /* five localities of a page each */
#define CRB_DATA_SIZE  (0x1000 - 0x80)
#define CRB_LOCALITIES 5

struct crb_ops {
	/*
	 * Starts a command; cmd is a copy that stays until crb_complete(), which may be called from within. 0, or -errno
	 * when the TPM is gone: the guest then sees tpmSts, a fatal error.
	 */
	int (*submit)(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len);
	bool (*established)(void *ctx);
	void (*reset_established)(void *ctx);
};

struct crb {
	const struct crb_ops *ops;
	void *ctx;
	int active;                /* the locality that has access, or -1 */
	uint8_t requested, seized; /* a bit for each locality */
	bool idle, failed, busy;
	uint32_t command_length;
	uint8_t command[CRB_DATA_SIZE]; /* what is being executed */
	uint8_t data[CRB_DATA_SIZE];    /* what the guest sees */
};

/* The handlers run under the region's lock; crb_complete() is to be called under it too. */
extern const struct io_region_ops crb_region_ops;

void crb_init(struct crb *crb, const struct crb_ops *ops, void *ctx);
/* The platform was reset. A command under way must have been completed or be dropped by the owner. */
void crb_reset(struct crb *crb);
/* The response to the command that submit() was last given; rsp NULL: the TPM failed. */
void crb_complete(struct crb *crb, const uint8_t *rsp, size_t len);

#endif

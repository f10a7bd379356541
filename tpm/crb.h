/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRB_H
#define TPM_CRB_H

#include "core/io_bus.h"
#include "tpm/interface.h"

/*
 * The command response buffer interface (TCG PC Client Platform TPM Profile 1.05, 6.5), localities 0 to 4. When a
 * command cannot be submitted the guest sees tpmSts, a fatal error.
 */

#define CRB_DATA_SIZE (0x1000 - 0x80)

struct crb {
	const struct interface_ops *ops;
	void *ctx;
	struct localities localities;
	bool idle, failed, busy;
	uint32_t command_length;
	uint8_t command[CRB_DATA_SIZE]; /* what is being executed */
	uint8_t data[CRB_DATA_SIZE];    /* what the guest sees */
};

/* The handlers run under the region's lock; crb_complete() is to be called under it too. */
extern const struct io_region_ops crb_region_ops;

void crb_init(struct crb *crb, const struct interface_ops *ops, void *ctx);
/* The platform was reset. A command under way must have been completed or be dropped by the owner. */
void crb_reset(struct crb *crb);
/* The response to the command that submit() was last given; rsp NULL: the TPM failed. */
void crb_complete(struct crb *crb, const uint8_t *rsp, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef TPM_TIS_H
#define TPM_TIS_H

#include "core/io_bus.h"
#include "tpm/interface.h"

/*
 * The FIFO interface (TCG PC Client Platform TPM Profile 1.05, 6.5.2; formerly TIS 1.3), localities 0 to 4, without
 * interrupts: drivers poll. An alternative to tpm/crb.h, chosen when the machine is made.
 */

#define TIS_BUFFER_SIZE 4096

enum tis_state {
	TIS_IDLE,
	TIS_READY,
	TIS_RECEPTION,
	TIS_EXECUTION,
	TIS_COMPLETION
};

struct tis {
	const struct interface_ops *ops;
	void *ctx;
	struct localities localities;
	enum tis_state state;
	size_t len, pos;                 /* of the buffer: bytes in it; next to be read */
	uint8_t buffer[TIS_BUFFER_SIZE]; /* the command, then the response */
};

/* The handlers run under the region's lock; tis_complete() is to be called under it too. */
extern const struct io_region_ops tis_region_ops;

void tis_init(struct tis *tis, const struct interface_ops *ops, void *ctx);
/* The response to the command that submit() was last given; rsp NULL: the TPM failed, which TPM_RC_FAILURE says. */
void tis_complete(struct tis *tis, const uint8_t *rsp, size_t len);

#endif

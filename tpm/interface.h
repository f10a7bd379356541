/* SPDX-License-Identifier: MIT */
#ifndef TPM_INTERFACE_H
#define TPM_INTERFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the guest's two kinds of registers, CRB (tpm/crb.h) and FIFO (tpm/tis.h), have in common: their place, the way
 * to the TPM, and whose turn it is (TCG PC Client Platform TPM Profile 1.05, 6.2). They know nothing of the engine.
 */

#define INTERFACE_BASE 0xFED40000ull
#define INTERFACE_SIZE 0x5000 /* five localities of a page each */
#define LOCALITIES     5

struct interface_ops {
	/*
	 * Starts a command; cmd is a copy that stays until the interface's complete(), which may be called from within.
	 * 0, or -errno when the TPM is gone.
	 */
	int (*submit)(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len);
	bool (*established)(void *ctx);
	void (*reset_established)(void *ctx);
};

/* Which locality has access, which wait for it, and which lost it to a higher one. */
struct localities {
	int active;                /* or -1 */
	uint8_t requested, seized; /* a bit for each locality */
};

void localities_reset(struct localities *l);
/* Gets access now if nobody has it, or when it is given back. */
void localities_request(struct localities *l, int locality);
/* True: it took access away from a lower one, or got it. */
bool localities_seize(struct localities *l, int locality);
/* Gives access, or the request for it, back: the highest one that waits gets it. */
void localities_relinquish(struct localities *l, int locality);

#endif

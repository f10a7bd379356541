/* SPDX-License-Identifier: MIT */
#ifndef TPM_ENGINE_POLICY_H
#define TPM_ENGINE_POLICY_H

#include "tpm/engine/modules.h"

/* policyDigest = H(policyDigest || code || ...): begin, hash_update() as needed, end. */
void policy_begin(struct hash_ctx *ctx, const struct session *s, uint32_t code);
void policy_end(struct hash_ctx *ctx, struct session *s);
void policy_extend(struct session *s, uint32_t code, struct span a, struct span b);
void policy_zero(struct session *s);

#endif

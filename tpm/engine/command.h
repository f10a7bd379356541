/* SPDX-License-Identifier: MIT */
#ifndef TPM_ENGINE_COMMAND_H
#define TPM_ENGINE_COMMAND_H

#include "proto/tpm.h"
#include "tpm/engine/engine.h"

/* Part 2, clause 9: which handles a command takes there. OR a kind with HANDLE_NULL to allow TPM_RH_NULL too. */
enum handle_kind {
	H_NONE,
	H_OBJECT,
	H_PARENT,
	H_ENTITY,
	H_PCR,
	H_SESSION, /* HMAC or policy */
	H_HMAC,
	H_POLICY,
	H_HIERARCHY,
	H_HIERARCHY_AUTH,
	H_HIERARCHY_POLICY,
	H_PLATFORM,
	H_ENDORSEMENT,
	H_PROVISION,
	H_CLEAR,
	H_LOCKOUT,
	H_NV_AUTH,
	H_NV_INDEX,
	H_CONTEXT, /* transient object or session */
	H_ACT,
	H_AC,
	HANDLE_NULL = 0x40,
};

/* Part 1, 19.2: what a handle's authorisation must be good for. */
enum auth_role {
	AUTH_NONE,
	AUTH_USER,
	AUTH_ADMIN,
	AUTH_DUP
};

#define CMD_NV          0x001 /* TPMA_CC: may write NV */
#define CMD_EXTENSIVE   0x002
#define CMD_FLUSHED     0x004
#define CMD_RHANDLE     0x008
#define CMD_DECRYPT     0x010 /* the first parameter is a TPM2B and may be encrypted */
#define CMD_ENCRYPT     0x020 /* the first response parameter likewise */
#define CMD_NO_SESSIONS 0x040
#define CMD_PP          0x080 /* TPM2_PP_Commands may make it require physical presence */
#define CMD_PP_ALWAYS   0x100
#define CMD_NV_WRITE    0x200 /* for NV indices: uses the write authorisations */
#define CMD_NO_AUDIT    0x400 /* command audit cannot be set */

struct command {
	uint32_t code;
	uint16_t flags;
	uint8_t handles[3]; /* enum handle_kind */
	uint8_t roles[2];   /* enum auth_role of the first two */
	uint32_t (*run)(struct tpm *t, struct cmd *c);
};

const struct command *command_find(uint32_t code);
/* The first command whose code is at least `code`, or NULL. */
const struct command *command_next(uint32_t code);
/* TPMA_CC. */
uint32_t command_attributes(const struct command *def);
unsigned int command_count(void);
unsigned int command_handle_count(const struct command *def);

/*
 * Parameter readers. Each takes the next parameter; after an error the rest read as zero, and args_end() returns the
 * first error with its parameter number, or TPM_RC_SIZE when bytes are left over.
 */
void arg_u8(struct cmd *c, uint8_t *v);
void arg_u16(struct cmd *c, uint16_t *v);
void arg_u32(struct cmd *c, uint32_t *v);
void arg_u64(struct cmd *c, uint64_t *v);
void arg_yes_no(struct cmd *c, bool *v);
void arg_2b(struct cmd *c, size_t max, struct span *v);
void arg_digest(struct cmd *c, struct digest *v);
void arg_hash(struct cmd *c, enum null_rule rule, uint16_t *v);
/* A handle given as a parameter; wrong kind: TPM_RC_VALUE. */
void arg_handle(struct cmd *c, uint8_t kind, uint32_t *v);
/* Notes the outcome of a read_*() as the next parameter's. */
static inline void arg_rc(struct cmd *c, uint32_t rc)
{
	c->param++;
	if (c->rc || !rc)
		return;
	c->rc = rc & RC_FMT1 ? rc_param(rc, c->param) : rc;
}

static inline uint32_t args_end(const struct cmd *c)
{
	if (c->rc)
		return c->rc;
	return c->in.left ? TPM_RC_SIZE : 0;
}

/* For readers of whole structures: arg_with(c, read_public_2b(&c->in, NO_NULL, &pub)). Skipped after an error. */
#define arg_with(c, expr) arg_rc(c, (c)->rc ? 0 : (expr))

uint32_t handle_check(uint32_t handle, uint8_t kind);

/* Hash of command code, names and parameters (Part 1, 16.7), computed once for each algorithm. */
const struct digest *cmd_cp_hash(struct tpm *t, struct cmd *c, uint16_t alg);

#endif

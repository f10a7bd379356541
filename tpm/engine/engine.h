/* SPDX-License-Identifier: MIT */
/* The state of one TPM, as its modules see it. */
#ifndef TPM_ENGINE_ENGINE_H
#define TPM_ENGINE_ENGINE_H

#include "tpm/crypto/cmac.h"
#include "tpm/crypto/drbg.h"
#include "tpm/engine/types.h"
#include "tpm/tpm.h"

#define MAX_LOADED_OBJECTS  3
#define MAX_PERSISTENT      64
#define MAX_LOADED_SESSIONS 3
#define MAX_ACTIVE_SESSIONS 64
#define MAX_NV_INDICES      256
#define NV_BUDGET           (128 * 1024) /* bytes that indices and persistent objects may take together */
#define MAX_NV_INDEX_SIZE   2048
#define SEED_SIZE           64
#define PROOF_SIZE          64
#define MAX_ORDERLY_COUNT   255
#define CC_BITMAP_SIZE      ((TPM_CC_LAST - TPM_CC_FIRST) / 8 + 1)
#define COMMIT_SLOTS        64
#define ACT_COUNT           2
#define CONTEXT_SLOT_FREE   0
#define CLOCK_UPDATE_MS     32768 /* how often Clock is saved, TPM_PT_CLOCK_UPDATE */

struct policy {
	uint16_t alg;
	struct digest digest;
};

enum object_kind {
	OBJECT_FREE,
	OBJECT_KEY,
	OBJECT_HMAC_SEQUENCE,
	OBJECT_HASH_SEQUENCE,
	OBJECT_EVENT_SEQUENCE,
	OBJECT_CMAC_SEQUENCE /* kinds are in saved states: new ones go to the end */
};

struct object {
	uint8_t kind; /* enum object_kind */
	bool public_only, external, primary, is_parent, st_clear;
	bool firmware_reset_safe;
	uint32_t hierarchy; /* TPM_RH_*; TPM_RH_NULL makes it a temporary object */
	uint32_t evict_handle;
	struct public_area pub;
	struct sensitive sens; /* of a sequence, only auth is used */
	struct name name, qualified_name;
	/* sequences */
	bool ticket_safe, first_block_seen;
	struct hash_ctx hash[HASH_COUNT];
	struct hmac_ctx hmac;
	struct cmac_ctx cmac;
	/* The private key made ready, or NULL; never saved. */
	struct rsa_key *rsa;
};

struct session {
	bool used;
	uint32_t handle;
	uint64_t context_id; /* counter value at its last save */
	uint16_t hash;
	struct sym_def sym;
	struct digest nonce, key;
	struct digest digest; /* policyDigest, or the audit digest */
	struct name bound;    /* SessionComputeBoundEntity() */
	struct digest limit;  /* cpHash, nameHash or templateHash */
	bool policy, trial, is_bound, da_bound, lockout_bound, audit, include_auth;
	bool cp_hash_set, name_hash_set, template_set;
	bool auth_value_needed, password_needed, pp_needed, check_written, written_state;
	uint8_t locality;
	uint32_t command_code;
	uint32_t pcr_counter;
	uint64_t start_time, timeout;
	uint32_t epoch;
};

struct nv_index {
	struct nv_public pub;
	struct digest auth;
	uint8_t *data; /* pub.size bytes */
};

/* What survives a loss of power. */
struct permanent {
	uint8_t eps[SEED_SIZE], sps[SEED_SIZE], pps[SEED_SIZE];
	uint8_t ph_proof[PROOF_SIZE], sh_proof[PROOF_SIZE], eh_proof[PROOF_SIZE];
	struct digest owner_auth, endorsement_auth, lockout_auth;
	struct policy owner_policy, endorsement_policy, lockout_policy;
	bool disable_clear, lockout_auth_enabled;
	bool da_used; /* a DA-protected value was used since Startup */
	uint32_t failed_tries, max_tries, recovery_time, lockout_recovery;
	bool orderly;      /* a Shutdown was done and nothing changed since */
	uint16_t shutdown; /* its type, when orderly */
	bool startup_locality3, drtm_before_startup;
	uint32_t reset_count, restart_count;
	uint64_t total_reset_count, clock, audit_counter, max_counter;
	bool clock_safe;
	uint16_t audit_hash;
	uint8_t audit_commands[CC_BITMAP_SIZE], pp_commands[CC_BITMAP_SIZE];
	uint8_t pcr_allocated[HASH_COUNT][PCR_SELECT_SIZE];
	/* set by PCR_Allocate, takes effect at the next TPM Reset */
	bool pcr_reconfig;
	uint8_t pcr_next[HASH_COUNT][PCR_SELECT_SIZE];
	struct policy pcr_policy;
	uint32_t algorithm_set;
	uint64_t object_id; /* never repeats: sequence number of object contexts */
	struct nv_index *nv[MAX_NV_INDICES];
	struct object *persistent[MAX_PERSISTENT];
};

/* Reset by TPM Reset only (saved by Shutdown(STATE)). */
struct state_reset {
	uint8_t null_proof[PROOF_SIZE], null_seed[SEED_SIZE];
	uint32_t clear_count;
	uint64_t context_counter;
	uint16_t contexts
		[MAX_ACTIVE_SESSIONS]; /* 0: free; <= MAX_LOADED_SESSIONS: loaded slot + 1; else a saved id */
	struct digest audit_digest;
	uint32_t pcr_counter;
	uint64_t commit_counter;
	uint8_t commit_nonce[32];
	uint8_t commit_used[COMMIT_SLOTS / 8];
};

/* An authenticated countdown timer, while the TPM has power (act.c). */
struct act {
	uint32_t timeout;         /* seconds that are left */
	bool signaled, preserved; /* TPMA_ACT */
	bool updated;             /* by TPM2_ACT_SetTimeout since Startup */
};

/* Of one, what Shutdown(STATE) keeps; timeout and signaled are as they were then. */
struct act_saved {
	uint32_t timeout;
	bool signaled;
	struct policy policy;
};

/* Reset by TPM Reset and TPM Restart. */
struct state_clear {
	bool sh_enable, eh_enable, ph_enable_nv;
	struct digest platform_auth;
	struct policy platform_policy;
	struct digest pcr_auth;
	uint8_t pcr[HASH_COUNT][PCR_COUNT][HASH_MAX_SIZE];
	struct act_saved act[ACT_COUNT];
};

struct tpm {
	const struct tpm_platform *platform;
	void *ctx;
	struct permanent p;
	struct state_reset r;
	struct state_clear c;

	/* Gone with the power. */
	bool started, failed, ph_enable;
	bool was_orderly; /* the power-down before this Startup was */
	bool dirty; /* the permanent state changed and must be committed before the response goes out */
	bool aged; /* it changed in what no response depends on, and may be committed later */
	uint8_t locality;
	uint64_t time;     /* TPMS_TIME_INFO.time */
	uint64_t last_now; /* platform time that `time` and `p.clock` stand at */
	uint64_t clock_saved;
	int clock_rate; /* parts in CLOCK_RATE_UNIT by which Clock is fast */
	uint64_t clock_fraction;
	uint32_t epoch; /* changes when Time becomes discontinuous */
	uint64_t self_heal_time, lockout_time;
	uint32_t exclusive_audit;
	struct act act[ACT_COUNT];
	struct object objects[MAX_LOADED_OBJECTS];
	struct session sessions[MAX_LOADED_SESSIONS];
	struct drbg rng;
	bool hash_running, drtm_pending, established;
	struct hash_ctx drtm_hash[HASH_COUNT];
	uint8_t *blob; /* TPM_MAX_BLOB bytes for saving state */
	uint8_t command[TPM_MAX_COMMAND];
};

#define MAX_SESSIONS 3
#define NO_SESSION   (-1)

/* One session of a command's authorisation area. */
struct auth {
	uint32_t handle;
	uint8_t attributes;
	struct digest nonce, hmac;
	uint32_t entity; /* the handle it authorises, or TPM_RH_UNASSIGNED */
	struct session *session;
};

/* A command under way. */
struct cmd {
	const struct command *def;
	uint32_t code;
	uint32_t handles[3];
	struct reader in;
	uint8_t *params; /* in the engine's own copy, so that decryption can be in place */
	size_t params_len;
	unsigned int param; /* parameters read so far */
	uint32_t rc;        /* the first error of a parameter */
	struct writer out;
	uint32_t rsp_handle;
	uint32_t flush_handle; /* object to flush after the response, or 0 */
	struct auth auth[MAX_SESSIONS];
	int auth_count, decrypt, encrypt, audit;
	struct digest cp_hash[HASH_COUNT];
	bool flush_audit_digest; /* GetCommandAuditDigest succeeded */
};

static inline uint32_t rc_param(uint32_t rc, unsigned int n)
{
	return rc + TPM_RC_P + n * TPM_RC_1;
}
static inline uint32_t rc_handle(uint32_t rc, unsigned int n)
{
	return rc + TPM_RC_H + n * TPM_RC_1;
}

/* Marks the permanent state as changed. */
static inline void tpm_dirty(struct tpm *t)
{
	t->dirty = true;
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the engine's modules offer each other. Functions returning uint32_t return a TPM_RC. */
#ifndef TPM_ENGINE_MODULES_H
#define TPM_ENGINE_MODULES_H

#include "tpm/engine/command.h"

/* entity.c: anything with a handle */
uint32_t entity_check_loaded(struct tpm *t, struct cmd *c);
void entity_name(struct tpm *t, uint32_t handle, struct name *name);
/* The authorisation value without trailing zeros. */
void entity_auth(struct tpm *t, uint32_t handle, struct digest *auth);
/* Its policy; digest->len 0 when it has none. Returns the policy's hash. */
uint16_t entity_policy(struct tpm *t, uint32_t handle, struct digest *digest);
/* Of a hierarchy or lockout; NULL for other handles. */
struct digest *permanent_auth(struct tpm *t, uint32_t handle);
struct policy *permanent_policy(struct tpm *t, uint32_t handle);
uint32_t entity_hierarchy(struct tpm *t, uint32_t handle);
bool entity_da_exempt(struct tpm *t, uint32_t handle);

/* hierarchy.c */
bool hierarchy_enabled(struct tpm *t, uint32_t hierarchy);
const uint8_t *hierarchy_proof(struct tpm *t, uint32_t hierarchy);
const uint8_t *hierarchy_seed(struct tpm *t, uint32_t hierarchy);
uint32_t hierarchy_clear(struct tpm *t); /* what TPM2_Clear does */
uint32_t hierarchy_new_null(struct tpm *t);
uint32_t permanent_init(struct tpm *t); /* manufacture: fresh seeds and default values */

/* object.c */
struct object *object_get(struct tpm *t, uint32_t handle);
/* A free slot, whose handle is stored; TPM_RC_OBJECT_MEMORY when there is none. Not yet marked used. */
uint32_t object_new(struct tpm *t, struct object **object, uint32_t *handle);
void object_free(struct object *object);
void object_flush(struct tpm *t, uint32_t handle);
void object_flush_hierarchy(struct tpm *t, uint32_t hierarchy);
/* Persistent ones too: its seed changes. */
void object_delete_hierarchy(struct tpm *t, uint32_t hierarchy);
void persistent_delete(struct tpm *t, int i);
void object_name(const struct public_area *pub, struct name *name);
void object_qualified_name(const struct name *parent, uint16_t alg, const struct name *name,
			   struct name *out);
bool object_is_storage_parent(const struct object *o);
bool object_is_derivation_parent(const struct public_area *pub);
bool object_is_sequence(const struct object *o);
void object_xfer(struct xfer *x, struct object *o);
/* The RSA key made ready; NULL when the object has none or memory is short. Owned by the object. */
struct rsa_key *object_rsa(struct object *o);
struct object *persistent_find(struct tpm *t, uint32_t handle);
/* Bytes of NV that an object takes, and what is left of the budget. */
size_t persistent_size(const struct object *o);
size_t nv_space_left(struct tpm *t);

/* object_check.c: Part 1, clause 26 and 27; Part 2, 12.2 */
uint32_t public_check(struct tpm *t, const struct object *parent, bool creating,
		      const struct public_area *pub, bool has_data);
uint32_t scheme_check(const struct object *parent, const struct public_area *pub);
/* The sensitive area against the public one, for a key that came from outside. */
/* blame_*: added to errors that one of the two areas is at fault for. */
uint32_t sensitive_check(struct tpm *t, struct object *o, uint32_t blame_public,
			 uint32_t blame_sensitive);
void symmetric_unique(struct public_area *pub, const struct sensitive *s, struct digest *out);

/* object_create.c */
struct create_in {
	struct digest auth;
	struct span data;
	const struct public_area *pub;
};
uint32_t object_make(struct tpm *t, struct object *o, const struct create_in *in, struct drbg *rng);
/* Marks it loaded: below parent, or at the top of the hierarchy when parent is NULL. */
void object_place(struct object *o, const struct object *parent, uint32_t hierarchy);

/* protect.c: wrapping for storage, duplication and credentials (Part 1, clauses 22 to 24) */
struct protection {
	uint16_t hash;      /* the parent's nameAlg */
	struct sym_def sym; /* its symmetric algorithm */
	struct span seed;
	const struct name *name;
	bool iv; /* a random IV goes before the cipher text */
};
/* Appends TPM2B integrity [|| TPM2B iv] || cipher text; data is encrypted in place. */
void protect_outer(struct tpm *t, const struct protection *p, uint8_t *data, size_t len,
		   struct writer *w);
/* TPM_RC_INTEGRITY, or TPM_RC_SIZE/INSUFFICIENT; the plain text is left in out, which has max bytes. */
uint32_t unprotect_outer(const struct protection *p, struct span in, uint8_t *out, size_t max,
			 size_t *len);
/* Appends a TPM2B_SENSITIVE; zeros behind the authorisation value hide its length from who sees the encrypted size. */
void write_padded_sensitive(struct writer *w, const struct object *o);
/* Appends a TPM2B_PRIVATE for o below parent. */
void protect_private(struct tpm *t, const struct object *parent, const struct object *o,
		     struct writer *w);
uint32_t unprotect_private(const struct object *parent, struct span priv, const struct name *name,
			   struct sensitive *sens);
/* TPM2B_SENSITIVE from plain text. */
uint32_t sensitive_parse(const uint8_t *buf, size_t len, struct sensitive *sens);
/* Makes a seed for `to` and appends it encrypted (RSA-OAEP or ECDH) as a TPM2B_ENCRYPTED_SECRET. */
uint32_t secret_make(struct tpm *t, struct object *to, const char *label, struct digest *seed,
		     struct writer *w);
uint32_t secret_open(struct tpm *t, struct object *key, const char *label, struct span secret,
		     struct digest *seed);

/* crypto_cmd.c: is the first handle a key of this type, and one for decryption with none of the forbidden attributes? */
uint32_t key_check_type(const struct object *key, uint16_t type);
uint32_t key_check_decrypt(const struct object *key, uint16_t type, uint32_t forbidden);

/* sign.c */
/* A key with the sign attribute that can make signatures. */
bool sign_capable(const struct object *key);
/* Replaces a TPM_ALG_NULL scheme by the key's, and checks the rest. */
uint32_t sign_select_scheme(const struct object *key, struct scheme *scheme);
uint32_t sign_digest(struct tpm *t, struct object *key, const struct scheme *scheme,
		     const struct digest *digest, struct signature *sig);
uint32_t sign_verify(struct tpm *t, struct object *key, const struct digest *digest,
		     const struct signature *sig);
void ticket_make(struct tpm *t, uint16_t tag, uint32_t hierarchy, struct span a, struct span b,
		 struct ticket *ticket);
/* Part 3, 18.2: the key of an ECDAA commit counter, and its use. */
bool commit_key(struct tpm *t, uint16_t counter, uint16_t curve, const struct name *name,
		struct ecc_num *r);
uint16_t commit_next(struct tpm *t, uint16_t curve, const struct name *name, struct ecc_num *r);
void commit_end(struct tpm *t, uint16_t counter);
bool ecc_scheme_needs_commit(uint16_t scheme);

/* session.c, session_auth.c */
struct session *session_get(struct tpm *t, uint32_t handle);
/* TPM_RC_REFERENCE_H0 when no session has that number, TPM_RC_HANDLE when one of the other type has. */
uint32_t session_check_handle(struct tpm *t, uint32_t handle);
bool session_is_active(struct tpm *t, uint32_t handle);
void session_flush(struct tpm *t, uint32_t handle);
uint32_t session_create(struct tpm *t, bool policy, struct session **s);
void session_bound_entity(struct tpm *t, uint32_t handle, struct name *out);
void session_reset_policy(struct tpm *t, struct session *s);
void session_xfer(struct xfer *x, struct session *s);
uint32_t session_context_save(struct tpm *t, uint32_t handle, uint64_t *id);
uint32_t session_context_load(struct tpm *t, const struct session *saved, uint64_t id);
void session_startup(struct tpm *t, bool keep);
bool session_pcr_current(struct tpm *t, const struct session *s);
uint32_t session_parse(struct tpm *t, struct cmd *c, struct reader *area);
uint32_t session_check(struct tpm *t, struct cmd *c);
uint32_t session_check_none(struct tpm *t, struct cmd *c);
/* Nonces, encryption of the first response parameter, audit, and the response's authorisation area. */
void session_respond(struct tpm *t, struct cmd *c, uint8_t *params, size_t len, struct writer *w,
		     bool sessions);
void session_drop_entity(struct cmd *c, uint32_t handle);

/* da.c */
uint32_t da_check(struct tpm *t, bool lockout);
uint32_t da_failure(struct tpm *t, struct auth *a);
void da_defaults(struct tpm *t);
void da_self_heal(struct tpm *t);
void da_startup(struct tpm *t, bool orderly);

/* nv.c */
struct nv_index *nv_find(struct tpm *t, uint32_t handle);
uint32_t nv_accessible(struct tpm *t, uint32_t handle);
void nv_name(const struct nv_index *index, struct name *name);
void nv_free(struct nv_index *index);
void nv_delete(struct tpm *t, uint32_t handle);
unsigned int nv_type(const struct nv_index *index);
uint64_t nv_get_u64(const struct nv_index *index);
void nv_set_u64(struct tpm *t, struct nv_index *index, uint64_t v);
bool nv_is_pin(const struct nv_index *index);
uint32_t nv_write_access(struct tpm *t, uint32_t auth_handle, uint32_t nv_handle);
uint32_t nv_read_access(struct tpm *t, uint32_t auth_handle, uint32_t nv_handle);
void nv_xfer(struct xfer *x, struct nv_index *index);
void nv_startup(struct tpm *t, bool resume, bool reset, bool orderly);
void nv_clear_owner(struct tpm *t);
size_t nv_index_cost(const struct nv_index *index);
struct nv_index *nv_alloc(size_t size);

/* pcr.c */
bool pcr_allocated(const struct tpm *t, uint16_t alg, unsigned int pcr);
unsigned int hash_index(uint16_t alg);
void pcr_startup(struct tpm *t, bool clear, uint8_t locality);
void pcr_extend(struct tpm *t, unsigned int pcr, uint16_t alg, const uint8_t *digest);
void pcr_changed(struct tpm *t, unsigned int pcr);
bool pcr_extend_allowed(struct tpm *t, unsigned int pcr);
bool pcr_reset_allowed(struct tpm *t, unsigned int pcr);
bool pcr_in_policy_group(unsigned int pcr);
bool pcr_in_auth_group(unsigned int pcr);
bool pcr_state_saved(unsigned int pcr);
uint8_t pcr_property_locality(unsigned int pcr, bool reset);
bool pcr_no_increment(unsigned int pcr);
/* Drops from the selection what is not allocated. */
void pcr_filter(struct tpm *t, struct pcr_selections *sel);
void pcr_digest(struct tpm *t, struct pcr_selections *sel, uint16_t alg, struct digest *out);
void pcr_drtm(struct tpm *t);
void pcr_default_allocation(struct tpm *t);
void pcr_current_allocation(struct tpm *t, struct pcr_selections *sel);
/* Event data to one digest for each allocated bank. */
void pcr_hcrtm(struct tpm *t, const uint8_t digests[HASH_COUNT][HASH_MAX_SIZE]);

/* clock.c */
void clock_update(struct tpm *t);
void write_time_info(struct tpm *t, struct writer *w);
void write_clock_info(struct tpm *t, struct writer *w);
uint64_t clock_firmware_version(void);

/* act.c: the authenticated countdown timers, n below ACT_COUNT */
uint32_t act_handle(unsigned int n);
bool act_exists(uint32_t handle);
/* NULL for other handles. */
struct policy *act_policy(struct tpm *t, uint32_t handle);
/* So many seconds have gone by since Startup or the last call. */
void act_tick(struct tpm *t, uint64_t seconds);
void act_startup(struct tpm *t, bool resume);
void act_shutdown(struct tpm *t);
/* Appends a TPMS_ACT_DATA. */
void act_write(const struct tpm *t, unsigned int n, struct writer *w);

/* audit.c */
bool bitmap_get(const uint8_t *map, uint32_t code);
void bitmap_set(uint8_t *map, uint32_t code, bool v);

/* capability.c */
bool algorithm_known(uint16_t alg);
bool command_pp_required(struct tpm *t, const struct command *def);

/* selftest.c */
/* Not full: what a start waits for. */
uint32_t selftest_run(struct tpm *t, bool full);

/* startup.c */

/* persist.c */
void state_xfer_reset(struct xfer *x, struct state_reset *r);
void state_xfer_clear(struct xfer *x, struct state_clear *c);
int permanent_load(struct tpm *t, const void *blob, size_t len);
int permanent_commit(struct tpm *t);
/* Has what changed committed, at once or soon. 0 or an error, which is failure mode. */
int permanent_keep(struct tpm *t);
void permanent_free(struct tpm *t);

#endif

// SPDX-License-Identifier: MIT
/* State as bytes: permanent (committed to the platform) and volatile (for suspend and resume). docs/vtpm.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

#define PERMANENT_MAGIC 0x45505631 /* "EPV1" */
#define VOLATILE_MAGIC  0x45565631 /* "EVV1" */
#define STATE_VERSION   2          /* 1 has no timers */
#define HEADER_SIZE     12         /* magic, version, payload length */
#define CHECKSUM_SIZE   32         /* SHA-256 of everything before it */

static void xfer_digest(struct xfer *x, struct digest *d)
{
	xfer_counted(x, &d->len, d->bytes, sizeof(d->bytes));
}

static void xfer_policy(struct xfer *x, struct policy *p)
{
	xfer_u16(x, &p->alg);
	xfer_digest(x, &p->digest);
	if (p->digest.len != hash_size(p->alg))
		x->bad = true;
}

static void xfer_secrets(struct xfer *x, struct permanent *p)
{
	xfer_bytes(x, p->eps, SEED_SIZE);
	xfer_bytes(x, p->sps, SEED_SIZE);
	xfer_bytes(x, p->pps, SEED_SIZE);
	xfer_bytes(x, p->ph_proof, PROOF_SIZE);
	xfer_bytes(x, p->sh_proof, PROOF_SIZE);
	xfer_bytes(x, p->eh_proof, PROOF_SIZE);
	xfer_digest(x, &p->owner_auth);
	xfer_digest(x, &p->endorsement_auth);
	xfer_digest(x, &p->lockout_auth);
	xfer_policy(x, &p->owner_policy);
	xfer_policy(x, &p->endorsement_policy);
	xfer_policy(x, &p->lockout_policy);
}

static void xfer_settings(struct xfer *x, struct permanent *p)
{
	xfer_bool(x, &p->disable_clear);
	xfer_bool(x, &p->lockout_auth_enabled);
	xfer_bool(x, &p->da_used);
	xfer_u32(x, &p->failed_tries);
	xfer_u32(x, &p->max_tries);
	xfer_u32(x, &p->recovery_time);
	xfer_u32(x, &p->lockout_recovery);
	xfer_bool(x, &p->orderly);
	xfer_u16(x, &p->shutdown);
	xfer_bool(x, &p->startup_locality3);
	xfer_bool(x, &p->drtm_before_startup);
	xfer_u32(x, &p->reset_count);
	xfer_u32(x, &p->restart_count);
	xfer_u64(x, &p->total_reset_count);
	xfer_u64(x, &p->clock);
	xfer_u64(x, &p->audit_counter);
	xfer_u64(x, &p->max_counter);
	xfer_bool(x, &p->clock_safe);
	xfer_u16(x, &p->audit_hash);
	if (!hash_size(p->audit_hash))
		x->bad = true;
	xfer_bytes(x, p->audit_commands, sizeof(p->audit_commands));
	xfer_bytes(x, p->pp_commands, sizeof(p->pp_commands));
	xfer_bytes(x, p->pcr_allocated, sizeof(p->pcr_allocated));
	xfer_bool(x, &p->pcr_reconfig);
	xfer_bytes(x, p->pcr_next, sizeof(p->pcr_next));
	xfer_policy(x, &p->pcr_policy);
	xfer_u32(x, &p->algorithm_set);
	xfer_u64(x, &p->object_id);
}

static void xfer_indices(struct xfer *x, struct permanent *p)
{
	uint16_t count = 0;

	for (int i = 0; x->saving && i < MAX_NV_INDICES; i++)
		count += p->nv[i] != NULL;
	xfer_u16(x, &count);
	if (count > MAX_NV_INDICES)
		x->bad = true;
	for (int i = 0, done = 0; i < MAX_NV_INDICES && done < count && !x->bad; i++) {
		uint16_t size = p->nv[i] ? p->nv[i]->pub.size : 0;

		if (x->saving && !p->nv[i])
			continue;
		done++;
		xfer_u16(x, &size);
		if (size > MAX_NV_INDEX_SIZE || x->bad) {
			x->bad = true;
			return;
		}
		if (!x->saving) {
			p->nv[i] = nv_alloc(size);
			if (!p->nv[i]) {
				x->bad = true;
				return;
			}
			p->nv[i]->pub.size = size;
		}
		nv_xfer(x, p->nv[i]);
	}
}

static void xfer_persistent(struct xfer *x, struct permanent *p)
{
	uint16_t count = 0;

	for (int i = 0; x->saving && i < MAX_PERSISTENT; i++)
		count += p->persistent[i] != NULL;
	xfer_u16(x, &count);
	if (count > MAX_PERSISTENT)
		x->bad = true;
	for (int i = 0, done = 0; i < MAX_PERSISTENT && done < count && !x->bad; i++) {
		if (x->saving && !p->persistent[i])
			continue;
		done++;
		if (!x->saving) {
			p->persistent[i] = calloc(1, sizeof(struct object));
			if (!p->persistent[i]) {
				x->bad = true;
				return;
			}
		}
		object_xfer(x, p->persistent[i]);
		if (p->persistent[i]->kind != OBJECT_KEY ||
		    TPM_HANDLE_TYPE(p->persistent[i]->evict_handle) != TPM_HT_PERSISTENT)
			x->bad = true;
	}
}

void state_xfer_reset(struct xfer *x, struct state_reset *r)
{
	xfer_bytes(x, r->null_proof, PROOF_SIZE);
	xfer_bytes(x, r->null_seed, SEED_SIZE);
	xfer_u32(x, &r->clear_count);
	xfer_u64(x, &r->context_counter);
	for (int i = 0; i < MAX_ACTIVE_SESSIONS; i++)
		xfer_u16(x, &r->contexts[i]);
	xfer_digest(x, &r->audit_digest);
	xfer_u32(x, &r->pcr_counter);
	xfer_u64(x, &r->commit_counter);
	xfer_bytes(x, r->commit_nonce, sizeof(r->commit_nonce));
	xfer_bytes(x, r->commit_used, sizeof(r->commit_used));
}

static void xfer_timers(struct xfer *x, struct state_clear *c)
{
	for (int i = 0; i < ACT_COUNT; i++) {
		struct act_saved *act = &c->act[i];

		if (x->version < 2) {
			*act = (struct act_saved){ .policy.alg = TPM_ALG_NULL };
			continue;
		}
		xfer_u32(x, &act->timeout);
		xfer_bool(x, &act->signaled);
		xfer_policy(x, &act->policy);
	}
}

void state_xfer_clear(struct xfer *x, struct state_clear *c)
{
	xfer_bool(x, &c->sh_enable);
	xfer_bool(x, &c->eh_enable);
	xfer_bool(x, &c->ph_enable_nv);
	xfer_digest(x, &c->platform_auth);
	xfer_policy(x, &c->platform_policy);
	xfer_digest(x, &c->pcr_auth);
	xfer_bytes(x, c->pcr, sizeof(c->pcr));
	xfer_timers(x, c);
}

static void xfer_permanent(struct tpm *t, struct xfer *x)
{
	bool with_state = t->p.orderly && t->p.shutdown == TPM_SU_STATE;

	xfer_secrets(x, &t->p);
	xfer_settings(x, &t->p);
	xfer_indices(x, &t->p);
	xfer_persistent(x, &t->p);
	xfer_bool(x, &with_state);
	if (with_state) {
		state_xfer_reset(x, &t->r);
		state_xfer_clear(x, &t->c);
	} else if (t->p.orderly && t->p.shutdown == TPM_SU_STATE) {
		x->bad = true;
	}
}

static void xfer_running_timers(struct xfer *x, struct tpm *t)
{
	for (int i = 0; i < ACT_COUNT; i++) {
		xfer_u32(x, &t->act[i].timeout);
		xfer_bool(x, &t->act[i].signaled);
		xfer_bool(x, &t->act[i].preserved);
		xfer_bool(x, &t->act[i].updated);
	}
}

static void xfer_volatile(struct tpm *t, struct xfer *x)
{
	state_xfer_reset(x, &t->r);
	state_xfer_clear(x, &t->c);
	xfer_bool(x, &t->started);
	xfer_bool(x, &t->failed);
	xfer_bool(x, &t->ph_enable);
	xfer_bool(x, &t->was_orderly);
	xfer_bool(x, &t->established);
	xfer_bool(x, &t->drtm_pending);
	xfer_u64(x, &t->time);
	xfer_u64(x, &t->p.clock);
	xfer_u64(x, &t->clock_saved);
	xfer_u32(x, &t->epoch);
	xfer_u64(x, &t->self_heal_time);
	xfer_u64(x, &t->lockout_time);
	xfer_u32(x, &t->exclusive_audit);
	for (int i = 0; i < MAX_LOADED_OBJECTS; i++)
		object_xfer(x, &t->objects[i]);
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
		session_xfer(x, &t->sessions[i]);
	if (x->version >= 2)
		xfer_running_timers(x, t);
}

static long save(struct tpm *t, uint32_t magic, void (*body)(struct tpm *, struct xfer *),
		 uint8_t *buf, size_t max)
{
	struct writer w = { .buf = buf, .max = max };
	struct xfer x = { .saving = true, .version = STATE_VERSION, .out = &w };
	uint8_t sum[CHECKSUM_SIZE];
	struct writer patch;

	write_u32(&w, magic);
	write_u32(&w, STATE_VERSION);
	write_u32(&w, 0);
	body(t, &x);
	if (w.overflow)
		return -ENOSPC;
	patch = (struct writer){ .buf = buf + 8, .max = 4 };
	write_u32(&patch, (uint32_t)(w.len - HEADER_SIZE));
	hash_buf(TPM_ALG_SHA256, buf, w.len, sum);
	write_bytes(&w, sum, sizeof(sum));
	return w.overflow ? -ENOSPC : (long)w.len;
}

static int load(struct tpm *t, uint32_t magic, void (*body)(struct tpm *, struct xfer *),
		const uint8_t *buf, size_t len)
{
	struct reader r = { buf, len };
	uint32_t m, version, size;
	uint8_t sum[CHECKSUM_SIZE];
	struct xfer x = { 0 };

	if (!read_u32(&r, &m) || !read_u32(&r, &version) || !read_u32(&r, &size))
		return -EBADMSG;
	if (m != magic || !version || version > STATE_VERSION ||
	    r.left != (uint64_t)size + CHECKSUM_SIZE)
		return -EBADMSG;
	hash_buf(TPM_ALG_SHA256, buf, len - CHECKSUM_SIZE, sum);
	if (memcmp(sum, buf + len - CHECKSUM_SIZE, CHECKSUM_SIZE))
		return -EBADMSG;
	x.version = version;
	x.in = (struct reader){ r.pos, size };
	body(t, &x);
	return x.bad || x.in.left ? -EBADMSG : 0;
}

static int commit(struct tpm *t, int (*give)(void *ctx, const void *blob, size_t len))
{
	long len = save(t, PERMANENT_MAGIC, xfer_permanent, t->blob, TPM_MAX_BLOB);
	int err;

	if (len < 0)
		return (int)len;
	err = give(t->ctx, t->blob, (size_t)len);
	mbedtls_platform_zeroize(t->blob, (size_t)len);
	if (!err)
		t->dirty = t->aged = false;
	return err;
}

int permanent_commit(struct tpm *t)
{
	return commit(t, t->platform->commit);
}

int permanent_keep(struct tpm *t)
{
	int err;

	if (t->dirty || (t->aged && !t->platform->commit_soon))
		return permanent_commit(t);
	if (!t->aged)
		return 0;
	err = commit(t, t->platform->commit_soon);
	return err == -EBUSY ? 0 : err; /* with another command */
}

int permanent_load(struct tpm *t, const void *blob, size_t len)
{
	return load(t, PERMANENT_MAGIC, xfer_permanent, blob, len);
}

void permanent_free(struct tpm *t)
{
	for (int i = 0; i < MAX_NV_INDICES; i++)
		nv_free(t->p.nv[i]);
	for (int i = 0; i < MAX_PERSISTENT; i++) {
		if (!t->p.persistent[i])
			continue;
		object_free(t->p.persistent[i]);
		free(t->p.persistent[i]);
	}
	mbedtls_platform_zeroize(&t->p, sizeof(t->p));
}

long tpm_save_permanent(struct tpm *t, void *buf, size_t max)
{
	return save(t, PERMANENT_MAGIC, xfer_permanent, buf, max);
}

long tpm_save_volatile(struct tpm *t, void *buf, size_t max)
{
	return save(t, VOLATILE_MAGIC, xfer_volatile, buf, max);
}

int tpm_load_volatile(struct tpm *t, const void *buf, size_t len)
{
	int err;

	for (int i = 0; i < MAX_LOADED_OBJECTS; i++)
		object_free(&t->objects[i]);
	memset(t->sessions, 0, sizeof(t->sessions));
	err = load(t, VOLATILE_MAGIC, xfer_volatile, buf, len);
	if (err) {
		tpm_reset(t);
		return err;
	}
	t->last_now = t->platform->now_ms(t->ctx);
	return 0;
}

static int entropy(void *arg, unsigned char *out, size_t len)
{
	struct tpm *t = arg;

	return t->platform->random(t->ctx, out, len);
}

struct tpm *tpm_create(const struct tpm_platform *platform, void *ctx, const void *permanent,
		       size_t len, int *err)
{
	struct tpm *t = calloc(1, sizeof(*t));

	*err = -ENOMEM;
	if (!t)
		return NULL;
	t->platform = platform;
	t->ctx = ctx;
	t->blob = malloc(TPM_MAX_BLOB);
	if (!t->blob)
		goto free_tpm;
	*err = drbg_init(&t->rng, entropy, t);
	if (*err)
		goto free_blob;
	if (len)
		*err = permanent_load(t, permanent, len);
	else
		*err = permanent_init(t) ? -EIO : 0;
	/* A new state is committed before the first response, as any other change is. */
	if (!len)
		tpm_dirty(t);
	if (!*err && selftest_run(t, false))
		*err = -EIO;
	if (*err)
		goto free_state;
	tpm_reset(t);
	return t;
free_state:
	permanent_free(t);
	drbg_free(&t->rng);
free_blob:
	free(t->blob);
free_tpm:
	mbedtls_platform_zeroize(t, sizeof(*t));
	free(t);
	return NULL;
}

void tpm_destroy(struct tpm *t)
{
	if (!t)
		return;
	for (int i = 0; i < MAX_LOADED_OBJECTS; i++)
		object_free(&t->objects[i]);
	permanent_free(t);
	drbg_free(&t->rng);
	mbedtls_platform_zeroize(t->blob, TPM_MAX_BLOB);
	free(t->blob);
	mbedtls_platform_zeroize(t, sizeof(*t));
	free(t);
}

// SPDX-License-Identifier: MIT
/* Context management (Part 3, clause 28; Part 1, clause 30). */
#include <stdlib.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define SAVED_OBJECT   0x80000000
#define SAVED_SEQUENCE 0x80000001
#define SAVED_ST_CLEAR 0x80000002
#define CONTEXT_HASH   TPM_ALG_SHA512
#define CONTEXT_MAX    2600 /* an object with a 4096-bit key, or a sequence of every hash */

/* TPMS_CONTEXT without the blob */
struct context {
	uint64_t sequence;
	uint32_t handle, hierarchy;
};

static void context_id(const struct context *ctx, uint8_t id[12])
{
	struct writer w = { .buf = id, .max = 12 };

	write_u64(&w, ctx->sequence);
	write_u32(&w, ctx->handle);
}

static void context_crypt(struct tpm *t, const struct context *ctx, bool encrypt, uint8_t *data,
			  size_t len)
{
	uint8_t key[32 + SYM_BLOCK], id[12];

	context_id(ctx, id);
	kdf_a(CONTEXT_HASH, (struct span){ hierarchy_proof(t, ctx->hierarchy), PROOF_SIZE },
	      "CONTEXT", (struct span){ id, 8 }, (struct span){ id + 8, 4 }, sizeof(key) * 8, key);
	sym_cfb(TPM_ALG_AES, 256, key, encrypt, key + 32, data, len);
	mbedtls_platform_zeroize(key, sizeof(key));
}

/* A context is good until the next TPM Reset; an stClear object's also only until a TPM Restart. */
static void context_mac(struct tpm *t, const struct context *ctx, const uint8_t *data, size_t len,
			struct digest *mac)
{
	uint8_t epoch[24];
	struct writer w = { .buf = epoch, .max = sizeof(epoch) };
	struct hmac_ctx h;

	write_u64(&w, t->p.total_reset_count);
	if (ctx->handle == SAVED_ST_CLEAR)
		write_u32(&w, t->r.clear_count);
	write_u64(&w, ctx->sequence);
	write_u32(&w, ctx->handle);
	hmac_start(&h, CONTEXT_HASH, hierarchy_proof(t, ctx->hierarchy), PROOF_SIZE);
	hmac_update(&h, epoch, w.len);
	hmac_update(&h, data, len);
	mac->len = (uint16_t)hmac_finish(&h, mac->bytes);
}

static uint32_t save_object(struct tpm *t, struct object *o, struct context *ctx, struct writer *w)
{
	struct xfer x = { .saving = true, .out = w };

	ctx->sequence = ++t->p.object_id;
	ctx->hierarchy = o->hierarchy;
	ctx->handle = object_is_sequence(o) ? SAVED_SEQUENCE
		      : o->st_clear         ? SAVED_ST_CLEAR
					    : SAVED_OBJECT;
	object_xfer(&x, o);
	return w->overflow ? TPM_RC_FAILURE : 0;
}

static uint32_t save_session(struct tpm *t, struct session *s, struct context *ctx,
			     struct writer *w)
{
	struct xfer x = { .saving = true, .out = w };
	uint32_t rc;

	ctx->handle = s->handle;
	ctx->hierarchy = TPM_RH_NULL;
	rc = session_context_save(t, s->handle, &ctx->sequence);
	if (rc)
		return rc;
	session_xfer(&x, s);
	if (t->exclusive_audit == s->handle)
		t->exclusive_audit = TPM_RH_UNASSIGNED;
	mbedtls_platform_zeroize(s, sizeof(*s));
	return w->overflow ? TPM_RC_FAILURE : 0;
}

/* 28.2 */
HANDLER(context_save)
{
	uint32_t handle = c->handles[0], rc = args_end(c);
	uint8_t *body = t->blob;
	struct writer w = { .buf = body, .max = CONTEXT_MAX };
	struct context ctx;
	struct digest mac;
	size_t mark;

	if (rc)
		return rc;
	if (TPM_HANDLE_TYPE(handle) == TPM_HT_TRANSIENT)
		rc = save_object(t, object_get(t, handle), &ctx, &w);
	else
		rc = save_session(t, session_get(t, handle), &ctx, &w);
	if (rc)
		return rc;
	context_crypt(t, &ctx, true, body, w.len);
	context_mac(t, &ctx, body, w.len, &mac);
	write_u64(&c->out, ctx.sequence);
	write_u32(&c->out, ctx.handle);
	write_u32(&c->out, ctx.hierarchy);
	mark = write_2b_begin(&c->out);
	write_digest(&c->out, &mac);
	write_bytes(&c->out, body, w.len);
	write_2b_end(&c->out, mark);
	return 0;
}

static uint32_t read_context(struct reader *r, struct context *ctx, struct span *blob)
{
	if (!read_u64(r, &ctx->sequence) || !read_u32(r, &ctx->handle))
		return TPM_RC_INSUFFICIENT;
	if (handle_check(ctx->handle, H_SESSION) &&
	    (ctx->handle < SAVED_OBJECT || ctx->handle > SAVED_ST_CLEAR))
		return TPM_RC_VALUE;
	if (!read_u32(r, &ctx->hierarchy))
		return TPM_RC_INSUFFICIENT;
	if (handle_check(ctx->hierarchy, H_HIERARCHY | HANDLE_NULL))
		return TPM_RC_VALUE;
	return read_2b(r, CONTEXT_MAX + 2 + HASH_MAX_SIZE, blob);
}

static uint32_t load_object(struct tpm *t, struct xfer *x, const struct context *ctx,
			    uint32_t *handle)
{
	struct object *o;
	uint32_t rc;

	if (!hierarchy_enabled(t, ctx->hierarchy))
		return rc_param(TPM_RC_HIERARCHY, 1);
	rc = object_new(t, &o, handle);
	if (rc)
		return rc;
	object_xfer(x, o);
	if (!x->bad && o->kind != OBJECT_FREE)
		return 0;
	object_free(o);
	return TPM_RC_FAILURE;
}

static uint32_t load_session(struct tpm *t, struct xfer *x, const struct context *ctx,
			     uint32_t *handle)
{
	struct session s = { 0 };
	uint32_t rc;

	session_xfer(x, &s);
	if (x->bad || s.handle != ctx->handle)
		return TPM_RC_FAILURE;
	rc = session_context_load(t, &s, ctx->sequence);
	mbedtls_platform_zeroize(&s, sizeof(s));
	*handle = ctx->handle;
	return rc & RC_FMT1 && !(rc & ~0xFFu) ? rc_param(rc, 1) : rc;
}

/* 28.3 */
HANDLER(context_load)
{
	uint8_t *body = t->blob;
	struct digest mac, given;
	struct xfer x = { 0 };
	struct context ctx;
	struct reader r;
	struct span blob;
	uint32_t rc;

	arg_with(c, read_context(&c->in, &ctx, &blob));
	rc = args_end(c);
	if (rc)
		return rc;
	r = (struct reader){ blob.data, blob.len };
	rc = read_digest(&r, &given);
	if (rc || given.len != hash_size(CONTEXT_HASH))
		return rc_param(rc ? rc : TPM_RC_SIZE, 1);
	context_mac(t, &ctx, r.pos, r.left, &mac);
	if (!digest_equal(&mac, &given))
		return rc_param(TPM_RC_INTEGRITY, 1);
	memcpy(body, r.pos, r.left);
	context_crypt(t, &ctx, false, body, r.left);
	x.in = (struct reader){ body, r.left };
	if (ctx.handle >= SAVED_OBJECT)
		rc = load_object(t, &x, &ctx, &c->rsp_handle);
	else
		rc = load_session(t, &x, &ctx, &c->rsp_handle);
	mbedtls_platform_zeroize(body, r.left);
	return rc;
}

/* 28.4 */
HANDLER(flush_context)
{
	uint32_t handle, rc;

	arg_handle(c, H_CONTEXT, &handle);
	rc = args_end(c);
	if (rc)
		return rc;
	if (TPM_HANDLE_TYPE(handle) == TPM_HT_TRANSIENT) {
		if (!object_get(t, handle))
			return rc_param(TPM_RC_HANDLE, 1);
		object_flush(t, handle);
		return 0;
	}
	if (!session_is_active(t, handle))
		return rc_param(TPM_RC_HANDLE, 1);
	session_flush(t, handle);
	return 0;
}

static uint32_t persist(struct tpm *t, const struct object *o, uint32_t handle)
{
	struct object *copy;

	if (persistent_find(t, handle))
		return TPM_RC_NV_DEFINED;
	for (int i = 0; i < MAX_PERSISTENT; i++) {
		if (t->p.persistent[i])
			continue;
		copy = nv_space_left(t) >= persistent_size(o) ? malloc(sizeof(*copy)) : NULL;
		if (!copy)
			return TPM_RC_NV_SPACE;
		*copy = *o;
		copy->rsa = NULL;
		copy->evict_handle = handle;
		t->p.persistent[i] = copy;
		tpm_dirty(t);
		return 0;
	}
	return TPM_RC_NV_SPACE;
}

static void unpersist(struct tpm *t, const struct object *o)
{
	for (int i = 0; i < MAX_PERSISTENT; i++)
		if (t->p.persistent[i] == o)
			persistent_delete(t, i);
}

static uint32_t read_persistent(struct reader *r, uint32_t *handle)
{
	if (!read_u32(r, handle))
		return TPM_RC_INSUFFICIENT;
	return TPM_HANDLE_TYPE(*handle) == TPM_HT_PERSISTENT ? 0 : TPM_RC_VALUE;
}

/* 28.5 */
HANDLER(evict_control)
{
	struct object *o = object_get(t, c->handles[1]);
	bool platform = c->handles[0] == TPM_RH_PLATFORM;
	uint32_t handle = 0, rc;

	arg_with(c, read_persistent(&c->in, &handle));
	rc = args_end(c);
	if (rc)
		return rc;
	if (o->kind != OBJECT_KEY || o->hierarchy == TPM_RH_NULL || o->st_clear || o->public_only)
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	if (o->evict_handle && o->evict_handle != handle)
		return rc_handle(TPM_RC_HANDLE, 2);
	/* The platform may delete anybody's persistent object, but makes only its own. */
	if (platform != (o->hierarchy == TPM_RH_PLATFORM) && !(platform && o->evict_handle))
		return rc_handle(TPM_RC_HIERARCHY, 2);
	if (o->evict_handle) {
		unpersist(t, o);
		return 0;
	}
	if (platform != (handle >= PLATFORM_PERSISTENT))
		return rc_param(TPM_RC_RANGE, 1);
	return persist(t, o, handle);
}

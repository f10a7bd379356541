// SPDX-License-Identifier: MIT
/* Loaded and persistent objects, their names and their saving (Part 1, clause 27 and 16). */
#include <stdlib.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

struct object *persistent_find(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_PERSISTENT; i++)
		if (t->p.persistent[i] && t->p.persistent[i]->evict_handle == handle)
			return t->p.persistent[i];
	return NULL;
}

struct object *object_get(struct tpm *t, uint32_t handle)
{
	uint32_t n = handle - TRANSIENT_FIRST;

	if (TPM_HANDLE_TYPE(handle) == TPM_HT_PERSISTENT)
		return persistent_find(t, handle);
	if (n >= MAX_LOADED_OBJECTS || t->objects[n].kind == OBJECT_FREE)
		return NULL;
	return &t->objects[n];
}

uint32_t object_new(struct tpm *t, struct object **object, uint32_t *handle)
{
	for (uint32_t i = 0; i < MAX_LOADED_OBJECTS; i++) {
		if (t->objects[i].kind != OBJECT_FREE)
			continue;
		memset(&t->objects[i], 0, sizeof(t->objects[i]));
		*object = &t->objects[i];
		*handle = TRANSIENT_FIRST + i;
		return 0;
	}
	return TPM_RC_OBJECT_MEMORY;
}

void object_free(struct object *object)
{
	if (object->rsa) {
		rsa_free(object->rsa);
		free(object->rsa);
	}
	mbedtls_platform_zeroize(object, sizeof(*object));
}

void object_flush(struct tpm *t, uint32_t handle)
{
	struct object *o = object_get(t, handle);

	if (o)
		object_free(o);
}

void object_flush_hierarchy(struct tpm *t, uint32_t hierarchy)
{
	for (int i = 0; i < MAX_LOADED_OBJECTS; i++)
		if (t->objects[i].kind == OBJECT_KEY && t->objects[i].hierarchy == hierarchy)
			object_free(&t->objects[i]);
}

void persistent_delete(struct tpm *t, int i)
{
	object_free(t->p.persistent[i]);
	free(t->p.persistent[i]);
	t->p.persistent[i] = NULL;
	tpm_dirty(t);
}

void object_delete_hierarchy(struct tpm *t, uint32_t hierarchy)
{
	object_flush_hierarchy(t, hierarchy);
	for (int i = 0; i < MAX_PERSISTENT; i++)
		if (t->p.persistent[i] && t->p.persistent[i]->hierarchy == hierarchy)
			persistent_delete(t, i);
}

void object_name(const struct public_area *pub, struct name *name)
{
	uint8_t buf[1400];
	struct writer w = { .buf = buf, .max = sizeof(buf) };

	name->len = 0;
	if (pub->name_alg == TPM_ALG_NULL)
		return;
	write_public(&w, pub);
	name->bytes[0] = pub->name_alg >> 8;
	name->bytes[1] = (uint8_t)pub->name_alg;
	name->len = (uint16_t)(2 + hash_buf(pub->name_alg, buf, w.len, name->bytes + 2));
}

/* QN = nameAlg || H(QN of the parent || name) */
void object_qualified_name(const struct name *parent, uint16_t alg, const struct name *name,
			   struct name *out)
{
	struct hash_ctx ctx;

	out->len = 0;
	if (alg == TPM_ALG_NULL)
		return;
	hash_start(&ctx, alg);
	hash_update(&ctx, parent->bytes, parent->len);
	hash_update(&ctx, name->bytes, name->len);
	out->bytes[0] = alg >> 8;
	out->bytes[1] = (uint8_t)alg;
	out->len = (uint16_t)(2 + hash_finish(&ctx, out->bytes + 2));
}

static bool restricted_decrypt(const struct public_area *pub)
{
	return (pub->attributes &
		(TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt | TPMA_OBJECT_sign)) ==
	       (TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt);
}

bool object_is_storage_parent(const struct object *o)
{
	return o->kind == OBJECT_KEY && restricted_decrypt(&o->pub) &&
	       o->pub.type != TPM_ALG_KEYEDHASH && o->pub.name_alg != TPM_ALG_NULL;
}

bool object_is_derivation_parent(const struct public_area *pub)
{
	return restricted_decrypt(pub) && pub->type == TPM_ALG_KEYEDHASH;
}

bool object_is_sequence(const struct object *o)
{
	return o->kind > OBJECT_KEY;
}

struct rsa_key *object_rsa(struct object *o)
{
	uint32_t e = o->pub.exponent ? o->pub.exponent : 65537;
	struct span n = { o->pub.unique, o->pub.unique_len }, p = { o->sens.data, o->sens.len };
	struct rsa_key *key;
	int err;

	if (o->rsa || o->pub.type != TPM_ALG_RSA)
		return o->rsa;
	key = malloc(sizeof(*key));
	if (!key)
		return NULL;
	err = o->public_only ? rsa_load_public(key, n, e) : rsa_load_private(key, n, e, p);
	if (err) {
		free(key);
		return NULL;
	}
	o->rsa = key;
	return key;
}

size_t persistent_size(const struct object *o)
{
	return 64 + o->pub.policy.len + o->pub.unique_len + o->sens.len + o->sens.auth.len +
	       o->sens.seed.len + o->name.len + o->qualified_name.len;
}

size_t nv_space_left(struct tpm *t)
{
	size_t used = 0;

	for (int i = 0; i < MAX_PERSISTENT; i++)
		used += t->p.persistent[i] ? persistent_size(t->p.persistent[i]) : 0;
	for (int i = 0; i < MAX_NV_INDICES; i++)
		used += t->p.nv[i] ? nv_index_cost(t->p.nv[i]) : 0;
	return used < NV_BUDGET ? NV_BUDGET - used : 0;
}

static void xfer_public(struct xfer *x, struct public_area *pub)
{
	uint8_t buf[1400];
	uint16_t len = 0;

	if (x->saving) {
		struct writer w = { .buf = buf, .max = sizeof(buf) };

		write_public(&w, pub);
		len = (uint16_t)w.len;
	}
	xfer_counted(x, &len, buf, sizeof(buf));
	if (!x->saving && !x->bad) {
		struct reader r = { buf, len };

		if (read_public(&r, NULL_OK, pub) || r.left)
			x->bad = true;
	}
}

static void xfer_sensitive(struct xfer *x, struct sensitive *s)
{
	xfer_u16(x, &s->type);
	xfer_counted(x, &s->auth.len, s->auth.bytes, sizeof(s->auth.bytes));
	xfer_counted(x, &s->seed.len, s->seed.bytes, sizeof(s->seed.bytes));
	xfer_counted(x, &s->len, s->data, sizeof(s->data));
}

static void xfer_cmac(struct xfer *x, struct cmac_ctx *c)
{
	xfer_bytes(x, c, sizeof(*c));
	if (!sym_supported(c->alg, c->bits) || c->have > SYM_BLOCK)
		x->bad = true;
}

static void xfer_hash(struct xfer *x, struct hash_ctx *h, bool may_be_empty)
{
	xfer_bytes(x, h, sizeof(*h));
	if (!hash_size(h->alg) && !(may_be_empty && !h->alg))
		x->bad = true;
}

void object_xfer(struct xfer *x, struct object *o)
{
	xfer_u8(x, &o->kind);
	if (o->kind == OBJECT_FREE || x->bad)
		return;
	xfer_u32(x, &o->hierarchy);
	xfer_u32(x, &o->evict_handle);
	xfer_bool(x, &o->public_only);
	xfer_bool(x, &o->external);
	xfer_bool(x, &o->primary);
	xfer_bool(x, &o->st_clear);
	xfer_sensitive(x, &o->sens);
	if (o->kind == OBJECT_KEY) {
		xfer_public(x, &o->pub);
		xfer_counted(x, &o->name.len, o->name.bytes, sizeof(o->name.bytes));
		xfer_counted(x, &o->qualified_name.len, o->qualified_name.bytes,
			     sizeof(o->qualified_name.bytes));
		return;
	}
	if (o->kind > OBJECT_CMAC_SEQUENCE) {
		x->bad = true;
		return;
	}
	xfer_u32(x, &o->pub.attributes);
	xfer_bool(x, &o->ticket_safe);
	xfer_bool(x, &o->first_block_seen);
	if (o->kind == OBJECT_HMAC_SEQUENCE) {
		xfer_hash(x, &o->hmac.hash, false);
		xfer_bytes(x, o->hmac.outer, sizeof(o->hmac.outer));
		return;
	}
	if (o->kind == OBJECT_CMAC_SEQUENCE) {
		xfer_cmac(x, &o->cmac);
		return;
	}
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		xfer_hash(x, &o->hash[i], o->kind == OBJECT_HASH_SEQUENCE && i);
}

// SPDX-License-Identifier: MIT
/* NV commands (Part 3, clause 31). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* Size and attributes that each type of index asks for (31.3). */
static uint32_t check_type(const struct nv_public *pub)
{
	uint32_t a = pub->attributes, type = a >> TPMA_NV_NT_SHIFT & 0xF;

	switch (type) {
	case TPM_NT_ORDINARY:
		return 0;
	case TPM_NT_COUNTER:
		if (pub->size != 8)
			return TPM_RC_SIZE;
		return a & TPMA_NV_CLEAR_STCLEAR ? TPM_RC_ATTRIBUTES : 0;
	case TPM_NT_BITS:
		return pub->size == 8 ? 0 : TPM_RC_SIZE;
	case TPM_NT_EXTEND:
		return pub->size == hash_size(pub->name_alg) ? 0 : TPM_RC_SIZE;
	case TPM_NT_PIN_FAIL:
	case TPM_NT_PIN_PASS:
		if (pub->size != 8)
			return TPM_RC_SIZE;
		if (a & (TPMA_NV_AUTHWRITE | TPMA_NV_GLOBALLOCK | TPMA_NV_WRITEDEFINE))
			return TPM_RC_ATTRIBUTES;
		/* Failures are counted in the index, not in the lockout counter. */
		return type == TPM_NT_PIN_PASS || a & TPMA_NV_NO_DA ? 0 : TPM_RC_ATTRIBUTES;
	default:
		return TPM_RC_ATTRIBUTES;
	}
}

/* In Part 4's order. */
static uint32_t check_public(const struct nv_public *pub, bool platform)
{
	uint32_t a = pub->attributes, rc;

	rc = check_type(pub);
	if (rc)
		return rc_param(rc, 2);
	if (a & (TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED | TPMA_NV_READLOCKED))
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	if (!(a & (TPMA_NV_OWNERREAD | TPMA_NV_PPREAD | TPMA_NV_AUTHREAD | TPMA_NV_POLICYREAD)))
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	if (!(a & (TPMA_NV_OWNERWRITE | TPMA_NV_PPWRITE | TPMA_NV_AUTHWRITE | TPMA_NV_POLICYWRITE)))
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	/* What is cleared at Startup cannot be locked for ever. */
	if (a & TPMA_NV_CLEAR_STCLEAR && a & TPMA_NV_WRITEDEFINE)
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	if (platform != !!(a & TPMA_NV_PLATFORMCREATE))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	if (!platform && a & TPMA_NV_POLICY_DELETE)
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	/* What must be written at once has to fit one command. */
	if (a & TPMA_NV_WRITEALL && pub->size > MAX_NV_BUFFER)
		return rc_param(TPM_RC_SIZE, 2);
	return 0;
}

static uint32_t define_index(struct tpm *t, const struct nv_public *pub, const struct digest *auth)
{
	struct nv_index *index;

	for (int i = 0; i < MAX_NV_INDICES; i++) {
		if (t->p.nv[i])
			continue;
		if (nv_space_left(t) < sizeof(*index) + pub->size)
			return TPM_RC_NV_SPACE;
		index = nv_alloc(pub->size);
		if (!index)
			return TPM_RC_NV_SPACE;
		index->pub = *pub;
		index->auth = *auth;
		t->p.nv[i] = index;
		tpm_dirty(t);
		return 0;
	}
	return TPM_RC_NV_SPACE;
}

/* 31.3 */
HANDLER(nv_define_space)
{
	bool platform = c->handles[0] == TPM_RH_PLATFORM;
	struct nv_public pub;
	struct digest auth;
	uint32_t rc;

	arg_digest(c, &auth);
	arg_with(c, read_nv_public_2b(&c->in, &pub));
	rc = args_end(c);
	if (rc)
		return rc;
	if (pub.policy.len && pub.policy.len != hash_size(pub.name_alg))
		return rc_param(TPM_RC_SIZE, 2);
	auth_trim(&auth);
	if (auth.len > hash_size(pub.name_alg))
		return rc_param(TPM_RC_SIZE, 1);
	if (platform && !t->c.ph_enable_nv)
		return rc_handle(TPM_RC_HIERARCHY, 1);
	rc = check_public(&pub, platform);
	if (rc)
		return rc;
	return nv_find(t, pub.index) ? TPM_RC_NV_DEFINED : define_index(t, &pub, &auth);
}

/* 31.4 */
HANDLER(nv_undefine_space)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (index->pub.attributes & TPMA_NV_POLICY_DELETE)
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	if (c->handles[0] == TPM_RH_OWNER && index->pub.attributes & TPMA_NV_PLATFORMCREATE)
		return TPM_RC_NV_AUTHORIZATION;
	nv_delete(t, c->handles[1]);
	return 0;
}

/* 31.5 */
HANDLER(nv_undefine_space_special)
{
	struct nv_index *index = nv_find(t, c->handles[0]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (!(index->pub.attributes & TPMA_NV_POLICY_DELETE))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	nv_delete(t, c->handles[0]);
	session_drop_entity(c, c->handles[0]);
	return 0;
}

/* 31.6 */
HANDLER(nv_read_public)
{
	struct nv_index *index = nv_find(t, c->handles[0]);
	uint32_t rc = args_end(c);
	struct name name;
	size_t mark;

	if (rc)
		return rc;
	mark = write_2b_begin(&c->out);
	write_nv_public(&c->out, &index->pub);
	write_2b_end(&c->out, mark);
	nv_name(index, &name);
	write_name(&c->out, &name);
	return 0;
}

static void written(struct tpm *t, struct nv_index *index)
{
	bool first = !(index->pub.attributes & TPMA_NV_WRITTEN);

	index->pub.attributes |= TPMA_NV_WRITTEN;
	/* Orderly data waits for Shutdown, but that it exists does not. */
	if (first || !(index->pub.attributes & TPMA_NV_ORDERLY))
		tpm_dirty(t);
}

/* 31.7 */
HANDLER(nv_write)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	unsigned int type = nv_type(index);
	struct span data;
	uint16_t offset;
	uint32_t rc;

	arg_2b(c, MAX_NV_BUFFER, &data);
	arg_u16(c, &offset);
	rc = args_end(c);
	if (!rc)
		rc = nv_write_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc;
	if (type == TPM_NT_COUNTER || type == TPM_NT_BITS || type == TPM_NT_EXTEND)
		return TPM_RC_ATTRIBUTES; /* Part 4 blames no handle here */
	if (offset > index->pub.size)
		return rc_param(TPM_RC_VALUE, 2);
	if (data.len > (size_t)index->pub.size - offset)
		return TPM_RC_NV_RANGE;
	if (index->pub.attributes & TPMA_NV_WRITEALL && data.len < index->pub.size)
		return TPM_RC_NV_RANGE;
	if (data.len)
		memcpy(index->data + offset, data.data, data.len);
	written(t, index);
	return 0;
}

/* 31.8 */
HANDLER(nv_increment)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint32_t rc = args_end(c);
	uint64_t v;

	if (!rc)
		rc = nv_write_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc;
	if (nv_type(index) != TPM_NT_COUNTER)
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	/* 31.2: the first value is above any that an index with this name had, which is one that was deleted. */
	v = index->pub.attributes & TPMA_NV_WRITTEN ? nv_get_u64(index) : t->p.max_counter;
	nv_set_u64(t, index, v + 1);
	if (!((v + 1) & MAX_ORDERLY_COUNT))
		tpm_dirty(t);
	written(t, index);
	return 0;
}

/* 31.9 */
HANDLER(nv_extend)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	struct hash_ctx ctx;
	struct span data;
	uint32_t rc;

	arg_2b(c, MAX_NV_BUFFER, &data);
	rc = args_end(c);
	if (!rc)
		rc = nv_write_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc;
	if (nv_type(index) != TPM_NT_EXTEND)
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	if (!(index->pub.attributes & TPMA_NV_WRITTEN))
		memset(index->data, 0, index->pub.size);
	hash_start(&ctx, index->pub.name_alg);
	hash_update(&ctx, index->data, index->pub.size);
	hash_update(&ctx, data.data, data.len);
	hash_finish(&ctx, index->data);
	written(t, index);
	return 0;
}

/* 31.10 */
HANDLER(nv_set_bits)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint64_t bits, old;
	uint32_t rc;

	arg_u64(c, &bits);
	rc = args_end(c);
	if (!rc)
		rc = nv_write_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc;
	if (nv_type(index) != TPM_NT_BITS)
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	old = index->pub.attributes & TPMA_NV_WRITTEN ? nv_get_u64(index) : 0;
	nv_set_u64(t, index, old | bits);
	written(t, index);
	return 0;
}

/* 31.11 */
HANDLER(nv_write_lock)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	rc = nv_write_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc == TPM_RC_NV_LOCKED ? 0 : rc;
	if (!(index->pub.attributes & (TPMA_NV_WRITEDEFINE | TPMA_NV_WRITE_STCLEAR)))
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	index->pub.attributes |= TPMA_NV_WRITELOCKED;
	tpm_dirty(t);
	return 0;
}

/* 31.12 */
HANDLER(nv_global_write_lock)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	for (int i = 0; i < MAX_NV_INDICES; i++)
		if (t->p.nv[i] && t->p.nv[i]->pub.attributes & TPMA_NV_GLOBALLOCK) {
			t->p.nv[i]->pub.attributes |= TPMA_NV_WRITELOCKED;
			tpm_dirty(t);
		}
	return 0;
}

/* 31.13 */
HANDLER(nv_read)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint16_t size, offset;
	uint32_t rc;

	arg_u16(c, &size);
	arg_u16(c, &offset);
	rc = args_end(c);
	if (!rc)
		rc = nv_read_access(t, c->handles[0], c->handles[1]);
	if (rc)
		return rc;
	if (size > MAX_NV_BUFFER)
		return rc_param(TPM_RC_VALUE, 1);
	if (offset > index->pub.size)
		return rc_param(TPM_RC_VALUE, 2);
	if (size > index->pub.size - offset)
		return TPM_RC_NV_RANGE;
	write_2b(&c->out, index->data + offset, size);
	return 0;
}

/* 31.14 */
HANDLER(nv_read_lock)
{
	struct nv_index *index = nv_find(t, c->handles[1]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	rc = nv_read_access(t, c->handles[0], c->handles[1]);
	if (rc == TPM_RC_NV_AUTHORIZATION)
		return rc;
	/* locked already, or nothing written yet: neither matters */
	if (rc == TPM_RC_NV_LOCKED)
		return 0;
	if (!(index->pub.attributes & TPMA_NV_READ_STCLEAR))
		return rc_handle(TPM_RC_ATTRIBUTES, 2);
	index->pub.attributes |= TPMA_NV_READLOCKED;
	tpm_dirty(t);
	return 0;
}

/* 31.15 */
HANDLER(nv_change_auth)
{
	struct nv_index *index = nv_find(t, c->handles[0]);
	struct digest auth;
	uint32_t rc;

	arg_digest(c, &auth);
	rc = args_end(c);
	if (rc)
		return rc;
	auth_trim(&auth);
	if (auth.len > hash_size(index->pub.name_alg))
		return rc_param(TPM_RC_SIZE, 1);
	index->auth = auth;
	tpm_dirty(t);
	return 0;
}

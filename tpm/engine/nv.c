// SPDX-License-Identifier: MIT
/* NV indices: the store and the rules of access (Part 1, clause 37; Part 2, clause 13). */
#include <stdlib.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

struct nv_index *nv_find(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_NV_INDICES; i++)
		if (t->p.nv[i] && t->p.nv[i]->pub.index == handle)
			return t->p.nv[i];
	return NULL;
}

uint32_t nv_accessible(struct tpm *t, uint32_t handle)
{
	const struct nv_index *index = nv_find(t, handle);

	if (!index)
		return TPM_RC_HANDLE;
	if (index->pub.attributes & TPMA_NV_PLATFORMCREATE ? !t->c.ph_enable_nv : !t->c.sh_enable)
		return TPM_RC_HANDLE;
	return 0;
}

unsigned int nv_type(const struct nv_index *index)
{
	return index->pub.attributes >> TPMA_NV_NT_SHIFT & 0xF;
}

bool nv_is_pin(const struct nv_index *index)
{
	return nv_type(index) == TPM_NT_PIN_FAIL || nv_type(index) == TPM_NT_PIN_PASS;
}

void nv_name(const struct nv_index *index, struct name *name)
{
	uint8_t buf[16 + HASH_MAX_SIZE];
	struct writer w = { .buf = buf, .max = sizeof(buf) };

	write_nv_public(&w, &index->pub);
	name->bytes[0] = index->pub.name_alg >> 8;
	name->bytes[1] = (uint8_t)index->pub.name_alg;
	name->len = (uint16_t)(2 + hash_buf(index->pub.name_alg, buf, w.len, name->bytes + 2));
}

size_t nv_index_cost(const struct nv_index *index)
{
	return sizeof(*index) + index->pub.size;
}

struct nv_index *nv_alloc(size_t size)
{
	struct nv_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->data = malloc(size ? size : 1);
	if (!index->data) {
		free(index);
		return NULL;
	}
	memset(index->data, 0xFF, size ? size : 1); /* as erased */
	return index;
}

void nv_free(struct nv_index *index)
{
	if (!index)
		return;
	mbedtls_platform_zeroize(index->data, index->pub.size);
	free(index->data);
	mbedtls_platform_zeroize(index, sizeof(*index));
	free(index);
}

static void remember_counter(struct tpm *t, const struct nv_index *index)
{
	/* A new counter starts above every value that a deleted one had (Part 3, 31.2). */
	if (nv_type(index) == TPM_NT_COUNTER && index->pub.attributes & TPMA_NV_WRITTEN &&
	    nv_get_u64(index) > t->p.max_counter)
		t->p.max_counter = nv_get_u64(index);
}

void nv_delete(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_NV_INDICES; i++) {
		if (!t->p.nv[i] || t->p.nv[i]->pub.index != handle)
			continue;
		remember_counter(t, t->p.nv[i]);
		nv_free(t->p.nv[i]);
		t->p.nv[i] = NULL;
		tpm_dirty(t);
	}
}

void nv_clear_owner(struct tpm *t)
{
	for (int i = 0; i < MAX_NV_INDICES; i++)
		if (t->p.nv[i] && !(t->p.nv[i]->pub.attributes & TPMA_NV_PLATFORMCREATE))
			nv_delete(t, t->p.nv[i]->pub.index);
	tpm_dirty(t);
}

uint64_t nv_get_u64(const struct nv_index *index)
{
	struct reader r = { index->data, index->pub.size };
	uint64_t v;

	read_u64(&r, &v);
	return v;
}

void nv_set_u64(struct tpm *t, struct nv_index *index, uint64_t v)
{
	struct writer w = { .buf = index->data, .max = index->pub.size };

	write_u64(&w, v);
	if (!(index->pub.attributes & TPMA_NV_ORDERLY))
		tpm_dirty(t);
}

static uint32_t check_auth(const struct nv_index *index, uint32_t auth_handle, uint32_t owner,
			   uint32_t platform)
{
	if (auth_handle == TPM_RH_OWNER)
		return index->pub.attributes & owner ? 0 : TPM_RC_NV_AUTHORIZATION;
	if (auth_handle == TPM_RH_PLATFORM)
		return index->pub.attributes & platform ? 0 : TPM_RC_NV_AUTHORIZATION;
	return auth_handle == index->pub.index ? 0 : TPM_RC_NV_AUTHORIZATION;
}

uint32_t nv_read_access(struct tpm *t, uint32_t auth_handle, uint32_t nv_handle)
{
	const struct nv_index *index = nv_find(t, nv_handle);
	uint32_t rc;

	if (index->pub.attributes & TPMA_NV_READLOCKED)
		return TPM_RC_NV_LOCKED;
	rc = check_auth(index, auth_handle, TPMA_NV_OWNERREAD, TPMA_NV_PPREAD);
	if (rc)
		return rc;
	return index->pub.attributes & TPMA_NV_WRITTEN ? 0 : TPM_RC_NV_UNINITIALIZED;
}

uint32_t nv_write_access(struct tpm *t, uint32_t auth_handle, uint32_t nv_handle)
{
	const struct nv_index *index = nv_find(t, nv_handle);

	if (index->pub.attributes & TPMA_NV_WRITELOCKED)
		return TPM_RC_NV_LOCKED;
	return check_auth(index, auth_handle, TPMA_NV_OWNERWRITE, TPMA_NV_PPWRITE);
}

void nv_xfer(struct xfer *x, struct nv_index *index)
{
	xfer_u32(x, &index->pub.index);
	xfer_u16(x, &index->pub.name_alg);
	xfer_u32(x, &index->pub.attributes);
	xfer_counted(x, &index->pub.policy.len, index->pub.policy.bytes,
		     sizeof(index->pub.policy.bytes));
	xfer_counted(x, &index->auth.len, index->auth.bytes, sizeof(index->auth.bytes));
	if (!hash_size(index->pub.name_alg))
		x->bad = true;
	/* counters, bit fields and PINs are read as 64-bit numbers */
	if ((nv_type(index) == TPM_NT_COUNTER || nv_type(index) == TPM_NT_BITS ||
	     nv_is_pin(index)) &&
	    index->pub.size != 8)
		x->bad = true;
	if (nv_type(index) == TPM_NT_EXTEND && index->pub.size != hash_size(index->pub.name_alg))
		x->bad = true;
	xfer_bytes(x, index->data, index->pub.size);
}

static void startup_index(struct nv_index *index, bool reset, bool orderly)
{
	uint32_t *a = &index->pub.attributes;

	*a &= ~TPMA_NV_READLOCKED;
	if (nv_type(index) != TPM_NT_COUNTER &&
	    (*a & TPMA_NV_CLEAR_STCLEAR || (*a & TPMA_NV_ORDERLY && reset)))
		*a &= ~TPMA_NV_WRITTEN;
	if (!(*a & TPMA_NV_WRITTEN) || !(*a & TPMA_NV_WRITEDEFINE))
		*a &= ~TPMA_NV_WRITELOCKED;
	/* Increments since the last save are lost; skip to where none of them can have been. */
	if (nv_type(index) == TPM_NT_COUNTER && *a & TPMA_NV_ORDERLY && *a & TPMA_NV_WRITTEN &&
	    !orderly)
		index->data[7] |= MAX_ORDERLY_COUNT;
}

void nv_startup(struct tpm *t, bool resume, bool reset, bool orderly)
{
	for (int i = 0; !resume && i < MAX_NV_INDICES; i++)
		if (t->p.nv[i])
			startup_index(t->p.nv[i], reset, orderly);
}

// SPDX-License-Identifier: MIT
/* Readers of TPM structures (Part 2, clauses 6 to 13). The order of checks in each is that of its table. */
#include <string.h>
#include <mbedtls/constant_time.h>
#include "tpm/engine/types.h"

bool bytes_equal(const void *a, const void *b, size_t len)
{
	return !mbedtls_ct_memcmp(a, b, len);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->len == b->len && bytes_equal(a->bytes, b->bytes, a->len);
}

void digest_set(struct digest *d, const void *bytes, size_t len)
{
	d->len = (uint16_t)len;
	if (len)
		memcpy(d->bytes, bytes, len);
}

void auth_trim(struct digest *auth)
{
	while (auth->len && !auth->bytes[auth->len - 1])
		auth->len--;
}

bool rsa_bits_supported(uint16_t bits)
{
	return bits == 1024 || bits == 2048 || bits == 3072 || bits == 4096;
}

bool scheme_is_anonymous(uint16_t scheme)
{
	return scheme == TPM_ALG_ECDAA;
}

uint32_t read_2b(struct reader *r, size_t max, struct span *v)
{
	uint16_t len;

	*v = SPAN_NONE;
	if (!read_u16(r, &len))
		return TPM_RC_INSUFFICIENT;
	if (len > max)
		return TPM_RC_SIZE;
	return read_span(r, len, v) ? 0 : TPM_RC_INSUFFICIENT;
}

uint32_t read_sized_begin(struct reader *r, size_t *end)
{
	uint16_t size;

	if (!read_u16(r, &size))
		return TPM_RC_INSUFFICIENT;
	*end = r->left - size; /* below zero when too little is left: then nothing equals it */
	return size ? 0 : TPM_RC_SIZE;
}

uint32_t read_sized_end(const struct reader *r, size_t end, uint32_t rc)
{
	return !rc && r->left != end ? TPM_RC_SIZE : rc;
}

/* Copies a TPM2B into a fixed array. */
static uint32_t read_2b_into(struct reader *r, uint16_t *len, uint8_t *bytes, size_t max)
{
	struct span s;
	uint32_t rc = read_2b(r, max, &s);

	*len = (uint16_t)s.len;
	if (s.len)
		memcpy(bytes, s.data, s.len);
	return rc;
}

uint32_t read_digest(struct reader *r, struct digest *v)
{
	return read_2b_into(r, &v->len, v->bytes, sizeof(v->bytes));
}

uint32_t read_hash_alg(struct reader *r, enum null_rule rule, uint16_t *v)
{
	if (!read_u16(r, v))
		return TPM_RC_INSUFFICIENT;
	if (*v == TPM_ALG_NULL)
		return rule == NULL_OK ? 0 : TPM_RC_HASH;
	return hash_size(*v) ? 0 : TPM_RC_HASH;
}

bool cipher_mode_known(uint16_t mode)
{
	return mode >= TPM_ALG_CTR && mode <= TPM_ALG_ECB;
}

uint32_t read_cipher_mode(struct reader *r, uint16_t *v)
{
	if (!read_u16(r, v))
		return TPM_RC_INSUFFICIENT;
	return *v == TPM_ALG_NULL || cipher_mode_known(*v) ? 0 : TPM_RC_MODE;
}

/* TPMI_ALG_SYM_MODE+ */
static uint32_t read_sym_mode(struct reader *r, uint16_t *v)
{
	uint32_t rc = read_cipher_mode(r, v);

	return rc == TPM_RC_MODE && *v == TPM_ALG_CMAC ? 0 : rc;
}

/* 11.1.6 and 11.1.7: the definition for sessions knows XOR, that for objects does not. */
static uint32_t read_sym(struct reader *r, enum null_rule rule, bool with_xor, struct sym_def *v)
{
	memset(v, 0, sizeof(*v));
	if (!read_u16(r, &v->alg))
		return TPM_RC_INSUFFICIENT;
	if (v->alg == TPM_ALG_NULL)
		return rule == NULL_OK ? 0 : TPM_RC_SYMMETRIC;
	if (v->alg == TPM_ALG_XOR && with_xor)
		return read_hash_alg(r, NO_NULL, &v->bits);
	if (v->alg != TPM_ALG_AES && v->alg != TPM_ALG_CAMELLIA)
		return TPM_RC_SYMMETRIC;
	if (!read_u16(r, &v->bits))
		return TPM_RC_INSUFFICIENT;
	if (!sym_supported(v->alg, v->bits))
		return TPM_RC_VALUE;
	return read_sym_mode(r, &v->mode);
}

uint32_t read_sym_def(struct reader *r, enum null_rule rule, struct sym_def *v)
{
	return read_sym(r, rule, true, v);
}

uint32_t read_sym_def_object(struct reader *r, enum null_rule rule, struct sym_def *v)
{
	return read_sym(r, rule, false, v);
}

/* The details that follow a scheme selector: most carry a hash, RSAES nothing, ECDAA a hash and a count. */
static uint32_t read_scheme_details(struct reader *r, struct scheme *v)
{
	uint32_t rc;

	v->hash = TPM_ALG_NULL;
	v->extra = 0;
	if (v->scheme == TPM_ALG_NULL || v->scheme == TPM_ALG_RSAES)
		return 0;
	rc = read_hash_alg(r, NO_NULL, &v->hash);
	if (!rc && v->scheme == TPM_ALG_ECDAA && !read_u16(r, &v->extra))
		rc = TPM_RC_INSUFFICIENT;
	return rc;
}

static bool is_rsa_sign(uint16_t s)
{
	return s == TPM_ALG_RSASSA || s == TPM_ALG_RSAPSS;
}

static bool is_ecc_sign(uint16_t s)
{
	return s == TPM_ALG_ECDSA || s == TPM_ALG_ECDAA || s == TPM_ALG_ECSCHNORR;
}

/* Reads a selector accepted by `known`, or TPM_ALG_NULL as the rule says; anything else is `error`. */
static uint32_t read_scheme(struct reader *r, enum null_rule rule, bool (*known)(uint16_t),
			    uint32_t error, struct scheme *v)
{
	if (!read_u16(r, &v->scheme))
		return TPM_RC_INSUFFICIENT;
	if (v->scheme == TPM_ALG_NULL ? rule != NULL_OK : !known(v->scheme))
		return error;
	return read_scheme_details(r, v);
}

static bool known_sig(uint16_t s)
{
	return is_rsa_sign(s) || is_ecc_sign(s) || s == TPM_ALG_HMAC;
}

static bool known_rsa(uint16_t s)
{
	return is_rsa_sign(s) || s == TPM_ALG_RSAES || s == TPM_ALG_OAEP;
}

static bool known_rsa_decrypt(uint16_t s)
{
	return s == TPM_ALG_RSAES || s == TPM_ALG_OAEP;
}

static bool known_ecc(uint16_t s)
{
	return is_ecc_sign(s) || s == TPM_ALG_ECDH;
}

static bool known_kdf(uint16_t s)
{
	return s == TPM_ALG_MGF1 || s == TPM_ALG_KDF1_SP800_56A || s == TPM_ALG_KDF2 ||
	       s == TPM_ALG_KDF1_SP800_108;
}

uint32_t read_sig_scheme(struct reader *r, enum null_rule rule, struct scheme *v)
{
	return read_scheme(r, rule, known_sig, TPM_RC_SCHEME, v);
}

uint32_t read_rsa_decrypt(struct reader *r, enum null_rule rule, struct scheme *v)
{
	return read_scheme(r, rule, known_rsa_decrypt, TPM_RC_VALUE, v);
}

uint32_t read_kdf_scheme(struct reader *r, enum null_rule rule, struct scheme *v)
{
	return read_scheme(r, rule, known_kdf, TPM_RC_KDF, v);
}

uint32_t read_curve(struct reader *r, uint16_t *v)
{
	if (!read_u16(r, v))
		return TPM_RC_INSUFFICIENT;
	return ecc_size(*v) ? 0 : TPM_RC_CURVE;
}

uint32_t read_ecc_num(struct reader *r, struct ecc_num *v)
{
	return read_2b_into(r, &v->len, v->bytes, sizeof(v->bytes));
}

uint32_t read_ecc_point(struct reader *r, struct ecc_point *v)
{
	uint32_t rc = read_ecc_num(r, &v->x);

	return rc ? rc : read_ecc_num(r, &v->y);
}

uint32_t read_point_2b(struct reader *r, struct ecc_point *v)
{
	size_t end;
	uint32_t rc = read_sized_begin(r, &end);

	return rc ? rc : read_sized_end(r, end, read_ecc_point(r, v));
}

static uint32_t read_keyedhash_scheme(struct reader *r, struct scheme *v)
{
	uint32_t rc;

	v->hash = TPM_ALG_NULL;
	v->extra = 0;
	if (!read_u16(r, &v->scheme))
		return TPM_RC_INSUFFICIENT;
	if (v->scheme == TPM_ALG_NULL)
		return 0;
	if (v->scheme != TPM_ALG_HMAC && v->scheme != TPM_ALG_XOR)
		return TPM_RC_VALUE;
	rc = read_hash_alg(r, NO_NULL, &v->hash);
	if (rc || v->scheme == TPM_ALG_HMAC)
		return rc;
	if (!read_u16(r, &v->extra))
		return TPM_RC_INSUFFICIENT;
	return v->extra == TPM_ALG_NULL || known_kdf(v->extra) ? 0 : TPM_RC_KDF;
}

static uint32_t read_rsa_parms(struct reader *r, struct public_area *v)
{
	uint32_t rc = read_sym_def_object(r, NULL_OK, &v->sym);

	if (!rc)
		rc = read_scheme(r, NULL_OK, known_rsa, TPM_RC_VALUE, &v->scheme);
	if (rc)
		return rc;
	if (!read_u16(r, &v->bits))
		return TPM_RC_INSUFFICIENT;
	if (!rsa_bits_supported(v->bits))
		return TPM_RC_VALUE;
	return read_u32(r, &v->exponent) ? 0 : TPM_RC_INSUFFICIENT;
}

static uint32_t read_ecc_parms(struct reader *r, struct public_area *v)
{
	uint32_t rc = read_sym_def_object(r, NULL_OK, &v->sym);

	if (!rc)
		rc = read_scheme(r, NULL_OK, known_ecc, TPM_RC_SCHEME, &v->scheme);
	if (!rc)
		rc = read_curve(r, &v->curve);
	if (!rc)
		rc = read_kdf_scheme(r, NULL_OK, &v->kdf);
	return rc;
}

static uint32_t read_parms(struct reader *r, struct public_area *v)
{
	v->sym.alg = v->scheme.scheme = v->kdf.scheme = TPM_ALG_NULL;
	v->scheme.hash = v->kdf.hash = TPM_ALG_NULL;
	switch (v->type) {
	case TPM_ALG_RSA:
		return read_rsa_parms(r, v);
	case TPM_ALG_ECC:
		return read_ecc_parms(r, v);
	case TPM_ALG_KEYEDHASH:
		return read_keyedhash_scheme(r, &v->scheme);
	default:
		return read_sym_def_object(r, NO_NULL, &v->sym);
	}
}

static uint32_t read_type(struct reader *r, uint16_t *type)
{
	if (!read_u16(r, type))
		return TPM_RC_INSUFFICIENT;
	switch (*type) {
	case TPM_ALG_RSA:
	case TPM_ALG_ECC:
	case TPM_ALG_KEYEDHASH:
	case TPM_ALG_SYMCIPHER:
		return 0;
	default:
		return TPM_RC_TYPE;
	}
}

uint32_t read_public_parms(struct reader *r, struct public_area *v)
{
	uint32_t rc = read_type(r, &v->type);

	return rc ? rc : read_parms(r, v);
}

uint32_t read_public_head(struct reader *r, enum null_rule name_rule, struct public_area *v)
{
	uint32_t rc;

	memset(v, 0, sizeof(*v));
	rc = read_type(r, &v->type);
	if (!rc)
		rc = read_hash_alg(r, name_rule, &v->name_alg);
	if (rc)
		return rc;
	if (!read_u32(r, &v->attributes))
		return TPM_RC_INSUFFICIENT;
	if (v->attributes & TPMA_OBJECT_RESERVED)
		return TPM_RC_RESERVED_BITS;
	rc = read_digest(r, &v->policy);
	return rc ? rc : read_parms(r, v);
}

uint32_t read_public(struct reader *r, enum null_rule name_rule, struct public_area *v)
{
	uint32_t rc = read_public_head(r, name_rule, v);

	if (rc)
		return rc;
	switch (v->type) {
	case TPM_ALG_ECC:
		return read_ecc_point(r, &v->point);
	case TPM_ALG_RSA:
		return read_2b_into(r, &v->unique_len, v->unique, RSA_MAX_BYTES);
	default:
		return read_2b_into(r, &v->unique_len, v->unique, HASH_MAX_SIZE);
	}
}

uint32_t read_public_2b(struct reader *r, enum null_rule name_rule, struct public_area *v)
{
	size_t end;
	uint32_t rc = read_sized_begin(r, &end);

	return rc ? rc : read_sized_end(r, end, read_public(r, name_rule, v));
}

uint32_t read_sensitive(struct reader *r, struct sensitive *v)
{
	uint32_t rc;
	size_t max;

	memset(v, 0, sizeof(*v));
	rc = read_type(r, &v->type);
	if (!rc)
		rc = read_digest(r, &v->auth);
	if (!rc)
		rc = read_digest(r, &v->seed);
	if (rc)
		return rc;
	max = v->type == TPM_ALG_RSA         ? SENSITIVE_MAX
	      : v->type == TPM_ALG_ECC       ? ECC_MAX_BYTES
	      : v->type == TPM_ALG_SYMCIPHER ? SYM_MAX_KEY
					     : MAX_SYM_DATA;
	return read_2b_into(r, &v->len, v->data, max);
}

uint32_t read_pcr_selections(struct reader *r, struct pcr_selections *v)
{
	memset(v, 0, sizeof(*v));
	if (!read_u32(r, &v->count))
		return TPM_RC_INSUFFICIENT;
	if (v->count > HASH_COUNT) {
		v->count = 0;
		return TPM_RC_SIZE;
	}
	for (uint32_t i = 0; i < v->count; i++) {
		struct pcr_selection *s = &v->list[i];
		uint32_t rc = read_hash_alg(r, NO_NULL, &s->hash);
		struct span bits;

		if (rc)
			return rc;
		if (!read_u8(r, &s->size))
			return TPM_RC_INSUFFICIENT;
		if (s->size != PCR_SELECT_SIZE)
			return TPM_RC_VALUE;
		if (!read_span(r, s->size, &bits))
			return TPM_RC_INSUFFICIENT;
		memcpy(s->bits, bits.data, s->size);
	}
	return 0;
}

uint32_t read_signature(struct reader *r, enum null_rule rule, struct signature *v)
{
	uint32_t rc;
	struct span s;

	memset(v, 0, sizeof(*v));
	if (!read_u16(r, &v->alg))
		return TPM_RC_INSUFFICIENT;
	if (v->alg == TPM_ALG_NULL)
		return rule == NULL_OK ? 0 : TPM_RC_SCHEME;
	if (!known_sig(v->alg))
		return TPM_RC_SCHEME;
	rc = read_hash_alg(r, NO_NULL, &v->hash);
	if (rc)
		return rc;
	if (is_rsa_sign(v->alg))
		return read_2b_into(r, &v->len, v->bytes, RSA_MAX_BYTES);
	if (v->alg == TPM_ALG_HMAC) {
		v->len = (uint16_t)hash_size(v->hash);
		if (!read_span(r, v->len, &s))
			return TPM_RC_INSUFFICIENT;
		memcpy(v->bytes, s.data, s.len);
		return 0;
	}
	rc = read_ecc_num(r, &v->ecc.r);
	return rc ? rc : read_ecc_num(r, &v->ecc.s);
}

static bool is_hierarchy(uint32_t h)
{
	return h == TPM_RH_OWNER || h == TPM_RH_ENDORSEMENT || h == TPM_RH_PLATFORM ||
	       h == TPM_RH_NULL;
}

uint32_t read_ticket(struct reader *r, uint16_t tag, uint16_t other_tag, struct ticket *v)
{
	if (!read_u16(r, &v->tag))
		return TPM_RC_INSUFFICIENT;
	if (v->tag != tag && v->tag != other_tag)
		return TPM_RC_TAG;
	if (!read_u32(r, &v->hierarchy))
		return TPM_RC_INSUFFICIENT;
	if (!is_hierarchy(v->hierarchy))
		return TPM_RC_VALUE;
	return read_digest(r, &v->digest);
}

static uint32_t read_nv_public(struct reader *r, struct nv_public *v)
{
	uint32_t rc;

	if (!read_u32(r, &v->index))
		return TPM_RC_INSUFFICIENT;
	if (TPM_HANDLE_TYPE(v->index) != TPM_HT_NV_INDEX)
		return TPM_RC_VALUE;
	rc = read_hash_alg(r, NO_NULL, &v->name_alg);
	if (rc)
		return rc;
	if (!read_u32(r, &v->attributes))
		return TPM_RC_INSUFFICIENT;
	if (v->attributes & TPMA_NV_RESERVED)
		return TPM_RC_RESERVED_BITS;
	rc = read_digest(r, &v->policy);
	if (rc)
		return rc;
	if (!read_u16(r, &v->size))
		return TPM_RC_INSUFFICIENT;
	return v->size <= 2048 ? 0 : TPM_RC_SIZE;
}

uint32_t read_nv_public_2b(struct reader *r, struct nv_public *v)
{
	size_t end;
	uint32_t rc = read_sized_begin(r, &end);

	memset(v, 0, sizeof(*v));
	return rc ? rc : read_sized_end(r, end, read_nv_public(r, v));
}

uint32_t read_digest_values(struct reader *r, struct digest_values *v)
{
	memset(v, 0, sizeof(*v));
	if (!read_u32(r, &v->count))
		return TPM_RC_INSUFFICIENT;
	if (v->count > HASH_COUNT)
		return TPM_RC_SIZE;
	for (uint32_t i = 0; i < v->count; i++) {
		uint32_t rc = read_hash_alg(r, NO_NULL, &v->list[i].alg);
		struct span s;

		if (rc)
			return rc;
		if (!read_span(r, hash_size(v->list[i].alg), &s))
			return TPM_RC_INSUFFICIENT;
		memcpy(v->list[i].bytes, s.data, s.len);
	}
	return 0;
}

uint32_t read_digest_list(struct reader *r, uint32_t min, struct digest_list *v)
{
	uint32_t rc = 0;

	memset(v, 0, sizeof(*v));
	if (!read_u32(r, &v->count))
		return TPM_RC_INSUFFICIENT;
	if (v->count < min || v->count > 8)
		return TPM_RC_SIZE;
	for (uint32_t i = 0; i < v->count && !rc; i++)
		rc = read_digest(r, &v->list[i]);
	return rc;
}

// SPDX-License-Identifier: MIT
/* RSA and symmetric primitives, and signing (Part 3, clauses 14, 15 and 20). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* Part 3, 14.2: the key's own scheme wins; a key without one takes the caller's. */
static uint32_t select_rsa_scheme(const struct object *key, struct scheme *scheme)
{
	const struct scheme *own = &key->pub.scheme;

	if (own->scheme == TPM_ALG_NULL)
		return 0;
	if (scheme->scheme == TPM_ALG_NULL) {
		*scheme = *own;
		return 0;
	}
	return scheme->scheme == own->scheme &&
			       (own->scheme != TPM_ALG_OAEP || scheme->hash == own->hash)
		       ? 0
		       : TPM_RC_SCHEME;
}

uint32_t key_check_type(const struct object *key, uint16_t type)
{
	return key->kind == OBJECT_KEY && key->pub.type == type ? 0 : rc_handle(TPM_RC_KEY, 1);
}

uint32_t key_check_decrypt(const struct object *key, uint16_t type, uint32_t forbidden)
{
	uint32_t rc = key_check_type(key, type);

	if (rc)
		return rc;
	return key->pub.attributes & TPMA_OBJECT_decrypt && !(key->pub.attributes & forbidden)
		       ? 0
		       : rc_handle(TPM_RC_ATTRIBUTES, 1);
}

static bool label_ends(struct span label)
{
	return !label.len || !label.data[label.len - 1];
}

struct rsa_args {
	struct span data, label;
	struct scheme scheme;
};

/* The parameters of both directions, and the checks that they share; `forbidden` attributes go with the private one. */
static uint32_t rsa_args(struct tpm *t, struct cmd *c, uint32_t forbidden, struct rsa_args *a)
{
	struct object *key = object_get(t, c->handles[0]);
	uint32_t rc;

	arg_2b(c, RSA_MAX_BYTES, &a->data);
	arg_with(c, read_rsa_decrypt(&c->in, NULL_OK, &a->scheme));
	arg_2b(c, DATA_MAX, &a->label);
	rc = args_end(c);
	if (rc)
		return rc;
	rc = key_check_decrypt(key, TPM_ALG_RSA, forbidden);
	if (rc)
		return rc;
	if (!label_ends(a->label))
		return rc_param(TPM_RC_VALUE, 3);
	return select_rsa_scheme(key, &a->scheme) ? rc_param(TPM_RC_SCHEME, 2) : 0;
}

/* 14.2 */
HANDLER(rsa_encrypt)
{
	struct object *key = object_get(t, c->handles[0]);
	uint8_t out[RSA_MAX_BYTES];
	struct rsa_args a;
	uint32_t rc = rsa_args(t, c, 0, &a);

	if (rc)
		return rc;
	if (!object_rsa(key))
		return rc_handle(TPM_RC_KEY, 1);
	if (rsa_encrypt(object_rsa(key), &t->rng, a.scheme.scheme, a.scheme.hash, a.label, a.data,
			out))
		return rc_param(TPM_RC_VALUE, 1);
	write_2b(&c->out, out, key->pub.unique_len);
	return 0;
}

/* 14.3 */
HANDLER(rsa_decrypt)
{
	struct object *key = object_get(t, c->handles[0]);
	uint8_t out[RSA_MAX_BYTES];
	struct rsa_args a;
	size_t len = 0;
	uint32_t rc = rsa_args(t, c, TPMA_OBJECT_restricted, &a);

	if (rc)
		return rc;
	/* From here on Part 4 names no parameter. */
	if (a.data.len != key->pub.unique_len)
		return TPM_RC_SIZE;
	if (!object_rsa(key))
		return rc_handle(TPM_RC_KEY, 1);
	if (rsa_decrypt(object_rsa(key), &t->rng, a.scheme.scheme, a.scheme.hash, a.label,
			a.data.data, out, &len))
		return TPM_RC_VALUE;
	write_2b(&c->out, out, len);
	mbedtls_platform_zeroize(out, sizeof(out));
	return 0;
}

/* With data_first, the data is the first parameter instead of the last. */
static uint32_t crypt_check(const struct object *key, uint16_t *mode, bool decrypt, struct span iv,
			    struct span data, bool data_first)
{
	const struct public_area *pub = &key->pub;

	uint32_t rc = key_check_type(key, TPM_ALG_SYMCIPHER);

	if (rc)
		return rc;
	if (pub->attributes & TPMA_OBJECT_restricted ||
	    !(pub->attributes & (decrypt ? TPMA_OBJECT_decrypt : TPMA_OBJECT_sign)))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	if (pub->sym.mode == TPM_ALG_CMAC)
		return rc_handle(TPM_RC_MODE, 1);
	if (pub->sym.mode == TPM_ALG_NULL) {
		if (*mode == TPM_ALG_NULL)
			return rc_param(TPM_RC_MODE, 2 + data_first);
	} else {
		if (*mode != TPM_ALG_NULL && *mode != pub->sym.mode)
			return rc_param(TPM_RC_MODE, 2 + data_first);
		*mode = pub->sym.mode;
	}
	if (*mode == TPM_ALG_ECB ? iv.len != 0 : iv.len != SYM_BLOCK)
		return rc_param(TPM_RC_SIZE, 3 + data_first);
	if ((*mode == TPM_ALG_CBC || *mode == TPM_ALG_ECB) && data.len % SYM_BLOCK)
		return rc_param(TPM_RC_SIZE, data_first ? 1 : 4);
	return 0;
}

static uint32_t crypt(struct cmd *c, const struct object *key, uint16_t mode, bool decrypt,
		      struct span iv, struct span data)
{
	uint8_t out[MAX_DIGEST_BUFFER], vector[SYM_BLOCK] = { 0 };

	if (iv.len)
		memcpy(vector, iv.data, SYM_BLOCK);
	if (sym_crypt(key->pub.sym.alg, key->pub.sym.bits, key->sens.data, mode, !decrypt, vector,
		      data.data, out, data.len))
		return TPM_RC_FAILURE;
	write_2b(&c->out, out, data.len);
	write_2b(&c->out, vector, iv.len);
	mbedtls_platform_zeroize(out, sizeof(out));
	return 0;
}

static uint32_t encrypt_decrypt(struct tpm *t, struct cmd *c, bool data_first)
{
	struct object *key = object_get(t, c->handles[0]);
	struct span iv, data;
	uint16_t mode = 0;
	bool decrypt;
	uint32_t rc;

	if (data_first)
		arg_2b(c, MAX_DIGEST_BUFFER, &data);
	arg_yes_no(c, &decrypt);
	arg_with(c, read_cipher_mode(&c->in, &mode));
	arg_2b(c, SYM_BLOCK, &iv);
	if (!data_first)
		arg_2b(c, MAX_DIGEST_BUFFER, &data);
	rc = args_end(c);
	if (!rc)
		rc = crypt_check(key, &mode, decrypt, iv, data, data_first);
	return rc ? rc : crypt(c, key, mode, decrypt, iv, data);
}

/* 15.2 */
HANDLER(encrypt_decrypt)
{
	return encrypt_decrypt(t, c, false);
}

/* 15.3: the same with the data first, so that sessions can encrypt it */
HANDLER(encrypt_decrypt2)
{
	return encrypt_decrypt(t, c, true);
}

/* 20.1 */
HANDLER(verify_signature)
{
	struct object *key = object_get(t, c->handles[0]);
	struct digest digest;
	struct signature sig;
	struct ticket ticket = { .tag = TPM_ST_VERIFIED, .hierarchy = TPM_RH_NULL };
	uint32_t rc;

	arg_digest(c, &digest);
	arg_with(c, read_signature(&c->in, NO_NULL, &sig));
	rc = args_end(c);
	if (rc)
		return rc;
	if (key->kind != OBJECT_KEY || !(key->pub.attributes & TPMA_OBJECT_sign))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	rc = sign_verify(t, key, &digest, &sig);
	if (rc)
		return rc == TPM_RC_HANDLE ? rc_handle(rc, 1) : rc_param(rc, 2);
	if (key->hierarchy != TPM_RH_NULL && key->pub.name_alg != TPM_ALG_NULL)
		ticket_make(t, TPM_ST_VERIFIED, key->hierarchy, digest_span(&digest),
			    name_span(&key->name), &ticket);
	write_ticket(&c->out, &ticket);
	return 0;
}

/* Does the ticket say that this digest may be signed by a restricted key? */
static bool digest_ticket_good(struct tpm *t, const struct ticket *given, uint16_t hash,
			       const struct digest *digest)
{
	uint8_t alg[2] = { hash >> 8, (uint8_t)hash };
	struct ticket own;

	ticket_make(t, TPM_ST_HASHCHECK, given->hierarchy, (struct span){ alg, 2 },
		    digest_span(digest), &own);
	return digest_equal(&own.digest, &given->digest);
}

/* 20.2 */
HANDLER(sign)
{
	struct object *key = object_get(t, c->handles[0]);
	struct digest digest;
	struct scheme scheme;
	struct ticket ticket;
	struct signature sig;
	uint32_t rc;

	arg_digest(c, &digest);
	arg_with(c, read_sig_scheme(&c->in, NULL_OK, &scheme));
	arg_with(c, read_ticket(&c->in, TPM_ST_HASHCHECK, TPM_ST_HASHCHECK, &ticket));
	rc = args_end(c);
	if (rc)
		return rc;
	if (!sign_capable(key))
		return rc_handle(TPM_RC_KEY, 1);
	if (key->pub.attributes & TPMA_OBJECT_x509sign)
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	if (sign_select_scheme(key, &scheme))
		return rc_param(TPM_RC_SCHEME, 2);
	if ((ticket.digest.len || key->pub.attributes & TPMA_OBJECT_restricted) &&
	    !digest_ticket_good(t, &ticket, scheme.hash, &digest))
		return rc_param(TPM_RC_TICKET, 3);
	if (digest.len != hash_size(scheme.hash))
		return rc_param(TPM_RC_SIZE, 1);
	rc = sign_digest(t, key, &scheme, &digest, &sig);
	if (rc)
		return rc;
	write_signature(&c->out, &sig);
	return 0;
}

// SPDX-License-Identifier: MIT
/* Making keys and sealed objects from a random stream (Part 1, 27.4 to 27.7), and taking loaded ones over. */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

static uint32_t make_rsa(struct object *o, struct drbg *rng)
{
	struct public_area *pub = &o->pub;
	uint32_t e = pub->exponent ? pub->exponent : 65537;

	/* Only the default exponent, and larger primes that cannot be mistaken for it, are generated. */
	if (e != 65537 && (e < 65537 || !(e & 1)))
		return TPM_RC_RANGE;
	pub->unique_len = pub->bits / 8;
	o->sens.len = pub->bits / 16;
	return rsa_generate(rng, pub->bits, e, pub->unique, o->sens.data) ? TPM_RC_FAILURE : 0;
}

static uint32_t make_ecc(struct tpm *t, struct object *o, struct drbg *rng)
{
	struct ecc_num d;

	if (ecc_generate(rng, &t->rng, o->pub.curve, &d, &o->pub.point))
		return TPM_RC_FAILURE;
	o->sens.len = d.len;
	memcpy(o->sens.data, d.bytes, d.len);
	mbedtls_platform_zeroize(&d, sizeof(d));
	return 0;
}

static uint32_t make_symmetric(struct object *o, struct span data, struct drbg *rng)
{
	unsigned int len;

	if (o->pub.type == TPM_ALG_SYMCIPHER) {
		len = o->pub.sym.bits / 8;
		if (data.len && data.len != len)
			return TPM_RC_SIZE;
	} else {
		/* Part 1, 27.6.2: a generated HMAC key is as long as its digest; sealed data and keys have a limit */
		bool has_scheme = o->pub.scheme.scheme != TPM_ALG_NULL;
		uint16_t hash = has_scheme ? o->pub.scheme.hash : o->pub.name_alg;
		bool key = o->pub.attributes & (TPMA_OBJECT_sign | TPMA_OBJECT_decrypt);

		len = hash_size(hash);
		if (data.len > (key ? hash_block_size(hash) : MAX_SYM_DATA))
			return TPM_RC_SIZE;
	}
	if (data.len) {
		o->sens.len = (uint16_t)data.len;
		memcpy(o->sens.data, data.data, data.len);
		return 0;
	}
	o->sens.len = (uint16_t)len;
	return drbg_read(rng, o->sens.data, len) ? TPM_RC_FAILURE : 0;
}

uint32_t object_make(struct tpm *t, struct object *o, const struct create_in *in, struct drbg *rng)
{
	struct span data = in->data;
	struct digest unique;
	uint32_t rc;

	o->pub = *in->pub;
	o->sens.type = o->pub.type;
	o->sens.auth = in->auth;
	if (o->pub.attributes & TPMA_OBJECT_sensitiveDataOrigin)
		data = SPAN_NONE;
	if (o->pub.type == TPM_ALG_RSA)
		rc = make_rsa(o, rng);
	else if (o->pub.type == TPM_ALG_ECC)
		rc = make_ecc(t, o, rng);
	else
		rc = make_symmetric(o, data, rng);
	if (rc)
		return rc;
	/* What a primary storage key of the endorsement hierarchy protects ends with a Clear (Part 1, 14.4). */
	if (o->primary && o->hierarchy == TPM_RH_ENDORSEMENT &&
	    (drbg_stir(rng, (struct span){ t->p.sh_proof, PROOF_SIZE }) ||
	     drbg_stir(rng, (struct span){ t->p.eh_proof, PROOF_SIZE })))
		return TPM_RC_FAILURE;
	o->sens.seed.len = (uint16_t)hash_size(o->pub.name_alg);
	if (drbg_read(rng, o->sens.seed.bytes, o->sens.seed.len))
		return TPM_RC_FAILURE;
	if (o->pub.type == TPM_ALG_SYMCIPHER || o->pub.type == TPM_ALG_KEYEDHASH) {
		symmetric_unique(&o->pub, &o->sens, &unique);
		o->pub.unique_len = unique.len;
		memcpy(o->pub.unique, unique.bytes, unique.len);
	} else if (o->pub.attributes & TPMA_OBJECT_sign ||
		   !(o->pub.attributes & TPMA_OBJECT_restricted)) {
		/* Only storage keys have a use for a seed. */
		memset(&o->sens.seed, 0, sizeof(o->sens.seed));
	}
	object_name(&o->pub, &o->name);
	return 0;
}

void object_place(struct object *o, const struct object *parent, uint32_t hierarchy)
{
	struct name up;

	o->kind = OBJECT_KEY;
	o->hierarchy = hierarchy;
	o->st_clear = (o->pub.attributes & TPMA_OBJECT_stClear) || (parent && parent->st_clear);
	if (parent) {
		object_qualified_name(&parent->qualified_name, o->pub.name_alg, &o->name,
				      &o->qualified_name);
		return;
	}
	up.len = 4;
	for (int i = 0; i < 4; i++)
		up.bytes[i] = (uint8_t)(hierarchy >> (24 - 8 * i));
	object_qualified_name(&up, o->pub.name_alg, &o->name, &o->qualified_name);
}

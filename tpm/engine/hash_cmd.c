// SPDX-License-Identifier: MIT
/* Random numbers, hash, HMAC and sequences (Part 3, clauses 15.4, 15.6, 16 and 17). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* 16.1 */
HANDLER(get_random)
{
	uint8_t bytes[HASH_MAX_SIZE];
	uint16_t count;
	uint32_t rc;

	arg_u16(c, &count);
	rc = args_end(c);
	if (rc)
		return rc;
	if (count > sizeof(bytes))
		count = sizeof(bytes);
	if (drbg_read(&t->rng, bytes, count))
		return TPM_RC_FAILURE;
	write_2b(&c->out, bytes, count);
	return 0;
}

/* 16.2 */
HANDLER(stir_random)
{
	struct span data;
	uint32_t rc;

	arg_2b(c, MAX_SYM_DATA, &data);
	rc = args_end(c);
	if (rc)
		return rc;
	return drbg_stir(&t->rng, data) ? TPM_RC_FAILURE : 0;
}

/* A ticket for a digest says that the data did not begin with TPM_GENERATED (Part 3, 15.4). */
static bool looks_generated(struct span data)
{
	return data.len >= 4 && data.data[0] == 0xFF && data.data[1] == 'T' &&
	       data.data[2] == 'C' && data.data[3] == 'G';
}

static void hash_ticket(struct tpm *t, uint32_t hierarchy, uint16_t alg, struct span digest,
			bool safe, struct ticket *ticket)
{
	uint8_t name[2] = { alg >> 8, (uint8_t)alg };

	memset(ticket, 0, sizeof(*ticket));
	ticket->tag = TPM_ST_HASHCHECK;
	ticket->hierarchy = TPM_RH_NULL;
	if (safe && hierarchy != TPM_RH_NULL)
		ticket_make(t, TPM_ST_HASHCHECK, hierarchy, (struct span){ name, 2 }, digest,
			    ticket);
}

/* 15.4 */
HANDLER(hash)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct ticket ticket;
	struct span data;
	uint16_t alg;
	uint32_t hierarchy, rc;
	unsigned int size;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	arg_hash(c, NO_NULL, &alg);
	arg_handle(c, H_HIERARCHY | HANDLE_NULL, &hierarchy);
	rc = args_end(c);
	if (rc)
		return rc;
	size = hash_buf(alg, data.data, data.len, digest);
	hash_ticket(t, hierarchy, alg, (struct span){ digest, size }, !looks_generated(data),
		    &ticket);
	write_2b(&c->out, digest, size);
	write_ticket(&c->out, &ticket);
	return 0;
}

/* TPMI_ALG_MAC_SCHEME+ (Part 2, 9.39) */
static uint32_t read_mac_scheme(struct reader *r, uint16_t *alg)
{
	uint32_t rc = read_hash_alg(r, NULL_OK, alg);

	if (rc == TPM_RC_HASH)
		return *alg == TPM_ALG_CMAC ? 0 : TPM_RC_SYMMETRIC;
	return rc;
}

/* What a key computes: a hash for an HMAC, TPM_ALG_CMAC, a cipher's mode that is no MAC, or TPM_ALG_NULL. */
static uint16_t mac_of_key(const struct public_area *pub)
{
	if (pub->type == TPM_ALG_SYMCIPHER)
		return pub->sym.mode;
	return pub->scheme.scheme == TPM_ALG_NULL ? TPM_ALG_NULL : pub->scheme.hash;
}

/*
 * The checks of TPM2_MAC and TPM2_MAC_Start (Part 3, 15.6 and 17.3), which have taken the place of TPM2_HMAC and
 * TPM2_HMAC_Start and their codes; *alg becomes the one to use.
 */
static uint32_t mac_key_check(const struct object *key, uint16_t *alg)
{
	const struct public_area *pub = &key->pub;
	bool cipher = pub->type == TPM_ALG_SYMCIPHER;
	uint16_t own = mac_of_key(pub);

	if (key->kind != OBJECT_KEY || (pub->type != TPM_ALG_KEYEDHASH && !cipher))
		return rc_handle(TPM_RC_TYPE, 1);
	if (*alg == TPM_ALG_NULL)
		*alg = own;
	else if (own != TPM_ALG_NULL && own != *alg)
		return rc_param(TPM_RC_VALUE, 2);
	if (*alg == TPM_ALG_NULL)
		return rc_param(TPM_RC_VALUE, 2);
	if (cipher ? *alg != TPM_ALG_CMAC : !hash_size(*alg))
		return rc_param(TPM_RC_SCHEME, 2);
	if (pub->attributes & TPMA_OBJECT_restricted)
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	return pub->attributes & TPMA_OBJECT_sign ? 0 : rc_handle(TPM_RC_KEY, 1);
}

static unsigned int mac_of(const struct object *key, uint16_t alg, struct span data, uint8_t *mac)
{
	struct cmac_ctx cmac;
	struct hmac_ctx hmac;

	if (alg == TPM_ALG_CMAC) {
		cmac_start(&cmac, key->pub.sym.alg, key->pub.sym.bits, key->sens.data);
		cmac_update(&cmac, data.data, data.len);
		return cmac_finish(&cmac, mac);
	}
	hmac_start(&hmac, alg, key->sens.data, key->sens.len);
	hmac_update(&hmac, data.data, data.len);
	return hmac_finish(&hmac, mac);
}

/* 15.6 */
HANDLER(mac)
{
	struct object *key = object_get(t, c->handles[0]);
	uint8_t mac[HASH_MAX_SIZE];
	struct span data;
	uint16_t alg = TPM_ALG_NULL;
	uint32_t rc;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	arg_with(c, read_mac_scheme(&c->in, &alg));
	rc = args_end(c);
	if (!rc)
		rc = mac_key_check(key, &alg);
	if (rc)
		return rc;
	write_2b(&c->out, mac, mac_of(key, alg, data, mac));
	return 0;
}

static uint32_t sequence_new(struct tpm *t, uint8_t kind, const struct digest *auth,
			     struct object **o, uint32_t *handle)
{
	uint32_t rc = object_new(t, o, handle);

	if (rc)
		return rc;
	(*o)->kind = kind;
	(*o)->hierarchy = TPM_RH_NULL;
	(*o)->sens.auth = *auth;
	auth_trim(&(*o)->sens.auth);
	/* Sequences are outside dictionary attack protection (Part 1, 32.4.5). */
	(*o)->pub.attributes = TPMA_OBJECT_noDA | TPMA_OBJECT_userWithAuth;
	return 0;
}

/* 17.3 */
HANDLER(mac_start)
{
	struct object *key = object_get(t, c->handles[0]), *o;
	struct digest auth;
	uint16_t alg = TPM_ALG_NULL;
	uint32_t rc;

	arg_digest(c, &auth);
	arg_with(c, read_mac_scheme(&c->in, &alg));
	rc = args_end(c);
	if (!rc)
		rc = mac_key_check(key, &alg);
	if (!rc)
		rc = sequence_new(t,
				  alg == TPM_ALG_CMAC ? OBJECT_CMAC_SEQUENCE : OBJECT_HMAC_SEQUENCE,
				  &auth, &o, &c->rsp_handle);
	if (rc)
		return rc;
	if (alg == TPM_ALG_CMAC)
		cmac_start(&o->cmac, key->pub.sym.alg, key->pub.sym.bits, key->sens.data);
	else
		hmac_start(&o->hmac, alg, key->sens.data, key->sens.len);
	return 0;
}

/* 17.4 */
HANDLER(hash_sequence_start)
{
	struct digest auth;
	struct object *o;
	uint16_t alg;
	uint32_t rc;

	arg_digest(c, &auth);
	arg_hash(c, NULL_OK, &alg);
	rc = args_end(c);
	if (!rc)
		rc = sequence_new(
			t, alg == TPM_ALG_NULL ? OBJECT_EVENT_SEQUENCE : OBJECT_HASH_SEQUENCE,
			&auth, &o, &c->rsp_handle);
	if (rc)
		return rc;
	if (alg != TPM_ALG_NULL)
		hash_start(&o->hash[0], alg);
	else
		for (unsigned int i = 0; i < HASH_COUNT; i++)
			hash_start(&o->hash[i], hash_by_index(i));
	return 0;
}

static void sequence_add(struct object *o, struct span data)
{
	switch (o->kind) {
	case OBJECT_HMAC_SEQUENCE:
		hmac_update(&o->hmac, data.data, data.len);
		break;
	case OBJECT_CMAC_SEQUENCE:
		cmac_update(&o->cmac, data.data, data.len);
		break;
	case OBJECT_HASH_SEQUENCE:
		/* The first four bytes decide about a ticket, so a first block must not be shorter. */
		if (!o->first_block_seen) {
			o->first_block_seen = true;
			o->ticket_safe = data.len >= 4 && !looks_generated(data);
		}
		hash_update(&o->hash[0], data.data, data.len);
		break;
	default:
		for (unsigned int i = 0; i < HASH_COUNT; i++)
			hash_update(&o->hash[i], data.data, data.len);
		break;
	}
}

/* 17.5 */
HANDLER(sequence_update)
{
	struct object *o = object_get(t, c->handles[0]);
	struct span data;
	uint32_t rc;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!object_is_sequence(o))
		return rc_handle(TPM_RC_MODE, 1);
	sequence_add(o, data);
	return 0;
}

/* Of a sequence with one result. */
static unsigned int sequence_finish(struct object *o, uint8_t *out)
{
	if (o->kind == OBJECT_HMAC_SEQUENCE)
		return hmac_finish(&o->hmac, out);
	if (o->kind == OBJECT_CMAC_SEQUENCE)
		return cmac_finish(&o->cmac, out);
	return hash_finish(&o->hash[0], out);
}

/* 17.6 */
HANDLER(sequence_complete)
{
	struct object *o = object_get(t, c->handles[0]);
	uint8_t digest[HASH_MAX_SIZE];
	struct ticket ticket;
	struct span data;
	uint32_t hierarchy, rc;
	unsigned int size;
	uint16_t alg;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	arg_handle(c, H_HIERARCHY | HANDLE_NULL, &hierarchy);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!object_is_sequence(o) || o->kind == OBJECT_EVENT_SEQUENCE)
		return rc_handle(TPM_RC_MODE, 1);
	sequence_add(o, data);
	alg = o->hash[0].alg;
	size = sequence_finish(o, digest);
	hash_ticket(t, hierarchy, alg, (struct span){ digest, size },
		    o->kind == OBJECT_HASH_SEQUENCE && o->ticket_safe, &ticket);
	write_2b(&c->out, digest, size);
	write_ticket(&c->out, &ticket);
	/* Gone once the response is made, whose HMAC still uses its authorisation value. */
	c->flush_handle = c->handles[0];
	return 0;
}

/* 17.7 */
HANDLER(event_sequence_complete)
{
	struct object *o = object_get(t, c->handles[1]);
	uint32_t pcr = c->handles[0], rc;
	struct span data;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	rc = args_end(c);
	if (rc)
		return rc;
	if (o->kind != OBJECT_EVENT_SEQUENCE)
		return rc_handle(TPM_RC_MODE, 2);
	if (pcr != TPM_RH_NULL && !pcr_extend_allowed(t, pcr))
		return TPM_RC_LOCALITY;
	sequence_add(o, data);
	write_u32(&c->out, HASH_COUNT);
	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		uint8_t digest[HASH_MAX_SIZE];
		uint16_t alg = hash_by_index(i);
		unsigned int size = hash_finish(&o->hash[i], digest);

		if (pcr != TPM_RH_NULL)
			pcr_extend(t, pcr, alg, digest);
		write_u16(&c->out, alg);
		write_bytes(&c->out, digest, size);
	}
	c->flush_handle = c->handles[1];
	return 0;
}

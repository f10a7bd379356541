// SPDX-License-Identifier: MIT
/* Attestation (Part 3, clause 18; TPMS_ATTEST of Part 2, 10.12). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* What every attestation command has read from its caller. */
struct attest {
	struct object *key; /* NULL: not signed */
	struct span qualifying;
	struct scheme scheme;
};

/* The parameters that most begin with. */
static void attest_args(struct cmd *c, struct attest *a)
{
	arg_2b(c, DATA_MAX, &a->qualifying);
	arg_with(c, read_sig_scheme(&c->in, NULL_OK, &a->scheme));
}

/* Behind the last parameter: key_no is the key's place among the handles, scheme_no the scheme's among the parameters. */
static uint32_t attest_check(struct tpm *t, struct cmd *c, struct attest *a, unsigned int key_no,
			     unsigned int scheme_no)
{
	uint32_t handle = c->handles[key_no - 1], rc = args_end(c);

	if (rc)
		return rc;
	a->key = handle == TPM_RH_NULL ? NULL : object_get(t, handle);
	if (!a->key) {
		/* No key, no scheme, whatever was asked for: and so no hash either */
		a->scheme.scheme = a->scheme.hash = TPM_ALG_NULL;
		return 0;
	}
	if (!sign_capable(a->key))
		return rc_handle(TPM_RC_KEY, key_no);
	return sign_select_scheme(a->key, &a->scheme) ? rc_param(TPM_RC_SCHEME, scheme_no) : 0;
}

static bool is_anonymous(const struct attest *a)
{
	return a->key && scheme_is_anonymous(a->scheme.scheme);
}

static void hash_qualifying(const struct attest *a, struct digest *digest)
{
	struct hash_ctx ctx;

	hash_start(&ctx, a->scheme.hash);
	hash_update(&ctx, a->qualifying.data, a->qualifying.len);
	hash_update(&ctx, digest->bytes, digest->len);
	hash_finish(&ctx, digest->bytes);
}

/* Part 1, 36.7: outside the endorsement and platform hierarchies, counters and version are hidden behind the key. */
static void obfuscation(struct tpm *t, const struct attest *a, uint64_t *version, uint32_t *reset,
			uint32_t *restart)
{
	uint8_t mask[16];
	uint64_t parts[2] = { 0, 0 };

	*version = 0;
	*reset = *restart = 0;
	if (a->key &&
	    (a->key->hierarchy == TPM_RH_ENDORSEMENT || a->key->hierarchy == TPM_RH_PLATFORM))
		return;
	kdf_a(TPM_ALG_SHA256, (struct span){ t->p.sh_proof, PROOF_SIZE }, "OBFUSCATE",
	      a->key && !is_anonymous(a) ? name_span(&a->key->qualified_name) : SPAN_NONE,
	      SPAN_NONE, 128, mask);
	for (int i = 0; i < 16; i++)
		parts[i / 8] = parts[i / 8] << 8 | mask[i];
	*version = parts[0];
	*reset = (uint32_t)(parts[1] >> 32);
	*restart = (uint32_t)parts[1];
}

/* TPMS_CLOCK_INFO and the firmware version, as this key's users may see them. */
static void write_clock_and_version(struct tpm *t, struct cmd *c, const struct attest *a)
{
	uint64_t version;
	uint32_t reset, restart;

	obfuscation(t, a, &version, &reset, &restart);
	write_u64(&c->out, t->p.clock);
	write_u32(&c->out, t->p.reset_count + reset);
	write_u32(&c->out, t->p.restart_count + restart);
	write_u8(&c->out, t->p.clock_safe);
	write_u64(&c->out, clock_firmware_version() + version);
}

/* Begins TPM2B_ATTEST; returns the mark for attest_finish(). */
static size_t attest_begin(struct tpm *t, struct cmd *c, const struct attest *a, uint16_t type)
{
	size_t mark = write_2b_begin(&c->out);
	struct name null_name;

	write_u32(&c->out, TPM_GENERATED_VALUE);
	write_u16(&c->out, type);
	entity_name(t, TPM_RH_NULL, &null_name);
	/* An anonymous signer is not named, and what its verifier gave is in the signed digest only. */
	if (is_anonymous(a)) {
		write_u32(&c->out, 0); /* both empty */
	} else {
		write_name(&c->out, a->key ? &a->key->qualified_name : &null_name);
		write_2b(&c->out, a->qualifying.data, a->qualifying.len);
	}
	write_clock_and_version(t, c, a);
	return mark;
}

static uint32_t attest_finish(struct tpm *t, struct cmd *c, const struct attest *a, size_t mark)
{
	struct signature sig = { .alg = TPM_ALG_NULL };
	struct digest digest;
	uint32_t rc = 0;

	write_2b_end(&c->out, mark);
	if (a->key) {
		digest.len = (uint16_t)hash_buf(a->scheme.hash, c->out.buf + mark,
						c->out.len - mark, digest.bytes);
		if (is_anonymous(a) && a->qualifying.len)
			hash_qualifying(a, &digest);
		rc = sign_digest(t, a->key, &a->scheme, &digest, &sig);
	}
	write_signature(&c->out, &sig);
	return rc;
}

/* 18.2 */
HANDLER(certify)
{
	struct object *o = object_get(t, c->handles[0]);
	struct attest a;
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	rc = attest_check(t, c, &a, 2, 2);
	if (rc)
		return rc;
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_CERTIFY);
	write_name(&c->out, &o->name);
	write_name(&c->out, &o->qualified_name);
	return attest_finish(t, c, &a, mark);
}

/* 18.3 */
HANDLER(certify_creation)
{
	struct object *o = object_get(t, c->handles[1]);
	struct digest creation;
	struct ticket ticket, own;
	struct attest a;
	size_t mark;
	uint32_t rc;

	arg_2b(c, DATA_MAX, &a.qualifying);
	arg_digest(c, &creation);
	arg_with(c, read_sig_scheme(&c->in, NULL_OK, &a.scheme));
	arg_with(c, read_ticket(&c->in, TPM_ST_CREATION, TPM_ST_CREATION, &ticket));
	rc = attest_check(t, c, &a, 1, 3);
	if (rc)
		return rc;
	/* A sequence has no name, and so no ticket. */
	ticket_make(t, TPM_ST_CREATION, ticket.hierarchy, name_span(&o->name),
		    digest_span(&creation), &own);
	if (!digest_equal(&own.digest, &ticket.digest))
		return rc_param(TPM_RC_TICKET, 4);
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_CREATION);
	write_name(&c->out, &o->name);
	write_digest(&c->out, &creation);
	return attest_finish(t, c, &a, mark);
}

/* 18.4 */
HANDLER(quote)
{
	struct pcr_selections sel;
	struct digest digest;
	struct attest a;
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	arg_with(c, read_pcr_selections(&c->in, &sel));
	rc = attest_check(t, c, &a, 1, 2);
	if (rc)
		return rc;
	/* Unsigned or not, the digest of the PCRs needs a hash. */
	if (a.scheme.hash == TPM_ALG_NULL)
		return rc_param(TPM_RC_SCHEME, 2);
	pcr_digest(t, &sel, a.scheme.hash, &digest);
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_QUOTE);
	write_pcr_selections(&c->out, &sel);
	write_digest(&c->out, &digest);
	return attest_finish(t, c, &a, mark);
}

/* 18.5 */
HANDLER(get_session_audit_digest)
{
	struct session *s = session_get(t, c->handles[2]);
	struct attest a;
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	rc = attest_check(t, c, &a, 2, 2);
	if (rc)
		return rc;
	if (!s->audit)
		return rc_handle(TPM_RC_TYPE, 3);
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_SESSION_AUDIT);
	write_u8(&c->out, t->exclusive_audit == c->handles[2]);
	write_digest(&c->out, &s->digest);
	return attest_finish(t, c, &a, mark);
}

static void audited_commands_digest(const struct tpm *t, struct digest *out)
{
	struct hash_ctx ctx;

	hash_start(&ctx, t->p.audit_hash);
	for (uint32_t code = TPM_CC_FIRST; code <= TPM_CC_LAST; code++) {
		uint8_t bytes[4] = { 0, 0, code >> 8, (uint8_t)code };

		if (bitmap_get(t->p.audit_commands, code))
			hash_update(&ctx, bytes, 4);
	}
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* 18.6 */
HANDLER(get_command_audit_digest)
{
	struct digest commands;
	struct attest a;
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	rc = attest_check(t, c, &a, 2, 2);
	if (rc)
		return rc;
	audited_commands_digest(t, &commands);
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_COMMAND_AUDIT);
	write_u64(&c->out, t->p.audit_counter);
	write_u16(&c->out, t->p.audit_hash);
	write_digest(&c->out, &t->r.audit_digest);
	write_digest(&c->out, &commands);
	rc = attest_finish(t, c, &a, mark);
	/* A signed report starts a new log. */
	c->flush_audit_digest = !rc && a.key;
	return rc;
}

/* 18.7 */
HANDLER(get_time)
{
	struct attest a;
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	rc = attest_check(t, c, &a, 2, 2);
	if (rc)
		return rc;
	mark = attest_begin(t, c, &a, TPM_ST_ATTEST_TIME);
	write_u64(&c->out, t->time);
	write_clock_and_version(t, c, &a);
	return attest_finish(t, c, &a, mark);
}

/* 31.16 */
HANDLER(nv_certify)
{
	struct nv_index *index;
	struct attest a;
	struct name name;
	uint16_t size, offset;
	uint8_t digest[HASH_MAX_SIZE];
	size_t mark;
	uint32_t rc;

	attest_args(c, &a);
	arg_u16(c, &size);
	arg_u16(c, &offset);
	rc = attest_check(t, c, &a, 1, 2);
	if (!rc)
		rc = nv_read_access(t, c->handles[1], c->handles[2]);
	if (rc)
		return rc;
	index = nv_find(t, c->handles[2]);
	if (!size && !offset && a.scheme.hash == TPM_ALG_NULL)
		return rc_param(TPM_RC_SCHEME, 2);
	if ((uint32_t)size + offset > index->pub.size)
		return TPM_RC_NV_RANGE;
	if (size > MAX_NV_BUFFER)
		return rc_param(TPM_RC_VALUE, 3);
	nv_name(index, &name);
	/* Both zero: a digest of all the data, in the hash of the signature */
	mark = attest_begin(t, c, &a, size || offset ? TPM_ST_ATTEST_NV : TPM_ST_ATTEST_NV_DIGEST);
	write_name(&c->out, &name);
	if (size || offset) {
		write_u16(&c->out, offset);
		write_2b(&c->out, index->data + offset, size);
	} else {
		write_2b(&c->out, digest,
			 hash_buf(a.scheme.hash, index->data, index->pub.size, digest));
	}
	return attest_finish(t, c, &a, mark);
}

// SPDX-License-Identifier: MIT
/* TPM2_CertifyX509 (Part 3, 18.8): the caller's part of a certificate, completed, checked and signed. */
#include <string.h>
#include "tpm/crypto/der.h"
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define SERIAL_SIZE 20 /* RFC 5280, 4.1.2.2: at most */

/* 2.5.29.15 and 2.23.133.10.1.1.1 */
#define OID_KEY_USAGE   "\x55\x1D\x0F"
#define OID_TPMA_OBJECT "\x67\x81\x05\x0A\x01\x01\x01"

/* Part 2, 8.9 TPMA_X509_KEY_USAGE: named bit n of the extension is bit 31 - n. */
#define USE_SIGN         (1u << 31 | 1u << 26 | 1u << 25) /* digitalSignature, keyCertSign, cRLSign */
#define USE_FIXED        (1u << 30)                       /* contentCommitment */
#define USE_ENCIPHERMENT (1u << 29)                       /* keyEncipherment: what a parent does */
/* dataEncipherment, keyAgreement, encipherOnly, decipherOnly */
#define USE_DECRYPT (1u << 28 | 1u << 27 | 1u << 24 | 1u << 23)

/* --- DER that comes from the caller --- */

struct element {
	uint8_t tag;
	struct span content, whole;
};

/* The next element: a one-byte tag and a definite length (X.690, 8.1.3). */
static bool read_element(struct reader *r, struct element *e)
{
	const uint8_t *start = r->pos;
	uint8_t first, more;
	size_t len;

	if (!read_u8(r, &e->tag) || (e->tag & 0x1F) == 0x1F || !read_u8(r, &first))
		return false;
	len = first;
	if (first & 0x80) {
		if (first == 0x80 || first > 0x82)
			return false;
		len = 0;
		for (unsigned int i = first & 0x7F; i; i--) {
			if (!read_u8(r, &more))
				return false;
			len = len << 8 | more;
		}
	}
	if (!read_span(r, len, &e->content))
		return false;
	e->whole = (struct span){ start, (size_t)(r->pos - start) };
	return true;
}

static struct reader reader_of(struct span s)
{
	return (struct reader){ s.data, s.len };
}

/* One element that is all of the span. */
static bool only_element(struct span s, uint8_t tag, struct element *e)
{
	struct reader r = reader_of(s);

	return read_element(&r, e) && !r.left && e->tag == tag;
}

/* The caller's fields of a TBSCertificate. */
struct partial {
	struct span algorithm; /* data NULL: the TPM is to write it */
	struct span names;     /* issuer, validity and subject, which follow each other */
	struct span extensions;
};

/* [algorithm] issuer validity subject extensions, in one sequence. */
static bool read_partial(struct span sequence, struct partial *p)
{
	struct element e;
	struct span sequences[4];
	unsigned int count = 0, first;
	struct reader r;

	memset(p, 0, sizeof(*p));
	r = reader_of(sequence);
	while (r.left) {
		if (!read_element(&r, &e) || p->extensions.data)
			return false;
		if (e.tag == DER_CONTEXT(3))
			p->extensions = e.whole;
		else if (e.tag == DER_SEQUENCE && count < 4)
			sequences[count++] = e.whole;
		else
			return false;
	}
	if (count < 3 || !p->extensions.data)
		return false;
	first = count - 3;
	if (first)
		p->algorithm = sequences[0];
	p->names.data = sequences[first].data;
	p->names.len = (size_t)(p->extensions.data - p->names.data);
	return true;
}

/* The extension's value, out of its octet string. False when it is malformed or, with data NULL, not there. */
static bool find_extension(struct span extensions, const char *oid, size_t oid_len,
			   struct span *value)
{
	struct element outer, list, one, id, v;
	struct reader all, r;

	*value = SPAN_NONE;
	if (!only_element(extensions, DER_CONTEXT(3), &outer) ||
	    !only_element(outer.content, DER_SEQUENCE, &list))
		return false;
	all = reader_of(list.content);
	while (all.left) {
		if (!read_element(&all, &one) || one.tag != DER_SEQUENCE)
			return false;
		r = reader_of(one.content);
		if (!read_element(&r, &id) || id.tag != DER_OID || !read_element(&r, &v) ||
		    (v.tag == DER_BOOLEAN && !read_element(&r, &v)) || v.tag != DER_OCTET_STRING ||
		    r.left)
			return false;
		if (id.content.len == oid_len && !memcmp(id.content.data, oid, oid_len))
			*value = v.content;
	}
	return true;
}

/* A bit string of at most 32 bits, the first of them as bit 31. */
static bool read_bits(struct span value, uint32_t *bits)
{
	struct element e;

	*bits = 0;
	if (!only_element(value, DER_BIT_STRING, &e) || !e.content.len || e.content.len > 5 ||
	    e.content.data[0] > 7)
		return false;
	for (size_t i = 1; i < e.content.len; i++)
		*bits |= (uint32_t)e.content.data[i] << (32 - 8 * i);
	/* the first octet counts the bits at the end that are none (X.690, 8.6.2) */
	*bits &= e.content.len > 1 ? ~0u << (40 - 8 * e.content.len + e.content.data[0]) : 0;
	return true;
}

/* Can a key with these attributes be used so? */
static bool usage_fits(uint32_t usage, uint32_t attributes)
{
	bool decrypt = attributes & TPMA_OBJECT_decrypt;

	if (usage & USE_SIGN && !(attributes & TPMA_OBJECT_sign))
		return false;
	if (usage & USE_FIXED && !(attributes & TPMA_OBJECT_fixedTPM))
		return false;
	if (usage & USE_ENCIPHERMENT && !(decrypt && attributes & TPMA_OBJECT_restricted))
		return false;
	return !(usage & USE_DECRYPT) || decrypt;
}

/* The certificate must say no more of the key than is so. Key usage is required, the attributes are not. */
static uint32_t check_extensions(struct span extensions, const struct object *o)
{
	struct span usage, attributes;
	uint32_t bits;

	if (!find_extension(extensions, OID_TPMA_OBJECT, sizeof(OID_TPMA_OBJECT) - 1,
			    &attributes) ||
	    !find_extension(extensions, OID_KEY_USAGE, sizeof(OID_KEY_USAGE) - 1, &usage) ||
	    !usage.data)
		return rc_param(TPM_RC_VALUE, 3);
	if (attributes.data) {
		if (!read_bits(attributes, &bits))
			return rc_param(TPM_RC_VALUE, 3);
		if (bits != o->pub.attributes)
			return rc_handle(TPM_RC_ATTRIBUTES, 1);
	}
	if (!read_bits(usage, &bits))
		return rc_param(TPM_RC_VALUE, 3);
	return usage_fits(bits, o->pub.attributes) ? 0 : rc_handle(TPM_RC_ATTRIBUTES, 1);
}

/* --- what the TPM adds --- */

static bool add_public(struct der *d, const struct public_area *pub)
{
	switch (pub->type) {
	case TPM_ALG_RSA:
		der_rsa_public(d, (struct span){ pub->unique, pub->unique_len },
			       pub->exponent ? pub->exponent : 65537);
		return true;
	case TPM_ALG_ECC:
		return der_ecc_public(d, pub->curve, &pub->point);
	default:
		return false;
	}
}

/* Salts of RSAPSS are as long as the digest. */
static bool add_algorithm(struct der *d, const struct scheme *scheme)
{
	return der_signature_algorithm(d, scheme->scheme, scheme->hash, hash_size(scheme->hash));
}

static bool has_algorithm(const struct scheme *scheme)
{
	uint8_t buf[128];
	struct der d = der_begin(buf, sizeof(buf));

	return add_algorithm(&d, scheme);
}

static void add_serial_and_version(struct tpm *t, struct der *d)
{
	uint8_t serial[SERIAL_SIZE];
	const uint8_t *end;

	drbg_read(&t->rng, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7F) | 0x40; /* positive, and of one length */
	der_integer(d, (struct span){ serial, sizeof(serial) });
	end = d->pos;
	der_small_integer(d, 2); /* version 3 */
	der_wrap(d, DER_CONTEXT(0), end);
}

/* The digest of the TBSCertificate: its head, then added and caller's fields in RFC 5280's order. */
static void tbs_digest(const struct partial *p, struct span head, struct span public, uint16_t hash,
		       struct digest *out)
{
	const struct span parts[] = { head, p->algorithm, p->names, public, p->extensions };
	uint8_t frame_bytes[8];
	struct der frame = der_begin(frame_bytes, sizeof(frame_bytes));
	struct hash_ctx ctx;
	size_t len = 0, prefix;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		len += parts[i].len;
	der_frame(&frame, DER_SEQUENCE, len);
	prefix = (size_t)(frame_bytes + sizeof(frame_bytes) - frame.pos);
	hash_start(&ctx, hash);
	hash_update(&ctx, frame.pos, prefix);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		hash_update(&ctx, parts[i].data, parts[i].len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

static uint32_t complete(struct tpm *t, struct cmd *c, struct object *key, const struct object *o,
			 const struct scheme *scheme, const struct partial *p)
{
	uint8_t added[MAX_DIGEST_BUFFER];
	struct der d = der_begin(added, sizeof(added));
	const uint8_t *end = d.pos;
	struct signature sig;
	struct digest digest;
	struct span head, public;
	uint32_t rc;

	if (!add_public(&d, &o->pub))
		return rc_handle(TPM_RC_ASYMMETRIC, 1);
	public = (struct span){ d.pos, (size_t)(end - d.pos) };
	if (!p->algorithm.data)
		add_algorithm(&d, scheme);
	add_serial_and_version(t, &d);
	if (d.overflow)
		return TPM_RC_FAILURE;
	head = (struct span){ d.pos, (size_t)(public.data - d.pos) };
	tbs_digest(p, head, public, scheme->hash, &digest);
	der_wrap(&d, DER_SEQUENCE, end);
	rc = sign_digest(t, key, scheme, &digest, &sig);
	if (rc)
		return rc;
	write_2b(&c->out, d.pos, (size_t)(end - d.pos));
	write_digest(&c->out, &digest);
	write_signature(&c->out, &sig);
	return 0;
}

/* 18.8 */
HANDLER(certify_x509)
{
	struct object *o = object_get(t, c->handles[0]), *key = object_get(t, c->handles[1]);
	struct span reserved, in;
	struct scheme scheme;
	struct element outer;
	struct partial p;
	uint32_t rc;

	arg_2b(c, 2 + HASH_MAX_SIZE, &reserved);
	arg_with(c, read_sig_scheme(&c->in, NULL_OK, &scheme));
	arg_2b(c, MAX_DIGEST_BUFFER, &in);
	rc = args_end(c);
	if (rc)
		return rc;
	if (reserved.len)
		return rc_param(TPM_RC_SIZE, 1);
	/* TPM_RH_NULL is allowed for a handle here, but has no sign attribute. */
	if (!key || !sign_capable(key))
		return rc_handle(TPM_RC_KEY, 2);
	if (sign_select_scheme(key, &scheme))
		return rc_param(TPM_RC_SCHEME, 2);
	if (o->kind != OBJECT_KEY || (o->pub.type != TPM_ALG_RSA && o->pub.type != TPM_ALG_ECC))
		return rc_handle(TPM_RC_ASYMMETRIC, 1);
	if (in.len && !only_element(in, DER_SEQUENCE, &outer))
		return rc_param(TPM_RC_SIZE, 3);
	if (!in.len || !read_partial(outer.content, &p))
		return rc_param(TPM_RC_VALUE, 3);
	if (!p.algorithm.data && !has_algorithm(&scheme))
		return rc_handle(TPM_RC_SCHEME, 2);
	rc = check_extensions(p.extensions, o);
	return rc ? rc : complete(t, c, key, o, &scheme, &p);
}

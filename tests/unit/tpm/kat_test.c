// SPDX-License-Identifier: MIT
/* Known answers (tests/tpm/kat-vectors): key derivation, curves, RSA paddings, names, credentials, encryption, policy digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/tpm/kat_vectors.h"
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/crypto/ecc.h"
#include "tpm/crypto/kdf.h"
#include "tpm/crypto/rsa.h"
#include "tpm/engine/types.h"

#define SPAN(array) ((struct span){ array, sizeof(array) })

static struct span text(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

/* --- tpm/crypto --- */

static void key_derivation(void **state)
{
	uint8_t out[128];

	(void)state;
#define KDF(alg, tag, bits)                                                         \
	kdf_a(alg, SPAN(kdf_key), "KAT", text("party U"), text("v"), bits, out);    \
	assert_memory_equal(out, kdfa_##tag##_##bits, sizeof(kdfa_##tag##_##bits)); \
	kdf_e(alg, SPAN(kdf_z), "KAT", text("party U"), text("v"), bits, out);      \
	assert_memory_equal(out, kdfe_##tag##_##bits, sizeof(kdfe_##tag##_##bits))
#define KDFS(alg, tag)      \
	KDF(alg, tag, 128); \
	KDF(alg, tag, 521); \
	KDF(alg, tag, 1024)
	KDFS(TPM_ALG_SHA1, sha1);
	KDFS(TPM_ALG_SHA256, sha256);
	KDFS(TPM_ALG_SHA384, sha384);
	KDFS(TPM_ALG_SHA512, sha512);
}

static struct ecc_num number(struct span s)
{
	struct ecc_num n = { .len = (uint16_t)s.len };

	memcpy(n.bytes, s.data, s.len);
	return n;
}

static struct drbg test_rng(void)
{
	struct drbg rng;

	assert_int_equal(drbg_init_seeded(&rng, text("kat"), "test", SPAN_NONE), 0);
	return rng;
}

static void shared_secret(uint16_t curve, struct span x, struct span y, struct span d,
			  struct span z)
{
	struct drbg rng = test_rng();
	struct ecc_point peer = { number(x), number(y) }, out;
	struct ecc_num scalar = number(d);

	assert_int_equal(ecc_multiply(curve, &scalar, &peer, &out, &rng), 0);
	assert_memory_equal(out.x.bytes, z.data, z.len);
	drbg_free(&rng);
}

/* NIST CAVP: ECC CDH primitive */
static void ecdh(void **state)
{
	(void)state;
	shared_secret(TPM_ECC_NIST_P256, SPAN(cdh_p256_x), SPAN(cdh_p256_y), SPAN(cdh_p256_d),
		      SPAN(cdh_p256_z));
	shared_secret(TPM_ECC_NIST_P384, SPAN(cdh_p384_x), SPAN(cdh_p384_y), SPAN(cdh_p384_d),
		      SPAN(cdh_p384_z));
}

static void signature(uint16_t curve, struct span d, struct span x, struct span y,
		      struct span digest, struct span r, struct span s)
{
	struct drbg rng = test_rng();
	struct ecc_signature sig = { number(r), number(s) };
	struct ecc_num scalar = number(d);
	struct ecc_point q;

	assert_int_equal(ecc_public(curve, &scalar, &q, &rng), 0);
	assert_memory_equal(q.x.bytes, x.data, x.len);
	assert_memory_equal(q.y.bytes, y.data, y.len);
	assert_int_equal(ecc_ecdsa_verify(curve, &q, digest, &sig), 0);
	sig.s.bytes[sig.s.len - 1] ^= 1;
	assert_int_not_equal(ecc_ecdsa_verify(curve, &q, digest, &sig), 0);
	drbg_free(&rng);
}

/* RFC 6979, A.2.5 and A.2.6 */
static void ecdsa(void **state)
{
	(void)state;
	signature(TPM_ECC_NIST_P256, SPAN(ecdsa_p256_d), SPAN(ecdsa_p256_x), SPAN(ecdsa_p256_y),
		  SPAN(ecdsa_p256_digest), SPAN(ecdsa_p256_r), SPAN(ecdsa_p256_s));
	signature(TPM_ECC_NIST_P384, SPAN(ecdsa_p384_d), SPAN(ecdsa_p384_x), SPAN(ecdsa_p384_y),
		  SPAN(ecdsa_p384_digest), SPAN(ecdsa_p384_r), SPAN(ecdsa_p384_s));
}

static void decrypts(struct rsa_key *key, uint16_t hash, struct span label, struct span cipher,
		     struct span message)
{
	struct drbg rng = test_rng();
	uint8_t out[RSA_MAX_BYTES], damaged[RSA_MAX_BYTES];
	size_t len;

	assert_int_equal(rsa_decrypt(key, &rng, TPM_ALG_OAEP, hash, label, cipher.data, out, &len),
			 0);
	assert_int_equal(len, message.len);
	assert_memory_equal(out, message.data, len);
	memcpy(damaged, cipher.data, cipher.len);
	damaged[cipher.len / 2] ^= 1;
	assert_int_not_equal(rsa_decrypt(key, &rng, TPM_ALG_OAEP, hash, label, damaged, out, &len),
			     0);
	drbg_free(&rng);
}

/* PKCS #1's own vector, and each hash with a TPM's label. */
static void oaep(void **state)
{
	struct rsa_key key;
	struct span label = { (const uint8_t *)"DUPLICATE", 10 };

	(void)state;
	assert_int_equal(rsa_load_private(&key, SPAN(rsa1024_n), 17, SPAN(rsa1024_p)), 0);
	decrypts(&key, TPM_ALG_SHA1, SPAN_NONE, SPAN(oaep_sha1_cipher), SPAN(oaep_sha1_message));
	rsa_free(&key);
	assert_int_equal(rsa_load_private(&key, SPAN(rsa2048_n), 65537, SPAN(rsa2048_p)), 0);
	decrypts(&key, TPM_ALG_SHA1, label, SPAN(oaep_sha1_label_cipher), SPAN(oaep_message));
	decrypts(&key, TPM_ALG_SHA256, label, SPAN(oaep_sha256_label_cipher), SPAN(oaep_message));
	decrypts(&key, TPM_ALG_SHA384, label, SPAN(oaep_sha384_label_cipher), SPAN(oaep_message));
	decrypts(&key, TPM_ALG_SHA512, label, SPAN(oaep_sha512_label_cipher), SPAN(oaep_message));
	rsa_free(&key);
}

static void rsa_signatures(void **state)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct rsa_key key;

	(void)state;
	assert_int_equal(rsa_load_public(&key, SPAN(rsa2048_n), 65537), 0);
#define VERIFY(alg, tag)                                                                           \
	hash_buf(alg, "sample", 6, digest);                                                        \
	assert_int_equal(rsa_verify(&key, TPM_ALG_RSAPSS, alg, digest, SPAN(pss_##tag##_digest)),  \
			 0);                                                                       \
	assert_int_equal(rsa_verify(&key, TPM_ALG_RSAPSS, alg, digest, SPAN(pss_##tag##_longest)), \
			 0);                                                                       \
	assert_int_equal(rsa_verify(&key, TPM_ALG_RSASSA, alg, digest, SPAN(pkcs1_##tag)), 0);     \
	digest[0] ^= 1;                                                                            \
	assert_int_not_equal(                                                                      \
		rsa_verify(&key, TPM_ALG_RSAPSS, alg, digest, SPAN(pss_##tag##_digest)), 0)
	VERIFY(TPM_ALG_SHA1, sha1);
	VERIFY(TPM_ALG_SHA256, sha256);
	VERIFY(TPM_ALG_SHA384, sha384);
	VERIFY(TPM_ALG_SHA512, sha512);
	rsa_free(&key);
}

/* --- the engine --- */

static uint32_t response_handle(struct fixture *f)
{
	struct reader r = response(f);
	uint32_t handle;

	assert_true(read_u32(&r, &handle));
	return handle;
}

static void flush(struct fixture *f, uint32_t handle)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_FlushContext), handle);
	assert_int_equal(command_run(f), 0);
}

static struct span take_2b(struct reader *r)
{
	struct span v;
	uint16_t len;

	assert_true(read_u16(r, &len));
	assert_true(read_span(r, len, &v));
	return v;
}

/* A storage key of the owner's. */
static uint32_t create_parent(struct fixture *f)
{
	struct public_area pub = { .type = TPM_ALG_ECC,
				   .name_alg = TPM_ALG_SHA256,
				   .attributes = TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent |
						 TPMA_OBJECT_sensitiveDataOrigin |
						 TPMA_OBJECT_userWithAuth | TPMA_OBJECT_restricted |
						 TPMA_OBJECT_decrypt,
				   .sym = { TPM_ALG_AES, 128, TPM_ALG_CFB },
				   .scheme.scheme = TPM_ALG_NULL,
				   .kdf.scheme = TPM_ALG_NULL,
				   .curve = TPM_ECC_NIST_P256 };

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_CreatePrimary), TPM_RH_OWNER);
	command_password(f, "");
	write_2b(&f->w, "\0\0\0\0", 4);
	write_public_2b(&f->w, &pub);
	write_2b(&f->w, NULL, 0);
	write_u32(&f->w, 0);
	assert_int_equal(command_run(f), 0);
	return response_handle(f);
}

/* The storage key of the vectors, which comes unencrypted, as Part 3, 13.3 allows. */
static uint32_t import_storage_key(struct fixture *f)
{
	uint32_t parent = create_parent(f), handle;
	uint8_t private[512];
	struct reader r;
	struct span out;
	size_t mark;

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Import), parent);
	command_password(f, "");
	write_2b(&f->w, NULL, 0);
	write_2b(&f->w, parent_public, sizeof(parent_public));
	mark = write_2b_begin(&f->w);
	write_2b(&f->w, parent_sensitive, sizeof(parent_sensitive));
	write_2b_end(&f->w, mark);
	write_2b(&f->w, NULL, 0);
	write_u16(&f->w, TPM_ALG_NULL);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	r.pos += 4;
	r.left -= 4;
	out = take_2b(&r);
	memcpy(private, out.data, out.len);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Load), parent);
	command_password(f, "");
	write_2b(&f->w, private, out.len);
	write_2b(&f->w, parent_public, sizeof(parent_public));
	assert_int_equal(command_run(f), 0);
	handle = response_handle(f);
	r = response(f);
	r.pos += 8;
	r.left -= 8;
	out = take_2b(&r);
	assert_int_equal(out.len, sizeof(parent_name));
	assert_memory_equal(out.data, parent_name, out.len);
	flush(f, parent);
	return handle;
}

static uint32_t load_external(struct fixture *f, struct span sensitive, struct span public)
{
	command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_LoadExternal);
	write_2b(&f->w, sensitive.data, sensitive.len);
	write_2b(&f->w, public.data, public.len);
	write_u32(&f->w, TPM_RH_NULL);
	assert_int_equal(command_run(f), 0);
	return response_handle(f);
}

static uint32_t load_subject(struct fixture *f)
{
	uint32_t handle = load_external(f, SPAN(subject_sensitive), SPAN(subject_public));
	struct reader r = response(f);
	struct span name;

	r.pos += 4;
	r.left -= 4;
	name = take_2b(&r);
	assert_int_equal(name.len, sizeof(subject_name));
	assert_memory_equal(name.data, subject_name, name.len);
	return handle;
}

static uint32_t activate(struct fixture *f, uint32_t subject, uint32_t key, const uint8_t *blob)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ActivateCredential), subject);
	write_u32(&f->w, key);
	write_u32(&f->w, 18);
	for (int i = 0; i < 2; i++) {
		write_u32(&f->w, TPM_RS_PW);
		write_bytes(&f->w, "\0\0\0\0", 5);
	}
	write_2b(&f->w, blob, sizeof(credential_blob));
	write_2b(&f->w, credential_secret, sizeof(credential_secret));
	return command_run(f);
}

/* Names of both objects, and a credential that somebody else made (Part 1, 24). */
static void names_and_credentials(void **state)
{
	struct fixture *f = *state;
	uint32_t key = import_storage_key(f), subject = load_subject(f);
	uint8_t blob[sizeof(credential_blob)];
	struct reader r;
	struct span secret;

	assert_int_equal(activate(f, subject, key, credential_blob), 0);
	r = response(f);
	r.pos += 4;
	r.left -= 4;
	secret = take_2b(&r);
	assert_int_equal(secret.len, 11);
	assert_memory_equal(secret.data, "open sesame", secret.len);
	memcpy(blob, credential_blob, sizeof(blob));
	blob[sizeof(blob) - 1] ^= 1;
	assert_int_equal(activate(f, subject, key, blob), TPM_RC_INTEGRITY + TPM_RC_P + TPM_RC_1);
}

/* --- encryption with a curve (Part 1, annex D) --- */

static uint32_t ecc_decrypt(struct fixture *f, uint32_t key, struct span c1, struct span c2,
			    struct span c3, uint16_t hash)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ECC_Decrypt), key);
	command_password(f, "");
	write_2b(&f->w, c1.data, c1.len);
	write_2b(&f->w, c2.data, c2.len);
	write_2b(&f->w, c3.data, c3.len);
	write_u16(&f->w, hash == TPM_ALG_NULL ? TPM_ALG_NULL : TPM_ALG_KDF2);
	if (hash != TPM_ALG_NULL)
		write_u16(&f->w, hash);
	return command_run(f);
}

static void expect_message(struct fixture *f)
{
	struct reader r = response(f);
	struct span message;

	r.pos += 4;
	r.left -= 4;
	message = take_2b(&r);
	assert_int_equal(message.len, 100);
	for (uint8_t i = 0; i < 100; i++)
		assert_int_equal(message.data[i], i);
}

static void decrypts_with_curve(struct fixture *f, uint32_t key, uint16_t hash, struct span c2,
				struct span c3)
{
	uint8_t damaged[100];

	assert_int_equal(ecc_decrypt(f, key, SPAN(ecc_c1), c2, c3, hash), 0);
	expect_message(f);
	memcpy(damaged, c2.data, sizeof(damaged));
	damaged[99] ^= 1;
	assert_int_equal(ecc_decrypt(f, key, SPAN(ecc_c1), SPAN(damaged), c3, hash), TPM_RC_VALUE);
	/* An integrity value that is cut short is none. */
	c3.len--;
	assert_int_equal(ecc_decrypt(f, key, SPAN(ecc_c1), c2, c3, hash), TPM_RC_VALUE);
}

static uint32_t ecc_encrypt(struct fixture *f, uint32_t key, struct span message, uint16_t kdf)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ECC_Encrypt), key);
	write_2b(&f->w, message.data, message.len);
	write_u16(&f->w, kdf);
	if (kdf != TPM_ALG_NULL)
		write_u16(&f->w, TPM_ALG_SHA384);
	return command_run(f);
}

static void encryption_with_a_curve(void **state)
{
	struct fixture *f = *state;
	uint32_t key = load_external(f, SPAN(ecc_recipient_sensitive), SPAN(ecc_recipient_public));
	uint32_t signer = load_subject(f);
	uint8_t text[100], off_curve[sizeof(ecc_c1)], rsp[512];
	struct span c1, c2, c3;
	struct reader r;

	decrypts_with_curve(f, key, TPM_ALG_SHA1, SPAN(ecc_c2_sha1), SPAN(ecc_c3_sha1));
	decrypts_with_curve(f, key, TPM_ALG_SHA256, SPAN(ecc_c2_sha256), SPAN(ecc_c3_sha256));
	decrypts_with_curve(f, key, TPM_ALG_SHA384, SPAN(ecc_c2_sha384), SPAN(ecc_c3_sha384));
	decrypts_with_curve(f, key, TPM_ALG_SHA512, SPAN(ecc_c2_sha512), SPAN(ecc_c3_sha512));
	/* what it encrypts itself */
	for (uint8_t i = 0; i < 100; i++)
		text[i] = i;
	assert_int_equal(ecc_encrypt(f, key, SPAN(text), TPM_ALG_KDF2), 0);
	memcpy(rsp, f->rsp + 10, f->rsp_len - 10);
	r = (struct reader){ rsp, f->rsp_len - 10 };
	c1 = take_2b(&r);
	c2 = take_2b(&r);
	c3 = take_2b(&r);
	assert_int_equal(c1.len, sizeof(ecc_c1));
	assert_memory_not_equal(c2.data, text, sizeof(text));
	assert_int_equal(ecc_decrypt(f, key, c1, c2, c3, TPM_ALG_SHA384), 0);
	expect_message(f);
	/* no scheme, one that does not encrypt, a point off the curve, a key that may not decrypt */
	assert_int_equal(ecc_encrypt(f, key, SPAN(text), TPM_ALG_NULL),
			 TPM_RC_SCHEME + TPM_RC_P + 2 * TPM_RC_1);
	assert_int_equal(ecc_decrypt(f, key, c1, c2, c3, TPM_ALG_NULL),
			 TPM_RC_SCHEME + TPM_RC_P + 4 * TPM_RC_1);
	assert_int_equal(ecc_encrypt(f, key, SPAN(text), TPM_ALG_MGF1), TPM_RC_SCHEME);
	assert_int_equal(ecc_encrypt(f, key, SPAN(text), TPM_ALG_AES),
			 TPM_RC_KDF + TPM_RC_P + 2 * TPM_RC_1);
	assert_int_equal(ecc_encrypt(f, signer, SPAN(text), TPM_ALG_KDF2),
			 TPM_RC_ATTRIBUTES + TPM_RC_H + TPM_RC_1);
	memcpy(off_curve, ecc_c1, sizeof(off_curve));
	off_curve[sizeof(off_curve) - 1] ^= 1;
	assert_int_equal(ecc_decrypt(f, key, SPAN(off_curve), c2, c3, TPM_ALG_SHA384),
			 TPM_RC_ECC_POINT + TPM_RC_P + TPM_RC_1);
	assert_int_equal(ecc_decrypt(f, signer, c1, c2, c3, TPM_ALG_SHA384),
			 TPM_RC_ATTRIBUTES + TPM_RC_H + TPM_RC_1);
}

/* --- policies --- */

static uint32_t start_session(struct fixture *f, uint8_t type, uint16_t hash)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_StartAuthSession);
	static const uint8_t nonce[16];

	write_u32(w, TPM_RH_NULL);
	write_u32(w, TPM_RH_NULL);
	write_2b(w, nonce, sizeof(nonce));
	write_2b(w, NULL, 0);
	write_u8(w, type);
	write_u16(w, TPM_ALG_NULL);
	write_u16(w, hash);
	assert_int_equal(command_run(f), 0);
	return response_handle(f);
}

static void expect_policy(struct fixture *f, uint32_t session, struct span want)
{
	struct reader r;
	struct span digest;

	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyGetDigest), session);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	digest = take_2b(&r);
	assert_int_equal(digest.len, want.len);
	assert_memory_equal(digest.data, want.data, want.len);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyRestart), session);
	assert_int_equal(command_run(f), 0);
}

/* One assertion of a trial session that takes these parameters and needs no authorisation. */
static void assertion(struct fixture *f, uint32_t session, uint32_t code,
		      const struct writer *params, struct span want)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, code), session);
	write_bytes(&f->w, params->buf, params->len);
	assert_int_equal(command_run(f), 0);
	expect_policy(f, session, want);
}

static void policy_secret(struct fixture *f, uint32_t session, const char *ref)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PolicySecret), TPM_RH_ENDORSEMENT);
	write_u32(&f->w, session);
	command_password(f, "");
	write_2b(&f->w, NULL, 0); /* no nonce, no cpHash, the reference, no expiration */
	write_2b(&f->w, NULL, 0);
	write_2b(&f->w, ref, strlen(ref));
	write_u32(&f->w, 0);
	assert_int_equal(command_run(f), 0);
}

struct expected {
	uint16_t hash;
	struct span locality, code, cp_hash, name_hash, template, presence, auth, written, counter,
		duplication, send, pcr, either, secret;
};

static uint32_t limit_by(struct fixture *f, uint32_t session, uint32_t code, const uint8_t *digest,
			 unsigned int size)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, code), session);
	write_2b(&f->w, digest, size);
	return command_run(f);
}

/* 23.21.1: the same template again is good, another one is not, and there is none beside a cpHash. */
static void another_template(struct fixture *f, uint32_t session, const uint8_t *digest,
			     const uint8_t *other, unsigned int size)
{
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyTemplate, digest, size), 0);
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyTemplate, digest, size), 0);
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyTemplate, other, size),
			 TPM_RC_VALUE + TPM_RC_P + TPM_RC_1);
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyCpHash, other, size), TPM_RC_CPHASH);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyRestart), session);
	assert_int_equal(command_run(f), 0);
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyCpHash, other, size), 0);
	assert_int_equal(limit_by(f, session, TPM_CC_PolicyTemplate, other, size), TPM_RC_CPHASH);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyRestart), session);
	assert_int_equal(command_run(f), 0);
}

static void policies_of(struct fixture *f, const struct expected *e)
{
	uint32_t session = start_session(f, TPM_SE_TRIAL, e->hash);
	uint8_t buf[256], digest[HASH_MAX_SIZE], other[HASH_MAX_SIZE];
	unsigned int size = hash_buf(e->hash, "digest", 6, digest);
	struct writer w;

	hash_buf(e->hash, "other", 5, other);
#define BEGIN() (w = (struct writer){ .buf = buf, .max = sizeof(buf) })
	BEGIN(), write_u8(&w, 0x1F);
	assertion(f, session, TPM_CC_PolicyLocality, &w, e->locality);
	BEGIN(), write_u32(&w, TPM_CC_Sign);
	assertion(f, session, TPM_CC_PolicyCommandCode, &w, e->code);
	BEGIN(), write_2b(&w, digest, size);
	assertion(f, session, TPM_CC_PolicyCpHash, &w, e->cp_hash);
	assertion(f, session, TPM_CC_PolicyNameHash, &w, e->name_hash);
	assertion(f, session, TPM_CC_PolicyTemplate, &w, e->template);
	another_template(f, session, digest, other, size);
	BEGIN();
	assertion(f, session, TPM_CC_PolicyPhysicalPresence, &w, e->presence);
	assertion(f, session, TPM_CC_PolicyAuthValue, &w, e->auth);
	assertion(f, session, TPM_CC_PolicyPassword, &w, e->auth);
	BEGIN(), write_u8(&w, 1);
	assertion(f, session, TPM_CC_PolicyNvWritten, &w, e->written);
	BEGIN(), write_2b(&w, "\0\0\0\0\0\0\0\5", 8), write_u16(&w, 8), write_u16(&w, 2);
	assertion(f, session, TPM_CC_PolicyCounterTimer, &w, e->counter);
	BEGIN(), write_u16(&w, 22), write_u16(&w, TPM_ALG_SHA256), write_bytes(&w, digest, 20);
	write_u16(&w, 20), write_u16(&w, TPM_ALG_SHA256), write_bytes(&w, digest, 18),
		write_u8(&w, 1);
	assertion(f, session, TPM_CC_PolicyDuplicationSelect, &w, e->duplication);
	/* the object's name, which is left out, then who authorises and the component */
	BEGIN(), write_2b(&w, digest, 20), write_2b(&w, "\1\x50\0\0", 4);
	write_2b(&w, "\x90\0\0\1", 4), write_u8(&w, 0);
	assertion(f, session, TPM_CC_Policy_AC_SendSelect, &w, e->send);
	BEGIN(), write_2b(&w, NULL, 0), write_u32(&w, 1), write_u16(&w, TPM_ALG_SHA256);
	write_bytes(&w, "\3\1\0\0", 4);
	assertion(f, session, TPM_CC_PolicyPCR, &w, e->pcr);
	BEGIN(), write_u32(&w, 2), write_2b(&w, digest, size), write_2b(&w, other, size);
	assertion(f, session, TPM_CC_PolicyOR, &w, e->either);
	policy_secret(f, session, "ref");
	expect_policy(f, session, e->secret);
	flush(f, session);
}

#define EXPECTED(alg, tag)                                                                     \
	{                                                                                      \
		alg, SPAN(policy_locality_##tag), SPAN(policy_commandcode_##tag),              \
			SPAN(policy_cphash_##tag), SPAN(policy_namehash_##tag),                \
			SPAN(policy_template_##tag), SPAN(policy_physicalpresence_##tag),      \
			SPAN(policy_authvalue_##tag), SPAN(policy_nvwritten_##tag),            \
			SPAN(policy_countertimer_##tag), SPAN(policy_duplicationselect_##tag), \
			SPAN(policy_ac_sendselect_##tag), SPAN(policy_pcr_##tag),              \
			SPAN(policy_or_##tag), SPAN(policy_secret_##tag)                       \
	}

static void policy_digests(void **state)
{
	const struct expected all[] = {
		EXPECTED(TPM_ALG_SHA1, sha1),
		EXPECTED(TPM_ALG_SHA256, sha256),
		EXPECTED(TPM_ALG_SHA384, sha384),
		EXPECTED(TPM_ALG_SHA512, sha512),
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		policies_of(*state, &all[i]);
}

/* A real policy session as the one authorisation, with nothing in it. */
static void session_area(struct fixture *f, uint32_t session)
{
	write_u32(&f->w, 9);
	write_u32(&f->w, session);
	write_2b(&f->w, NULL, 0);
	write_u8(&f->w, 1); /* it goes on */
	write_2b(&f->w, NULL, 0);
}

/* Annex B.2's policies over its index, which is written first: that is in its name, and its name in the digest. */
static void endorsement_policies(struct fixture *f, uint32_t index, uint16_t hash, struct span a,
				 struct span c, struct span b)
{
	static const uint32_t attributes = 0x220F1008 & ~TPMA_NV_WRITTEN;
	uint32_t session = start_session(f, TPM_SE_POLICY, hash);
	uint8_t content[2 + HASH_MAX_SIZE] = { (uint8_t)(hash >> 8), (uint8_t)hash };
	size_t mark;

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_DefineSpace), TPM_RH_OWNER);
	command_password(f, "");
	write_2b(&f->w, NULL, 0);
	mark = write_2b_begin(&f->w);
	write_u32(&f->w, index);
	write_u16(&f->w, hash);
	write_u32(&f->w, attributes);
	write_2b(&f->w, a.data, a.len);
	write_u16(&f->w, (uint16_t)(2 + a.len));
	write_2b_end(&f->w, mark);
	assert_int_equal(command_run(f), 0);
	policy_secret(f, session, "");
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_Write), index);
	write_u32(&f->w, index);
	session_area(f, session);
	memcpy(content + 2, c.data, c.len);
	write_2b(&f->w, content, 2 + c.len);
	write_u16(&f->w, 0);
	assert_int_equal(command_run(f), 0);
	flush(f, session);
	session = start_session(f, TPM_SE_TRIAL, hash);
	policy_secret(f, session, "");
	expect_policy(f, session, a);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PolicyAuthorizeNV), index);
	write_u32(&f->w, index);
	write_u32(&f->w, session);
	command_password(f, "");
	assert_int_equal(command_run(f), 0);
	expect_policy(f, session, c);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyOR), session);
	write_u32(&f->w, 2);
	write_2b(&f->w, a.data, a.len);
	write_2b(&f->w, c.data, c.len);
	assert_int_equal(command_run(f), 0);
	expect_policy(f, session, b);
	flush(f, session);
}

static void endorsement(void **state)
{
	endorsement_policies(*state, 0x01C07F01, TPM_ALG_SHA256, SPAN(policy_a_sha256),
			     SPAN(policy_c_sha256), SPAN(policy_b_sha256));
	endorsement_policies(*state, 0x01C07F03, TPM_ALG_SHA512, SPAN(policy_a_sha512),
			     SPAN(policy_c_sha512), SPAN(policy_b_sha512));
}

int main(void)
{
#define engine(t) cmocka_unit_test_setup_teardown(t, fixture_setup_started, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_derivation),
		cmocka_unit_test(ecdh),
		cmocka_unit_test(ecdsa),
		cmocka_unit_test(oaep),
		cmocka_unit_test(rsa_signatures),
		engine(names_and_credentials),
		engine(encryption_with_a_curve),
		engine(policy_digests),
		engine(endorsement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

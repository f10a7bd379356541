/* SPDX-License-Identifier: MIT */
/*
 * TPM structures in memory, and their readers and writers (Part 2). Readers return a TPM_RC without a parameter
 * number: the command layer adds that.
 */
#ifndef TPM_ENGINE_TYPES_H
#define TPM_ENGINE_TYPES_H

#include "proto/tpm.h"
#include "tpm/crypto/ecc.h"
#include "tpm/crypto/hash.h"
#include "tpm/crypto/rsa.h"
#include "tpm/crypto/sym.h"
#include "tpm/engine/buf.h"

#define PCR_COUNT         24
#define PCR_SELECT_SIZE   ((PCR_COUNT + 7) / 8)
#define HASH_COUNT        4
#define MAX_DIGEST_BUFFER 1024
#define MAX_NV_BUFFER     1024
#define MAX_SYM_DATA      128
#define MAX_LABEL         32
#define MAX_CREDENTIAL    2048
#define DATA_MAX          (2 + HASH_MAX_SIZE) /* TPM2B_DATA */
#define NAME_MAX_SIZE     68                  /* sizeof(TPMU_NAME), which a 32-bit handle aligns */
#define SENSITIVE_MAX     (RSA_MAX_BYTES / 2)
#define PRIVATE_MAX       1024 /* a TPM2B_PRIVATE: two digests, lengths and the largest TPM2B_SENSITIVE */

struct digest {
	uint16_t len;
	uint8_t bytes[HASH_MAX_SIZE];
};

struct name {
	uint16_t len;
	uint8_t bytes[NAME_MAX_SIZE];
};

/* TPMT_SYM_DEF and TPMT_SYM_DEF_OBJECT; for TPM_ALG_XOR, bits is the hash. */
struct sym_def {
	uint16_t alg, bits, mode;
};

/* TPMT_RSA_SCHEME, TPMT_ECC_SCHEME, TPMT_SIG_SCHEME, TPMT_KEYEDHASH_SCHEME, TPMT_KDF_SCHEME. */
struct scheme {
	uint16_t scheme, hash;
	uint16_t extra; /* ECDAA: count; XOR: kdf */
};

/* TPMT_PUBLIC with every type's members side by side; `type` says which are meant. */
struct public_area {
	uint16_t type, name_alg;
	uint32_t attributes;
	struct digest policy;
	struct sym_def sym; /* RSA, ECC, SYMCIPHER */
	struct scheme scheme;
	struct scheme kdf; /* ECC */
	uint16_t bits;     /* RSA */
	uint16_t curve;    /* ECC */
	uint32_t exponent; /* RSA */
	struct ecc_point point;
	/* RSA: n; KEYEDHASH and SYMCIPHER: digest */
	uint16_t unique_len;
	uint8_t unique[RSA_MAX_BYTES];
};

/* TPMT_SENSITIVE */
struct sensitive {
	uint16_t type;
	struct digest auth, seed;
	uint16_t len;
	uint8_t data[SENSITIVE_MAX]; /* RSA: a prime; ECC: d; KEYEDHASH: bits; SYMCIPHER: key */
};

/* TPML_PCR_SELECTION */
struct pcr_selection {
	uint16_t hash;
	uint8_t size;
	uint8_t bits[PCR_SELECT_SIZE];
};

struct pcr_selections {
	uint32_t count;
	struct pcr_selection list[HASH_COUNT];
};

/* TPMT_SIGNATURE */
struct signature {
	uint16_t alg, hash;
	uint16_t len; /* RSA, HMAC */
	uint8_t bytes[RSA_MAX_BYTES];
	struct ecc_signature ecc;
};

/* TPMT_TK_* */
struct ticket {
	uint16_t tag;
	uint32_t hierarchy;
	struct digest digest;
};

struct nv_public {
	uint32_t index;
	uint16_t name_alg;
	uint32_t attributes;
	struct digest policy;
	uint16_t size;
};

/* TPML_DIGEST_VALUES: at most one digest a hash. */
struct digest_values {
	uint32_t count;
	struct {
		uint16_t alg;
		uint8_t bytes[HASH_MAX_SIZE];
	} list[HASH_COUNT];
};

struct digest_list {
	uint32_t count;
	struct digest list[8];
};

enum null_rule {
	NO_NULL,
	NULL_OK
};

/* A TPM2B view; TPM_RC_SIZE when longer than max. */
uint32_t read_2b(struct reader *r, size_t max, struct span *v);
/* A TPM2B around a structure: its size, which must not be 0; then, with what reading the structure gave, its end. */
uint32_t read_sized_begin(struct reader *r, size_t *end);
uint32_t read_sized_end(const struct reader *r, size_t end, uint32_t rc);
uint32_t read_digest(struct reader *r, struct digest *v);
uint32_t read_hash_alg(struct reader *r, enum null_rule rule, uint16_t *v);
uint32_t read_sym_def(struct reader *r, enum null_rule rule, struct sym_def *v);
uint32_t read_sym_def_object(struct reader *r, enum null_rule rule, struct sym_def *v);
/* TPMI_ALG_CIPHER_MODE+: those of encryption, without CMAC. */
uint32_t read_cipher_mode(struct reader *r, uint16_t *v);
bool cipher_mode_known(uint16_t mode);
uint32_t read_sig_scheme(struct reader *r, enum null_rule rule, struct scheme *v);
uint32_t read_rsa_decrypt(struct reader *r, enum null_rule rule, struct scheme *v);
uint32_t read_kdf_scheme(struct reader *r, enum null_rule rule, struct scheme *v);
uint32_t read_curve(struct reader *r, uint16_t *v);
uint32_t read_ecc_num(struct reader *r, struct ecc_num *v);
uint32_t read_ecc_point(struct reader *r, struct ecc_point *v);
uint32_t read_point_2b(struct reader *r, struct ecc_point *v);
/* The parameters alone (TPMT_PUBLIC_PARMS, type included) and a whole TPMT_PUBLIC; TPM2B_PUBLIC is the last. */
uint32_t read_public_parms(struct reader *r, struct public_area *v);
uint32_t read_public(struct reader *r, enum null_rule name_rule, struct public_area *v);
uint32_t read_public_2b(struct reader *r, enum null_rule name_rule, struct public_area *v);
/* As read_public() up to, but without, the unique field. */
uint32_t read_public_head(struct reader *r, enum null_rule name_rule, struct public_area *v);
uint32_t read_sensitive(struct reader *r, struct sensitive *v);
uint32_t read_pcr_selections(struct reader *r, struct pcr_selections *v);
uint32_t read_signature(struct reader *r, enum null_rule rule, struct signature *v);
uint32_t read_ticket(struct reader *r, uint16_t tag, uint16_t other_tag, struct ticket *v);
uint32_t read_nv_public_2b(struct reader *r, struct nv_public *v);
uint32_t read_digest_values(struct reader *r, struct digest_values *v);
uint32_t read_digest_list(struct reader *r, uint32_t min, struct digest_list *v);

void write_digest(struct writer *w, const struct digest *v);
void write_name(struct writer *w, const struct name *v);
void write_sym_def(struct writer *w, const struct sym_def *v);
void write_scheme(struct writer *w, const struct scheme *v);
void write_ecc_num(struct writer *w, const struct ecc_num *v);
void write_point_2b(struct writer *w, const struct ecc_point *v);
void write_public(struct writer *w, const struct public_area *v);
void write_public_2b(struct writer *w, const struct public_area *v);
void write_sensitive(struct writer *w, const struct sensitive *v);
void write_pcr_selections(struct writer *w, const struct pcr_selections *v);
void write_signature(struct writer *w, const struct signature *v);
void write_ticket(struct writer *w, const struct ticket *v);
void write_nv_public(struct writer *w, const struct nv_public *v);

bool rsa_bits_supported(uint16_t bits);
bool scheme_is_anonymous(uint16_t scheme); /* ECDAA */

void digest_set(struct digest *d, const void *bytes, size_t len);
/* In constant time; different lengths are unequal. */
bool digest_equal(const struct digest *a, const struct digest *b);
bool bytes_equal(const void *a, const void *b, size_t len);
static inline struct span digest_span(const struct digest *d)
{
	return (struct span){ d->bytes, d->len };
}
static inline struct span name_span(const struct name *n)
{
	return (struct span){ n->bytes, n->len };
}
/* Drops trailing zeros, as authorisation values are compared without them (Part 1, 19.6.4.3). */
void auth_trim(struct digest *auth);

#endif

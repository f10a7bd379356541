// SPDX-License-Identifier: MIT
#include <string.h>
#include "tpm/setup/ek.h"

/* Templates L-1, L-2, H-3 and H-6. */
static const struct ek eks[] = {
	{ "rsa2048", 0x01C00002, 0x81010001, TPM_ALG_RSA, TPM_ALG_SHA256, .bits = 2048,
	  .sym_bits = 128 },
	{ "p256", 0x01C0000A, 0x8101000A, TPM_ALG_ECC, TPM_ALG_SHA256, .curve = TPM_ECC_NIST_P256,
	  .sym_bits = 128 },
	{ "p384", 0x01C00016, 0x81010016, TPM_ALG_ECC, TPM_ALG_SHA384, .curve = TPM_ECC_NIST_P384,
	  .sym_bits = 256, .high_range = true },
	{ "rsa3072", 0x01C0001C, 0x8101001C, TPM_ALG_RSA, TPM_ALG_SHA384, .bits = 3072,
	  .sym_bits = 256, .high_range = true },
};

const struct ek *ek_by_index(unsigned int n)
{
	return n < sizeof(eks) / sizeof(*eks) ? &eks[n] : NULL;
}

const struct ek *ek_find(const char *name)
{
	const struct ek *ek;

	for (unsigned int i = 0; (ek = ek_by_index(i)); i++)
		if (!strcmp(ek->name, name))
			return ek;
	return NULL;
}

/* Annex B.2: TPM2_PolicySecret(TPM_RH_ENDORSEMENT), alone (A) or also what an NV index holds (B). */
static const uint8_t policy_a_sha256[32] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
	0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
	0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};
static const uint8_t policy_b_sha384[48] = {
	0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc,
	0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
	0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09,
	0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
};

#define STORAGE_KEY                                                                         \
	(TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent | TPMA_OBJECT_sensitiveDataOrigin | \
	 TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt)

static void storage_key(struct public_area *pub, uint16_t type, uint16_t name_alg,
			uint16_t sym_bits)
{
	memset(pub, 0, sizeof(*pub));
	pub->type = type;
	pub->name_alg = name_alg;
	pub->attributes = STORAGE_KEY;
	pub->sym = (struct sym_def){ TPM_ALG_AES, sym_bits, TPM_ALG_CFB };
	pub->scheme.scheme = pub->kdf.scheme = TPM_ALG_NULL;
}

void ek_template(const struct ek *ek, struct public_area *pub)
{
	storage_key(pub, ek->type, ek->name_alg, ek->sym_bits);
	pub->attributes |= TPMA_OBJECT_adminWithPolicy;
	pub->bits = ek->bits;
	pub->curve = ek->curve;
	if (ek->high_range) {
		pub->attributes |= TPMA_OBJECT_userWithAuth;
		digest_set(&pub->policy, policy_b_sha384, sizeof(policy_b_sha384));
		return;
	}
	digest_set(&pub->policy, policy_a_sha256, sizeof(policy_a_sha256));
	/* The low range's unique fields are zeros of the key's size, the high range's are empty. */
	pub->unique_len = ek->bits / 8;
	pub->point.x.len = pub->point.y.len = (uint16_t)ecc_size(ek->curve);
}

void srk_template(bool ecc, struct public_area *pub)
{
	storage_key(pub, ecc ? TPM_ALG_ECC : TPM_ALG_RSA, TPM_ALG_SHA256, 128);
	pub->attributes |= TPMA_OBJECT_userWithAuth | TPMA_OBJECT_noDA;
	if (ecc) {
		pub->curve = TPM_ECC_NIST_P256;
		pub->point.x.len = pub->point.y.len = 32;
	} else {
		pub->bits = 2048;
		pub->unique_len = 256;
	}
}

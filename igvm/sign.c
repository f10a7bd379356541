#include "igvm/sign.h"

#include <errno.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha512.h>
#include <string.h>
#include <sys/random.h>

#include "igvm/layout.h"
#include "igvm/writer.h"
#include "proto/sev_snp.h"

#define P384_LEN 48

/* --- keys --- */

struct key {
	mbedtls_ecp_group group;
	mbedtls_mpi secret;
	mbedtls_ecp_point point;
};

/* Only blinds what is computed with the secret; what comes out does not depend on it. */
static int random_bytes(void *ctx, unsigned char *to, size_t len)
{
	(void)ctx;
	return getrandom(to, len, 0) == (ssize_t)len ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

static void key_init(struct key *key)
{
	mbedtls_ecp_group_init(&key->group);
	mbedtls_mpi_init(&key->secret);
	mbedtls_ecp_point_init(&key->point);
}

static void key_free(struct key *key)
{
	mbedtls_ecp_group_free(&key->group);
	mbedtls_mpi_free(&key->secret);
	mbedtls_ecp_point_free(&key->point);
}

static int key_read(struct key *key, const char *pem, struct igvm_error *error)
{
	mbedtls_pk_context pk;
	int ret;

	mbedtls_pk_init(&pk);
	ret = mbedtls_pk_parse_key(&pk, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0,
				   random_bytes, NULL);
	if (!ret && !mbedtls_pk_can_do(&pk, MBEDTLS_PK_ECDSA))
		ret = -EINVAL;
	if (!ret)
		ret = mbedtls_ecp_export(mbedtls_pk_ec(pk), &key->group, &key->secret, &key->point);
	if (!ret && key->group.id != MBEDTLS_ECP_DP_SECP384R1)
		ret = -EINVAL;
	mbedtls_pk_free(&pk);
	if (ret)
		*error = (struct igvm_error){ 0, "the key is not a P-384 private key in PEM" };
	return ret ? -EINVAL : 0;
}

/* r and s of the signature of `len` bytes, big-endian. */
static int key_sign(struct key *key, const void *data, size_t len, uint8_t r[P384_LEN],
		    uint8_t s[P384_LEN])
{
	uint8_t hash[48];
	mbedtls_mpi x, y;
	int ret;

	mbedtls_mpi_init(&x);
	mbedtls_mpi_init(&y);
	ret = mbedtls_sha512(data, len, hash, 1);
	if (!ret)
		ret = mbedtls_ecdsa_sign_det_ext(&key->group, &x, &y, &key->secret, hash,
						 sizeof(hash), MBEDTLS_MD_SHA384, random_bytes,
						 NULL);
	if (!ret)
		ret = mbedtls_mpi_write_binary(&x, r, P384_LEN);
	if (!ret)
		ret = mbedtls_mpi_write_binary(&y, s, P384_LEN);
	mbedtls_mpi_free(&x);
	mbedtls_mpi_free(&y);
	return ret ? -ENOMEM : 0;
}

/* Coordinates of the public key, big-endian. */
static int key_public(struct key *key, uint8_t x[P384_LEN], uint8_t y[P384_LEN])
{
	uint8_t point[1 + 2 * P384_LEN];
	size_t len;

	if (mbedtls_ecp_point_write_binary(&key->group, &key->point, MBEDTLS_ECP_PF_UNCOMPRESSED,
					   &len, point, sizeof(point)))
		return -ENOMEM;
	memcpy(x, point + 1, P384_LEN);
	memcpy(y, point + 1 + P384_LEN, P384_LEN);
	return 0;
}

/* --- SNP: numbers little-endian --- */

static void reverse(uint8_t *to, const uint8_t *from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = from[len - 1 - i];
}

static int snp_signature(struct key *key, const void *data, size_t len,
			 struct igvm_snp_signature *signature)
{
	uint8_t r[P384_LEN], s[P384_LEN];
	int ret = key_sign(key, data, len, r, s);

	if (ret)
		return ret;
	reverse(signature->r_comp, r, P384_LEN);
	reverse(signature->s_comp, s, P384_LEN);
	return 0;
}

static int snp_public_key(struct key *key, struct igvm_snp_public_key *public)
{
	uint8_t x[P384_LEN], y[P384_LEN];
	int ret = key_public(key, x, y);

	if (ret)
		return ret;
	public->curve = IGVM_SNP_CURVE_P384;
	reverse(public->qx, x, P384_LEN);
	reverse(public->qy, y, P384_LEN);
	return 0;
}

/* The author key signs the ID key as the firmware's ID_AUTH_INFO has it. */
static int snp_author(const char *pem, struct igvm_vhs_snp_id_block *block,
		      struct igvm_error *error)
{
	struct snp_ecdsa_public_key id_key = { .curve = block->id_public_key.curve };
	struct key key;
	int ret;

	memcpy(id_key.qx, block->id_public_key.qx, sizeof(id_key.qx));
	memcpy(id_key.qy, block->id_public_key.qy, sizeof(id_key.qy));
	key_init(&key);
	ret = key_read(&key, pem, error);
	if (!ret)
		ret = snp_signature(&key, &id_key, sizeof(id_key), &block->author_key_signature);
	if (!ret)
		ret = snp_public_key(&key, &block->author_public_key);
	key_free(&key);
	block->author_key_enabled = 1;
	block->author_key_algorithm = IGVM_SNP_ECDSA_P384_SHA384;
	return ret;
}

static uint64_t guest_policy(const struct igvm_file *file, uint32_t mask)
{
	struct igvm_header header;
	uint32_t position = 0;

	while (igvm_next(file, &position, &header))
		if (header.type == IGVM_VHT_GUEST_POLICY && header.mask & mask)
			return header.guest_policy.policy;
	return 0;
}

static int snp_block(struct igvm_vhs_snp_id_block *block, const struct igvm_file *file,
		     const struct igvm_measurement *m, const struct igvm_sign_options *options,
		     struct key *key, struct igvm_error *error)
{
	struct snp_id_block signed_part = {
		.version = SNP_ID_BLOCK_VERSION,
		.guest_svn = options->svn,
		.policy = guest_policy(file, block->compatibility_mask),
	};
	int ret;

	memcpy(signed_part.ld, m->digest, sizeof(signed_part.ld));
	memcpy(signed_part.family_id, options->family_id, sizeof(signed_part.family_id));
	memcpy(signed_part.image_id, options->image_id, sizeof(signed_part.image_id));
	memcpy(block->ld, signed_part.ld, sizeof(block->ld));
	memcpy(block->family_id, signed_part.family_id, sizeof(block->family_id));
	memcpy(block->image_id, signed_part.image_id, sizeof(block->image_id));
	block->version = signed_part.version;
	block->guest_svn = signed_part.guest_svn;
	block->id_key_algorithm = IGVM_SNP_ECDSA_P384_SHA384;
	ret = snp_signature(key, &signed_part, sizeof(signed_part), &block->id_key_signature);
	if (!ret)
		ret = snp_public_key(key, &block->id_public_key);
	if (!ret && options->author_key)
		ret = snp_author(options->author_key, block, error);
	return ret;
}

/* --- VBS --- */

/* VBS_VM_BOOT_MEASUREMENT_SIGNED_DATA: the header's fields, with a digest of 32 bytes. */
struct vbs_signed_data {
	uint32_t version;
	uint32_t product_id;
	uint32_t module_id;
	uint32_t security_version;
	uint32_t policy_flags;
	uint32_t boot_digest_algo;
	uint32_t signing_algo;
	uint8_t boot_measurement_digest[32];
};
static_assert(sizeof(struct vbs_signed_data) == 60, "VBS_VM_BOOT_MEASUREMENT_SIGNED_DATA");

static int vbs_measurement(struct igvm_vhs_vbs_measurement *v, const struct igvm_measurement *m,
			   const struct igvm_sign_options *options, struct key *key)
{
	struct vbs_signed_data signed_part = {
		.version = 1,
		.product_id = 1,
		.module_id = 1,
		.security_version = options->svn,
		.boot_digest_algo = IGVM_VBS_DIGEST_SHA256,
		.signing_algo = IGVM_VBS_SIGNING_ECDSA_P384,
	};
	int ret;

	memcpy(signed_part.boot_measurement_digest, m->digest, 32);
	v->version = signed_part.version;
	v->product_id = signed_part.product_id;
	v->module_id = signed_part.module_id;
	v->security_version = signed_part.security_version;
	v->boot_digest_algo = signed_part.boot_digest_algo;
	v->signing_algo = signed_part.signing_algo;
	memcpy(v->boot_measurement_digest, m->digest, 32);
	ret = key_sign(key, &signed_part, sizeof(signed_part), v->signature,
		       v->signature + P384_LEN);
	return ret ? ret : key_public(key, v->public_key, v->public_key + P384_LEN);
}

/* --- the file --- */

/* All headers but those of `skip` for platform `mask`, with their data. */
static void copy_headers(const struct igvm_file *file, struct igvm_writer *writer, uint32_t skip,
			 uint32_t mask)
{
	uint8_t content[sizeof(struct igvm_header)];
	struct igvm_header header;
	uint32_t position = 0, type, reference;
	const struct igvm_layout *layout;

	while (igvm_next(file, &position, &header)) {
		if (header.type == skip && header.mask & mask)
			continue;
		memcpy(&type, file->data + header.offset - 8, sizeof(type));
		if (!header.known) {
			igvm_writer_header(writer, type, header.data, header.length);
			continue;
		}
		memcpy(content, &header.supported_platform, header.length);
		layout = igvm_layout(header.type);
		if (header.data && layout->file_offset_at != IGVM_LAYOUT_NONE) {
			reference = igvm_writer_data(writer, header.data, header.data_len);
			memcpy(content + layout->file_offset_at, &reference, sizeof(reference));
		}
		igvm_writer_header(writer, type, content, header.length);
	}
}

static int add_signature(struct igvm_writer *writer, const struct igvm_file *file,
			 unsigned int type, const struct igvm_sign_options *options,
			 struct key *key, struct igvm_error *error)
{
	uint32_t mask = igvm_platform_mask(file, type);
	struct igvm_vhs_snp_id_block block = { .compatibility_mask = mask };
	struct igvm_vhs_vbs_measurement vbs = { .compatibility_mask = mask };
	struct igvm_measurement m;
	int ret = igvm_measure(file, type, &m, error);

	if (!ret)
		ret = type == IGVM_PLATFORM_SEV_SNP
			      ? snp_block(&block, file, &m, options, key, error)
			      : vbs_measurement(&vbs, &m, options, key);
	if (ret)
		return ret;
	if (type == IGVM_PLATFORM_SEV_SNP) {
		copy_headers(file, writer, IGVM_VHT_SNP_ID_BLOCK, mask);
		igvm_writer_header(writer, IGVM_VHT_SNP_ID_BLOCK, &block, sizeof(block));
	} else {
		copy_headers(file, writer, IGVM_VHT_VBS_MEASUREMENT, mask);
		igvm_writer_header(writer, IGVM_VHT_VBS_MEASUREMENT, &vbs, sizeof(vbs));
	}
	return 0;
}

int igvm_sign(const struct igvm_file *file, const struct igvm_sign_options *options,
	      uint8_t **signed_file, size_t *len, struct igvm_error *error)
{
	unsigned int type = igvm_platform_mask(file, IGVM_PLATFORM_SEV_SNP)
				    ? IGVM_PLATFORM_SEV_SNP
				    : IGVM_PLATFORM_VSM_ISOLATION;
	struct igvm_writer writer;
	struct key key;
	int ret;

	if (options->author_key && type != IGVM_PLATFORM_SEV_SNP) {
		*error = (struct igvm_error){ 0, "only SNP has an author key" };
		return -EINVAL;
	}
	*error = (struct igvm_error){ 0, "no memory for a signature" };
	key_init(&key);
	igvm_writer_init(&writer, file->format_version, file->architecture);
	ret = key_read(&key, options->key, error);
	if (!ret)
		ret = add_signature(&writer, file, type, options, &key, error);
	if (!ret)
		ret = igvm_writer_finish(&writer, signed_file, len);
	igvm_writer_free(&writer);
	key_free(&key);
	return ret;
}

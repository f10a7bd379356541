// SPDX-License-Identifier: MIT
/* Elliptic curves over mbedTLS: the NIST curves, and Barreto-Naehrig P-256 for ECDAA. */
/* Curves and points are taken apart here: mbedTLS has no accessors for a group of one's own. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <errno.h>
#include <string.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/crypto/ecc.h"

static const struct {
	uint16_t curve;
	uint16_t bits;
	mbedtls_ecp_group_id id;
} curves[] = {
	{ TPM_ECC_NIST_P192, 192, MBEDTLS_ECP_DP_SECP192R1 },
	{ TPM_ECC_NIST_P224, 224, MBEDTLS_ECP_DP_SECP224R1 },
	{ TPM_ECC_NIST_P256, 256, MBEDTLS_ECP_DP_SECP256R1 },
	{ TPM_ECC_NIST_P384, 384, MBEDTLS_ECP_DP_SECP384R1 },
	{ TPM_ECC_NIST_P521, 521, MBEDTLS_ECP_DP_SECP521R1 },
	{ TPM_ECC_BN_P256, 256, MBEDTLS_ECP_DP_NONE },
};

#define CURVE_COUNT (sizeof(curves) / sizeof(curves[0]))

unsigned int ecc_bits(uint16_t curve)
{
	for (size_t i = 0; i < CURVE_COUNT; i++)
		if (curves[i].curve == curve)
			return curves[i].bits;
	return 0;
}

unsigned int ecc_size(uint16_t curve)
{
	return (ecc_bits(curve) + 7) / 8;
}

uint16_t ecc_curve_by_index(unsigned int n)
{
	return n < CURVE_COUNT ? curves[n].curve : TPM_ECC_NONE;
}

/* ISO/IEC 15946-5: y^2 = x^3 + 3 with generator (1, 2) and cofactor 1; mbedTLS takes any such group, a being 0. */
static int load_bn_p256(mbedtls_ecp_group *grp)
{
	int err;

	err = mbedtls_mpi_read_string(
		&grp->P, 16, "FFFFFFFFFFFCF0CD46E5F25EEE71A49F0CDC65FB12980A82D3292DDBAED33013");
	if (!err)
		err = mbedtls_mpi_read_string(
			&grp->N, 16,
			"FFFFFFFFFFFCF0CD46E5F25EEE71A49E0CDC65FB1299921AF62D536CD10B500D");
	if (!err)
		err = mbedtls_mpi_lset(&grp->A, 0);
	if (!err)
		err = mbedtls_mpi_lset(&grp->B, 3);
	if (!err)
		err = mbedtls_mpi_lset(&grp->G.X, 1);
	if (!err)
		err = mbedtls_mpi_lset(&grp->G.Y, 2);
	if (!err)
		err = mbedtls_mpi_lset(&grp->G.Z, 1);
	grp->pbits = grp->nbits = 256;
	grp->h =
		2; /* not the cofactor: 1 would tell mbedTLS that these numbers are constants not to be freed */
	return err;
}

/* Initialises grp always, so that it can be freed after failure too. */
static int load_group(uint16_t curve, mbedtls_ecp_group *grp)
{
	mbedtls_ecp_group_init(grp);
	if (curve == TPM_ECC_BN_P256)
		return load_bn_p256(grp) ? -EIO : 0;
	for (size_t i = 0; i < CURVE_COUNT; i++)
		if (curves[i].curve == curve)
			return mbedtls_ecp_group_load(grp, curves[i].id) ? -EIO : 0;
	return -EINVAL;
}

static int put_num(const mbedtls_mpi *mpi, struct ecc_num *out, unsigned int size)
{
	out->len = size;
	return mbedtls_mpi_write_binary(mpi, out->bytes, size);
}

static int get_num(mbedtls_mpi *mpi, const struct ecc_num *num)
{
	return mbedtls_mpi_read_binary(mpi, num->bytes, num->len);
}

static int get_point(mbedtls_ecp_point *point, const struct ecc_point *in)
{
	int err = get_num(&point->X, &in->x);

	if (!err)
		err = get_num(&point->Y, &in->y);
	if (!err)
		err = mbedtls_mpi_lset(&point->Z, 1);
	return err;
}

static int put_point(const mbedtls_ecp_point *point, struct ecc_point *out, unsigned int size)
{
	int err = put_num(&point->X, &out->x, size);

	return err ? err : put_num(&point->Y, &out->y, size);
}

int ecc_parameters(uint16_t curve, struct ecc_num params[7])
{
	unsigned int size = ecc_size(curve);
	mbedtls_ecp_group grp;
	mbedtls_mpi a;
	int err;

	mbedtls_mpi_init(&a);
	err = load_group(curve, &grp);
	/* mbedTLS leaves A empty where it is -3 */
	if (!err)
		err = grp.A.p ? mbedtls_mpi_copy(&a, &grp.A) : mbedtls_mpi_sub_int(&a, &grp.P, 3);
	if (!err)
		err = put_num(&grp.P, &params[0], size) || put_num(&a, &params[1], size) ||
		      put_num(&grp.B, &params[2], size) || put_num(&grp.G.X, &params[3], size) ||
		      put_num(&grp.G.Y, &params[4], size) || put_num(&grp.N, &params[5], size);
	params[6].len = 1;
	params[6].bytes[0] = 1;
	mbedtls_mpi_free(&a);
	mbedtls_ecp_group_free(&grp);
	return err ? -EIO : 0;
}

bool ecc_on_curve(uint16_t curve, const struct ecc_point *point)
{
	mbedtls_ecp_group grp;
	mbedtls_ecp_point p;
	bool good;

	mbedtls_ecp_point_init(&p);
	good = !load_group(curve, &grp) && !get_point(&p, point) &&
	       !mbedtls_ecp_check_pubkey(&grp, &p);
	mbedtls_ecp_point_free(&p);
	mbedtls_ecp_group_free(&grp);
	return good;
}

/* q = d * p; p NULL stands for the generator. */
static int multiply(uint16_t curve, const struct ecc_num *d, const struct ecc_point *p,
		    struct ecc_point *q, struct drbg *rng)
{
	mbedtls_ecp_group grp;
	mbedtls_ecp_point base, result;
	mbedtls_mpi scalar;
	int err;

	mbedtls_ecp_point_init(&base);
	mbedtls_ecp_point_init(&result);
	mbedtls_mpi_init(&scalar);
	err = load_group(curve, &grp);
	if (!err)
		err = get_num(&scalar, d);
	if (!err && p)
		err = get_point(&base, p);
	if (!err && p)
		err = mbedtls_ecp_check_pubkey(&grp, &base);
	/* mbedTLS checks the scalar's range; the random numbers randomise coordinates against side channels */
	if (!err)
		err = mbedtls_ecp_mul(&grp, &result, &scalar, p ? &base : &grp.G, drbg_read, rng);
	if (!err && mbedtls_ecp_is_zero(&result))
		err = -EINVAL;
	if (!err)
		err = put_point(&result, q, ecc_size(curve));
	mbedtls_mpi_free(&scalar);
	mbedtls_ecp_point_free(&result);
	mbedtls_ecp_point_free(&base);
	mbedtls_ecp_group_free(&grp);
	return err ? -EINVAL : 0;
}

int ecc_public(uint16_t curve, const struct ecc_num *d, struct ecc_point *q, struct drbg *rng)
{
	return multiply(curve, d, NULL, q, rng);
}

int ecc_multiply(uint16_t curve, const struct ecc_num *d, const struct ecc_point *p,
		 struct ecc_point *q, struct drbg *rng)
{
	return multiply(curve, d, p, q, rng);
}

int ecc_scalar_from(uint16_t curve, struct span seed, struct ecc_num *d)
{
	mbedtls_ecp_group grp;
	mbedtls_mpi x, range;
	int err;

	mbedtls_mpi_init(&x);
	mbedtls_mpi_init(&range);
	err = load_group(curve, &grp);
	/* FIPS 186-4, B.4.1: d = (seed mod (n - 1)) + 1 */
	if (!err)
		err = mbedtls_mpi_read_binary(&x, seed.data, seed.len);
	if (!err)
		err = mbedtls_mpi_sub_int(&range, &grp.N, 1);
	if (!err)
		err = mbedtls_mpi_mod_mpi(&x, &x, &range);
	if (!err)
		err = mbedtls_mpi_add_int(&x, &x, 1);
	if (!err)
		err = put_num(&x, d, ecc_size(curve));
	mbedtls_mpi_free(&x);
	mbedtls_mpi_free(&range);
	mbedtls_ecp_group_free(&grp);
	return err ? -EIO : 0;
}

int ecc_generate(struct drbg *rng, struct drbg *blind, uint16_t curve, struct ecc_num *d,
		 struct ecc_point *q)
{
	uint8_t seed[ECC_MAX_BYTES + 8];
	size_t len = ecc_size(curve) + 8;
	int err;

	if (drbg_read(rng, seed, len))
		return -EIO;
	err = ecc_scalar_from(curve, (struct span){ seed, len }, d);
	if (!err)
		err = ecc_public(curve, d, q, blind);
	mbedtls_platform_zeroize(seed, sizeof(seed));
	return err;
}

/* x = x * y mod n */
static int multiply_mod(mbedtls_mpi *x, const mbedtls_mpi *y, const mbedtls_mpi *n)
{
	int err = mbedtls_mpi_mul_mpi(x, x, y);

	return err ? err : mbedtls_mpi_mod_mpi(x, x, n);
}

int ecc_mul_add(struct drbg *rng, uint16_t curve, const struct ecc_num *a, const struct ecc_num *b,
		const struct ecc_num *c, struct ecc_num *out)
{
	mbedtls_ecp_group grp;
	mbedtls_mpi ma, mb, mc, mask;
	int err;

	mbedtls_mpi_init(&ma);
	mbedtls_mpi_init(&mb);
	mbedtls_mpi_init(&mc);
	mbedtls_mpi_init(&mask);
	err = load_group(curve, &grp);
	if (!err)
		err = get_num(&ma, a) || get_num(&mb, b) || get_num(&mc, c);
	/* mbedTLS's division takes a time that depends on the numbers: (a * mask + b * (c * mask)) / mask */
	if (!err)
		err = mbedtls_mpi_random(&mask, 1, &grp.N, drbg_read, rng);
	if (!err)
		err = multiply_mod(&ma, &mask, &grp.N);
	if (!err)
		err = multiply_mod(&mc, &mask, &grp.N);
	if (!err)
		err = multiply_mod(&mc, &mb, &grp.N);
	if (!err)
		err = mbedtls_mpi_add_mpi(&ma, &ma, &mc);
	if (!err)
		err = mbedtls_mpi_inv_mod(&mask, &mask, &grp.N);
	if (!err)
		err = multiply_mod(&ma, &mask, &grp.N);
	if (!err)
		err = put_num(&ma, out, ecc_size(curve));
	mbedtls_mpi_free(&mask);
	mbedtls_mpi_free(&ma);
	mbedtls_mpi_free(&mb);
	mbedtls_mpi_free(&mc);
	mbedtls_ecp_group_free(&grp);
	return err ? -EIO : 0;
}

static int reduce(uint16_t curve, struct span value, bool by_field, struct ecc_num *out)
{
	mbedtls_ecp_group grp;
	mbedtls_mpi x;
	int err;

	mbedtls_mpi_init(&x);
	err = load_group(curve, &grp);
	if (!err)
		err = mbedtls_mpi_read_binary(&x, value.data, value.len);
	if (!err)
		err = mbedtls_mpi_mod_mpi(&x, &x, by_field ? &grp.P : &grp.N);
	if (!err)
		err = put_num(&x, out, ecc_size(curve));
	mbedtls_mpi_free(&x);
	mbedtls_ecp_group_free(&grp);
	return err ? -EIO : 0;
}

int ecc_reduce(uint16_t curve, struct span value, struct ecc_num *out)
{
	return reduce(curve, value, false, out);
}

int ecc_reduce_field(uint16_t curve, struct span value, struct ecc_num *x)
{
	return reduce(curve, value, true, x);
}

int ecc_mul_add_point(uint16_t curve, const struct ecc_num *a, const struct ecc_num *b,
		      const struct ecc_point *p, struct ecc_point *q)
{
	mbedtls_ecp_group grp;
	mbedtls_ecp_point base, result;
	mbedtls_mpi ma, mb;
	int err;

	mbedtls_ecp_point_init(&base);
	mbedtls_ecp_point_init(&result);
	mbedtls_mpi_init(&ma);
	mbedtls_mpi_init(&mb);
	err = load_group(curve, &grp);
	if (!err)
		err = get_num(&ma, a) || get_num(&mb, b) || get_point(&base, p);
	if (!err)
		err = mbedtls_ecp_muladd(&grp, &result, &ma, &grp.G, &mb, &base);
	if (!err && mbedtls_ecp_is_zero(&result))
		err = -EINVAL;
	if (!err)
		err = put_point(&result, q, ecc_size(curve));
	mbedtls_mpi_free(&ma);
	mbedtls_mpi_free(&mb);
	mbedtls_ecp_point_free(&result);
	mbedtls_ecp_point_free(&base);
	mbedtls_ecp_group_free(&grp);
	return err ? -EINVAL : 0;
}

int ecc_ecdsa_sign(struct drbg *rng, uint16_t curve, const struct ecc_num *d, struct span digest,
		   struct ecc_signature *sig)
{
	mbedtls_ecp_group grp;
	mbedtls_mpi r, s, scalar;
	int err;

	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_mpi_init(&scalar);
	err = load_group(curve, &grp);
	if (!err)
		err = get_num(&scalar, d);
	if (!err)
		err = mbedtls_ecdsa_sign(&grp, &r, &s, &scalar, digest.data, digest.len, drbg_read,
					 rng);
	if (!err)
		err = put_num(&r, &sig->r, ecc_size(curve)) ||
		      put_num(&s, &sig->s, ecc_size(curve));
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&scalar);
	mbedtls_ecp_group_free(&grp);
	return err ? -EINVAL : 0;
}

int ecc_ecdsa_verify(uint16_t curve, const struct ecc_point *q, struct span digest,
		     const struct ecc_signature *sig)
{
	mbedtls_ecp_group grp;
	mbedtls_ecp_point point;
	mbedtls_mpi r, s;
	int err;

	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_ecp_point_init(&point);
	err = load_group(curve, &grp);
	if (!err)
		err = get_point(&point, q) || get_num(&r, &sig->r) || get_num(&s, &sig->s);
	if (!err)
		err = mbedtls_ecdsa_verify(&grp, digest.data, digest.len, &point, &r, &s);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&grp);
	return err ? -EINVAL : 0;
}

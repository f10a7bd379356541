// SPDX-License-Identifier: MIT
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tpm/setup/exchange.h"
#include "tpm/setup/manufacture.h"

/* What EK certificates' indices are like (TCG PC Client provisioning): the platform writes, everybody reads. */
#define CERT_ATTRIBUTES                                                               \
	(TPMA_NV_PPWRITE | TPMA_NV_WRITEDEFINE | TPMA_NV_PPREAD | TPMA_NV_OWNERREAD | \
	 TPMA_NV_AUTHREAD | TPMA_NV_NO_DA | TPMA_NV_PLATFORMCREATE)

static int check(const struct exchange *x, uint32_t rc)
{
	if (!rc)
		return 0;
	warnx("%s: TPM error 0x%03x", x->name, rc);
	return -EIO;
}

static int run(struct exchange *x)
{
	return check(x, exchange_run(x));
}

static int simple(struct exchange *x, uint32_t code, const char *name)
{
	return check(x, exchange_simple(x, code, name));
}

/* --- certificates --- */

static int store_cert(struct exchange *x, uint32_t index, const uint8_t *cert, size_t len,
		      bool lock)
{
	size_t mark, n;
	int ret;

	exchange_begin_auth(x, TPM_CC_NV_DefineSpace, "TPM2_NV_DefineSpace", TPM_RH_PLATFORM, 0);
	write_2b(&x->w, NULL, 0);
	mark = write_2b_begin(&x->w);
	write_nv_public(&x->w, &(struct nv_public){ .index = index,
						    .name_alg = TPM_ALG_SHA256,
						    .attributes = CERT_ATTRIBUTES,
						    .size = (uint16_t)len });
	write_2b_end(&x->w, mark);
	ret = run(x);
	for (size_t at = 0; !ret && at < len; at += n) {
		n = len - at < MAX_NV_BUFFER ? len - at : MAX_NV_BUFFER;
		exchange_begin_auth(x, TPM_CC_NV_Write, "TPM2_NV_Write", TPM_RH_PLATFORM, index);
		write_2b(&x->w, cert + at, n);
		write_u16(&x->w, (uint16_t)at);
		ret = run(x);
	}
	if (ret || !lock)
		return ret;
	exchange_begin_auth(x, TPM_CC_NV_WriteLock, "TPM2_NV_WriteLock", TPM_RH_PLATFORM, index);
	return run(x);
}

static int write_file(const char *dir, const char *name, const uint8_t *data, size_t len)
{
	char path[4096];
	FILE *f;
	bool good;

	if (snprintf(path, sizeof(path), "%s/ek-%s.crt", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "w");
	good = f && fwrite(data, 1, len, f) == len;
	if (f && fclose(f))
		good = false;
	if (good)
		return 0;
	warn("%s", path);
	return -EIO;
}

/* TPM2_GetCapability of one fixed property. */
static uint32_t property(struct exchange *x, uint32_t which)
{
	struct span list;
	uint32_t v = 0;

	exchange_begin(x, TPM_ST_NO_SESSIONS, TPM_CC_GetCapability, "TPM2_GetCapability");
	write_u32(&x->w, TPM_CAP_TPM_PROPERTIES);
	write_u32(&x->w, which);
	write_u32(&x->w, 1);
	/* moreData, capability, count, property */
	if (run(x) || !read_span(&x->r, 13, &list) || !read_u32(&x->r, &v))
		return 0;
	return v;
}

static void put_text(char *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(v >> (24 - 8 * i));
}

static void describe(struct exchange *x, struct ek_cert_tpm *tpm)
{
	memset(tpm, 0, sizeof(*tpm));
	snprintf(tpm->manufacturer, sizeof(tpm->manufacturer), "id:%08X",
		 property(x, TPM_PT_MANUFACTURER));
	for (unsigned int i = 0; i < 4; i++)
		put_text(tpm->model + 4 * i, property(x, TPM_PT_VENDOR_STRING_1 + i));
	snprintf(tpm->version, sizeof(tpm->version), "id:%08X",
		 property(x, TPM_PT_FIRMWARE_VERSION_1));
	put_text(tpm->family, property(x, TPM_PT_FAMILY_INDICATOR));
	tpm->level = property(x, TPM_PT_LEVEL);
	tpm->revision = property(x, TPM_PT_REVISION);
}

static int certify(struct exchange *x, const struct manufacture *m, const struct ek *ek,
		   const struct public_area *pub)
{
	uint8_t cert[EK_CERT_MAX];
	struct ek_cert_tpm tpm;
	long len;
	int ret;

	describe(x, &tpm);
	len = ek_cert_write(m->issuer, pub, &tpm, &m->cert, cert);
	if (len < 0) {
		warnx("certificate of the %s key: %s", ek->name, strerror((int)-len));
		return (int)len;
	}
	ret = store_cert(x, ek->nv_index, cert, (size_t)len, m->lock_nv);
	if (!ret && m->cert_dir)
		ret = write_file(m->cert_dir, ek->name, cert, (size_t)len);
	return ret;
}

/* --- */

static int allocate_banks(struct exchange *x, uint8_t banks)
{
	bool done;
	int ret = check(x, exchange_allocate(x, banks, &done));

	if (!ret && !done) {
		warnx("the TPM has no room for these PCR banks");
		ret = -EIO;
	}
	return ret;
}

static int make_keys(struct exchange *x, const struct manufacture *m)
{
	struct public_area template, pub;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < m->ek_count; i++) {
		ek_template(m->eks[i], &template);
		ret = check(x, exchange_primary(x, TPM_RH_ENDORSEMENT, m->eks[i]->handle, &template,
						&pub));
		if (!ret && m->issuer)
			ret = certify(x, m, m->eks[i], &pub);
	}
	if (ret || !m->srk)
		return ret;
	srk_template(m->srk_ecc, &template);
	return check(x, exchange_primary(x, TPM_RH_OWNER, SRK_HANDLE, &template, &pub));
}

static int session(struct instance *in, const struct manufacture *m, uint8_t banks)
{
	struct exchange *x = calloc(1, sizeof(*x));
	int ret;

	if (!x)
		return -ENOMEM;
	x->in = in;
	ret = simple(x, TPM_CC_Startup, "TPM2_Startup");
	if (!ret && m)
		ret = make_keys(x, m);
	if (!ret && banks)
		ret = allocate_banks(x, banks);
	if (!ret)
		ret = simple(x, TPM_CC_Shutdown, "TPM2_Shutdown");
	free(x);
	return ret;
}

int manufacture(struct instance *in, const struct manufacture *m)
{
	return session(in, m, m->banks);
}

int manufacture_banks(struct instance *in, uint8_t banks)
{
	return session(in, NULL, banks);
}

// SPDX-License-Identifier: MIT
/* Writers of TPM structures (Part 2, clauses 6 to 13). */
#include "tpm/engine/types.h"

void write_digest(struct writer *w, const struct digest *v)
{
	write_2b(w, v->bytes, v->len);
}

void write_name(struct writer *w, const struct name *v)
{
	write_2b(w, v->bytes, v->len);
}

void write_sym_def(struct writer *w, const struct sym_def *v)
{
	write_u16(w, v->alg);
	if (v->alg == TPM_ALG_NULL)
		return;
	write_u16(w, v->bits);
	if (v->alg != TPM_ALG_XOR)
		write_u16(w, v->mode);
}

void write_scheme(struct writer *w, const struct scheme *v)
{
	write_u16(w, v->scheme);
	if (v->scheme == TPM_ALG_NULL || v->scheme == TPM_ALG_RSAES)
		return;
	write_u16(w, v->hash);
	if (v->scheme == TPM_ALG_ECDAA || v->scheme == TPM_ALG_XOR)
		write_u16(w, v->extra);
}

void write_ecc_num(struct writer *w, const struct ecc_num *v)
{
	write_2b(w, v->bytes, v->len);
}

void write_point_2b(struct writer *w, const struct ecc_point *v)
{
	size_t mark = write_2b_begin(w);

	write_ecc_num(w, &v->x);
	write_ecc_num(w, &v->y);
	write_2b_end(w, mark);
}

void write_public(struct writer *w, const struct public_area *v)
{
	write_u16(w, v->type);
	write_u16(w, v->name_alg);
	write_u32(w, v->attributes);
	write_digest(w, &v->policy);
	switch (v->type) {
	case TPM_ALG_RSA:
		write_sym_def(w, &v->sym);
		write_scheme(w, &v->scheme);
		write_u16(w, v->bits);
		write_u32(w, v->exponent);
		break;
	case TPM_ALG_ECC:
		write_sym_def(w, &v->sym);
		write_scheme(w, &v->scheme);
		write_u16(w, v->curve);
		write_scheme(w, &v->kdf);
		write_ecc_num(w, &v->point.x);
		write_ecc_num(w, &v->point.y);
		return;
	case TPM_ALG_KEYEDHASH:
		write_scheme(w, &v->scheme);
		break;
	default:
		write_sym_def(w, &v->sym);
		break;
	}
	write_2b(w, v->unique, v->unique_len);
}

void write_public_2b(struct writer *w, const struct public_area *v)
{
	size_t mark = write_2b_begin(w);

	write_public(w, v);
	write_2b_end(w, mark);
}

void write_sensitive(struct writer *w, const struct sensitive *v)
{
	write_u16(w, v->type);
	write_digest(w, &v->auth);
	write_digest(w, &v->seed);
	write_2b(w, v->data, v->len);
}

void write_pcr_selections(struct writer *w, const struct pcr_selections *v)
{
	write_u32(w, v->count);
	for (uint32_t i = 0; i < v->count; i++) {
		write_u16(w, v->list[i].hash);
		write_u8(w, v->list[i].size);
		write_bytes(w, v->list[i].bits, v->list[i].size);
	}
}

void write_signature(struct writer *w, const struct signature *v)
{
	write_u16(w, v->alg);
	if (v->alg == TPM_ALG_NULL)
		return;
	write_u16(w, v->hash);
	switch (v->alg) {
	case TPM_ALG_RSASSA:
	case TPM_ALG_RSAPSS:
		write_2b(w, v->bytes, v->len);
		break;
	case TPM_ALG_HMAC:
		write_bytes(w, v->bytes, v->len);
		break;
	default:
		write_ecc_num(w, &v->ecc.r);
		write_ecc_num(w, &v->ecc.s);
		break;
	}
}

void write_ticket(struct writer *w, const struct ticket *v)
{
	write_u16(w, v->tag);
	write_u32(w, v->hierarchy);
	write_digest(w, &v->digest);
}

void write_nv_public(struct writer *w, const struct nv_public *v)
{
	write_u32(w, v->index);
	write_u16(w, v->name_alg);
	write_u32(w, v->attributes);
	write_digest(w, &v->policy);
	write_u16(w, v->size);
}

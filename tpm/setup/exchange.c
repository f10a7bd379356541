// SPDX-License-Identifier: MIT
#include "tpm/setup/exchange.h"

#define RSP_HEADER 10

void exchange_begin(struct exchange *x, uint16_t tag, uint32_t code, const char *name)
{
	x->name = name;
	x->w = (struct writer){ .buf = x->cmd, .max = sizeof(x->cmd) };
	write_u16(&x->w, tag);
	write_u32(&x->w, 0); /* the length, when it is known */
	write_u32(&x->w, code);
}

void exchange_begin_auth(struct exchange *x, uint32_t code, const char *name, uint32_t first,
			 uint32_t second)
{
	exchange_begin(x, TPM_ST_SESSIONS, code, name);
	write_u32(&x->w, first);
	if (second)
		write_u32(&x->w, second);
	write_u32(&x->w, 9);
	write_u32(&x->w, TPM_RS_PW);
	write_2b(&x->w, NULL, 0);
	write_u8(&x->w, 0);
	write_2b(&x->w, NULL, 0);
}

uint32_t exchange_run(struct exchange *x)
{
	struct writer length = { .buf = x->cmd + 2, .max = 4 };
	struct reader header = { x->rsp, RSP_HEADER };
	uint32_t size, rc;
	uint16_t tag;
	size_t len;

	write_u32(&length, (uint32_t)x->w.len);
	len = instance_execute(x->in, x->cmd, x->w.len, x->rsp);
	x->r = (struct reader){ x->rsp + RSP_HEADER, len - RSP_HEADER };
	if (!read_u16(&header, &tag) || !read_u32(&header, &size) || !read_u32(&header, &rc))
		return TPM_RC_FAILURE;
	return rc;
}

uint32_t exchange_simple(struct exchange *x, uint32_t code, const char *name)
{
	exchange_begin(x, TPM_ST_NO_SESSIONS, code, name);
	write_u16(&x->w, TPM_SU_CLEAR);
	return exchange_run(x);
}

uint32_t exchange_primary(struct exchange *x, uint32_t hierarchy, uint32_t persistent,
			  const struct public_area *template, struct public_area *pub)
{
	uint32_t handle, size, rc;
	size_t mark;

	exchange_begin_auth(x, TPM_CC_CreatePrimary, "TPM2_CreatePrimary", hierarchy, 0);
	mark = write_2b_begin(&x->w); /* inSensitive: no password, no data */
	write_2b(&x->w, NULL, 0);
	write_2b(&x->w, NULL, 0);
	write_2b_end(&x->w, mark);
	write_public_2b(&x->w, template);
	write_2b(&x->w, NULL, 0);
	write_u32(&x->w, 0);
	rc = exchange_run(x);
	if (rc)
		return rc;
	if (!read_u32(&x->r, &handle) || !read_u32(&x->r, &size) ||
	    read_public_2b(&x->r, NO_NULL, pub))
		return TPM_RC_FAILURE;
	exchange_begin_auth(x, TPM_CC_EvictControl, "TPM2_EvictControl", TPM_RH_OWNER, handle);
	write_u32(&x->w, persistent);
	rc = exchange_run(x);
	if (rc)
		return rc;
	exchange_begin(x, TPM_ST_NO_SESSIONS, TPM_CC_FlushContext, "TPM2_FlushContext");
	write_u32(&x->w, handle);
	return exchange_run(x);
}

uint32_t exchange_allocate(struct exchange *x, uint8_t banks, bool *done)
{
	uint32_t size, rc;
	uint8_t success;
	uint16_t alg;

	exchange_begin_auth(x, TPM_CC_PCR_Allocate, "TPM2_PCR_Allocate", TPM_RH_PLATFORM, 0);
	write_u32(&x->w, HASH_COUNT);
	for (unsigned int i = 0; (alg = hash_by_index(i)) != TPM_ALG_NULL; i++) {
		uint8_t pcrs = banks >> i & 1 ? 0xFF : 0;

		write_u16(&x->w, alg);
		write_u8(&x->w, PCR_SELECT_SIZE);
		for (unsigned int byte = 0; byte < PCR_SELECT_SIZE; byte++)
			write_u8(&x->w, pcrs);
	}
	rc = exchange_run(x);
	*done = !rc && read_u32(&x->r, &size) && read_u8(&x->r, &success) && success;
	return rc;
}

// SPDX-License-Identifier: MIT
/* One command from bytes to bytes, in the order of checks of Part 3, clause 5. */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

#define HEADER 10

static size_t error_response(uint8_t *rsp, uint32_t rc)
{
	struct writer w = { .buf = rsp, .max = HEADER };

	/* Part 3, 5.2: a bad tag is answered the way a TPM 1.2 would */
	write_u16(&w, rc == TPM_RC_BAD_TAG ? TPM_ST_RSP_COMMAND : TPM_ST_NO_SESSIONS);
	write_u32(&w, HEADER);
	write_u32(&w, rc);
	return w.len;
}

static uint32_t parse_header(struct tpm *t, struct reader *r, size_t len, uint16_t *tag,
			     struct cmd *c)
{
	uint32_t size = 0;

	if (!read_u16(r, tag))
		return TPM_RC_INSUFFICIENT;
	if (*tag != TPM_ST_NO_SESSIONS && *tag != TPM_ST_SESSIONS)
		return TPM_RC_BAD_TAG;
	if (!read_u32(r, &size) || size != len || len > TPM_MAX_COMMAND)
		return TPM_RC_COMMAND_SIZE;
	if (!read_u32(r, &c->code))
		return TPM_RC_COMMAND_SIZE;
	if (t->failed && (*tag != TPM_ST_NO_SESSIONS ||
			  (c->code != TPM_CC_GetTestResult && c->code != TPM_CC_GetCapability)))
		return TPM_RC_FAILURE;
	c->def = command_find(c->code);
	if (!c->def)
		return TPM_RC_COMMAND_CODE;
	if (!t->failed && t->started == (c->code == TPM_CC_Startup))
		return TPM_RC_INITIALIZE;
	return 0;
}

static uint32_t parse_handles(struct tpm *t, struct cmd *c, struct reader *r)
{
	unsigned int count = command_handle_count(c->def);

	for (unsigned int i = 0; i < count; i++) {
		uint32_t rc;

		if (!read_u32(r, &c->handles[i]))
			return rc_handle(TPM_RC_INSUFFICIENT, i + 1);
		rc = handle_check(c->handles[i], c->def->handles[i]);
		if (rc)
			return rc_handle(rc, i + 1);
	}
	return entity_check_loaded(t, c);
}

static uint32_t parse_sessions(struct tpm *t, struct cmd *c, struct reader *r, uint16_t tag)
{
	struct reader area;
	struct span s;
	uint32_t size, rc = 0;

	if (tag == TPM_ST_SESSIONS) {
		if (!read_u32(r, &size))
			return TPM_RC_INSUFFICIENT;
		if (size < 9 || !read_span(r, size, &s))
			return TPM_RC_AUTHSIZE;
		area = (struct reader){ s.data, s.len };
		if (c->def->flags & CMD_NO_SESSIONS)
			return TPM_RC_AUTH_CONTEXT;
		rc = session_parse(t, c, &area);
	}
	c->params = t->command + (r->pos - t->command);
	c->params_len = r->left;
	if (rc)
		return rc;
	rc = tag == TPM_ST_SESSIONS ? session_check(t, c) : session_check_none(t, c);
	c->in = (struct reader){ c->params, c->params_len };
	return rc;
}

static size_t respond(struct tpm *t, struct cmd *c, uint16_t tag, uint8_t *rsp)
{
	struct writer w = { .buf = rsp, .max = TPM_MAX_COMMAND };
	size_t params;

	write_u16(&w, tag);
	write_u32(&w, 0);
	write_u32(&w, TPM_RC_SUCCESS);
	if (c->def->flags & CMD_RHANDLE)
		write_u32(&w, c->rsp_handle);
	if (tag == TPM_ST_SESSIONS)
		write_u32(&w, (uint32_t)c->out.len);
	params = w.len;
	write_bytes(&w, c->out.buf, c->out.len);
	session_respond(t, c, rsp + params, c->out.len, &w, tag == TPM_ST_SESSIONS);
	if (c->flush_handle)
		object_flush(t, c->flush_handle);
	if (w.overflow)
		return error_response(rsp, TPM_RC_FAILURE);
	rsp[2] = (uint8_t)(w.len >> 24);
	rsp[3] = (uint8_t)(w.len >> 16);
	rsp[4] = (uint8_t)(w.len >> 8);
	rsp[5] = (uint8_t)w.len;
	return w.len;
}

/* Does this command, done after a Shutdown, make that Shutdown void (Part 3, 9.4.1)? */
static bool changes_state(const struct command *def)
{
	switch (def->code) {
	case TPM_CC_GetCapability:
	case TPM_CC_GetTestResult:
	case TPM_CC_GetRandom:
	case TPM_CC_ReadClock:
	case TPM_CC_PCR_Read:
	case TPM_CC_ReadPublic:
	case TPM_CC_NV_ReadPublic:
	case TPM_CC_SelfTest:
	case TPM_CC_IncrementalSelfTest:
	case TPM_CC_TestParms:
	case TPM_CC_ECC_Parameters:
	case TPM_CC_Hash:
	case TPM_CC_FlushContext:
		return false;
	default:
		return true;
	}
}

/* Everything up to the point where the response is made. */
static uint32_t run(struct tpm *t, struct cmd *c, struct reader *r, size_t len, uint16_t *tag)
{
	uint32_t rc = parse_header(t, r, len, tag, c);

	if (rc)
		return rc;
	clock_update(t);
	da_self_heal(t);
	rc = parse_handles(t, c, r);
	if (!rc)
		rc = parse_sessions(t, c, r, *tag);
	if (!rc)
		rc = c->def->run(t, c);
	if (!rc && t->p.orderly && c->code != TPM_CC_Shutdown && changes_state(c->def)) {
		t->p.orderly = false;
		tpm_dirty(t);
	}
	return rc;
}

static void enter_failure(struct tpm *t)
{
	t->failed = true;
}

size_t tpm_execute(struct tpm *t, unsigned int locality, const uint8_t *cmd, size_t len,
		   uint8_t *rsp)
{
	uint8_t out[TPM_MAX_COMMAND];
	struct cmd c = { .decrypt = NO_SESSION, .encrypt = NO_SESSION, .audit = NO_SESSION };
	struct reader r;
	uint16_t tag = TPM_ST_NO_SESSIONS;
	size_t n;
	uint32_t rc;

	if (len > TPM_MAX_COMMAND)
		return error_response(rsp, TPM_RC_COMMAND_SIZE);
	memcpy(t->command, cmd, len);
	r = (struct reader){ t->command, len };
	c.out = (struct writer){ .buf = out, .max = TPM_MAX_COMMAND - HEADER - 8 };
	t->locality = (uint8_t)locality;
	rc = run(t, &c, &r, len, &tag);
	if (c.out.overflow)
		rc = TPM_RC_FAILURE;
	n = rc ? error_response(rsp, rc) : respond(t, &c, tag, rsp);
	/* A failed authorisation changes the permanent state too, so this is not for success alone. */
	if (!t->failed && permanent_keep(t)) {
		enter_failure(t);
		n = error_response(rsp, TPM_RC_FAILURE);
	}
	mbedtls_platform_zeroize(out, c.out.len);
	mbedtls_platform_zeroize(t->command, len);
	mbedtls_platform_zeroize(&c, sizeof(c));
	return n;
}

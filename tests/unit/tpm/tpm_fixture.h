/* SPDX-License-Identifier: MIT */
/* A TPM in memory for tests: its clock, entropy and storage are the test's. */
#ifndef TESTS_TPM_FIXTURE_H
#define TESTS_TPM_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/tpm.h"
#include "tpm/engine/buf.h"
#include "tpm/tpm.h"

struct fixture {
	struct tpm *tpm;
	uint64_t now;
	uint32_t random; /* state of a small generator: runs repeat */
	bool presence, commit_fails;
	unsigned int commits, commits_soon;
	bool soon_busy;
	uint8_t *blob;
	size_t blob_len;
	uint8_t rsp[TPM_MAX_COMMAND];
	size_t rsp_len;
	uint8_t cmd[TPM_MAX_COMMAND];
	struct writer w;
};

static uint64_t fixture_now(void *ctx)
{
	return ((struct fixture *)ctx)->now;
}

static int fixture_random(void *ctx, void *buf, size_t len)
{
	struct fixture *f = ctx;

	for (size_t i = 0; i < len; i++) {
		f->random = f->random * 1664525 + 1013904223;
		((uint8_t *)buf)[i] = (uint8_t)(f->random >> 24);
	}
	return 0;
}

static int fixture_commit(void *ctx, const void *blob, size_t len)
{
	struct fixture *f = ctx;

	if (f->commit_fails)
		return -1;
	f->commits++;
	memcpy(f->blob, blob, len);
	f->blob_len = len;
	return 0;
}

static int fixture_commit_soon(void *ctx, const void *blob, size_t len)
{
	struct fixture *f = ctx;

	if (f->soon_busy)
		return -EBUSY;
	f->commits_soon++;
	memcpy(f->blob, blob, len);
	f->blob_len = len;
	return 0;
}

static bool fixture_presence(void *ctx)
{
	return ((struct fixture *)ctx)->presence;
}

static const struct tpm_platform fixture_platform = {
	.now_ms = fixture_now,
	.random = fixture_random,
	.commit = fixture_commit,
	.commit_soon = fixture_commit_soon,
	.physical_presence = fixture_presence,
};

/* Makes the TPM from f->blob, or a new one when that is empty. */
static inline int fixture_power_on(struct fixture *f)
{
	uint8_t *copy = calloc(1, f->blob_len + 1);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, f->blob, f->blob_len);
	f->tpm = tpm_create(&fixture_platform, f, copy, f->blob_len, &err);
	free(copy);
	return f->tpm ? 0 : err;
}

static inline void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->now = 1000;
	f->random = 12345;
	f->blob = malloc(TPM_MAX_BLOB);
}

static inline void fixture_free(struct fixture *f)
{
	tpm_destroy(f->tpm);
	free(f->blob);
}

/* Commands are built in f->w between begin and run; run returns the response code. */
static inline struct writer *command_begin(struct fixture *f, uint16_t tag, uint32_t code)
{
	f->w = (struct writer){ .buf = f->cmd, .max = sizeof(f->cmd) };
	write_u16(&f->w, tag);
	write_u32(&f->w, 0);
	write_u32(&f->w, code);
	return &f->w;
}

/* One password authorisation, empty unless given. */
static inline void command_password(struct fixture *f, const char *password)
{
	write_u32(&f->w, 9 + (uint32_t)strlen(password));
	write_u32(&f->w, TPM_RS_PW);
	write_u16(&f->w, 0);
	write_u8(&f->w, 0);
	write_2b(&f->w, password, strlen(password));
}

static inline uint32_t command_run(struct fixture *f)
{
	struct writer patch = { .buf = f->cmd + 2, .max = 4 };
	struct reader r;
	uint32_t size, rc;
	uint16_t tag;

	write_u32(&patch, (uint32_t)f->w.len);
	f->rsp_len = tpm_execute(f->tpm, 0, f->cmd, f->w.len, f->rsp);
	r = (struct reader){ f->rsp, f->rsp_len };
	if (!read_u16(&r, &tag) || !read_u32(&r, &size) || !read_u32(&r, &rc) || size != f->rsp_len)
		return 0xFFFFFFFF;
	return rc;
}

/* The response after its header. */
static inline struct reader response(struct fixture *f)
{
	return (struct reader){ f->rsp + 10, f->rsp_len - 10 };
}

static inline uint32_t run_u16(struct fixture *f, uint32_t code, uint16_t v)
{
	write_u16(command_begin(f, TPM_ST_NO_SESSIONS, code), v);
	return command_run(f);
}

/* --- cmocka's setup and teardown: *state is a struct fixture */

static inline int fixture_setup(void **state)
{
	struct fixture *f = malloc(sizeof(*f));

	fixture_init(f);
	*state = f;
	return fixture_power_on(f);
}

/* After TPM2_Startup(CLEAR). */
static inline int fixture_setup_started(void **state)
{
	int err = fixture_setup(state);

	return err ? err : (int)run_u16(*state, TPM_CC_Startup, TPM_SU_CLEAR);
}

static inline int fixture_teardown(void **state)
{
	fixture_free(*state);
	free(*state);
	return 0;
}

#endif

// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "proto/tpm.h"
#include "tpm/engine/buf.h"
#include "tests/unit/tpm/instance_fixture.h"
#include "tpm/swtpm_ctrl.h"

/* Where one message ends and the next begins. */

static void test_fixed(void **state)
{
	static const uint8_t shutdown[] = { 0, 0, 0, 3 }, init[] = { 0, 0, 0, 2, 0, 0, 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(shutdown, 3), 0);
	assert_int_equal(ctrl_message_size(shutdown, 4), 4);
	assert_int_equal(ctrl_message_size(init, 4), 8);
	assert_int_equal(ctrl_message_size(init, 8), 8);
}

/* swtpm_ioctl sends one byte of locality, QEMU that and three of padding. */
static void test_padding(void **state)
{
	static const uint8_t locality[] = { 0, 0, 0, 5, 3, 0, 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(locality, 4), 5);
	assert_int_equal(ctrl_message_size(locality, 5), 5);
	assert_int_equal(ctrl_message_size(locality, 8), 8);
}

/* What says its own length is that long, whatever came with it. */
static void test_variable(void **state)
{
	static const uint8_t data[] = { 0, 0, 0, 7, 0, 0, 0, 2, 'a', 'b', 0, 0 };

	(void)state;
	assert_int_equal(ctrl_message_size(data, 6), 0);
	assert_int_equal(ctrl_message_size(data, 8), 10);
	assert_int_equal(ctrl_message_size(data, 12), 10);
}

/* An instance and its control channel. */
struct machine {
	struct instance_fixture tpm;
	struct ctrl ctrl;
	struct ctrl_reply reply;
	struct reader answer; /* behind the result */
};

static int set_up(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	*state = m;
	m->ctrl.blob = malloc(TPM_MAX_BLOB);
	m->reply.buf = malloc(CTRL_MAX_REPLY);
	return instance_fixture_open(&m->tpm);
}

static int tear_down(void **state)
{
	struct machine *m = *state;

	instance_close(&m->tpm.in);
	free(m->ctrl.blob);
	free(m->reply.buf);
	free(m);
	return 0;
}

static uint32_t ask(struct machine *m, uint32_t command, const void *request, size_t len)
{
	uint8_t msg[CTRL_MAX_MESSAGE];
	struct writer w = { .buf = msg, .max = sizeof(msg) };
	uint32_t result;

	write_u32(&w, command);
	write_bytes(&w, request, len);
	assert_false(w.overflow);
	ctrl_handle(&m->ctrl, &m->tpm.in, msg, w.len, &m->reply);
	m->answer = (struct reader){ m->reply.buf, m->reply.len };
	assert_true(read_u32(&m->answer, &result));
	return result;
}

static uint32_t answer_u32(struct machine *m)
{
	uint32_t v;

	assert_true(read_u32(&m->answer, &v));
	return v;
}

static uint32_t run(struct machine *m, const void *command, size_t len)
{
	uint8_t rsp[TPM_MAX_COMMAND];
	struct reader r = { rsp + 6, 4 };
	uint32_t rc;

	assert_true(instance_execute(&m->tpm.in, command, len, rsp) >= 10);
	read_u32(&r, &rc);
	return rc;
}

#define RUN(m, bytes) run(m, bytes, sizeof(bytes) - 1)
#define STARTUP       "\x80\1\0\0\0\x0c\0\0\1\x44\0\0"
#define GET_RANDOM    "\x80\1\0\0\0\x0c\0\0\1\x7b\0\4"

enum {
	GET_CAPABILITY = 1,
	INIT,
	SHUTDOWN,
	GET_TPMESTABLISHED,
	SET_LOCALITY,
	HASH_START,
	HASH_DATA,
	HASH_END,
	CANCEL,
	STORE_VOLATILE,
	RESET_TPMESTABLISHED,
	GET_STATEBLOB,
	SET_STATEBLOB,
	STOP,
	GET_CONFIG,
	SET_DATAFD,
	SET_BUFFERSIZE,
	GET_INFO,
	LOCK_STORAGE,
};

static void test_off_and_on(void **state)
{
	struct machine *m = *state;

	assert_int_not_equal(ask(m, GET_TPMESTABLISHED, NULL, 0), 0);
	assert_int_not_equal(ask(m, HASH_START, NULL, 0), 0);
	assert_int_equal(RUN(m, STARTUP), TPM_RC_FAILURE);
	assert_int_equal(ask(m, INIT, "\0\0\0\0", 4), 0);
	assert_int_equal(RUN(m, GET_RANDOM), TPM_RC_INITIALIZE);
	assert_int_equal(RUN(m, STARTUP), 0);
	assert_int_equal(RUN(m, GET_RANDOM), 0);
	assert_int_equal(ask(m, STOP, NULL, 0), 0);
	assert_int_equal(RUN(m, GET_RANDOM), TPM_RC_FAILURE);
	assert_int_equal(ask(m, SHUTDOWN, NULL, 0), 0);
	assert_int_equal(m->reply.action, CTRL_TERMINATE);
}

/* Volatile state that was stored is there after the next INIT, and after one that takes and drops it no more. */
static void test_suspend(void **state)
{
	struct machine *m = *state;

	ask(m, INIT, "\0\0\0\0", 4);
	assert_int_equal(RUN(m, STARTUP), 0);
	assert_int_equal(ask(m, STORE_VOLATILE, NULL, 0), 0);
	assert_int_equal(ask(m, STOP, NULL, 0), 0);
	assert_int_equal(ask(m, INIT, "\0\0\0\0", 4), 0);
	assert_int_equal(RUN(m, GET_RANDOM), 0);
	assert_int_equal(ask(m, STORE_VOLATILE, NULL, 0), 0);
	assert_int_equal(ask(m, STOP, NULL, 0), 0);
	assert_int_equal(ask(m, INIT, "\0\0\0\1", 4), 0);
	assert_int_equal(RUN(m, GET_RANDOM), 0);
	assert_int_equal(ask(m, STOP, NULL, 0), 0);
	assert_int_equal(ask(m, INIT, "\0\0\0\0", 4), 0);
	assert_int_equal(RUN(m, GET_RANDOM), TPM_RC_INITIALIZE);
}

static void test_dynamic_measurement(void **state)
{
	struct machine *m = *state;

	ask(m, INIT, "\0\0\0\0", 4);
	assert_int_equal(RUN(m, STARTUP), 0);
	assert_int_equal(ask(m, GET_TPMESTABLISHED, NULL, 0), 0);
	assert_int_equal(answer_u32(m), 0);
	assert_int_equal(ask(m, HASH_START, NULL, 0), 0);
	assert_int_equal(ask(m, HASH_DATA, "\0\0\0\3abc", 7), 0);
	assert_int_equal(ask(m, HASH_END, NULL, 0), 0);
	assert_int_equal(ask(m, GET_TPMESTABLISHED, NULL, 0), 0);
	assert_int_equal(answer_u32(m), 1u << 24);
	assert_int_not_equal(ask(m, RESET_TPMESTABLISHED, "\0", 1), 0);
	assert_int_equal(ask(m, RESET_TPMESTABLISHED, "\3", 1), 0);
	assert_int_equal(ask(m, GET_TPMESTABLISHED, NULL, 0), 0);
	assert_int_equal(answer_u32(m), 0);
}

/* A TPM's blobs in pieces to another machine: migration. */
static void move_blob(struct machine *from, struct machine *to, uint8_t type)
{
	uint8_t request[12] = { [7] = type }, message[12 + 3072];
	struct writer w;
	struct span blob;
	uint32_t len;
	size_t piece;

	assert_int_equal(ask(from, GET_STATEBLOB, request, 12), 0);
	assert_int_equal(answer_u32(from), 0);
	len = answer_u32(from);
	assert_int_equal(answer_u32(from), len);
	assert_true(read_span(&from->answer, len, &blob));
	for (size_t at = 0; at <= len; at += piece) {
		piece = len - at < 3072 ? len - at : 3072;
		w = (struct writer){ .buf = message, .max = sizeof(message) };
		write_u32(&w, 0);
		write_u32(&w, type);
		write_u32(&w, (uint32_t)piece);
		write_bytes(&w, blob.data + at, piece);
		assert_int_equal(ask(to, SET_STATEBLOB, message, w.len), 0);
		if (piece < 3072)
			break;
	}
}

static void test_migration(void **state)
{
	struct machine *from = *state, *to;
	uint8_t request[12] = { [7] = 9 };
	void *other;

	assert_int_not_equal(ask(from, GET_STATEBLOB, request, 12), 0); /* off */
	ask(from, INIT, "\0\0\0\0", 4);
	assert_int_equal(RUN(from, STARTUP), 0);
	assert_int_not_equal(ask(from, GET_STATEBLOB, request, 12), 0); /* no such blob */
	request[7] = 1;
	request[8] = 0x7F;
	assert_int_not_equal(ask(from, GET_STATEBLOB, request, 12), 0); /* behind its end */
	assert_int_not_equal(ask(from, SET_STATEBLOB, request, 12), 0); /* on */
	assert_int_equal(set_up(&other), 0);
	to = other;
	move_blob(from, to, 1);
	move_blob(from, to, 2);
	assert_int_equal(ask(to, INIT, "\0\0\0\0", 4), 0);
	assert_int_equal(RUN(to, GET_RANDOM), 0); /* started, as the other one is */
	tear_down(&other);
}

static void test_rest(void **state)
{
	struct machine *m = *state;
	uint8_t info[16] = { 0 };

	assert_int_equal(ask(m, GET_CAPABILITY, NULL, 0), 0);
	assert_int_equal(answer_u32(m) & 0x7FFF, 0x7FFF);
	assert_int_equal(ask(m, SET_LOCALITY, "\4", 1), 0);
	assert_int_equal(m->tpm.in.locality, 4);
	assert_int_not_equal(ask(m, SET_LOCALITY, "\5", 1), 0);
	assert_int_equal(m->tpm.in.locality, 4);
	assert_int_equal(ask(m, CANCEL, NULL, 0), 0);
	assert_int_equal(ask(m, LOCK_STORAGE, "\0\0\0\0", 4), 0);
	assert_int_equal(ask(m, GET_CONFIG, NULL, 0), 0);
	assert_int_equal(answer_u32(m), 0);
	assert_int_equal(ask(m, SET_DATAFD, NULL, 0), 0);
	assert_int_equal(m->reply.action, CTRL_SET_DATAFD);
	assert_int_equal(ask(m, SET_BUFFERSIZE, "\0\0\0\0", 4), 0);
	assert_int_equal(answer_u32(m), TPM_MAX_COMMAND);
	assert_int_equal(ask(m, GET_INFO, info, 16), 0);
	assert_int_equal(answer_u32(m), answer_u32(m));
	assert_memory_equal(m->answer.pos, "{\"TPM", 5);
	info[8] = 0xFF;
	assert_int_equal(ask(m, GET_INFO, info, 16), 0);
	answer_u32(m);
	assert_int_equal(answer_u32(m), 0);
	assert_int_not_equal(ask(m, 99, NULL, 0), 0);
}

#define on_machine(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),    cmocka_unit_test(test_padding),
		cmocka_unit_test(test_variable), on_machine(test_off_and_on),
		on_machine(test_suspend),        on_machine(test_dynamic_measurement),
		on_machine(test_migration),      on_machine(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

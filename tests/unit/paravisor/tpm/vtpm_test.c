#include "paravisor/tpm/vtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/event_loop.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "paravisor/tpm/ppi.h"
#include "paravisor/tpm/state.h"
#include "proto/ppi.h"
#include "proto/vtpm_link.h"
#include "tpm/crb.h"
#include "tpm/vtpm_serve.h"

/*
 * The device on a bus, and a real vTPM at the other end of real pipes, unconfined, in a child of ours. This test is the
 * guest, and /init.
 */
struct fixture {
	struct event_loop *loop;
	struct io_bus *bus;
	struct vtpm *vtpm;
	struct ppi *ppi;
	int to[2], from[2];
	pid_t child;
	struct vtpm_test test; /* of the next child */
	bool fifo;
	uint8_t *backed; /* what the backing made durable */
	unsigned int writes;
	bool unkept; /* a state without backing */
	unsigned int patience_ms;
	bool slow; /* writes end when the test says so: what is `held` */
	struct {
		void (*done)(void *token, int error);
		void *token;
	} held;
};

static void start_child(struct fixture *f)
{
	f->child = fork();
	assert_true(f->child >= 0);
	if (!f->child) {
		close(f->from[0]);
		close(f->to[1]);
		_exit(-vtpm_serve(f->to[0], f->from[1], &f->test));
	}
}

static void backing_write(void *ctx, uint64_t offset, const void *data, size_t len,
			  void (*done)(void *token, int error), void *token)
{
	struct fixture *f = ctx;

	memcpy(f->backed + offset, data, len);
	f->writes++;
	if (!f->slow) {
		done(token, 0);
		return;
	}
	f->held.done = done;
	f->held.token = token;
}

static const struct vtpm_backing backing = { backing_write };

static void create(struct fixture *f, const void *state)
{
	const struct vtpm_config config = {
		.loop = f->loop,
		.bus = f->bus,
		.fifo = f->fifo,
		.from = f->from[0],
		.to = f->to[1],
		.backing = f->unkept ? NULL : &backing,
		.backing_ctx = f,
		.state = state,
		.state_len = state ? vtpm_state_size() : 0,
		.patience_ms = f->patience_ms,
	};

	assert_int_equal(vtpm_create(&f->vtpm, &config), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	assert_int_equal(pipe2(f->to, O_DIRECT), 0);
	assert_int_equal(pipe2(f->from, O_DIRECT), 0);
	f->backed = calloc(1, vtpm_state_size());
	f->loop = event_loop_create();
	f->bus = io_bus_create();
	assert_true(f->backed && f->loop && f->bus);
	start_child(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kill(f->child, SIGKILL);
	waitpid(f->child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(f->to[i]);
		close(f->from[i]);
	}
	ppi_destroy(f->ppi);
	vtpm_destroy(f->vtpm);
	event_loop_destroy(f->loop);
	io_bus_destroy(f->bus);
	free(f->backed);
	free(f);
	return 0;
}

/* --- the guest --- */

#define LOC_CTRL   0x08
#define CTRL_REQ   0x40
#define CTRL_STS   0x44
#define CTRL_START 0x4C
#define DATA       0x80

static uint32_t get_sized(struct fixture *f, uint32_t reg, unsigned int size)
{
	uint64_t value;

	assert_int_equal(io_bus_read(f->bus, IO_MEMORY, INTERFACE_BASE + reg, size, &value),
			 IO_DONE);
	return (uint32_t)value;
}

static void set_sized(struct fixture *f, uint32_t reg, unsigned int size, uint32_t value)
{
	assert_int_equal(io_bus_write(f->bus, IO_MEMORY, INTERFACE_BASE + reg, size, value),
			 IO_DONE);
}

static uint32_t get(struct fixture *f, uint32_t reg)
{
	return get_sized(f, reg, 4);
}

static void set(struct fixture *f, uint32_t reg, uint32_t value)
{
	set_sized(f, reg, 4, value);
}

static void submit(struct fixture *f, const void *cmd, size_t len)
{
	set(f, LOC_CTRL, 1);
	set(f, CTRL_REQ, 1);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(io_bus_write(f->bus, IO_MEMORY, INTERFACE_BASE + DATA + i, 1,
					      ((const uint8_t *)cmd)[i]),
				 IO_DONE);
	set(f, CTRL_START, 1);
}

static size_t take_response(struct fixture *f, uint8_t *rsp)
{
	uint64_t byte;
	size_t len = 10;

	while (get(f, CTRL_START))
		assert_true(event_loop_run_once(f->loop, 10000) > 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(
			io_bus_read(f->bus, IO_MEMORY, INTERFACE_BASE + DATA + i, 1, &byte),
			IO_DONE);
		rsp[i] = (uint8_t)byte;
		if (i == 5)
			len = (size_t)rsp[4] << 8 | rsp[5];
	}
	return len;
}

static unsigned int code(const uint8_t *rsp)
{
	return (unsigned int)rsp[8] << 8 | rsp[9];
}

static const uint8_t get_random[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7B, 0, 8 };
/* PCR 1 by SHA-256; its digest is the response's last 32 bytes */
static const uint8_t pcr_read[] = { 0x80, 0x01, 0, 0, 0, 20,   0, 0, 0x01, 0x7E,
				    0,    0,    0, 1, 0, 0x0B, 3, 2, 0,    0 };
#define PCR_READ_LEN 62

static unsigned int run(struct fixture *f, const void *cmd, size_t len, uint8_t *rsp,
			size_t *rsp_len)
{
	size_t n;

	submit(f, cmd, len);
	n = take_response(f, rsp);
	if (rsp_len)
		*rsp_len = n;
	return code(rsp);
}

static void test_command(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE], zeros[32] = { 0 };
	size_t len;

	create(f, NULL);
	assert_int_equal(run(f, get_random, sizeof(get_random), rsp, &len), 0);
	assert_int_equal(len, 20);
	assert_int_equal(run(f, pcr_read, sizeof(pcr_read), rsp, &len), 0);
	assert_int_equal(len, PCR_READ_LEN);
	assert_memory_equal(rsp + len - 32, zeros, 32);
}

/* NV_DefineSpace of an ordinary index with the owner's empty password: something that is kept. */
/* clang-format off */
static const uint8_t define[] = {
	0x80, 0x02, 0, 0, 0, 45, 0, 0, 0x01, 0x2A, 0x40, 0, 0, 0x01,
	0, 0, 0, 9, 0x40, 0, 0, 0x09, 0, 0, 0, 0, 0,
	0, 0,                                                       /* the index's password */
	0, 14, 1, 0, 0, 1, 0, 0x0B, 0, 4, 0, 4, 0, 0, 0, 8,
};
/* clang-format on */
static const uint8_t read_public[] = { 0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x69, 1, 0, 0, 1 };

/* The machine starts again, with what was made durable. */
static void restart(void **state)
{
	struct fixture *f = *state;
	uint8_t *kept = malloc(vtpm_state_size());

	assert_non_null(kept);
	memcpy(kept, f->backed, vtpm_state_size());
	teardown(state);
	setup(state);
	f = *state;
	create(f, kept);
	free(kept);
}

/* What a command answered for was durable before, and is there for the next run. */
static void test_state_survives(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];
	unsigned int writes;

	create(f, NULL);
	writes = f->writes;
	assert_int_not_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
	assert_int_equal(f->writes, writes);
	assert_int_equal(run(f, define, sizeof(define), rsp, NULL), 0);
	assert_true(f->writes > writes);

	restart(state);
	f = *state;
	assert_int_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
}

/* The persistent objects' handles, and their number in the list before them. */
static const uint8_t get_persistent[] = { 0x80, 0x01, 0, 0,    0, 22, 0, 0, 0x01, 0x7A, 0,
					  0,    0,    1, 0x81, 0, 0,  0, 0, 0,    0,    9 };
static const uint8_t read_ek[] = { 0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x73, 0x81, 1, 0, 1 };

/* A TPM whose state is kept has endorsement keys from its first start on, where TCG wants them, and then the same ones. */
static void test_endorsement_keys(void **state)
{
	static const uint8_t handles[] = { 0,    0, 0, 3,    0x81, 1, 0, 1,
					   0x81, 1, 0, 0x0A, 0x81, 1, 0, 0x16 };
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE], first[CRB_DATA_SIZE];
	size_t len, first_len;

	create(f, NULL);
	assert_int_equal(run(f, get_persistent, sizeof(get_persistent), rsp, &len), 0);
	assert_int_equal(len, 10 + 5 + sizeof(handles));
	assert_memory_equal(rsp + 15, handles, sizeof(handles));
	assert_int_equal(run(f, read_ek, sizeof(read_ek), first, &first_len), 0);
	restart(state);
	f = *state;
	assert_int_equal(run(f, read_ek, sizeof(read_ek), rsp, &len), 0);
	assert_int_equal(len, first_len);
	assert_memory_equal(rsp, first, len);
}

/* One that is gone with the machine does without: whoever wants them makes them of its seeds. */
static void test_no_keys_of_an_unkept_state(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE], none[4] = { 0 };
	size_t len;

	f->unkept = true;
	create(f, NULL);
	assert_int_equal(run(f, get_persistent, sizeof(get_persistent), rsp, &len), 0);
	assert_int_equal(len, 10 + 5 + sizeof(none));
	assert_memory_equal(rsp + 15, none, sizeof(none));
}

/* TPM2_ClockSet by the owner, to the last millisecond before Clock is to be saved. */
/* clang-format off */
static const uint8_t clock_set[] = {
	0x80, 0x02, 0, 0, 0, 35, 0, 0, 0x01, 0x28, 0x40, 0, 0, 0x01,
	0, 0, 0, 9, 0x40, 0, 0, 0x09, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0x0F, 0xFF, 0x7F, 0xFF,
};
/* clang-format on */

/* While the host takes its time to save Clock, commands are answered, but none before what it changed is durable. */
static void test_slow_backing(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];

	create(f, NULL);
	assert_int_equal(run(f, clock_set, sizeof(clock_set), rsp, NULL), 0);
	f->slow = true;
	while (!f->held.done)
		assert_int_equal(run(f, get_random, sizeof(get_random), rsp, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(run(f, pcr_read, sizeof(pcr_read), rsp, NULL), 0);
	submit(f, define, sizeof(define));
	while (event_loop_run_once(f->loop, 200) > 0)
		;
	assert_int_equal(get(f, CTRL_START), 1);
	f->slow = false;
	f->held.done(f->held.token, 0);
	(void)take_response(f, rsp);
	assert_int_equal(code(rsp), 0);
	restart(state);
	f = *state;
	assert_int_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
}

static char last_line[200];

static void keep_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)level;
	snprintf(last_line, sizeof(last_line), "%.*s", (int)len, line);
}

static void await_line(struct fixture *f, const char *what)
{
	last_line[0] = 0;
	while (!strstr(last_line, what))
		assert_true(event_loop_run_once(f->loop, 5000) >= 0);
}

/* What holds a command up is in the log; nothing of one that is answered. */
static void test_why_a_command_waits(void **state)
{
	static const struct log_sink keep = { .write = keep_line };
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];

	f->patience_ms = 20;
	create(f, NULL);
	assert_int_equal(run(f, clock_set, sizeof(clock_set), rsp, NULL), 0);
	log_set_sink(&keep);
	log_set_level(LOG_INFO);
	f->slow = true;
	submit(f, define, sizeof(define));
	await_line(f, "on its way to the host's disk");
	await_line(f, "on its way to the host's disk");
	assert_true(f->held.done);
	assert_int_equal(get(f, CTRL_START), 1);
	f->slow = false;
	f->held.done(f->held.token, 0);
	(void)take_response(f, rsp);
	assert_int_equal(code(rsp), 0);
	last_line[0] = 0;
	while (event_loop_run_once(f->loop, 100) > 0)
		;
	assert_int_equal(last_line[0], 0);
	/* One that the process does not answer, for it has been stopped. */
	kill(f->child, SIGSTOP);
	submit(f, pcr_read, sizeof(pcr_read));
	await_line(f, "at work, or hangs");
	kill(f->child, SIGCONT);
	(void)take_response(f, rsp);
	assert_int_equal(code(rsp), 0);
	log_set_sink(NULL);
	log_set_level(LOG_ERROR);
}

static void damage(uint8_t *image)
{
	for (size_t i = 0; i < vtpm_state_size(); i++)
		image[i] ^= 0x5A;
}

static void test_damaged_state(void **state)
{
	struct fixture *f = *state;
	struct vtpm_config config = {
		.loop = f->loop, .bus = f->bus, .from = f->from[0], .to = f->to[1]
	};

	damage(f->backed);
	config.state = f->backed;
	config.state_len = vtpm_state_size();
	log_set_level(-1);
	assert_true(vtpm_create(&f->vtpm, &config) < 0);
	log_set_level(LOG_ERROR);
}

static void test_no_process(void **state)
{
	struct fixture *f = *state;
	const struct vtpm_config config = {
		.loop = f->loop, .bus = f->bus, .from = 1000, .to = 1001
	};

	assert_int_equal(vtpm_create(&f->vtpm, &config), -ENODEV);
}

/* --- death --- */

static void say_death(struct fixture *f, uint32_t type)
{
	const struct vtpm_link_header news = { .type = type };

	assert_int_equal(write(f->from[1], &news, sizeof(news)), sizeof(news));
}

static void kill_child(struct fixture *f)
{
	char packet[VTPM_LINK_PACKET];

	kill(f->child, SIGKILL);
	assert_int_equal(waitpid(f->child, NULL, 0), f->child);
	/* as /init does */
	fcntl(f->to[0], F_SETFL, O_DIRECT | O_NONBLOCK);
	while (read(f->to[0], packet, sizeof(packet)) > 0)
		;
	fcntl(f->to[0], F_SETFL, O_DIRECT);
}

/* The command under way fails; the next one may be too early; then all that was kept is there, and PCRs are not. */
static void test_death_and_restart(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE], zeros[32] = { 0 };
	size_t len;

	create(f, NULL);
	assert_int_equal(run(f, define, sizeof(define), rsp, NULL), 0);
	log_set_level(-1);
	kill(f->child, SIGSTOP);
	submit(f, get_random, sizeof(get_random));
	kill_child(f);
	start_child(f);
	say_death(f, VTPM_LINK_DIED);
	take_response(f, rsp);
	assert_int_equal(code(rsp), 0x101); /* TPM_RC_FAILURE */

	while (run(f, read_public, sizeof(read_public), rsp, NULL) == 0x922) /* TPM_RC_RETRY */
		assert_true(event_loop_run_once(f->loop, 10000) >= 0);
	assert_int_equal(code(rsp), 0);
	assert_int_equal(run(f, pcr_read, sizeof(pcr_read), rsp, &len), 0);
	assert_int_equal(len, PCR_READ_LEN);
	assert_memory_not_equal(rsp + len - 32, zeros, 32);
	assert_int_equal(get(f, CTRL_STS) & 1, 0);
	log_set_level(LOG_ERROR);
}

/* A command that does not end is ended by the kernel, and from then on it is as with any other death. */
static void test_hang(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];
	int status;

	kill_child(f);
	f->test = (struct vtpm_test){ .hang_at = 2, .bound = 1 };
	start_child(f);
	f->test = (struct vtpm_test){ 0 };
	create(f, NULL);
	assert_int_equal(run(f, get_random, sizeof(get_random), rsp, NULL), 0);
	log_set_level(-1);
	submit(f, get_random, sizeof(get_random));
	assert_int_equal(waitpid(f->child, &status, 0), f->child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF);
	start_child(f);
	say_death(f, VTPM_LINK_DIED);
	take_response(f, rsp);
	assert_int_equal(code(rsp), 0x101);                                /* TPM_RC_FAILURE */
	while (run(f, get_random, sizeof(get_random), rsp, NULL) == 0x922) /* TPM_RC_RETRY */
		assert_true(event_loop_run_once(f->loop, 10000) >= 0);
	assert_int_equal(code(rsp), 0);
	log_set_level(LOG_ERROR);
}

/* Given up: a fatal error, by which drivers know that the TPM is gone. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];

	create(f, NULL);
	log_set_level(-1);
	kill_child(f);
	say_death(f, VTPM_LINK_GONE);
	assert_true(event_loop_run_once(f->loop, 10000) > 0);
	submit(f, get_random, sizeof(get_random));
	assert_int_equal(get(f, CTRL_START), 0);
	assert_int_equal(get(f, CTRL_STS) & 1, 1);
	(void)rsp;
	log_set_level(LOG_ERROR);
}

/* --- the paravisor's own requests --- */

static void test_execute(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[64];
	size_t len = sizeof(rsp);

	create(f, NULL);
	assert_int_equal(vtpm_execute(f->vtpm, get_random, sizeof(get_random), rsp, &len), 0);
	assert_int_equal(len, 20);
	len = sizeof(rsp);
	assert_int_equal(vtpm_execute(f->vtpm, get_random, sizeof(get_random) - 1, rsp, &len),
			 0x142);
}

/* --- the other interface --- */

static uint8_t fifo_get(struct fixture *f, uint32_t reg)
{
	return (uint8_t)get_sized(f, reg, 1);
}

static void fifo_set(struct fixture *f, uint32_t reg, uint8_t byte)
{
	set_sized(f, reg, 1, byte);
}

static void fifo_run(struct fixture *f, uint8_t *rsp, size_t len)
{
	fifo_set(f, 0x18, 0x40); /* ready */
	for (size_t i = 0; i < sizeof(get_random); i++)
		fifo_set(f, 0x24, get_random[i]);
	fifo_set(f, 0x18, 0x20); /* go */
	while (!(fifo_get(f, 0x18) & 0x10))
		assert_true(event_loop_run_once(f->loop, 10000) > 0);
	for (size_t i = 0; i < len; i++)
		rsp[i] = fifo_get(f, 0x24);
}

/* A command, and what becomes of one when the process dies. */
static void test_fifo(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[20];

	f->fifo = true;
	create(f, NULL);
	assert_true(vtpm_is_fifo(f->vtpm));
	fifo_set(f, 0x00, 0x02); /* request access */
	fifo_run(f, rsp, sizeof(rsp));
	assert_int_equal(code(rsp), 0);
	assert_int_equal(rsp[5], sizeof(rsp));
	fifo_set(f, 0x18, 0x40);
	log_set_level(-1);
	kill_child(f);
	say_death(f, VTPM_LINK_GONE);
	while (event_loop_run_once(f->loop, 0) > 0)
		;
	fifo_run(f, rsp, 10);
	assert_int_equal(code(rsp), 0x101); /* TPM_RC_FAILURE */
	log_set_level(LOG_ERROR);
}

/* --- the physical presence interface --- */

static uint32_t ppi_get(struct fixture *f, uint32_t reg)
{
	uint64_t value;

	assert_int_equal(io_bus_read(f->bus, IO_MEMORY, PPI_BASE + reg, 4, &value), IO_DONE);
	return (uint32_t)value;
}

static void ppi_set(struct fixture *f, uint32_t reg, uint32_t value)
{
	assert_int_equal(io_bus_write(f->bus, IO_MEMORY, PPI_BASE + reg, 4, value), IO_DONE);
}

static uint32_t ppi_submit(struct fixture *f, uint32_t operation, uint32_t parameter)
{
	ppi_set(f, PPI_PARAMETER, parameter);
	ppi_set(f, PPI_REQUEST, operation);
	return ppi_get(f, PPI_RESULT);
}

/* Likewise, with what was asked for before. */
static void ppi_restart(void **state)
{
	struct fixture *f;

	restart(state);
	f = *state;
	assert_int_equal(ppi_start(&f->ppi, f->vtpm, f->bus), 0);
}

/* Runs what was posted; the backing writes at once. */
static void settle(struct fixture *f)
{
	while (event_loop_run_once(f->loop, 0) > 0)
		;
}

static void test_ppi_clear(void **state)
{
	struct fixture *f = *state;
	uint8_t rsp[CRB_DATA_SIZE];

	create(f, NULL);
	assert_int_equal(ppi_start(&f->ppi, f->vtpm, f->bus), 0);
	assert_int_equal(ppi_get(f, PPI_REQUEST), 0);
	assert_int_equal(ppi_get(f, PPI_LAST), 0);
	assert_int_equal(run(f, define, sizeof(define), rsp, NULL), 0);
	assert_int_equal(ppi_submit(f, PPI_CLEAR, 0), PPI_SUBMIT_GOOD);
	assert_int_equal(ppi_get(f, PPI_REQUEST), PPI_CLEAR);
	settle(f);
	/* Nothing happens before the next start. */
	assert_int_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
	ppi_restart(state);
	f = *state;
	assert_int_not_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
	assert_int_equal(ppi_get(f, PPI_REQUEST), 0);
	assert_int_equal(ppi_get(f, PPI_LAST), PPI_CLEAR);
	assert_int_equal(ppi_get(f, PPI_RESPONSE), 0);
	/* Once: the start after that finds no request. */
	assert_int_equal(run(f, define, sizeof(define), rsp, NULL), 0);
	settle(f);
	ppi_restart(state);
	f = *state;
	assert_int_equal(run(f, read_public, sizeof(read_public), rsp, NULL), 0);
	assert_int_equal(ppi_get(f, PPI_LAST), PPI_CLEAR);
}

static uint8_t bank_bits(struct fixture *f, unsigned int bank)
{
	static const uint8_t get_banks[] = { 0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7A, 0,
					     0,    0,    5, 0, 0, 0,  0, 0, 0,    0,    1 };
	uint8_t rsp[CRB_DATA_SIZE];

	assert_int_equal(run(f, get_banks, sizeof(get_banks), rsp, NULL), 0);
	assert_int_equal(rsp[18], 4);
	return rsp[19 + 6 * bank + 3];
}

static void test_ppi_banks(void **state)
{
	struct fixture *f = *state;

	create(f, NULL);
	assert_int_equal(ppi_start(&f->ppi, f->vtpm, f->bus), 0);
	assert_int_equal(bank_bits(f, 0), 0);
	assert_int_equal(bank_bits(f, 1), 0xFF);
	assert_int_equal(ppi_submit(f, PPI_SET_PCR_BANKS, 0), PPI_SUBMIT_FAILURE);
	assert_int_equal(ppi_submit(f, PPI_SET_PCR_BANKS, 0x10), PPI_SUBMIT_FAILURE);
	assert_int_equal(ppi_submit(f, PPI_SET_PCR_BANKS, 0x5), PPI_SUBMIT_GOOD);
	assert_int_equal(ppi_get(f, PPI_PARAMETER), 5);
	settle(f);
	ppi_restart(state);
	f = *state;
	assert_int_equal(ppi_get(f, PPI_RESPONSE), 0);
	assert_int_equal(bank_bits(f, 0), 0xFF);
	assert_int_equal(bank_bits(f, 1), 0);
	assert_int_equal(bank_bits(f, 2), 0xFF);
}

/* A request can be taken back; what is not there is refused; a note that nobody wrote so is none. */
static void test_ppi_requests(void **state)
{
	struct fixture *f = *state;
	uint8_t *note;

	create(f, NULL);
	assert_int_equal(ppi_start(&f->ppi, f->vtpm, f->bus), 0);
	assert_int_equal(ppi_submit(f, PPI_CHANGE_EPS, 0), PPI_SUBMIT_GOOD);
	assert_int_equal(ppi_submit(f, 1, 0), PPI_SUBMIT_NOT_IMPLEMENTED);
	assert_int_equal(ppi_get(f, PPI_REQUEST), PPI_CHANGE_EPS);
	assert_int_equal(ppi_submit(f, PPI_NO_OPERATION, 0), PPI_SUBMIT_GOOD);
	assert_int_equal(ppi_get(f, PPI_REQUEST), 0);
	ppi_set(f, PPI_OPERATION, PPI_CHANGE_EPS);
	assert_int_equal(ppi_get(f, PPI_STATUS), PPI_OPERATION_ALLOWED);
	ppi_set(f, PPI_OPERATION, 0xFFFFFFFF);
	assert_int_equal(ppi_get(f, PPI_STATUS), PPI_OPERATION_NOT_IMPLEMENTED);
	settle(f);
	note = f->backed + vtpm_state_size() - VTPM_STATE_NOTE;
	assert_memory_equal(note, "PPI1", 4);
	note[4] = 200; /* no such operation */
	ppi_restart(state);
	f = *state;
	assert_int_equal(ppi_get(f, PPI_REQUEST), 0);
	assert_int_equal(ppi_get(f, PPI_LAST), 0);
}

/* The process's device ends before the note. */
static void test_note_is_out_of_reach(void **state)
{
	struct vtpm_state *s = vtpm_state_create(NULL, NULL);
	size_t end = vtpm_state_size() - VTPM_STATE_NOTE;
	uint8_t byte = 1;

	(void)state;
	assert_non_null(s);
	assert_int_equal(vtpm_state_write(s, end - 1, &byte, 1), 0);
	assert_int_equal(vtpm_state_write(s, end, &byte, 1), -EINVAL);
	assert_int_equal(vtpm_state_read(s, end, &byte, 1), -EINVAL);
	vtpm_state_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endorsement_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_keys_of_an_unkept_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_backing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_why_a_command_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_and_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hang, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_execute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ppi_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ppi_banks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ppi_requests, setup, teardown),
		cmocka_unit_test(test_note_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/* vtpmd's server, whole: a thread of its own, real sockets, clients that behave and such that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "proto/tpm.h"
#include "tests/unit/tpm/instance_fixture.h"
#include "tpm/server.h"

#define GET_RANDOM "\x80\1\0\0\0\x0c\0\0\1\x7b\0\4"
#define TPM12      "\0\xc1\0\0\0\x0a\0\0\0\x65"
#define INIT       "\0\0\0\2\0\0\0\0"
#define STARTUP    "\x80\1\0\0\0\x0c\0\0\1\x44\0\0"
#define SET_DATAFD "\0\0\0\x10"

static char path[] = "/tmp/entresol-server-XXXXXX";

struct machine {
	struct instance_fixture tpm;
	struct server server;
	volatile int stop;
	int result, data, ctrl, command, platform;
	pthread_t thread;
};

static int connect_to(struct server *s, enum server_role role)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(server_listen(s, pair[1], role), 0);
	return pair[0];
}

static void *serve(void *arg)
{
	struct machine *m = arg;

	m->result = server_run(&m->server, &m->stop);
	return NULL;
}

static void start(struct machine *m)
{
	assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
}

static int set_up(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	*state = m;
	m->server.instance = &m->tpm.in;
	m->data = m->ctrl = m->command = m->platform = -1;
	return instance_fixture_open(&m->tpm);
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* When its last client is gone, a server that listens to nobody ends. */
static void finish(struct machine *m)
{
	hang_up(&m->data);
	hang_up(&m->ctrl);
	hang_up(&m->command);
	hang_up(&m->platform);
	assert_int_equal(pthread_join(m->thread, NULL), 0);
	assert_int_equal(m->result, 0);
}

static int tear_down(void **state)
{
	struct machine *m = *state;

	instance_close(&m->tpm.in);
	free(m);
	return 0;
}

static void put(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

#define PUT(fd, bytes) put(fd, bytes, sizeof(bytes) - 1)

static void get(int fd, void *bytes, size_t len)
{
	if (len) /* a receive of nothing waits, too */
		assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
}

static uint32_t get_u32(int fd)
{
	uint8_t b[4];

	get(fd, b, 4);
	return (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

/* A response; its code, and its length if that is asked for. */
static uint32_t response(int fd, size_t *len)
{
	uint8_t tag[2], rest[TPM_MAX_COMMAND];
	uint32_t size, code;

	get(fd, tag, 2);
	size = get_u32(fd);
	code = get_u32(fd);
	assert_in_range(size, 10, TPM_MAX_COMMAND);
	get(fd, rest, size - 10);
	if (len)
		*len = size;
	return code;
}

static bool hung_up(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

static void power_on(struct machine *m)
{
	m->ctrl = connect_to(&m->server, ROLE_CTRL);
	m->data = connect_to(&m->server, ROLE_DATA);
	start(m);
	PUT(m->ctrl, INIT);
	assert_int_equal(get_u32(m->ctrl), 0);
	PUT(m->data, STARTUP);
	assert_int_equal(response(m->data, NULL), 0);
}

static void bytes_come_as_they_like(void **state)
{
	struct machine *m = *state;
	size_t len;

	power_on(m);
	for (size_t i = 0; i + 1 < sizeof(GET_RANDOM); i++)
		put(m->data, &GET_RANDOM[i], 1);
	assert_int_equal(response(m->data, &len), 0);
	assert_int_equal(len, 10 + 2 + 4);
	PUT(m->data, GET_RANDOM STARTUP GET_RANDOM);
	assert_int_equal(response(m->data, NULL), 0);
	assert_int_equal(response(m->data, NULL), TPM_RC_INITIALIZE);
	assert_int_equal(response(m->data, &len), 0);
	assert_int_equal(len, 10 + 2 + 4);
	finish(m);
}

static void a_tpm12_command_is_no_value(void **state)
{
	struct machine *m = *state;

	power_on(m);
	PUT(m->data, TPM12);
	assert_int_equal(response(m->data, NULL), TPM_RC_VALUE);
	PUT(m->data, "\0\xc2\0\0\0\x0a\0\0\0\x65");
	assert_int_equal(response(m->data, NULL), TPM_RC_BAD_TAG);
	PUT(m->data, "\1\xc1\0\0\0\x0a\0\0\0\x65");
	assert_int_equal(response(m->data, NULL), TPM_RC_BAD_TAG);
	finish(m);
}

static void nonsense_ends_who_says_it(void **state)
{
	struct machine *m = *state;
	int other = connect_to(&m->server, ROLE_DATA), third = connect_to(&m->server, ROLE_DATA);

	power_on(m);
	PUT(other, "\x80\1\0\0\0\x09\0\0\1\x7b"); /* shorter than its header */
	assert_true(hung_up(other));
	PUT(third, "\x80\1\x7f\0\0\0\0\0\1\x7b");
	assert_true(hung_up(third));
	PUT(m->data, GET_RANDOM);
	assert_int_equal(response(m->data, NULL), 0);
	close(other);
	close(third);
	finish(m);
}

static void put_with_descriptors(int to, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control = { 0 };
	uint8_t message[] = { 0, 0, 0, 0x10 };
	struct iovec iov = { message, sizeof(message) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	assert_int_equal(sendmsg(to, &msg, MSG_NOSIGNAL), iov.iov_len);
}

static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void a_data_channel_comes_with_a_message(void **state)
{
	struct machine *m = *state;
	int pair[2];

	power_on(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put_with_descriptors(m->ctrl, &pair[1], 1);
	close(pair[1]);
	assert_int_equal(get_u32(m->ctrl), 0);
	PUT(pair[0], GET_RANDOM);
	assert_int_equal(response(pair[0], NULL), 0);
	PUT(m->ctrl, SET_DATAFD); /* and none with it */
	assert_int_not_equal(get_u32(m->ctrl), 0);
	close(pair[0]);
	finish(m);
}

/* More than one, or with a message that wants none: they are the server's then, and it must not keep them. */
static void descriptors_are_not_kept(void **state)
{
	struct machine *m = *state;
	unsigned int before;
	int pair[2], fds[3];

	power_on(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = fds[1] = fds[2] = pair[1];
	before = descriptors();
	for (size_t count = 2; count <= 3; count++) {
		put_with_descriptors(m->ctrl, fds, count);
		get_u32(m->ctrl);
	}
	close(pair[0]);
	close(pair[1]);
	/* Its clients are those that it made of the first of each; the next answer comes after their ends are seen. */
	PUT(m->data, GET_RANDOM);
	assert_int_equal(response(m->data, NULL), 0);
	PUT(m->data, GET_RANDOM);
	assert_int_equal(response(m->data, NULL), 0);
	assert_int_equal(descriptors(), before - 2);
	finish(m);
}

static void shake_hands(int fd)
{
	PUT(fd, "\0\0\0\x0f\0\0\0\1");
	assert_int_equal(get_u32(fd), 1); /* version */
	get_u32(fd);
	assert_int_equal(get_u32(fd), 0);
}

static void mssim_has_two_ports(void **state)
{
	struct machine *m = *state;

	m->command = connect_to(&m->server, ROLE_MSSIM_COMMAND);
	m->platform = connect_to(&m->server, ROLE_MSSIM_PLATFORM);
	start(m);
	shake_hands(m->command);
	PUT(m->platform, "\0\0\0\1"); /* power */
	assert_int_equal(get_u32(m->platform), 0);
	PUT(m->command, "\0\0\0\x08\0\0\0\0\x0c" STARTUP);
	assert_int_equal(get_u32(m->command), 10);
	assert_int_equal(response(m->command, NULL), 0);
	assert_int_equal(get_u32(m->command), 0);
	PUT(m->command, "\0\0\0\1"); /* power is the platform's */
	assert_true(hung_up(m->command));
	PUT(m->platform, "\0\0\0\x15"); /* stop */
	finish(m);
}

static void the_data_client_may_end_it(void **state)
{
	struct machine *m = *state;

	m->server.terminate_on_disconnect = true;
	power_on(m);
	hang_up(&m->data);
	assert_true(hung_up(m->ctrl));
	finish(m);
}

static int dial(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* A client too many is turned away; the others are served, and there is room again when one leaves. */
static void room_is_limited(void **state)
{
	struct machine *m = *state;
	int clients[SERVER_MAX_CLIENTS], listening;

	listening = mkstemp(path);
	assert_true(listening >= 0);
	close(listening);
	listening = server_unix(path, 0600);
	assert_true(listening >= 0);
	assert_int_equal(server_listen(&m->server, listening, ROLE_MSSIM_COMMAND), 0);
	start(m);
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		clients[i] = dial();
	m->command = dial();
	assert_true(hung_up(m->command));
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		shake_hands(clients[i]);
	PUT(clients[0], "\0\0\0\x14"); /* end of session */
	assert_true(hung_up(clients[0]));
	close(clients[0]);
	clients[0] = dial();
	PUT(clients[0], "\0\0\0\x15"); /* stop */
	finish(m);
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		close(clients[i]);
	close(listening);
	unlink(path);
}

static void what_is_no_socket_is_refused(void **state)
{
	struct machine *m = *state;
	char long_path[200];

	assert_int_equal(server_listen(&m->server, STDIN_FILENO + 1000, ROLE_DATA), -EBADF);
	assert_int_equal(server_tcp("nowhere", 2321), -EINVAL);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(server_unix(long_path, 0600), -ENAMETOOLONG);
	for (int i = 0; i < SERVER_MAX_LISTEN; i++)
		m->server.listen[m->server.listeners++].fd = -1;
	assert_int_equal(server_listen(&m->server, 0, ROLE_DATA), -ENOSPC);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_as_they_like),      TEST(a_tpm12_command_is_no_value),
		TEST(nonsense_ends_who_says_it),    TEST(a_data_channel_comes_with_a_message),
		TEST(descriptors_are_not_kept),     TEST(mssim_has_two_ports),
		TEST(the_data_client_may_end_it),   TEST(room_is_limited),
		TEST(what_is_no_socket_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

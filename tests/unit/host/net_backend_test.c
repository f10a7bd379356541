/* The stream to passt, with a passt that sends back what it gets. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "host/net_backend.h"
#include "host/net_option.h"

static char folder[] = "/tmp/net_backend_test.XXXXXX";
static struct event_loop *loop;
static struct net_backend *backend;
static unsigned int received;
static size_t last_len;
static uint8_t last[70000];

static void receive(void *ctx, const uint8_t *frame, size_t len)
{
	(void)ctx;
	received++;
	last_len = len;
	memcpy(last, frame, len);
}

static const struct net_backend_client client = { .receive = receive };

static void write_passt(const char *script)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/passt", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(script, file);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

static void start(const char *text)
{
	static char copy[64];
	struct net_option option;

	snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(net_option_parse(copy, &option), 0);
	assert_int_equal(host_net_backend_create(&option, &backend), 0);
	assert_int_equal(backend->ops->start(backend, loop, &client, NULL), 0);
	received = 0;
}

static void stop(void)
{
	backend->ops->stop(backend);
	host_net_backend_destroy(backend);
}

static void send_frame(const uint8_t *frame, size_t len)
{
	struct iovec pieces[] = { { (void *)(uintptr_t)frame, len / 3 },
				  { (void *)(uintptr_t)(frame + len / 3), len - len / 3 } };

	backend->ops->send(backend, pieces, 2);
}

static void frames_come_back_whole(void **state)
{
	static uint8_t frame[65536];
	static const size_t sizes[] = { 14, 60, 1514, 9014, 65536 };

	(void)state;
	/* --foreground --quiet --fd N */
	write_passt("#!/bin/sh\nexec cat <&$4 >&$4\n");
	start("user");
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	for (unsigned int i = 0; i < 5; i++) {
		send_frame(frame, sizes[i]);
		while (received <= i)
			assert_true(event_loop_run_once(loop, 10000) > 0);
		assert_int_equal(last_len, sizes[i]);
		assert_memory_equal(last, frame, sizes[i]);
	}
	stop();
}

/* More than the socket takes: frames are lost, but never the place in the stream. */
static void a_flood_loses_frames_but_not_the_framing(void **state)
{
	static uint8_t frame[30000];
	unsigned int before;

	(void)state;
	start("user");
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			send_frame(frame, sizeof(frame) - (size_t)i);
		while (event_loop_run_once(loop, 100) > 0)
			;
		assert_true(last_len > 29900 && last_len <= sizeof(frame));
	}
	before = received;
	assert_true(before >= 20);
	send_frame(frame, 77);
	while (received == before)
		assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_int_equal(last_len, 77);
	stop();
}

static void what_is_no_frame_ends_the_network(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	write_passt("#!/bin/sh\nprintf '\\377\\377\\377\\377x' >&$4\nexec cat <&$4 >/dev/null\n");
	start("user,hostfwd=tcp:2222-:22");
	assert_true(event_loop_run_once(loop, 10000) > 0);
	send_frame(frame, sizeof(frame)); /* to nobody */
	assert_int_equal(received, 0);
	stop();
	write_passt("#!/bin/sh\nexit 1\n");
	start("user");
	for (int i = 0; i < 100; i++) { /* before and after it is noticed */
		send_frame(frame, sizeof(frame));
		usleep(1000);
	}
	assert_true(event_loop_run_once(loop, 10000) > 0);
	stop();
}

static int setup(void **state)
{
	char path[4096];

	(void)state;
	log_set_level(LOG_ERROR);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
	setenv("PATH", path, 1);
	loop = event_loop_create();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	event_loop_destroy(loop);
	snprintf(path, sizeof(path), "%s/passt", folder);
	unlink(path);
	rmdir(folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back_whole),
		cmocka_unit_test(a_flood_loses_frames_but_not_the_framing),
		cmocka_unit_test(what_is_no_frame_ends_the_network),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

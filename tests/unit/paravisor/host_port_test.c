#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/chipset.h"
#include "paravisor/counters.h"
#include "paravisor/host_port.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/hv_message.h"
#include "vtl/host_message.h"

/* The message device: what was posted, and one message that waits. */
struct host_message {
	int fd;
};

static struct host_message device;
static struct {
	uint32_t type;
	size_t len;
	uint8_t payload[HOST_PORT_PAYLOAD_MAX];
} posted[8];
static unsigned int posts, refusals;
static struct hv_message waiting;

int host_message_create(struct host_message **port)
{
	device.fd = eventfd(0, EFD_NONBLOCK);
	*port = &device;
	return device.fd < 0 ? -errno : 0;
}

int host_message_fd(const struct host_message *port)
{
	return port->fd;
}

int host_message_receive(struct host_message *port, struct hv_message *message)
{
	uint64_t count;

	if (read(port->fd, &count, sizeof(count)) < 0)
		return -EAGAIN;
	*message = waiting;
	return 0;
}

int host_message_post(struct host_message *port, uint32_t connection_id, uint32_t type,
		      const void *payload, size_t len)
{
	(void)port;
	assert_int_equal(connection_id, HOST_PORT_CONNECTION_ID);
	assert_in_range(len, 0, HOST_PORT_PAYLOAD_MAX);
	if (refusals) {
		refusals--;
		return -EAGAIN;
	}
	assert_in_range(posts, 0, 7);
	posted[posts].type = type;
	posted[posts].len = len;
	memcpy(posted[posts++].payload, payload, len);
	return 0;
}

/* COM1 with room for `room` bytes. */
static uint8_t received[512];
static size_t received_len, room;

size_t chipset_serial_receive(struct chipset *chipset, enum chipset_serial_port port,
			      const uint8_t *bytes, size_t len)
{
	size_t n = len < room ? len : room;

	(void)chipset;
	assert_int_equal(port, CHIPSET_COM1);
	memcpy(received + received_len, bytes, n);
	received_len += n;
	room -= n;
	return n;
}

void counters_collect(struct host_port_counters *counters, const struct machine *machine)
{
	(void)machine;
	*counters = (struct host_port_counters){ .vtl2_memory_total = 42 };
}

static struct host_port *port;
static struct machine machine;
static struct vp vp;

static int setup(void **state)
{
	(void)state;
	posts = refusals = 0;
	received_len = room = 0;
	vp = (struct vp){ .loop = event_loop_create() };
	machine = (struct machine){ .vps = &vp };
	assert_non_null(vp.loop);
	return host_port_create(&port);
}

static int teardown(void **state)
{
	(void)state;
	event_loop_destroy(vp.loop);
	close(device.fd);
	free(port);
	return 0;
}

static void send_to_guest(uint32_t type, const char *text)
{
	const uint64_t one = 1;

	waiting = (struct hv_message){ .header = { .message_type = type,
						   .payload_size = strlen(text) } };
	memcpy(waiting.payload, text, strlen(text));
	assert_int_equal(write(device.fd, &one, sizeof(one)), sizeof(one));
}

static void test_console_output(void **state)
{
	uint8_t text[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	host_port_transmit(port, text, sizeof(text));
	assert_int_equal(posts, 2);
	assert_int_equal(posted[0].type, HOST_PORT_CONSOLE);
	assert_int_equal(posted[0].len, 240);
	assert_int_equal(posted[1].len, 60);
}

static void test_back_pressure(void **state)
{
	(void)state;
	refusals = 3;
	host_port_transmit(port, (const uint8_t *)"abc", 3);
	assert_int_equal(posts, 1);
	assert_memory_equal(posted[0].payload, "abc", 3);
}

static void test_log(void **state)
{
	(void)state;
	log_set_level(LOG_INFO);
	log_warn("seven %d", 7);
	assert_int_equal(posts, 1);
	assert_int_equal(posted[0].type, HOST_PORT_LOG);
	assert_int_equal(posted[0].payload[0], LOG_WARN);
	assert_int_equal(posted[0].len, 8);
	assert_memory_equal(posted[0].payload + 1, "seven 7", 7);
	log_warn("%300s", "long"); /* cut to one message */
	assert_int_equal(posted[1].len, HOST_PORT_PAYLOAD_MAX);
}

static void test_console_input(void **state)
{
	(void)state;
	assert_int_equal(host_port_start_input(port, &machine), 0);
	room = 100;
	send_to_guest(HOST_PORT_CONSOLE, "hello");
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(received_len, 5);
	assert_memory_equal(received, "hello", 5);
}

/* While COM1 has no room the next message stays in the host. */
static void test_console_input_waits(void **state)
{
	(void)state;
	assert_int_equal(host_port_start_input(port, &machine), 0);
	room = 2;
	send_to_guest(HOST_PORT_CONSOLE, "abcd");
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(received_len, 2);
	send_to_guest(HOST_PORT_CONSOLE, "efgh");
	assert_int_equal(event_loop_run_once(vp.loop, 0), 0);
	room = 100;
	host_port_receive_ready(port);
	while (event_loop_run_once(vp.loop, 0) > 0)
		;
	assert_int_equal(received_len, 8);
	assert_memory_equal(received, "abcdefgh", 8);
}

static void test_counters_on_request(void **state)
{
	struct host_port_counters counters;

	(void)state;
	assert_int_equal(host_port_start_input(port, &machine), 0);
	send_to_guest(HOST_PORT_COUNTERS, "");
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(posts, 1);
	assert_int_equal(posted[0].type, HOST_PORT_COUNTERS);
	memcpy(&counters, posted[0].payload, sizeof(counters));
	assert_int_equal(counters.vtl2_memory_total, 42);
}

static void test_bad_messages(void **state)
{
	(void)state;
	assert_int_equal(host_port_start_input(port, &machine), 0);
	room = 500;
	send_to_guest(HOST_PORT_CONSOLE, "x");
	waiting.header.payload_size = 255; /* longer than a message */
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(received_len, 0);
	log_set_level(LOG_ERROR);
	send_to_guest(0x1234, "x");
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(posts, 0);
}

static void test_outcome(void **state)
{
	const struct host_port_outcome outcome = { .result = HOST_PORT_CRASH, .reason = "why" };

	(void)state;
	host_port_send_outcome(port, &outcome);
	assert_int_equal(posted[0].type, HOST_PORT_OUTCOME);
	assert_int_equal(posted[0].len, sizeof(outcome));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_console_output),
		TEST(test_back_pressure),
		TEST(test_log),
		TEST(test_console_input),
		TEST(test_console_input_waits),
		TEST(test_counters_on_request),
		TEST(test_bad_messages),
		TEST(test_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

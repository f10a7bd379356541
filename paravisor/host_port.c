#include "paravisor/host_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "devices/chipset.h"
#include "paravisor/counters.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/hv_message.h"
#include "vtl/host_message.h"

/* How long a full host holds up whoever sends: 1000 times 1 ms. */
#define POST_ATTEMPTS 1000

struct host_port {
	struct host_message *messages;
	struct machine *machine;
	struct event_watch watch;

	/* Input that COM1 had no room for yet: one message. VP 0's thread. */
	uint8_t pending[HOST_PORT_PAYLOAD_MAX];
	size_t pending_start, pending_end;
};

/* -EAGAIN is the host's back pressure, and then nothing but time helps. */
static int post(struct host_port *port, uint32_t type, const void *payload, size_t len)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int ret = -EAGAIN;

	for (unsigned int i = 0; ret == -EAGAIN && i < POST_ATTEMPTS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		ret = host_message_post(port->messages, HOST_PORT_CONNECTION_ID, type, payload,
					len);
	}
	return ret;
}

/* Under the log's lock: what cannot be sent is lost. */
static void log_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	uint8_t payload[HOST_PORT_PAYLOAD_MAX];

	if (len > sizeof(payload) - 1)
		len = sizeof(payload) - 1;
	payload[0] = level;
	memcpy(payload + 1, line, len);
	(void)post(ctx, HOST_PORT_LOG, payload, len + 1);
}

int host_port_create(struct host_port **out)
{
	struct host_port *port = calloc(1, sizeof(*port));
	int ret;

	if (!port)
		return -ENOMEM;
	ret = host_message_create(&port->messages);
	if (ret) {
		free(port);
		return ret;
	}
	log_set_sink(&(struct log_sink){ log_line, port });
	*out = port;
	return 0;
}

void host_port_transmit(void *ctx, const uint8_t *bytes, size_t len)
{
	while (len) {
		size_t n = len < HOST_PORT_PAYLOAD_MAX ? len : HOST_PORT_PAYLOAD_MAX;
		int ret = post(ctx, HOST_PORT_CONSOLE, bytes, n);

		if (ret)
			log_limited(LOG_WARN, "%zu bytes of console output lost: errno %d", n,
				    -ret);
		bytes += n;
		len -= n;
	}
}

/* Gives COM1 what it takes; input waits in the host while some is left. */
static void feed(struct host_port *port)
{
	size_t len = port->pending_end - port->pending_start;

	if (!len)
		return;
	port->pending_start += chipset_serial_receive(port->machine->chipset, CHIPSET_COM1,
						      port->pending + port->pending_start, len);
	if (port->pending_start == port->pending_end)
		event_loop_modify(port->machine->vps[0].loop, &port->watch, EPOLLIN);
}

static void feed_posted(void *ctx)
{
	feed(ctx);
}

void host_port_receive_ready(void *ctx)
{
	struct host_port *port = ctx;

	if (event_loop_post(port->machine->vps[0].loop, feed_posted, port))
		log_limited(LOG_WARN, "out of memory for console input");
}

static void take_console(struct host_port *port, const struct hv_message *message)
{
	memcpy(port->pending, message->payload, message->header.payload_size);
	port->pending_start = 0;
	port->pending_end = message->header.payload_size;
	event_loop_modify(port->machine->vps[0].loop, &port->watch, 0);
	feed(port);
}

static void readable(struct event_watch *watch, uint32_t events)
{
	struct host_port *port = container_of(watch, struct host_port, watch);
	struct hv_message message;

	(void)events;
	if (host_message_receive(port->messages, &message))
		return;
	if (message.header.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return;
	switch (message.header.message_type) {
	case HOST_PORT_CONSOLE:
		take_console(port, &message);
		break;
	case HOST_PORT_COUNTERS:
		host_port_send_counters(port, port->machine);
		break;
	default:
		log_limited(LOG_WARN, "message %#x from the host not understood",
			    message.header.message_type);
	}
}

int host_port_start_input(struct host_port *port, struct machine *machine)
{
	port->machine = machine;
	port->watch = (struct event_watch){ readable, host_message_fd(port->messages) };
	return event_loop_add(machine->vps[0].loop, &port->watch, EPOLLIN);
}

void host_port_send_counters(struct host_port *port, const struct machine *machine)
{
	struct host_port_counters counters;

	counters_collect(&counters, machine);
	post(port, HOST_PORT_COUNTERS, &counters, sizeof(counters));
}

void host_port_send_outcome(struct host_port *port, const struct host_port_outcome *outcome)
{
	post(port, HOST_PORT_OUTCOME, outcome, sizeof(*outcome));
}

#include "host/host_port.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "host/partition.h"

struct host_port {
	struct partition *partition;
	int console_fd;
	pthread_mutex_t lock; /* over the counters */
	struct host_port_counters counters;
};

struct host_port *host_port_create(struct partition *partition, int console_fd)
{
	struct host_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->partition = partition;
	port->console_fd = console_fd;
	pthread_mutex_init(&port->lock, NULL);
	return port;
}

void host_port_destroy(struct host_port *port)
{
	if (!port)
		return;
	pthread_mutex_destroy(&port->lock);
	free(port);
}

/* A reader that is gone is no reason to stop the guest; one that is slow is waited for. */
static void write_console(struct host_port *port, const uint8_t *bytes, size_t len)
{
	struct pollfd writable = { .fd = port->console_fd, .events = POLLOUT };
	ssize_t n;

	while (len && !partition_ended(port->partition)) {
		n = write(port->console_fd, bytes, len);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			poll(&writable, 1, 100);
		} else if (n < 0 && errno != EINTR) {
			return;
		}
	}
}

static void write_log(const uint8_t *payload, size_t len)
{
	enum log_level level = payload[0] <= LOG_DEBUG ? (enum log_level)payload[0] : LOG_INFO;

	log_msg(level, "paravisor: %.*s", (int)(len - 1), (const char *)payload + 1);
}

static void take_counters(struct host_port *port, const uint8_t *payload)
{
	pthread_mutex_lock(&port->lock);
	memcpy(&port->counters, payload, sizeof(port->counters));
	pthread_mutex_unlock(&port->lock);
}

static void take_outcome(struct host_port *port, const uint8_t *payload)
{
	static const enum run_outcome outcomes[] = {
		[HOST_PORT_POWER_OFF] = RUN_POWER_OFF,
		[HOST_PORT_RESET] = RUN_RESET,
		[HOST_PORT_CRASH] = RUN_GUEST_CRASH,
		[HOST_PORT_FAILURE] = RUN_FAILURE,
	};
	struct host_port_outcome outcome;
	unsigned int i;

	memcpy(&outcome, payload, sizeof(outcome));
	if (outcome.result >= sizeof(outcomes) / sizeof(outcomes[0]))
		outcome.result = HOST_PORT_FAILURE;
	for (i = 0; i < sizeof(outcome.reason) && outcome.reason[i]; i++)
		if (outcome.reason[i] < ' ' || outcome.reason[i] > '~')
			outcome.reason[i] = '?';
	partition_end(port->partition, outcomes[outcome.result], "%.*s",
		      (int)sizeof(outcome.reason), outcome.reason);
}

int host_port_message(struct host_port *port, uint32_t type, const uint8_t *payload, size_t len)
{
	switch (type) {
	case HOST_PORT_CONSOLE:
		write_console(port, payload, len);
		return 0;
	case HOST_PORT_LOG:
		if (len < 1)
			return -EINVAL;
		write_log(payload, len);
		return 0;
	case HOST_PORT_COUNTERS:
		if (len < sizeof(struct host_port_counters))
			return -EINVAL;
		take_counters(port, payload);
		return 0;
	case HOST_PORT_OUTCOME:
		if (len < sizeof(struct host_port_outcome))
			return -EINVAL;
		take_outcome(port, payload);
		return 0;
	default:
		return -EINVAL;
	}
}

size_t host_port_input(struct host_port *port, const uint8_t *bytes, size_t len)
{
	struct vcpu *vcpu = &port->partition->vps[0].vcpu[HOST_VTL2];
	size_t done = 0, chunk;

	while (done < len) {
		chunk = len - done < HOST_PORT_PAYLOAD_MAX ? len - done : HOST_PORT_PAYLOAD_MAX;
		if (!synic_listening(vcpu, HOST_PORT_SINT) ||
		    synic_post(vcpu, HOST_PORT_SINT, HOST_PORT_CONSOLE, bytes + done, chunk))
			break;
		done += chunk;
	}
	return done;
}

void host_port_request_counters(struct host_port *port)
{
	struct vcpu *vcpu = &port->partition->vps[0].vcpu[HOST_VTL2];

	if (synic_listening(vcpu, HOST_PORT_SINT))
		synic_post(vcpu, HOST_PORT_SINT, HOST_PORT_COUNTERS, "", 0);
}

void host_port_counters(struct host_port *port, struct host_port_counters *counters)
{
	pthread_mutex_lock(&port->lock);
	*counters = port->counters;
	pthread_mutex_unlock(&port->lock);
}

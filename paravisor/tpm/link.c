#include "paravisor/tpm/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/tpm/state.h"

/* The vTPM gets its answer or dies: this long with neither means that its pipe is full of garbage. */
#define PUSH_TIMEOUT_MS 10000

/* Each time that a request takes that long is worth a line in the log: VTL0 waits, and shows nothing else. */
#define PATIENCE_MS 10000

struct vtpm_link {
	struct vtpm_link_config config;
	struct event_watch watch;
	struct event_timer patience;  /* with the last request; says nothing after its end */
	struct vtpm_request *request; /* under way */
	uint64_t sent_ns;             /* the request */
	uint32_t id;                  /* of the last request */
	uint32_t sync_id;             /* of the vTPM's, while its state is being made durable */
	bool established;
	uint8_t packet[VTPM_LINK_PACKET]; /* read; loop's thread */
};

static int write_packet(struct vtpm_link *link, const void *header, size_t header_len,
			const void *payload, size_t len)
{
	uint8_t packet[VTPM_LINK_PACKET];
	ssize_t n;

	if (header_len > sizeof(packet) || len > sizeof(packet) - header_len)
		return -EMSGSIZE;
	memcpy(packet, header, header_len);
	if (len)
		memcpy(packet + header_len, payload, len);
	n = write(link->config.to, packet, header_len + len);
	return n < 0 ? -errno : 0;
}

/* --- requests --- */

/* A packet of the process, while none is due, can only be the news of its death. */
static int wait_for_room(struct vtpm_link *link)
{
	struct pollfd fds[] = { { .fd = link->config.to, .events = POLLOUT },
				{ .fd = link->config.from, .events = POLLIN } };

	if (poll(fds, 2, PUSH_TIMEOUT_MS) <= 0)
		return -ETIMEDOUT;
	return fds[1].revents ? -EPIPE : 0;
}

/* Waits for room in the pipe, of which there is some unless the process does not read. */
static int push(struct vtpm_link *link, struct vtpm_link_header *header, size_t header_len,
		const void *payload, size_t len)
{
	int ret;

	header->id = ++link->id;
	ret = write_packet(link, header, header_len, payload, len);
	while (ret == -EAGAIN) {
		ret = wait_for_room(link);
		if (!ret)
			ret = write_packet(link, header, header_len, payload, len);
	}
	return ret;
}

static void be_patient(struct vtpm_link *link, uint64_t now)
{
	unsigned int ms = link->config.patience_ms ? link->config.patience_ms : PATIENCE_MS;

	event_timer_arm(&link->patience, now + ms * 1000000ull);
}

static void is_slow(struct event_timer *timer)
{
	struct vtpm_link *link = container_of(timer, struct vtpm_link, patience);
	uint64_t now = event_loop_now_ns();

	device_lock_acquire(link->config.lock);
	if (link->request) {
		log_info("vTPM: no answer for %u s: %s",
			 (unsigned int)((now - link->sent_ns) / 1000000000u),
			 link->sync_id ? "its state is still on its way to the host's disk"
				       : "it is at work, or hangs");
		be_patient(link, now);
	}
	device_lock_release(link->config.lock);
}

int vtpm_link_send(struct vtpm_link *link, struct vtpm_link_header *header, size_t header_len,
		   const void *payload, size_t len, struct vtpm_request *request)
{
	int ret;

	if (link->request)
		return -EBUSY;
	ret = push(link, header, header_len, payload, len);
	if (ret)
		return ret;
	link->request = request;
	link->sent_ns = event_loop_now_ns();
	be_patient(link, link->sent_ns);
	return 0;
}

static void finish(struct vtpm_link *link, int error, const uint8_t *payload, size_t len)
{
	struct vtpm_request *request = link->request;

	link->request = NULL;
	request->done(request, error, payload, len);
}

/* An answer to what is not under way is an answer of one who has died since. */
static void take_done(struct vtpm_link *link, size_t len)
{
	struct vtpm_link_done done;

	if (len < sizeof(done))
		return;
	memcpy(&done, link->packet, sizeof(done));
	if (!link->request || done.header.id != link->id)
		return;
	link->established = done.established;
	if (done.error > 0 || done.error < -4095)
		done.error = -EPROTO;
	finish(link, done.error, link->packet + sizeof(done), len - sizeof(done));
}

/* --- the vTPM's store --- */

static void answer(struct vtpm_link *link, uint32_t id, int error, const void *payload, size_t len)
{
	const struct vtpm_link_store_done done = { .header = { VTPM_LINK_STORE_DONE, id },
						   .error = error };
	int ret = write_packet(link, &done, sizeof(done), payload, len);

	if (ret)
		log_limited(LOG_ERROR, "vTPM: no answer to its store: errno %d", -ret);
}

static void take_read(struct vtpm_link *link, const struct vtpm_link_store *request)
{
	uint8_t data[VTPM_LINK_STORE_MAX];
	int ret = -EINVAL;

	if (request->len <= sizeof(data))
		ret = vtpm_state_read(link->config.state, request->offset, data, request->len);
	answer(link, request->header.id, ret, data, ret ? 0 : request->len);
}

static void take_write(struct vtpm_link *link, const struct vtpm_link_store *request, size_t len)
{
	int ret = -EINVAL;

	if (request->len == len - sizeof(*request))
		ret = vtpm_state_write(link->config.state, request->offset,
				       link->packet + sizeof(*request), request->len);
	answer(link, request->header.id, ret, NULL, 0);
}

/* The lock is recursive: this may be called from within take_store(). */
static void synced(void *token, int error)
{
	struct vtpm_link *link = token;

	device_lock_acquire(link->config.lock);
	if (link->sync_id)
		answer(link, link->sync_id, error, NULL, 0);
	link->sync_id = 0;
	device_lock_release(link->config.lock);
}

static void take_store(struct vtpm_link *link, size_t len)
{
	struct vtpm_link_store request;

	if (len < sizeof(request))
		return;
	memcpy(&request, link->packet, sizeof(request));
	switch (request.header.type) {
	case VTPM_LINK_STORE_READ:
		take_read(link, &request);
		break;
	case VTPM_LINK_STORE_WRITE:
		take_write(link, &request, len);
		break;
	default:
		link->sync_id = request.header.id;
		vtpm_state_sync(link->config.state, synced, link);
	}
}

/* --- */

static void take_death(struct vtpm_link *link, bool again)
{
	link->sync_id = 0;
	link->established = false;
	if (link->request)
		finish(link, -EPIPE, NULL, 0);
	link->config.died(link->config.ctx, again);
}

static void dispatch(struct vtpm_link *link, size_t len)
{
	struct vtpm_link_header header;

	if (len < sizeof(header))
		return;
	memcpy(&header, link->packet, sizeof(header));
	switch (header.type) {
	case VTPM_LINK_DONE:
		take_done(link, len);
		break;
	case VTPM_LINK_STORE_READ:
	case VTPM_LINK_STORE_WRITE:
	case VTPM_LINK_STORE_SYNC:
		take_store(link, len);
		break;
	case VTPM_LINK_DIED:
	case VTPM_LINK_GONE:
		take_death(link, header.type == VTPM_LINK_DIED);
		break;
	default:
		log_limited(LOG_WARN, "vTPM: packet %#x not understood", header.type);
	}
}

static void readable(struct event_watch *watch, uint32_t events)
{
	struct vtpm_link *link = container_of(watch, struct vtpm_link, watch);
	ssize_t n;

	(void)events;
	device_lock_acquire(link->config.lock);
	while ((n = read(link->config.from, link->packet, sizeof(link->packet))) > 0)
		dispatch(link, (size_t)n);
	memset(link->packet, 0, sizeof(link->packet));
	device_lock_release(link->config.lock);
	if (!n) { /* no writer is left at all */
		log_error("vTPM: its pipe is closed");
		event_loop_modify(link->config.loop, watch, 0);
	}
}

static int unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

int vtpm_link_create(struct vtpm_link **out, const struct vtpm_link_config *config)
{
	struct vtpm_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return -ENOMEM;
	link->config = *config;
	link->watch = (struct event_watch){ readable, config->from };
	event_timer_init(&link->patience, config->loop, is_slow);
	ret = unblock(config->from);
	if (!ret)
		ret = unblock(config->to);
	if (!ret)
		ret = event_loop_add(config->loop, &link->watch, EPOLLIN);
	if (ret)
		free(link);
	else
		*out = link;
	return ret;
}

void vtpm_link_destroy(struct vtpm_link *link)
{
	if (!link)
		return;
	event_loop_remove(link->config.loop, &link->watch);
	event_timer_cancel(&link->patience);
	free(link);
}

bool vtpm_link_established(const struct vtpm_link *link)
{
	return link->established;
}

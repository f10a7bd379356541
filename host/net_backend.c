#include "host/net_backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "host/net_offload.h"
#include "host/net_open.h"
#include "host/net_option.h"

#define FRAME_MAX   ((64u << 10) + 64) /* the largest send, tagged */
#define READ_BUDGET (96 << 10)         /* bytes before others of the loop have their turn */
#define READ_LEAST  1500               /* what a frame counts for at least */
#define HEADER      4u                 /* of a frame on a stream */
#define WAITING_MAX (256u << 10)       /* more than a send that is segmented */
#define MAC_BYTES   12u
#define VLAN_TAG    4u

struct host_net_backend {
	struct net_backend backend;
	struct event_watch watch;
	struct event_loop *loop;
	const struct net_backend_client *client;
	void *ctx;
	pthread_mutex_t lock; /* sending: `out`, what is watched for, `fd` against its end */
	int fd;
	bool paused; /* the loop's */
	enum net_kind kind;
	struct net_child child;
	struct event_watch words; /* of passt's */

	uint8_t in[FRAME_MAX + HEADER]; /* a stream's: what has come of a frame */
	size_t in_len;
	uint8_t cut[FRAME_MAX]; /* a frame of a send that came whole */

	/* Frames with their headers that the network has not taken yet. */
	uint8_t out[WAITING_MAX];
	size_t out_at, out_len;
};

static struct host_net_backend *net_of(struct net_backend *backend)
{
	return container_of(backend, struct host_net_backend, backend);
}

/* full() looks without the lock. */
static void set_waiting(struct host_net_backend *net, size_t len)
{
	__atomic_store_n(&net->out_len, len, __ATOMIC_RELEASE);
}

/* With the lock. */
static void set_watch(struct host_net_backend *net)
{
	uint32_t events = (net->paused ? 0 : EPOLLIN) | (net->out_len ? EPOLLOUT : 0);

	if (net->fd >= 0)
		event_loop_modify(net->loop, &net->watch, events);
}

/* --- reading --- */

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void lost(struct host_net_backend *net, const char *why)
{
	log_error("the network is gone: %s", why);
	event_loop_remove(net->loop, &net->watch);
	pthread_mutex_lock(&net->lock);
	close(net->fd);
	net->fd = -1;
	set_waiting(net, 0);
	pthread_mutex_unlock(&net->lock);
	net->client->room(net->ctx);
}

/* The tag that the kernel took out of a packet, if it did: TPID and TCI, as they are on the wire. */
static bool find_tag(struct msghdr *message, uint16_t tag[2])
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	struct tpacket_auxdata aux;

	if (!control || control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA)
		return false;
	memcpy(&aux, CMSG_DATA(control), sizeof(aux));
	tag[0] = htons(aux.tp_vlan_tpid);
	tag[1] = htons(aux.tp_vlan_tci);
	return aux.tp_status & TP_STATUS_VLAN_VALID;
}

/* One, behind room for a tag. Its length; *frame is where it starts. */
static ssize_t read_packet(struct host_net_backend *net, uint8_t **frame)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec piece = { net->in + VLAN_TAG, FRAME_MAX };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	uint16_t tag[2];
	ssize_t len;

	*frame = net->in + VLAN_TAG;
	len = recvmsg(net->fd, &message, 0);
	if (len < (ssize_t)MAC_BYTES || !find_tag(&message, tag))
		return len;
	memmove(net->in, *frame, MAC_BYTES);
	*frame = net->in;
	memcpy(*frame + MAC_BYTES, tag, sizeof(tag));
	return len + (ssize_t)VLAN_TAG;
}

/* As above, from a TAP device: it may be a send that is cut here, into many frames. */
static ssize_t read_tap(struct host_net_backend *net)
{
	struct virtio_net_hdr header;
	struct iovec pieces[] = { { &header, sizeof(header) }, { net->in, FRAME_MAX } };
	ssize_t len = readv(net->fd, pieces, 2);

	if (len > (ssize_t)sizeof(header))
		net_offload_finish(&header, net->in, (size_t)len - sizeof(header), net->cut,
				   sizeof(net->cut), net->client, net->ctx);
	return len;
}

static ssize_t take_packet(struct host_net_backend *net)
{
	uint8_t *frame;
	ssize_t len;

	if (net->kind == NET_TAP)
		return read_tap(net);
	len = read_packet(net, &frame);
	if (len > 0)
		net->client->receive(net->ctx, frame, (size_t)len);
	return len;
}

static void read_packets(struct host_net_backend *net)
{
	for (ssize_t budget = READ_BUDGET, len; budget > 0 && !net->paused;) {
		len = take_packet(net);
		if (len > 0) {
			budget -= len < READ_LEAST ? READ_LEAST : len;
			continue;
		}
		if (len < 0 && (again() || errno == ENETDOWN))
			return;
		return lost(net, len ? strerror(errno) : "it ended");
	}
}

/* Gives away the whole frames in the buffer; false: a length that cannot be. */
static bool take_frames(struct host_net_backend *net)
{
	size_t at = 0;

	while (net->in_len - at >= HEADER) {
		uint32_t len;

		memcpy(&len, net->in + at, HEADER);
		len = ntohl(len);
		if (!len || len > FRAME_MAX)
			return false;
		if (net->in_len - at - HEADER < len)
			break;
		net->client->receive(net->ctx, net->in + at + HEADER, len);
		at += HEADER + len;
	}
	net->in_len -= at;
	memmove(net->in, net->in + at, net->in_len);
	return true;
}

static void read_stream(struct host_net_backend *net)
{
	ssize_t len = read(net->fd, net->in + net->in_len, sizeof(net->in) - net->in_len);

	if (len <= 0) {
		if (!len || !again())
			lost(net, len ? strerror(errno) : "passt has ended");
		return;
	}
	net->in_len += (size_t)len;
	if (!take_frames(net))
		lost(net, "passt sends what is no frame");
}

/* --- writing: what the network does not take at once waits --- */

static bool is_stream(const struct host_net_backend *net)
{
	return net->kind == NET_USER;
}

static bool full(struct net_backend *backend)
{
	return __atomic_load_n(&net_of(backend)->out_len, __ATOMIC_ACQUIRE);
}

/* How much is gone; 0: nothing now. What cannot be sent is gone, too: the reader finds out why. */
static size_t flush_stream(struct host_net_backend *net)
{
	ssize_t len =
		send(net->fd, net->out + net->out_at, net->out_len - net->out_at, MSG_NOSIGNAL);

	return len >= 0 ? (size_t)len : again() ? 0 : net->out_len - net->out_at;
}

static size_t flush_packet(struct host_net_backend *net)
{
	uint32_t len;

	memcpy(&len, net->out + net->out_at, HEADER);
	len = ntohl(len);
	if (write(net->fd, net->out + net->out_at + HEADER, len) < 0 && again())
		return 0;
	return len + HEADER;
}

/* True: all is gone. */
static bool send_waiting(struct host_net_backend *net)
{
	while (net->out_at < net->out_len) {
		size_t gone = is_stream(net) ? flush_stream(net) : flush_packet(net);

		if (!gone)
			return false;
		net->out_at += gone;
	}
	net->out_at = 0;
	set_waiting(net, 0);
	set_watch(net);
	return true;
}

static void flush_out(struct host_net_backend *net)
{
	bool all;

	pthread_mutex_lock(&net->lock);
	all = send_waiting(net);
	pthread_mutex_unlock(&net->lock);
	if (all)
		net->client->room(net->ctx);
}

/* `gone` bytes of the first to wait have been sent already. */
static void keep_rest(struct host_net_backend *net, const struct iovec *pieces, int count,
		      size_t len, size_t gone)
{
	size_t at = net->out_len;

	if (len > sizeof(net->out) - at) {
		log_limited(LOG_DEBUG, "a frame is lost: the network is slow");
		return;
	}
	if (!at)
		net->out_at = gone;
	for (int i = 0; i < count; i++) {
		memcpy(net->out + at, pieces[i].iov_base, pieces[i].iov_len);
		at += pieces[i].iov_len;
	}
	set_waiting(net, at);
	set_watch(net);
}

/* The first piece is the header. How much of `len` is gone. */
static size_t send_now(struct host_net_backend *net, struct iovec *pieces, int count, size_t len)
{
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count };
	ssize_t sent;

	if (is_stream(net)) {
		sent = sendmsg(net->fd, &message, MSG_NOSIGNAL); /* passt may be gone */
		return sent >= 0 ? (size_t)sent : again() ? 0 : len;
	}
	sent = writev(net->fd, pieces + 1, count - 1);
	if (sent < 0 && again())
		return 0;
	if (sent < 0)
		log_limited(LOG_DEBUG, "a frame is lost: %s", strerror(errno));
	return len;
}

static void send_frame(struct net_backend *backend, const struct iovec *pieces, int count,
		       const struct net_offload *offload)
{
	struct host_net_backend *net = net_of(backend);
	struct virtio_net_hdr before;
	struct iovec all[8];
	uint32_t header;
	size_t len = 0, gone;
	int used = 1;

	if (count > 6)
		return;
	if (net->kind == NET_TAP) {
		net_offload_header(offload, &before);
		all[used++] = (struct iovec){ &before, sizeof(before) };
		len += sizeof(before);
	}
	for (int i = 0; i < count; i++) {
		all[used++] = pieces[i];
		len += pieces[i].iov_len;
	}
	if (len > FRAME_MAX)
		return;
	header = htonl((uint32_t)len);
	all[0] = (struct iovec){ &header, HEADER };
	len += HEADER;
	pthread_mutex_lock(&net->lock);
	if (net->fd >= 0) {
		gone = net->out_len ? 0 : send_now(net, all, used, len);
		if (gone < len)
			keep_rest(net, all, used, len, gone);
	}
	pthread_mutex_unlock(&net->lock);
}

/* --- life --- */

static void pause_reading(struct net_backend *backend, bool on)
{
	struct host_net_backend *net = net_of(backend);

	pthread_mutex_lock(&net->lock);
	net->paused = on;
	set_watch(net);
	pthread_mutex_unlock(&net->lock);
}

static void ready(struct event_watch *watch, uint32_t epoll_events)
{
	struct host_net_backend *net = container_of(watch, struct host_net_backend, watch);

	if ((epoll_events & EPOLLOUT) && net->out_len)
		flush_out(net);
	if (!(epoll_events & ~(uint32_t)EPOLLOUT))
		return;
	if (epoll_events & (EPOLLHUP | EPOLLERR))
		pause_reading(&net->backend, false); /* whoever reads finds out why */
	if (is_stream(net))
		read_stream(net);
	else
		read_packets(net);
}

/* Lines, more or less: what ended passt is what it said last. */
static void words_ready(struct event_watch *watch, uint32_t epoll_events)
{
	struct host_net_backend *net = container_of(watch, struct host_net_backend, words);
	char text[400], *rest = text, *line;
	ssize_t len = read(watch->fd, text, sizeof(text) - 1);

	(void)epoll_events;
	if (len < 0 && again())
		return;
	if (len <= 0) {
		event_loop_remove(net->loop, watch);
		close(watch->fd);
		watch->fd = -1;
		return;
	}
	text[len] = 0;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_warn("passt: %s", line);
}

static int start(struct net_backend *backend, struct event_loop *loop,
		 const struct net_backend_client *client, void *ctx)
{
	struct host_net_backend *net = net_of(backend);
	int ret;

	net->loop = loop;
	net->client = client;
	net->ctx = ctx;
	net->watch = (struct event_watch){ .ready = ready, .fd = net->fd };
	ret = event_loop_add(loop, &net->watch, EPOLLIN);
	if (ret || net->words.fd < 0)
		return ret;
	net->words.ready = words_ready;
	return event_loop_add(loop, &net->words, EPOLLIN);
}

static void stop(struct net_backend *backend)
{
	struct host_net_backend *net = net_of(backend);

	if (net->fd >= 0)
		event_loop_remove(net->loop, &net->watch);
	if (net->words.fd >= 0)
		event_loop_remove(net->loop, &net->words);
}

static const struct net_backend_ops ops = {
	.start = start,
	.stop = stop,
	.pause = pause_reading,
	.full = full,
	.send = send_frame,
};

/* --- all of them --- */

int host_net_backend_create(const struct net_option *option, struct net_backend **backend)
{
	struct host_net_backend *net = calloc(1, sizeof(*net));

	if (!net)
		return -ENOMEM;
	net->backend.ops = &ops;
	net->backend.offloads = option->kind == NET_TAP;
	net->kind = option->kind;
	net->fd = net_open(option, &net->child);
	net->words.fd = net->child.words;
	if (net->fd < 0) {
		int err = net->fd;

		log_error("cannot use the network '%s': %s", option->name ? option->name : "user",
			  strerror(-err));
		free(net);
		return err;
	}
	pthread_mutex_init(&net->lock, NULL);
	*backend = &net->backend;
	return 0;
}

void host_net_backend_destroy(struct net_backend *backend)
{
	struct host_net_backend *net = net_of(backend);

	if (net->fd >= 0)
		net_close(net->fd, net->kind);
	if (net->words.fd >= 0)
		close(net->words.fd);
	if (net->child.pid) {
		kill(net->child.pid, SIGTERM);
		waitpid(net->child.pid, NULL, 0);
	}
	pthread_mutex_destroy(&net->lock);
	free(net);
}

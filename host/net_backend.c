#include "host/net_backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "host/net_option.h"

#define FRAME_MAX     (64u << 10)
#define READ_BUDGET   64 /* frames before others of the loop have their turn */
#define HEADER        4u /* of a frame on a stream */
#define ETHERTYPE_ALL 3u

struct host_net_backend {
	struct net_backend backend;
	struct event_watch watch;
	struct event_loop *loop;
	const struct net_backend_client *client;
	void *ctx;
	int fd;
	pid_t child; /* passt's, or 0 */
	bool stream;

	/* A stream's: what has come of a frame, and what is left of one to send. */
	uint8_t in[FRAME_MAX + HEADER];
	size_t in_len;
	uint8_t out[FRAME_MAX + HEADER];
	size_t out_at, out_len;
};

static struct host_net_backend *net_of(struct net_backend *backend)
{
	return container_of(backend, struct host_net_backend, backend);
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
	close(net->fd);
	net->fd = -1;
}

static void read_packets(struct host_net_backend *net)
{
	for (int i = 0; i < READ_BUDGET; i++) {
		ssize_t len = read(net->fd, net->in, FRAME_MAX);

		if (len > 0)
			net->client->receive(net->ctx, net->in, (size_t)len);
		else if (len < 0 && (again() || errno == ENETDOWN))
			return;
		else
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
			lost(net, len ? strerror(errno) : "passt has ended, or is not installed");
		return;
	}
	net->in_len += (size_t)len;
	if (!take_frames(net))
		lost(net, "passt sends what is no frame");
}

/* --- writing --- */

static void flush_out(struct host_net_backend *net)
{
	ssize_t len =
		send(net->fd, net->out + net->out_at, net->out_len - net->out_at, MSG_NOSIGNAL);

	if (len < 0)
		return; /* the reader finds out why */
	net->out_at += (size_t)len;
	if (net->out_at < net->out_len)
		return;
	net->out_at = 0;
	net->out_len = 0;
	event_loop_modify(net->loop, &net->watch, EPOLLIN);
}

/* What a stream did not take of a frame must follow before the next: meanwhile others are lost. */
static void keep_rest(struct host_net_backend *net, const struct iovec *pieces, int count,
		      size_t sent)
{
	net->out_len = 0;
	net->out_at = sent;
	for (int i = 0; i < count; i++) {
		memcpy(net->out + net->out_len, pieces[i].iov_base, pieces[i].iov_len);
		net->out_len += pieces[i].iov_len;
	}
	event_loop_modify(net->loop, &net->watch, EPOLLIN | EPOLLOUT);
}

static void send_stream(struct host_net_backend *net, const struct iovec *pieces, int count)
{
	struct iovec all[8];
	struct msghdr message = { .msg_iov = all };
	uint32_t header;
	size_t len = 0;
	ssize_t sent;

	if (net->out_len || count > 7)
		return;
	for (int i = 0; i < count; i++) {
		all[i + 1] = pieces[i];
		len += pieces[i].iov_len;
	}
	if (len > FRAME_MAX)
		return;
	header = htonl((uint32_t)len);
	all[0] = (struct iovec){ &header, HEADER };
	message.msg_iovlen = (size_t)count + 1;
	sent = sendmsg(net->fd, &message, MSG_NOSIGNAL); /* passt may be gone */
	if (sent > 0 && (size_t)sent < len + HEADER)
		keep_rest(net, all, count + 1, (size_t)sent);
}

static void send_frame(struct net_backend *backend, const struct iovec *pieces, int count)
{
	struct host_net_backend *net = net_of(backend);

	if (net->fd < 0)
		return;
	if (net->stream)
		send_stream(net, pieces, count);
	else if (writev(net->fd, pieces, count) < 0 && !again())
		log_limited(LOG_DEBUG, "a frame is lost: %s", strerror(errno));
}

/* --- life --- */

static void ready(struct event_watch *watch, uint32_t epoll_events)
{
	struct host_net_backend *net = container_of(watch, struct host_net_backend, watch);

	if ((epoll_events & EPOLLOUT) && net->out_len)
		flush_out(net);
	if (!(epoll_events & ~(uint32_t)EPOLLOUT))
		return;
	if (net->stream)
		read_stream(net);
	else
		read_packets(net);
}

static int start(struct net_backend *backend, struct event_loop *loop,
		 const struct net_backend_client *client, void *ctx)
{
	struct host_net_backend *net = net_of(backend);

	net->loop = loop;
	net->client = client;
	net->ctx = ctx;
	net->watch = (struct event_watch){ .ready = ready, .fd = net->fd };
	return event_loop_add(loop, &net->watch, EPOLLIN);
}

static void stop(struct net_backend *backend)
{
	struct host_net_backend *net = net_of(backend);

	if (net->fd >= 0)
		event_loop_remove(net->loop, &net->watch);
}

static const struct net_backend_ops ops = { .start = start, .stop = stop, .send = send_frame };

/* --- TAP --- */

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* --- packets of an interface, which is brought up and hears everything --- */

/* The kernel would put segments together to frames that are larger than any of the guest's. */
static void leave_frames_alone(int fd, struct ifreq *request)
{
	struct ethtool_value off = { .cmd = ETHTOOL_SGRO };

	request->ifr_data = (void *)&off;
	if (ioctl(fd, SIOCETHTOOL, request))
		log_warn("%s may merge frames: %s", request->ifr_name, strerror(errno));
}

static int bring_up(int fd, struct ifreq *request)
{
	leave_frames_alone(fd, request);
	if (ioctl(fd, SIOCGIFFLAGS, request))
		return -errno;
	request->ifr_flags |= IFF_UP | IFF_PROMISC;
	return ioctl(fd, SIOCSIFFLAGS, request) ? -errno : 0;
}

static int open_packet(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETHERTYPE_ALL) };
	struct ifreq request = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETHERTYPE_ALL));
	int ret;

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	ret = bring_up(fd, &request);
	address.sll_ifindex = (int)if_nametoindex(name);
	if (!ret && bind(fd, (struct sockaddr *)&address, sizeof(address)))
		ret = -errno;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* --- passt --- */

/* "PORT:PORT" or "ADDRESS/PORT:PORT" */
static void forward_text(const struct net_forward *forward, char *text, size_t size)
{
	snprintf(text, size, "%s%s%u:%u", forward->address ? forward->address : "",
		 forward->address ? "/" : "", forward->host_port, forward->guest_port);
}

static void __attribute__((noreturn)) run_passt(const struct net_option *option, int fd)
{
	char *argv[8 + 2 * HOST_MAX_FORWARDS], fd_text[16], forwards[HOST_MAX_FORWARDS][128];
	unsigned int argc = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	argv[argc++] = (char *)"passt";
	argv[argc++] = (char *)"--foreground";
	argv[argc++] = (char *)"--quiet";
	argv[argc++] = (char *)"--fd";
	argv[argc++] = fd_text;
	for (unsigned int i = 0; i < option->forward_count; i++) {
		forward_text(&option->forwards[i], forwards[i], sizeof(forwards[i]));
		argv[argc++] = (char *)(option->forwards[i].udp ? "-u" : "-t");
		argv[argc++] = forwards[i];
	}
	argv[argc] = NULL;
	execvp("passt", argv);
	_exit(127);
}

/* When it cannot be run the socket ends, and the reader says so. */
static int open_passt(const struct net_option *option, pid_t *child)
{
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*child = fork();
	if (*child < 0) {
		err = -errno;
		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (!*child) {
		fcntl(pair[1], F_SETFD, 0);
		run_passt(option, pair[1]);
	}
	close(pair[1]);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	return pair[0];
}

/* --- all of them --- */

static int open_fd(const struct net_option *option, struct host_net_backend *net)
{
	switch (option->kind) {
	case NET_TAP:
		return open_tap(option->name);
	case NET_PACKET:
		return open_packet(option->name);
	default:
		net->stream = true;
		return open_passt(option, &net->child);
	}
}

int host_net_backend_create(const struct net_option *option, struct net_backend **backend)
{
	struct host_net_backend *net = calloc(1, sizeof(*net));

	if (!net)
		return -ENOMEM;
	net->backend.ops = &ops;
	net->fd = open_fd(option, net);
	if (net->fd < 0) {
		int err = net->fd;

		log_error("cannot use the network '%s': %s", option->name ? option->name : "user",
			  strerror(-err));
		free(net);
		return err;
	}
	*backend = &net->backend;
	return 0;
}

void host_net_backend_destroy(struct net_backend *backend)
{
	struct host_net_backend *net = net_of(backend);

	if (net->fd >= 0)
		close(net->fd);
	if (net->child) {
		kill(net->child, SIGTERM);
		waitpid(net->child, NULL, 0);
	}
	free(net);
}

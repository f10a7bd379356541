// SPDX-License-Identifier: MIT
/* One poll loop: listening sockets, and clients whose messages are collected until whole and then handled. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "proto/tpm.h"
#include "tpm/mssim.h"
#include "tpm/server.h"
#include "tpm/swtpm_ctrl.h"

#define TPM12_TAG_COMMAND 0xC1 /* TPM_TAG_RQU_COMMAND */

#define IN_MAX (CTRL_MAX_MESSAGE > TPM_MAX_COMMAND + 16 ? CTRL_MAX_MESSAGE : TPM_MAX_COMMAND + 16)

struct client {
	int fd; /* -1: free */
	enum server_role role;
	int passed_fd; /* came with a message, -1 if none */
	size_t have;
	uint8_t in[IN_MAX];
};

struct loop {
	struct server *server;
	struct ctrl ctrl;
	uint8_t *out; /* CTRL_MAX_REPLY bytes */
	bool done;
	struct client clients[SERVER_MAX_CLIENTS];
};

int server_tcp(const char *address, unsigned int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd, one = 1;

	if (inet_pton(AF_INET, address, &addr.sin_addr) != 1)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int server_unix(const char *path, unsigned int mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, err;

	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(path, mode) ||
	    listen(fd, 8)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int server_listen(struct server *s, int fd, enum server_role role)
{
	socklen_t size = sizeof(int);
	int listens;

	if (s->listeners == SERVER_MAX_LISTEN)
		return -ENOSPC;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size))
		return -errno;
	s->listen[s->listeners].fd = fd;
	s->listen[s->listeners].connected = !listens;
	s->listen[s->listeners++].role = role;
	return 0;
}

static struct client *client_add(struct loop *l, int fd, enum server_role role)
{
	int one = 1;

	for (int i = 0; i < SERVER_MAX_CLIENTS; i++) {
		struct client *c = &l->clients[i];

		if (c->fd >= 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		c->role = role;
		c->have = 0;
		c->passed_fd = -1;
		return c;
	}
	close(fd);
	return NULL;
}

static void client_close(struct loop *l, struct client *c)
{
	if (c->passed_fd >= 0)
		close(c->passed_fd);
	close(c->fd);
	c->fd = -1;
	if (c->role == ROLE_DATA && l->server->terminate_on_disconnect)
		l->done = true;
}

/* Nobody is there, and nobody can come. */
static bool deserted(const struct loop *l)
{
	const struct server *s = l->server;

	for (int i = 0; i < s->listeners; i++)
		if (s->listen[i].fd >= 0)
			return false;
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		if (l->clients[i].fd >= 0)
			return false;
	return true;
}

static void take_connected(struct loop *l)
{
	struct server *s = l->server;

	for (int i = 0; i < s->listeners; i++)
		if (s->listen[i].connected) {
			client_add(l, s->listen[i].fd, s->listen[i].role);
			s->listen[i].fd = -1;
		}
}

static int send_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A TPM command says its own length. */
static long data_message_size(const uint8_t *msg, size_t len)
{
	uint32_t n;

	if (len < 6)
		return 0;
	n = (uint32_t)msg[2] << 24 | msg[3] << 16 | msg[4] << 8 | msg[5];
	return n < 10 || n > TPM_MAX_COMMAND ? -EPROTO : (long)n;
}

static long message_size(const struct client *c)
{
	switch (c->role) {
	case ROLE_DATA:
		return data_message_size(c->in, c->have);
	case ROLE_CTRL:
		return ctrl_message_size(c->in, c->have);
	default:
		return mssim_message_size(c->in, c->have);
	}
}

static int handle_ctrl(struct loop *l, struct client *c, size_t len)
{
	struct ctrl_reply reply = { .buf = l->out };

	ctrl_handle(&l->ctrl, l->server->instance, c->in, len, &reply);
	if (reply.action == CTRL_SET_DATAFD) {
		if (c->passed_fd < 0 || !client_add(l, c->passed_fd, ROLE_DATA))
			l->out[3] = 1;
		c->passed_fd = -1;
	}
	if (reply.action == CTRL_TERMINATE)
		l->done = true;
	return send_all(c->fd, l->out, reply.len);
}

/*
 * What swtpm says to a TPM 1.2 command. The specification (Part 3, 5.2) has TPM_RC_BAD_TAG under TPM 1.2's own tag, but
 * OVMF asks a FIFO TPM first whether it is a 1.2 one, takes any answer under that tag for a yes, and then never starts it.
 */
static size_t refuse_tpm12(uint8_t *out)
{
	static const uint8_t rsp[] = { 0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, TPM_RC_VALUE };

	memcpy(out, rsp, sizeof(rsp));
	return sizeof(rsp);
}

static size_t handle_data(struct loop *l, const uint8_t *msg, size_t len)
{
	if (msg[0] == 0 && msg[1] == TPM12_TAG_COMMAND)
		return refuse_tpm12(l->out);
	return instance_execute(l->server->instance, msg, len, l->out);
}

static int handle_message(struct loop *l, struct client *c, size_t len)
{
	bool terminate = false;
	long n;

	switch (c->role) {
	case ROLE_DATA:
		n = (long)handle_data(l, c->in, len);
		break;
	case ROLE_CTRL:
		return handle_ctrl(l, c, len);
	default:
		n = mssim_handle(l->server->instance, c->role == ROLE_MSSIM_PLATFORM, c->in, len,
				 l->out, &terminate);
		break;
	}
	if (terminate)
		l->done = true;
	return n < 0 ? -EPIPE : send_all(c->fd, l->out, (size_t)n);
}

/* Receives bytes and, on a control channel, a descriptor that may come with them. */
static ssize_t receive_with_descriptor(struct client *c)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	/* CMSG_LEN, not CMSG_SPACE: the padding would have room for a second descriptor, which nobody would close. */
	struct iovec iov = { c->in + c->have, sizeof(c->in) - c->have };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return n;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int))) {
		if (c->passed_fd >= 0)
			close(c->passed_fd);
		memcpy(&c->passed_fd, CMSG_DATA(cmsg), sizeof(int));
	}
	return n;
}

/* Only a control message has a descriptor beside it. */
static ssize_t receive(struct client *c)
{
	if (c->role == ROLE_CTRL)
		return receive_with_descriptor(c);
	return recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
}

static void client_ready(struct loop *l, struct client *c)
{
	ssize_t n = receive(c);
	long size;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		client_close(l, c);
		return;
	}
	c->have += (size_t)n;
	while ((size = message_size(c)) > 0 && c->have >= (size_t)size) {
		if (handle_message(l, c, (size_t)size)) {
			client_close(l, c);
			return;
		}
		c->have -= (size_t)size;
		memmove(c->in, c->in + size, c->have);
	}
	if (size < 0 || c->have == sizeof(c->in))
		client_close(l, c);
}

static void poll_once(struct loop *l)
{
	struct pollfd fds[SERVER_MAX_LISTEN + SERVER_MAX_CLIENTS];
	struct server *s = l->server;
	int n = s->listeners, clients = 0;

	for (int i = 0; i < s->listeners; i++)
		fds[i] = (struct pollfd){ .fd = s->listen[i].fd, .events = POLLIN };
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++) {
		fds[n + i] = (struct pollfd){ .fd = l->clients[i].fd, .events = POLLIN };
		if (l->clients[i].fd >= 0)
			clients = i + 1;
	}
	if (poll(fds, (nfds_t)(n + clients), -1) <= 0)
		return;
	for (int i = 0; i < clients && !l->done; i++)
		if (fds[n + i].fd >= 0 && fds[n + i].revents && l->clients[i].fd == fds[n + i].fd)
			client_ready(l, &l->clients[i]);
	for (int i = 0; i < n; i++) {
		int fd =
			fds[i].revents & POLLIN ? accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;

		if (fd >= 0)
			client_add(l, fd, s->listen[i].role);
	}
}

int server_run(struct server *s, volatile int *stop)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (!l)
		return err;
	l->server = s;
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		l->clients[i].fd = -1;
	l->out = malloc(CTRL_MAX_REPLY);
	l->ctrl.blob = malloc(TPM_MAX_BLOB);
	if (!l->out || !l->ctrl.blob)
		goto out;
	err = 0;
	take_connected(l);
	while (!l->done && !*stop && !deserted(l))
		poll_once(l);
	for (int i = 0; i < SERVER_MAX_CLIENTS; i++)
		if (l->clients[i].fd >= 0)
			client_close(l, &l->clients[i]);
out:
	free(l->ctrl.blob);
	free(l->out);
	free(l);
	return err;
}

#include "host/net_open.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "host/net_option.h"
#include "host/option_value.h"

#define ETHERTYPE_ALL 3u

/* A burst of a network that is faster than we are. */
#define RECEIVE_BYTES (4 << 20)

/* --- TAP --- */

/* What frames may leave to us. */
#define TAP_OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

static int set_up_tap(int fd, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header_len = sizeof(struct virtio_net_hdr);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &header_len))
		return -errno;
	if (ioctl(fd, TUNSETOFFLOAD, TAP_OFFLOADS))
		log_warn("%s cuts large sends by itself: %s", name, strerror(errno));
	return 0;
}

static int open_tap(const char *name)
{
	int fd, err;

	if (!if_nametoindex(name))
		return -ENODEV; /* not to be made: nobody would be at its other end */
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = set_up_tap(fd, name);
	if (!err)
		return fd;
	close(fd);
	return err;
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

/* The kernel takes VLAN tags out of frames, and shows what this machine itself sends there. */
static int set_up_socket(int fd)
{
	int on = 1, bytes = RECEIVE_BYTES;

	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)))
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		log_warn("frames that come in bursts may be lost: %s", strerror(errno));
	return 0;
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
	if (!ret)
		ret = set_up_socket(fd);
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

/* Signals as a program expects them: our main loop has them blocked. */
static void become_ordinary(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void exec_passt(const struct net_option *option, int fd)
{
	char *argv[10 + 2 * HOST_MAX_FORWARDS], fd_text[16], mtu[16],
		forwards[HOST_MAX_FORWARDS][128];
	unsigned int argc = 0;

	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	snprintf(mtu, sizeof(mtu), "%u", net_mtu(option));
	argv[argc++] = (char *)"passt";
	argv[argc++] = (char *)"--foreground";
	argv[argc++] = (char *)"--quiet";
	argv[argc++] = (char *)"--fd";
	argv[argc++] = fd_text;
	argv[argc++] = (char *)"--mtu";
	argv[argc++] = mtu;
	for (unsigned int i = 0; i < option->forward_count; i++) {
		forward_text(&option->forwards[i], forwards[i], sizeof(forwards[i]));
		argv[argc++] = (char *)(option->forwards[i].udp ? "-u" : "-t");
		argv[argc++] = forwards[i];
	}
	argv[argc] = NULL;
	execvp("passt", argv);
}

/* What there is between passt and us. */
enum passt_fd {
	FRAMES,
	WORDS,
	FAILURE, /* errno of an exec that fails */
	PASST_FDS,
};

static void __attribute__((noreturn))
run_passt(const struct net_option *option, const int fds[PASST_FDS])
{
	int err;

	become_ordinary();
	dup2(fds[WORDS], STDOUT_FILENO);
	dup2(fds[WORDS], STDERR_FILENO);
	fcntl(fds[FRAMES], F_SETFD, 0);
	exec_passt(option, fds[FRAMES]);
	err = errno;
	if (write(fds[FAILURE], &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

static void close_all(const int fds[PASST_FDS])
{
	for (int i = 0; i < PASST_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* 0: passt runs, as far as one can tell. */
static int await_exec(int failure)
{
	ssize_t len;
	int err;

	do
		len = read(failure, &err, sizeof(err));
	while (len < 0 && errno == EINTR);
	return len == sizeof(err) ? -err : 0;
}

static int start_passt(const struct net_option *option, const int ours[PASST_FDS],
		       const int its[PASST_FDS], struct net_child *child)
{
	int ret;

	child->pid = fork();
	if (child->pid < 0)
		return -errno;
	if (!child->pid)
		run_passt(option, its);
	close(its[FAILURE]);
	ret = await_exec(ours[FAILURE]);
	if (ret)
		waitpid(child->pid, NULL, 0);
	return ret;
}

static int open_passt(const struct net_option *option, struct net_child *child)
{
	int ours[PASST_FDS] = { -1, -1, -1 }, its[PASST_FDS] = { -1, -1, -1 }, ret = 0;

	for (int i = 0; !ret && i < PASST_FDS; i++) {
		int pair[2];

		ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ? -errno : 0;
		if (ret)
			break;
		ours[i] = pair[0];
		its[i] = pair[1];
	}
	if (!ret) {
		ret = start_passt(option, ours, its, child);
		its[FAILURE] = -1;
	}
	close_all(its);
	if (ret) {
		close_all(ours);
		child->pid = 0;
		return ret;
	}
	close(ours[FAILURE]);
	fcntl(ours[FRAMES], F_SETFL, O_NONBLOCK);
	fcntl(ours[WORDS], F_SETFL, O_NONBLOCK);
	child->words = ours[WORDS];
	return ours[FRAMES];
}

/* --- all of them --- */

int net_open(const struct net_option *option, struct net_child *child)
{
	*child = (struct net_child){ .words = -1 };
	switch (option->kind) {
	case NET_TAP:
		return open_tap(option->name);
	case NET_PACKET:
		return open_packet(option->name);
	default:
		return open_passt(option, child);
	}
}

unsigned int net_mtu(const struct net_option *option)
{
	struct ifreq request = { 0 };
	unsigned int mtu = option->mtu ? option->mtu : NET_MTU_DEFAULT;
	int fd;

	if (option->kind == NET_USER)
		return mtu;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(request.ifr_name, option->name, IFNAMSIZ - 1);
	if (fd >= 0 && !ioctl(fd, SIOCGIFMTU, &request))
		mtu = (unsigned int)request.ifr_mtu;
	if (fd >= 0)
		close(fd);
	return mtu < NET_MTU_MAX ? mtu : NET_MTU_MAX;
}

/* --- before anything starts --- */

static int check_forward(const struct net_forward *forward)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)forward->host_port) };
	char text[64];
	int fd, on = 1, ret = 0;

	snprintf(text, sizeof(text), "%s%s%u", forward->address ? forward->address : "",
		 forward->address ? ":" : "", forward->host_port);
	if (forward->address && inet_pton(AF_INET, forward->address, &address.sin_addr) != 1)
		return option_fail("--net hostfwd", text, "is not an IPv4 address and a port");
	fd = socket(AF_INET, (forward->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !forward->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		ret = option_fail("--net hostfwd", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

static int check_tap(const char *name)
{
	int fd = open_tap(name);

	switch (fd) {
	case -ENODEV:
		return option_fail("--net tap", name,
				   "there is no such TAP device: ip tuntap add NAME mode tap");
	case -EINVAL:
		return option_fail("--net tap", name, "is not a TAP device of one queue");
	}
	if (fd < 0)
		return option_fail("--net tap", name, strerror(-fd));
	close(fd);
	return 0;
}

int net_check(const struct net_option *option)
{
	int ret = 0;

	if (option->kind == NET_TAP)
		return check_tap(option->name);
	if (option->kind == NET_PACKET && !if_nametoindex(option->name))
		return option_fail("--net packet", option->name, "there is no such interface");
	for (unsigned int i = 0; !ret && i < option->forward_count; i++)
		ret = check_forward(&option->forwards[i]);
	return ret;
}

/* The device stays, perhaps for somebody who does not know that frames may be large. */
void net_close(int fd, enum net_kind kind)
{
	if (kind == NET_TAP && ioctl(fd, TUNSETOFFLOAD, 0))
		log_warn("the TAP device keeps its offloads: %s", strerror(errno));
	close(fd);
}

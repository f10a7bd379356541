#include "paravisor/vmbus_uio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_ring.h"
#include "proto/get.h"
#include "proto/vmbus.h"

#define DEVICES   "/sys/bus/vmbus/devices"
#define NEW_ID    "/sys/bus/vmbus/drivers/uio_hv_generic/new_id"
#define RINGS_MAX (4u << 20)

struct vmbus_uio {
	int fd;
	uint8_t *rings; /* ours, then the host's: of equal size */
	size_t len;
	uint8_t **pages;
	struct vmbus_ring_writer to_host;
	struct vmbus_ring_reader from_host;
	bool dead;
	/* Packets as they come out of the ring, and one on its way into it. */
	uint64_t in[VMBUS_PIPE_PACKET_MAX / 8], out[VMBUS_PIPE_PACKET_MAX / 8];
};

/* --- sysfs */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int read_number(const char *path, unsigned long *value)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = 0;
	*value = strtoul(text, NULL, 0);
	return 0;
}

/* The number N of the instance's /dev/uioN. */
static int find_uio(const char *instance, unsigned int *number)
{
	char path[128];
	struct dirent *entry;
	int ret = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "/%s/uio", instance);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "uio%u", number) == 1)
			ret = 0;
	closedir(dir);
	return ret;
}

/* The kernel tells nobody without a network when a device appears: look each millisecond. */
static int await_uio(const char *instance, unsigned int timeout_ms, unsigned int *number)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int ret;

	for (;;) {
		ret = find_uio(instance, number);
		if (ret != -ENOENT || !timeout_ms--)
			return ret;
		nanosleep(&pause, NULL);
	}
}

static int open_device(unsigned int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/uio%u", number);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- rings */

static int map_rings(struct vmbus_uio *uio, unsigned int number)
{
	char path[64];
	unsigned long len = 0;
	int ret;

	snprintf(path, sizeof(path), "/sys/class/uio/uio%u/maps/map0/size", number);
	ret = read_number(path, &len);
	if (ret)
		return ret;
	if (!len || len > RINGS_MAX || len % (2 * VMBUS_PAGE_SIZE))
		return -EINVAL;
	uio->len = len;
	uio->rings = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, uio->fd, 0);
	return uio->rings == MAP_FAILED ? -errno : 0;
}

static int start_rings(struct vmbus_uio *uio)
{
	uint32_t count = (uint32_t)(uio->len / VMBUS_PAGE_SIZE);
	int ret;

	uio->pages = calloc(count, sizeof(*uio->pages));
	if (!uio->pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		uio->pages[i] = uio->rings + (size_t)i * VMBUS_PAGE_SIZE;
	ret = vmbus_ring_writer_init(&uio->to_host, uio->pages, count / 2);
	if (!ret)
		ret = vmbus_ring_reader_init(&uio->from_host, uio->pages + count / 2, count / 2,
					     uio->in, sizeof(uio->in));
	return ret;
}

static int open_channel(struct vmbus_uio *uio, const char *instance, unsigned int timeout_ms)
{
	unsigned int number;
	int ret = await_uio(instance, timeout_ms, &number);

	if (ret)
		return ret;
	uio->fd = open_device(number);
	if (uio->fd < 0)
		return uio->fd;
	ret = map_rings(uio, number);
	if (!ret)
		ret = start_rings(uio);
	return ret;
}

int vmbus_uio_open(const struct guid *interface, const struct guid *instance,
		   unsigned int timeout_ms, struct vmbus_uio **result)
{
	char interface_text[GUID_TEXT_SIZE], instance_text[GUID_TEXT_SIZE];
	struct vmbus_uio *uio = calloc(1, sizeof(*uio));
	int ret;

	if (!uio)
		return -ENOMEM;
	uio->fd = -1;
	uio->rings = MAP_FAILED;
	guid_format(interface, interface_text);
	guid_format(instance, instance_text);
	ret = write_file(NEW_ID, interface_text);
	if (ret == -EEXIST) /* it has been told before */
		ret = 0;
	if (!ret)
		ret = open_channel(uio, instance_text, timeout_ms);
	if (ret) {
		vmbus_uio_close(uio);
		return ret;
	}
	*result = uio;
	return 0;
}

void vmbus_uio_close(struct vmbus_uio *uio)
{
	free(uio->pages);
	if (uio->rings != MAP_FAILED)
		munmap(uio->rings, uio->len);
	if (uio->fd >= 0)
		close(uio->fd);
	free(uio);
}

int vmbus_uio_fd(const struct vmbus_uio *uio)
{
	return uio->fd;
}

/* --- messages */

/* The driver's interrupt control unmasks our ring and signals the host. */
static int signal_host(struct vmbus_uio *uio)
{
	const int32_t on = 1;

	return write(uio->fd, &on, sizeof(on)) == sizeof(on) ? 0 : -errno;
}

static int die(struct vmbus_uio *uio)
{
	if (!uio->dead)
		log_error("the host broke the rules of its VMBus channel: no more of it");
	uio->dead = true;
	return -EPROTO;
}

/* Checks the packet, a private copy, and finds its message: the length, or -EPROTO. */
static int find_message(const uint8_t *packet, const uint8_t **message)
{
	struct vmpacket_descriptor descriptor;
	struct vmbus_pipe_header header;
	size_t start, end;

	memcpy(&descriptor, packet, sizeof(descriptor));
	start = descriptor.offset8 * 8u;
	end = descriptor.len8 * 8u;
	if (descriptor.type != VM_PKT_DATA_INBAND || start > end || end - start < sizeof(header))
		return -EPROTO;
	memcpy(&header, packet + start, sizeof(header));
	if (header.packet_type != VMBUS_PIPE_PACKET_DATA ||
	    header.len > end - start - sizeof(header))
		return -EPROTO;
	*message = packet + start + sizeof(header);
	return (int)header.len;
}

/* The ring's next packet, by way of `in`. With an empty ring, asks to be signalled. */
static int take_packet(struct vmbus_uio *uio, const void **packet)
{
	int32_t count;
	int ret;

	for (;;) {
		ret = vmbus_ring_read(&uio->from_host, packet);
		if (ret != -EAGAIN)
			return ret;
		/* Before the look at the ring, so that no signal is taken back that comes later. */
		if (read(uio->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return -errno;
		if (vmbus_ring_commit(&uio->from_host) && signal_host(uio))
			return -EIO;
		if (!vmbus_ring_unmask(&uio->from_host))
			return -EAGAIN;
	}
}

int vmbus_uio_receive(struct vmbus_uio *uio, void *message, size_t size)
{
	const uint8_t *found;
	const void *packet;
	int ret;

	if (uio->dead)
		return -EPROTO;
	ret = take_packet(uio, &packet);
	if (ret == -EAGAIN)
		return ret;
	if (ret >= 0)
		ret = find_message(packet, &found);
	if (ret < 0 || (size_t)ret > size)
		return die(uio);
	memcpy(message, found, (size_t)ret);
	return ret;
}

int vmbus_uio_send(struct vmbus_uio *uio, const void *message, size_t len)
{
	struct vmbus_pipe_header header = { VMBUS_PIPE_PACKET_DATA, (uint32_t)len };
	struct vmbus_ring_packet packet = {
		.type = VM_PKT_DATA_INBAND,
		.payload = uio->out,
		.payload_len = sizeof(header) + len,
	};
	int ret, signal;

	if (uio->dead)
		return -EPROTO;
	if (len > sizeof(uio->out) - sizeof(header))
		return -EMSGSIZE;
	memcpy(uio->out, &header, sizeof(header));
	memcpy((uint8_t *)uio->out + sizeof(header), message, len);
	ret = vmbus_ring_write(&uio->to_host, &packet);
	signal = ret == -EPROTO ? ret : vmbus_ring_publish(&uio->to_host);
	if (signal < 0)
		return die(uio);
	if (signal && signal_host(uio))
		return -EIO;
	return ret;
}

int vmbus_uio_wait(struct vmbus_uio *uio, int timeout_ms)
{
	struct pollfd poller = { .fd = uio->fd, .events = POLLIN };
	int n = poll(&poller, 1, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

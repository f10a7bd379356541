#include "vtl/host_message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/mshv.h>

#include "proto/hv.h"

struct host_message {
	int fd;
};

int host_message_create(struct host_message **out)
{
	struct mshv_sint_mask unmask = { .mask = 0 };
	struct host_message *port = calloc(1, sizeof(*port));
	int ret;

	if (!port)
		return -ENOMEM;
	port->fd = open("/dev/mshv_sint", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (port->fd < 0) {
		ret = -errno;
		goto free_port;
	}
	if (ioctl(port->fd, MSHV_SINT_PAUSE_MESSAGE_STREAM, &unmask)) {
		ret = -errno;
		goto close_fd;
	}
	*out = port;
	return 0;

close_fd:
	close(port->fd);
free_port:
	free(port);
	return ret;
}

void host_message_destroy(struct host_message *port)
{
	close(port->fd);
	free(port);
}

int host_message_fd(const struct host_message *port)
{
	return port->fd;
}

int host_message_receive(struct host_message *port, struct hv_message *message)
{
	ssize_t n = read(port->fd, message, sizeof(*message));

	if (n == sizeof(*message))
		return 0;
	if (n < 0)
		return -errno;
	return -EAGAIN; /* 0: the stream is paused */
}

/* The driver hands HV_STATUS through as a positive result. */
int host_message_post(struct host_message *port, uint32_t connection_id, uint32_t type,
		      const void *payload, size_t len)
{
	struct mshv_vtl_sint_post_msg args = {
		.message_type = type,
		.connection_id = connection_id,
		.payload_size = len,
		.payload_ptr = (uintptr_t)payload,
	};
	int ret = ioctl(port->fd, MSHV_SINT_POST_MESSAGE, &args);

	if (ret < 0)
		return -errno;
	switch (ret) {
	case HV_STATUS_SUCCESS:
		return 0;
	case HV_STATUS_INSUFFICIENT_BUFFERS:
	case HV_STATUS_INSUFFICIENT_MEMORY:
		return -EAGAIN;
	case HV_STATUS_INVALID_CONNECTION_ID:
		return -ENXIO;
	}
	return -EIO;
}

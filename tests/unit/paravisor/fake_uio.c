#include "tests/unit/paravisor/fake_uio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "paravisor/vmbus_uio.h"

/* A channel whose other end is the test: what it queued is received, what is sent it looks at. */

struct fake_uio fake_uio = { .fd = -1 };

int vmbus_uio_open(const struct guid *interface, const struct guid *instance,
		   unsigned int timeout_ms, struct vmbus_uio **uio)
{
	(void)interface;
	(void)instance;
	(void)timeout_ms;
	*uio = (struct vmbus_uio *)&fake_uio;
	return fake_uio.open_error;
}

void vmbus_uio_close(struct vmbus_uio *uio)
{
	(void)uio;
	fake_uio.closed = true;
}

int vmbus_uio_fd(const struct vmbus_uio *uio)
{
	(void)uio;
	return fake_uio.fd;
}

int vmbus_uio_receive(struct vmbus_uio *uio, void *message, size_t size)
{
	uint16_t len;

	(void)uio;
	if (fake_uio.in_len - fake_uio.in_at < sizeof(len))
		return fake_uio.in_end ? fake_uio.in_end : -EAGAIN;
	memcpy(&len, fake_uio.in + fake_uio.in_at, sizeof(len));
	if (len > size || len > fake_uio.in_len - fake_uio.in_at - sizeof(len))
		return -EPROTO;
	memcpy(message, fake_uio.in + fake_uio.in_at + sizeof(len), len);
	fake_uio.in_at += sizeof(len) + len;
	return len;
}

int vmbus_uio_send(struct vmbus_uio *uio, const void *message, size_t len)
{
	(void)uio;
	if (fake_uio.send_error)
		return fake_uio.send_error;
	fake_uio.sent++;
	fake_uio.out_len = len < sizeof(fake_uio.out) ? len : sizeof(fake_uio.out);
	memcpy(fake_uio.out, message, fake_uio.out_len);
	return 0;
}

/* Who waits for more than there is waits for ever: the test says that with an error. */
int vmbus_uio_wait(struct vmbus_uio *uio, int timeout_ms)
{
	(void)uio;
	(void)timeout_ms;
	return -EPIPE;
}

void fake_uio_reset(void)
{
	if (fake_uio.fd >= 0)
		close(fake_uio.fd);
	fake_uio = (struct fake_uio){ .fd = eventfd(1, EFD_CLOEXEC) };
}

void fake_uio_queue(const void *message, size_t len)
{
	uint16_t head = (uint16_t)len;

	if (len > sizeof(fake_uio.in) - fake_uio.in_len - sizeof(head))
		abort();
	memcpy(fake_uio.in + fake_uio.in_len, &head, sizeof(head));
	memcpy(fake_uio.in + fake_uio.in_len + sizeof(head), message, len);
	fake_uio.in_len += sizeof(head) + len;
}

#ifndef TESTS_UNIT_PARAVISOR_FAKE_UIO_H
#define TESTS_UNIT_PARAVISOR_FAKE_UIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* paravisor/vmbus_uio.h with the test as the host. */

struct fake_uio {
	int fd; /* always readable */
	int open_error, send_error;
	bool closed;
	uint8_t in[1 << 17]; /* messages to receive: two bytes of length before each */
	size_t in_len, in_at;
	int in_end; /* what receiving past the last says, 0: -EAGAIN */
	unsigned int sent;
	uint8_t out[512]; /* the last message sent */
	size_t out_len;
};

extern struct fake_uio fake_uio;

void fake_uio_reset(void);
void fake_uio_queue(const void *message, size_t len);

#endif

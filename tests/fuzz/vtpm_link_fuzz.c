#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/tpm/link.h"
#include "paravisor/tpm/state.h"

/*
 * The paravisor reads what a vTPM's process that an attacker has taken over may write: packets, each two bytes of
 * length before it. A request is under way whenever that is allowed.
 */

static void done(struct vtpm_request *request, int error, const uint8_t *payload, size_t len)
{
	static volatile uint8_t sum;

	(void)request;
	if (error > 0)
		abort();
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + payload[i]);
}

static void died(void *ctx, bool again)
{
	(void)ctx;
	(void)again;
}

static void drain(int fd)
{
	uint8_t packet[VTPM_LINK_PACKET];

	while (read(fd, packet, sizeof(packet)) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct device_lock lock;
	static bool ready;
	int to[2], from[2];
	struct vtpm_request request = { done };
	struct vtpm_link_config config = { .died = died, .lock = &lock };
	struct vtpm_link *link = NULL;

	if (!ready) {
		ready = !device_lock_init(&lock);
		log_set_level((enum log_level) - 1);
	}
	if (pipe2(to, O_DIRECT | O_NONBLOCK) || pipe2(from, O_DIRECT | O_NONBLOCK))
		abort();
	config.loop = event_loop_create();
	config.state = vtpm_state_create(NULL, NULL);
	config.from = from[0];
	config.to = to[1];
	if (!config.loop || !config.state || vtpm_link_create(&link, &config))
		abort();
	while (size >= 2) {
		size_t len = (size_t)(data[0] | data[1] << 8) % VTPM_LINK_PACKET;
		struct vtpm_link_header header = { .type = VTPM_LINK_RESET };
		int ret = vtpm_link_send(link, &header, sizeof(header), NULL, 0, &request);

		if (ret && ret != -EBUSY)
			abort();
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (len && write(from[1], data, len) != (ssize_t)len)
			abort();
		data += len;
		size -= len;
		event_loop_run_once(config.loop, 0);
		drain(to[0]);
	}
	vtpm_link_destroy(link);
	vtpm_state_destroy(config.state);
	event_loop_destroy(config.loop);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
	return 0;
}

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/get.h"
#include "proto/get.h"
#include "tests/unit/paravisor/fake_uio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drop_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)level;
	(void)line;
	(void)len;
}

/* Reads all of its text: one byte too many is seen. */
static int take_settings(void *ctx, const char *text, size_t len, char *error, size_t error_len)
{
	unsigned int *sum = ctx;

	(void)error;
	(void)error_len;
	for (size_t i = 0; i < len; i++)
		*sum += (uint8_t)text[i];
	return *sum & 1 ? -EINVAL : 0;
}

/*
 * Any messages of the host: lengths and bytes as in fake_uio.in. The first answers the version request
 * unless the input's first byte says that it has been answered well.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct get_version_response good = {
		{ GET_HEADER_VERSION_1, GET_HOST_RESPONSE, GET_VERSION }, 1, 0
	};
	static struct event_loop *loop;
	const struct log_sink sink = { drop_line, NULL };
	unsigned int sum = 0;
	const struct get_handler handler = { .modify_settings = take_settings, .ctx = &sum };
	struct get *get;
	char *text;
	size_t len;

	if (!size || size > sizeof(fake_uio.in) / 2)
		return 0;
	log_set_sink(&sink);
	fake_uio_reset();
	fake_uio.in_end = -EPIPE;
	if (data[0] & 1)
		fake_uio_queue(&good, sizeof(good));
	memcpy(fake_uio.in + fake_uio.in_len, data + 1, size - 1);
	fake_uio.in_len += size - 1;
	if (get_create(&get))
		return 0;
	if (data[0] & 2 && !get_platform_settings(get, &text, &len)) {
		take_settings(&sum, text, len, NULL, 0);
		free(text);
	}
	loop = event_loop_create();
	if (loop && !get_start(get, loop, &handler))
		event_loop_run_once(loop, 0);
	event_loop_destroy(loop);
	get_destroy(get);
	return 0;
}

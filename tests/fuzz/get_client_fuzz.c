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

struct taker {
	struct get *get;
	unsigned int sum;
};

/* Reads all of its text: one byte too many is seen. */
static void take_settings(void *ctx, char *text, size_t len)
{
	struct taker *taker = ctx;

	for (size_t i = 0; i < len; i++)
		taker->sum += (uint8_t)text[i];
	free(text);
	get_settings_modified(taker->get, taker->sum & 1 ? "odd" : NULL);
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
	struct taker taker = { 0 };
	const struct get_handler handler = { .modify_settings = take_settings, .ctx = &taker };
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
	taker.get = get;
	if (data[0] & 2 && !get_platform_settings(get, &text, &len))
		take_settings(&taker, text, len);
	loop = event_loop_create();
	if (loop && !get_start(get, loop, &handler))
		event_loop_run_once(loop, 0);
	event_loop_destroy(loop);
	get_destroy(get);
	return 0;
}

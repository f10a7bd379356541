#include "paravisor/tpm/guest_state.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "paravisor/get.h"

struct guest_state {
	struct get *get;
	uint32_t sector;
};

/* "ETVS", or a device that nobody has written to: anything else is not ours to overwrite. */
static bool is_ours(const uint8_t *first)
{
	static const uint8_t magic[] = { 'E', 'T', 'V', 'S' }, none[sizeof(magic)];

	return !memcmp(first, magic, sizeof(magic)) || !memcmp(first, none, sizeof(none));
}

/* The two slots are whole 4 KiB blocks, and so whole sectors. */
static int read_state(struct guest_state *gs, void **state, size_t *len)
{
	uint64_t capacity;
	int ret = get_vmgs_info(gs->get, &capacity, &gs->sector);

	if (ret)
		return ret;
	*len = vtpm_state_size();
	if (capacity < *len || *len % gs->sector)
		return -EEXIST;
	*state = malloc(*len);
	if (!*state)
		return -ENOMEM;
	ret = get_vmgs_read(gs->get, 0, *state, *len);
	if (!ret && !is_ours(*state))
		ret = -EEXIST;
	if (ret) {
		free(*state);
		*state = NULL;
	}
	return ret;
}

int guest_state_open(struct guest_state **out, struct get *get, void **state, size_t *len)
{
	struct guest_state *gs = calloc(1, sizeof(*gs));
	int ret;

	if (!gs)
		return -ENOMEM;
	gs->get = get;
	ret = read_state(gs, state, len);
	if (ret)
		free(gs);
	else
		*out = gs;
	return ret;
}

/* `data` is in an image of whole sectors: what is around it to the next ones is there, too. */
static void write_state(void *ctx, uint64_t offset, const void *data, size_t len,
			void (*done)(void *token, int error), void *token)
{
	struct guest_state *gs = ctx;
	uint64_t start = offset / gs->sector * gs->sector;
	uint64_t end = (offset + len + gs->sector - 1) / gs->sector * gs->sector;

	get_vmgs_write(gs->get, start, (const uint8_t *)data - (offset - start), end - start, done,
		       token);
}

const struct vtpm_backing guest_state_backing = {
	.write = write_state,
};

#include "paravisor/tpm/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tpm/store.h"
#include "tpm/tpm.h"

struct vtpm_state {
	uint8_t *image; /* mapped: what nobody wrote takes no memory */
	size_t size;
	const struct vtpm_backing *backing;
	void *ctx;
	uint64_t dirty_start, dirty_end; /* not yet given to the backing */
	void (*done)(void *token, int error);
	void *token;
};

size_t vtpm_state_size(void)
{
	return store_device_size(TPM_MAX_BLOB);
}

struct vtpm_state *vtpm_state_create(const struct vtpm_backing *backing, void *ctx)
{
	struct vtpm_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->size = vtpm_state_size();
	state->backing = backing;
	state->ctx = ctx;
	state->image =
		mmap(NULL, state->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state->image == MAP_FAILED) {
		free(state);
		return NULL;
	}
	return state;
}

void vtpm_state_destroy(struct vtpm_state *state)
{
	if (!state)
		return;
	munmap(state->image, state->size); /* the kernel gives no process another one's bytes */
	free(state);
}

void *vtpm_state_image(struct vtpm_state *state)
{
	return state->image;
}

static int check(const struct vtpm_state *state, uint64_t offset, size_t len)
{
	return offset > state->size || len > state->size - offset ? -EINVAL : 0;
}

int vtpm_state_read(const struct vtpm_state *state, uint64_t offset, void *buf, size_t len)
{
	int ret = check(state, offset, len);

	if (!ret)
		memcpy(buf, state->image + offset, len);
	return ret;
}

int vtpm_state_write(struct vtpm_state *state, uint64_t offset, const void *buf, size_t len)
{
	int ret = check(state, offset, len);

	if (ret || !len)
		return ret;
	memcpy(state->image + offset, buf, len);
	if (state->dirty_start == state->dirty_end) {
		state->dirty_start = offset;
		state->dirty_end = offset + len;
		return 0;
	}
	if (offset < state->dirty_start)
		state->dirty_start = offset;
	if (offset + len > state->dirty_end)
		state->dirty_end = offset + len;
	return 0;
}

static void written(void *token, int error)
{
	struct vtpm_state *state = token;
	void (*done)(void *, int) = state->done;

	state->done = NULL;
	done(state->token, error);
}

/* While one who died since still waits for a write, the next one must not be told early: nor must it fail. */
void vtpm_state_sync(struct vtpm_state *state, void (*done)(void *token, int error), void *token)
{
	uint64_t start = state->dirty_start, end = state->dirty_end;

	if (state->done) {
		done(token, -EBUSY);
		return;
	}
	state->dirty_start = state->dirty_end = 0;
	if (!state->backing || start == end) {
		done(token, 0);
		return;
	}
	state->done = done;
	state->token = token;
	state->backing->write(state->ctx, start, state->image + start, end - start, written, state);
}

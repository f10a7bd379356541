#include "paravisor/tpm/state.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tpm/store.h"
#include "tpm/tpm.h"

/* Bytes [start, end); none when they are the same. */
struct range {
	uint64_t start, end;
};

struct vtpm_state {
	uint8_t *image; /* mapped: what nobody wrote takes no memory */
	size_t size;
	const struct vtpm_backing *backing;
	void *ctx;
	struct range dirty;   /* not yet given to the backing */
	struct range written; /* what is being written */
	bool writing;
	bool again; /* when the write ends: more was asked for since, by one who came after or for the note */
	void (*done)(void *token, int error); /* of whoever waits; NULL: nobody */
	void *token;
};

/* What the process sees of it. */
static size_t device_size(void)
{
	return store_device_size(TPM_MAX_BLOB);
}

size_t vtpm_state_size(void)
{
	return device_size() + VTPM_STATE_NOTE;
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

void *vtpm_state_note(struct vtpm_state *state)
{
	return state->image + device_size();
}

static int check(uint64_t offset, size_t len)
{
	return offset > device_size() || len > device_size() - offset ? -EINVAL : 0;
}

int vtpm_state_read(const struct vtpm_state *state, uint64_t offset, void *buf, size_t len)
{
	int ret = check(offset, len);

	if (!ret)
		memcpy(buf, state->image + offset, len);
	return ret;
}

static void add(struct range *to, uint64_t start, uint64_t end)
{
	if (start == end)
		return;
	if (to->start == to->end) {
		*to = (struct range){ start, end };
		return;
	}
	to->start = start < to->start ? start : to->start;
	to->end = end > to->end ? end : to->end;
}

int vtpm_state_write(struct vtpm_state *state, uint64_t offset, const void *buf, size_t len)
{
	int ret = check(offset, len);

	if (ret || !len)
		return ret;
	memcpy(state->image + offset, buf, len);
	add(&state->dirty, offset, offset + len);
	return 0;
}

static void flush(struct vtpm_state *state);

static void finish(struct vtpm_state *state, int error)
{
	void (*done)(void *, int) = state->done;

	state->done = NULL;
	if (done)
		done(state->token, error);
}

/* What could not be written is still to be written. */
static void write_done(void *token, int error)
{
	struct vtpm_state *state = token;
	bool again = state->again;

	state->writing = state->again = false;
	if (error)
		add(&state->dirty, state->written.start, state->written.end);
	if (again)
		flush(state);
	else
		finish(state, error);
}

static void flush(struct vtpm_state *state)
{
	struct range dirty = state->dirty;

	state->dirty = (struct range){ 0, 0 };
	if (!state->backing || dirty.start == dirty.end) {
		finish(state, 0);
		return;
	}
	state->written = dirty;
	state->writing = true;
	state->backing->write(state->ctx, dirty.start, state->image + dirty.start,
			      dirty.end - dirty.start, write_done, state);
}

static void flush_next(struct vtpm_state *state)
{
	if (state->writing)
		state->again = true;
	else
		flush(state);
}

void vtpm_state_sync(struct vtpm_state *state, void (*done)(void *token, int error), void *token)
{
	state->done = done;
	state->token = token;
	flush_next(state);
}

/* Whoever waits for a write that is under way waits for this one, too. */
void vtpm_state_note_changed(struct vtpm_state *state)
{
	add(&state->dirty, device_size(), state->size);
	flush_next(state);
}

#ifndef PARAVISOR_TPM_STATE_H
#define PARAVISOR_TPM_STATE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The device that the vTPM's process stores its state on (tpm/store.h's two slots), as the paravisor has it: an image
 * in memory, and behind it what makes changes durable. VP 0's thread.
 */

/*
 * Where changes go. write() makes `len` bytes at `offset` durable and then calls done(token, error) once, from within
 * or later on VP 0's thread; `data` stays as it is until then. One write is under way at a time.
 */
struct vtpm_backing {
	void (*write)(void *ctx, uint64_t offset, const void *data, size_t len,
		      void (*done)(void *token, int error), void *token);
};

struct vtpm_state;

/*
 * A state of vtpm_state_size() bytes, all zeros: a TPM that has never been on. backing NULL: it lives as long as the
 * paravisor. NULL when out of memory.
 */
struct vtpm_state *vtpm_state_create(const struct vtpm_backing *backing, void *ctx);
/* Wipes it. No write is under way. NULL is allowed. */
void vtpm_state_destroy(struct vtpm_state *state);
size_t vtpm_state_size(void);
/* The image, for whoever fills it before the vTPM is switched on. */
void *vtpm_state_image(struct vtpm_state *state);

/*
 * A block behind the device that the process does not reach, for what the paravisor keeps with the TPM. It is in the
 * image. note_changed(): makes it durable soon.
 */
#define VTPM_STATE_NOTE 4096
void *vtpm_state_note(struct vtpm_state *state);
void vtpm_state_note_changed(struct vtpm_state *state);

/* 0, or -EINVAL beyond its end. */
int vtpm_state_read(const struct vtpm_state *state, uint64_t offset, void *buf, size_t len);
int vtpm_state_write(struct vtpm_state *state, uint64_t offset, const void *buf, size_t len);
/*
 * Calls done(token, error) once everything written is durable: from within or later. There is one who asks: when it asks
 * before the last answer has come, it is another one, and the last one is not answered any more.
 */
void vtpm_state_sync(struct vtpm_state *state, void (*done)(void *token, int error), void *token);

#endif

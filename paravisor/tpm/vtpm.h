#ifndef PARAVISOR_TPM_VTPM_H
#define PARAVISOR_TPM_VTPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * VTL0's TPM: CRB or FIFO registers (tpm/crb.h, tpm/tis.h) in front of the vTPM's process. When the process dies, the command under way
 * fails, later ones are to be retried until the next process is up, and that has its PCRs capped.
 */

struct event_loop;
struct io_bus;
struct vtpm;
struct vtpm_backing;

struct vtpm_config {
	struct event_loop *loop; /* VP 0's; nothing else runs on it yet */
	struct io_bus *bus;
	bool fifo;    /* FIFO registers instead of a CRB */
	int from, to; /* pipes to the process: VTPM_LINK_FROM_VTPM, VTPM_LINK_TO_VTPM */
	const struct vtpm_backing
		*backing; /* paravisor/tpm/state.h; NULL: a new TPM at each start */
	void *backing_ctx;
	/* The state as the backing has it, at most vtpm_state_size() bytes. */
	const void *state;
	size_t state_len;
	const uint8_t *key;       /* 32 bytes that seal the state, or NULL */
	unsigned int patience_ms; /* paravisor/tpm/link.h */
};

/*
 * Connects to the process that /init has started, switches it on (TPM2_Startup included) and puts the registers on the
 * bus. 0; -ENODEV when there is no such process; -EBADMSG, -EACCES: the state is damaged, or sealed with another key;
 * -EPIPE: the process died; or -errno. Runs the loop.
 */
int vtpm_create(struct vtpm **out, const struct vtpm_config *config);
/* For tests; nothing uses its region or its loop any more. NULL is allowed. */
void vtpm_destroy(struct vtpm *vtpm);

bool vtpm_is_fifo(const struct vtpm *vtpm);

/*
 * Executes a command of the paravisor's own, at locality 0 and with physical presence, and waits. *len: in, bytes at rsp; out, of the response.
 * The TPM's return code, at most 0xFFF, or -errno. Before VTL0 runs, on the loop's thread, not from a handler.
 */
int vtpm_execute(struct vtpm *vtpm, const uint8_t *cmd, size_t cmd_len, uint8_t *rsp, size_t *len);

/* TPM2_Shutdown, _TPM_Init and TPM2_Startup: for what takes effect with a reset. 0 or -errno. As vtpm_execute(). */
int vtpm_reset(struct vtpm *vtpm);

/*
 * VTPM_STATE_NOTE bytes that are kept with the TPM's state (paravisor/tpm/state.h), for one user. note_changed() has
 * them written on the loop's thread; any thread; 0 or -ENOMEM.
 */
void *vtpm_note(struct vtpm *vtpm);
int vtpm_note_changed(struct vtpm *vtpm);

#endif

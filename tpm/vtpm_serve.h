/* SPDX-License-Identifier: MIT */
#ifndef TPM_VTPM_SERVE_H
#define TPM_VTPM_SERVE_H

/* What tests have go wrong, before the command of that number, from 1; 0: nothing. */
struct vtpm_test {
	unsigned long die_at;  /* a system call that a confined process may not make */
	unsigned long hang_at; /* it never ends */
	unsigned long bound;   /* seconds of processor time that a command may take instead of its own; 0: its own */
};

/*
 * The vTPM between two pipes in packet mode: serves requests (proto/vtpm_link.h), one after the other, until the other
 * side leaves (-EPIPE) or breaks the protocol (-EBADMSG, -EPROTO). A command that takes more than its bound of processor
 * time ends the process, by SIGPROF. test may be NULL.
 */
int vtpm_serve(int in, int out, const struct vtpm_test *test);

#endif

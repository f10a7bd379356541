/* SPDX-License-Identifier: MIT */
#ifndef TPM_VTPM_SERVE_H
#define TPM_VTPM_SERVE_H

/*
 * The vTPM between two pipes in packet mode: serves requests (proto/vtpm_link.h), one after the other, until the other
 * side leaves (-EPIPE) or breaks the protocol (-EBADMSG, -EPROTO). die_at: before the command of that number, from 1,
 * makes a system call that a confined process may not make; 0: never.
 */
int vtpm_serve(int in, int out, unsigned long die_at);

#endif

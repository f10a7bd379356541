#ifndef PARAVISOR_SANDBOX_H
#define PARAVISOR_SANDBOX_H

/*
 * Gives up, for good, what the process needs no more once its devices are open: capabilities,
 * gaining privileges by execve, being traced and dumping core, and every system call that sandbox.c
 * does not list: such a call fails with ENOSYS and leaves a line in the log.
 * Threads that start later inherit it; call it before they do. 0 or -errno.
 */
int sandbox_enter(void);

/* Likewise for the process that opens functions (paravisor/opener.h), which keeps CAP_SYS_RAWIO. */
int sandbox_enter_opener(void);

#endif

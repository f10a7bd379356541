#ifndef CORE_CALL_FILTER_H
#define CORE_CALL_FILTER_H

#include <stddef.h>
#include <stdint.h>

/*
 * A system call filter (seccomp(2), mode 2) from a list of what is allowed. It stays for good, in this thread and in
 * all that it starts; -EINVAL where the kernel has no filters. Not from two threads at once.
 */

/* One allowed call. With a mask, only when that argument's low 32 bits, masked, are `value`. */
struct call_rule {
	unsigned int number; /* SYS_... */
	unsigned int arg;    /* 0 to 5 */
	uint32_t mask, value;
};

enum call_denied {
	CALL_DENIED_KILLS, /* the process ends by SIGSYS */
	CALL_DENIED_TRAPS, /* SIGSYS for a handler: see call_filter_report() */
};

/* Needs no_new_privs, or CAP_SYS_ADMIN. Only x86-64 system calls can be allowed. */
int call_filter_install(const struct call_rule *rules, size_t count, enum call_denied denied);

/*
 * Makes every call that CALL_DENIED_TRAPS refuses fail with ENOSYS, after report(number) ran in the signal handler's
 * place: on the thread that made the call, which holds whatever it holds. 0 or -errno.
 */
int call_filter_report(void (*report)(int number));

#endif

#ifndef IGVM_SHIM_LOG_H
#define IGVM_SHIM_LOG_H

#include <stdarg.h>
#include <stddef.h>

#include "igvm/shim/shim.h"

/* The shim's log: lines in a page that vtlhost and the paravisor can read (proto/shim.h). */

void shim_log_init(struct shim_log *log, uint64_t tsc);

/* One line. Control characters become '?': hosts have a say in what is logged. */
void shim_log_line(struct shim *shim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The line that says why the boot stops. Returns -EINVAL, for the caller to return. */
int shim_stop(struct shim *shim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The last bytes of the ring in order, up to size, without ring wrap. Returns how many. */
size_t shim_log_tail(const struct shim_log *log, char *buf, size_t size);

/*
 * The part of vsnprintf() that is needed here: %s, %c, %u, %x, %llu, %llx, %%. Always terminates; returns
 * the number of characters written, cut at size - 1.
 */
size_t shim_format(char *buf, size_t size, const char *fmt, va_list args);
size_t shim_print(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif

#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stddef.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG
};

/*
 * Where finished lines go: `line` is `len` bytes without a newline and belongs to the caller.
 * Called under the log's lock, from any thread; it must not log.
 */
struct log_sink {
	void (*write)(void *ctx, enum log_level level, const char *line, size_t len);
	void *ctx;
};

/* Replaces the sink. NULL, and the default: standard error. Call before other threads exist. */
void log_set_sink(const struct log_sink *sink);

/* Lines above `level` are dropped before they are formatted. */
void log_set_level(enum log_level level);

/*
 * Formats one line, cut at 500 bytes; control characters become '?', for guests and hosts have a
 * say in what is logged. Any thread; not from signal handlers.
 */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The same, but a given call site speaks at most 10 times a second and then says how many lines it
 * held back: for whatever a guest or a host can provoke.
 */
struct log_limit {
	long long window_start_ns;
	unsigned int printed;
	unsigned int suppressed;
};
void log_msg_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)
#define log_limited(level, ...)                                       \
	do {                                                          \
		static struct log_limit log_limit_here;               \
		log_msg_limited(&log_limit_here, level, __VA_ARGS__); \
	} while (0)

#endif

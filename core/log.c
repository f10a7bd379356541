#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX        500
#define LOG_LIMIT_WINDOW_NS 1000000000ll
#define LOG_LIMIT_LINES     10

static void write_to_stderr(void *ctx, enum log_level level, const char *line, size_t len)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	char out[LOG_LINE_MAX + 16];
	int n;

	(void)ctx;
	n = snprintf(out, sizeof(out), "%s%.*s\n", prefix[level & 3], (int)len, line);
	/* Nobody to tell when the log cannot be written. */
	if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
		return;
}

/* Guards the sink and every log_limit. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_sink log_sink = { .write = write_to_stderr };
static atomic_int log_threshold = LOG_INFO;

void log_set_sink(const struct log_sink *sink)
{
	pthread_mutex_lock(&log_lock);
	log_sink = sink ? *sink : (struct log_sink){ .write = write_to_stderr };
	pthread_mutex_unlock(&log_lock);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
}

static bool enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

static size_t format_line(char line[LOG_LINE_MAX + 1], const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static size_t format_line(char line[LOG_LINE_MAX + 1], const char *fmt, va_list args)
{
	int n = vsnprintf(line, LOG_LINE_MAX + 1, fmt, args);
	size_t len;

	if (n < 0)
		n = 0;
	len = n > LOG_LINE_MAX ? LOG_LINE_MAX : (size_t)n;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	return len;
}

static void emit(enum log_level level, const char *line, size_t len)
{
	log_sink.write(log_sink.ctx, level, line, len);
}

static void log_line(enum log_level level, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static void log_line(enum log_level level, const char *fmt, va_list args)
{
	char line[LOG_LINE_MAX + 1];
	size_t len = format_line(line, fmt, args);

	pthread_mutex_lock(&log_lock);
	emit(level, line, len);
	pthread_mutex_unlock(&log_lock);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!enabled(level))
		return;
	va_start(args, fmt);
	log_line(level, fmt, args);
	va_end(args);
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Starts a new window when the old one has passed, and tells what that one held back. */
static void open_window(struct log_limit *limit, enum log_level level)
{
	char line[80];
	long long now = now_ns();
	int len;

	if (limit->printed && now - limit->window_start_ns < LOG_LIMIT_WINDOW_NS)
		return;
	if (limit->suppressed) {
		len = snprintf(line, sizeof(line), "(%u more lines like the next one held back)",
			       limit->suppressed);
		emit(level, line, (size_t)len);
	}
	*limit = (struct log_limit){ .window_start_ns = now };
}

void log_msg_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX + 1];
	va_list args;

	if (!enabled(level))
		return;
	pthread_mutex_lock(&log_lock);
	open_window(limit, level);
	if (limit->printed == LOG_LIMIT_LINES) {
		limit->suppressed++;
	} else {
		limit->printed++;
		va_start(args, fmt);
		emit(level, line, format_line(line, fmt, args));
		va_end(args);
	}
	pthread_mutex_unlock(&log_lock);
}

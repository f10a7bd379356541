#include "igvm/shim/log.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX_LEN 160

/* --- formatting --- */

struct writer {
	char *buf;
	size_t size, len;
};

static void put(struct writer *w, char c)
{
	if (w->len + 1 < w->size)
		w->buf[w->len++] = c;
}

static void put_number(struct writer *w, uint64_t value, unsigned int base)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		put(w, digits[--n]);
}

static void put_string(struct writer *w, const char *s)
{
	while (*s)
		put(w, *s++);
}

size_t shim_format(char *buf, size_t size, const char *fmt, va_list args)
{
	struct writer w = { buf, size, 0 };
	bool wide;

	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&w, *fmt);
			continue;
		}
		wide = fmt[1] == 'l' && fmt[2] == 'l';
		fmt += wide ? 3 : 1;
		if (*fmt == 's')
			put_string(&w, va_arg(args, const char *));
		else if (*fmt == 'c')
			put(&w, (char)va_arg(args, int));
		else if (*fmt == 'u' || *fmt == 'x')
			put_number(&w,
				   wide ? va_arg(args, unsigned long long)
					: va_arg(args, unsigned int),
				   *fmt == 'u' ? 10 : 16);
		else
			put(&w, '%');
	}
	if (size)
		buf[w.len] = 0;
	return w.len;
}

size_t shim_print(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = shim_format(buf, size, fmt, args);
	va_end(args);
	return len;
}

/* --- the ring --- */

void shim_log_init(struct shim_log *log, uint64_t tsc)
{
	memset(log, 0, sizeof(*log));
	log->magic = SHIM_LOG_MAGIC;
	log->stage = SHIM_STAGE_STARTED;
	log->tsc_start = tsc;
}

static void append(struct shim_log *log, char c)
{
	log->text[log->written++ % SHIM_LOG_TEXT] = c;
}

static void append_line(struct shim_log *log, const char *line)
{
	for (; *line; line++)
		append(log, *line < ' ' || *line > '~' ? '?' : *line);
	append(log, '\n');
}

void shim_log_line(struct shim *shim, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list args;

	va_start(args, fmt);
	shim_format(line, sizeof(line), fmt, args);
	va_end(args);
	append_line(shim->log, line);
}

int shim_stop(struct shim *shim, const char *fmt, ...)
{
	char line[LINE_MAX_LEN] = "stopped: ";
	size_t used = strlen(line);
	va_list args;

	va_start(args, fmt);
	shim_format(line + used, sizeof(line) - used, fmt, args);
	va_end(args);
	append_line(shim->log, line);
	shim->log->stage = SHIM_STAGE_STOPPED;
	return -EINVAL;
}

size_t shim_log_tail(const struct shim_log *log, char *buf, size_t size)
{
	uint64_t have = log->written < SHIM_LOG_TEXT ? log->written : SHIM_LOG_TEXT, at;
	size_t len = have < size ? (size_t)have : size, i;

	at = log->written - len;
	for (i = 0; i < len; i++)
		buf[i] = log->text[(at + i) % SHIM_LOG_TEXT];
	return len;
}

#include "host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "core/event_loop.h"
#include "host/host_port.h"

#define ESCAPE   0x01 /* Ctrl-A */
#define RETRY_NS 20000000u

struct console {
	struct event_loop *loop;
	struct host_port *port;
	struct console_handler handler;
	struct event_watch watch;
	struct event_timer retry; /* VTL2 did not take all of it */
	bool watching, terminal;
	bool escapes; /* Ctrl-A means something */
	bool escaped;
	bool in_command;
	char command[256];
	size_t command_len;
	struct termios saved;
	size_t pending;
	uint8_t buffer[4096];
};

static void stop_watching(struct console *console)
{
	if (console->watching)
		event_loop_remove(console->loop, &console->watch);
	console->watching = false;
}

static void start_watching(struct console *console)
{
	if (!console->watching)
		console->watching = event_loop_add(console->loop, &console->watch, EPOLLIN) == 0;
}

/* Until VTL2 has taken everything, nothing more is read. */
static void forward(struct console *console)
{
	size_t taken = 0;

	if (console->port)
		taken = host_port_input(console->port, console->buffer, console->pending);
	console->pending -= taken;
	memmove(console->buffer, console->buffer + taken, console->pending);
	if (console->pending) {
		stop_watching(console);
		event_timer_arm(&console->retry, event_loop_now_ns() + RETRY_NS);
	} else {
		start_watching(console);
	}
}

static void on_retry(struct event_timer *timer)
{
	forward((struct console *)((char *)timer - offsetof(struct console, retry)));
}

static void echo(const char *text, size_t len)
{
	if (write(STDOUT_FILENO, text, len) < 0)
		return; /* who types blindly gets no echo */
}

static void take_command(struct console *console, char c)
{
	if (c == '\r' || c == '\n') {
		echo("\r\n", 2);
		console->command[console->command_len] = 0;
		console->in_command = false;
		console->handler.command(console->handler.ctx, console->command);
	} else if (c == '\b' || c == 0x7f) {
		if (console->command_len) {
			console->command_len--;
			echo("\b \b", 3);
		}
	} else if (c >= ' ' && console->command_len < sizeof(console->command) - 1) {
		console->command[console->command_len++] = c;
		echo(&c, 1);
	}
}

static void begin_command(struct console *console)
{
	console->in_command = true;
	console->command_len = 0;
	echo("\r\nvtlhost> ", 11);
}

/* After Ctrl-A; returns false at an x. */
static bool take_escaped(struct console *console, uint8_t c)
{
	console->escaped = false;
	if (c == 'x')
		return false;
	if (c == 'c') {
		begin_command(console);
		return true;
	}
	if (c != 'a')
		console->buffer[console->pending++] = ESCAPE;
	console->buffer[console->pending++] = c == 'a' ? ESCAPE : c;
	return true;
}

/* Takes the escape sequences and commands out; returns false at Ctrl-A x. */
static bool filter(struct console *console, const uint8_t *in, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (console->in_command) {
			take_command(console, (char)in[i]);
		} else if (console->escaped) {
			if (!take_escaped(console, in[i]))
				return false;
		} else if (console->escapes && in[i] == ESCAPE) {
			console->escaped = true;
		} else {
			console->buffer[console->pending++] = in[i];
		}
	}
	return true;
}

static void on_input(struct event_watch *watch, uint32_t events)
{
	struct console *console =
		(struct console *)((char *)watch - offsetof(struct console, watch));
	uint8_t in[1024]; /* twice that fits the buffer, which is empty while we watch */
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		stop_watching(console);
	else if (filter(console, in, (size_t)n))
		forward(console);
	else
		console->handler.quit(console->handler.ctx);
}

static void make_raw(struct console *console)
{
	struct termios raw;

	console->terminal = tcgetattr(STDIN_FILENO, &console->saved) == 0;
	if (!console->terminal)
		return;
	raw = console->saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own lines still end in CR LF */
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

struct console *console_create(struct event_loop *loop, const struct console_handler *handler)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return NULL;
	console->loop = loop;
	console->handler = *handler;
	console->watch.ready = on_input;
	console->watch.fd = STDIN_FILENO;
	event_timer_init(&console->retry, loop, on_retry);
	make_raw(console);
	/* What a pipe brings is the guest's, all of it, unless somebody (a test) says otherwise. */
	console->escapes = console->terminal || getenv("ENTRESOL_ESCAPES");
	/* A file or /dev/null cannot be polled and has no input worth waiting for. */
	start_watching(console);
	return console;
}

void console_attach(struct console *console, struct host_port *port)
{
	console->port = port;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	event_timer_cancel(&console->retry);
	stop_watching(console);
	if (console->terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &console->saved);
	free(console);
}

#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

#include <stdbool.h>

/*
 * The terminal on standard input: raw while a run lasts, each byte to VTL0's COM1, Ctrl-A x to leave
 * (Ctrl-A a sends a Ctrl-A), Ctrl-A c for a line that is a command (host/monitor.h). Without a terminal every byte goes through and end of file is the end
 * of input, not of the run. The main thread only.
 */

struct console;
struct event_loop;
struct host_port;

struct console_handler {
	void (*quit)(void *ctx);                /* at Ctrl-A x */
	void (*command)(void *ctx, char *line); /* after Ctrl-A c and a line */
	void *ctx;
};

/* Copies *handler. NULL when out of memory. */
struct console *console_create(struct event_loop *loop, const struct console_handler *handler);
void console_destroy(struct console *console); /* puts the terminal back */

/* Whom the input is for; NULL while no guest runs: input then waits. */
void console_attach(struct console *console, struct host_port *port);

#endif

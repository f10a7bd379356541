// SPDX-License-Identifier: MIT
/* swtpm's options take lists, "name=value,name=value": what is not known is refused, for it may have been meant to protect. */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tpm/option_value.h"
#include "tpm/vtpmd_options.h"

#define PORT_MAX 65535

/* One name of a list and where its value goes, which stays empty where the list has it not. */
struct item {
	const char *name;
	char *value;
	size_t size;
};

#define ITEM(name, value)                      \
	{                                      \
		(name), (value), sizeof(value) \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void usage(FILE *to)
{
	fputs("usage: vtpmd [socket] --tpmstate dir=DIR [--server SOCKET] [--ctrl SOCKET] [--mssim "
	      "port=PORT]\n"
	      "  SOCKET: [type=tcp,]port=N[,bindaddr=A] | type=unixio,path=P[,mode=M] | "
	      "[type=...,]fd=N or clientfd=N\n"
	      "  --tpmstate dir=DIR[,mode=0600][,sync=no]  where the state is kept; sync=no: may "
	      "be "
	      "lost with the power\n"
	      "  --key file=F      64 hexadecimal digits or 32 bytes: AES-256-GCM key of the "
	      "state\n"
	      "  --flags F,...     not-need-init, startup-clear, startup-state, startup-none,\n"
	      "                    disable-auto-shutdown (it never shuts down by itself)\n"
	      "  --seccomp action=kill|none  what becomes of a system call that a TPM does not "
	      "make\n"
	      "  --daemon  --pid file=F  --terminate\n"
	      "  --port N          as --server type=tcp,port=N\n"
	      "  --tpm2, --log ... accepted: there is nothing else, and nothing is logged\n",
	      to);
}

static int unknown(const char *option, const char *text, size_t len)
{
	warnx("%s: '%.*s' is not known", option, (int)len, text);
	return -EINVAL;
}

static int item_set(const char *option, const struct item *item, const char *value, size_t len)
{
	if (!len || len >= item->size) {
		warnx("%s: the value of '%s' is %s", option, item->name,
		      len ? "too long" : "missing");
		return -EINVAL;
	}
	memcpy(item->value, value, len);
	item->value[len] = '\0';
	return 0;
}

static int parse_list(const char *option, const char *list, const struct item *items, size_t count)
{
	for (;;) {
		size_t len = strcspn(list, ","), name = strcspn(list, "=,"), i = 0;
		int err;

		while (i < count && !option_word(list, name, items[i].name))
			i++;
		if (i == count)
			return unknown(option, list, len);
		err = item_set(option, &items[i], list + name + (name < len),
			       len - name - (name < len));
		if (err || !list[len])
			return err;
		list += len + 1;
	}
}

static int parse_port(const char *option, const char *text, unsigned int max, unsigned int *port)
{
	int err = option_number(option, text, 10, max, port);

	if (!err && !*port) {
		warnx("%s: port 0 is none", option);
		return -EINVAL;
	}
	return err;
}

/* One of three: a descriptor, a path, a port. */
static int parse_socket(const char *option, const char *list, struct vtpmd_socket *s)
{
	char type[8] = "", fd[12] = "", clientfd[12] = "", port[8] = "", mode[8] = "";
	char path[sizeof(s->where)] = "", address[16] = "";
	const struct item items[] = {
		ITEM("type", type),        ITEM("fd", fd),     ITEM("clientfd", clientfd),
		ITEM("port", port),        ITEM("mode", mode), ITEM("path", path),
		ITEM("bindaddr", address),
	};
	int err = parse_list(option, list, items, COUNT(items));

	if (err)
		return err;
	if (*type && strcmp(type, "tcp") && strcmp(type, "unixio"))
		return unknown(option, type, strlen(type));
	if (*fd || *clientfd) {
		s->kind = VTPMD_SOCKET_FD;
		return option_number(option, *fd ? fd : clientfd, 10, INT32_MAX, &s->number);
	}
	if (!strcmp(type, "unixio")) {
		s->kind = VTPMD_SOCKET_UNIX;
		memcpy(s->where, path, sizeof(s->where));
		if (!*path) {
			warnx("%s: path=, fd= or clientfd= is missing", option);
			return -EINVAL;
		}
		return option_number(option, *mode ? mode : "0600", 8, 0777, &s->number);
	}
	s->kind = VTPMD_SOCKET_TCP;
	snprintf(s->where, sizeof(s->where), "%s", *address ? address : "127.0.0.1");
	return parse_port(option, port, PORT_MAX, &s->number);
}

static int parse_state(struct vtpmd_options *o, const char *list)
{
	char mode[8] = "", sync[4] = "";
	const struct item items[] = { ITEM("dir", o->dir), ITEM("mode", mode), ITEM("sync", sync) };
	unsigned int bits = 0600;
	int err = parse_list("--tpmstate", list, items, COUNT(items));

	if (!err && *mode)
		err = option_number("--tpmstate", mode, 8, 0777, &bits);
	if (!err && bits != 0600) {
		warnx("--tpmstate: the state's files are their owner's, mode=0600");
		return -EINVAL;
	}
	if (!err && *sync && strcmp(sync, "no") && strcmp(sync, "yes"))
		return unknown("--tpmstate", sync, strlen(sync));
	o->durable = strcmp(sync, "no");
	return err;
}

static int parse_flags(struct vtpmd_options *o, const char *flags)
{
	for (;; flags++) {
		size_t len = strcspn(flags, ",");

		if (option_word(flags, len, "not-need-init"))
			o->init = true;
		else if (option_word(flags, len, "startup-clear"))
			o->init = o->startup = true;
		else if (option_word(flags, len, "startup-state"))
			o->init = o->startup = o->startup_state = true;
		else if (!option_word(flags, len, "startup-none") &&
			 !option_word(flags, len, "disable-auto-shutdown"))
			return unknown("--flags", flags, len);
		flags += len;
		if (!*flags)
			return 0;
	}
}

static int parse_mssim(struct vtpmd_options *o, const char *list)
{
	char port[8] = "";
	const struct item items[] = { ITEM("port", port) };
	int err = parse_list("--mssim", list, items, COUNT(items));

	/* The platform's port is the next one. */
	return err ? err : parse_port("--mssim", port, PORT_MAX - 1, &o->mssim);
}

static int parse_seccomp(struct vtpmd_options *o, const char *list)
{
	char action[8] = "";
	const struct item items[] = { ITEM("action", action) };
	int err = parse_list("--seccomp", list, items, COUNT(items));

	if (!err && strcmp(action, "none") && strcmp(action, "kill"))
		return unknown("--seccomp", action, strlen(action));
	o->unfiltered = !strcmp(action, "none");
	return err;
}

static int parse_file(const char *option, const char *list, char file[VTPMD_PATH_MAX])
{
	const struct item items[] = { { "file", file, VTPMD_PATH_MAX } };

	return parse_list(option, list, items, COUNT(items));
}

static int parse_one(struct vtpmd_options *o, int option, const char *arg)
{
	switch (option) {
	case 's':
		return parse_state(o, arg);
	case 'S':
		return parse_socket("--server", arg, &o->server);
	case 'c':
		return parse_socket("--ctrl", arg, &o->ctrl);
	case 'p':
		o->server = (struct vtpmd_socket){ VTPMD_SOCKET_TCP, "127.0.0.1", 0 };
		return parse_port("--port", arg, PORT_MAX, &o->server.number);
	case 'm':
		return parse_mssim(o, arg);
	case 'f':
		return parse_flags(o, arg);
	case 'k':
		return parse_file("--key", arg, o->key_file);
	case 'P':
		return parse_file("--pid", arg, o->pid_file);
	case 'C':
		return parse_seccomp(o, arg);
	case 'd':
		o->daemon = true;
		return 0;
	case 't':
		o->terminate = true;
		return 0;
	case 'x':
		return 0;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		return -EINVAL; /* getopt has said it */
	}
}

static int missing(const struct vtpmd_options *o)
{
	const char *what = !*o->dir ? "--tpmstate dir=DIR" : "--server, --ctrl or --mssim";

	if (*o->dir && (o->server.kind || o->ctrl.kind || o->mssim))
		return 0;
	warnx("%s is missing; --help says more", what);
	return -EINVAL;
}

int vtpmd_options_parse(struct vtpmd_options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tpmstate", required_argument, NULL, 's' },
		{ "server", required_argument, NULL, 'S' },
		{ "ctrl", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'p' },
		{ "mssim", required_argument, NULL, 'm' },
		{ "flags", required_argument, NULL, 'f' },
		{ "key", required_argument, NULL, 'k' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "pid", required_argument, NULL, 'P' },
		{ "terminate", no_argument, NULL, 't' },
		{ "seccomp", required_argument, NULL, 'C' },
		{ "tpm2", no_argument, NULL, 'x' },
		{ "log", required_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, err;

	*o = (struct vtpmd_options){ .durable = true };
	optind = 1;
	while ((c = getopt_long(argc, argv, "dtp:h", longs, NULL)) != -1) {
		err = parse_one(o, c, optarg);
		if (err)
			return err;
	}
	if (optind < argc)
		return unknown("command line", argv[optind], strlen(argv[optind]));
	return missing(o);
}

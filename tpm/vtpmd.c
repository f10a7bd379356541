// SPDX-License-Identifier: MIT
/* vtpmd: the TPM engine as a server with swtpm's and the reference simulator's protocols. docs/vtpmd.md. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "core/call_filter.h"
#include "core/key_file.h"
#include "tpm/server.h"
#include "tpm/store_file.h"

struct options {
	const char *dir, *pid_file, *key_file;
	char *server, *ctrl, *mssim;
	bool daemon, init, startup, startup_state, terminate, durable, unfiltered;
};

static volatile int stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void usage(FILE *to)
{
	fputs("usage: vtpmd [socket] --tpmstate dir=DIR [--server SOCKET] [--ctrl SOCKET] [--mssim "
	      "port=PORT]\n"
	      "  SOCKET: type=tcp,port=N[,bindaddr=A] | type=unixio,path=P[,mode=M] | "
	      "type=unixio,clientfd=N |\n"
	      "          type=tcp,fd=N\n"
	      "  --tpmstate dir=DIR[,sync=no]   where the state is kept; sync=no: may be lost with "
	      "the power\n"
	      "  --key file=F[,...]             64 hexadecimal digits or 32 bytes: AES-256-GCM key "
	      "of the state\n"
	      "  --flags not-need-init,startup-clear,startup-state\n"
	      "  --seccomp action=kill|none      what becomes of a system call that a TPM does not "
	      "make\n"
	      "  --daemon  --pid file=F  --terminate  --tpm2  --log ... (accepted)\n",
	      to);
}

/* The value of key in "a=b,c=d", copied into a static buffer for each call site's use; NULL when absent. */
static const char *sub_option(const char *list, const char *key, char *value, size_t max)
{
	size_t len = strlen(key);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		if (strncmp(p, key, len) || p[len] != '=')
			continue;
		snprintf(value, max, "%.*s", (int)strcspn(p + len + 1, ","), p + len + 1);
		return value;
	}
	return NULL;
}

static int open_socket(const char *spec)
{
	char type[16], a[128], b[64];

	if (sub_option(spec, "fd", a, sizeof(a)) || sub_option(spec, "clientfd", a, sizeof(a)))
		return atoi(a);
	if (!sub_option(spec, "type", type, sizeof(type)))
		strcpy(type, "tcp");
	if (!strcmp(type, "unixio")) {
		if (!sub_option(spec, "path", a, sizeof(a)))
			return -EINVAL;
		return server_unix(a, sub_option(spec, "mode", b, sizeof(b))
					      ? (unsigned int)strtoul(b, NULL, 8)
					      : 0600);
	}
	if (!sub_option(spec, "port", a, sizeof(a)))
		return -EINVAL;
	return server_tcp(sub_option(spec, "bindaddr", b, sizeof(b)) ? b : "127.0.0.1",
			  (unsigned int)strtoul(a, NULL, 10));
}

static int open_store(struct store *s, struct store_file *f, const struct options *o,
		      const char *dir, const char *name, const uint8_t *key)
{
	char path[4096];
	int err;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	err = store_file_open(f, path, o->durable);
	if (!err)
		err = store_open(s, &store_file_device, f, TPM_MAX_BLOB, key, instance_random);
	if (err)
		fprintf(stderr, "vtpmd: %s: %s\n", path, strerror(-err));
	return err;
}

static void write_pid(const char *option)
{
	char path[4096];
	FILE *f = sub_option(option, "file", path, sizeof(path)) ? fopen(path, "w") : NULL;

	if (!f) {
		fprintf(stderr, "vtpmd: cannot write %s\n", option);
		return;
	}
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
}

/* Startup as firmware would do it, for tests without firmware. */
static void startup(struct instance *in, bool state)
{
	uint8_t cmd[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, state },
		rsp[TPM_MAX_COMMAND];

	instance_execute(in, cmd, sizeof(cmd), rsp);
}

static int add_sockets(struct server *s, const struct options *o)
{
	const struct {
		const char *spec;
		enum server_role role;
		int offset;
	} all[] = { { o->server, ROLE_DATA, 0 }, { o->ctrl, ROLE_CTRL, 0 } };
	char port[16];
	int fd;

	for (size_t i = 0; i < 2; i++) {
		if (!all[i].spec)
			continue;
		fd = open_socket(all[i].spec);
		if (fd < 0) {
			fprintf(stderr, "vtpmd: %s: %s\n", all[i].spec, strerror(-fd));
			return fd;
		}
		server_listen(s, fd, all[i].role);
	}
	for (unsigned int i = 0; o->mssim && i < 2; i++) {
		if (!sub_option(o->mssim, "port", port, sizeof(port)))
			return -EINVAL;
		fd = server_tcp("127.0.0.1", (unsigned int)strtoul(port, NULL, 10) + i);
		if (fd < 0) {
			fprintf(stderr, "vtpmd: port %s: %s\n", port, strerror(-fd));
			return fd;
		}
		server_listen(s, fd, i ? ROLE_MSSIM_PLATFORM : ROLE_MSSIM_COMMAND);
	}
	return s->listeners ? 0 : -EINVAL;
}

static void parse_flags(struct options *o, const char *flags)
{
	o->init |= strstr(flags, "not-need-init") || strstr(flags, "startup-");
	o->startup |= strstr(flags, "startup-clear") || strstr(flags, "startup-state");
	o->startup_state |= strstr(flags, "startup-state") != NULL;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tpmstate", required_argument, NULL, 's' },
		{ "server", required_argument, NULL, 'S' },
		{ "ctrl", required_argument, NULL, 'c' },
		{ "mssim", required_argument, NULL, 'm' },
		{ "flags", required_argument, NULL, 'f' },
		{ "key", required_argument, NULL, 'k' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "pid", required_argument, NULL, 'p' },
		{ "port", required_argument, NULL, 'P' },
		{ "terminate", no_argument, NULL, 't' },
		{ "tpm2", no_argument, NULL, '2' },
		{ "log", required_argument, NULL, 'x' },
		{ "seccomp", required_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static char dir[4096], key[4096], sync[8];
	int c;

	o->durable = true;
	while ((c = getopt_long(argc, argv, "dtp:h", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->dir = sub_option(optarg, "dir", dir, sizeof(dir));
			o->durable = !sub_option(optarg, "sync", sync, sizeof(sync)) ||
				     strcmp(sync, "no");
			break;
		case 'S':
			o->server = optarg;
			break;
		case 'c':
			o->ctrl = optarg;
			break;
		case 'm':
			o->mssim = optarg;
			break;
		case 'f':
			parse_flags(o, optarg);
			break;
		case 'k':
			o->key_file = sub_option(optarg, "file", key, sizeof(key));
			break;
		case 'd':
			o->daemon = true;
			break;
		case 'p':
			o->pid_file = optarg;
			break;
		case 't':
			o->terminate = true;
			break;
		case 'C':
			o->unfiltered = strstr(optarg, "action=none") != NULL;
			break;
		case '2':
		case 'x':
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	return o->dir ? 0 : -EINVAL;
}

/*
 * From here on: sockets that are there already and those that they accept, files that are open, memory that is not
 * executable. No file is opened, no socket made, no process started. Who breaks in can answer commands wrongly.
 */
static int filter_calls(void)
{
	static const struct call_rule rules[] = {
		{ .number = SYS_poll },
		{ .number = SYS_accept4 },
		{ .number = SYS_read },
		{ .number = SYS_recvfrom },
		{ .number = SYS_recvmsg },
		{ .number = SYS_write },
		{ .number = SYS_writev },
		{ .number = SYS_sendto },
		{ .number = SYS_setsockopt,
		  .arg = 1,
		  .mask = ~0u,
		  .value = IPPROTO_TCP }, /* no delay */
		{ .number = SYS_close },
		{ .number = SYS_pread64 },
		{ .number = SYS_pwrite64 },
		{ .number = SYS_fdatasync },
		{ .number = SYS_getrandom },
		{ .number = SYS_clock_gettime },
		{ .number = SYS_brk },
		{ .number = SYS_munmap },
		{ .number = SYS_mremap },
		{ .number = SYS_madvise },
		{ .number = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0 },
		{ .number = SYS_mprotect, .arg = 2, .mask = PROT_EXEC, .value = 0 },
		{ .number = SYS_rt_sigreturn },
		{ .number = SYS_restart_syscall },
		{ .number = SYS_exit_group },
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return call_filter_install(rules, sizeof(rules) / sizeof(*rules), CALL_DENIED_KILLS);
}

static int serve(const struct options *o)
{
	struct store_file permanent_file, volatile_file;
	struct instance in = { 0 };
	struct server server = { .instance = &in, .terminate_on_disconnect = o->terminate };
	uint8_t key[STORE_KEY_SIZE];
	int err = o->key_file ? key_file_read(o->key_file, key) : 0;

	if (err) {
		fprintf(stderr, "vtpmd: %s: %s\n", o->key_file, strerror(-err));
		return err;
	}
	err = open_store(&in.permanent, &permanent_file, o, o->dir, "vtpm.permanent",
			 o->key_file ? key : NULL);
	if (!err)
		err = open_store(&in.suspended, &volatile_file, o, o->dir, "vtpm.volatile",
				 o->key_file ? key : NULL);
	mbedtls_platform_zeroize(key, sizeof(key));
	if (!err)
		err = instance_open(&in);
	if (!err)
		err = add_sockets(&server, o);
	if (err)
		return err;
	if (o->daemon && daemon(0, 0))
		return -errno;
	if (o->pid_file)
		write_pid(o->pid_file);
	if (o->init || o->mssim)
		err = instance_init(&in, true);
	if (err) {
		fprintf(stderr, "vtpmd: state: %s\n", strerror(-err));
		return err;
	}
	if (o->startup)
		startup(&in, o->startup_state);
	err = o->unfiltered ? 0 : filter_calls();
	if (err)
		fprintf(stderr,
			"vtpmd: no system call filter (--seccomp action=none goes without): %s\n",
			strerror(-err));
	else
		err = server_run(&server, &stop);
	instance_close(&in);
	store_file_close(&permanent_file);
	store_file_close(&volatile_file);
	return err;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct options o = { 0 };

	/* "vtpmd socket ..." as swtpm has it */
	if (argc > 1 && !strcmp(argv[1], "socket")) {
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (parse(&o, argc, argv)) {
		usage(stderr);
		return 2;
	}
	/* No secret in a core dump or, where the limit allows, in swap. */
	prctl(PR_SET_DUMPABLE, 0);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	umask(077);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return serve(&o) ? 1 : 0;
}

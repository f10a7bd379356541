// SPDX-License-Identifier: MIT
/* vtpmd: the TPM engine as a server with swtpm's and the reference simulator's protocols. docs/vtpmd.md. */
#include <errno.h>
#include <fcntl.h>
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
#include "tpm/vtpmd_options.h"

static volatile int stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int open_socket(const struct vtpmd_socket *s)
{
	switch (s->kind) {
	case VTPMD_SOCKET_FD:
		return (int)s->number;
	case VTPMD_SOCKET_UNIX:
		return server_unix(s->where, s->number);
	default:
		return server_tcp(s->where, s->number);
	}
}

static int open_store(struct store *s, struct store_file *f, const struct vtpmd_options *o,
		      const char *name, const uint8_t *key)
{
	char path[VTPMD_PATH_MAX + 16];
	int err;

	snprintf(path, sizeof(path), "%s/%s", o->dir, name);
	err = store_file_open(f, path, o->durable);
	if (!err)
		err = store_open(s, &store_file_device, f, TPM_MAX_BLOB, key, instance_random);
	if (err)
		fprintf(stderr, "vtpmd: %s: %s\n", path, strerror(-err));
	return err;
}

/* Startup as firmware would do it, for tests without firmware. */
static int startup(struct instance *in, bool state)
{
	uint8_t cmd[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, state },
		rsp[TPM_MAX_COMMAND];

	instance_execute(in, cmd, sizeof(cmd), rsp);
	if (!rsp[6] && !rsp[7] && !rsp[8] && !rsp[9])
		return 0;
	fprintf(stderr, "vtpmd: Startup: TPM_RC 0x%02X%02X\n", rsp[8], rsp[9]);
	return -EIO;
}

static int add_socket(struct server *s, const struct vtpmd_socket *from, enum server_role role)
{
	int fd = from->kind ? open_socket(from) : 0, err = fd;

	if (!from->kind)
		return 0;
	if (fd >= 0)
		err = server_listen(s, fd, role);
	if (err < 0)
		fprintf(stderr, "vtpmd: %s%s%u: %s\n", from->where, *from->where ? " " : "fd ",
			from->number, strerror(-err));
	return err;
}

static int add_sockets(struct server *s, const struct vtpmd_options *o)
{
	struct vtpmd_socket command = { VTPMD_SOCKET_TCP, "127.0.0.1", o->mssim };
	struct vtpmd_socket platform = { VTPMD_SOCKET_TCP, "127.0.0.1", o->mssim + 1 };
	int err = add_socket(s, &o->server, ROLE_DATA);

	if (!err)
		err = add_socket(s, &o->ctrl, ROLE_CTRL);
	if (!err && o->mssim)
		err = add_socket(s, &command, ROLE_MSSIM_COMMAND);
	if (!err && o->mssim)
		err = add_socket(s, &platform, ROLE_MSSIM_PLATFORM);
	return err;
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

/* No secret in a core dump or, where the limit allows, in swap. A child does not inherit locks. */
static void guard_memory(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

static int write_pid(const char *path, pid_t pid)
{
	FILE *f = fopen(path, "we");
	int err = 0;

	if (!f || fprintf(f, "%d\n", (int)pid) < 0)
		err = -errno;
	if (f && fclose(f) && !err)
		err = -errno;
	if (err)
		fprintf(stderr, "vtpmd: %s: %s\n", path, strerror(-err));
	return err;
}

static void become_daemon(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	(void)!chdir("/");
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	guard_memory();
}

/* With --daemon a child goes on, and the parent ends when its clients can connect and the file of its number is there. */
static int to_background(const struct vtpmd_options *o)
{
	pid_t child = o->daemon ? fork() : getpid();
	int err = 0;

	if (child < 0) {
		perror("vtpmd: fork");
		return -errno;
	}
	if (!child) {
		become_daemon();
		return 0;
	}
	if (*o->pid_file)
		err = write_pid(o->pid_file, child);
	if (o->daemon && err)
		kill(child, SIGTERM);
	if (o->daemon)
		_exit(err ? 1 : 0);
	return err;
}

static int open_stores(struct instance *in, struct store_file files[2],
		       const struct vtpmd_options *o)
{
	uint8_t key[STORE_KEY_SIZE];
	int err = *o->key_file ? key_file_read(o->key_file, key) : 0;

	if (err) {
		fprintf(stderr, "vtpmd: %s: %s\n", o->key_file, strerror(-err));
		return err;
	}
	err = open_store(&in->permanent, &files[0], o, "vtpm.permanent", *o->key_file ? key : NULL);
	if (!err)
		err = open_store(&in->suspended, &files[1], o, "vtpm.volatile",
				 *o->key_file ? key : NULL);
	mbedtls_platform_zeroize(key, sizeof(key));
	return err;
}

static int power_on(struct instance *in, const struct vtpmd_options *o)
{
	int err = o->init || o->mssim ? instance_init(in, true) : 0;

	if (err)
		fprintf(stderr, "vtpmd: state: %s\n", strerror(-err));
	return err || !o->startup ? err : startup(in, o->startup_state);
}

static int serve(const struct vtpmd_options *o)
{
	struct store_file files[2];
	struct instance in = { 0 };
	struct server server = { .instance = &in, .terminate_on_disconnect = o->terminate };
	int err = open_stores(&in, files, o);

	if (!err)
		err = instance_open(&in);
	if (!err)
		err = add_sockets(&server, o);
	if (!err)
		err = power_on(&in, o);
	if (!err)
		err = to_background(o);
	if (err)
		return err;
	err = o->unfiltered ? 0 : filter_calls();
	if (err)
		fprintf(stderr,
			"vtpmd: no system call filter (--seccomp action=none goes without): %s\n",
			strerror(-err));
	else
		err = server_run(&server, &stop);
	instance_close(&in);
	store_file_close(&files[0]);
	store_file_close(&files[1]);
	return err;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct vtpmd_options o;

	/* "vtpmd socket ..." as swtpm has it */
	if (argc > 1 && !strcmp(argv[1], "socket")) {
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (vtpmd_options_parse(&o, argc, argv))
		return 2;
	guard_memory();
	umask(077);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return serve(&o) ? 1 : 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef TPM_VTPMD_OPTIONS_H
#define TPM_VTPMD_OPTIONS_H

#include <stdbool.h>
#include <sys/un.h>

#define VTPMD_PATH_MAX 4000 /* leaves room for a file's name behind it */

/* Where clients come from. */
struct vtpmd_socket {
	enum {
		VTPMD_SOCKET_NONE,
		VTPMD_SOCKET_TCP,
		VTPMD_SOCKET_UNIX,
		VTPMD_SOCKET_FD, /* listening or connected already */
	} kind;
	char where[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* path, or IPv4 address */
	unsigned int number; /* port, permissions of the path, or descriptor */
};

/* vtpmd's command line, checked: docs/vtpmd.md. Paths that are not given are empty. */
struct vtpmd_options {
	char dir[VTPMD_PATH_MAX], key_file[VTPMD_PATH_MAX], pid_file[VTPMD_PATH_MAX];
	struct vtpmd_socket server, ctrl;
	unsigned int mssim; /* port of the commands, 0: none */
	bool durable, init, startup, startup_state;
	bool daemon, terminate, unfiltered;
};

/* Fills *o: 0, or -EINVAL after a line on standard error that says what is wrong. --help ends the program. */
int vtpmd_options_parse(struct vtpmd_options *o, int argc, char **argv);

#endif

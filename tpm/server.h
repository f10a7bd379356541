/* SPDX-License-Identifier: MIT */
#ifndef TPM_SERVER_H
#define TPM_SERVER_H

#include "tpm/instance.h"

enum server_role {
	ROLE_DATA, /* raw TPM commands */
	ROLE_CTRL, /* swtpm's control channel */
	ROLE_MSSIM_COMMAND,
	ROLE_MSSIM_PLATFORM,
};

#define SERVER_MAX_LISTEN  4
#define SERVER_MAX_CLIENTS 16

struct server {
	struct instance *instance;
	bool terminate_on_disconnect; /* of the data channel */
	int listeners;
	struct {
		int fd; /* -1: a client that server_run() has taken */
		enum server_role role;
		bool connected;
	} listen[SERVER_MAX_LISTEN];
};

/* Takes over a stream socket that listens or is connected to a client. 0, -ENOSPC or what is wrong with fd (-ENOTSOCK, ...). */
int server_listen(struct server *s, int fd, enum server_role role);
/* Serves until told to stop by a client or a signal, or nobody is left who could ask. 0 or -errno. */
int server_run(struct server *s, volatile int *stop);

/* Sockets for server_listen(). A descriptor or -errno. */
int server_tcp(const char *address, unsigned int port);
int server_unix(const char *path, unsigned int mode);

#endif

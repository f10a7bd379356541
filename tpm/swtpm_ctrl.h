/* SPDX-License-Identifier: MIT */
#ifndef TPM_SWTPM_CTRL_H
#define TPM_SWTPM_CTRL_H

#include <stddef.h>
#include <stdint.h>
#include "tpm/instance.h"

#define CTRL_MAX_MESSAGE 4200
#define CTRL_MAX_REPLY   (16 + TPM_MAX_BLOB)

/* What the server has to do beyond answering. */
enum ctrl_action {
	CTRL_NONE,
	CTRL_TERMINATE,
	CTRL_SET_DATAFD
};

struct ctrl_reply {
	uint8_t *buf; /* CTRL_MAX_REPLY bytes, the caller's */
	size_t len;
	enum ctrl_action action;
};

/* A state blob that comes in pieces (CMD_SET_STATEBLOB). */
struct ctrl {
	uint8_t *blob; /* TPM_MAX_BLOB bytes */
	size_t len;
	uint32_t type;
};

/* Bytes that the message starting with these needs: 0 when more must be read to tell, -EPROTO for nonsense. */
long ctrl_message_size(const uint8_t *msg, size_t len);
/* Handles one whole message of swtpm's control channel (swtpm's tpm_ioctl.h; docs/vtpmd.md). */
void ctrl_handle(struct ctrl *ctrl, struct instance *in, const uint8_t *msg, size_t len,
		 struct ctrl_reply *reply);

#endif

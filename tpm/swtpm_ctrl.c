// SPDX-License-Identifier: MIT
/* swtpm's control channel: each message a 32-bit command and its request, each answer a 32-bit result and more. */
#include <errno.h>
#include <string.h>
#include "proto/tpm.h"
#include "tpm/engine/buf.h"
#include "tpm/swtpm_ctrl.h"

enum {
	CMD_GET_CAPABILITY = 1,
	CMD_INIT,
	CMD_SHUTDOWN,
	CMD_GET_TPMESTABLISHED,
	CMD_SET_LOCALITY,
	CMD_HASH_START,
	CMD_HASH_DATA,
	CMD_HASH_END,
	CMD_CANCEL_TPM_CMD,
	CMD_STORE_VOLATILE,
	CMD_RESET_TPMESTABLISHED,
	CMD_GET_STATEBLOB,
	CMD_SET_STATEBLOB,
	CMD_STOP,
	CMD_GET_CONFIG,
	CMD_SET_DATAFD,
	CMD_SET_BUFFERSIZE,
	CMD_GET_INFO,
	CMD_LOCK_STORAGE,
};

#define INIT_DELETE_VOLATILE 1u
#define BLOB_PERMANENT       1u
#define BLOB_VOLATILE        2u
#define BLOB_SAVESTATE       3u
#define BLOB_DATA_MAX        (3 * 1024)
#define HASH_DATA_MAX        4096
/* Bits 0 to 16 in the order of the commands from CMD_INIT; 15 (SEND_COMMAND_HEADER) is swtpm's alone. */
#define CAPABILITIES 0x17FFFu

#define RESULT_BAD_PARAMETER 0x03 /* TPM 1.2 codes, as swtpm uses on this channel */
#define RESULT_BAD_ORDINAL   0x0A
#define RESULT_FAIL          0x09

/* Fixed request sizes after the command word; the two variable ones are handled apart. */
static long request_size(uint32_t command)
{
	switch (command) {
	case CMD_SET_LOCALITY:
	case CMD_RESET_TPMESTABLISHED:
		return 1;
	case CMD_INIT:
	case CMD_SET_BUFFERSIZE:
	case CMD_LOCK_STORAGE:
		return 4;
	case CMD_GET_STATEBLOB:
		return 12;
	case CMD_GET_INFO:
		return 16;
	default:
		return 0;
	}
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

long ctrl_message_size(const uint8_t *msg, size_t len)
{
	size_t length_at, max;
	uint32_t command, n;

	if (len < 4)
		return 0;
	command = be32(msg);
	/*
	 * Clients wait for each answer, and some send padding: QEMU's locality is four bytes long, not one. What comes
	 * with a message is part of it.
	 */
	if (command != CMD_HASH_DATA && command != CMD_SET_STATEBLOB) {
		size_t size = 4 + request_size(command);

		return (long)(len > size ? len : size);
	}
	length_at = command == CMD_HASH_DATA ? 4 : 12;
	max = command == CMD_HASH_DATA ? HASH_DATA_MAX : BLOB_DATA_MAX;
	if (len < length_at + 4)
		return 0;
	n = be32(msg + length_at);
	return n > max ? -EPROTO : (long)(length_at + 4 + n);
}

static uint32_t get_stateblob(struct instance *in, struct reader *r, struct writer *w)
{
	uint32_t flags, type, offset;
	long len = 0;

	read_u32(r, &flags);
	read_u32(r, &type);
	read_u32(r, &offset);
	if (!in->tpm)
		return RESULT_FAIL;
	if (type == BLOB_PERMANENT)
		len = tpm_save_permanent(in->tpm, in->buf, TPM_MAX_BLOB);
	else if (type == BLOB_VOLATILE)
		len = tpm_save_volatile(in->tpm, in->buf, TPM_MAX_BLOB);
	else if (type != BLOB_SAVESTATE) /* a TPM 1.2 thing: empty here */
		return RESULT_BAD_PARAMETER;
	if (len < 0)
		return RESULT_FAIL;
	if (offset > (uint32_t)len)
		return RESULT_BAD_PARAMETER;
	write_u32(w, 0);
	write_u32(w, (uint32_t)len - offset);
	write_u32(w, (uint32_t)len - offset);
	write_bytes(w, in->buf + offset, (size_t)len - offset);
	return 0;
}

/* The blob is complete with the first piece shorter than the largest, and is written to its store. */
static uint32_t set_stateblob(struct ctrl *ctrl, struct instance *in, struct reader *r)
{
	uint32_t flags, type, len;
	int err = 0;

	read_u32(r, &flags);
	read_u32(r, &type);
	read_u32(r, &len);
	if (in->tpm || flags)
		return RESULT_FAIL;
	if (type != ctrl->type)
		ctrl->len = 0;
	ctrl->type = type;
	if (len > TPM_MAX_BLOB - ctrl->len)
		return RESULT_BAD_PARAMETER;
	memcpy(ctrl->blob + ctrl->len, r->pos, len);
	ctrl->len += len;
	if (len == BLOB_DATA_MAX)
		return 0;
	if (type == BLOB_PERMANENT)
		err = store_save(&in->permanent, ctrl->blob, ctrl->len);
	else if (type == BLOB_VOLATILE)
		err = store_save(&in->suspended, ctrl->blob, ctrl->len);
	ctrl->len = 0;
	return err ? RESULT_FAIL : 0;
}

static void get_info(struct reader *r, struct writer *w)
{
	static const char info[] =
		"{\"TPMSpecification\":{\"family\":\"2.0\",\"level\":0,\"revision\":159}}";
	uint64_t flags;
	uint32_t offset;
	size_t len = sizeof(info);

	read_u64(r, &flags);
	read_u32(r, &offset);
	if (offset > len)
		offset = (uint32_t)len;
	write_u32(w, (uint32_t)len);
	write_u32(w, (uint32_t)len - offset);
	write_bytes(w, info + offset, len - offset);
}

static uint32_t hash(struct instance *in, uint32_t command, struct reader *r)
{
	uint32_t len;

	if (!in->tpm)
		return RESULT_FAIL;
	if (command == CMD_HASH_START)
		tpm_hash_start(in->tpm);
	else if (command == CMD_HASH_END)
		tpm_hash_end(in->tpm);
	else if (read_u32(r, &len))
		tpm_hash_data(in->tpm, r->pos, len);
	return 0;
}

static uint32_t handle(struct ctrl *ctrl, struct instance *in, uint32_t command, struct reader *r,
		       struct writer *w, enum ctrl_action *action)
{
	uint32_t value;
	uint8_t byte;

	switch (command) {
	case CMD_GET_CAPABILITY:
		write_u32(w, CAPABILITIES);
		return 0;
	case CMD_INIT:
		read_u32(r, &value);
		return instance_init(in, value & INIT_DELETE_VOLATILE) ? RESULT_FAIL : 0;
	case CMD_SHUTDOWN:
		instance_stop(in);
		*action = CTRL_TERMINATE;
		return 0;
	case CMD_STOP:
		instance_stop(in);
		return 0;
	case CMD_GET_TPMESTABLISHED:
		write_u32(w, in->tpm && tpm_established(in->tpm) ? 1u << 24 : 0);
		return in->tpm ? 0 : RESULT_FAIL;
	case CMD_RESET_TPMESTABLISHED:
		read_u8(r, &byte);
		if (!in->tpm)
			return RESULT_FAIL;
		/* PC Client profile: from locality 3 or 4 only */
		if (byte != 3 && byte != 4)
			return RESULT_BAD_PARAMETER;
		tpm_reset_established(in->tpm);
		return 0;
	case CMD_SET_LOCALITY:
		read_u8(r, &byte);
		if (byte > 4)
			return RESULT_BAD_PARAMETER;
		in->locality = byte;
		return 0;
	case CMD_HASH_START:
	case CMD_HASH_DATA:
	case CMD_HASH_END:
		return hash(in, command, r);
	case CMD_CANCEL_TPM_CMD: /* every command is over before the next message is read */
	case CMD_LOCK_STORAGE:   /* the store is locked from the start */
		return 0;
	case CMD_STORE_VOLATILE:
		return instance_store_volatile(in) ? RESULT_FAIL : 0;
	case CMD_GET_STATEBLOB:
		return get_stateblob(in, r, w);
	case CMD_SET_STATEBLOB:
		return set_stateblob(ctrl, in, r);
	case CMD_GET_CONFIG:
		write_u32(w, in->permanent.sealed ? 1 : 0);
		return 0;
	case CMD_SET_DATAFD:
		*action = CTRL_SET_DATAFD;
		return 0;
	case CMD_SET_BUFFERSIZE:
		for (int i = 0; i < 3; i++)
			write_u32(w, TPM_MAX_COMMAND);
		return 0;
	case CMD_GET_INFO:
		get_info(r, w);
		return 0;
	default:
		return RESULT_BAD_ORDINAL;
	}
}

void ctrl_handle(struct ctrl *ctrl, struct instance *in, const uint8_t *msg, size_t len,
		 struct ctrl_reply *reply)
{
	struct writer w = { .buf = reply->buf, .max = CTRL_MAX_REPLY },
		      patch = { .buf = reply->buf, .max = 4 };
	struct reader r = { msg, len };
	uint32_t command, result;

	reply->action = CTRL_NONE;
	read_u32(&r, &command);
	/* Capabilities are the one answer that is not the same in length when it fails. */
	write_u32(&w, 0);
	result = handle(ctrl, in, command, &r, &w, &reply->action);
	write_u32(&patch, result);
	reply->len = w.len;
}

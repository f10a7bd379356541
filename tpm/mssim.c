// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include "tpm/engine/buf.h"
#include "tpm/mssim.h"

enum {
	SIM_POWER_ON = 1,
	SIM_POWER_OFF = 2,
	SIM_PHYS_PRES_ON = 3,
	SIM_PHYS_PRES_OFF = 4,
	SIM_HASH_START = 5,
	SIM_HASH_DATA = 6,
	SIM_HASH_END = 7,
	SIM_SEND_COMMAND = 8,
	SIM_CANCEL_ON = 9,
	SIM_CANCEL_OFF = 10,
	SIM_NV_ON = 11,
	SIM_NV_OFF = 12,
	SIM_REMOTE_HANDSHAKE = 15,
	SIM_RESET = 17,
	SIM_RESTART = 18,
	SIM_SESSION_END = 20,
	SIM_STOP = 21,
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

long mssim_message_size(const uint8_t *msg, size_t len)
{
	size_t head = 4;
	uint32_t n;

	if (len < 4)
		return 0;
	switch (be32(msg)) {
	case SIM_REMOTE_HANDSHAKE:
		return 8;
	case SIM_SEND_COMMAND:
		head = 5; /* the locality */
		break;
	case SIM_HASH_DATA:
		break;
	default:
		return 4;
	}
	if (len < head + 4)
		return 0;
	n = be32(msg + head);
	return n > TPM_MAX_COMMAND ? -EPROTO : (long)(head + 4 + n);
}

static void platform_signal(struct instance *in, uint32_t signal, const uint8_t *data, size_t len)
{
	switch (signal) {
	case SIM_POWER_ON:
		if (!in->tpm)
			instance_init(in, true);
		break;
	case SIM_POWER_OFF:
		instance_stop(in);
		break;
	case SIM_RESET:
	case SIM_RESTART:
		if (in->tpm)
			tpm_reset(in->tpm);
		break;
	case SIM_PHYS_PRES_ON:
		in->physical_presence = true;
		break;
	case SIM_PHYS_PRES_OFF:
		in->physical_presence = false;
		break;
	case SIM_HASH_START:
		if (in->tpm)
			tpm_hash_start(in->tpm);
		break;
	case SIM_HASH_DATA:
		if (in->tpm)
			tpm_hash_data(in->tpm, data, len);
		break;
	case SIM_HASH_END:
		if (in->tpm)
			tpm_hash_end(in->tpm);
		break;
	default:
		break;
	}
}

static long send_command(struct instance *in, const uint8_t *msg, size_t len, uint8_t *out)
{
	struct writer w = { .buf = out, .max = TPM_MAX_COMMAND + 16 };
	size_t n;

	in->locality = msg[4];
	n = instance_execute(in, msg + 9, len - 9, out + 4);
	write_u32(&w, (uint32_t)n);
	w.len += n;
	write_u32(&w, 0);
	return (long)w.len;
}

long mssim_handle(struct instance *in, bool platform, const uint8_t *msg, size_t len, uint8_t *out,
		  bool *terminate)
{
	struct writer w = { .buf = out, .max = 16 };
	uint32_t signal = be32(msg);

	if (signal == SIM_SESSION_END)
		return -1;
	if (signal == SIM_STOP) {
		*terminate = true;
		return -1;
	}
	if (!platform && signal == SIM_SEND_COMMAND)
		return send_command(in, msg, len, out);
	if (!platform && signal == SIM_REMOTE_HANDSHAKE) {
		write_u32(&w, 1); /* server's version */
		write_u32(
			&w,
			0x15); /* in a simulator, with platform commands and a resource manager elsewhere */
	} else if (platform) {
		platform_signal(in, signal, msg + 8, len > 8 ? len - 8 : 0);
	} else {
		return -1;
	}
	write_u32(&w, 0);
	return (long)w.len;
}

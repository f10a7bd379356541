// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "proto/tpm.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/tpm/instance_fixture.h"
#include "tpm/mssim.h"
#include "tpm/swtpm_ctrl.h"

/*
 * What vtpmd's clients say on the control channel and on the simulator's two ports. A byte says which one, then its message
 * comes: as long as the protocol says it is, so that the next byte is where the next message begins.
 */

static struct instance_fixture *machine;
static struct ctrl ctrl;
static uint8_t message[TPM_MAX_COMMAND + CTRL_MAX_MESSAGE], out[CTRL_MAX_REPLY];

static void set_up(void)
{
	if (!machine) {
		machine = calloc(1, sizeof(*machine));
		ctrl.blob = malloc(TPM_MAX_BLOB);
		if (!machine || !ctrl.blob || instance_fixture_open(machine))
			abort();
	}
	instance_stop(&machine->in);
	ctrl.len = 0;
}

/* Bytes of the message that the input begins with; 0 when it has none, or is not whole. */
static size_t next_message(unsigned int channel, struct fuzz_input *in)
{
	size_t have = in->size < sizeof(message) ? in->size : sizeof(message);
	long size;

	memcpy(message, in->data, have);
	/* What comes with a message of the control channel belongs to it: one with no more than its first bytes. */
	if (!channel && have > 16 && message[3] != 7 && message[3] != 13)
		have = 16;
	size = channel ? mssim_message_size(message, have) : ctrl_message_size(message, have);
	if (size <= 0 || (size_t)size > have)
		return 0;
	fuzz_take_bytes(in, message, (size_t)size);
	return (size_t)size;
}

static void handle(unsigned int channel, size_t len)
{
	struct ctrl_reply reply = { .buf = out };
	bool terminate = false;

	if (!channel) {
		ctrl_handle(&ctrl, &machine->in, message, len, &reply);
		if (reply.len < 4 || reply.len > sizeof(out))
			abort();
	} else if (mssim_handle(&machine->in, channel == 2, message, len, out, &terminate) >
		   TPM_MAX_COMMAND + 16) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	set_up();
	while (in.size) {
		unsigned int channel = (unsigned int)fuzz_take(&in, 1) % 3;
		size_t len = next_message(channel, &in);

		if (!len)
			break;
		handle(channel, len);
	}
	return 0;
}

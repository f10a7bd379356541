// SPDX-License-Identifier: MIT
/*
 * Command bytes from the guest. An input is a sequence of commands, each led by a 16-bit length and a locality; tag and
 * size are put right for most of them, so that the fuzzer spends its time behind the header. Handles of what earlier
 * commands made repeat from run to run, the entropy being fixed.
 */
#include <stdint.h>
#include "tests/unit/tpm/tpm_fixture.h"

static struct fixture base;

static void run_one(struct fixture *f, const uint8_t *data, size_t len, uint8_t how)
{
	uint8_t cmd[TPM_MAX_COMMAND];

	if (len > sizeof(cmd))
		len = sizeof(cmd);
	memcpy(cmd, data, len);
	if (how & 0x80 && len >= 10) {
		cmd[0] = 0x80;
		cmd[1] = how & 0x40 ? 2 : 1;
		cmd[2] = cmd[3] = 0;
		cmd[4] = (uint8_t)(len >> 8);
		cmd[5] = (uint8_t)len;
		cmd[6] = cmd[7] = 0;
		cmd[8] = 1;
		/* key generation takes long; let most of those be something else */
		if (cmd[9] == 0x31 || cmd[9] == 0x53 || cmd[9] == 0x91)
			cmd[9] = how & 0x20 ? cmd[9] : 0x7A;
	}
	f->rsp_len = tpm_execute(f->tpm, how & 7, cmd, len, f->rsp);
	if (f->rsp_len < 10 || f->rsp_len > TPM_MAX_COMMAND)
		abort();
	f->now += 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture f;
	struct reader r = { data, size };
	struct span s;
	uint16_t len;
	uint8_t how;

	if (!base.blob) {
		fixture_init(&base);
		if (fixture_power_on(&base))
			abort();
		run_u16(&base, TPM_CC_Startup, TPM_SU_CLEAR);
		run_u16(&base, TPM_CC_Shutdown, TPM_SU_CLEAR);
	}
	fixture_init(&f);
	memcpy(f.blob, base.blob, base.blob_len);
	f.blob_len = base.blob_len;
	if (fixture_power_on(&f))
		abort();
	run_u16(&f, TPM_CC_Startup, TPM_SU_CLEAR);
	for (int i = 0; i < 24 && read_u8(&r, &how) && read_u16(&r, &len); i++) {
		if (!read_span(&r, len < r.left ? len : r.left, &s))
			break;
		run_one(&f, s.data, s.len, how);
	}
	fixture_free(&f);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * State blobs: permanent and volatile, from a store that may be in other hands. The checksum is put right, so that what
 * is behind it is reached; a blob that loads must leave a TPM that works.
 */
#include <stdint.h>
#include <mbedtls/sha256.h>
#include "tests/unit/tpm/tpm_fixture.h"

static void fix_checksum(uint8_t *blob, size_t len)
{
	if (len < 44)
		return;
	blob[8] = (uint8_t)((len - 44) >> 24);
	blob[9] = (uint8_t)((len - 44) >> 16);
	blob[10] = (uint8_t)((len - 44) >> 8);
	blob[11] = (uint8_t)(len - 44);
	mbedtls_sha256(blob, len - 32, blob + len - 32, 0);
}

static void exercise(struct fixture *f)
{
	struct writer *w;

	run_u16(f, TPM_CC_Startup, TPM_SU_STATE);
	run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR);
	for (uint32_t cap = 0; cap < 10; cap++) {
		w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetCapability);
		write_u32(w, cap);
		write_u32(w, 0);
		write_u32(w, 100);
		command_run(f);
	}
	for (uint32_t h = 0x80000000; h < 0x80000003; h++) {
		write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextSave), h);
		command_run(f);
	}
	run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture f;
	uint8_t *copy;

	if (!size || size > TPM_MAX_BLOB)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		fix_checksum(copy, size - 1);
	fixture_init(&f);
	if (data[0] & 2) {
		if (fixture_power_on(&f))
			abort();
		run_u16(&f, TPM_CC_Startup, TPM_SU_CLEAR);
		tpm_load_volatile(f.tpm, copy, size - 1);
		exercise(&f);
	} else if (size > 1) {
		memcpy(f.blob, copy, size - 1);
		f.blob_len = size - 1;
		if (!fixture_power_on(&f))
			exercise(&f);
	}
	fixture_free(&f);
	free(copy);
	return 0;
}

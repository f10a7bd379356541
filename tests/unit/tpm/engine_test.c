// SPDX-License-Identifier: MIT
/* The engine from outside: command bytes in, response bytes out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/crypto/hash.h"

#define H1 (TPM_RC_H + TPM_RC_1)
#define P1 (TPM_RC_P + TPM_RC_1)
#define P2 (TPM_RC_P + 2 * TPM_RC_1)
#define S1 (TPM_RC_S + TPM_RC_1)

static void power_cycle(struct fixture *f)
{
	tpm_destroy(f->tpm);
	assert_int_equal(fixture_power_on(f), 0);
}

static void needs_startup_once(void **state)
{
	struct fixture *f = *state;

	/* A new TPM's seeds are kept before it says the first thing. */
	assert_int_equal(f->commits, 0);
	assert_int_equal(run_u16(f, TPM_CC_GetRandom, 8), TPM_RC_INITIALIZE);
	assert_int_equal(f->commits, 1);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), TPM_RC_VALUE + P1);
	assert_int_equal(run_u16(f, TPM_CC_Startup, 7), TPM_RC_VALUE + P1);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), TPM_RC_INITIALIZE);
	assert_int_equal(run_u16(f, TPM_CC_GetRandom, 8), 0);
	assert_int_equal(f->rsp_len, 10 + 2 + 8);
}

static void bad_headers(void **state)
{
	struct fixture *f = *state;
	uint8_t bad_tag[] = { 0x12, 0x34, 0, 0, 0, 10, 0, 0, 1, 0x44 };
	uint8_t short_size[] = { 0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x44 };

	tpm_execute(f->tpm, 0, bad_tag, sizeof(bad_tag), f->rsp);
	assert_int_equal(f->rsp[1], 0xC4);
	assert_int_equal(f->rsp[9], TPM_RC_BAD_TAG);
	tpm_execute(f->tpm, 0, short_size, sizeof(short_size), f->rsp);
	assert_int_equal(f->rsp[8] << 8 | f->rsp[9], TPM_RC_COMMAND_SIZE);
	assert_int_equal(tpm_execute(f->tpm, 0, bad_tag, 0, f->rsp), 10);
	command_begin(f, TPM_ST_NO_SESSIONS, 0x1FF);
	assert_int_equal(command_run(f), TPM_RC_COMMAND_CODE);
	/* parameters too short, too long */
	command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetRandom);
	assert_int_equal(command_run(f), TPM_RC_INSUFFICIENT + P1);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetRandom), 0);
	assert_int_equal(command_run(f), TPM_RC_SIZE);
}

/* Part 3, 5.5: no room for one session, more than there is, a fourth session. */
static void sizes_of_authorisation_areas(void **state)
{
	struct fixture *f = *state;
	static const uint8_t password[9] = { TPM_RS_PW >> 24, 0, 0, TPM_RS_PW & 0xFF };
	static const uint32_t sizes[] = { 5, 8, 10, 0xFFFFFFFF, 4 * 9 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_PLATFORM);
		write_u32(&f->w, sizes[i]);
		for (uint32_t j = 0; j < (sizes[i] == 4 * 9 ? 4 : 1); j++)
			write_bytes(&f->w, password, sizeof(password));
		assert_int_equal(command_run(f), TPM_RC_AUTHSIZE);
	}
}

static void authorisation_is_asked_for(void **state)
{
	struct fixture *f = *state;

	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_Clear), TPM_RH_PLATFORM);
	assert_int_equal(command_run(f), TPM_RC_AUTH_MISSING);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_OWNER);
	command_password(f, "");
	assert_int_equal(command_run(f), TPM_RC_VALUE + H1);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_PLATFORM);
	command_password(f, "wrong");
	assert_int_equal(command_run(f), TPM_RC_BAD_AUTH + S1);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_PLATFORM);
	command_password(f, "");
	assert_int_equal(command_run(f), 0);
}

static void extend(struct fixture *f, uint32_t pcr, uint8_t fill, uint32_t want)
{
	uint8_t digest[32];

	memset(digest, fill, sizeof(digest));
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PCR_Extend), pcr);
	command_password(f, "");
	write_u32(&f->w, 1);
	write_u16(&f->w, TPM_ALG_SHA256);
	write_bytes(&f->w, digest, 32);
	assert_int_equal(command_run(f), want);
}

static void read_pcr(struct fixture *f, unsigned int pcr, uint8_t value[32])
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PCR_Read);

	write_u32(w, 1);
	write_u16(w, TPM_ALG_SHA256);
	write_u8(w, 3);
	for (unsigned int i = 0; i < 3; i++)
		write_u8(w, pcr / 8 == i ? (uint8_t)(1u << (pcr % 8)) : 0);
	assert_int_equal(command_run(f), 0);
	/* counter, selection, one digest */
	assert_int_equal(f->rsp_len, 10 + 4 + 4 + 6 + 4 + 2 + 32);
	memcpy(value, f->rsp + f->rsp_len - 32, 32);
}

static void pcrs_extend_and_reset(void **state)
{
	/* SHA-256 of 32 zeros and 32 times 01 */
	static const uint8_t start[] = { 0x5c, 0x85, 0x95, 0x5f, 0x70, 0x92, 0x83, 0xec };
	struct fixture *f = *state;
	uint8_t value[32], zero[32] = { 0 };

	extend(f, 0, 1, 0);
	read_pcr(f, 0, value);
	assert_memory_equal(value, start, sizeof(start));
	extend(f, 17, 1, TPM_RC_LOCALITY);
	read_pcr(f, 17, value);
	assert_int_equal(value[0], 0xFF);
	extend(f, 23, 1, 0);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PCR_Reset), 23);
	command_password(f, "");
	assert_int_equal(command_run(f), 0);
	read_pcr(f, 23, value);
	assert_memory_equal(value, zero, 32);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PCR_Reset), 0);
	command_password(f, "");
	assert_int_equal(command_run(f), TPM_RC_LOCALITY);
}

static void startup_state_brings_pcrs_back(void **state)
{
	struct fixture *f = *state;
	uint8_t before[32], after[32];

	extend(f, 5, 7, 0);
	read_pcr(f, 5, before);
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), 0);
	read_pcr(f, 5, after);
	assert_memory_equal(before, after, 32);
	/* an extend after Shutdown makes it void */
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	extend(f, 5, 7, 0);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), TPM_RC_VALUE + P1);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	read_pcr(f, 5, after);
	assert_int_equal(after[0], 0);
}

static void define(struct fixture *f, uint32_t index, uint32_t attributes, uint16_t size,
		   uint32_t want)
{
	size_t mark;

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_DefineSpace), TPM_RH_OWNER);
	command_password(f, "");
	write_u16(&f->w, 0);
	mark = write_2b_begin(&f->w);
	write_u32(&f->w, index);
	write_u16(&f->w, TPM_ALG_SHA256);
	write_u32(&f->w, attributes);
	write_u16(&f->w, 0);
	write_u16(&f->w, size);
	write_2b_end(&f->w, mark);
	assert_int_equal(command_run(f), want);
}

#define OWNER_RW (TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE)

static uint32_t nv_command(struct fixture *f, uint32_t code, uint32_t index, const void *params,
			   size_t len)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, code), TPM_RH_OWNER);
	write_u32(&f->w, index);
	command_password(f, "");
	write_bytes(&f->w, params, len);
	return command_run(f);
}

static void nv_survives_power_cycles(void **state)
{
	static const uint8_t write[] = { 0, 4, 'd', 'a', 't', 'a', 0, 2 }, read[] = { 0, 4, 0, 2 },
			     past[] = { 0, 4, 0, 5 };
	struct fixture *f = *state;

	define(f, 0x1500000, OWNER_RW, 8, 0);
	define(f, 0x1500000, OWNER_RW, 8, TPM_RC_NV_DEFINED);
	define(f, 0x1500001, 0, 8, TPM_RC_ATTRIBUTES + P2);
	define(f, 0x1500001, OWNER_RW | 1 << 4, 9, TPM_RC_SIZE + P2); /* a counter of nine bytes */
	assert_int_equal(nv_command(f, TPM_CC_NV_Read, 0x1500000, read, 4),
			 TPM_RC_NV_UNINITIALIZED);
	assert_int_equal(nv_command(f, TPM_CC_NV_Write, 0x1500000, write, sizeof(write)), 0);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	assert_int_equal(nv_command(f, TPM_CC_NV_Read, 0x1500000, read, 4), 0);
	assert_memory_equal(f->rsp + 16, "data", 4);
	assert_int_equal(nv_command(f, TPM_CC_NV_Read, 0x1500000, past, 4), TPM_RC_NV_RANGE);
}

static void orderly_counters_skip_what_may_be_lost(void **state)
{
	static const uint8_t read[] = { 0, 8, 0, 0 };
	struct fixture *f = *state;

	define(f, 0x1500002, OWNER_RW | TPMA_NV_ORDERLY | 1 << 4, 8, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nv_command(f, TPM_CC_NV_Increment, 0x1500002, NULL, 0), 0);
	power_cycle(f);
	run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR);
	assert_int_equal(nv_command(f, TPM_CC_NV_Read, 0x1500002, read, 4), 0);
	assert_int_equal(f->rsp[10 + 4 + 2 + 7], 0xFF);
}

/* policyDigest after one parameterless assertion in a fresh SHA-256 policy session of the given type. */
static uint32_t start_session(struct fixture *f, uint8_t type)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_StartAuthSession);
	struct reader r;
	uint32_t handle;
	uint8_t nonce[16] = { 0 };

	write_u32(w, TPM_RH_NULL);
	write_u32(w, TPM_RH_NULL);
	write_2b(w, nonce, sizeof(nonce));
	write_u16(w, 0);
	write_u8(w, type);
	write_u16(w, TPM_ALG_NULL);
	write_u16(w, TPM_ALG_SHA256);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	read_u32(&r, &handle);
	return handle;
}

static void assert_policy(struct fixture *f, uint32_t session, const uint8_t *start, size_t len)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyGetDigest), session);
	assert_int_equal(command_run(f), 0);
	assert_int_equal(f->rsp_len, 10 + 2 + 32);
	assert_memory_equal(f->rsp + 12, start, len);
}

static void policy_digests(void **state)
{
	/* PolicyAuthValue alone; PolicySecret(endorsement), which is the TCG EK templates' policy */
	static const uint8_t auth_value[] = { 0x8f, 0xcd, 0x21, 0x69, 0xab, 0x92, 0x69, 0x4e };
	static const uint8_t ek[] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84,
				      0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d };
	struct fixture *f = *state;
	uint32_t session = start_session(f, TPM_SE_TRIAL);

	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyAuthValue), session);
	assert_int_equal(command_run(f), 0);
	assert_policy(f, session, auth_value, sizeof(auth_value));
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyRestart), session);
	assert_int_equal(command_run(f), 0);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_PolicySecret), TPM_RH_ENDORSEMENT);
	write_u32(&f->w, session);
	command_password(f, "");
	write_bytes(&f->w, "\0\0\0\0\0\0\0\0\0\0", 10);
	assert_int_equal(command_run(f), 0);
	assert_policy(f, session, ek, sizeof(ek));
}

/* CreatePrimary of a P-256 storage key; the handle. */
static uint32_t create_primary(struct fixture *f, uint32_t hierarchy)
{
	struct writer *w = command_begin(f, TPM_ST_SESSIONS, TPM_CC_CreatePrimary);
	struct reader r;
	uint32_t handle;
	size_t mark;

	write_u32(w, hierarchy);
	command_password(f, "");
	write_bytes(w, "\0\4\0\0\0\0", 6);
	mark = write_2b_begin(w);
	write_u16(w, TPM_ALG_ECC);
	write_u16(w, TPM_ALG_SHA256);
	write_u32(w, TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent |
			     TPMA_OBJECT_sensitiveDataOrigin | TPMA_OBJECT_userWithAuth |
			     TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt | TPMA_OBJECT_noDA);
	write_u16(w, 0);
	write_u16(w, TPM_ALG_AES);
	write_u16(w, 128);
	write_u16(w, TPM_ALG_CFB);
	write_u16(w, TPM_ALG_NULL);
	write_u16(w, TPM_ECC_NIST_P256);
	write_u16(w, TPM_ALG_NULL);
	write_u32(w, 0);
	write_2b_end(w, mark);
	write_u16(w, 0);
	write_u32(w, 0);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	read_u32(&r, &handle);
	return handle;
}

static uint32_t flush(struct fixture *f, uint32_t handle)
{
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_FlushContext), handle);
	return command_run(f);
}

static void primaries_depend_on_their_seed_alone(void **state)
{
	struct fixture *f = *state;
	uint8_t first[200];
	uint32_t h;

	h = create_primary(f, TPM_RH_OWNER);
	memcpy(first, f->rsp + 20, sizeof(first) - 80);
	assert_int_equal(flush(f, h), 0);
	power_cycle(f);
	run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR);
	h = create_primary(f, TPM_RH_OWNER);
	assert_memory_equal(first, f->rsp + 20, sizeof(first) - 80);
	flush(f, h);
	h = create_primary(f, TPM_RH_PLATFORM);
	assert_memory_not_equal(first, f->rsp + 20, sizeof(first) - 80);
	flush(f, h);
	/* Clear gives a new owner seed */
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_LOCKOUT);
	command_password(f, "");
	assert_int_equal(command_run(f), 0);
	create_primary(f, TPM_RH_OWNER);
	assert_memory_not_equal(first, f->rsp + 20, sizeof(first) - 80);
}

static void slots_run_out_and_contexts_come_back(void **state)
{
	struct fixture *f = *state;
	uint8_t context[TPM_MAX_COMMAND];
	size_t len;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(create_primary(f, TPM_RH_NULL), 0x80000000 + i);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextSave), 0x80000001);
	assert_int_equal(command_run(f), 0);
	len = f->rsp_len - 10;
	memcpy(context, f->rsp + 10, len);
	write_bytes(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextLoad), context, len);
	assert_int_equal(command_run(f), TPM_RC_OBJECT_MEMORY);
	assert_int_equal(flush(f, 0x80000001), 0);
	assert_int_equal(flush(f, 0x80000001), TPM_RC_HANDLE + P1);
	write_bytes(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextLoad), context, len);
	assert_int_equal(command_run(f), 0);
	/* one bit off */
	flush(f, 0x80000001);
	context[len - 1] ^= 1;
	write_bytes(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextLoad), context, len);
	assert_int_equal(command_run(f), TPM_RC_INTEGRITY + P1);
}

static uint32_t sequence_command(struct fixture *f, uint32_t code, uint32_t handle,
				 const char *data)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, code), handle);
	command_password(f, "");
	write_2b(&f->w, data, strlen(data));
	if (code == TPM_CC_SequenceComplete)
		write_u32(&f->w, TPM_RH_NULL);
	return command_run(f);
}

/* To another process, which goes on where this one was. */
static void move(struct fixture *f)
{
	uint8_t *blob = malloc(TPM_MAX_BLOB);
	long size = tpm_save_volatile(f->tpm, blob, TPM_MAX_BLOB);

	assert_true(size > 0);
	power_cycle(f);
	assert_int_equal(tpm_load_volatile(f->tpm, blob, (size_t)size), 0);
	free(blob);
}

/* A hash half done goes on where it was, out of its slot and back, and over a move to another process. */
static void a_sequence_survives_its_context(void **state)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
	struct fixture *f = *state;
	uint8_t context[TPM_MAX_COMMAND];
	struct reader r;
	uint32_t handle;
	size_t len;

	write_u16(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_HashSequenceStart), 0);
	write_u16(&f->w, TPM_ALG_SHA256);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	read_u32(&r, &handle);
	assert_int_equal(sequence_command(f, TPM_CC_SequenceUpdate, handle, "a"), 0);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextSave), handle);
	assert_int_equal(command_run(f), 0);
	len = f->rsp_len - 10;
	memcpy(context, f->rsp + 10, len);
	assert_int_equal(flush(f, handle), 0);
	write_bytes(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ContextLoad), context, len);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	read_u32(&r, &handle);
	assert_int_equal(sequence_command(f, TPM_CC_SequenceUpdate, handle, "b"), 0);
	move(f);
	assert_int_equal(sequence_command(f, TPM_CC_SequenceComplete, handle, "c"), 0);
	/* behind the size of the parameters and of the digest */
	assert_memory_equal(f->rsp + 16, abc, sizeof(abc));
}

/* A block cipher's key of SP 800-38B, D.1, loaded from outside. */
static uint32_t load_cipher_key(struct fixture *f, uint32_t attributes, uint16_t mode)
{
	static const uint8_t key[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
					 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };
	uint8_t seeded[32 + 16] = { 0 }, unique[32];
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_LoadExternal);
	size_t mark;

	memcpy(seeded + 32, key, sizeof(key));
	hash_buf(TPM_ALG_SHA256, seeded, sizeof(seeded), unique);
	mark = write_2b_begin(w);
	write_u16(w, TPM_ALG_SYMCIPHER);
	write_u16(w, 0);
	write_2b(w, seeded, 32);
	write_2b(w, key, sizeof(key));
	write_2b_end(w, mark);
	mark = write_2b_begin(w);
	write_u16(w, TPM_ALG_SYMCIPHER);
	write_u16(w, TPM_ALG_SHA256);
	write_u32(w, attributes | TPMA_OBJECT_userWithAuth);
	write_u16(w, 0);
	write_u16(w, TPM_ALG_AES);
	write_u16(w, 128);
	write_u16(w, mode);
	write_2b(w, unique, sizeof(unique));
	write_2b_end(w, mark);
	write_u32(w, TPM_RH_NULL);
	return command_run(f);
}

static uint32_t loaded_cipher_key(struct fixture *f, uint32_t attributes, uint16_t mode)
{
	struct reader r;
	uint32_t handle = 0;

	assert_int_equal(load_cipher_key(f, attributes, mode), 0);
	r = response(f);
	read_u32(&r, &handle);
	return handle;
}

/* TPM2_MAC or, with an authorisation value in the place of data, TPM2_MAC_Start. */
static uint32_t mac_command(struct fixture *f, uint32_t code, uint32_t key, size_t len,
			    uint16_t alg)
{
	static const uint8_t message[40] = { 0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
					     0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
					     0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c,
					     0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51,
					     0x30, 0xc8, 0x1c, 0x46, 0xa3, 0x5c, 0xe4, 0x11 };

	write_u32(command_begin(f, TPM_ST_SESSIONS, code), key);
	command_password(f, "");
	write_2b(&f->w, message, len);
	write_u16(&f->w, alg);
	return command_run(f);
}

static const uint8_t mac_of_none[16] = { 0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28,
					 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46 };

static void cmac_keys(void **state)
{
	static const uint8_t mac_of_forty[16] = { 0xdf, 0xa6, 0x67, 0x47, 0xde, 0x9a, 0xe6, 0x30,
						  0x30, 0xca, 0x32, 0x61, 0x14, 0x97, 0xc8, 0x27 };
	struct fixture *f = *state;
	uint32_t key = loaded_cipher_key(f, TPMA_OBJECT_sign, TPM_ALG_CMAC), other;

	assert_int_equal(mac_command(f, TPM_CC_MAC, key, 40, TPM_ALG_CMAC), 0);
	assert_int_equal(f->rsp_len, 10 + 4 + 2 + 16 + 5);
	assert_memory_equal(f->rsp + 16, mac_of_forty, sizeof(mac_of_forty));
	assert_int_equal(mac_command(f, TPM_CC_MAC, key, 0, TPM_ALG_NULL), 0);
	assert_memory_equal(f->rsp + 16, mac_of_none, sizeof(mac_of_none));
	assert_int_equal(mac_command(f, TPM_CC_MAC, key, 0, TPM_ALG_SHA256), TPM_RC_VALUE + P2);
	assert_int_equal(mac_command(f, TPM_CC_MAC, key, 0, TPM_ALG_CFB), TPM_RC_SYMMETRIC + P2);
	/* It enciphers nothing, and a key that deciphers makes no MACs. */
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_EncryptDecrypt), key);
	command_password(f, "");
	write_u8(&f->w, 0);
	write_u16(&f->w, TPM_ALG_CFB);
	write_2b(&f->w, mac_of_none, 16);
	write_2b(&f->w, mac_of_none, 16);
	assert_int_equal(command_run(f), TPM_RC_MODE + H1);
	assert_int_equal(load_cipher_key(f, TPMA_OBJECT_sign | TPMA_OBJECT_decrypt, TPM_ALG_CMAC),
			 TPM_RC_SCHEME + P2);
	other = loaded_cipher_key(f, TPMA_OBJECT_sign, TPM_ALG_CFB);
	assert_int_equal(mac_command(f, TPM_CC_MAC, other, 0, TPM_ALG_NULL), TPM_RC_SCHEME + P2);
	assert_int_equal(mac_command(f, TPM_CC_MAC, other, 0, TPM_ALG_CMAC), TPM_RC_VALUE + P2);
	assert_int_equal(flush(f, other), 0);
	other = loaded_cipher_key(f, TPMA_OBJECT_sign, TPM_ALG_NULL);
	assert_int_equal(mac_command(f, TPM_CC_MAC, other, 0, TPM_ALG_NULL), TPM_RC_VALUE + P2);
	assert_int_equal(mac_command(f, TPM_CC_MAC, other, 40, TPM_ALG_CMAC), 0);
	assert_memory_equal(f->rsp + 16, mac_of_forty, sizeof(mac_of_forty));
	assert_int_equal(flush(f, other), 0);
}

/* Neither is a sequence a key, nor does an asymmetric key make MACs. */
static void macs_need_keys_for_them(void **state)
{
	struct fixture *f = *state;
	uint32_t key = loaded_cipher_key(f, TPMA_OBJECT_sign, TPM_ALG_CMAC);
	uint32_t others[2] = { 0, create_primary(f, TPM_RH_OWNER) };
	struct reader r;

	assert_int_equal(mac_command(f, TPM_CC_MAC_Start, key, 0, TPM_ALG_CMAC), 0);
	r = response(f);
	assert_true(read_u32(&r, &others[0]));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(mac_command(f, TPM_CC_MAC, others[i], 0, TPM_ALG_CMAC),
				 TPM_RC_TYPE + H1);
		assert_int_equal(mac_command(f, TPM_CC_MAC_Start, others[i], 0, TPM_ALG_SHA256),
				 TPM_RC_TYPE + H1);
	}
}

/* A CMAC half done goes on after a move to another process. */
static void a_cmac_sequence_moves(void **state)
{
	/* AES-CMAC of "abc" with that key, by OpenSSL */
	static const uint8_t mac[16] = { 0xbe, 0x68, 0x60, 0xf8, 0x86, 0x01, 0x59, 0x7b,
					 0x64, 0x7d, 0xc5, 0xb2, 0xa0, 0x7f, 0xc0, 0xad };
	struct fixture *f = *state;
	uint32_t key = loaded_cipher_key(f, TPMA_OBJECT_sign, TPM_ALG_CMAC), handle = 0;
	struct reader r;

	assert_int_equal(mac_command(f, TPM_CC_MAC_Start, key, 0, TPM_ALG_CMAC), 0);
	r = response(f);
	read_u32(&r, &handle);
	assert_int_equal(sequence_command(f, TPM_CC_SequenceUpdate, handle, "ab"), 0);
	move(f);
	assert_int_equal(sequence_command(f, TPM_CC_SequenceComplete, handle, "c"), 0);
	assert_memory_equal(f->rsp + 16, mac, sizeof(mac));
}

static void wrong_passwords_lock_out_and_heal(void **state)
{
	static const uint8_t read[] = { 0, 0, 0, 0 };
	struct fixture *f = *state;

	define(f, 0x1500003, TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE, 8, 0);
	for (int i = 0; i < 4; i++) {
		write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_Read), 0x1500003);
		write_u32(&f->w, 0x1500003);
		command_password(f, "guess");
		write_bytes(&f->w, read, 4);
		assert_int_equal(command_run(f), i < 3 ? TPM_RC_AUTH_FAIL + S1 : TPM_RC_LOCKOUT);
	}
	f->now += 1000 * 1000; /* one recovery interval forgives one failure */
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_Read), 0x1500003);
	write_u32(&f->w, 0x1500003);
	command_password(f, "guess");
	write_bytes(&f->w, read, 4);
	assert_int_equal(command_run(f), TPM_RC_AUTH_FAIL + S1);
}

static uint32_t failed_tries(struct fixture *f)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetCapability);
	uint32_t tries;

	write_u32(w, TPM_CAP_TPM_PROPERTIES);
	write_u32(w, TPM_PT_LOCKOUT_COUNTER);
	write_u32(w, 1);
	assert_int_equal(command_run(f), 0);
	read_u32(&(struct reader){ f->rsp + f->rsp_len - 4, 4 }, &tries);
	return tries;
}

/* Before Startup, Time is younger than the failure: no time to heal has passed. */
static void failures_outlast_a_reset(void **state)
{
	struct fixture *f = *state;

	define(f, 0x1500003, TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE, 8, 0);
	f->now += 5000;
	for (unsigned int i = 1; i < 3; i++) {
		write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_NV_Read), 0x1500003);
		write_u32(&f->w, 0x1500003);
		command_password(f, "guess");
		write_u32(&f->w, 0);
		assert_int_equal(command_run(f), TPM_RC_AUTH_FAIL + S1);
		assert_int_equal(failed_tries(f), i);
		assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_CLEAR), 0);
		tpm_reset(f->tpm);
		assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
		assert_int_equal(failed_tries(f), i);
	}
}

/* What a seed made is gone with it, persistent or not. */
static void a_new_seed_ends_its_keys(void **state)
{
	struct fixture *f = *state;
	uint32_t handle = create_primary(f, TPM_RH_ENDORSEMENT);

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_EvictControl), TPM_RH_OWNER);
	write_u32(&f->w, handle);
	command_password(f, "");
	write_u32(&f->w, 0x81000001);
	assert_int_equal(command_run(f), 0);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ReadPublic), 0x81000001);
	assert_int_equal(command_run(f), 0);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ChangeEPS), TPM_RH_PLATFORM);
	command_password(f, "");
	assert_int_equal(command_run(f), 0);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ReadPublic), 0x81000001);
	assert_int_equal(command_run(f), TPM_RC_HANDLE + H1);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ReadPublic), handle);
	assert_int_equal(command_run(f), TPM_RC_REFERENCE_H0);
}

static void a_failed_commit_is_failure_mode(void **state)
{
	struct fixture *f = *state;

	f->commit_fails = true;
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_Clear), TPM_RH_PLATFORM);
	command_password(f, "");
	assert_int_equal(command_run(f), TPM_RC_FAILURE);
	assert_int_equal(run_u16(f, TPM_CC_GetRandom, 1), TPM_RC_FAILURE);
	command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetTestResult);
	assert_int_equal(command_run(f), 0);
	/* and without sessions only (Part 3, 5.3) */
	command_begin(f, TPM_ST_SESSIONS, TPM_CC_GetTestResult);
	command_password(f, "");
	assert_int_equal(command_run(f), TPM_RC_FAILURE);
}

static void expect_properties(struct fixture *f, uint32_t from, uint32_t first, uint32_t last)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetCapability);
	struct reader r;
	uint32_t count, tag = 0, value;

	write_u32(w, TPM_CAP_TPM_PROPERTIES);
	write_u32(w, from);
	write_u32(w, 1000);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	assert_int_equal(r.pos[0], 0); /* no more */
	r.pos += 5;
	r.left -= 5;
	assert_true(read_u32(&r, &count));
	assert_int_equal(r.left, count * 8);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(read_u32(&r, &tag) && read_u32(&r, &value));
		if (!i)
			assert_int_equal(tag, first);
	}
	assert_int_equal(tag, last);
}

/* Part 3, 30.2: those of one group at a time. */
static void properties_come_in_groups(void **state)
{
	struct fixture *f = *state;

	expect_properties(f, 0, TPM_PT_FAMILY_INDICATOR, TPM_PT_MAX_CAP_BUFFER);
	expect_properties(f, TPM_PT_YEAR, TPM_PT_YEAR, TPM_PT_MAX_CAP_BUFFER);
	expect_properties(f, TPM_PT_PERMANENT, TPM_PT_PERMANENT, TPM_PT_AUDIT_COUNTER_1);
	expect_properties(f, 0x300, 0, 0);
}

static uint32_t adjust_rate(struct fixture *f, int8_t adjust)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ClockRateAdjust), TPM_RH_OWNER);
	command_password(f, "");
	write_u8(&f->w, (uint8_t)adjust);
	return command_run(f);
}

/* Part 3, 29.3: no further than real time can be off, 15 %. */
static void clock_rates_have_a_limit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(adjust_rate(f, TPM_CLOCK_COARSE_FASTER), 0);
	assert_int_equal(adjust_rate(f, TPM_CLOCK_COARSE_FASTER), TPM_RC_VALUE + P1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(adjust_rate(f, 2), 0);
	assert_int_equal(adjust_rate(f, 2), TPM_RC_VALUE + P1);
	assert_int_equal(adjust_rate(f, 1), TPM_RC_VALUE + P1);
	/* what was refused did nothing: 300 thousandths to the other limit */
	assert_int_equal(adjust_rate(f, TPM_CLOCK_COARSE_SLOWER), 0);
	assert_int_equal(adjust_rate(f, TPM_CLOCK_COARSE_SLOWER), 0);
	assert_int_equal(adjust_rate(f, TPM_CLOCK_COARSE_SLOWER), 0);
	assert_int_equal(adjust_rate(f, -1), TPM_RC_VALUE + P1);
}

static void damaged_state_is_refused(void **state)
{
	struct fixture *f = *state;
	int err;

	for (size_t i = 0; i < f->blob_len; i += 97) {
		f->blob[i] ^= 4;
		assert_null(tpm_create(&fixture_platform, f, f->blob, f->blob_len, &err));
		assert_int_equal(err, -EBADMSG);
		f->blob[i] ^= 4;
	}
	assert_null(tpm_create(&fixture_platform, f, f->blob, f->blob_len - 1, &err));
}

static void volatile_state_moves(void **state)
{
	struct fixture *f = *state;
	uint8_t *blob = malloc(TPM_MAX_BLOB), before[32], after[32];
	long len;
	uint32_t h, session;

	extend(f, 3, 9, 0);
	read_pcr(f, 3, before);
	h = create_primary(f, TPM_RH_OWNER);
	session = start_session(f, TPM_SE_POLICY);
	len = tpm_save_volatile(f->tpm, blob, TPM_MAX_BLOB);
	assert_true(len > 0);
	f->blob_len = (size_t)tpm_save_permanent(f->tpm, f->blob, TPM_MAX_BLOB);
	power_cycle(f);
	assert_int_equal(tpm_load_volatile(f->tpm, blob, (size_t)len), 0);
	read_pcr(f, 3, after);
	assert_memory_equal(before, after, 32);
	assert_int_equal(flush(f, h), 0);
	assert_int_equal(flush(f, session), 0);
	blob[40] ^= 1;
	assert_int_equal(tpm_load_volatile(f->tpm, blob, (size_t)len), -EBADMSG);
	free(blob);
}

static void hardware_measurements(void **state)
{
	struct fixture *f = *state;
	uint8_t value[32];

	tpm_hash_start(f->tpm);
	tpm_hash_data(f->tpm, (const uint8_t *)"abc", 3);
	tpm_hash_end(f->tpm);
	assert_true(tpm_established(f->tpm));
	read_pcr(f, 17, value);
	assert_int_not_equal(value[0], 0xFF);
	tpm_reset(f->tpm);
	tpm_hash_start(f->tpm);
	tpm_hash_end(f->tpm);
	run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR);
	read_pcr(f, 0, value);
	assert_int_not_equal(value[0], 0);
}

/* Clock and its `safe` as TPM2_ReadClock gives them. */
static uint64_t read_clock(struct fixture *f, uint8_t *safe)
{
	uint64_t time, clock = 0;
	uint32_t resets, restarts;
	struct reader r;

	command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_ReadClock);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	assert_true(read_u64(&r, &time) && read_u64(&r, &clock) && read_u32(&r, &resets) &&
		    read_u32(&r, &restarts) && read_u8(&r, safe));
	return clock;
}

#define CLOCK_INTERVAL 32768

/* Runs a command that changes nothing, each second until Clock has been saved, or has waited to be, that often. */
static void pass_intervals(struct fixture *f, unsigned int n)
{
	for (unsigned int s = 0; s < n * (CLOCK_INTERVAL / 1000 + 1); s++) {
		f->now += 1000;
		assert_int_equal(run_u16(f, TPM_CC_GetRandom, 8), 0);
	}
}

static void no_command_waits_for_the_clock(void **state)
{
	struct fixture *f = *state;
	unsigned int commits = f->commits;

	pass_intervals(f, 10);
	assert_int_equal(f->commits, commits);
	assert_in_range(f->commits_soon, 10, 11);
}

/* While one save takes long, Clock is at most three intervals ahead of what is durable. */
static void the_clock_stays_near_what_is_durable(void **state)
{
	struct fixture *f = *state;
	unsigned int commits = f->commits;

	f->soon_busy = true;
	pass_intervals(f, 1);
	assert_int_equal(f->commits, commits);
	pass_intervals(f, 1);
	assert_int_equal(f->commits, commits + 1);
	f->soon_busy = false;
	pass_intervals(f, 3);
	assert_int_equal(f->commits, commits + 1);
	assert_in_range(f->commits_soon, 3, 4);
}

/* Part 1, 36.3: `safe` says that no later Clock was ever reported. */
static void the_clock_is_safe_when_nothing_later_was_reported(void **state)
{
	struct fixture *f = *state;
	uint64_t reported, clock;
	uint8_t safe = 0;

	pass_intervals(f, 1);
	f->soon_busy = true;
	pass_intervals(f, 1);
	reported = read_clock(f, &safe);
	tpm_destroy(f->tpm); /* no Shutdown */
	f->soon_busy = false;
	assert_int_equal(fixture_power_on(f), 0);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	clock = read_clock(f, &safe);
	assert_true(clock < reported && !safe);
	while (!safe) {
		pass_intervals(f, 1);
		clock = read_clock(f, &safe);
		assert_true(clock < 20 * CLOCK_INTERVAL);
	}
	assert_true(clock > reported);
	/* after a Shutdown it stays so */
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_CLEAR), 0);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	assert_true(read_clock(f, &safe) >= clock && safe);
}

int main(void)
{
#define started(t) cmocka_unit_test_setup_teardown(t, fixture_setup_started, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(needs_startup_once, fixture_setup,
						fixture_teardown),
		started(bad_headers),
		started(sizes_of_authorisation_areas),
		started(authorisation_is_asked_for),
		started(pcrs_extend_and_reset),
		started(startup_state_brings_pcrs_back),
		started(nv_survives_power_cycles),
		started(orderly_counters_skip_what_may_be_lost),
		started(policy_digests),
		started(primaries_depend_on_their_seed_alone),
		started(slots_run_out_and_contexts_come_back),
		started(a_sequence_survives_its_context),
		started(cmac_keys),
		started(macs_need_keys_for_them),
		started(a_cmac_sequence_moves),
		started(wrong_passwords_lock_out_and_heal),
		started(failures_outlast_a_reset),
		started(a_new_seed_ends_its_keys),
		started(a_failed_commit_is_failure_mode),
		started(properties_come_in_groups),
		started(clock_rates_have_a_limit),
		started(damaged_state_is_refused),
		started(volatile_state_moves),
		started(hardware_measurements),
		started(no_command_waits_for_the_clock),
		started(the_clock_stays_near_what_is_durable),
		started(the_clock_is_safe_when_nothing_later_was_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Random TPM commands from tests/tpm/grammar.def, and what later ones want of a response. Used by one thread. */
#ifndef TESTS_FUZZ_TPM_GRAMMAR_H
#define TESTS_FUZZ_TPM_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAMMAR_POWER   (-1)
#define GRAMMAR_KEPT    4 /* of each kind, the newest first */
#define GRAMMAR_KINDS   32
#define GRAMMAR_LARGEST 2048

/* What a TPM has returned. */
struct grammar_kept {
	uint16_t len[GRAMMAR_KINDS][GRAMMAR_KEPT];
	uint8_t bytes[GRAMMAR_KINDS][GRAMMAR_KEPT][GRAMMAR_LARGEST];
};

uint32_t grammar_random(uint32_t *state, uint32_t below);
/* A command's number, at random. */
int grammar_pick(uint32_t *state);
/* The numbers of a scenario's commands (GRAMMAR_POWER: the power goes); returns how many. */
size_t grammar_scenario(uint32_t *state, int *numbers, size_t max);
/* Bytes of the command, header included, its size field wrong, references as they are. */
size_t grammar_command(uint32_t *state, int number, uint8_t *out, size_t max, bool *sessions);

/* Puts what was kept where the references are. */
size_t grammar_fill(const struct grammar_kept *kept, const uint8_t *in, size_t len, uint8_t *out,
		    size_t max);
/* Keeps what a good response to that command code holds. */
void grammar_keep(struct grammar_kept *kept, uint32_t code, const uint8_t *rsp, size_t len);

#endif

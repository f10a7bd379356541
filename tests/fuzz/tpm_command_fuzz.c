// SPDX-License-Identifier: MIT
/*
 * Command bytes from the guest. An input is a sequence of commands, each led by a byte that says how and a 16-bit length; tag
 * and size are put right for most of them, so that the fuzzer spends its time behind the header. References stand for what
 * earlier commands returned. The entropy is fixed, so runs repeat. The mutator knows commands (tpm_grammar.h), and puts
 * whole ones in, or changes what is there.
 */
#include <stdint.h>
#include "tests/fuzz/tpm_grammar.h"
#include "tests/unit/tpm/tpm_fixture.h"

#define HOW_LOCALITY 0x07
#define HOW_POWER    0x08 /* no command: the power goes */
#define HOW_MAKES    0x20 /* it may make keys, which takes long */
#define HOW_SESSIONS 0x40
#define HOW_HEADER   0x80 /* put right */
#define MAX_ITEMS    48
#define ITEM_HEADER  3

static struct fixture base;
static struct grammar_kept kept;

static void put_header_right(uint8_t *cmd, size_t len, uint8_t how)
{
	cmd[0] = 0x80;
	cmd[1] = how & HOW_SESSIONS ? 2 : 1;
	cmd[2] = cmd[3] = 0;
	cmd[4] = (uint8_t)(len >> 8);
	cmd[5] = (uint8_t)len;
	cmd[6] = cmd[7] = 0;
	cmd[8] = 1;
	if ((cmd[9] == 0x31 || cmd[9] == 0x53 || cmd[9] == 0x91) && !(how & HOW_MAKES))
		cmd[9] = 0x7A;
}

static void run_one(struct fixture *f, const uint8_t *data, size_t len, uint8_t how)
{
	uint8_t cmd[TPM_MAX_COMMAND];
	uint32_t code;

	len = grammar_fill(&kept, data, len, cmd, sizeof(cmd));
	if (how & HOW_HEADER && len >= 10)
		put_header_right(cmd, len, how);
	f->rsp_len = tpm_execute(f->tpm, how & HOW_LOCALITY, cmd, len, f->rsp);
	if (f->rsp_len < 10 || f->rsp_len > TPM_MAX_COMMAND)
		abort();
	if (len >= 10 && !memcmp(f->rsp + 6, "\0\0\0", 4)) {
		code = (uint32_t)cmd[6] << 24 | (uint32_t)cmd[7] << 16 | (uint32_t)cmd[8] << 8 |
		       cmd[9];
		grammar_keep(&kept, code, f->rsp, f->rsp_len);
	}
	f->now += 100;
}

static void lose_power(struct fixture *f)
{
	tpm_destroy(f->tpm);
	if (fixture_power_on(f))
		abort();
}

struct item {
	uint8_t how;
	struct span bytes;
};

static size_t split(const uint8_t *data, size_t size, struct item *items)
{
	struct reader r = { data, size };
	size_t n = 0;
	uint16_t len;

	while (n < MAX_ITEMS && read_u8(&r, &items[n].how) && read_u16(&r, &len)) {
		if (!read_span(&r, len < r.left ? len : r.left, &items[n].bytes))
			break;
		n++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct item items[MAX_ITEMS];
	struct fixture f;
	size_t n = split(data, size, items);

	if (!base.blob) {
		fixture_init(&base);
		if (fixture_power_on(&base))
			abort();
		run_u16(&base, TPM_CC_Startup, TPM_SU_CLEAR);
		run_u16(&base, TPM_CC_Shutdown, TPM_SU_CLEAR);
	}
	memset(kept.len, 0, sizeof(kept.len));
	fixture_init(&f);
	memcpy(f.blob, base.blob, base.blob_len);
	f.blob_len = base.blob_len;
	if (fixture_power_on(&f))
		abort();
	run_u16(&f, TPM_CC_Startup, TPM_SU_CLEAR);
	f.presence = true;
	for (size_t i = 0; i < n; i++) {
		if (items[i].how & HOW_POWER)
			lose_power(&f);
		else
			run_one(&f, items[i].bytes.data, items[i].bytes.len, items[i].how);
	}
	fixture_free(&f);
	return 0;
}

/* --- The mutator: takes the input apart, does one thing, puts it together. */

struct draft {
	struct item items[MAX_ITEMS];
	size_t count;
	uint8_t made[4 * TPM_MAX_COMMAND]; /* bytes of new commands */
	size_t used;
	uint32_t random;
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static struct item new_item(struct draft *d, int number)
{
	struct item item = { .how = HOW_POWER };
	size_t left = sizeof(d->made) - d->used;
	uint8_t *bytes = d->made + d->used;
	bool sessions;
	size_t len;

	if (number == GRAMMAR_POWER || left < 64)
		return item;
	len = grammar_command(&d->random, number, bytes,
			      left < TPM_MAX_COMMAND ? left : TPM_MAX_COMMAND, &sessions);
	d->used += len;
	item.how = HOW_HEADER | HOW_MAKES;
	if (sessions)
		item.how |= HOW_SESSIONS;
	item.bytes = (struct span){ bytes, len };
	return item;
}

static void insert(struct draft *d, size_t at, struct item item)
{
	if (d->count == MAX_ITEMS)
		return;
	memmove(d->items + at + 1, d->items + at, (d->count - at) * sizeof(item));
	d->items[at] = item;
	d->count++;
}

static void drop(struct draft *d, size_t at)
{
	d->count--;
	memmove(d->items + at, d->items + at + 1, (d->count - at) * sizeof(d->items[0]));
}

static void insert_scenario(struct draft *d, size_t at)
{
	int numbers[16];
	size_t n = grammar_scenario(&d->random, numbers, 16);

	for (size_t i = 0; i < n; i++)
		insert(d, at + i < d->count ? at + i : d->count, new_item(d, numbers[i]));
}

/* libFuzzer's own mutations, of one command's bytes. */
static void scramble(struct draft *d, struct item *item)
{
	uint8_t *bytes = d->made + d->used;
	size_t len = item->bytes.len;

	if (d->used + TPM_MAX_COMMAND > sizeof(d->made) || len > TPM_MAX_COMMAND || len < 10)
		return;
	memcpy(bytes, item->bytes.data, len);
	len = 10 + LLVMFuzzerMutate(bytes + 10, len - 10, TPM_MAX_COMMAND - 10);
	d->used += len;
	item->bytes = (struct span){ bytes, len };
}

static void change(struct draft *d)
{
	size_t at = grammar_random(&d->random, (uint32_t)d->count + 1), other;
	uint32_t what = grammar_random(&d->random, 16);

	if (!d->count || (at == d->count && what < 8)) {
		insert_scenario(d, d->count);
		return;
	}
	if (at == d->count || what < 4) {
		insert(d, at, new_item(d, grammar_pick(&d->random)));
		return;
	}
	other = grammar_random(&d->random, (uint32_t)d->count);
	if (what < 7)
		insert_scenario(d, at);
	else if (what < 9)
		drop(d, at);
	else if (what < 10)
		d->items[at] = new_item(d, grammar_pick(&d->random));
	else if (what < 11)
		insert(d, at, d->items[other]);
	else if (what < 12)
		d->items[at].how ^= (uint8_t)(1u << grammar_random(&d->random, 8));
	else
		scramble(d, &d->items[at]);
}

static size_t join(const struct draft *d, uint8_t *out, size_t max)
{
	struct writer w = { .buf = out, .max = max };

	for (size_t i = 0; i < d->count; i++) {
		const struct item *item = &d->items[i];

		if (w.len + ITEM_HEADER + item->bytes.len > max)
			break;
		write_u8(&w, item->how);
		write_2b(&w, item->bytes.data, item->bytes.len);
	}
	return w.len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static struct draft d;
	static uint8_t in[1 << 20];

	if (size > sizeof(in))
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(in, data, size);
	d.used = 0;
	d.random = seed * 2654435761u + 1;
	d.count = split(in, size, d.items);
	change(&d);
	return join(&d, data, max_size);
}

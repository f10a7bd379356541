// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/tpm_grammar.h"

struct rule {
	const char *name, *text;
};

struct command {
	const char *name;
	uint32_t code;
	const char *handles, *auths, *parameters, *response;
};

#define KIND(name)
#define RULE(name, text)
#define COMMAND(name, code, handles, auths, parameters, response)
#define SCENARIO(text)

#undef KIND
#define KIND(name) #name,
static const char *const kinds[] = {
#include "tests/tpm/grammar.def"
};
#undef KIND
#define KIND(name)

#undef RULE
#define RULE(name, text) { #name, text },
static const struct rule rules[] = {
#include "tests/tpm/grammar.def"
};
#undef RULE
#define RULE(name, text)

#undef COMMAND
#define COMMAND(name, code, handles, auths, parameters, response) \
	{ #name, code, handles, auths, parameters, response },
static const struct command commands[] = {
#include "tests/tpm/grammar.def"
};
#undef COMMAND
#define COMMAND(name, code, handles, auths, parameters, response)

#undef SCENARIO
#define SCENARIO(text) text,
static const char *const scenarios[] = {
#include "tests/tpm/grammar.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(kinds) <= GRAMMAR_KINDS, "a kind has no place");

/* As long as a handle with the two bytes behind it, so that sizes around a handle stay right. */
static const uint8_t mark[2] = { 0xf5, 0xa7 };

struct out {
	uint32_t *random;
	uint8_t *bytes;
	size_t len, max;
};

uint32_t grammar_random(uint32_t *state, uint32_t below)
{
	uint32_t x = *state ? *state : 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return (x >> 3) % below;
}

static void put(struct out *o, const void *bytes, size_t len)
{
	if (len > o->max - o->len)
		len = o->max - o->len;
	memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
}

static void put_number(struct out *o, uint64_t v, unsigned int size)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> 8 * (size - 1 - i));
	put(o, bytes, size);
}

static void put_fill(struct out *o, unsigned long count, bool random)
{
	for (unsigned long i = 0; i < count; i++)
		put_number(o, random ? grammar_random(o->random, 256) : 0, 1);
}

static int kind_number(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strlen(kinds[i]) == len && !memcmp(kinds[i], name, len))
			return (int)i;
	return -1;
}

/* Steps over one character of text, keeping count of brackets. */
static void step(char c, int *depth)
{
	if (strchr("([{", c))
		(*depth)++;
	else if (strchr(")]}", c))
		(*depth)--;
}

static const char *closing(const char *p)
{
	int depth = 0;

	do
		step(*p, &depth);
	while (depth && *++p);
	return p;
}

static void make(struct out *o, const char *p, const char *end);

static void make_group(struct out *o, const char *open, const char *close)
{
	static const uint8_t counts[] = { 0, 1, 1, 1, 2, 5 };
	size_t at = o->len;
	uint32_t n;

	switch (*open) {
	case '(':
		make(o, open + 1, close);
		break;
	case '[':
		put_number(o, 0, 2);
		make(o, open + 1, close);
		if (o->len >= at + 2) {
			o->bytes[at] = (uint8_t)((o->len - at - 2) >> 8);
			o->bytes[at + 1] = (uint8_t)(o->len - at - 2);
		}
		break;
	default:
		n = counts[grammar_random(o->random, COUNT(counts))];
		put_number(o, n, 4);
		while (n--)
			make(o, open + 1, close);
	}
}

static void make_reference(struct out *o, const char *p, size_t len)
{
	const char *dot = memchr(p, '.', len);
	int kind = kind_number(p, dot ? (size_t)(dot - p) : len);

	put(o, mark, sizeof(mark));
	put_number(o, (uint64_t)kind, 1);
	put_number(o, dot ? (uint64_t)(dot[1] - '0') : 0, 1);
}

static void make_hex(struct out *o, const char *p, size_t len)
{
	char digits[3] = { 0 };

	for (size_t i = 0; i + 2 <= len; i += 2) {
		memcpy(digits, p + i, 2);
		put_number(o, strtoul(digits, NULL, 16), 1);
	}
}

static void make_rule(struct out *o, const char *p, size_t len)
{
	for (size_t i = 0; i < COUNT(rules); i++)
		if (strlen(rules[i].name) == len && !memcmp(rules[i].name, p, len)) {
			make(o, rules[i].text, rules[i].text + strlen(rules[i].text));
			return;
		}
	abort(); /* grammar.def names what it does not have */
}

static void make_word(struct out *o, const char *p, size_t len)
{
	if (*p == '~') {
		if (o->len >= 4 && !grammar_random(o->random, 3))
			o->bytes[o->len - 1 - grammar_random(o->random, 4)] ^=
				(uint8_t)(1u << grammar_random(o->random, 8));
	} else if (*p == '$') {
		make_reference(o, p + 1, len - 1);
	} else if (*p == '#') {
		put_fill(o, strtoul(p + 1, NULL, 10), true);
	} else if (!strncmp(p, "0*", 2)) {
		put_fill(o, strtoul(p + 2, NULL, 10), false);
	} else if (!strncmp(p, "x:", 2)) {
		make_hex(o, p + 2, len - 2);
	} else if (len > 2 && p[1] == ':') {
		if (p[2] == '?')
			put_fill(o, (unsigned long)(p[0] - '0'), true);
		else
			put_number(o, strtoull(p + 2, NULL, 16), (unsigned int)(p[0] - '0'));
	} else {
		make_rule(o, p, len);
	}
}

/* The words between p and end, which has no alternatives of its own. */
static void make_sequence(struct out *o, const char *p, const char *end)
{
	while (p < end) {
		size_t len;

		if (*p == ' ') {
			p++;
		} else if (strchr("([{", *p)) {
			const char *close = closing(p);

			make_group(o, p, close);
			p = close + 1;
		} else {
			len = strcspn(p, " ()[]{}|");
			make_word(o, p, len);
			p += len;
		}
	}
}

/* One of the alternatives between p and end. */
static void make(struct out *o, const char *p, const char *end)
{
	uint32_t count = 1, chosen;
	const char *start = p;
	int depth = 0;

	for (const char *q = p; q < end; q++) {
		step(*q, &depth);
		count += !depth && *q == '|';
	}
	chosen = grammar_random(o->random, count);
	for (; p < end; p++) {
		step(*p, &depth);
		if (depth || *p != '|')
			continue;
		if (!chosen--)
			break;
		start = p + 1;
	}
	make_sequence(o, start, p);
}

static void make_text(struct out *o, const char *text)
{
	make(o, text, text + strlen(text));
}

int grammar_pick(uint32_t *state)
{
	return (int)grammar_random(state, COUNT(commands));
}

static int command_number(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strlen(commands[i].name) == len && !memcmp(commands[i].name, name, len))
			return (int)i;
	return GRAMMAR_POWER;
}

size_t grammar_scenario(uint32_t *state, int *numbers, size_t max)
{
	const char *p = scenarios[grammar_random(state, COUNT(scenarios))];
	size_t n = 0;

	while (*p && n < max) {
		size_t len = strcspn(p, " ");

		numbers[n++] = command_number(p, len);
		p += len;
		p += strspn(p, " ");
	}
	return n;
}

size_t grammar_command(uint32_t *state, int number, uint8_t *out, size_t max, bool *sessions)
{
	const struct command *c = &commands[number];
	struct out o = { .random = state, .bytes = out, .max = max };
	size_t at;

	put_number(&o, 0x8001, 2);
	put_number(&o, 0, 4);
	put_number(&o, c->code, 4);
	make_text(&o, c->handles);
	at = o.len;
	put_number(&o, 0, 4);
	make_text(&o, c->auths);
	if (!grammar_random(state, 24))
		make_text(&o, "extra");
	*sessions = o.len > at + 4;
	if (*sessions) {
		out[1] = 2;
		out[at + 2] = (uint8_t)((o.len - at - 4) >> 8);
		out[at + 3] = (uint8_t)(o.len - at - 4);
	} else {
		o.len = at;
	}
	make_text(&o, c->parameters);
	return o.len;
}

size_t grammar_fill(const struct grammar_kept *kept, const uint8_t *in, size_t len, uint8_t *out,
		    size_t max)
{
	struct out o = { .bytes = out, .max = max };

	for (size_t i = 0; i < len; i++) {
		if (len - i < 4 || memcmp(in + i, mark, 2) || in[i + 2] >= GRAMMAR_KINDS ||
		    in[i + 3] >= GRAMMAR_KEPT) {
			put(&o, in + i, 1);
			continue;
		}
		put(&o, kept->bytes[in[i + 2]][in[i + 3]], kept->len[in[i + 2]][in[i + 3]]);
		i += 3;
	}
	return o.len;
}

/* Bytes of a response, of which nothing is believed. */
struct in {
	const uint8_t *bytes;
	size_t len, at;
};

static size_t number_at(const struct in *r, size_t at)
{
	return at + 2 <= r->len ? (size_t)r->bytes[at] << 8 | r->bytes[at + 1] : 0;
}

static size_t after_2b(const struct in *r, size_t at)
{
	return at + 2 + number_at(r, at);
}

static size_t after_signature(const struct in *r, size_t at)
{
	size_t alg = number_at(r, at);

	if (alg == 0x10)
		return at + 2;
	if (alg == 5)
		return at + 4 + 32;
	at = after_2b(r, at + 4);
	return alg == 0x14 || alg == 0x16 ? at : after_2b(r, at);
}

static bool is_word(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

static bool is_handle(const char *word, size_t len)
{
	return is_word(word, len, "handle") || is_word(word, len, "session") ||
	       is_word(word, len, "sequence");
}

static size_t field_end(const struct in *r, const char *word, size_t len)
{
	if (is_handle(word, len) || is_word(word, len, "u32"))
		return r->at + 4;
	if (is_word(word, len, "counter") || is_word(word, len, "u16"))
		return r->at + 2;
	if (is_word(word, len, "u8"))
		return r->at + 1;
	if (is_word(word, len, "u64"))
		return r->at + 8;
	if (is_word(word, len, "ticket"))
		return after_2b(r, r->at + 6);
	if (is_word(word, len, "context"))
		return after_2b(r, r->at + 16);
	return is_word(word, len, "signature") ? after_signature(r, r->at) : after_2b(r, r->at);
}

static void keep(struct grammar_kept *kept, int kind, const uint8_t *bytes, size_t len)
{
	if (len > GRAMMAR_LARGEST)
		return;
	memmove(kept->bytes[kind][1], kept->bytes[kind][0],
		sizeof(kept->bytes[kind]) - sizeof(kept->bytes[kind][0]));
	memmove(&kept->len[kind][1], &kept->len[kind][0],
		sizeof(kept->len[kind]) - sizeof(kept->len[kind][0]));
	memcpy(kept->bytes[kind][0], bytes, len);
	kept->len[kind][0] = (uint16_t)len;
}

void grammar_keep(struct grammar_kept *kept, uint32_t code, const uint8_t *rsp, size_t len)
{
	struct in r = { rsp, len, 10 };
	const char *p = NULL;
	bool handles = true;

	for (size_t i = 0; i < COUNT(commands) && !p; i++)
		if (commands[i].code == code)
			p = commands[i].response;
	while (p && *p) {
		size_t word = strcspn(p, " "), end;
		int kind = kind_number(p, word);

		if (handles && !is_handle(p, word)) {
			r.at += rsp[1] == 2 ? 4 : 0;
			handles = false;
		}
		if (!is_word(p, word, "same")) {
			end = field_end(&r, p, word);
			if (end > len)
				return;
			if (kind >= 0)
				keep(kept, kind, rsp + r.at, end - r.at);
			r.at = end;
		}
		p += word;
		p += strspn(p, " ");
	}
}

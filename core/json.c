#include "core/json.h"

#include <errno.h>
#include <string.h>

struct parser {
	const char *text;
	uint32_t len, at;
	struct json_token *tokens;
	uint32_t count, max;
	unsigned int depth;
};

static int parse_value(struct parser *p);

static bool at_end(const struct parser *p)
{
	return p->at == p->len;
}

/* The next byte, 0 past the end: a 0 is never part of JSON. */
static unsigned char peek(const struct parser *p)
{
	return at_end(p) ? 0 : (unsigned char)p->text[p->at];
}

static bool take(struct parser *p, char c)
{
	if (at_end(p) || p->text[p->at] != c)
		return false;
	p->at++;
	return true;
}

static void skip_space(struct parser *p)
{
	while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n' || peek(p) == '\r')
		p->at++;
}

/* Its `next` and `len` follow when its end is known. NULL: there are too many. */
static struct json_token *new_token(struct parser *p, enum json_type type)
{
	struct json_token *token;

	if (p->count == p->max)
		return NULL;
	token = &p->tokens[p->count++];
	*token = (struct json_token){ .type = type, .start = p->at };
	return token;
}

static void end_token(struct parser *p, struct json_token *token)
{
	token->len = p->at - token->start;
	token->next = p->count;
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static int take_digits(struct parser *p)
{
	if (!is_digit(peek(p)))
		return -EINVAL;
	while (is_digit(peek(p)))
		p->at++;
	return 0;
}

/* RFC 8259 6 */
static int parse_number(struct parser *p)
{
	struct json_token *token = new_token(p, JSON_NUMBER);
	int ret = 0;

	if (!token)
		return -E2BIG;
	take(p, '-');
	if (!take(p, '0'))
		ret = take_digits(p);
	if (!ret && take(p, '.'))
		ret = take_digits(p);
	if (!ret && (take(p, 'e') || take(p, 'E'))) {
		if (!take(p, '+'))
			take(p, '-');
		ret = take_digits(p);
	}
	end_token(p, token);
	return ret;
}

static int parse_word(struct parser *p, const char *word, enum json_type type)
{
	struct json_token *token = new_token(p, type);

	if (!token)
		return -E2BIG;
	for (; *word; word++)
		if (!take(p, *word))
			return -EINVAL;
	end_token(p, token);
	return 0;
}

/* --- strings */

static int hex_value(unsigned char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hexadecimal digits at text[0..left). */
static int hex4(const char *text, size_t left)
{
	int value = 0;

	if (left < 4)
		return -1;
	for (unsigned int i = 0; i < 4; i++) {
		int digit = hex_value((unsigned char)text[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/*
 * One escape, text[0] its backslash: the number of bytes it takes and *code the character; -1 when it is
 * none. A surrogate comes with its other half (RFC 8259 7).
 */
static int unescape(const char *text, size_t left, uint32_t *code)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	int high, low;

	if (left < 2 || !text[1])
		return -1;
	letter = strchr(letters, text[1]);
	if (letter) {
		*code = (unsigned char)meanings[letter - letters];
		return 2;
	}
	high = text[1] == 'u' ? hex4(text + 2, left - 2) : -1;
	if (high < 0 || (high >= 0xDC00 && high < 0xE000))
		return -1;
	*code = (uint32_t)high;
	if (high < 0xD800 || high >= 0xE000)
		return 6;
	if (left < 12 || text[6] != '\\' || text[7] != 'u')
		return -1;
	low = hex4(text + 8, left - 8);
	if (low < 0xDC00 || low >= 0xE000)
		return -1;
	*code = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
	return 12;
}

/* Bytes of the well-formed UTF-8 sequence at text (RFC 3629 4), or -1. */
static int utf8_len(const unsigned char *text, size_t left)
{
	unsigned char first = text[0], low = 0x80, high = 0xBF;
	int len;

	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return -1;
	len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (first == 0xE0)
		low = 0xA0;
	else if (first == 0xED)
		high = 0x9F;
	else if (first == 0xF0)
		low = 0x90;
	else if (first == 0xF4)
		high = 0x8F;
	if (left < (size_t)len || text[1] < low || text[1] > high)
		return -1;
	for (int i = 2; i < len; i++)
		if ((text[i] & 0xC0) != 0x80)
			return -1;
	return len;
}

static int parse_string(struct parser *p)
{
	struct json_token *token;
	uint32_t code;
	int n;

	if (!take(p, '"'))
		return -EINVAL;
	token = new_token(p, JSON_STRING);
	if (!token)
		return -E2BIG;
	while (peek(p) >= 0x20 && peek(p) != '"') {
		const char *here = p->text + p->at;
		size_t left = p->len - p->at;

		n = *here == '\\' ? unescape(here, left, &code)
				  : utf8_len((const unsigned char *)here, left);
		if (n < 0)
			return -EINVAL;
		p->at += (uint32_t)n;
	}
	end_token(p, token);
	return take(p, '"') ? 0 : -EINVAL;
}

/* --- values in values */

static int parse_member(struct parser *p)
{
	int ret;

	skip_space(p);
	ret = parse_string(p);
	if (ret)
		return ret;
	skip_space(p);
	return take(p, ':') ? parse_value(p) : -EINVAL;
}

static int parse_list(struct parser *p, enum json_type type, char end, int (*item)(struct parser *))
{
	struct json_token *token = new_token(p, type);
	int ret = 0;

	if (!token || p->depth == JSON_DEPTH_MAX)
		return -E2BIG;
	p->depth++;
	p->at++; /* the bracket */
	skip_space(p);
	if (!take(p, end)) {
		do {
			ret = item(p);
			if (ret)
				return ret;
			skip_space(p);
		} while (take(p, ','));
		if (!take(p, end))
			return -EINVAL;
	}
	p->depth--;
	end_token(p, token);
	return 0;
}

static int parse_value(struct parser *p)
{
	skip_space(p);
	switch (peek(p)) {
	case '{':
		return parse_list(p, JSON_OBJECT, '}', parse_member);
	case '[':
		return parse_list(p, JSON_ARRAY, ']', parse_value);
	case '"':
		return parse_string(p);
	case 't':
		return parse_word(p, "true", JSON_TRUE);
	case 'f':
		return parse_word(p, "false", JSON_FALSE);
	case 'n':
		return parse_word(p, "null", JSON_NULL);
	default:
		return parse_number(p);
	}
}

int json_parse(struct json *json, const char *text, size_t len, struct json_token *tokens,
	       uint32_t token_count)
{
	struct parser p = { .text = text, .tokens = tokens, .max = token_count };
	int ret;

	if (len > INT32_MAX)
		return -E2BIG;
	p.len = (uint32_t)len;
	ret = parse_value(&p);
	if (ret)
		return ret;
	skip_space(&p);
	if (!at_end(&p))
		return -EINVAL;
	*json = (struct json){ .text = text, .tokens = tokens, .count = p.count };
	return 0;
}

/* --- looking at it */

static const struct json_token *token_of(const struct json *json, uint32_t value)
{
	return value < json->count ? &json->tokens[value] : NULL;
}

static bool is_type(const struct json *json, uint32_t value, enum json_type type)
{
	const struct json_token *token = token_of(json, value);

	return token && token->type == type;
}

/* Names that are written with escapes are compared as they are written. */
static bool is_text(const struct json *json, const struct json_token *token, const char *text)
{
	return token->len == strlen(text) && !memcmp(json->text + token->start, text, token->len);
}

uint32_t json_member(const struct json *json, uint32_t object, const char *name)
{
	uint32_t at, end;

	if (!is_type(json, object, JSON_OBJECT))
		return JSON_NONE;
	end = json->tokens[object].next;
	for (at = object + 1; at < end; at = json->tokens[at + 1].next)
		if (is_text(json, &json->tokens[at], name))
			return is_type(json, at + 1, JSON_NULL) ? JSON_NONE : at + 1;
	return JSON_NONE;
}

uint32_t json_first(const struct json *json, uint32_t array)
{
	if (!is_type(json, array, JSON_ARRAY) || json->tokens[array].next == array + 1)
		return JSON_NONE;
	return array + 1;
}

uint32_t json_next(const struct json *json, uint32_t array, uint32_t element)
{
	uint32_t next = json->tokens[element].next;

	return next < json->tokens[array].next ? next : JSON_NONE;
}

int json_uint(const struct json *json, uint32_t value, uint64_t *result)
{
	const struct json_token *token = token_of(json, value);
	uint64_t sum = 0;

	if (!token)
		return -ENOENT;
	if (token->type != JSON_NUMBER)
		return -EINVAL;
	for (uint32_t i = 0; i < token->len; i++) {
		unsigned char c = (unsigned char)json->text[token->start + i];

		if (!is_digit(c) || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, c - '0', &sum))
			return -EINVAL;
	}
	*result = sum;
	return 0;
}

int json_bool(const struct json *json, uint32_t value, bool *result)
{
	const struct json_token *token = token_of(json, value);

	if (!token)
		return -ENOENT;
	if (token->type != JSON_TRUE && token->type != JSON_FALSE)
		return -EINVAL;
	*result = token->type == JSON_TRUE;
	return 0;
}

static unsigned int put_utf8(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xC0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xE0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3F));
		out[2] = (char)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3F));
	out[2] = (char)(0x80 | (code >> 6 & 0x3F));
	out[3] = (char)(0x80 | (code & 0x3F));
	return 4;
}

int json_string(const struct json *json, uint32_t value, char *buf, size_t size)
{
	const struct json_token *token = token_of(json, value);
	size_t len = 0;

	if (!token)
		return -ENOENT;
	if (token->type != JSON_STRING)
		return -EINVAL;
	for (uint32_t i = 0; i < token->len;) {
		const char *here = json->text + token->start + i;
		char bytes[4] = { *here };
		unsigned int n = 1;
		uint32_t code;

		if (*here == '\\') {
			i += (uint32_t)unescape(here, token->len - i, &code);
			n = put_utf8(code, bytes);
		} else {
			i++;
		}
		if (!bytes[0])
			return -EINVAL;
		if (n >= size || len >= size - n)
			return -E2BIG;
		memcpy(buf + len, bytes, n);
		len += n;
	}
	if (!size)
		return -E2BIG;
	buf[len] = 0;
	return (int)len;
}

size_t json_raw_len(const struct json *json, uint32_t value)
{
	const struct json_token *token = token_of(json, value);

	return token ? token->len : 0;
}

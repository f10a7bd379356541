#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A reader of JSON (RFC 8259) that somebody else wrote: the whole text is checked first, into tokens
 * that the caller provides, then looked at. Nothing is allocated and nothing recurses deeper than
 * JSON_DEPTH_MAX.
 *
 * A value is named by the index of its token, the text's own by 0. Every function takes JSON_NONE and
 * answers as for a value that is not there, so look-ups chain.
 */

#define JSON_DEPTH_MAX 16u
#define JSON_NONE      UINT32_MAX

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT, /* followed by each member's name, a string, and its value */
};

struct json_token {
	uint32_t start, len; /* of its text; a string's without the quotes */
	uint32_t next;       /* the token after it and all that is in it */
	uint8_t type;
};

struct json {
	const char *text;
	struct json_token *tokens;
	uint32_t count;
};

/*
 * Checks `len` bytes (at most 2^31) of UTF-8; they and the tokens stay the caller's and outlive *json.
 * 0; -EINVAL: not JSON; -E2BIG: deeper or of more values than there are tokens for.
 */
int json_parse(struct json *json, const char *text, size_t len, struct json_token *tokens,
	       uint32_t token_count);

/* An object's member by its name, the first of that name. JSON_NONE also for null. */
uint32_t json_member(const struct json *json, uint32_t object, const char *name);

/* An array's elements in turn, until JSON_NONE. */
uint32_t json_first(const struct json *json, uint32_t array);
uint32_t json_next(const struct json *json, uint32_t array, uint32_t element);

/* 0; -ENOENT: not there; -EINVAL: of another type, or a number that is no integer from 0 to 2^64-1. */
int json_uint(const struct json *json, uint32_t value, uint64_t *result);
int json_bool(const struct json *json, uint32_t value, bool *result);

/*
 * A string with its escapes resolved, and a 0 behind it. Its length; -ENOENT; -EINVAL: no string, or it
 * holds a character 0; -E2BIG: longer than `size` less one. The raw length bounds it.
 */
int json_string(const struct json *json, uint32_t value, char *buf, size_t size);
size_t json_raw_len(const struct json *json, uint32_t value);

#endif

#include <stdlib.h>
#include <string.h>

#include "core/json.h"

#define TOKENS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_)
{
	if (!true_)
		abort();
}

/* Everything that can be asked of every token, and that lists end. */
static void look_at(const struct json *json)
{
	char text[256];

	for (uint32_t i = 0; i < json->count; i++) {
		uint32_t elements = 0;
		uint64_t number;
		bool flag;

		check(json->tokens[i].next > i && json->tokens[i].next <= json->count);
		json_uint(json, i, &number);
		json_bool(json, i, &flag);
		if (json_string(json, i, text, sizeof(text)) >= 0)
			check(strlen(text) <= json_raw_len(json, i));
		json_member(json, i, "a");
		for (uint32_t at = json_first(json, i); at != JSON_NONE;
		     at = json_next(json, i, at))
			check(++elements <= json->count);
	}
}

/* Any bytes as JSON, with few and with many tokens. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_token tokens[TOKENS];
	char *copy = malloc(size ? size : 1); /* exact, so that reading past it is seen */
	struct json json;

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (!json_parse(&json, copy, size, tokens, TOKENS)) {
		check(json.count && json.count <= TOKENS && json.tokens[0].next == json.count);
		look_at(&json);
		check(json_parse(&json, copy, size, tokens, json.count - 1));
	}
	free(copy);
	return 0;
}

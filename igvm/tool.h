#ifndef IGVM_TOOL_H
#define IGVM_TOOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "igvm/content.h"
#include "igvm/measure.h"

/* What igvmtool's commands share. Problems are told on standard error, one line each. */

/* An image that was read from a file, validated, with its first platform's memory. */
struct tool_image {
	const char *path;
	uint8_t *data;
	size_t len;
	struct igvm_file file;
	uint32_t mask;     /* of the first platform, */
	uint32_t platform; /* and its type */
	struct igvm_content content;
	unsigned int component_count;
	struct igvm_component components[IGVM_COMPONENTS_MAX];
	struct shim_params params; /* if there are components */
	uint64_t region;
};

/* "igvmtool: " and a line; returns `ret`. */
int tool_fail(int ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The whole of a file, with a 0 behind it; the caller frees `*data`. 0 or -errno. */
int tool_read_file(const char *path, uint8_t **data, size_t *len);

/* Replaces a file as a whole or not at all. 0 or -errno. */
int tool_write_file(const char *path, const void *data, size_t len);

/* 0 or -errno; tool_close_image() in either case. */
int tool_open_image(struct tool_image *image, const char *path);
void tool_close_image(struct tool_image *image);

/* Digest as hexadecimal digits, in a static buffer (one thread). */
const char *tool_hex(const uint8_t *bytes, size_t len);

void tool_sha256(const void *data, size_t len, uint8_t digest[32]);

/* A JSON string with quotes, escaped. */
void tool_json_string(FILE *out, const char *text);

/* "vsm", "snp", ... of enum igvm_platform_type. */
const char *tool_platform_name(unsigned int type);

/* Commands, with main()'s words behind the command's name. Exit codes. */
int tool_build(int argc, char **argv);
int tool_dump(int argc, char **argv);
int tool_measure(int argc, char **argv);
int tool_diff(int argc, char **argv);
int tool_extract(int argc, char **argv);
int tool_sign(int argc, char **argv);

#endif

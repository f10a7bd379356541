#include "paravisor/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "GPA:SIZE" in hexadecimal, with or without 0x. */
static bool parse_range(const char *text, struct boot_range *range)
{
	char *end;

	errno = 0;
	range->gpa = strtoull(text, &end, 16);
	if (errno || end == text || *end != ':')
		return false;
	text = end + 1;
	range->len = strtoull(text, &end, 16);
	return !errno && end != text && !*end && range->len && range->gpa + range->len > range->gpa;
}

static bool parse_level(const char *text, enum log_level *level)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value > LOG_DEBUG)
		return false;
	*level = value;
	return true;
}

static bool parse_seconds(const char *text, long long *seconds)
{
	char *end;

	errno = 0;
	*seconds = strtoll(text, &end, 10);
	return !errno && end != text && !*end && *seconds >= 0;
}

static bool parse_tpm(const char *text, struct options *options)
{
	options->no_tpm = !strcmp(text, "no");
	options->tpm_fifo = !strcmp(text, "tis");
	return options->no_tpm || options->tpm_fifo || !strcmp(text, "yes");
}

static bool parse_one(struct options *options, const char *name, size_t len, const char *value)
{
	const struct {
		const char *name;
		struct boot_range *range;
	} ranges[] = {
		{ "--kernel", &options->kernel },
		{ "--initrd", &options->initrd },
		{ "--cmdline", &options->cmdline },
		{ "--firmware", &options->firmware },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (strlen(ranges[i].name) == len && !memcmp(name, ranges[i].name, len))
			return parse_range(value, ranges[i].range);
	if (len == strlen("--log-level") && !memcmp(name, "--log-level", len))
		return parse_level(value, &options->log_level);
	if (len == strlen("--wall-clock") && !memcmp(name, "--wall-clock", len))
		return parse_seconds(value, &options->wall_clock);
	if (len == strlen("--tpm") && !memcmp(name, "--tpm", len))
		return parse_tpm(value, options);
	return false;
}

static int check_payload(const struct options *options, char *error, size_t error_len)
{
	bool files = options->kernel.len || options->initrd.len || options->cmdline.len;

	if (options->firmware.len && files)
		snprintf(error, error_len, "firmware, and a kernel or its files besides");
	else if (!options->firmware.len && !options->kernel.len)
		snprintf(error, error_len, "neither kernel nor firmware given (--kernel=GPA:SIZE)");
	else
		return 0;
	return -EINVAL;
}

int options_parse(struct options *options, int argc, char *const argv[], char *error,
		  size_t error_len)
{
	*options = (struct options){ .log_level = LOG_INFO };
	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');

		if (strncmp(argv[i], "--", 2)) /* the kernel hands on words of its own, too */
			continue;
		if (!equals || !parse_one(options, argv[i], equals - argv[i], equals + 1)) {
			snprintf(error, error_len, "bad option \"%.80s\"", argv[i]);
			return -EINVAL;
		}
	}
	return check_payload(options, error, error_len);
}

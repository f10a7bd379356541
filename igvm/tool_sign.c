#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/sign.h"
#include "igvm/tool.h"

/* igvmtool sign: an SNP ID block or a VBS measurement, with keys given as files. */

struct request {
	struct igvm_sign_options options;
	const char *key_path, *author_path;
	bool svn_given;
	uint8_t *key, *author_key; /* their text */
};

static int parse_hex(const char *text, uint8_t *to, size_t len)
{
	unsigned int byte;
	size_t i;

	if (strlen(text) != 2 * len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		if (!isxdigit((unsigned char)text[2 * i]) ||
		    !isxdigit((unsigned char)text[2 * i + 1]) ||
		    sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		to[i] = (uint8_t)byte;
	}
	return 0;
}

static int parse_svn(const char *text, uint32_t *svn)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > UINT32_MAX)
		return -EINVAL;
	*svn = (uint32_t)value;
	return 0;
}

static int set_option(struct request *r, int option, const char *value)
{
	switch (option) {
	case 'k':
		r->key_path = value;
		return 0;
	case 'a':
		r->author_path = value;
		return 0;
	case 'f':
		return parse_hex(value, r->options.family_id, sizeof(r->options.family_id));
	case 'i':
		return parse_hex(value, r->options.image_id, sizeof(r->options.image_id));
	case 's':
		r->svn_given = true;
		return parse_svn(value, &r->options.svn);
	default:
		return -EINVAL;
	}
}

static int parse_options(struct request *r, int argc, char **argv)
{
	static const struct option options[] = { { "key", required_argument, NULL, 'k' },
						 { "author-key", required_argument, NULL, 'a' },
						 { "family-id", required_argument, NULL, 'f' },
						 { "image-id", required_argument, NULL, 'i' },
						 { "svn", required_argument, NULL, 's' },
						 { NULL, 0, NULL, 0 } };
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (option == '?')
			return -EINVAL; /* getopt has said what */
		if (set_option(r, option, optarg))
			return tool_fail(-EINVAL, "bad value of --%s: '%s'", options[index].name,
					 optarg);
	}
	if (argc - optind != 2 || !r->key_path)
		return tool_fail(-EINVAL, "sign takes --key PEM FILE OUTPUT");
	return 0;
}

static int read_keys(struct request *r)
{
	size_t len;
	int ret = tool_read_file(r->key_path, &r->key, &len);

	if (!ret && r->author_path)
		ret = tool_read_file(r->author_path, &r->author_key, &len);
	r->options.key = (const char *)r->key;
	r->options.author_key = (const char *)r->author_key;
	return ret;
}

static int sign(struct request *r, const char *input, const char *output)
{
	struct tool_image image;
	struct igvm_error error;
	uint8_t *data = NULL;
	size_t len;
	int ret = tool_open_image(&image, input);

	if (!ret && !r->svn_given)
		r->options.svn = image.component_count ? image.params.svn : 0;
	if (!ret) {
		ret = igvm_sign(&image.file, &r->options, &data, &len, &error);
		if (ret == -ENOENT)
			tool_fail(ret, "%s: is for no platform that takes a signature", input);
		else if (ret)
			tool_fail(ret, "%s: at %#llx: %s", input, (unsigned long long)error.offset,
				  error.reason);
	}
	if (!ret)
		ret = tool_write_file(output, data, len);
	free(data);
	tool_close_image(&image);
	return ret;
}

int tool_sign(int argc, char **argv)
{
	struct request r = { 0 };
	int ret;

	/* getopt takes the word before the first for the program's name: the command. */
	argc++;
	argv--;
	ret = parse_options(&r, argc, argv);
	if (!ret)
		ret = read_keys(&r);
	if (!ret)
		ret = sign(&r, argv[optind], argv[optind + 1]);
	free(r.key);
	free(r.author_key);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

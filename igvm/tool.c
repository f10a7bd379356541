#include "igvm/tool.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int tool_fail(int ret, const char *format, ...)
{
	va_list args;

	fputs("igvmtool: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return ret;
}

/* --- files --- */

int tool_read_file(const char *path, uint8_t **data, size_t *len)
{
	FILE *file = fopen(path, "rb");
	struct stat info;
	int ret = 0;

	*data = NULL;
	*len = 0;
	if (!file || fstat(fileno(file), &info))
		ret = -errno;
	else if (!S_ISREG(info.st_mode) || info.st_size > UINT32_MAX)
		ret = -EINVAL;
	if (!ret) {
		*len = (size_t)info.st_size;
		*data = malloc(*len + 1);
		ret = *data ? 0 : -ENOMEM;
	}
	if (!ret && fread(*data, 1, *len, file) != *len)
		ret = -EIO;
	if (!ret)
		(*data)[*len] = 0;
	if (file)
		fclose(file);
	return ret ? tool_fail(ret, "%s: %s", path, strerror(-ret)) : 0;
}

int tool_write_file(const char *path, const void *data, size_t len)
{
	size_t size = strlen(path) + 5;
	char *temporary = malloc(size);
	FILE *file;
	int ret = 0;

	if (!temporary)
		return tool_fail(-ENOMEM, "out of memory");
	snprintf(temporary, size, "%s.new", path);
	file = fopen(temporary, "wb");
	if (!file)
		ret = -errno;
	else if (fwrite(data, 1, len, file) != len)
		ret = -EIO;
	if (file && fclose(file) && !ret)
		ret = -errno;
	if (!ret && rename(temporary, path))
		ret = -errno;
	free(temporary);
	return ret ? tool_fail(ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* --- images --- */

int tool_open_image(struct tool_image *image, const char *path)
{
	struct igvm_error error;
	int ret;

	*image = (struct tool_image){ .path = path };
	ret = tool_read_file(path, &image->data, &image->len);
	if (ret)
		return ret;
	ret = igvm_open(&image->file, image->data, image->len, &error);
	if (!ret) {
		image->mask = image->file.platforms[0].compatibility_mask;
		image->platform = image->file.platforms[0].platform_type;
		ret = igvm_content_open(&image->content, &image->file, image->mask, &error);
	}
	if (ret == -ENOMEM)
		return tool_fail(ret, "out of memory");
	if (ret)
		return tool_fail(ret, "%s: at %#llx: %s", path, (unsigned long long)error.offset,
				 error.reason);
	image->component_count = igvm_content_components(&image->content, image->components,
							 &image->params, &image->region);
	return 0;
}

void tool_close_image(struct tool_image *image)
{
	igvm_content_close(&image->content);
	free(image->data);
	image->data = NULL;
}

/* --- words --- */

const char *tool_hex(const uint8_t *bytes, size_t len)
{
	static char text[2 * 64 + 1];
	size_t i;

	text[0] = 0;
	for (i = 0; i < len && i < 64; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}

void tool_sha256(const void *data, size_t len, uint8_t digest[32])
{
	mbedtls_sha256(data, len, digest, 0);
}

void tool_json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

const char *tool_platform_name(unsigned int type)
{
	static const char *const names[] = {
		"native", "vsm", "snp", "tdx", "sev", "sev-es", "cca"
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

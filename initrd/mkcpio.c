/*
 * Packs an initramfs (cpio "newc") from a manifest, the same bytes every time: no times, no
 * owners, no inode numbers of the machine that builds, order as written. No root needed, for
 * device nodes are only lines.
 *
 *   mkcpio MANIFEST OUTPUT
 *
 * A manifest line is one of
 *   dir  PATH MODE
 *   file PATH MODE SOURCE
 *   link PATH TARGET
 *   node PATH MODE c|b MAJOR MINOR
 * Fields are separated by blanks; a line that starts with '#' is a comment. Format: the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIELDS_MAX   6
#define CPIO_ALIGN   4
#define OUTPUT_ALIGN 512

static const char *manifest_name;
static unsigned int line_number;

struct entry {
	const char *path;
	uint32_t mode;
	uint32_t major, minor;
	const char *data;
	size_t size;
};

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	fprintf(stderr, "mkcpio: %s:%u: %s: %s\n", manifest_name, line_number, what, why);
	exit(EXIT_FAILURE);
}

static uint32_t parse_number(const char *text, int base, uint32_t max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, base);
	if (errno || end == text || *end || value > max)
		fail(text, "not a number in range");
	return (uint32_t)value;
}

static char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	struct stat info;
	char *data;

	if (!file || fstat(fileno(file), &info))
		fail(path, strerror(errno));
	if (!S_ISREG(info.st_mode) || info.st_size > UINT32_MAX)
		fail(path, "not a regular file under 4 GiB");
	*size = (size_t)info.st_size;
	data = malloc(*size ? *size : 1);
	if (!data)
		fail(path, "out of memory");
	if (fread(data, 1, *size, file) != *size)
		fail(path, "cannot be read");
	fclose(file);
	return data;
}

static void put(FILE *out, const void *data, size_t size)
{
	if (fwrite(data, 1, size, out) != size)
		fail("output", strerror(errno));
}

static void align(FILE *out, unsigned int to)
{
	static const char zeros[OUTPUT_ALIGN];
	long at = ftell(out);

	if (at < 0)
		fail("output", strerror(errno));
	put(out, zeros, (to - (size_t)at % to) % to);
}

static void put_entry(FILE *out, const struct entry *entry)
{
	static uint32_t inode;
	size_t name_size = strlen(entry->path) + 1;
	char header[111];

	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++inode, entry->mode,
		 0, 0, S_ISDIR(entry->mode) ? 2 : 1, 0, (uint32_t)entry->size, 0, 0, entry->major,
		 entry->minor, (uint32_t)name_size, 0);
	put(out, header, 110);
	put(out, entry->path, name_size);
	align(out, CPIO_ALIGN);
	put(out, entry->data, entry->size);
	align(out, CPIO_ALIGN);
}

static unsigned int split(char *line, char *fields[FIELDS_MAX])
{
	unsigned int n = 0;
	char *rest = line, *field;

	while ((field = strsep(&rest, " \t\n")))
		if (*field) {
			if (n == FIELDS_MAX)
				fail(field, "one field too many");
			fields[n++] = field;
		}
	return n;
}

static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	if (!*path)
		fail("path", "empty");
	return path;
}

static void put_line(FILE *out, char *fields[FIELDS_MAX], unsigned int n)
{
	struct entry entry = { .data = "" };
	char *content = NULL;

	if (n < 3)
		fail(fields[0], "too few fields");
	entry.path = relative(fields[1]);
	if (!strcmp(fields[0], "dir") && n == 3) {
		entry.mode = S_IFDIR | parse_number(fields[2], 8, 07777);
	} else if (!strcmp(fields[0], "file") && n == 4) {
		entry.mode = S_IFREG | parse_number(fields[2], 8, 07777);
		content = read_file(fields[3], &entry.size);
		entry.data = content;
	} else if (!strcmp(fields[0], "link") && n == 3) {
		entry.mode = S_IFLNK | 0777;
		entry.data = fields[2];
		entry.size = strlen(fields[2]);
	} else if (!strcmp(fields[0], "node") && n == 6) {
		entry.mode =
			(*fields[3] == 'b' ? S_IFBLK : S_IFCHR) | parse_number(fields[2], 8, 07777);
		entry.major = parse_number(fields[4], 10, 4095);
		entry.minor = parse_number(fields[5], 10, 1048575);
	} else {
		fail(fields[0], "not a line that mkcpio knows");
	}
	put_entry(out, &entry);
	free(content);
}

int main(int argc, char *argv[])
{
	const struct entry trailer = { .path = "TRAILER!!!", .data = "" };
	char *fields[FIELDS_MAX], *line = NULL;
	size_t room = 0;
	FILE *in, *out;
	unsigned int n;

	if (argc != 3) {
		fputs("usage: mkcpio MANIFEST OUTPUT\n", stderr);
		return EXIT_FAILURE;
	}
	manifest_name = argv[1];
	in = fopen(argv[1], "r");
	if (!in)
		fail(argv[1], strerror(errno));
	out = fopen(argv[2], "wb");
	if (!out)
		fail(argv[2], strerror(errno));
	while (getline(&line, &room, in) >= 0) {
		line_number++;
		n = *line == '#' ? 0 : split(line, fields);
		if (n)
			put_line(out, fields, n);
	}
	put_entry(out, &trailer);
	align(out, OUTPUT_ALIGN);
	if (ferror(in) || fclose(out))
		fail(argv[2], strerror(errno));
	free(line);
	fclose(in);
	return EXIT_SUCCESS;
}

#ifndef HOST_FILE_MAP_H
#define HOST_FILE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* A file that is given by the command line, mapped to be read. */

struct file_map {
	const char *path; /* the caller's */
	const uint8_t *data;
	size_t len;
};

/* On failure (empty files are one) logs one line. 0 or -errno. Closing a zeroed one is fine. */
int file_map_open(struct file_map *file, const char *path);
void file_map_close(struct file_map *file);

#endif

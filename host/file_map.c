#include "host/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"

static int map(struct file_map *file, int fd)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		log_error("'%s' is %s", file->path, S_ISREG(st.st_mode) ? "empty" : "not a file");
		return -EINVAL;
	}
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED) {
		log_error("cannot read '%s': %s", file->path, strerror(errno));
		return -errno;
	}
	file->data = at;
	file->len = (size_t)st.st_size;
	return 0;
}

int file_map_open(struct file_map *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	*file = (struct file_map){ .path = path };
	if (fd < 0) {
		ret = -errno;
		log_error("cannot open '%s': %s", path, strerror(errno));
		return ret;
	}
	ret = map(file, fd);
	close(fd);
	return ret;
}

void file_map_close(struct file_map *file)
{
	if (file->data)
		munmap((void *)(uintptr_t)file->data, file->len);
	file->data = NULL;
}

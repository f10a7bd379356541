#include "host/payload.h"

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "host/file_map.h"
#include "host/partition.h"

#define LOWEST 0x200000ull /* below it is what a PC keeps for itself */

static int place(struct partition *partition, const struct file_map *file, uint64_t *top,
		 struct host_payloads *payloads, unsigned int which)
{
	if (!file->len)
		return 0;
	if (*top < LOWEST || file->len > *top - LOWEST) {
		log_error("'%s' does not fit into %llu MiB of memory", file->path,
			  (unsigned long long)(partition->options->memory >> 20));
		return -ENOMEM;
	}
	*top = (*top - file->len) & ~(HOST_PAGE_SIZE - 1);
	payloads->file[which].gpa = *top;
	payloads->file[which].len = file->len;
	return host_memory_write(&partition->memory, HOST_VIEW_VTL2, *top, file->data, file->len);
}

int host_payload_place(struct partition *partition, uint64_t top, struct host_payloads *payloads)
{
	const struct options *options = partition->options;
	struct file_map kernel = { 0 }, initrd = { 0 }, append = { .path = "--append" };
	int ret = 0;

	if (!options->kernel)
		return 0;
	append.data = (const uint8_t *)options->append;
	append.len = options->append ? strlen(options->append) : 0;
	ret = file_map_open(&kernel, options->kernel);
	if (!ret && options->initrd)
		ret = file_map_open(&initrd, options->initrd);
	if (!ret)
		ret = place(partition, &initrd, &top, payloads, HOST_PAYLOAD_INITRD);
	if (!ret)
		ret = place(partition, &kernel, &top, payloads, HOST_PAYLOAD_KERNEL);
	if (!ret)
		ret = place(partition, &append, &top, payloads, HOST_PAYLOAD_CMDLINE);
	file_map_close(&kernel);
	file_map_close(&initrd);
	return ret;
}

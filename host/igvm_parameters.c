#include "host/igvm_parameters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/device_tree.h"
#include "host/partition.h"
#include "proto/igvm.h"

static int put(uint8_t *to, size_t len, const void *from, size_t size)
{
	if (size > len)
		return -ENOSPC;
	memcpy(to, from, size);
	return 0;
}

static int put_vp_count(const struct partition *partition, uint8_t *to, size_t len)
{
	uint32_t count = partition->vp_count;

	return put(to, len, &count, sizeof(count));
}

/* With the empty entry at the end. */
static int put_memory_map(const struct partition *partition, uint8_t *to, size_t len)
{
	const struct host_memory *memory = &partition->memory;
	struct igvm_vhs_memory_map_entry map[sizeof(memory->ranges) / sizeof(*memory->ranges) + 1];
	unsigned int i;

	memset(map, 0, sizeof(map));
	for (i = 0; i < memory->range_count; i++) {
		map[i].starting_gpa_page_number = memory->ranges[i].gpa / HOST_PAGE_SIZE;
		map[i].number_of_pages = memory->ranges[i].len / HOST_PAGE_SIZE;
		map[i].entry_type = memory->ranges[i].vtl2 ? IGVM_MEMORY_MAP_VTL2_PROTECTABLE
							   : IGVM_MEMORY_MAP_MEMORY;
	}
	return put(to, len, map, (i + 1) * sizeof(*map));
}

/* VTL2 has no clock of its own to ask; GET tells the time on Hyper-V. */
static int put_command_line(const struct partition *partition, uint8_t *to, size_t len)
{
	const char *append = partition->options->vtl2_append;
	int n = snprintf((char *)to, len, "%s%s--wall-clock=%lld", append ? append : "",
			 append ? " " : "", (long long)time(NULL));

	return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

static int put_device_tree(const struct partition *partition, const struct host_payloads *payloads,
			   uint8_t *to, size_t len)
{
	int ret = device_tree_build(partition, payloads, to, len);

	return ret < 0 ? ret : 0;
}

int igvm_parameters_fill(const struct partition *partition, const struct host_payloads *payloads,
			 uint32_t type, uint8_t *to, size_t len)
{
	uint32_t nothing = 0;

	switch (type) {
	case IGVM_VHT_VP_COUNT_PARAMETER:
		return put_vp_count(partition, to, len);
	case IGVM_VHT_MEMORY_MAP:
		return put_memory_map(partition, to, len);
	case IGVM_VHT_COMMAND_LINE:
		return put_command_line(partition, to, len);
	case IGVM_VHT_DEVICE_TREE:
		return put_device_tree(partition, payloads, to, len);
	case IGVM_VHT_ENVIRONMENT_INFO_PARAMETER: /* memory is private, as far as there is such */
		return put(to, len, &nothing, sizeof(nothing));
	default:
		return -EOPNOTSUPP;
	}
}

const char *igvm_parameters_name(uint32_t type)
{
	switch (type) {
	case IGVM_VHT_VP_COUNT_PARAMETER:
		return "VP count";
	case IGVM_VHT_SRAT:
		return "SRAT";
	case IGVM_VHT_MADT:
		return "MADT";
	case IGVM_VHT_MMIO_RANGES:
		return "MMIO ranges";
	case IGVM_VHT_MEMORY_MAP:
		return "memory map";
	case IGVM_VHT_COMMAND_LINE:
		return "command line";
	case IGVM_VHT_SLIT:
		return "SLIT";
	case IGVM_VHT_PPTT:
		return "PPTT";
	case IGVM_VHT_DEVICE_TREE:
		return "device tree";
	case IGVM_VHT_ENVIRONMENT_INFO_PARAMETER:
		return "environment";
	default:
		return "unknown";
	}
}

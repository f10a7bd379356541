#include "host/disk_option.h"

#include <errno.h>
#include <string.h>

#include "host/option_value.h"

#define MAX_SIZE      (1ull << 50)
#define DEFAULT_CHUNK 128

/* The lowest LUN that no disk before has. */
static unsigned int free_lun(const struct disk_option *disks, unsigned int count)
{
	unsigned int lun = 0, i;

	for (i = 0; i < count; i++) {
		if (disks[i].lun == lun && !disks[i].removed) {
			lun++;
			i = (unsigned int)-1; /* from the start again */
		}
	}
	return lun;
}

/* The value when word is "name=value", else NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(word, name, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static int parse_sector(const char *what, const char *text, unsigned int *size)
{
	if (strcmp(text, "512") && strcmp(text, "4096"))
		return option_fail(what, text, "must be 512 or 4096");
	*size = *text == '5' ? 512 : 4096;
	return 0;
}

static int parse_fault(const char *text, struct disk_option *disk)
{
	if (disk->fault_count == NVME_EMU_MAX_FAULTS)
		return option_fail("--nvme fault", text, "is one too many");
	if (nvme_emu_fault_parse(text, &disk->faults[disk->fault_count]))
		return option_fail("--nvme fault", text, "must be KIND[:KEY=VALUE]...");
	disk->fault_count++;
	return 0;
}

static int parse_word(struct disk_option *disk, const char *word)
{
	const char *value;
	int ret;

	if (!strcmp(word, "ro")) {
		disk->read_only = true;
		return 0;
	}
	if (!strcmp(word, "dvd")) {
		disk->dvd = disk->read_only = true;
		return 0;
	}
	value = value_of(word, "size");
	if (value)
		return option_size("--nvme size", value, 4096, MAX_SIZE, 4096, &disk->size);
	value = value_of(word, "lun");
	if (value)
		return option_count("--nvme lun", value, 0, HOST_MAX_LUNS - 1, &disk->lun);
	value = value_of(word, "sector");
	if (value)
		return parse_sector("--nvme sector", value, &disk->sector_size);
	value = value_of(word, "physical");
	if (value)
		return parse_sector("--nvme physical", value, &disk->physical_size);
	value = value_of(word, "fault");
	if (value)
		return parse_fault(value, disk);
	value = value_of(word, "chunk");
	if (!value)
		return option_fail(
			"--nvme", word,
			"must be ro, dvd, size=, lun=, chunk=, sector=, physical= or fault=");
	ret = option_count("--nvme chunk", value, 4, 16384, &disk->chunk_kib);
	if (!ret && disk->chunk_kib & (disk->chunk_kib - 1))
		ret = option_fail("--nvme chunk", value, "must be a power of two");
	return ret;
}

static int check(const struct disk_option *disks, unsigned int count)
{
	const struct disk_option *disk = &disks[count];
	unsigned int i;

	if (disk->empty && !disk->dvd)
		return option_fail("--nvme", "none", "is for dvd");
	if (!disk->path && !disk->size && !disk->empty)
		return option_fail("--nvme", "memory", "needs size=");
	if (disk->lun >= HOST_MAX_LUNS)
		return option_fail("--nvme", disk->path ? disk->path : "memory",
				   "there is no free LUN");
	for (i = 0; i < count; i++)
		if (disks[i].lun == disk->lun && !disks[i].removed && (disks[i].dvd || disk->dvd))
			return option_fail("--nvme", disk->path ? disk->path : "memory",
					   "a DVD cannot be striped");
	return 0;
}

int disk_option_parse(char *text, struct disk_option *disks, unsigned int *count)
{
	struct disk_option *disk = &disks[*count];
	char *rest = text, *word = strsep(&rest, ",");
	int ret;

	if (*count >= HOST_MAX_DISKS)
		return option_fail("--nvme", text, "too many disks");
	if (!*word)
		return option_fail("--nvme", text, "must begin with a file's name");
	*disk = (struct disk_option){
		.path = strcmp(word, "memory") && strcmp(word, "none") ? word : NULL,
		.empty = !strcmp(word, "none"),
		.lun = free_lun(disks, *count),
		.chunk_kib = DEFAULT_CHUNK,
		.sector_size = 512,
	};
	while ((word = strsep(&rest, ","))) {
		ret = parse_word(disk, word);
		if (ret)
			return ret;
	}
	ret = check(disks, *count);
	if (!ret)
		(*count)++;
	return ret;
}

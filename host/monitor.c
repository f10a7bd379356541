#include "host/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/devices.h"
#include "host/option_value.h"
#include "host/options.h"
#include "host/partition.h"

#define MAX_SIZE (1ull << 50)

/* The next word of the line, or "". */
static char *next_word(char **rest)
{
	char *word;

	do
		word = strsep(rest, " \t");
	while (word && !*word);
	return word ? word : (char *)"";
}

static int take_lun(char **rest, unsigned int *lun)
{
	return option_count("LUN", next_word(rest), 0, HOST_MAX_LUNS - 1, lun);
}

/* A disk by its option's text, which has to last as long as the options do. 0 or -errno. */
static int add_disk(struct options *options, struct partition *partition, const char *option)
{
	char *text = strdup(option);
	int ret = text ? disk_option_parse(text, options->disks, &options->disk_count) : -ENOMEM;

	if (ret) {
		free(text);
		return ret;
	}
	if (!options->disks[options->disk_count - 1].path)
		free(text); /* memory, or nothing: nothing points into it */
	ret = host_devices_add_disk(partition->devices, options->disk_count - 1);
	if (ret)
		options->disks[options->disk_count - 1].removed = true;
	return ret;
}

static int add(struct options *options, struct partition *partition, char **rest)
{
	return add_disk(options, partition, next_word(rest));
}

/* The drive's disk, or NULL. */
static struct disk_option *find_drive(struct options *options, unsigned int lun)
{
	for (unsigned int i = 0; i < options->disk_count; i++)
		if (options->disks[i].lun == lun && !options->disks[i].removed)
			return options->disks[i].dvd ? &options->disks[i] : NULL;
	return NULL;
}

/* A disk in the place of another: what is in the drive goes when VTL2 says so, but not without the new one. */
static int exchange(struct options *options, struct partition *partition, unsigned int lun,
		    const char *file)
{
	struct disk_option *old = find_drive(options, lun);
	char option[200];
	int ret;

	if (!old)
		return -ENOENT;
	if (snprintf(option, sizeof(option), "%s,dvd,lun=%u", file, lun) >= (int)sizeof(option))
		return -ENAMETOOLONG;
	old->removed = true;
	ret = add_disk(options, partition, option);
	if (ret)
		old->removed = false;
	return ret;
}

static int insert(struct options *options, struct partition *partition, char **rest)
{
	unsigned int lun;
	int ret = take_lun(rest, &lun);

	return ret ? ret : exchange(options, partition, lun, next_word(rest));
}

static int eject(struct options *options, struct partition *partition, char **rest)
{
	unsigned int lun;
	int ret = take_lun(rest, &lun);

	return ret ? ret : exchange(options, partition, lun, "none");
}

static int remove_lun(struct options *options, struct partition *partition, char **rest)
{
	unsigned int lun, i, found = 0;
	int ret = take_lun(rest, &lun);

	if (ret)
		return ret;
	for (i = 0; i < options->disk_count; i++) {
		found |= options->disks[i].lun == lun && !options->disks[i].removed;
		options->disks[i].removed |= options->disks[i].lun == lun;
	}
	return found ? host_devices_disks_removed(partition->devices) : -ENOENT;
}

static int resize(struct partition *partition, char **rest)
{
	unsigned int lun;
	uint64_t size;
	int ret = take_lun(rest, &lun);

	if (!ret)
		ret = option_size("size", next_word(rest), 4096, MAX_SIZE, 4096, &size);
	return ret ? ret : host_devices_resize_disk(partition->devices, lun, size);
}

static int fault(struct partition *partition, char **rest)
{
	unsigned int lun;
	int ret = take_lun(rest, &lun);

	return ret ? ret : host_devices_fault(partition->devices, lun, next_word(rest));
}

static int vf(struct options *options, struct partition *partition, char **rest)
{
	const char *word = next_word(rest);

	if (!options->net.vf)
		return -ENODEV;
	if (strcmp(word, "on") && strcmp(word, "off"))
		return -EINVAL;
	options->net.vf_off = !strcmp(word, "off");
	return host_devices_vf_changed(partition->devices);
}

void monitor_command(struct options *options, struct partition *partition, char *line, char *answer,
		     size_t len)
{
	char *rest = line, *verb = next_word(&rest);
	int ret;

	if (!partition->devices)
		ret = -ENODEV;
	else if (!strcmp(verb, "add"))
		ret = add(options, partition, &rest);
	else if (!strcmp(verb, "remove"))
		ret = remove_lun(options, partition, &rest);
	else if (!strcmp(verb, "insert"))
		ret = insert(options, partition, &rest);
	else if (!strcmp(verb, "eject"))
		ret = eject(options, partition, &rest);
	else if (!strcmp(verb, "resize"))
		ret = resize(partition, &rest);
	else if (!strcmp(verb, "fault"))
		ret = fault(partition, &rest);
	else if (!strcmp(verb, "vf"))
		ret = vf(options, partition, &rest);
	else if (!strcmp(verb, "net"))
		ret = host_devices_net(partition->devices, next_word(&rest));
	else
		ret = -ENOSYS;
	if (ret == -ENOSYS)
		snprintf(answer, len,
			 "commands: add FILE[,...]; remove LUN; insert LUN FILE; eject LUN; "
			 "resize LUN SIZE; fault LUN FAULT; vf on|off; net up|down|reset");
	else
		snprintf(answer, len, "%s: %s", verb, ret ? strerror(-ret) : "done");
}

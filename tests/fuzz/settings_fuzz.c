#include <stdlib.h>
#include <string.h>

#include "paravisor/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_)
{
	if (!true_)
		abort();
}

/* What the rest of the paravisor relies on. */
static void look_at(const struct settings *settings)
{
	check(settings->controller_count <= SETTINGS_CONTROLLERS_MAX);
	check(settings->device_count <= SETTINGS_DEVICES_MAX);
	for (unsigned int i = 0; i < settings->lun_count; i++) {
		const struct settings_lun *lun = &settings->luns[i];

		check(lun->controller < settings->controller_count);
		check(lun->location < SETTINGS_LUNS_MAX);
		check(lun->device_count || lun->dvd);
		check(lun->device_count <= SETTINGS_STRIPE_MAX);
		check(lun->first_device + lun->device_count <= (int)settings->device_count);
		check(lun->chunk_size && !(lun->chunk_size & (lun->chunk_size - 1)));
		check(memchr(lun->serial, 0, sizeof(lun->serial)) != NULL);
	}
}

/* Any bytes as the host's settings: the first byte says which of the two. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	char error[160] = "", *copy;
	int ret;

	if (!size)
		return 0;
	copy = malloc(size - 1 ? size - 1 : 1); /* exact, so that reading past it is seen */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		ret = settings_parse_platform(&settings, copy, size - 1, error, sizeof(error));
	else
		ret = settings_parse(&settings, copy, size - 1, error, sizeof(error));
	if (!ret)
		look_at(&settings);
	else
		check(error[0]);
	free(copy);
	return 0;
}

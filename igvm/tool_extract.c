#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/tool.h"

/* igvmtool extract: a component as it lies in guest memory. */

static int list(const struct tool_image *image)
{
	unsigned int i;

	if (!image->component_count)
		return tool_fail(-ENOENT, "%s: no image of ours", image->path);
	for (i = 0; i < image->component_count; i++)
		printf("%s\n", image->components[i].name);
	return 0;
}

static int extract(const struct tool_image *image, const char *name, const char *output)
{
	const struct igvm_component *c = NULL;
	unsigned int i;
	uint8_t *data;
	int ret;

	for (i = 0; i < image->component_count; i++)
		if (!strcmp(image->components[i].name, name))
			c = &image->components[i];
	if (!c)
		return tool_fail(-ENOENT, "%s: has no '%s'", image->path, name);
	data = malloc(c->len);
	if (!data)
		return tool_fail(-ENOMEM, "out of memory");
	igvm_content_read(&image->content, c->gpa, data, c->len);
	ret = tool_write_file(output, data, c->len);
	free(data);
	return ret;
}

int tool_extract(int argc, char **argv)
{
	struct tool_image image;
	int ret;

	if (argc != 1 && argc != 3)
		return tool_fail(EXIT_FAILURE, "extract takes FILE [NAME OUTPUT]");
	ret = tool_open_image(&image, argv[0]);
	if (!ret)
		ret = argc == 1 ? list(&image) : extract(&image, argv[1], argv[2]);
	tool_close_image(&image);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

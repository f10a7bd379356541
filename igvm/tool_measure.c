#include <errno.h>
#include <stdlib.h>

#include "igvm/tool.h"

/* igvmtool measure: what each platform that the file is for would have measured. */

static int measure(const struct tool_image *image, unsigned int type)
{
	struct igvm_measurement m;
	struct igvm_error error;
	int ret = igvm_measure(&image->file, type, &m, &error);

	if (ret == -EOPNOTSUPP) {
		printf("%s: nothing is measured\n", tool_platform_name(type));
		return 0;
	}
	if (ret)
		return tool_fail(ret, "%s: at %#llx: %s", image->path,
				 (unsigned long long)error.offset, error.reason);
	printf("%s: %s (%s) %s\n", tool_platform_name(type), m.name, m.algorithm,
	       tool_hex(m.digest, m.len));
	return 0;
}

int tool_measure(int argc, char **argv)
{
	struct tool_image image;
	unsigned int i;
	int ret;

	if (argc != 1)
		return tool_fail(EXIT_FAILURE, "measure takes FILE");
	ret = tool_open_image(&image, argv[0]);
	for (i = 0; !ret && i < image.file.platform_count; i++)
		ret = measure(&image, image.file.platforms[i].platform_type);
	tool_close_image(&image);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

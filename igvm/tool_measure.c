#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/tool.h"

/*
 * igvmtool measure: what each platform that the file is for would have measured, and whether that is what
 * was signed. (Signatures themselves are for those who know whose they should be.)
 */

/* What the file itself says that it measures, in its signature; NULL: it has none. */
static const uint8_t *claimed_digest(const struct igvm_header *header)
{
	if (header->type == IGVM_VHT_SNP_ID_BLOCK)
		return header->snp_id_block.ld;
	if (header->type == IGVM_VHT_VBS_MEASUREMENT)
		return header->vbs_measurement.boot_measurement_digest;
	return NULL;
}

static int check_claims(const struct tool_image *image, unsigned int type,
			const struct igvm_measurement *m)
{
	uint32_t position = 0, mask = igvm_platform_mask(&image->file, type);
	struct igvm_header header;
	const uint8_t *claimed;

	while (igvm_next(&image->file, &position, &header)) {
		claimed = header.known && header.mask & mask ? claimed_digest(&header) : NULL;
		if (claimed && memcmp(claimed, m->digest, m->len) != 0)
			return tool_fail(-EBADMSG, "%s: at %#x: signed was another digest: %s",
					 image->path, header.offset, tool_hex(claimed, m->len));
	}
	return 0;
}

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
	return check_claims(image, type, &m);
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

#include <stdlib.h>
#include <string.h>

#include "igvm/tool.h"

static const char usage[] =
	"usage: igvmtool COMMAND ...\n"
	"  build MANIFEST OUTPUT    builds an image, and OUTPUT.json with digests of its parts\n"
	"  measure FILE             SNP launch digest, TDX MRTD or VBS digest\n"
	"  dump [--json] FILE       all headers\n"
	"  diff FILE FILE           what differs, by component; exit code 1 if anything does\n"
	"  extract FILE             lists the components\n"
	"  extract FILE NAME OUTPUT writes one component as it lies in memory\n"
	"  sign [OPTION...] FILE OUTPUT\n"
	"    --key PEM              P-384 private key: SNP's ID key, or VBS's\n"
	"    --author-key PEM       SNP's author key\n"
	"    --family-id HEX, --image-id HEX   of SNP, 16 bytes each\n"
	"    --svn N                instead of the image's own\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "build", tool_build }, { "measure", tool_measure }, { "dump", tool_dump },
	{ "diff", tool_diff },   { "extract", tool_extract }, { "sign", tool_sign },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	fputs(usage, argc > 1 && !strcmp(argv[1], "help") ? stdout : stderr);
	return argc > 1 && !strcmp(argv[1], "help") ? EXIT_SUCCESS : EXIT_FAILURE;
}

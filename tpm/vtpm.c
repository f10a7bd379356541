// SPDX-License-Identifier: MIT
/*
 * The vTPM's process in VTL2: the engine between two pipes, confined. It serves one peer, the paravisor.
 * docs/vtpm-process.md.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tpm/confine.h"
#include "tpm/vtpm_serve.h"

/* Of the initramfs. */
#define ROOT "/empty"

int main(int argc, char **argv)
{
	const char *root = ROOT;
	struct vtpm_test test = { 0 };
	int ret;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--die-at=", 9))
			test.die_at = strtoul(argv[i] + 9, NULL, 10);
		else if (!strncmp(argv[i], "--hang-at=", 10))
			test.hang_at = strtoul(argv[i] + 10, NULL, 10);
		else if (!strncmp(argv[i], "--root=", 7))
			root = argv[i] + 7;
	}
	ret = confine(root);
	return -(ret ? ret : vtpm_serve(STDIN_FILENO, STDOUT_FILENO, &test));
}

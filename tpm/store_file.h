/* SPDX-License-Identifier: MIT */
#ifndef TPM_STORE_FILE_H
#define TPM_STORE_FILE_H

#include "tpm/store.h"

/* A store_device in a file. */
struct store_file {
	int fd;
	bool durable; /* false: sync does nothing, for states that may be lost */
};

extern const struct store_device store_file_device;

/* Opens or makes the file, for its owner alone, and locks it: -EBUSY when another process has it. 0 or -errno. */
int store_file_open(struct store_file *f, const char *path, bool durable);
void store_file_close(struct store_file *f);

#endif

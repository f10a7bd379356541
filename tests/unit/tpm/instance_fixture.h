/* SPDX-License-Identifier: MIT */
/* A TPM instance whose two stores are memory. */
#ifndef TESTS_INSTANCE_FIXTURE_H
#define TESTS_INSTANCE_FIXTURE_H

#include <string.h>
#include "tpm/instance.h"

struct instance_fixture {
	uint8_t disks[2][2 * (TPM_MAX_BLOB + 4096)];
	struct instance in;
};

static int fixture_disk_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	memcpy(buf, (uint8_t *)ctx + offset, len);
	return 0;
}

static int fixture_disk_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	memcpy((uint8_t *)ctx + offset, buf, len);
	return 0;
}

static int fixture_disk_sync(void *ctx)
{
	(void)ctx;
	return 0;
}

/* *f is zeros. instance_close(&f->in) is owed. */
static inline int instance_fixture_open(struct instance_fixture *f)
{
	static const struct store_device device = { .read = fixture_disk_read,
						    .write = fixture_disk_write,
						    .sync = fixture_disk_sync };

	return instance_open(&f->in) ||
	       store_open(&f->in.permanent, &device, f->disks[0], TPM_MAX_BLOB, NULL,
			  instance_random) ||
	       store_open(&f->in.suspended, &device, f->disks[1], TPM_MAX_BLOB, NULL,
			  instance_random);
}

#endif

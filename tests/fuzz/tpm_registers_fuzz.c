// SPDX-License-Identifier: MIT
/*
 * The guest's accesses to the TPM's registers, CRB or FIFO by the first byte. Each four bytes are one: which, offset
 * (two bytes), value. Answers come now or later, as the value says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tpm/crb.h"
#include "tpm/tis.h"

static struct machine {
	struct crb crb;
	struct tis tis;
	bool fifo, pending;
	uint8_t next; /* of the last write */
} m;

static void complete(void)
{
	uint8_t rsp[4200];

	memset(rsp, m.next, sizeof(rsp));
	m.pending = false;
	if (m.fifo)
		tis_complete(&m.tis, m.next & 1 ? rsp : NULL, (size_t)m.next * 17);
	else
		crb_complete(&m.crb, m.next & 1 ? rsp : NULL, (size_t)m.next * 17);
}

static int submit(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len)
{
	uint8_t sum = 0;

	(void)ctx;
	if (locality >= LOCALITIES || len < 10 || len > TIS_BUFFER_SIZE || m.pending)
		abort();
	for (size_t i = 0; i < len; i++)
		sum ^= cmd[i];
	m.pending = true;
	if (sum & 1)
		complete();
	return 0;
}

static bool established(void *ctx)
{
	(void)ctx;
	return false;
}

static void reset_established(void *ctx)
{
	(void)ctx;
}

static const struct interface_ops ops = { submit, established, reset_established };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct io_region_ops *region;
	uint64_t value;
	void *dev;

	memset(&m, 0, sizeof(m));
	if (!size)
		return 0;
	m.fifo = data[0] & 1;
	region = m.fifo ? &tis_region_ops : &crb_region_ops;
	dev = m.fifo ? (void *)&m.tis : &m.crb;
	crb_init(&m.crb, &ops, NULL);
	tis_init(&m.tis, &ops, NULL);
	for (size_t i = 1; size - i >= 4; i += 4) {
		uint64_t offset = (data[i + 1] | (uint64_t)data[i + 2] << 8) % INTERFACE_SIZE;
		unsigned int bytes = 1u << (data[i] & 3);

		m.next = data[i + 3];
		if (data[i] & 0x80 && m.pending)
			complete();
		else if (data[i] & 4)
			region->read(dev, offset, bytes, &value);
		else
			region->write(dev, offset, bytes, data[i + 3] * 0x0101010101010101ull);
	}
	return 0;
}

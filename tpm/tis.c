// SPDX-License-Identifier: MIT
#include <string.h>
#include "proto/tpm.h"
#include "tpm/tis.h"

/* Offsets within a locality's page: PC Client Platform TPM Profile 1.05, table 16 */
#define ACCESS       0x00
#define CAPABILITY   0x14
#define STS          0x18
#define DATA         0x24 /* to 0x27 */
#define INTERFACE_ID 0x30
#define XDATA        0x80 /* to 0xBF */
#define XDATA_END    0xC0
#define DID_VID      0xF00
#define RID          0xF04

#define ACCESS_VALID           0x80
#define ACCESS_ACTIVE          0x20
#define ACCESS_SEIZED          0x10
#define ACCESS_SEIZE           0x08
#define ACCESS_PENDING         0x04 /* another locality waits */
#define ACCESS_REQUEST         0x02
#define ACCESS_NOT_ESTABLISHED 0x01 /* active low */

#define STS_FAMILY            (1u << 26) /* TPM 2.0 */
#define STS_RESET_ESTABLISHED (1u << 25)
#define STS_BURST_SHIFT       8
#define STS_VALID             0x80
#define STS_READY             0x40
#define STS_GO                0x20
#define STS_AVAILABLE         0x10
#define STS_EXPECT            0x08
#define STS_SELF_TEST_DONE    0x04
#define STS_RETRY             0x02

/* Version 1.3, transfers of up to 64 bytes, no interrupts. */
#define CAPABILITIES (3u << 28 | 3u << 9)
/* Type FIFO as in the profile for TPM 2.0, localities 0 to 4, FIFO alone, selected. */
#define ID (1u << 8 | 1u << 13)
/* Of our choosing: this TPM is no chip. */
#define IDENTITY 0x00015445u
#define REVISION 1

#define HEADER 10 /* bytes of a command's or a response's */

void tis_init(struct tis *tis, const struct interface_ops *ops, void *ctx)
{
	memset(tis, 0, sizeof(*tis));
	tis->ops = ops;
	tis->ctx = ctx;
	localities_reset(&tis->localities);
}

static void become(struct tis *tis, enum tis_state state)
{
	tis->state = state;
	tis->len = tis->pos = 0;
}

/* The bytes that the command is to have: what its header says, and six for a header that is not all there. */
static size_t expected(const struct tis *tis)
{
	const uint8_t *p = tis->buffer;
	uint32_t len;

	if (tis->len < 6)
		return 6;
	len = (uint32_t)p[2] << 24 | p[3] << 16 | p[4] << 8 | p[5];
	return len < HEADER || len > TIS_BUFFER_SIZE ? HEADER : len;
}

/* --- reading --- */

static uint8_t read_access(const struct tis *tis, int locality)
{
	const struct localities *l = &tis->localities;
	uint8_t own = (uint8_t)(1u << locality);

	return ACCESS_VALID | (l->active == locality ? ACCESS_ACTIVE : 0) |
	       (l->seized & own ? ACCESS_SEIZED : 0) |
	       (l->requested & (uint8_t)~own ? ACCESS_PENDING : 0) |
	       (l->requested & own ? ACCESS_REQUEST : 0) |
	       (tis->ops->established(tis->ctx) ? 0 : ACCESS_NOT_ESTABLISHED);
}

static uint32_t read_status(const struct tis *tis)
{
	uint32_t v = STS_FAMILY | STS_VALID | STS_SELF_TEST_DONE;
	size_t burst = 0;

	switch (tis->state) {
	case TIS_READY:
		v |= STS_READY;
		burst = TIS_BUFFER_SIZE;
		break;
	case TIS_RECEPTION:
		burst = TIS_BUFFER_SIZE - tis->len;
		if (tis->len < expected(tis))
			v |= STS_EXPECT;
		break;
	case TIS_COMPLETION:
		burst = tis->len - tis->pos;
		if (burst)
			v |= STS_AVAILABLE;
		break;
	default:
		break;
	}
	return v | (uint32_t)burst << STS_BURST_SHIFT;
}

static uint8_t read_data(struct tis *tis)
{
	if (tis->state != TIS_COMPLETION || tis->pos == tis->len)
		return 0xFF;
	return tis->buffer[tis->pos++];
}

static uint8_t part(uint32_t value, uint32_t reg)
{
	return (uint8_t)(value >> (8 * (reg & 3)));
}

static bool is_data(uint32_t reg)
{
	return (reg >= DATA && reg < DATA + 4) || (reg >= XDATA && reg < XDATA_END);
}

/* One byte of a register. What belongs to the locality that has access is all ones for others (6.2.4). */
static uint8_t read_byte(struct tis *tis, int locality, uint32_t reg)
{
	bool active = locality == tis->localities.active;

	if (is_data(reg))
		return active ? read_data(tis) : 0xFF;
	switch (reg & ~3u) {
	case ACCESS:
		return reg & 3 ? 0xFF : read_access(tis, locality);
	case CAPABILITY:
		return part(CAPABILITIES, reg);
	case STS:
		return active ? part(read_status(tis), reg) : 0xFF;
	case INTERFACE_ID:
		return part(ID, reg);
	case DID_VID:
		return part(IDENTITY, reg);
	case RID:
		return reg & 3 ? 0xFF : REVISION;
	default:
		return reg & ~0x1Fu ? 0xFF : 0; /* the interrupt registers: none */
	}
}

static enum io_result tis_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct tis *tis = dev;
	int locality = (int)(offset >> 12);
	uint32_t reg = offset & 0xFFF;

	*value = 0;
	if (locality >= LOCALITIES)
		return IO_FAULT;
	for (unsigned int i = 0; i < size && reg + i < 0x1000; i++)
		/* A FIFO's bytes come one after the other, wherever in it they are read. */
		*value |= (uint64_t)read_byte(tis, locality, is_data(reg) ? reg : reg + i)
			  << (8 * i);
	return IO_DONE;
}

/* --- writing --- */

static void write_access(struct tis *tis, int locality, uint8_t v)
{
	struct localities *l = &tis->localities;
	int before = l->active;

	if (v & ACCESS_SEIZED)
		l->seized &= (uint8_t) ~(1u << locality);
	if (v & ACCESS_REQUEST)
		localities_request(l, locality);
	if (v & ACCESS_SEIZE && tis->state != TIS_EXECUTION)
		localities_seize(l, locality);
	if (v & ACCESS_ACTIVE && (locality != l->active || tis->state != TIS_EXECUTION))
		localities_relinquish(l, locality);
	/* The next one does not see what was the last one's. */
	if (l->active != before && tis->state != TIS_EXECUTION) {
		memset(tis->buffer, 0, sizeof(tis->buffer));
		become(tis, TIS_IDLE);
	}
}

static void go(struct tis *tis)
{
	size_t len = expected(tis);

	tis->state = TIS_EXECUTION;
	if (tis->ops->submit(tis->ctx, (unsigned int)tis->localities.active, tis->buffer, len))
		tis_complete(tis, NULL, 0);
}

void tis_complete(struct tis *tis, const uint8_t *rsp, size_t len)
{
	static const uint8_t failure[HEADER] = {
		0x80, 0x01, 0, 0, 0, HEADER, 0, 0, TPM_RC_FAILURE >> 8, TPM_RC_FAILURE & 0xFF
	};

	if (tis->state != TIS_EXECUTION)
		return;
	if (!rsp || len > TIS_BUFFER_SIZE) {
		rsp = failure;
		len = sizeof(failure);
	}
	become(tis, TIS_COMPLETION);
	memcpy(tis->buffer, rsp, len);
	tis->len = len;
}

/* Table 19: what each bit does in each state; commands end soon enough by themselves, so none is cancelled. */
static void write_status(struct tis *tis, uint32_t v)
{
	if (v & STS_RESET_ESTABLISHED && tis->localities.active >= 3)
		tis->ops->reset_established(tis->ctx);
	if (tis->state == TIS_EXECUTION)
		return;
	if (v & STS_READY)
		become(tis, tis->state == TIS_RECEPTION || tis->state == TIS_COMPLETION
				    ? TIS_IDLE
				    : TIS_READY);
	else if (v & STS_GO && tis->state == TIS_RECEPTION && tis->len >= expected(tis))
		go(tis);
	else if (v & STS_RETRY && tis->state == TIS_COMPLETION)
		tis->pos = 0;
}

static void write_data(struct tis *tis, uint8_t v)
{
	if (tis->state == TIS_READY)
		become(tis, TIS_RECEPTION);
	if (tis->state != TIS_RECEPTION || tis->len >= expected(tis))
		return;
	tis->buffer[tis->len++] = v;
}

static enum io_result tis_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct tis *tis = dev;
	int locality = (int)(offset >> 12);
	uint32_t reg = offset & 0xFFF;

	if (locality >= LOCALITIES)
		return IO_FAULT;
	if (reg == ACCESS) {
		write_access(tis, locality, (uint8_t)value);
		return IO_DONE;
	}
	if (locality != tis->localities.active)
		return IO_DONE;
	if (is_data(reg))
		for (unsigned int i = 0; i < size; i++)
			write_data(tis, (uint8_t)(value >> (8 * i)));
	else if ((reg & ~3u) == STS)
		write_status(tis, (uint32_t)value << (8 * (reg & 3)));
	return IO_DONE;
}

const struct io_region_ops tis_region_ops = {
	.read = tis_read,
	.write = tis_write,
};

// SPDX-License-Identifier: MIT
#include <string.h>
#include "tpm/crb.h"

/* Offsets within a locality's page: PC Client Platform TPM Profile 1.05, table 9 */
#define LOC_STATE     0x00
#define LOC_CTRL      0x08
#define LOC_STS       0x0C
#define INTERFACE_ID  0x30
#define INTERFACE_ID2 0x34
#define CTRL_REQ      0x40
#define CTRL_STS      0x44
#define CTRL_CANCEL   0x48
#define CTRL_START    0x4C
#define CMD_SIZE      0x58
#define CMD_LADDR     0x5C
#define CMD_HADDR     0x60
#define RSP_SIZE      0x64
#define RSP_LADDR     0x68
#define RSP_HADDR     0x6C
#define DATA          0x80

#define STATE_NOT_ESTABLISHED (1u << 0) /* active low */
#define STATE_ASSIGNED        (1u << 1)
#define STATE_ACTIVE_SHIFT    2
#define STATE_VALID           (1u << 7)
#define LOC_REQUEST           (1u << 0)
#define LOC_RELINQUISH        (1u << 1)
#define LOC_SEIZE             (1u << 2)
#define LOC_RESET_ESTABLISHED (1u << 3)
#define STS_GRANTED           (1u << 0)
#define STS_SEIZED            (1u << 1)
#define REQ_READY             (1u << 0)
#define REQ_IDLE              (1u << 1)
#define STS_FATAL             (1u << 0)
#define STS_IDLE              (1u << 1)

/*
 * Interface identifier: type CRB (1), version 1, localities 0 to 4, transfers of up to 64 bytes, CRB only, selected;
 * revision 1. Vendor and device are of our choosing: this TPM is no chip.
 */
#define ID_LOW  (1u | 1u << 4 | 1u << 8 | 3u << 11 | 1u << 14 | 1u << 17 | 1u << 24)
#define ID_HIGH 0x00015445u

void crb_init(struct crb *crb, const struct interface_ops *ops, void *ctx)
{
	memset(crb, 0, sizeof(*crb));
	crb->ops = ops;
	crb->ctx = ctx;
	crb_reset(crb);
}

void crb_reset(struct crb *crb)
{
	localities_reset(&crb->localities);
	crb->idle = true;
	crb->failed = crb->busy = false;
	memset(crb->data, 0, sizeof(crb->data));
}

static uint32_t read_register(const struct crb *crb, int locality, uint32_t reg)
{
	uint64_t address = INTERFACE_BASE + (uint64_t)locality * 0x1000 + DATA;
	uint32_t v;

	switch (reg) {
	case LOC_STATE:
		v = STATE_VALID | (crb->ops->established(crb->ctx) ? 0 : STATE_NOT_ESTABLISHED);
		if (crb->localities.active >= 0)
			v |= STATE_ASSIGNED | (uint32_t)crb->localities.active
						      << STATE_ACTIVE_SHIFT;
		return v;
	case LOC_STS:
		return (crb->localities.active == locality ? STS_GRANTED : 0) |
		       (crb->localities.seized >> locality & 1 ? STS_SEIZED : 0);
	case INTERFACE_ID:
		return ID_LOW;
	case INTERFACE_ID2:
		return ID_HIGH;
	case CTRL_STS:
		return (crb->failed ? STS_FATAL : 0) | (crb->idle ? STS_IDLE : 0);
	case CTRL_START:
		return crb->busy && crb->localities.active == locality;
	case CMD_SIZE:
	case RSP_SIZE:
		return CRB_DATA_SIZE;
	case CMD_LADDR:
	case RSP_LADDR:
		return (uint32_t)address;
	case CMD_HADDR:
	case RSP_HADDR:
		return (uint32_t)(address >> 32);
	default:
		return 0;
	}
}

static void write_loc_ctrl(struct crb *crb, int locality, uint32_t v)
{
	if (v & LOC_RESET_ESTABLISHED && locality >= 3)
		crb->ops->reset_established(crb->ctx);
	if (v & LOC_REQUEST)
		localities_request(&crb->localities, locality);
	if (v & LOC_SEIZE && !crb->busy)
		localities_seize(&crb->localities, locality);
	if (v & LOC_RELINQUISH && locality == crb->localities.active && !crb->busy)
		localities_relinquish(&crb->localities, locality);
}

/* The command says its own length; a nonsensical one is the engine's to answer. */
static void start(struct crb *crb)
{
	uint32_t len = (uint32_t)crb->data[2] << 24 | crb->data[3] << 16 | crb->data[4] << 8 |
		       crb->data[5];

	if (len < 10 || len > CRB_DATA_SIZE)
		len = 10;
	memcpy(crb->command, crb->data, len);
	crb->command_length = len;
	crb->busy = true;
	crb->idle = false;
	if (crb->ops->submit(crb->ctx, (unsigned int)crb->localities.active, crb->command, len))
		crb_complete(crb, NULL, 0);
}

void crb_complete(struct crb *crb, const uint8_t *rsp, size_t len)
{
	if (!crb->busy)
		return;
	crb->busy = false;
	if (!rsp || len > CRB_DATA_SIZE) {
		crb->failed = true;
		return;
	}
	memset(crb->data, 0, sizeof(crb->data));
	memcpy(crb->data, rsp, len);
}

static void write_register(struct crb *crb, int locality, uint32_t reg, uint32_t v)
{
	if (reg == LOC_CTRL) {
		write_loc_ctrl(crb, locality, v);
		return;
	}
	/* Everything else is for the locality that has access, and not while a command runs. */
	if (locality != crb->localities.active || crb->busy)
		return;
	switch (reg) {
	case CTRL_REQ:
		if (v & REQ_READY)
			crb->idle = false;
		if (v & REQ_IDLE) {
			crb->idle = true;
			memset(crb->data, 0, sizeof(crb->data));
		}
		break;
	case CTRL_START:
		if (v & 1 && !crb->idle && !crb->failed)
			start(crb);
		break;
	default: /* CTRL_CANCEL: commands end soon enough by themselves */
		break;
	}
}

static enum io_result crb_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct crb *crb = dev;
	int locality = (int)(offset >> 12);
	uint32_t reg = offset & 0xFFF;

	*value = 0;
	if (locality >= LOCALITIES)
		return IO_FAULT;
	if (reg >= DATA) {
		for (unsigned int i = 0; i < size && reg - DATA + i < CRB_DATA_SIZE; i++)
			*value |= (uint64_t)(locality == crb->localities.active && !crb->busy
						     ? crb->data[reg - DATA + i]
						     : 0xFF)
				  << (8 * i);
		return IO_DONE;
	}
	for (unsigned int i = 0; i < size; i++)
		*value |= (uint64_t)(read_register(crb, locality, (reg + i) & ~3u) >>
					     (8 * ((reg + i) & 3)) &
				     0xFF)
			  << (8 * i);
	return IO_DONE;
}

static enum io_result crb_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct crb *crb = dev;
	int locality = (int)(offset >> 12);
	uint32_t reg = offset & 0xFFF;

	if (locality >= LOCALITIES)
		return IO_FAULT;
	if (reg >= DATA) {
		if (locality != crb->localities.active || crb->busy)
			return IO_DONE;
		for (unsigned int i = 0; i < size && reg - DATA + i < CRB_DATA_SIZE; i++)
			crb->data[reg - DATA + i] = (uint8_t)(value >> (8 * i));
		return IO_DONE;
	}
	/* All that can be written is in the low bits of aligned registers; 8 bytes are two of them. */
	if (reg & 3)
		return IO_DONE;
	write_register(crb, locality, reg, (uint32_t)value);
	if (size == 8)
		write_register(crb, locality, reg + 4, (uint32_t)(value >> 32));
	return IO_DONE;
}

const struct io_region_ops crb_region_ops = {
	.read = crb_read,
	.write = crb_write,
};

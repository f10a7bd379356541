/*
 * Any driver for the emulated MANA function: the hardware channel brought up, then any command, any work
 * queue entry, any doorbell, any register, frames from the network, resets. DMA stays inside memory
 * (the sanitizers see to that), and after a reset the function must come up again.
 */

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/mana/mana_internal.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/mana/mana_driver.h"
#include "tests/unit/devices/net/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mana_driver driver;

static void any_command(struct fuzz_input *in)
{
	static const uint32_t types[] = { 1,
					  2,
					  3,
					  4,
					  5,
					  10,
					  12,
					  13,
					  25,
					  26,
					  27,
					  0x20001,
					  0x20002,
					  0x20003,
					  0x20004,
					  0x20005,
					  0x20006,
					  0x20007,
					  0x20008,
					  MANA_VTL2_MOVE_FILTER,
					  MANA_EMULATED_UNCUT };
	uint8_t message[600] = { 0 };
	uint32_t len = 40 + (uint32_t)fuzz_take(in, 1) * 2;
	struct gdma_req_hdr hdr;

	mana_driver_header(&hdr, types[fuzz_take(in, 1) % 21], len);
	memcpy(message, &hdr, sizeof(hdr));
	fuzz_take_bytes(in, message + sizeof(hdr), len - sizeof(hdr));
	if (fuzz_take(in, 1) & 1) /* with the vport's handle */
		store_le64(message + sizeof(hdr), MANA_VPORT);
	mana_driver_command(&driver, message, len);
}

static void queue_entry(struct fuzz_input *in)
{
	uint32_t place = fuzz_take(in, 1) % 2 ? MANA_DRIVER_RQ : MANA_DRIVER_SQ;
	uint8_t entry[128];
	size_t len = fuzz_take_bytes(in, entry, fuzz_take(in, 1) % 128);

	memcpy(driver.ram + place + fuzz_take(in, 1) % 64 * 32, entry, len);
}

static void any_doorbell(struct fuzz_input *in)
{
	static const uint32_t places[] = { GDMA_DOORBELL_SQ, GDMA_DOORBELL_RQ, GDMA_DOORBELL_CQ,
					   GDMA_DOORBELL_EQ };
	uint32_t place = places[fuzz_take(in, 1) % 4], id = (uint32_t)fuzz_take(in, 1) % 8;

	mana_driver_doorbell(&driver, 1, place, id, (uint32_t)fuzz_take(in, 2) * 32,
			     fuzz_take(in, 1) & 1);
}

static void any_register(struct fuzz_input *in)
{
	unsigned int size = 1u << fuzz_take(in, 1) % 4;
	uint64_t offset = fuzz_take(in, 3) % (MANA_BAR_SIZE - 8);

	if (fuzz_take(in, 1) & 1)
		offset = MANA_SHM + offset % 28;
	if (fuzz_take(in, 1) & 1)
		driver.function->ops->bar_read(driver.function, 0, offset, size);
	else
		mana_driver_write(&driver, offset, size, fuzz_take(in, size));
}

static void from_network(struct fuzz_input *in)
{
	uint8_t frame[300] = { 0x02, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0, 0x45 };
	size_t len = 14 + fuzz_take_bytes(in, frame + 12, fuzz_take(in, 1));

	memory_backend_deliver(&driver.network, frame, len);
}

/* As drivers ask for it, or not quite. */
static void ask_for_uncut(struct fuzz_input *in)
{
	struct mana_uncut_req req = { .vport = MANA_VPORT,
				      .versions = (uint32_t)fuzz_take(in, 1) % 5,
				      .max_len = (uint32_t)fuzz_take(in, 3) };

	mana_driver_header(&req.hdr, MANA_EMULATED_UNCUT, sizeof(req));
	mana_driver_command(&driver, &req, sizeof(req));
}

/* A send of any size, with bytes in its headers that the input chose. */
static void send_from_network(struct fuzz_input *in)
{
	static uint8_t bytes[66000];
	uint8_t how = (uint8_t)fuzz_take(in, 1);
	uint32_t payload = (uint32_t)fuzz_take(in, 2) % 65400;
	uint32_t len = tcp_send_make(bytes, how & 1, how & 2, 0, payload);
	size_t mss = 1 + fuzz_take(in, 2) % 2000;

	memcpy(bytes, "\x02\0\0\0\0\x01", 6);
	for (unsigned int i = how >> 2 & 3; i > 0; i--)
		bytes[fuzz_take(in, 1) % 90 % len] ^= (uint8_t)fuzz_take(in, 1);
	if (mss < payload / 100) /* not for ever */
		mss = payload / 100;
	if (memory_backend_deliver_send(&driver.network, bytes, len, len - payload, mss) > payload)
		abort();
}

static void act(struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 10) {
	case 0:
	case 1:
		any_command(in);
		break;
	case 2:
	case 3:
		queue_entry(in);
		break;
	case 4:
		any_doorbell(in);
		break;
	case 5:
		from_network(in);
		break;
	case 6:
		any_register(in);
		break;
	case 7:
		if (fuzz_take(in, 1) < 8) {
			driver.function->ops->reset(driver.function);
			mana_driver_bring_up(&driver);
		}
		mana_driver_run(&driver);
		break;
	case 8:
		send_from_network(in);
		break;
	case 9:
		ask_for_uncut(in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct gdma_req_hdr hdr;

	log_set_level(LOG_ERROR);
	if (mana_driver_init(&driver))
		abort();
	driver.network.backend.offloads = size & 1;
	mana_driver_bring_up(&driver);
	mana_driver_make_queues(&driver);
	while (in.size)
		act(&in);
	mana_driver_run(&driver);
	driver.function->ops->reset(driver.function);
	mana_driver_bring_up(&driver);
	mana_driver_header(&hdr, GDMA_LIST_DEVICES, sizeof(hdr));
	if (mana_driver_command(&driver, &hdr, sizeof(hdr)) != GDMA_STATUS_SUCCESS)
		abort();
	mana_driver_fini(&driver);
	return 0;
}

/*
 * A MANA function that lies to its driver as the input says: completions and events of anything, at any
 * moment, under a guest that sends and receives; the function asks for resets, its answers are
 * overwritten. Afterwards the driver must have let go of everything.
 */

#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/mana/mana_internal.h"
#include "devices/net/mana_nic.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/net/mana_machine.h"
#include "tests/unit/devices/net/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mana_machine m;

static void run(unsigned int channels)
{
	mana_machine_run(&m, channels);
}

/* A completion on any queue, mostly of the right shape. */
static void lie_completion(struct fuzz_input *in, struct mana *mana)
{
	struct mana_wq *wq = &mana->wqs[fuzz_take(in, 1) % 12];
	uint8_t data[GDMA_CQE_DATA] = { 0 };
	struct mana_rx_comp *rx = (void *)data;

	if (!wq->used)
		return;
	rx->header = (uint32_t)fuzz_take(in, 1) % 64 | (uint32_t)fuzz_take(in, 1) % 4 << 6;
	rx->flags = (uint32_t)fuzz_take(in, 4);
	rx->packets[0].len = (uint32_t)fuzz_take(in, 2);
	rx->wqe_offset =
		wq->ring.size ? (wq->head + (uint32_t)fuzz_take(in, 1) * 32) % wq->ring.size : 0;
	if (fuzz_take(in, 1) & 1)
		fuzz_take_bytes(in, data, sizeof(data));
	for (uint64_t i = fuzz_take(in, 1) % 4; i-- > 0;)
		mana_complete(mana, wq, data);
}

/* Of a send in several buffers: right, but for what the input adds to it. */
static void lie_uncut(struct fuzz_input *in, struct mana *mana)
{
	struct mana_wq *wq = &mana->wqs[fuzz_take(in, 1) % 12];
	uint32_t buffers = (uint32_t)fuzz_take(in, 1) % 70;
	struct mana_rx_uncut_comp comp = {
		.header = MANA_CQE_RX_UNCUT | MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT,
		.flags = (uint32_t)fuzz_take(in, 4),
		.buffers = buffers + (int8_t)fuzz_take(in, 1) / 64,
		.frames = (uint32_t)fuzz_take(in, 2),
	};

	if (!wq->used || !wq->ring.size)
		return;
	comp.packet.len = buffers * 1920 - (uint32_t)fuzz_take(in, 2) % 1925;
	comp.wqe_offset = (wq->head + (uint32_t)fuzz_take(in, 1) / 64 * 32) % wq->ring.size;
	mana_complete(mana, wq, &comp);
	if (fuzz_take(in, 1) & 1)
		wq->head += comp.buffers % 70 * GDMA_WQE_UNIT;
}

static void send_from_network(struct fuzz_input *in)
{
	static uint8_t bytes[66000];
	uint8_t how = (uint8_t)fuzz_take(in, 1);
	uint32_t payload = (uint32_t)fuzz_take(in, 2) % 65400;
	uint32_t len = tcp_send_make(bytes, how & 1, how & 2, 0, payload);

	memory_backend_deliver_send(&m.network, bytes, len, len - payload, 1400);
}

static void lie_event(struct fuzz_input *in, struct mana *mana)
{
	uint32_t eq = (uint32_t)fuzz_take(in, 1) % 8;
	uint8_t type = (uint8_t)fuzz_take(in, 1);

	mana_event(mana, eq, type, (uint32_t)fuzz_take(in, 4));
}

/* Bytes of any queue or answer, written over. */
static void scribble(struct fuzz_input *in)
{
	uint64_t at = MANA_MACHINE_POOL + fuzz_take(in, 3) % (1u << 20);
	uint8_t bytes[64];
	size_t len = fuzz_take_bytes(in, bytes, fuzz_take(in, 1) % 64);

	guest_memory_write(m.client.memory, at, bytes, len);
}

static void send_frame(struct fuzz_input *in, unsigned int channels)
{
	struct netvsc_tx tx = { NETVSC_FRAMES + 0x1000, 60 + (uint32_t)fuzz_take(in, 1), NULL, 0 };

	netvsc_send(&m.net, fuzz_take(in, 1) % channels, 1, NETVSC_FRAMES, &tx);
}

static void act(struct fuzz_input *in, unsigned int channels)
{
	struct mana *mana = mana_of(m.function);
	uint8_t frame[64] = { 0x02, 0x15, 0x5D, 1, 2, 3 };

	switch (fuzz_take(in, 1) % 12) {
	case 0:
	case 1:
		lie_completion(in, mana);
		break;
	case 2:
		lie_event(in, mana);
		break;
	case 3:
		scribble(in);
		break;
	case 4:
	case 5:
		send_frame(in, channels);
		break;
	case 6:
		memory_backend_deliver(&m.network, frame, sizeof(frame));
		break;
	case 7:
		mana_function_request_reset(m.function);
		break;
	case 8:
		mana_function_set_link(m.function, fuzz_take(in, 1) & 1);
		break;
	case 9:
		lie_uncut(in, mana);
		break;
	case 10:
		send_from_network(in);
		break;
	case 11:
		netvsc_rsc(&m.net, (uint8_t)fuzz_take(in, 1) % 3, (uint8_t)fuzz_take(in, 1) % 3);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int channels = 1;

	log_set_level(LOG_ERROR);
	if (mana_machine_init(&m, 1500, 4) || netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500))
		abort();
	if (fuzz_take(&in, 1) & 1) {
		if (netvsc_sub_channels(&m.net, 3))
			abort();
		channels = 4;
	}
	for (int i = 0; in.size && i < 200; i++) {
		act(&in, channels);
		if (fuzz_take(&in, 1) & 1)
			run(channels);
	}
	run(channels);
	if (mana_machine_fini(&m))
		abort();
	return 0;
}

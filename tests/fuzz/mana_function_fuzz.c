/*
 * Any driver for the emulated MANA function: the hardware channel brought up, then any command, any work
 * queue entry, any doorbell, any register, frames from the network, resets. DMA stays inside memory
 * (the sanitizers see to that), and after a reset the function must come up again.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/mana/mana_internal.h"
#include "proto/pci.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/net/memory_backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM     (1u << 20)
#define EQ      0x1000u
#define CQ      0x2000u
#define RQ      0x3000u
#define SQ      0x4000u
#define REQUEST 0x5000u
#define ANSWER  0x6000u
#define QUEUES  0x10000u

static uint8_t *ram;
static struct guest_memory *memory;
static struct event_loop *loop;
static struct memory_backend network;
static struct pci_function *function;
static uint32_t sq_head, rq_head;

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
}

static const struct pci_bus_ops bus_ops = { .msi = msi };

static void write_bar(uint64_t offset, unsigned int size, uint64_t value)
{
	function->ops->bar_write(function, 0, offset, size, value);
}

static void doorbell(uint32_t page, uint32_t place, uint32_t id, uint32_t tail, bool arm)
{
	write_bar(MANA_DOORBELLS + page * 4096 + place, 8,
		  id | (uint64_t)tail << 32 | (arm ? GDMA_DOORBELL_ARM : 0));
}

/* Writes an entry at `at`; returns its size. */
static uint32_t put_wqe(uint8_t *at, uint32_t oob_size, const void *oob, uint64_t address,
			uint32_t len)
{
	store_le32(at, 0);
	store_le32(at + 4, 1 | oob_size / 4 << GDMA_WQE_OOB_SHIFT);
	memcpy(at + 8, oob, oob_size);
	store_le64(at + 8 + oob_size, address);
	store_le32(at + 16 + oob_size, 0);
	store_le32(at + 20 + oob_size, len);
	return (8 + oob_size + 16 + 31) & ~31u;
}

static void post_answer_buffer(void)
{
	const uint8_t oob[8] = { 0 };

	rq_head += put_wqe(ram + RQ + rq_head % 4096, 8, oob, ANSWER, 4096);
	doorbell(0, GDMA_DOORBELL_RQ, MANA_HWC_RQ, rq_head, false);
}

static void bring_up(void)
{
	uint8_t shm[SMC_SIZE] = { 0 };
	const uint64_t pages[] = { EQ, CQ, RQ, SQ };

	function->ops->config_write(function, PCI_COMMAND, 2, 6);
	for (unsigned int i = 0; i < 4; i++)
		shm[i * 6] = (uint8_t)(pages[i] >> 12);
	store_le32(shm + SMC_HEADER_OFFSET, SMC_TYPE_ESTABLISH_HWC);
	for (unsigned int i = 0; i < SMC_SIZE; i += 4)
		write_bar(MANA_SHM + i, 4, load_le32(shm + i));
	sq_head = 0;
	rq_head = 0;
	post_answer_buffer();
}

static uint32_t command(const void *message, uint32_t len)
{
	const uint8_t oob[24] = { 0 };
	uint8_t entry[64] = { 0 };
	uint32_t size = put_wqe(entry, 24, oob, REQUEST, len);

	memcpy(ram + REQUEST, message, len);
	for (uint32_t i = 0; i < size; i++)
		ram[SQ + (sq_head + i) % 4096] = entry[i];
	memset(ram + ANSWER, 0xFF, 64);
	sq_head += size;
	doorbell(0, GDMA_DOORBELL_SQ, MANA_HWC_SQ, sq_head, false);
	post_answer_buffer();
	return load_le32(ram + ANSWER + 24);
}

static void fill_header(struct gdma_req_hdr *hdr, uint32_t type, uint32_t len)
{
	*hdr = (struct gdma_req_hdr){ .req = { 0, type, 5, 0, len },
				      .resp = { 0, type, 2, 0, 512 },
				      .dev_id.type = GDMA_DEVICE_MANA };
}

static uint64_t make_region(uint64_t address, uint32_t pages)
{
	uint64_t message[8 + 16];
	struct gdma_create_dma_region_req *req = (void *)message;

	fill_header(&req->hdr, GDMA_CREATE_DMA_REGION, 64 + pages * 8);
	req->length = pages * 4096ull;
	req->offset_in_page = 0;
	req->gdma_page_type = 0;
	req->page_count = pages;
	req->page_addr_list_len = pages;
	for (uint32_t i = 0; i < pages; i++)
		message[8 + i] = address + i * 4096ull;
	command(message, 64 + pages * 8);
	return load_le64(ram + ANSWER + 32);
}

/* An EQ, an SQ (2) and an RQ (3), with steering to the latter: what a driver begins with. */
static void make_queues(void)
{
	struct gdma_create_queue_req eq = { .type = GDMA_EQ, .queue_size = 4096 };
	struct mana_config_vport_req vport = { .vport = MANA_VPORT };
	struct mana_cfg_rx_steer_req steer = { .vport = MANA_VPORT,
					       .rx_enable = 1,
					       .update_default_rxobj = 1,
					       .default_rxobj = MANA_WQ_HANDLE + 3 };

	eq.gdma_region = make_region(QUEUES, 1);
	fill_header(&eq.hdr, GDMA_CREATE_QUEUE, sizeof(eq));
	command(&eq, sizeof(eq));
	fill_header(&vport.hdr, MANA_CONFIG_VPORT_TX, sizeof(vport));
	command(&vport, sizeof(vport));
	for (uint32_t i = 0; i < 2; i++) {
		struct mana_create_wqobj_req wq = { .vport = MANA_VPORT,
						    .wq_type = i ? GDMA_RQ : GDMA_SQ,
						    .wq_size = 8192,
						    .cq_size = 4096,
						    .cq_parent_qid = 1 };

		wq.wq_gdma_region = make_region(QUEUES + 0x1000 + i * 0x3000, 2);
		wq.cq_gdma_region = make_region(QUEUES + 0x3000 + i * 0x3000, 1);
		fill_header(&wq.hdr, MANA_CREATE_WQ_OBJ, sizeof(wq));
		command(&wq, sizeof(wq));
	}
	fill_header(&steer.hdr, MANA_CONFIG_VPORT_RX, sizeof(steer));
	command(&steer, sizeof(steer));
}

static void any_command(struct fuzz_input *in)
{
	static const uint32_t types[] = { 1,       2,       3,       4,       5,
					  10,      12,      13,      25,      26,
					  27,      0x20001, 0x20002, 0x20003, 0x20004,
					  0x20005, 0x20006, 0x20007, 0x20008 };
	uint8_t message[600] = { 0 };
	uint32_t len = 40 + (uint32_t)fuzz_take(in, 1) * 2;
	struct gdma_req_hdr hdr;

	fill_header(&hdr, types[fuzz_take(in, 1) % 19], len);
	memcpy(message, &hdr, sizeof(hdr));
	fuzz_take_bytes(in, message + sizeof(hdr), len - sizeof(hdr));
	if (fuzz_take(in, 1) & 1) /* with the vport's handle */
		store_le64(message + sizeof(hdr), MANA_VPORT);
	command(message, len);
}

static void queue_entry(struct fuzz_input *in)
{
	uint32_t place = QUEUES + 0x1000 + (uint32_t)fuzz_take(in, 1) % 2 * 0x3000;
	uint8_t entry[128];
	size_t len = fuzz_take_bytes(in, entry, fuzz_take(in, 1) % 128);

	memcpy(ram + place + fuzz_take(in, 1) % 64 * 32, entry, len);
}

static void any_doorbell(struct fuzz_input *in)
{
	static const uint32_t places[] = { GDMA_DOORBELL_SQ, GDMA_DOORBELL_RQ, GDMA_DOORBELL_CQ,
					   GDMA_DOORBELL_EQ };
	uint32_t place = places[fuzz_take(in, 1) % 4], id = (uint32_t)fuzz_take(in, 1) % 8;

	doorbell(1, place, id, (uint32_t)fuzz_take(in, 2) * 32, fuzz_take(in, 1) & 1);
}

static void any_register(struct fuzz_input *in)
{
	unsigned int size = 1u << fuzz_take(in, 1) % 4;
	uint64_t offset = fuzz_take(in, 3) % (MANA_BAR_SIZE - 8);

	if (fuzz_take(in, 1) & 1)
		offset = MANA_SHM + offset % 28;
	if (fuzz_take(in, 1) & 1)
		function->ops->bar_read(function, 0, offset, size);
	else
		write_bar(offset, size, fuzz_take(in, size));
}

static void run(void)
{
	while (event_loop_run_once(loop, 0) > 0)
		;
}

static void from_network(struct fuzz_input *in)
{
	uint8_t frame[300] = { 0x02, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0, 0x45 };
	size_t len = 14 + fuzz_take_bytes(in, frame + 12, fuzz_take(in, 1));

	memory_backend_deliver(&network, frame, len);
}

static void act(struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 8) {
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
			function->ops->reset(function);
			bring_up();
		}
		run();
		break;
	}
}

static void start(void)
{
	struct mana_function_config config = { .backend = &network.backend,
					       .mac = { 0x02, 0, 0, 0, 0, 1 },
					       .mtu = 1500,
					       .queues = 4 };

	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = guest_memory_create();
	loop = event_loop_create();
	if (ram == MAP_FAILED || !memory || !loop || guest_memory_add(memory, 0, ram, RAM))
		abort();
	memory_backend_init(&network);
	config.loop = loop;
	function = mana_function_create(&config);
	if (!function)
		abort();
	function->bus = (struct pci_bus){ .ops = &bus_ops, .memory = memory };
	run();
}

static void end(void)
{
	function->ops->reset(function);
	function->ops->destroy(function);
	memory_backend_fini(&network);
	event_loop_destroy(loop);
	guest_memory_destroy(memory);
	munmap(ram, RAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct gdma_req_hdr hdr;

	log_set_level(LOG_ERROR);
	start();
	network.backend.offloads = size & 1;
	bring_up();
	make_queues();
	while (in.size)
		act(&in);
	run();
	function->ops->reset(function);
	bring_up();
	fill_header(&hdr, GDMA_LIST_DEVICES, sizeof(hdr));
	if (command(&hdr, sizeof(hdr)) != GDMA_STATUS_SUCCESS)
		abort();
	end();
	return 0;
}

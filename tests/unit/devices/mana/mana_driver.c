#include "tests/unit/devices/mana/mana_driver.h"

#include <string.h>
#include <sys/mman.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/mana/mana_internal.h"
#include "proto/mana.h"
#include "proto/pci.h"

/* The hardware channel's pages. */
#define EQ      0x1000u
#define CQ      0x2000u
#define RQ      0x3000u
#define SQ      0x4000u
#define REQUEST 0x5000u
#define ANSWER  0x6000u

#define ANSWER_ROOM 512u

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	struct mana_driver *driver = ctx;

	(void)address;
	(void)data;
	__atomic_fetch_add(&driver->interrupts, 1, __ATOMIC_RELAXED);
}

static const struct pci_bus_ops bus_ops = { .msi = msi };

static void move_filter(void *ctx, bool to_vtl0)
{
	struct mana_driver *driver = ctx;

	driver->moves++;
	driver->to_vtl0 = to_vtl0;
}

void mana_driver_run(struct mana_driver *driver)
{
	while (event_loop_run_once(driver->loop, 0) > 0)
		;
}

int mana_driver_init(struct mana_driver *driver)
{
	struct mana_function_config config = { .mac = { 0x02, 0, 0, 0, 0, 1 },
					       .mtu = 1500,
					       .queues = 4,
					       .move_filter = move_filter,
					       .ctx = driver };

	memset(driver, 0, sizeof(*driver));
	driver->ram = mmap(NULL, MANA_DRIVER_RAM, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	driver->memory = guest_memory_create();
	driver->loop = event_loop_create();
	if (driver->ram == MAP_FAILED || !driver->memory || !driver->loop ||
	    guest_memory_add(driver->memory, 0, driver->ram, MANA_DRIVER_RAM))
		return -1;
	memory_backend_init(&driver->network);
	config.loop = driver->loop;
	config.backend = &driver->network.backend;
	driver->function = mana_function_create(&config);
	if (!driver->function)
		return -1;
	driver->function->bus =
		(struct pci_bus){ .ops = &bus_ops, .ctx = driver, .memory = driver->memory };
	mana_driver_run(driver);
	return 0;
}

void mana_driver_fini(struct mana_driver *driver)
{
	driver->function->ops->reset(driver->function);
	mana_driver_run(driver);
	driver->function->ops->destroy(driver->function);
	memory_backend_fini(&driver->network);
	event_loop_destroy(driver->loop);
	guest_memory_destroy(driver->memory);
	munmap(driver->ram, MANA_DRIVER_RAM);
}

void mana_driver_take_interrupts(struct mana_driver *driver)
{
	struct pci_function *function = driver->function;
	uint16_t at = (uint16_t)function->ops->config_read(function, PCI_CAPABILITY_POINTER, 1);

	while (function->ops->config_read(function, at, 1) != PCI_CAP_MSIX)
		at = (uint16_t)function->ops->config_read(function, (uint16_t)(at + 1), 1);
	function->ops->bar_write(function, MANA_MSIX_BAR, 12, 4, 0); /* not masked */
	function->ops->config_write(function, at + PCI_MSIX_CONTROL, 2, PCI_MSIX_CONTROL_ENABLE);
}

void mana_driver_write(struct mana_driver *driver, uint64_t offset, unsigned int size,
		       uint64_t value)
{
	driver->function->ops->bar_write(driver->function, 0, offset, size, value);
}

void mana_driver_doorbell(struct mana_driver *driver, uint32_t page, uint32_t place, uint32_t id,
			  uint32_t tail, bool arm)
{
	mana_driver_write(driver, MANA_DOORBELLS + page * GDMA_PAGE_SIZE + place, 8,
			  id | (uint64_t)tail << GDMA_DOORBELL_TAIL_SHIFT |
				  (arm ? GDMA_DOORBELL_ARM : 0));
}

uint32_t mana_driver_put_wqe(uint8_t *at, uint32_t oob_size, const void *oob, uint64_t address,
			     uint32_t len)
{
	store_le32(at, 0);
	store_le32(at + 4, 1 | oob_size / 4 << GDMA_WQE_OOB_SHIFT);
	memcpy(at + 8, oob, oob_size);
	store_le64(at + 8 + oob_size, address);
	store_le32(at + 16 + oob_size, 0);
	store_le32(at + 20 + oob_size, len);
	return (8 + oob_size + 16 + GDMA_WQE_UNIT - 1) & ~(GDMA_WQE_UNIT - 1);
}

/* --- The hardware channel */

static void post_answer_buffer(struct mana_driver *driver)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	driver->rq_head += mana_driver_put_wqe(driver->ram + RQ + driver->rq_head % GDMA_PAGE_SIZE,
					       sizeof(oob), oob, ANSWER, GDMA_PAGE_SIZE);
	mana_driver_doorbell(driver, 0, GDMA_DOORBELL_RQ, MANA_HWC_RQ, driver->rq_head, false);
}

void mana_driver_bring_up(struct mana_driver *driver)
{
	struct pci_function *function = driver->function;
	uint8_t shm[SMC_SIZE] = { 0 };
	const uint64_t pages[] = { EQ, CQ, RQ, SQ };

	function->ops->config_write(function, PCI_COMMAND, 2,
				    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned int i = 0; i < 4; i++)
		shm[i * SMC_PAGE_NUMBER_BYTES] = (uint8_t)(pages[i] >> GDMA_PAGE_SHIFT);
	store_le32(shm + SMC_HEADER_OFFSET, SMC_TYPE_ESTABLISH_HWC);
	for (unsigned int i = 0; i < SMC_SIZE; i += 4)
		mana_driver_write(driver, MANA_SHM + i, 4, load_le32(shm + i));
	driver->sq_head = 0;
	driver->rq_head = 0;
	post_answer_buffer(driver);
}

void mana_driver_header(struct gdma_req_hdr *hdr, uint32_t type, uint32_t len)
{
	*hdr = (struct gdma_req_hdr){ .req = { 0, type, 5, 0, len },
				      .resp = { 0, type, 2, 0, ANSWER_ROOM },
				      .dev_id.type = GDMA_DEVICE_MANA };
}

uint32_t mana_driver_command(struct mana_driver *driver, const void *message, uint32_t len)
{
	const uint8_t oob[GDMA_OOB_LARGE] = { 0 };
	uint8_t entry[64] = { 0 };
	uint32_t size = mana_driver_put_wqe(entry, sizeof(oob), oob, REQUEST, len);

	memcpy(driver->ram + REQUEST, message, len);
	for (uint32_t i = 0; i < size; i++)
		driver->ram[SQ + (driver->sq_head + i) % GDMA_PAGE_SIZE] = entry[i];
	memset(driver->ram + ANSWER, 0xFF, ANSWER_ROOM);
	driver->sq_head += size;
	mana_driver_doorbell(driver, 0, GDMA_DOORBELL_SQ, MANA_HWC_SQ, driver->sq_head, false);
	post_answer_buffer(driver);
	return ((const struct gdma_resp_hdr *)(const void *)mana_driver_answer(driver))->status;
}

const uint8_t *mana_driver_answer(const struct mana_driver *driver)
{
	return driver->ram + ANSWER;
}

/* --- Objects */

uint64_t mana_driver_region(struct mana_driver *driver, uint64_t address, uint32_t pages)
{
	uint64_t message[8 + 16];
	struct gdma_create_dma_region_req *req = (void *)message;
	uint32_t len = (uint32_t)(sizeof(*req) + pages * sizeof(uint64_t));

	*req = (struct gdma_create_dma_region_req){ .length = (uint64_t)pages * GDMA_PAGE_SIZE,
						    .page_count = pages,
						    .page_addr_list_len = pages };
	mana_driver_header(&req->hdr, GDMA_CREATE_DMA_REGION, len);
	for (uint32_t i = 0; i < pages; i++)
		req->page_addr_list[i] = address + (uint64_t)i * GDMA_PAGE_SIZE;
	if (mana_driver_command(driver, message, len))
		return 0;
	return load_le64(mana_driver_answer(driver) + sizeof(struct gdma_resp_hdr));
}

static void make_wq(struct mana_driver *driver, uint32_t type, uint64_t address)
{
	struct mana_create_wqobj_req req = { .vport = MANA_VPORT,
					     .wq_type = type,
					     .wq_size = 2 * GDMA_PAGE_SIZE,
					     .cq_size = GDMA_PAGE_SIZE,
					     .cq_parent_qid = MANA_DRIVER_EQ_ID };

	req.wq_gdma_region = mana_driver_region(driver, address, 2);
	req.cq_gdma_region = mana_driver_region(driver, address + 2 * GDMA_PAGE_SIZE, 1);
	mana_driver_header(&req.hdr, MANA_CREATE_WQ_OBJ, sizeof(req));
	mana_driver_command(driver, &req, sizeof(req));
}

void mana_driver_make_queues(struct mana_driver *driver)
{
	struct gdma_create_queue_req eq = { .type = GDMA_EQ, .queue_size = GDMA_PAGE_SIZE };
	struct mana_config_vport_req vport = { .vport = MANA_VPORT };
	struct mana_cfg_rx_steer_req steer = { .vport = MANA_VPORT,
					       .rx_enable = 1,
					       .update_default_rxobj = 1,
					       .default_rxobj =
						       MANA_WQ_HANDLE + MANA_DRIVER_RQ_ID };

	eq.gdma_region = mana_driver_region(driver, MANA_DRIVER_QUEUES, 1);
	mana_driver_header(&eq.hdr, GDMA_CREATE_QUEUE, sizeof(eq));
	mana_driver_command(driver, &eq, sizeof(eq));
	mana_driver_header(&vport.hdr, MANA_CONFIG_VPORT_TX, sizeof(vport));
	mana_driver_command(driver, &vport, sizeof(vport));
	make_wq(driver, GDMA_SQ, MANA_DRIVER_SQ);
	make_wq(driver, GDMA_RQ, MANA_DRIVER_RQ);
	mana_driver_header(&steer.hdr, MANA_CONFIG_VPORT_RX, sizeof(steer));
	mana_driver_command(driver, &steer, sizeof(steer));
}

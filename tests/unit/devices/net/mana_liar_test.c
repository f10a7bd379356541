/*
 * A function that lies while it is brought up: registers, the shared memory channel, what it says of its queues, answers.
 * Between the driver and the emulated function is a bus that changes what comes back. The driver must say so, and let go
 * of everything.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "core/nic.h"
#include "core/pci_device.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/net/mana_nic.h"
#include "devices/pci/pci_inproc.h"
#include "proto/mana.h"
#include "proto/pci.h"
#include "tests/unit/devices/net/memory_backend.h"

#define SHM   0x1000u /* where the emulator has it */
#define BYTES 0x20000u

enum place {
	NOTHING,
	CONFIG,
	BAR_SIZE,
	REGISTER,
	HEADER,
	INIT_DATA,
	INIT_DOORBELL,
	ANSWER,
	ANSWER_LENGTH
};

/* `at`: an offset, the type of data; of an answer's lie, of which command, and where. */
struct lie {
	enum place place;
	uint32_t at, offset;
	uint64_t value;
	unsigned int size;
	int expected;
};

static struct liar {
	struct pci_device_access pci;
	struct pci_device_access *truth;
	struct pci_dma hwc; /* the first memory that the driver gets */
	const struct lie *lie;
} liar;

static struct event_loop *loop;
static struct guest_memory *memory;
static struct memory_backend network;
static struct pci_function *function;
static struct pci_inproc *inproc;

/* --- What goes through */

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	int err = liar.truth->ops->config_read(liar.truth, offset, size, value);

	(void)pci;
	if (liar.lie->place == CONFIG && offset == liar.lie->at)
		*value = (uint32_t)liar.lie->value;
	return err;
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	(void)pci;
	return liar.truth->ops->config_write(liar.truth, offset, size, value);
}

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	(void)pci;
	return liar.lie->place == BAR_SIZE ? liar.lie->value
					   : liar.truth->ops->bar_size(liar.truth, bar);
}

static uint64_t read(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
		     unsigned int size)
{
	(void)pci;
	if (liar.lie->place == REGISTER && offset == liar.lie->at)
		return liar.lie->value & bytes_mask(size);
	/* Only of the answer: before there is one the channel is free. */
	if (liar.lie->place == HEADER && offset == SHM + SMC_HEADER_OFFSET && liar.hwc.base &&
	    liar.truth->ops->read(liar.truth, bar, offset, 4))
		return liar.lie->value;
	return liar.truth->ops->read(liar.truth, bar, offset, size);
}

static void change_events(void)
{
	for (uint32_t at = 0; at < GDMA_PAGE_SIZE; at += sizeof(struct gdma_eqe)) {
		uint8_t *eqe = (uint8_t *)liar.hwc.base + at;
		uint32_t type = load_le32(eqe + 12) & GDMA_EQE_TYPE_MASK, data = load_le32(eqe);

		if (liar.lie->place == INIT_DOORBELL && type == GDMA_EQE_HWC_INIT_EQ_ID_DB)
			store_le32(eqe, (uint32_t)liar.lie->value);
		if (liar.lie->place == INIT_DATA && type == GDMA_EQE_HWC_INIT_DATA &&
		    data >> HWC_INIT_TYPE_SHIFT == liar.lie->at)
			store_le32(eqe, (uint32_t)liar.lie->value);
	}
}

static void change_lengths(void)
{
	for (uint32_t at = 0; at < GDMA_PAGE_SIZE; at += sizeof(struct gdma_cqe))
		store_le32((uint8_t *)liar.hwc.base + GDMA_PAGE_SIZE + at +
				   offsetof(struct hwc_rx_oob, tx_oob_data_size),
			   (uint32_t)liar.lie->value);
}

static void change_answer(void)
{
	uint8_t *answer = (uint8_t *)liar.hwc.base + 5 * GDMA_PAGE_SIZE;

	if (load_le32(answer + offsetof(struct gdma_msg_hdr, msg_type)) == liar.lie->at)
		memcpy(answer + liar.lie->offset, &liar.lie->value, liar.lie->size);
}

/* The function has done what was asked for when this returns: then it is changed. */
static void write(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
		  unsigned int size, uint64_t value)
{
	(void)pci;
	liar.truth->ops->write(liar.truth, bar, offset, size, value);
	if (liar.lie->place == INIT_DATA || liar.lie->place == INIT_DOORBELL)
		change_events();
	if (liar.lie->place == ANSWER)
		change_answer();
	if (liar.lie->place == ANSWER_LENGTH)
		change_lengths();
}

static int dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma)
{
	int err = liar.truth->ops->dma_alloc(liar.truth, len, dma);

	(void)pci;
	if (!err && !liar.hwc.base)
		liar.hwc = *dma;
	return err;
}

static void dma_free(struct pci_device_access *pci, struct pci_dma *dma)
{
	(void)pci;
	if (dma->base == liar.hwc.base)
		liar.hwc.base = NULL;
	liar.truth->ops->dma_free(liar.truth, dma);
}

static int dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address)
{
	(void)pci;
	return liar.truth->ops->dma_address(liar.truth, gpa, len, address);
}

static unsigned int vector_count(struct pci_device_access *pci)
{
	(void)pci;
	return liar.truth->ops->vector_count(liar.truth);
}

static int bind(struct pci_device_access *pci, unsigned int vector, struct event_loop *on,
		struct pci_interrupt *interrupt)
{
	(void)pci;
	return liar.truth->ops->bind(liar.truth, vector, on, interrupt);
}

static void unbind(struct pci_device_access *pci, unsigned int vector)
{
	(void)pci;
	liar.truth->ops->unbind(liar.truth, vector);
}

static int reset(struct pci_device_access *pci)
{
	(void)pci;
	return liar.truth->ops->reset(liar.truth);
}

static const struct pci_device_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = read,
	.write = write,
	.dma_alloc = dma_alloc,
	.dma_free = dma_free,
	.dma_address = dma_address,
	.vector_count = vector_count,
	.bind = bind,
	.unbind = unbind,
	.reset = reset,
};

/* --- */

static const struct lie truth = { 0 };

static void run(void)
{
	while (event_loop_run_once(loop, 0) > 0)
		;
}

static int setup(void **state)
{
	struct mana_function_config config = { .mac = { 2, 0, 0, 0, 0, 1 },
					       .mtu = 1500,
					       .queues = 4 };
	struct pci_inproc_config bus = { .pool_address = 0x10000000, .pool_len = 4u << 20 };

	(void)state;
	log_set_level(LOG_ERROR);
	loop = event_loop_create();
	memory = guest_memory_create();
	memory_backend_init(&network);
	config.loop = loop;
	config.backend = &network.backend;
	function = mana_function_create(&config);
	if (!loop || !memory || !function)
		return -1;
	bus.function = function;
	bus.memory = memory;
	inproc = pci_inproc_create(&bus);
	if (!inproc)
		return -1;
	liar = (struct liar){ .pci.ops = &ops, .truth = pci_inproc_device(inproc), .lie = &truth };
	run();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(pci_inproc_allocated(inproc), 0);
	assert_int_equal(pci_inproc_bound(inproc), 0);
	pci_inproc_destroy(inproc);
	run();
	function->ops->destroy(function);
	memory_backend_fini(&network);
	guest_memory_destroy(memory);
	event_loop_destroy(loop);
	return 0;
}

static int bring_up(const struct lie *lie, struct mana_nic **driver)
{
	const struct mana_nic_config config = { .pci = &liar.pci, .memory = memory, .loop = loop };

	liar.lie = lie;
	liar.hwc.base = NULL;
	return mana_nic_create(&config, driver);
}

#define LIE(...)            \
	{                   \
		__VA_ARGS__ \
	}
#define TOLD(type, value)                             \
	{                                             \
		INIT_DATA, type, 0, value, 0, -EPROTO \
	}
#define ANSWERED(command, at, value, n, err)       \
	{                                          \
		ANSWER, command, at, value, n, err \
	}

static void what_cannot_be_ends_it(void **state)
{
	static const struct lie lies[] = {
		LIE(CONFIG, PCI_VENDOR_ID, 0, 0x10D38086, 0, -ENODEV),
		LIE(BAR_SIZE, 0, 0, 0, 0, -ENODEV),
		LIE(BAR_SIZE, 0, 0, 2048, 0, -ENODEV),
		/* Where things are. */
		LIE(REGISTER, GDMA_REG_DB_PAGE_OFFSET, 0, BYTES, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_DB_PAGE_OFFSET, 0, UINT64_MAX - 7, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_DB_PAGE_OFFSET, 0, 0x10004, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_DB_PAGE_SIZE, 0, 0, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_DB_PAGE_SIZE, 0, 2048, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_SHM_OFFSET, 0, BYTES - SMC_SIZE + 4, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_SHM_OFFSET, 0, UINT64_MAX - 3, 0, -EPROTO),
		LIE(REGISTER, GDMA_REG_SHM_OFFSET, 0, SHM + 2, 0, -EPROTO),
		/* What the channel says: of another request, no answer, a failure, none ever. */
		LIE(HEADER, 0, 0, SMC_TYPE_DESTROY_HWC | SMC_DIRECTION_RESPONSE, 0, -EPROTO),
		LIE(HEADER, 0, 0, SMC_TYPE_ESTABLISH_HWC, 0, -EPROTO),
		LIE(HEADER, 0, 0,
		    SMC_TYPE_ESTABLISH_HWC | SMC_DIRECTION_RESPONSE | 1u << SMC_STATUS_SHIFT, 0,
		    -EPROTO),
		LIE(HEADER, 0, 0, SMC_OWNER_PF, 0, -ETIMEDOUT),
		/* Of its queues: a page of doorbells behind the BAR, something missing, too small. */
		LIE(INIT_DOORBELL, 0, 0, 0xFFFF0000, 0, -EPROTO),
		LIE(INIT_DOORBELL, 0, 0, 0x00100000, 0, -EPROTO),
		TOLD(HWC_INIT_DATA_CQID, 31u << HWC_INIT_TYPE_SHIFT),
		TOLD(HWC_INIT_DATA_RQID, 255u << HWC_INIT_TYPE_SHIFT),
		TOLD(HWC_INIT_DATA_SQID, 0),
		TOLD(HWC_INIT_DATA_MAX_REQUEST,
		     HWC_INIT_DATA_MAX_REQUEST << HWC_INIT_TYPE_SHIFT | 4095),
		TOLD(HWC_INIT_DATA_MAX_RESPONSE, HWC_INIT_DATA_MAX_RESPONSE << HWC_INIT_TYPE_SHIFT),
		/* Answers: too short for one, longer than their buffer, to another question. */
		LIE(ANSWER_LENGTH, 0, 0, 31, 0, -EPROTO),
		LIE(ANSWER_LENGTH, 0, 0, HWC_MESSAGE_MAX + 1, 0, -EPROTO),
		LIE(ANSWER_LENGTH, 0, 0, UINT32_MAX, 0, -EPROTO),
		ANSWERED(GDMA_VERIFY_VF_DRIVER_VERSION, 24, GDMA_STATUS_INVALID, 4, -EINVAL),
		ANSWERED(GDMA_LIST_DEVICES, 4, GDMA_QUERY_MAX_RESOURCES, 4, -EPROTO),
		ANSWERED(GDMA_LIST_DEVICES, 20, 12345, 4, -EPROTO), /* its number */
		ANSWERED(GDMA_LIST_DEVICES, 40, 0, 8, -ENODEV),
		ANSWERED(GDMA_QUERY_MAX_RESOURCES, 36, 0, 4, -EPROTO), /* SQs */
		ANSWERED(GDMA_QUERY_MAX_RESOURCES, 40, 0, 4, -EPROTO),
		ANSWERED(GDMA_QUERY_MAX_RESOURCES, 44, 1, 4,
			 -EPROTO), /* a queue pair has two CQs */
		ANSWERED(GDMA_QUERY_MAX_RESOURCES, 48, 0, 4, -EPROTO),
		ANSWERED(GDMA_QUERY_MAX_RESOURCES, 68, 1, 4,
			 -EPROTO), /* a vector, and none for queues */
		ANSWERED(GDMA_REGISTER_DEVICE, 40, 16, 4, -EPROTO), /* of 16 doorbell pages */
		ANSWERED(GDMA_REGISTER_DEVICE, 40, UINT32_MAX, 4, -EPROTO),
		ANSWERED(MANA_QUERY_DEV_CONFIG, 64, 0, 2, -EPROTO), /* vports */
		ANSWERED(MANA_QUERY_VPORT_CONFIG, 32, 0, 4, -EPROTO),
		ANSWERED(MANA_QUERY_VPORT_CONFIG, 36, 0, 4, -EPROTO),
		ANSWERED(MANA_CONFIG_VPORT_TX, 24, GDMA_STATUS_NO_RESOURCES, 4, -EINVAL),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct mana_nic *driver = NULL;
		int err = bring_up(&lies[i], &driver);

		if (err != lies[i].expected)
			fail_msg("lie %zu: %d, not %d", i, err, lies[i].expected);
		assert_int_equal(pci_inproc_allocated(inproc), 0);
		assert_int_equal(pci_inproc_bound(inproc), 0);
	}
}

/* What the driver can do without: it takes what it knows to be right. */
static void what_is_odd_does_not(void **state)
{
	static const struct {
		struct lie lie;
		uint16_t queues, entries, mtu;
	} odd[] = {
		{ LIE(NOTHING), 4, 64, 1500 },
		{ ANSWERED(MANA_QUERY_VPORT_CONFIG, 40, 0, 4, 0), 4, 64, 1500 },
		{ ANSWERED(MANA_QUERY_VPORT_CONFIG, 40, 100, 4, 0), 4, 64, 1500 },
		{ ANSWERED(MANA_QUERY_VPORT_CONFIG, 40, 1u << 20, 4, 0), 4, 64, 1500 },
		{ ANSWERED(MANA_QUERY_VPORT_CONFIG, 40, 32, 4, 0), 4, 32, 1500 },
		{ ANSWERED(MANA_QUERY_VPORT_CONFIG, 36, 2, 4, 0), 2, 64, 1500 },
		{ ANSWERED(GDMA_QUERY_MAX_RESOURCES, 36, UINT32_MAX, 4, 0), 4, 64, 1500 },
		{ ANSWERED(GDMA_QUERY_MAX_RESOURCES, 44, 7, 4, 0), 3, 64, 1500 },
		{ ANSWERED(MANA_QUERY_DEV_CONFIG, 72, 100, 2, 0), 4, 64, 1500 },
		{ ANSWERED(MANA_QUERY_DEV_CONFIG, 72, 9014, 2, 0), 4, 64, 9000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct mana_nic *driver = NULL;
		struct nic_info info;
		struct nic *nic;

		assert_int_equal(bring_up(&odd[i].lie, &driver), 0);
		nic = mana_nic_nic(driver);
		nic->ops->get_info(nic, &info);
		if (info.max_queues != odd[i].queues || info.rss_entries != odd[i].entries ||
		    info.max_mtu != odd[i].mtu)
			fail_msg("oddity %zu: %u queues, %u entries, MTU %u", i, info.max_queues,
				 info.rss_entries, info.max_mtu);
		mana_nic_destroy(driver);
	}
}

static void tx_done(void *ctx, struct nic_tx *tx, int err)
{
	(void)ctx;
	(void)tx;
	(void)err;
	fail();
}

static void rx(void *ctx, struct nic_rx *buffer, int err)
{
	(void)ctx;
	(void)buffer;
	(void)err;
	fail();
}

static void batch_end(void *ctx)
{
	(void)ctx;
}

/* A queue that is not made leaves none behind, and a function that is honest again goes on. */
static void queues_that_cannot_be_are_not_opened(void **state)
{
	static const struct lie lies[] = {
		ANSWERED(GDMA_CREATE_DMA_REGION, 24, GDMA_STATUS_NO_RESOURCES, 4, -EINVAL),
		ANSWERED(GDMA_CREATE_QUEUE, 24, GDMA_STATUS_NO_RESOURCES, 4, -EINVAL),
		ANSWERED(MANA_CREATE_WQ_OBJ, 24, GDMA_STATUS_INVALID, 4, -EINVAL),
		ANSWERED(MANA_CREATE_WQ_OBJ, 32, GDMA_CQE_WQ_MASK + 1, 4, -EPROTO),
		ANSWERED(MANA_CREATE_WQ_OBJ, 40, MANA_INVALID_HANDLE, 8, -EPROTO),
	};
	static const struct nic_queue_client client = { tx_done, rx, batch_end };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct mana_nic *driver;
		struct nic *nic;

		assert_int_equal(bring_up(&truth, &driver), 0);
		nic = mana_nic_nic(driver);
		liar.lie = &lies[i];
		if (nic->ops->queue_open(nic, 1, loop, &client, NULL) != lies[i].expected)
			fail_msg("lie %zu", i);
		liar.lie = &truth;
		run(); /* with a reset, where something was left */
		assert_int_equal(nic->ops->queue_open(nic, 1, loop, &client, NULL), 0);
		nic->ops->queue_close(nic, 1);
		run();
		mana_nic_destroy(driver);
		assert_int_equal(pci_inproc_allocated(inproc), 0);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_cannot_be_ends_it),
		TEST(what_is_odd_does_not),
		TEST(queues_that_cannot_be_are_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

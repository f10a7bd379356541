/* The controller as its registers and queues show it, without threads. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/guest_memory.h"
#include "core/pci_function.h"
#include "proto/pci.h"
#include "tests/unit/devices/nvme/raw_driver.h"

#define DISK   (1u << 20)
#define BLOCKS (DISK / 512)
#define DNR    NVME_STATUS_DNR

static struct raw m;
static int fd;
static struct nvme_emu_namespace *ns;

static uint8_t *buffer(void)
{
	return m.ram + RAW_BUFFER;
}

static struct nvme_emu_namespace *make_namespace(bool read_only)
{
	struct nvme_emu_namespace_config config = {
		.fd = fd, .block_size = 512, .read_only = read_only, .nguid = { 1, 2, 3 }
	};

	return nvme_emu_namespace_create(&config);
}

static int setup(void **state)
{
	(void)state;
	fd = memfd_create("disk", 0);
	if (ftruncate(fd, DISK))
		return -1;
	raw_start(&m, 0);
	ns = make_namespace(false);
	return nvme_emu_attach(m.emu, 1, ns);
}

static int setup_enabled(void **state)
{
	if (setup(state) || raw_enable(&m) != NVME_CSTS_RDY)
		return -1;
	raw_create_queue(&m, 1, 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	raw_stop(&m);
	nvme_emu_namespace_put(ns);
	close(fd);
	return 0;
}

static uint16_t admin(uint8_t opcode, uint32_t nsid, uint32_t cdw10, uint32_t cdw11)
{
	struct nvme_sqe sqe = {
		.opcode = opcode, .nsid = nsid, .prp1 = RAW_BUFFER, .cdw10 = cdw10, .cdw11 = cdw11
	};

	return raw_command(&m, 0, &sqe);
}

/* --- Registers */

static void registers(void **state)
{
	uint64_t cap = pci_read64(m.pci, 0, NVME_REG_CAP);

	(void)state;
	assert_int_equal(NVME_CAP_MQES(cap), 1023);
	assert_true(cap & NVME_CAP_CQR);
	assert_true(cap & NVME_CAP_CSS_NVM);
	assert_int_equal(NVME_CAP_DSTRD(cap), 0);
	assert_int_equal(NVME_CAP_MPSMAX(cap), 0);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CAP + 4), cap >> 32);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_VS), NVME_VS_1_4);
	pci_write64(m.pci, 0, NVME_REG_ASQ, 0x123456789abc);
	assert_int_equal(pci_read64(m.pci, 0, NVME_REG_ASQ), 0x123456789000);
	assert_int_equal(m.pci->ops->bar_size(m.pci, 0), 0x4000);
	assert_int_equal(m.pci->ops->vector_count(m.pci), RAW_QUEUES + 1);
}

static void enable_and_disable(void **state)
{
	(void)state;
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CONTROLLER, 0), 0);
	assert_int_equal(raw_interrupts(&m, 0), 1);
	raw_create_queue(&m, 1, 2);
	raw_disable(&m);
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	raw_create_queue(&m, 1, 2);

	/* Shutdown. */
	pci_write32(m.pci, 0, NVME_REG_CC, pci_read32(m.pci, 0, NVME_REG_CC) | NVME_CC_SHN_NORMAL);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS),
			 NVME_CSTS_RDY | NVME_CSTS_SHST_COMPLETE);
}

static void bad_configurations(void **state)
{
	(void)state;
	pci_write32(m.pci, 0, NVME_REG_AQA, 0x000F000F);
	pci_write64(m.pci, 0, NVME_REG_ASQ, 0x1000);
	pci_write64(m.pci, 0, NVME_REG_ACQ, RAW_RAM);
	pci_write32(m.pci, 0, NVME_REG_CC, NVME_CC_EN);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), NVME_CSTS_CFS);
	pci_write32(m.pci, 0, NVME_REG_CC, 0);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), 0);
	pci_write64(m.pci, 0, NVME_REG_ACQ, 0x2000);
	pci_write32(m.pci, 0, NVME_REG_CC, NVME_CC_EN | 1 << NVME_CC_MPS_SHIFT);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), NVME_CSTS_CFS);
}

static void reset_and_bus_mastering(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_IDENTIFY,
				.prp1 = RAW_BUFFER,
				.cdw10 = NVME_CNS_CONTROLLER };
	struct nvme_cqe cqe;

	(void)state;
	m.pci->ops->config_write(m.pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	raw_submit(&m, 0, &sqe);
	assert_false(raw_poll(&m, 0, &cqe));
	m.pci->ops->config_write(m.pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(raw_poll(&m, 0, &cqe));

	assert_int_equal(m.pci->ops->reset(m.pci), 0);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), 0);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CC), 0);
	assert_int_equal(pci_read64(m.pci, 0, NVME_REG_ASQ), 0);
	raw_submit(&m, 0, &sqe);
	assert_false(raw_poll(&m, 0, &cqe));
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
}

/* --- Admin commands */

static void identify(void **state)
{
	const struct nvme_id_ctrl *ctrl = (const void *)buffer();
	const struct nvme_id_ns *id = (const void *)buffer();
	const uint32_t *list = (const void *)buffer();

	(void)state;
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CONTROLLER, 0), 0);
	assert_memory_equal(ctrl->sn, "SN1                 ", 20);
	assert_int_equal(ctrl->mdts, 8);
	assert_int_equal(ctrl->sqes, 0x66);
	assert_int_equal(ctrl->cqes, 0x44);
	assert_int_equal(ctrl->cntlid, 1);
	assert_true(ctrl->oncs & NVME_ONCS_DSM);

	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 1, NVME_CNS_NAMESPACE, 0), 0);
	assert_int_equal(id->nsze, BLOCKS);
	assert_int_equal(id->lbaf[0].lbads, 9);
	assert_int_equal(id->nguid[2], 3);
	assert_int_equal(id->npwg, 7);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 2, NVME_CNS_NAMESPACE, 0), 0);
	assert_int_equal(id->nsze, 0);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 65, NVME_CNS_NAMESPACE, 0),
			 NVME_SC_INVALID_NS | DNR);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, NVME_NSID_ALL, NVME_CNS_NAMESPACE, 0),
			 NVME_SC_INVALID_NS | DNR);

	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 0, NVME_CNS_ACTIVE_LIST, 0), 0);
	assert_int_equal(list[0], 1);
	assert_int_equal(list[1], 0);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 1, NVME_CNS_ACTIVE_LIST, 0), 0);
	assert_int_equal(list[0], 0);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 1, NVME_CNS_NS_DESCRIPTORS, 0), 0);
	assert_int_equal(buffer()[0], NVME_NIDT_NGUID);
	assert_int_equal(buffer()[1], 16);
	assert_int_equal(buffer()[20], 0);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 2, NVME_CNS_NS_DESCRIPTORS, 0),
			 NVME_SC_INVALID_NS | DNR);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 1, 0x77, 0), NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(admin(0x7F, 1, 0, 0), NVME_SC_INVALID_OPCODE | DNR);
}

static uint16_t create(uint8_t opcode, uint32_t id, uint32_t entries, uint32_t cdw11, uint64_t prp1)
{
	struct nvme_sqe sqe = {
		.opcode = opcode, .prp1 = prp1, .cdw10 = id | (entries - 1) << 16, .cdw11 = cdw11
	};

	return raw_command(&m, 0, &sqe);
}

static void queue_management(void **state)
{
	const uint8_t cq = NVME_ADMIN_CREATE_CQ, sq = NVME_ADMIN_CREATE_SQ;

	(void)state; /* queue 1 is there */
	assert_int_equal(create(cq, 1, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(cq, 0, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(cq, RAW_QUEUES + 1, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(cq, 0xFFFF, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(cq, 2, 1, 1, 0x1000), NVME_SC_INVALID_QUEUE_SIZE | DNR);
	assert_int_equal(create(cq, 2, 1025, 1, 0x1000), NVME_SC_INVALID_QUEUE_SIZE | DNR);
	assert_int_equal(create(cq, 2, 4, 0, 0x1000), NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(create(cq, 2, 4, 1, 0x1010), NVME_SC_PRP_INVALID_OFFSET | DNR);
	assert_int_equal(create(cq, 2, 4, 1, RAW_RAM), NVME_SC_DATA_TRANSFER_ERROR | DNR);
	assert_int_equal(create(cq, 2, 4, 1 | (RAW_QUEUES + 1) << 16, 0x1000),
			 NVME_SC_INVALID_VECTOR | DNR);
	assert_int_equal(create(sq, 2, 4, 1 | 2 << 16, 0x1000), NVME_SC_INVALID_CQ | DNR);
	assert_int_equal(create(sq, 2, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(sq, 2, 4, 1 | 9 << 16, 0x1000), NVME_SC_INVALID_QID | DNR);
	/* A second submission queue of one completion queue. */
	assert_int_equal(create(sq, 2, 4, 1 | 1 << 16, 0x1000), 0);
	assert_int_equal(create(NVME_ADMIN_DELETE_CQ, 1, 1, 0, 0),
			 NVME_SC_INVALID_QUEUE_DELETION | DNR);
	assert_int_equal(create(NVME_ADMIN_DELETE_SQ, 2, 1, 0, 0), 0);
	assert_int_equal(create(NVME_ADMIN_DELETE_SQ, 2, 1, 0, 0), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(create(NVME_ADMIN_DELETE_SQ, 1, 1, 0, 0), 0);
	assert_int_equal(create(NVME_ADMIN_DELETE_CQ, 1, 1, 0, 0), 0);
	assert_int_equal(create(NVME_ADMIN_DELETE_CQ, 1, 1, 0, 0), NVME_SC_INVALID_QID | DNR);
}

static void features(void **state)
{
	(void)state; /* queue 1 is there */
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0x30003),
			 NVME_SC_COMMAND_SEQUENCE | DNR);
	raw_disable(&m);
	raw_enable(&m);
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0x3003F), 0);
	assert_int_equal(m.result, 0x30007);
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0xFFFF),
			 NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(create(NVME_ADMIN_CREATE_CQ, 5, 4, 1, 0x1000), NVME_SC_INVALID_QID | DNR);
	assert_int_equal(admin(NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE, 0), 0);
	assert_int_equal(m.result, 1);
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE, 0), 0);
	assert_int_equal(admin(NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE, 0), 0);
	assert_int_equal(m.result, 0);
	assert_int_equal(admin(NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE | 0x100, 0), 0);
	assert_int_equal(m.result, 1);
	assert_int_equal(
		admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE | NVME_FEATURE_SAVE, 0),
		NVME_SC_FEATURE_NOT_SAVEABLE | DNR);
	assert_int_equal(admin(NVME_ADMIN_GET_FEATURES, 0, 0xF0, 0), NVME_SC_INVALID_FIELD | DNR);

	memcpy(buffer(), "\x10\x20\x30\x40\x50\x60\x70\x80", 8);
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_TIMESTAMP, 0), 0);
	memset(buffer(), 0, 8);
	assert_int_equal(admin(NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_TIMESTAMP, 0), 0);
	assert_int_equal(buffer()[5], 0x60);
	assert_int_equal(buffer()[6], 2); /* set by the host */
}

static uint16_t get_log(uint32_t id, uint32_t dwords, uint32_t offset)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_GET_LOG_PAGE,
				.nsid = NVME_NSID_ALL,
				.prp1 = RAW_BUFFER,
				.cdw10 = id | (dwords - 1) << 16,
				.cdw12 = offset };

	return raw_command(&m, 0, &sqe);
}

static void logs(void **state)
{
	const struct nvme_smart_log *smart = (const void *)buffer();
	const struct nvme_error_log *error = (const void *)buffer();

	(void)state;
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, BLOCKS, 1), NVME_SC_LBA_RANGE | DNR);
	assert_int_equal(get_log(NVME_LOG_SMART, 128, 0), 0);
	assert_int_equal(smart->host_reads.low, 2);
	assert_int_equal(smart->data_units_read.low, 1);
	assert_int_equal(smart->error_log_entries.low, 1);
	assert_int_equal(smart->critical_warning, 0);
	assert_int_equal(get_log(NVME_LOG_ERROR, 16, 0), 0);
	assert_int_equal(error->count, 1);
	assert_int_equal(error->sqid, 1);
	assert_int_equal(error->lba, BLOCKS);
	assert_int_equal(error->status >> 1, NVME_SC_LBA_RANGE | DNR);
	assert_int_equal(get_log(NVME_LOG_FIRMWARE, 128, 8), 0);
	assert_memory_equal(buffer(), "1.0     ", 8);
	assert_int_equal(get_log(NVME_LOG_FIRMWARE, 128, 512), NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(get_log(NVME_LOG_EFFECTS, 1024, 0), 0);
	assert_int_equal(buffer()[1024 + 4 * NVME_IO_WRITE], 3);
	assert_int_equal(get_log(0x70, 1, 0), NVME_SC_INVALID_LOG_PAGE | DNR);
	assert_int_equal(get_log(NVME_LOG_ERROR, 1025, 0), NVME_SC_INVALID_FIELD | DNR);
}

/* --- Asynchronous events */

static void expect_event(uint16_t cid, uint32_t event)
{
	struct nvme_cqe cqe;

	assert_true(raw_poll(&m, 0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(NVME_CQE_STATUS(cqe.status), 0);
	assert_int_equal(cqe.result, event);
}

static void doorbell_errors(void **state)
{
	struct nvme_sqe request = { .opcode = NVME_ADMIN_ASYNC_EVENT };
	uint16_t cid = raw_submit(&m, 0, &request);
	struct nvme_cqe cqe;

	(void)state;
	assert_false(raw_poll(&m, 0, &cqe));
	pci_write32(m.pci, 0, NVME_SQ_DOORBELL(5, 0), 1);
	expect_event(cid,
		     NVME_EVENT(NVME_EVENT_ERROR, NVME_EVENT_DOORBELL_REGISTER, NVME_LOG_ERROR));

	/* The next of this type when the log has been read. */
	cid = raw_submit(&m, 0, &request);
	pci_write32(m.pci, 0, NVME_SQ_DOORBELL(1, 0), 16);
	assert_false(raw_poll(&m, 0, &cqe));
	assert_int_equal(get_log(NVME_LOG_ERROR | NVME_LOG_RETAIN_EVENT, 16, 0), 0);
	assert_false(raw_poll(&m, 0, &cqe));
	m.queues[0].raised = 0;
	assert_int_equal(create(NVME_ADMIN_GET_LOG_PAGE, NVME_LOG_ERROR, 16, 0, RAW_BUFFER), 0);
	expect_event(cid, NVME_EVENT(NVME_EVENT_ERROR, NVME_EVENT_DOORBELL_VALUE, NVME_LOG_ERROR));

	/* More entries freed than there are. */
	cid = raw_submit(&m, 0, &request);
	assert_int_equal(get_log(NVME_LOG_ERROR, 16, 0), 0);
	pci_write32(m.pci, 0, NVME_CQ_DOORBELL(1, 0), 1);
	expect_event(cid, NVME_EVENT(NVME_EVENT_ERROR, NVME_EVENT_DOORBELL_VALUE, NVME_LOG_ERROR));
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
}

static void namespace_changes(void **state)
{
	struct nvme_sqe request = { .opcode = NVME_ADMIN_ASYNC_EVENT };
	const uint32_t notice = NVME_EVENT(NVME_EVENT_NOTICE, 0, NVME_LOG_CHANGED_NS);
	const struct nvme_id_ns *id = (const void *)buffer();
	uint16_t cid = raw_submit(&m, 0, &request);
	struct nvme_cqe cqe;

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * DISK), 0);
	assert_int_equal(nvme_emu_namespace_resized(ns), 0);
	assert_false(raw_poll(&m, 0, &cqe)); /* nobody asked for it */
	assert_int_equal(admin(NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_ASYNC_EVENTS,
			       NVME_AEC_NS_ATTRIBUTES),
			 0);
	assert_int_equal(nvme_emu_namespace_resized(ns), 0);
	expect_event(cid, notice);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 1024, 0), 0);
	assert_int_equal(buffer()[0], 1);
	assert_int_equal(get_log(NVME_LOG_CHANGED_NS, 1024, 0), 0);
	assert_int_equal(buffer()[0], 0);
	assert_int_equal(admin(NVME_ADMIN_IDENTIFY, 1, NVME_CNS_NAMESPACE, 0), 0);
	assert_int_equal(id->nsze, 2 * BLOCKS);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 2 * BLOCKS - 1, 1), 0);

	cid = raw_submit(&m, 0, &request);
	assert_int_equal(nvme_emu_detach(m.emu, 1), 0);
	expect_event(cid, notice);
	assert_int_equal(nvme_emu_detach(m.emu, 1), -ENOENT);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), NVME_SC_INVALID_NS | DNR);
	assert_int_equal(nvme_emu_attach(m.emu, 1, ns), 0);
	assert_int_equal(nvme_emu_attach(m.emu, 1, ns), -EEXIST);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
}

static void event_requests_and_abort(void **state)
{
	struct nvme_sqe request = { .opcode = NVME_ADMIN_ASYNC_EVENT };
	uint16_t cids[5];
	struct nvme_cqe cqe;

	(void)state;
	for (int i = 0; i < 5; i++)
		cids[i] = raw_submit(&m, 0, &request);
	assert_true(raw_poll(&m, 0, &cqe));
	assert_int_equal(cqe.cid, cids[4]);
	assert_int_equal(NVME_CQE_STATUS(cqe.status), NVME_SC_ASYNC_LIMIT | DNR);

	/* Abort: its own completion and the aborted one's, in either order. */
	request = (struct nvme_sqe){ .opcode = NVME_ADMIN_ABORT, .cdw10 = (uint32_t)cids[1] << 16 };
	raw_submit(&m, 0, &request);
	for (int i = 0; i < 2; i++) {
		assert_true(raw_poll(&m, 0, &cqe));
		assert_int_equal(NVME_CQE_STATUS(cqe.status),
				 cqe.cid == cids[1] ? NVME_SC_ABORT_REQUESTED : 0);
		assert_int_equal(cqe.result, 0);
	}
	assert_int_equal(raw_command(&m, 0, &request), 0);
	assert_int_equal(m.result, NVME_ABORT_NOT_ABORTED);
	request.cdw10 = 0xFFFF;
	assert_int_equal(raw_command(&m, 0, &request), 0);
	assert_int_equal(m.result, NVME_ABORT_NOT_ABORTED);
}

/* --- Data */

static void fill(uint8_t *at, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(seed + i * 7 + i / 256);
}

static void read_and_write(void **state)
{
	uint8_t expected[8192], file[8192];

	(void)state;
	fill(expected, sizeof(expected), 3);
	memcpy(buffer(), expected, sizeof(expected));
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 5, 16), 0);
	assert_int_equal(raw_interrupts(&m, 1), 1);
	assert_int_equal(pread(fd, file, sizeof(file), 5 * 512), sizeof(file));
	assert_memory_equal(file, expected, sizeof(file));
	memset(buffer(), 0, sizeof(expected));
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 5, 16), 0);
	assert_memory_equal(buffer(), expected, sizeof(expected));

	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, BLOCKS - 1, 1), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, BLOCKS - 1, 2), NVME_SC_LBA_RANGE | DNR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, UINT64_MAX, 1), NVME_SC_LBA_RANGE | DNR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 1ull << 55, 1),
			 NVME_SC_LBA_RANGE | DNR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 2049), NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(raw_transfer(&m, 1, 0x7F, 0, 1), NVME_SC_INVALID_OPCODE | DNR);
	assert_int_equal(raw_transfer(&m, 1, 0x03, 0, 1), NVME_SC_INVALID_OPCODE | DNR);
}

/* Scattered pages by a list of two pages, the first entry in the middle of a page. */
static void prp_lists(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_IO_WRITE, .nsid = 1, .cdw12 = 2047 };
	uint64_t *list = (uint64_t *)(m.ram + RAW_LISTS + 4096 - 5 * 8);
	uint64_t *next = (uint64_t *)(m.ram + RAW_LISTS + 3 * 4096);
	uint8_t *file = malloc(DISK);

	(void)state;
	fill(m.ram + RAW_BUFFER, 3 * DISK, 1);
	sqe.prp1 = RAW_BUFFER + 512;
	sqe.prp2 = RAW_LISTS + 4096 - 5 * 8;
	for (int i = 0; i < 256; i++)
		*(i < 4 ? &list[i] : &next[i - 4]) = RAW_BUFFER + 4096 * (2 * i + 2);
	list[4] = RAW_LISTS + 3 * 4096;
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	assert_int_equal(pread(fd, file, DISK, 0), DISK);
	assert_memory_equal(file, m.ram + RAW_BUFFER + 512, 3584);
	for (int i = 0; i < 255; i++)
		assert_memory_equal(file + 3584 + 4096 * i, m.ram + RAW_BUFFER + 4096 * (2 * i + 2),
				    4096);
	assert_memory_equal(file + 3584 + 4096 * 255, m.ram + RAW_BUFFER + 4096 * 512, 512);
	free(file);

	list[4] = RAW_LISTS + 3 * 4096 + 8; /* the next list begins in a page */
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_PRP_INVALID_OFFSET | DNR);
	list[4] = RAW_RAM;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_DATA_TRANSFER_ERROR | DNR);
	list[4] = RAW_LISTS; /* itself, and again: it ends with the length */
	memset(m.ram + RAW_LISTS, 0, 4096 - 5 * 8);
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	list[1] += 4;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_PRP_INVALID_OFFSET | DNR);
	sqe.prp1 += 2;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_PRP_INVALID_OFFSET | DNR);
	sqe.prp1 = UINT64_MAX & ~511ull;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_DATA_TRANSFER_ERROR | DNR);
}

static void sgls(void **state)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_IO_WRITE, .flags = NVME_SQE_PSDT_SGL, .nsid = 1, .cdw12 = 1
	};
	struct nvme_sgl *sgl = (struct nvme_sgl *)(m.ram + RAW_LISTS);
	uint8_t file[1024];

	(void)state;
	fill(buffer(), 4096, 9);
	sqe.sgl = (struct nvme_sgl){ .address = RAW_BUFFER + 3, .length = 1024 };
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	assert_int_equal(pread(fd, file, 1024, 0), 1024);
	assert_memory_equal(file, buffer() + 3, 1024);

	sqe.sgl = (struct nvme_sgl){ .address = RAW_LISTS, .length = 32, .type = NVME_SGL_SEGMENT };
	sgl[0] = (struct nvme_sgl){ .address = RAW_BUFFER + 100, .length = 24 };
	sgl[1] = (struct nvme_sgl){ .address = RAW_LISTS + 64,
				    .length = 16,
				    .type = NVME_SGL_LAST_SEGMENT };
	sgl[4] = (struct nvme_sgl){ .address = RAW_BUFFER + 500, .length = 1000 };
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	assert_int_equal(pread(fd, file, 1024, 0), 1024);
	assert_memory_equal(file, buffer() + 100, 24);
	assert_memory_equal(file + 24, buffer() + 500, 1000);

	sgl[4].length = 1001;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_DATA | DNR);
	sgl[4].length = 999;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_DATA | DNR);
	sgl[4].type = NVME_SGL_LAST_SEGMENT;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_LAST | DNR);
	sgl[1].type = NVME_SGL_SEGMENT; /* a segment of itself, for ever */
	sgl[4] = (struct nvme_sgl){ .address = RAW_LISTS + 64,
				    .length = 16,
				    .type = NVME_SGL_SEGMENT };
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_COUNT | DNR);
	sgl[1].type = NVME_SGL_BIT_BUCKET;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_TYPE | DNR);
}

/* In so many pieces as no single transfer of the host's kernel has. */
static void an_sgl_of_too_many_pieces(void **state)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_IO_WRITE, .flags = NVME_SQE_PSDT_SGL, .nsid = 1, .cdw12 = 2
	};
	struct nvme_sgl *sgl = (struct nvme_sgl *)(m.ram + RAW_LISTS);
	const uint32_t first = 1000, all = 3 * 512;

	(void)state;
	sqe.sgl = (struct nvme_sgl){ .address = RAW_LISTS,
				     .length = (first + 1) * sizeof(*sgl),
				     .type = NVME_SGL_SEGMENT };
	for (uint32_t i = 0; i < all; i++)
		sgl[i < first ? i : i + 1] =
			(struct nvme_sgl){ .address = RAW_BUFFER + 2 * i, .length = 1 };
	sgl[first] = (struct nvme_sgl){ .address = RAW_LISTS + (first + 1) * sizeof(*sgl),
					.length = (all - first) * sizeof(*sgl),
					.type = NVME_SGL_LAST_SEGMENT };
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_SGL_INVALID_COUNT | DNR);
	sqe.cdw12 = 1;
	sgl[first].length = (1024 - first) * sizeof(*sgl);
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
}

static void zeroes_and_deallocation(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_IO_WRITE_ZEROES, .nsid = 1, .cdw10 = 3, .cdw12 = 1 };
	struct nvme_sqe dsm = { .opcode = NVME_IO_DSM,
				.nsid = 1,
				.prp1 = RAW_LISTS,
				.cdw10 = 1,
				.cdw11 = NVME_DSM_DEALLOCATE };
	struct nvme_dsm_range *ranges = (struct nvme_dsm_range *)(m.ram + RAW_LISTS);
	uint8_t file[8192], zeroes[8192] = { 0 };
	struct stat before, after;

	(void)state;
	memset(buffer(), 0xEE, 8192);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 16), 0);
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
	assert_memory_equal(file, buffer(), 3 * 512);
	assert_memory_equal(file + 3 * 512, zeroes, 2 * 512);
	assert_memory_equal(file + 5 * 512, buffer(), 11 * 512);
	sqe.cdw10 = BLOCKS - 1;
	assert_int_equal(raw_command(&m, 1, &sqe), NVME_SC_LBA_RANGE | DNR);

	fstat(fd, &before);
	ranges[0] = (struct nvme_dsm_range){ .slba = 0, .nlb = 8 };
	ranges[1] = (struct nvme_dsm_range){ .slba = 8, .nlb = 8 };
	assert_int_equal(raw_command(&m, 1, &dsm), 0);
	fstat(fd, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, DISK);
	assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
	assert_memory_equal(file, zeroes, sizeof(file));
	ranges[1].slba = BLOCKS - 7;
	assert_int_equal(raw_command(&m, 1, &dsm), NVME_SC_LBA_RANGE | DNR);
}

static void compare_and_verify(void **state)
{
	(void)state;
	fill(buffer(), 8192, 77);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 16), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_COMPARE, 0, 16), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_VERIFY, 0, 16), 0);
	buffer()[8191] ^= 1;
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_COMPARE, 0, 16), NVME_SC_COMPARE_FAILED | DNR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_COMPARE, 0, 15), 0);
	/* The file became shorter without a word. */
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_VERIFY, 0, 16), NVME_SC_READ_ERROR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 8, 1), NVME_SC_READ_ERROR);
}

static void flush_and_protection(void **state)
{
	struct nvme_sqe flush = { .opcode = NVME_IO_FLUSH, .nsid = 1 };
	struct nvme_emu_namespace *read_only = make_namespace(true);

	(void)state;
	assert_int_equal(raw_command(&m, 1, &flush), 0);
	flush.nsid = NVME_NSID_ALL;
	assert_int_equal(raw_command(&m, 1, &flush), 0);
	flush.nsid = 3;
	assert_int_equal(raw_command(&m, 1, &flush), NVME_SC_INVALID_NS | DNR);
	flush.flags = 1;
	assert_int_equal(raw_command(&m, 1, &flush), NVME_SC_INVALID_FIELD | DNR);

	assert_int_equal(nvme_emu_detach(m.emu, 1), 0);
	assert_int_equal(nvme_emu_attach(m.emu, 1, read_only), 0);
	nvme_emu_namespace_put(read_only);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1),
			 NVME_SC_NS_WRITE_PROTECTED | DNR);
}

/* A host without room, on which fdatasync() does not work either. */
static void full_host_disk(void **state)
{
	struct nvme_emu_namespace_config config = { .block_size = 512 };
	const struct nvme_smart_log *smart = (const void *)buffer();
	struct nvme_sqe flush = { .opcode = NVME_IO_FLUSH, .nsid = 2 };
	struct nvme_sqe write = { .opcode = NVME_IO_WRITE, .nsid = 2, .prp1 = RAW_BUFFER };
	struct nvme_emu_namespace *full;

	(void)state;
	config.fd = open("/dev/full", O_RDWR);
	full = nvme_emu_namespace_create(&config);
	assert_non_null(full);
	assert_int_equal(nvme_emu_namespace_resize(full, DISK), 0);
	assert_int_equal(nvme_emu_attach(m.emu, 2, full), 0);
	assert_int_equal(raw_command(&m, 1, &write), NVME_SC_WRITE_FAULT | DNR);
	assert_int_equal(get_log(NVME_LOG_SMART, 128, 0), 0);
	assert_int_equal(smart->critical_warning, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(raw_command(&m, 1, &flush), NVME_SC_WRITE_FAULT);
	assert_int_equal(get_log(NVME_LOG_SMART, 128, 0), 0);
	assert_int_equal(smart->critical_warning, 4);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1), 0); /* the other one */
	assert_int_equal(nvme_emu_detach(m.emu, 2), 0);
	nvme_emu_namespace_put(full);
	close(config.fd);
}

/* More commands than a completion queue holds: they wait for the driver. */
static void full_completion_queue(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_IO_READ, .nsid = 1, .prp1 = RAW_BUFFER };
	struct nvme_cqe cqe;

	(void)state;
	for (int round = 0; round < 5; round++) {
		uint16_t first = m.queues[1].next_cid;

		for (int i = 0; i < 15; i++)
			raw_push(&m, 1, &sqe);
		raw_ring(&m, 1);
		/* 15 fit, and another submission queue's worth must wait. */
		for (int i = 0; i < 10; i++)
			raw_push(&m, 1, &sqe);
		raw_ring(&m, 1);
		for (int i = 0; i < 25; i++) {
			assert_true(raw_poll(&m, 1, &cqe));
			assert_int_equal(cqe.cid, first + i);
			assert_int_equal(NVME_CQE_STATUS(cqe.status), 0);
		}
		assert_false(raw_poll(&m, 1, &cqe));
	}
}

static void shadow_doorbells(void **state)
{
	struct nvme_sqe config = { .opcode = NVME_ADMIN_DOORBELL_BUFFER_CONFIG,
				   .prp1 = RAW_LISTS,
				   .prp2 = RAW_LISTS + 4096 };

	(void)state;
	config.prp2++;
	assert_int_equal(raw_command(&m, 0, &config), NVME_SC_PRP_INVALID_OFFSET | DNR);
	config.prp2--;
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
	assert_int_equal(raw_command(&m, 0, &config), 0);
	m.shadow = (uint32_t *)(m.ram + RAW_LISTS);
	m.event = (uint32_t *)(m.ram + RAW_LISTS + 4096);
	assert_int_equal(m.shadow[2], 1); /* as far as the queue was */
	assert_int_equal(m.shadow[3], 1);
	raw_create_queue(&m, 2, 4);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
		assert_int_equal(raw_transfer(&m, 2, NVME_IO_READ, 0, 1), 0);
	}
	full_completion_queue(state);
	/* Without threads a doorbell must come through the function. */
	assert_int_equal(m.function->ops->doorbells(m.function, NULL, 0), 0);
	m.shadow = NULL;
}

/* --- Reservations: two controllers, one namespace */

static struct raw other;

static uint16_t reserve(struct raw *who, uint8_t opcode, uint32_t cdw10, uint64_t key,
			uint64_t second)
{
	struct nvme_sqe sqe = { .opcode = opcode, .nsid = 1, .prp1 = RAW_LISTS, .cdw10 = cdw10 };
	struct nvme_reservation_keys keys = { key, second };

	memcpy(who->ram + RAW_LISTS, &keys, sizeof(keys));
	return raw_command(who, 1, &sqe);
}

static void reservations(void **state)
{
	const uint8_t reg = NVME_IO_RESERVATION_REGISTER, acq = NVME_IO_RESERVATION_ACQUIRE;
	const uint8_t rel = NVME_IO_RESERVATION_RELEASE;
	const uint32_t exclusive = NVME_RESERVATION_WRITE_EXCLUSIVE << NVME_RESERVATION_TYPE_SHIFT;
	const struct nvme_reservation_status *report = (const void *)buffer();
	struct nvme_sqe sqe = {
		.opcode = NVME_IO_RESERVATION_REPORT, .nsid = 1, .prp1 = RAW_BUFFER, .cdw10 = 24
	};

	(void)state;
	raw_start(&other, 0);
	assert_int_equal(nvme_emu_attach(other.emu, 1, ns), 0);
	assert_int_equal(raw_enable(&other), NVME_CSTS_RDY);
	raw_create_queue(&other, 1, 4);

	assert_int_equal(reserve(&m, acq, exclusive, 0, 0), NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(
		reserve(&m, reg, NVME_RREGA_REGISTER | NVME_RESERVATION_CPTPL_SET << 30, 0, 0xA),
		0);
	assert_int_equal(reserve(&m, reg, NVME_RREGA_REGISTER, 0, 0xB),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(reserve(&m, acq, exclusive, 0xB, 0), NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(reserve(&m, acq, exclusive, 0xA, 0), 0);
	assert_int_equal(reserve(&m, acq, 0x700, 0xA, 0), NVME_SC_INVALID_FIELD | DNR);

	/* The other one may read, and write only when it took the reservation over. */
	assert_int_equal(raw_transfer(&other, 1, NVME_IO_READ, 0, 1), 0);
	assert_int_equal(raw_transfer(&other, 1, NVME_IO_WRITE, 0, 1),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1), 0);
	assert_int_equal(reserve(&other, reg, NVME_RREGA_REGISTER, 0, 0xC), 0);
	assert_int_equal(reserve(&other, acq, exclusive, 0xC, 0),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(raw_command(&m, 1, &sqe), 0);
	assert_int_equal(report->regctl[0], 2);
	assert_int_equal(report->rtype, NVME_RESERVATION_WRITE_EXCLUSIVE);
	assert_int_equal(buffer()[24 + 2], 1);
	assert_int_equal(buffer()[24 + 16], 0xA);
	assert_int_equal(buffer()[48 + 2], 0);

	assert_int_equal(reserve(&other, acq, exclusive | NVME_RACQA_PREEMPT, 0xC, 0xA), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(reserve(&m, rel, exclusive | NVME_RRELA_RELEASE, 0xA, 0),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	assert_int_equal(reserve(&other, rel, 0x200, 0xC, 0), NVME_SC_INVALID_FIELD | DNR);
	assert_int_equal(reserve(&other, rel, exclusive, 0xC, 0), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1), 0);

	/* A controller that goes takes its registration along. */
	assert_int_equal(reserve(&other, acq, 0x200, 0xC, 0), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1),
			 NVME_SC_RESERVATION_CONFLICT | DNR);
	raw_stop(&other);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 0, 1), 0);
}

/* --- Faults */

static void inject(const char *text)
{
	struct nvme_emu_fault fault;

	assert_int_equal(nvme_emu_fault_parse(text, &fault), 0);
	assert_int_equal(nvme_emu_inject(m.emu, &fault), 0);
}

static void faults(void **state)
{
	struct nvme_sqe read = { .opcode = NVME_IO_READ, .nsid = 1, .prp1 = RAW_BUFFER };
	struct nvme_sqe abort = { .opcode = NVME_ADMIN_ABORT };
	struct nvme_cqe cqe;
	uint16_t cid;

	(void)state;
	inject("status,status=0x281,after=2,count=1,opcode=2");
	assert_int_equal(raw_command(&m, 1, &read), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 0, 1), 0);
	assert_int_equal(raw_command(&m, 1, &read), 0);
	assert_int_equal(raw_command(&m, 1, &read), NVME_SC_READ_ERROR);
	assert_int_equal(raw_command(&m, 1, &read), 0);
	assert_int_equal(nvme_emu_fault_hits(m.emu), 1);

	raw_interrupts(&m, 1);
	inject("interrupt,count=1");
	cid = raw_submit(&m, 1, &read);
	assert_int_equal(raw_interrupts(&m, 1), 0);
	assert_true(raw_poll(&m, 1, &cqe));
	assert_int_equal(cqe.cid, cid);

	inject("bogus,count=1");
	cid = raw_submit(&m, 1, &read);
	assert_true(raw_poll(&m, 1, &cqe));
	assert_int_equal(cqe.cid, (uint16_t)~cid);
	assert_true(raw_poll(&m, 1, &cqe));
	assert_int_equal(cqe.cid, cid);

	inject("duplicate,count=1");
	cid = raw_submit(&m, 1, &read);
	for (int i = 0; i < 2; i++) {
		assert_true(raw_poll(&m, 1, &cqe));
		assert_int_equal(cqe.cid, cid);
	}

	inject("stall,count=1");
	cid = raw_submit(&m, 1, &read);
	assert_false(raw_poll(&m, 1, &cqe));
	assert_int_equal(raw_command(&m, 1, &read), 0);
	abort.cdw10 = 1 | (uint32_t)cid << 16;
	assert_int_equal(raw_command(&m, 0, &abort), 0);
	assert_int_equal(m.result, 0);
	assert_true(raw_poll(&m, 1, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(NVME_CQE_STATUS(cqe.status), NVME_SC_ABORT_REQUESTED);

	inject("resize,bytes=4096,count=1");
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 8, 1), NVME_SC_LBA_RANGE | DNR);
	inject("remove,count=1");
	assert_int_equal(raw_command(&m, 1, &read), NVME_SC_INVALID_NS | DNR);
	assert_int_equal(nvme_emu_detach(m.emu, 1), -ENOENT);
	assert_int_equal(nvme_emu_attach(m.emu, 1, ns), 0);

	inject("fatal");
	raw_submit(&m, 1, &read);
	assert_false(raw_poll(&m, 1, &cqe));
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
	nvme_emu_clear_faults(m.emu);
	raw_disable(&m);
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	raw_create_queue(&m, 1, 4);
	assert_int_equal(raw_command(&m, 1, &read), 0);
}

static void fault_text(void **state)
{
	static const char *const bad[] = { "",
					   "stal",
					   "status,",
					   "status,after",
					   "status,x=1",
					   "status,status=0x8000",
					   "delay,ms=-1",
					   "delay,ms=",
					   "delay,ms=1x",
					   "stall,queue=adm",
					   "remove,nsid=65" };
	struct nvme_emu_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(nvme_emu_fault_parse(bad[i], &fault), -EINVAL);
	assert_int_equal(nvme_emu_fault_parse("delay,ms=20,queue=any,after=3,count=4", &fault), 0);
	assert_int_equal(fault.kind, NVME_EMU_FAULT_DELAY);
	assert_int_equal(fault.queue, NVME_EMU_FAULT_ANY);
	assert_int_equal(fault.delay_ms, 20);
	assert_int_equal(fault.after, 3);
	assert_int_equal(fault.count, 4);
	assert_int_equal(fault.opcode, -1);
}

/* --- Memory, 4096-byte blocks */

static void memory_namespace(void **state)
{
	struct nvme_emu_namespace_config config = { .fd = -1,
						    .memory_len = DISK,
						    .block_size = 4096 };
	struct nvme_emu_namespace *memory = nvme_emu_namespace_create(&config);

	(void)state;
	assert_int_equal(nvme_emu_detach(m.emu, 1), 0);
	assert_int_equal(nvme_emu_attach(m.emu, 1, memory), 0);
	fill(buffer(), 8192, 42);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 254, 2), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_WRITE, 255, 2), NVME_SC_LBA_RANGE | DNR);
	memset(buffer(), 0, 8192);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 255, 1), 0);
	assert_int_equal(buffer()[5], (uint8_t)(42 + (4096 + 5) * 7 + 4096 / 256));
	assert_int_equal(nvme_emu_namespace_resize(memory, DISK + 1), -EINVAL);
	assert_int_equal(nvme_emu_namespace_resize(memory, DISK / 2), 0);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 255, 1), NVME_SC_LBA_RANGE | DNR);
	nvme_emu_namespace_put(memory);
	config.block_size = 1024;
	assert_null(nvme_emu_namespace_create(&config));
}

#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers, setup),
		TEST(enable_and_disable, setup),
		TEST(bad_configurations, setup),
		TEST(reset_and_bus_mastering, setup_enabled),
		TEST(identify, setup_enabled),
		TEST(queue_management, setup_enabled),
		TEST(features, setup_enabled),
		TEST(logs, setup_enabled),
		TEST(doorbell_errors, setup_enabled),
		TEST(namespace_changes, setup_enabled),
		TEST(event_requests_and_abort, setup_enabled),
		TEST(read_and_write, setup_enabled),
		TEST(prp_lists, setup_enabled),
		TEST(sgls, setup_enabled),
		TEST(an_sgl_of_too_many_pieces, setup_enabled),
		TEST(zeroes_and_deallocation, setup_enabled),
		TEST(compare_and_verify, setup_enabled),
		TEST(flush_and_protection, setup_enabled),
		TEST(full_host_disk, setup_enabled),
		TEST(full_completion_queue, setup_enabled),
		TEST(shadow_doorbells, setup_enabled),
		TEST(reservations, setup_enabled),
		TEST(faults, setup_enabled),
		TEST(fault_text, setup),
		TEST(memory_namespace, setup_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

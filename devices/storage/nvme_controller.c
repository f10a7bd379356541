/* The controller's registers: NVMe 1.4, 3.1, 7.3 and 7.6. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "devices/storage/nvme_internal.h"
#include "proto/pci.h"

#define ALL_ONES           0xFFFFFFFFu
#define TO_UNIT_MS         500u
#define SHUTDOWN_MS        5000u
#define SHUTDOWN_MS_MAX    30000u
#define PAUSE_NS           1000000
#define LOOKS_WITHOUT_REST 16u
#define TEXT_SERIAL        20u
#define TEXT_MODEL         40u

static uint32_t read_csts(struct nvme *nvme)
{
	return pci_read32(nvme->pci, 0, NVME_REG_CSTS);
}

/* Reserved bits read as zero, so all ones is nobody. */
bool nvme_controller_present(struct nvme *nvme)
{
	return read_csts(nvme) != ALL_ONES;
}

bool nvme_controller_fatal(struct nvme *nvme)
{
	return read_csts(nvme) & NVME_CSTS_CFS;
}

/* Waits for CSTS to have `value` in `mask`: 0, -ENODEV, -ETIMEDOUT, -EIO on a fatal error. */
static int wait_csts(struct nvme *nvme, uint32_t mask, uint32_t value, uint32_t ms, bool healthy)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t deadline = event_loop_now_ns() + ms * 1000000ull;

	for (unsigned int looks = 0;; looks++) {
		bool last = event_loop_now_ns() >= deadline;
		uint32_t csts = read_csts(nvme);

		if (csts == ALL_ONES)
			return -ENODEV;
		if (healthy && (csts & NVME_CSTS_CFS))
			return -EIO;
		if ((csts & mask) == value)
			return 0;
		if (last)
			return -ETIMEDOUT;
		if (looks > LOOKS_WITHOUT_REST)
			nanosleep(&pause, NULL);
	}
}

/* CAP.TO, of which zero would mean no time at all. */
static uint32_t ready_ms(const struct nvme *nvme)
{
	return (NVME_CAP_TO(nvme->cap) + 1) * TO_UNIT_MS;
}

static int set_command(struct nvme *nvme, uint32_t set, uint32_t clear)
{
	struct pci_device_access *pci = nvme->pci;
	uint32_t command;
	int err = pci->ops->config_read(pci, PCI_COMMAND, 2, &command);

	if (err)
		return err;
	command = (command & ~clear) | set;
	return pci->ops->config_write(pci, PCI_COMMAND, 2, command & 0xFFFF);
}

int nvme_controller_probe(struct nvme *nvme)
{
	uint64_t size = nvme->pci->ops->bar_size(nvme->pci, 0), doorbells;
	unsigned int vectors = nvme->pci->ops->vector_count(nvme->pci);
	unsigned int limit;
	int err;

	if (size < NVME_REG_DOORBELLS + NVME_PAGE_SIZE)
		return -ENODEV;
	err = set_command(nvme, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	if (err)
		return err;
	nvme->cap = pci_read64(nvme->pci, 0, NVME_REG_CAP);
	if (nvme->cap == UINT64_MAX)
		return -ENODEV;
	if (!(nvme->cap & NVME_CAP_CSS_NVM) || NVME_CAP_MPSMIN(nvme->cap) || vectors < 2)
		return -ENOTSUP;
	nvme->version = pci_read32(nvme->pci, 0, NVME_REG_VS);
	nvme->entries = (uint16_t)nvme->config.queue_depth;
	if (nvme->entries > NVME_CAP_MQES(nvme->cap) + 1)
		nvme->entries = (uint16_t)(NVME_CAP_MQES(nvme->cap) + 1);
	if (nvme->entries < 2)
		return -EPROTO;

	limit = nvme->config.max_queues ? nvme->config.max_queues : NVME_QUEUES_MAX;
	if (limit > vectors - 1)
		limit = vectors - 1;
	doorbells = (size - NVME_REG_DOORBELLS) / (8ull << NVME_CAP_DSTRD(nvme->cap));
	if (doorbells < 2)
		return -EPROTO;
	if (limit > doorbells - 1)
		limit = (unsigned int)doorbells - 1;
	nvme->hardware_limit = limit < NVME_QUEUES_MAX ? limit : NVME_QUEUES_MAX;
	return 0;
}

int nvme_controller_disable(struct nvme *nvme)
{
	uint32_t cc = pci_read32(nvme->pci, 0, NVME_REG_CC);

	if (cc == ALL_ONES)
		return -ENODEV;
	/* 3.1.5: enabling may still be going on, and is not to be interrupted. */
	if ((cc & NVME_CC_EN) && !(read_csts(nvme) & NVME_CSTS_RDY))
		wait_csts(nvme, NVME_CSTS_RDY, NVME_CSTS_RDY, ready_ms(nvme), true);
	pci_write32(nvme->pci, 0, NVME_REG_CC, cc & ~(NVME_CC_EN | NVME_CC_SHN_MASK));
	return wait_csts(nvme, NVME_CSTS_RDY, 0, ready_ms(nvme), false);
}

static int start(struct nvme *nvme)
{
	struct pci_device_access *pci = nvme->pci;
	uint32_t entries = NVME_ADMIN_ENTRIES - 1;

	nvme_admin_reset(nvme);
	pci_write32(pci, 0, NVME_REG_AQA, entries << NVME_AQA_ACQS_SHIFT | entries);
	pci_write64(pci, 0, NVME_REG_ASQ, nvme->admin.sq_address);
	pci_write64(pci, 0, NVME_REG_ACQ, nvme->admin.cq_address);
	pci_write32(pci, 0, NVME_REG_CC,
		    NVME_CC_EN | NVME_SQE_SIZE_LOG2 << NVME_CC_IOSQES_SHIFT |
			    NVME_CQE_SIZE_LOG2 << NVME_CC_IOCQES_SHIFT);
	return wait_csts(nvme, NVME_CSTS_RDY, NVME_CSTS_RDY, ready_ms(nvme), true);
}

static void take_text(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	while (len && (to[len - 1] == ' ' || !to[len - 1]))
		len--;
	to[len] = 0;
}

/* Once: queues go by it without a lock, and a reset does not change what the controller is. */
static int identify(struct nvme *nvme)
{
	const struct nvme_id_ctrl *id = nvme->data;
	uint32_t rtd3e;
	uint8_t mdts;
	int err;

	if (nvme->max_transfer)
		return 0;
	err = nvme_admin_identify(nvme, NVME_CNS_CONTROLLER, 0);
	if (err)
		return err;
	nvme->oacs = id->oacs;
	nvme->oncs = id->oncs;
	nvme->oaes = id->oaes;
	nvme->vwc = id->vwc;
	nvme->awupf = id->awupf;
	nvme->vendor = id->vid;
	nvme->nn = id->nn;
	take_text(nvme->serial, id->sn, TEXT_SERIAL);
	take_text(nvme->model, id->mn, TEXT_MODEL);
	mdts = id->mdts;
	nvme->max_transfer = NVME_TRANSFER_MAX;
	if (mdts && mdts < 20 && (NVME_PAGE_SIZE << mdts) < nvme->max_transfer)
		nvme->max_transfer = NVME_PAGE_SIZE << mdts;
	rtd3e = id->rtd3e / 1000 + 1;
	nvme->shutdown_ms = rtd3e > SHUTDOWN_MS ? rtd3e : SHUTDOWN_MS;
	if (nvme->shutdown_ms > SHUTDOWN_MS_MAX)
		nvme->shutdown_ms = SHUTDOWN_MS_MAX;
	return 0;
}

/* The controller may grant fewer than it did before a reset; queues beyond that are refused. */
static int negotiate_queues(struct nvme *nvme)
{
	uint32_t limit = nvme->hardware_limit, granted, sq, cq;
	int err = nvme_admin_set_feature(nvme, NVME_FEATURE_QUEUES, NVME_QUEUES(limit, limit),
					 &granted);

	if (err)
		return err;
	sq = (granted & 0xFFFF) + 1;
	cq = (granted >> 16) + 1;
	if (limit > sq)
		limit = sq;
	if (limit > cq)
		limit = cq;
	pthread_mutex_lock(&nvme->lock);
	nvme->hardware_limit = limit;
	pthread_mutex_unlock(&nvme->lock);
	return 0;
}

/* Doorbells in memory (7.13), unless the controller refuses them. */
static int configure_shadow(struct nvme *nvme)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_DOORBELL_BUFFER_CONFIG };
	int ret;

	if (!(nvme->oacs & NVME_OACS_DOORBELL_BUFFER))
		return 0;
	if (!nvme->shadow.base && nvme_dma_alloc(nvme, 2 * NVME_PAGE_SIZE, &nvme->shadow))
		return 0;
	memset(nvme->shadow.base, 0, 2 * NVME_PAGE_SIZE);
	sqe.prp1 = nvme->shadow.address;
	sqe.prp2 = nvme->shadow.address + NVME_PAGE_SIZE;
	nvme_ring_set_shadow(&nvme->admin, nvme->shadow.base,
			     (uint8_t *)nvme->shadow.base + NVME_PAGE_SIZE,
			     NVME_CAP_DSTRD(nvme->cap));
	ret = nvme_admin_execute(nvme, &sqe, NULL);
	if (ret <= 0)
		return ret;
	nvme_ring_set_shadow(&nvme->admin, NULL, NULL, 0);
	nvme_dma_free(nvme, &nvme->shadow);
	return 0;
}

int nvme_controller_enable(struct nvme *nvme)
{
	int err = set_command(nvme, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);

	if (!err)
		err = start(nvme);
	if (!err)
		err = identify(nvme);
	if (!err)
		err = negotiate_queues(nvme);
	if (!err)
		err = configure_shadow(nvme);
	if (err)
		return err;
	if ((nvme->oaes & NVME_AEC_NS_ATTRIBUTES) &&
	    nvme_admin_set_feature(nvme, NVME_FEATURE_ASYNC_EVENTS, NVME_AEC_NS_ATTRIBUTES, NULL))
		log_warn("%s: does not tell of changed namespaces", nvme->name);
	nvme->host_known = nvme->config.host_id && nvme->oncs & NVME_ONCS_RESERVATIONS &&
			   !nvme_admin_set_host_id(nvme, nvme->config.host_id);
	nvme_admin_ask_event(nvme);
	return 0;
}

void nvme_controller_shutdown(struct nvme *nvme)
{
	uint32_t cc = pci_read32(nvme->pci, 0, NVME_REG_CC);
	int err;

	if (cc == ALL_ONES || !(cc & NVME_CC_EN))
		return;
	cc = (cc & ~NVME_CC_SHN_MASK) | NVME_CC_SHN_NORMAL;
	pci_write32(nvme->pci, 0, NVME_REG_CC, cc);
	err = wait_csts(nvme, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_COMPLETE, nvme->shutdown_ms,
			true);
	if (err)
		log_warn("%s: shutdown notification: errno %d", nvme->name, -err);
}

void nvme_controller_silence(struct nvme *nvme)
{
	set_command(nvme, 0, PCI_COMMAND_MASTER);
}

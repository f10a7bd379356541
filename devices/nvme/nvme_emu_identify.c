#include <stdio.h>
#include <string.h>

#include "devices/nvme/nvme_emu_internal.h"

/* Identify (5.15). */

#define DNR NVME_STATUS_DNR

#define MODEL "Entresol NVMe"

static void copy_text(char *to, size_t len, const char *text)
{
	size_t n = strnlen(text, len);

	memset(to, ' ', len);
	memcpy(to, text, n);
}

static uint16_t answer(struct nvme_emu *emu, const struct nvme_sqe *sqe, const void *data)
{
	return nvme_emu_copy_out(emu, sqe, data, NVME_IDENTIFY_SIZE, &emu->lanes[0].data);
}

static void fill_identity(const struct nvme_emu *emu, struct nvme_id_ctrl *id)
{
	const struct nvme_emu_config *config = &emu->config;

	id->vid = emu->space.bytes[PCI_VENDOR_ID] | emu->space.bytes[PCI_VENDOR_ID + 1] << 8;
	id->ssvid = id->vid;
	copy_text(id->sn, sizeof(id->sn), config->serial);
	copy_text(id->mn, sizeof(id->mn), MODEL);
	memcpy(id->fr, NVME_EMU_FIRMWARE, sizeof(id->fr));
	id->cmic = config->shared ? NVME_CMIC_MULTI_CONTROLLER : 0;
	id->cntlid = config->controller_id;
	id->ver = NVME_VS_1_4;
	id->cntrltype = NVME_CTRLTYPE_IO;
	snprintf(id->subnqn, sizeof(id->subnqn), "nqn.2026-01.invalid.entresol:nvme:%s",
		 config->serial);
}

static uint16_t identify_controller(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	struct nvme_id_ctrl id = {
		.mdts = NVME_EMU_MDTS,
		.rtd3e = 10000000,
		.oaes = NVME_AEC_NS_ATTRIBUTES,
		.ctratt = NVME_CTRATT_HOSTID_128,
		.oacs = emu->config.no_shadow_doorbells ? 0 : NVME_OACS_DOORBELL_BUFFER,
		.acl = 3,
		.aerl = NVME_EMU_MAX_EVENTS - 1,
		.frmw = 0x03, /* one slot, read-only */
		.lpa = 0x06,  /* effects log; offsets into log pages */
		.elpe = NVME_EMU_ERROR_ENTRIES - 1,
		.wctemp = 343,
		.cctemp = 353,
		.sqes = NVME_SQE_SIZE_LOG2 << 4 | NVME_SQE_SIZE_LOG2,
		.cqes = NVME_CQE_SIZE_LOG2 << 4 | NVME_CQE_SIZE_LOG2,
		.nn = NVME_EMU_MAX_NAMESPACES,
		.oncs = NVME_ONCS_COMPARE | NVME_ONCS_DSM | NVME_ONCS_WRITE_ZEROES |
			NVME_ONCS_SAVE_FEATURES | NVME_ONCS_RESERVATIONS | NVME_ONCS_TIMESTAMP |
			NVME_ONCS_VERIFY,
		.vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL,
		.sgls = NVME_SGLS_SUPPORTED,
		.psd = { { .max_power = 1000 } },
	};

	fill_identity(emu, &id);
	return answer(emu, sqe, &id);
}

static void fill_namespace(const struct nvme_emu_namespace *ns, struct nvme_id_ns *id)
{
	uint16_t physical = (uint16_t)((NVME_PAGE_SIZE >> ns->shift) - 1);

	id->nsze = id->ncap = id->nuse = nvme_emu_blocks(ns);
	/* The medium prefers writes and deallocations of whole pages. */
	id->nsfeat = NVME_NSFEAT_OPTIMAL;
	id->npwg = id->npwa = id->npdg = id->npda = physical;
	id->nmic = ns->config.shared ? NVME_NMIC_SHARED : 0;
	id->rescap = NVME_RESCAP_ALL_TYPES | NVME_RESCAP_IEKEY_1_3;
	/* A hole reads as zeroes; what a block device makes of a discard is its own affair. */
	id->dlfeat = ns->is_device ? 0 : NVME_DLFEAT_READS_ZERO | NVME_DLFEAT_ZEROES_DEALLOC;
	id->nsattr = ns->config.read_only ? NVME_NSATTR_READ_ONLY : 0;
	id->lbaf[0].lbads = (uint8_t)ns->shift;
	memcpy(id->nguid, ns->config.nguid, sizeof(id->nguid));
	memcpy(id->eui64, ns->config.eui64, sizeof(id->eui64));
}

/* Of a number that could have a namespace and has none: zeroes (5.15.2.1). */
static uint16_t identify_namespace(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	const struct nvme_emu_namespace *ns = nvme_emu_find_namespace(emu, sqe->nsid);
	struct nvme_id_ns id = { 0 };

	if (!sqe->nsid || sqe->nsid > NVME_EMU_MAX_NAMESPACES)
		return NVME_SC_INVALID_NS | DNR;
	if (ns)
		fill_namespace(ns, &id);
	return answer(emu, sqe, &id);
}

static uint16_t identify_active(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	uint32_t list[NVME_NSID_MAX_LIST] = { 0 };
	unsigned int n = 0;

	if (sqe->nsid >= NVME_NSID_ALL - 1)
		return NVME_SC_INVALID_NS | DNR;
	for (uint64_t nsid = sqe->nsid + 1ull; nsid <= NVME_EMU_MAX_NAMESPACES; nsid++) {
		if (nvme_emu_find_namespace(emu, (uint32_t)nsid))
			list[n++] = (uint32_t)nsid;
	}
	return answer(emu, sqe, list);
}

static uint8_t *add_descriptor(uint8_t *at, enum nvme_ns_descriptor_type type,
			       const uint8_t *identifier, uint8_t len)
{
	static const uint8_t none[16];
	struct nvme_ns_descriptor head = { .nidt = (uint8_t)type, .nidl = len };

	if (!memcmp(identifier, none, len))
		return at;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), identifier, len);
	return at + sizeof(head) + len;
}

/* 5.15.2.4: at least one is there; without a name of its own, one made of serial and number. */
static uint16_t identify_descriptors(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	const struct nvme_emu_namespace *ns = nvme_emu_find_namespace(emu, sqe->nsid);
	uint8_t list[NVME_IDENTIFY_SIZE] = { 0 }, *at = list;

	if (!ns)
		return NVME_SC_INVALID_NS | DNR;
	at = add_descriptor(at, NVME_NIDT_EUI64, ns->config.eui64, sizeof(ns->config.eui64));
	at = add_descriptor(at, NVME_NIDT_NGUID, ns->config.nguid, sizeof(ns->config.nguid));
	if (at == list) {
		uint8_t uuid[16] = { 0 };

		memcpy(uuid, emu->config.serial, 12);
		memcpy(uuid + 12, &sqe->nsid, sizeof(sqe->nsid));
		uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x80); /* version 8: of our own making */
		uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
		add_descriptor(at, NVME_NIDT_UUID, uuid, sizeof(uuid));
	}
	return answer(emu, sqe, list);
}

uint16_t nvme_emu_identify(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	switch (sqe->cdw10 & 0xFF) {
	case NVME_CNS_NAMESPACE:
		return identify_namespace(emu, sqe);
	case NVME_CNS_CONTROLLER:
		return identify_controller(emu, sqe);
	case NVME_CNS_ACTIVE_LIST:
		return identify_active(emu, sqe);
	case NVME_CNS_NS_DESCRIPTORS:
		return identify_descriptors(emu, sqe);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

/* Bringing a function up, and what is configured once for all queues. */

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "devices/net/mana_nic_internal.h"
#include "proto/inet.h"
#include "proto/pci.h"

/* --- Registers */

static int check_identity(struct mana_nic *mana)
{
	struct pci_device_access *pci = mana->config.pci;
	uint32_t id, command;
	int err = pci->ops->config_read(pci, PCI_VENDOR_ID, 4, &id);

	if (err)
		return err;
	if (id != (GDMA_PCI_VENDOR | GDMA_PCI_DEVICE_VF << 16))
		return -ENODEV;
	err = pci->ops->config_read(pci, PCI_COMMAND, 2, &command);
	if (err)
		return err;
	return pci->ops->config_write(pci, PCI_COMMAND, 2,
				      command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Where things are is the device's word: it must lie inside the BAR. */
static int read_registers(struct mana_nic *mana)
{
	struct pci_device_access *pci = mana->config.pci;

	mana->bar_bytes = pci->ops->bar_size(pci, 0);
	if (mana->bar_bytes < GDMA_PAGE_SIZE)
		return -ENODEV;
	mana->doorbells = pci_read64(pci, 0, GDMA_REG_DB_PAGE_OFFSET);
	mana->doorbell_bytes = pci_read32(pci, 0, GDMA_REG_DB_PAGE_SIZE) & 0xFFFF;
	mana->shm = pci_read64(pci, 0, GDMA_REG_SHM_OFFSET);
	if (mana->doorbell_bytes < GDMA_PAGE_SIZE || mana->doorbells % 8 ||
	    mana->doorbells >= mana->bar_bytes || mana->shm % 4 ||
	    mana->shm > mana->bar_bytes - SMC_SIZE)
		return -EPROTO;
	return 0;
}

/* --- Questions */

static int verify_version(struct mana_nic *mana)
{
	struct gdma_verify_ver_req req = {
		.protocol_ver_min = GDMA_PROTOCOL_V1,
		.protocol_ver_max = GDMA_PROTOCOL_V1,
		.os_type = 0x30,
	};
	struct gdma_verify_ver_resp resp = { 0 };

	req.hdr.dev_id.type = GDMA_DEVICE_HWC;
	return mana_nic_command(mana, GDMA_VERIFY_VF_DRIVER_VERSION, &req, sizeof(req), &resp,
				sizeof(resp));
}

static int query_resources(struct mana_nic *mana)
{
	struct gdma_req_hdr req = { .dev_id.type = GDMA_DEVICE_HWC };
	struct gdma_query_max_resources_resp resp = { 0 };
	uint32_t limits[] = { NIC_QUEUES, 0, 0, 0, 0, 0 }, queues = NIC_QUEUES;
	unsigned int vectors = mana->config.pci->ops->vector_count(mana->config.pci);
	int err = mana_nic_command(mana, GDMA_QUERY_MAX_RESOURCES, &req, sizeof(req), &resp,
				   sizeof(resp));

	if (err)
		return err;
	if (vectors > resp.max_msix)
		vectors = resp.max_msix;
	limits[1] = resp.max_sq;
	limits[2] = resp.max_rq;
	limits[3] = resp.max_cq / 2;
	limits[4] = resp.max_eq;
	limits[5] = vectors ? vectors - 1 : 0; /* one is the hardware channel's */
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i] < queues)
			queues = limits[i];
	mana->info.max_queues = (uint16_t)queues;
	return queues ? 0 : -EPROTO;
}

static int find_device(struct mana_nic *mana)
{
	struct gdma_req_hdr req = { .dev_id.type = GDMA_DEVICE_HWC };
	struct gdma_list_devices_resp resp = { 0 };
	int err = mana_nic_command(mana, GDMA_LIST_DEVICES, &req, sizeof(req), &resp, sizeof(resp));

	if (err)
		return err;
	for (uint32_t i = 0; i < GDMA_DEV_LIST_SIZE; i++) /* with holes */
		if (resp.devs[i].type == GDMA_DEVICE_MANA)
			return 0;
	return -ENODEV;
}

static int register_device(struct mana_nic *mana)
{
	struct gdma_req_hdr req = { .dev_id.type = GDMA_DEVICE_MANA };
	struct gdma_register_device_resp resp = { 0 };
	int err = mana_nic_command(mana, GDMA_REGISTER_DEVICE, &req, sizeof(req), &resp,
				   sizeof(resp));

	if (err)
		return err;
	if ((resp.db_id + 1ull) * mana->doorbell_bytes > mana->bar_bytes - mana->doorbells)
		return -EPROTO;
	mana->pdid = resp.pdid;
	mana->gpa_key = resp.gpa_mkey;
	mana->doorbell = resp.db_id;
	return 0;
}

static int query_device(struct mana_nic *mana)
{
	struct mana_query_device_cfg_req req = { .proto_minor_ver = 1, .proto_micro_ver = 1 };
	struct mana_query_device_cfg_resp resp = { 0 };
	int err;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	req.hdr.resp.msg_version = 2;
	err = mana_nic_command(mana, MANA_QUERY_DEV_CONFIG, &req, sizeof(req), &resp, sizeof(resp));
	if (err)
		return err;
	if (!resp.max_num_vports)
		return -EPROTO;
	mana->info.max_mtu = 1500;
	if (resp.hdr.response.msg_version >= 2 && resp.adapter_mtu > 1500 + ETHERNET_HEADER)
		mana->info.max_mtu = (uint16_t)(resp.adapter_mtu - ETHERNET_HEADER);
	return 0;
}

static int query_vport(struct mana_nic *mana)
{
	struct mana_query_vport_cfg_req req = { 0 };
	struct mana_query_vport_cfg_resp resp = { 0 };
	uint32_t queues, entries;
	int err;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	err = mana_nic_command(mana, MANA_QUERY_VPORT_CONFIG, &req, sizeof(req), &resp,
			       sizeof(resp));
	if (err)
		return err;
	queues = resp.max_num_sq < resp.max_num_rq ? resp.max_num_sq : resp.max_num_rq;
	if (!queues)
		return -EPROTO;
	if (queues < mana->info.max_queues)
		mana->info.max_queues = (uint16_t)queues;
	entries = resp.num_indirection_ent;
	if (!entries || (entries & (entries - 1)) || entries > NIC_RSS_ENTRIES)
		entries = MANA_INDIRECTION_DEFAULT;
	mana->info.rss_entries = (uint16_t)entries;
	memcpy(mana->info.mac, resp.mac_addr, sizeof(mana->info.mac));
	mana->vport = resp.vport;
	return 0;
}

static int configure_vport(struct mana_nic *mana)
{
	struct mana_config_vport_req req = { .vport = mana->vport,
					     .pdid = mana->pdid,
					     .doorbell_pageid = mana->doorbell };
	struct mana_config_vport_resp resp = { 0 };
	int err;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	err = mana_nic_command(mana, MANA_CONFIG_VPORT_TX, &req, sizeof(req), &resp, sizeof(resp));
	if (err)
		return err;
	mana->vport_offset = resp.tx_vport_offset;
	return 0;
}

static void fill_info(struct mana_nic *mana)
{
	struct nic_info *info = &mana->info;

	info->tx_offloads = NIC_TX_IP_CHECKSUM | NIC_TX_TCP_CHECKSUM | NIC_TX_UDP_CHECKSUM |
			    NIC_TX_LSO | NIC_TX_VLAN;
	info->max_lso =
		62 * 1024; /* in page-sized pieces it just fits the SGEs, bounced a little */
	info->bits_per_second = UINT64_C(200000000000);
	info->rx_checksums = true;
	info->link_up = true;
}

int mana_nic_setup(struct mana_nic *mana)
{
	static int (*const steps[])(struct mana_nic * mana) = {
		check_identity, read_registers,  mana_nic_hwc_create, verify_version,
		find_device,    query_resources, register_device,     query_device,
		query_vport,    configure_vport,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int err = steps[i](mana);

		if (err) {
			log_warn("mana: step %zu of bringing it up: %s", i, strerror(-err));
			return err;
		}
	}
	fill_info(mana);
	return 0;
}

void mana_nic_teardown(struct mana_nic *mana)
{
	mana->config.pci->ops->reset(mana->config.pci);
	mana_nic_hwc_destroy(mana);
}

/* --- Configuration */

int mana_nic_create_region(struct mana_nic *mana, uint64_t address, uint32_t bytes,
			   uint64_t *handle)
{
	uint64_t message[(sizeof(struct gdma_create_dma_region_req) +
			  MANA_NIC_RX_CQ_BYTES / GDMA_PAGE_SIZE * 8) /
			 8];
	struct gdma_create_dma_region_req *req = (struct gdma_create_dma_region_req *)message;
	struct gdma_create_dma_region_resp resp = { 0 };
	uint32_t pages = bytes / GDMA_PAGE_SIZE;
	int err;

	*req = (struct gdma_create_dma_region_req){
		.hdr.dev_id.type = GDMA_DEVICE_MANA,
		.length = bytes,
		.page_count = pages,
		.page_addr_list_len = pages,
	};
	for (uint32_t i = 0; i < pages; i++)
		req->page_addr_list[i] = address + (uint64_t)i * GDMA_PAGE_SIZE;
	err = mana_nic_command(mana, GDMA_CREATE_DMA_REGION, req,
			       (uint32_t)(sizeof(*req) + pages * 8), &resp, sizeof(resp));
	*handle = resp.dma_region_handle;
	return err;
}

static uint16_t hash_types(uint8_t nic)
{
	return (uint16_t)((nic & NIC_HASH_IPV4 ? MANA_HASH_IPV4 : 0) |
			  (nic & NIC_HASH_TCP_IPV4 ? MANA_HASH_TCP_IPV4 : 0) |
			  (nic & NIC_HASH_UDP_IPV4 ? MANA_HASH_UDP_IPV4 : 0) |
			  (nic & NIC_HASH_IPV6 ? MANA_HASH_IPV6 : 0) |
			  (nic & NIC_HASH_TCP_IPV6 ? MANA_HASH_TCP_IPV6 : 0) |
			  (nic & NIC_HASH_UDP_IPV6 ? MANA_HASH_UDP_IPV6 : 0));
}

/* The queues named must be open: 0; -EINVAL: one is not. */
int mana_nic_steer(struct mana_nic *mana, const struct nic_receive *receive)
{
	struct {
		struct mana_cfg_rx_steer_req req;
		uint64_t table[NIC_RSS_ENTRIES];
	} message = { .req = { .vport = mana->vport,
			       .rx_enable = receive->enabled,
			       .rss_enable = receive->enabled && receive->rss,
			       .rss_hash_types = hash_types(receive->hash_types) } };
	struct gdma_resp_hdr resp = { 0 };
	uint32_t entries = 0;
	int err;

	message.req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	message.req.hdr.req.msg_version = 5;
	if (receive->enabled) {
		if (mana->queues[0].rq.handle == MANA_INVALID_HANDLE)
			return -EINVAL;
		message.req.update_default_rxobj = 1;
		message.req.default_rxobj = mana->queues[0].rq.handle;
	}
	if (receive->enabled && receive->rss) {
		entries = receive->entries;
		for (uint32_t i = 0; i < entries; i++) {
			message.table[i] = mana->queues[receive->table[i]].rq.handle;
			if (message.table[i] == MANA_INVALID_HANDLE)
				return -EINVAL;
		}
		message.req.num_indir_entries = (uint16_t)entries;
		message.req.indir_tab_offset = sizeof(message.req);
		message.req.update_indir_tab = 1;
		message.req.update_hashkey = 1;
		memcpy(message.req.hashkey, receive->key, sizeof(message.req.hashkey));
	}
	err = mana_nic_command(mana, MANA_CONFIG_VPORT_RX, &message,
			       (uint32_t)sizeof(message.req) + entries * 8, &resp, sizeof(resp));
	if (!err)
		mana->receive_set = receive->enabled;
	return err;
}

int mana_nic_send_filter(struct mana_nic *mana)
{
	struct mana_move_filter_req req = { .vport = mana->vport, .to_vtl0 = mana->to_vtl0 };
	struct gdma_resp_hdr resp = { 0 };

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	req.hdr.req.msg_version = 2;
	return mana_nic_command(mana, MANA_VTL2_MOVE_FILTER, &req, sizeof(req), &resp,
				sizeof(resp));
}

/* What comes is believed from here on, for it may come before the answer does. */
int mana_nic_send_uncut(struct mana_nic *mana)
{
	struct mana_nic_uncut *uncut = &mana->uncut;
	struct mana_uncut_req req = {
		.vport = mana->vport,
		.versions = (uncut->versions & NIC_UNCUT_IPV4 ? MANA_UNCUT_IPV4 : 0) |
			    (uncut->versions & NIC_UNCUT_IPV6 ? MANA_UNCUT_IPV6 : 0),
		.max_len = uncut->max,
	};
	struct gdma_resp_hdr resp = { 0 };
	int err;

	if (uncut->refused || (!uncut->versions && !uncut->believed))
		return 0;
	if (uncut->max > uncut->believed)
		__atomic_store_n(&uncut->believed, uncut->max, __ATOMIC_RELEASE);
	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	err = mana_nic_command(mana, MANA_EMULATED_UNCUT, &req, sizeof(req), &resp, sizeof(resp));
	if (err != -EOPNOTSUPP && err != -EINVAL)
		return err;
	uncut->refused = true;
	__atomic_store_n(&uncut->believed, 0, __ATOMIC_RELEASE);
	return 0;
}

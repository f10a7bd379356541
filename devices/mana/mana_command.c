/* Commands of the hardware channel: GDMA's objects, and the Ethernet device made of them. */

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/nic.h"
#include "devices/mana/mana_internal.h"
#include "devices/pci/pci_msix.h"

/* What the answer is built in: behind the header, which the caller fills in. */
#define RESPONSE(mana, type) ((type *)(void *)(mana)->response)
#define REQUEST(mana, type)  ((const type *)(const void *)(mana)->request)

/* --- Regions */

static struct mana_region *find_region(struct mana *mana, uint64_t handle)
{
	if (!handle || handle > MANA_REGIONS || !mana->regions[handle - 1].used)
		return NULL;
	return &mana->regions[handle - 1];
}

static void free_region(struct mana_region *region)
{
	mana_ring_free(&region->ring);
	*region = (struct mana_region){ 0 };
}

static uint32_t add_pages(struct mana_region *region, const uint64_t *pages, uint32_t count)
{
	if (count > region->page_count - region->filled)
		return GDMA_STATUS_INVALID;
	for (uint32_t i = 0; i < count; i++)
		if (pages[i] % GDMA_PAGE_SIZE)
			return GDMA_STATUS_INVALID;
	memcpy(&region->ring.pages[region->filled], pages, count * sizeof(pages[0]));
	region->filled += count;
	return GDMA_STATUS_SUCCESS;
}

/* Queue memory only: whole pages. */
static uint32_t create_region(struct mana *mana, size_t len)
{
	const struct gdma_create_dma_region_req *req =
		REQUEST(mana, struct gdma_create_dma_region_req);
	struct mana_region *region;
	uint64_t handle = 1;

	if (len < sizeof(*req) || !req->page_count || req->page_count > MANA_RING_PAGES ||
	    req->length != (uint64_t)req->page_count * GDMA_PAGE_SIZE || req->offset_in_page ||
	    req->page_addr_list_len > (len - sizeof(*req)) / sizeof(uint64_t))
		return GDMA_STATUS_INVALID;
	while (handle <= MANA_REGIONS && mana->regions[handle - 1].used)
		handle++;
	if (handle > MANA_REGIONS)
		return GDMA_STATUS_NO_RESOURCES;
	region = &mana->regions[handle - 1];
	region->page_count = req->page_count;
	region->filled = 0;
	region->ring.pages = calloc(req->page_count, sizeof(uint64_t));
	if (!region->ring.pages)
		return GDMA_STATUS_NO_RESOURCES;
	region->ring.size = req->page_count * GDMA_PAGE_SIZE;
	if (add_pages(region, req->page_addr_list, req->page_addr_list_len)) {
		free_region(region);
		return GDMA_STATUS_INVALID;
	}
	region->used = true;
	RESPONSE(mana, struct gdma_create_dma_region_resp)->dma_region_handle = handle;
	return region->filled < region->page_count ? GDMA_STATUS_MORE_ENTRIES : GDMA_STATUS_SUCCESS;
}

static uint32_t extend_region(struct mana *mana, size_t len)
{
	const struct gdma_dma_region_add_pages_req *req =
		REQUEST(mana, struct gdma_dma_region_add_pages_req);
	struct mana_region *region;
	uint32_t status;

	if (len < sizeof(*req) || req->page_addr_list_len > (len - sizeof(*req)) / sizeof(uint64_t))
		return GDMA_STATUS_INVALID;
	region = find_region(mana, req->dma_region_handle);
	if (!region)
		return GDMA_STATUS_INVALID;
	status = add_pages(region, req->page_addr_list, req->page_addr_list_len);
	if (status)
		return status;
	return region->filled < region->page_count ? GDMA_STATUS_MORE_ENTRIES : GDMA_STATUS_SUCCESS;
}

static uint32_t destroy_region(struct mana *mana, size_t len)
{
	struct mana_region *region;

	if (len < sizeof(struct gdma_destroy_dma_region_req))
		return GDMA_STATUS_INVALID;
	region = find_region(mana,
			     REQUEST(mana, struct gdma_destroy_dma_region_req)->dma_region_handle);
	if (!region)
		return GDMA_STATUS_INVALID;
	free_region(region);
	return GDMA_STATUS_SUCCESS;
}

/* The region that is to become a queue of `size` bytes; NULL when it cannot. */
static struct mana_region *queue_region(struct mana *mana, uint64_t handle, uint32_t size)
{
	struct mana_region *region = find_region(mana, handle);

	if (!region || region->filled != region->page_count || region->ring.size != size)
		return NULL;
	return region;
}

static bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

static struct mana_ring take_ring(struct mana_region *region)
{
	struct mana_ring ring = region->ring;

	*region = (struct mana_region){ 0 };
	return ring;
}

/* --- Event queues */

static uint32_t create_eq(struct mana *mana, const struct gdma_create_queue_req *req)
{
	struct mana_region *region = queue_region(mana, req->gdma_region, req->queue_size);
	uint32_t id = 1;

	if (!region || !is_power_of_two(req->queue_size) ||
	    req->eq_pci_msix_index >= pci_msix_vectors(mana->msix))
		return GDMA_STATUS_INVALID;
	while (id < MANA_EQS && mana->eqs[id].used)
		id++;
	if (id == MANA_EQS)
		return GDMA_STATUS_NO_RESOURCES;
	pthread_mutex_lock(&mana->events);
	mana->eqs[id] = (struct mana_eq){
		.used = true,
		.armed = true,
		.ring = take_ring(region),
		.head = req->queue_size / (uint32_t)sizeof(struct gdma_eqe),
		.vector = req->eq_pci_msix_index,
	};
	pthread_mutex_unlock(&mana->events);
	RESPONSE(mana, struct gdma_create_queue_resp)->queue_index = id;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t create_queue(struct mana *mana, size_t len)
{
	const struct gdma_create_queue_req *req = REQUEST(mana, struct gdma_create_queue_req);

	if (len < sizeof(*req) || req->type != GDMA_EQ)
		return GDMA_STATUS_INVALID; /* the others are made as Ethernet objects */
	return create_eq(mana, req);
}

static void free_eq(struct mana *mana, uint32_t id)
{
	pthread_mutex_lock(&mana->events);
	mana_ring_free(&mana->eqs[id].ring);
	mana->eqs[id] = (struct mana_eq){ 0 };
	pthread_mutex_unlock(&mana->events);
}

static void free_cq(struct mana *mana, uint32_t id)
{
	pthread_mutex_lock(&mana->events);
	mana_ring_free(&mana->cqs[id].ring);
	mana->cqs[id] = (struct mana_cq){ 0 };
	pthread_mutex_unlock(&mana->events);
}

static uint32_t disable_queue(struct mana *mana, size_t len)
{
	const struct gdma_disable_queue_req *req = REQUEST(mana, struct gdma_disable_queue_req);

	if (len < sizeof(*req) || req->type != GDMA_EQ || !req->queue_index ||
	    req->queue_index >= MANA_EQS || !mana->eqs[req->queue_index].used)
		return GDMA_STATUS_INVALID;
	free_eq(mana, req->queue_index);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t test_event(struct mana *mana, size_t len)
{
	const struct gdma_generate_test_event_req *req =
		REQUEST(mana, struct gdma_generate_test_event_req);

	if (len < sizeof(*req) || req->queue_index >= MANA_EQS || !mana->eqs[req->queue_index].used)
		return GDMA_STATUS_INVALID;
	mana_event(mana, req->queue_index, GDMA_EQE_TEST_EVENT, 0);
	return GDMA_STATUS_SUCCESS;
}

/* --- What there is */

static uint32_t verify_version(struct mana *mana, size_t len)
{
	const struct gdma_verify_ver_req *req = REQUEST(mana, struct gdma_verify_ver_req);

	if (len < sizeof(req->hdr) + 16 || req->protocol_ver_min > GDMA_PROTOCOL_V1 ||
	    req->protocol_ver_max < GDMA_PROTOCOL_V1)
		return GDMA_STATUS_INVALID;
	RESPONSE(mana, struct gdma_verify_ver_resp)->gdma_protocol_ver = GDMA_PROTOCOL_V1;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t query_max_resources(struct mana *mana)
{
	struct gdma_query_max_resources_resp *resp =
		RESPONSE(mana, struct gdma_query_max_resources_resp);

	resp->max_sq = mana->config.queues;
	resp->max_rq = mana->config.queues;
	resp->max_cq = 2u * mana->config.queues;
	resp->max_eq = mana->config.queues;
	resp->max_db = MANA_DOORBELL_PAGES;
	resp->max_mst = 16;
	resp->max_msix = pci_msix_vectors(mana->msix);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t list_devices(struct mana *mana)
{
	struct gdma_list_devices_resp *resp = RESPONSE(mana, struct gdma_list_devices_resp);

	resp->num_of_devs = 2;
	resp->devs[0].type = GDMA_DEVICE_HWC;
	resp->devs[1].type = GDMA_DEVICE_MANA;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t register_device(struct mana *mana, const struct gdma_req_hdr *hdr)
{
	struct gdma_register_device_resp *resp = RESPONSE(mana, struct gdma_register_device_resp);

	if (hdr->dev_id.type != GDMA_DEVICE_MANA)
		return GDMA_STATUS_INVALID;
	resp->pdid = MANA_PD;
	resp->gpa_mkey = MANA_GPA_KEY;
	resp->db_id = MANA_DOORBELL;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t query_device(struct mana *mana)
{
	struct mana_query_device_cfg_resp *resp = RESPONSE(mana, struct mana_query_device_cfg_resp);

	resp->max_num_vports = 1;
	resp->max_num_eqs = mana->config.queues;
	resp->adapter_mtu = (uint16_t)(mana->config.mtu + 14);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t query_vport(struct mana *mana, size_t len)
{
	struct mana_query_vport_cfg_resp *resp = RESPONSE(mana, struct mana_query_vport_cfg_resp);

	if (len < sizeof(struct mana_query_vport_cfg_req) ||
	    REQUEST(mana, struct mana_query_vport_cfg_req)->vport_index)
		return GDMA_STATUS_INVALID;
	resp->max_num_sq = mana->config.queues;
	resp->max_num_rq = mana->config.queues;
	resp->num_indirection_ent = MANA_INDIRECTION_DEFAULT;
	memcpy(resp->mac_addr, mana->config.mac, sizeof(resp->mac_addr));
	resp->vport = MANA_VPORT;
	return GDMA_STATUS_SUCCESS;
}

static uint64_t all_bytes(const struct nic_cast_stats casts[NIC_CASTS])
{
	return casts[NIC_UNICAST].bytes + casts[NIC_MULTICAST].bytes + casts[NIC_BROADCAST].bytes;
}

static uint32_t query_statistics(struct mana *mana)
{
	struct mana_query_gf_stat_resp *resp = RESPONSE(mana, struct mana_query_gf_stat_resp);
	const struct mana_stats *stats = &mana->stats;
	const struct nic_cast_stats *rx = stats->rx, *tx = stats->tx;

	resp->reported_stats = UINT64_MAX >> 37; /* all 27 */
	resp->rx_discards_nowqe = stats->rx_no_wqe;
	resp->rx_err_vport_disabled = stats->rx_disabled;
	resp->hc_rx_ucast_pkts = rx[NIC_UNICAST].frames;
	resp->hc_rx_ucast_bytes = rx[NIC_UNICAST].bytes;
	resp->hc_rx_bcast_pkts = rx[NIC_BROADCAST].frames;
	resp->hc_rx_bcast_bytes = rx[NIC_BROADCAST].bytes;
	resp->hc_rx_mcast_pkts = rx[NIC_MULTICAST].frames;
	resp->hc_rx_mcast_bytes = rx[NIC_MULTICAST].bytes;
	resp->hc_rx_bytes = all_bytes(rx);
	resp->tx_err_inval_oob = stats->tx_invalid_oob;
	resp->hc_tx_ucast_pkts = tx[NIC_UNICAST].frames;
	resp->hc_tx_ucast_bytes = tx[NIC_UNICAST].bytes;
	resp->hc_tx_bcast_pkts = tx[NIC_BROADCAST].frames;
	resp->hc_tx_bcast_bytes = tx[NIC_BROADCAST].bytes;
	resp->hc_tx_mcast_pkts = tx[NIC_MULTICAST].frames;
	resp->hc_tx_mcast_bytes = tx[NIC_MULTICAST].bytes;
	resp->hc_tx_bytes = all_bytes(tx);
	resp->tx_err_gdma = stats->tx_gdma;
	return GDMA_STATUS_SUCCESS;
}

/* --- The vport */

static uint32_t configure_tx(struct mana *mana, size_t len)
{
	struct mana_config_vport_resp *resp = RESPONSE(mana, struct mana_config_vport_resp);

	if (len < sizeof(struct mana_config_vport_req) ||
	    REQUEST(mana, struct mana_config_vport_req)->vport != MANA_VPORT)
		return GDMA_STATUS_INVALID;
	mana->vport_tx = true;
	resp->tx_vport_offset = 0;
	resp->short_form_allowed = 1;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t free_cq_number(const struct mana *mana)
{
	uint32_t id = 1;

	while (id < MANA_CQS && mana->cqs[id].used)
		id++;
	return id;
}

static uint32_t free_wq_number(const struct mana *mana)
{
	uint32_t id = 2;

	while (id < MANA_WQS && mana->wqs[id].used)
		id++;
	return id;
}

static bool queue_parameters_valid(const struct mana *mana, const struct mana_create_wqobj_req *req)
{
	return req->vport == MANA_VPORT && (req->wq_type == GDMA_SQ || req->wq_type == GDMA_RQ) &&
	       is_power_of_two(req->cq_size) && req->wq_gdma_region != req->cq_gdma_region &&
	       req->cq_parent_qid < MANA_EQS && mana->eqs[req->cq_parent_qid].used;
}

static uint32_t create_wq(struct mana *mana, size_t len)
{
	const struct mana_create_wqobj_req *req = REQUEST(mana, struct mana_create_wqobj_req);
	struct mana_create_wqobj_resp *resp = RESPONSE(mana, struct mana_create_wqobj_resp);
	struct mana_region *wq_region, *cq_region;
	uint32_t wq = free_wq_number(mana), cq = free_cq_number(mana);

	if (len < sizeof(*req) || !queue_parameters_valid(mana, req))
		return GDMA_STATUS_INVALID;
	wq_region = queue_region(mana, req->wq_gdma_region, req->wq_size);
	cq_region = queue_region(mana, req->cq_gdma_region, req->cq_size);
	if (!wq_region || !cq_region)
		return GDMA_STATUS_INVALID;
	if (wq == MANA_WQS || cq == MANA_CQS)
		return GDMA_STATUS_NO_RESOURCES;
	pthread_mutex_lock(&mana->events);
	mana->cqs[cq] = (struct mana_cq){
		.used = true,
		.ring = take_ring(cq_region),
		.head = req->cq_size / (uint32_t)sizeof(struct gdma_cqe),
		.eq = req->cq_parent_qid,
	};
	pthread_mutex_unlock(&mana->events);
	__atomic_store_n(&mana->tails[wq], 0, __ATOMIC_RELAXED);
	mana->wqs[wq] = (struct mana_wq){
		.used = true, .type = req->wq_type, .ring = take_ring(wq_region), .cq = cq
	};
	resp->wq_id = wq;
	resp->cq_id = cq;
	resp->wq_obj = MANA_WQ_HANDLE + wq;
	return GDMA_STATUS_SUCCESS;
}

/* The number of a work queue of this type; MANA_WQS: there is none. Type 0: any. */
static uint32_t find_wq(const struct mana *mana, uint64_t handle, uint32_t type)
{
	uint64_t number = handle - MANA_WQ_HANDLE;

	if (number < 2 || number >= MANA_WQS || !mana->wqs[number].used ||
	    (type && mana->wqs[number].type != type))
		return MANA_WQS;
	return (uint32_t)number;
}

/* A queue that steering leads to is left out of it: nothing is received there. */
static void free_wq(struct mana *mana, uint32_t number)
{
	uint32_t cq = mana->wqs[number].cq;

	if (mana->steering.default_wq == number)
		mana->steering.default_wq = MANA_WQS;
	mana_ring_free(&mana->wqs[number].ring);
	mana->wqs[number] = (struct mana_wq){ 0 };
	free_cq(mana, cq);
}

static uint32_t destroy_wq(struct mana *mana, size_t len)
{
	const struct mana_destroy_wqobj_req *req = REQUEST(mana, struct mana_destroy_wqobj_req);
	uint32_t number;

	if (len < sizeof(*req))
		return GDMA_STATUS_INVALID;
	number = find_wq(mana, req->wq_obj_handle, req->wq_type);
	if (number == MANA_WQS)
		return GDMA_STATUS_INVALID;
	free_wq(mana, number);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t fence(struct mana *mana, size_t len)
{
	struct mana_rx_comp comp = { .header = MANA_CQE_RX_OBJECT_FENCE |
					       MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT };
	uint32_t number;

	if (len < sizeof(struct mana_fence_rq_req))
		return GDMA_STATUS_INVALID;
	number = find_wq(mana, REQUEST(mana, struct mana_fence_rq_req)->wq_obj_handle, GDMA_RQ);
	if (number == MANA_WQS)
		return GDMA_STATUS_INVALID;
	mana_complete(mana, &mana->wqs[number], &comp);
	return GDMA_STATUS_SUCCESS;
}

/* --- Steering */

static uint8_t hash_types(uint32_t mana_types)
{
	static const struct {
		uint32_t mana;
		uint8_t nic;
	} types[] = {
		{ MANA_HASH_IPV4, NIC_HASH_IPV4 },
		{ MANA_HASH_TCP_IPV4, NIC_HASH_TCP_IPV4 },
		{ MANA_HASH_UDP_IPV4, NIC_HASH_UDP_IPV4 },
		{ MANA_HASH_IPV6, NIC_HASH_IPV6 },
		{ MANA_HASH_TCP_IPV6, NIC_HASH_TCP_IPV6 },
		{ MANA_HASH_UDP_IPV6, NIC_HASH_UDP_IPV6 },
	};
	uint8_t flags = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (mana_types & types[i].mana)
			flags |= types[i].nic;
	return flags;
}

static uint32_t set_table(struct mana *mana, struct mana_steering *steering,
			  const struct mana_cfg_rx_steer_req *req, size_t len)
{
	uint16_t table[MANA_INDIRECTION_MAX];

	if (!req->num_indir_entries || req->num_indir_entries > MANA_INDIRECTION_MAX ||
	    !range_within(req->indir_tab_offset, req->num_indir_entries * 8u, len))
		return GDMA_STATUS_INVALID;
	for (uint32_t i = 0; i < req->num_indir_entries; i++) {
		uint64_t handle = load_le64(mana->request + req->indir_tab_offset + i * 8);
		uint32_t number = find_wq(mana, handle, GDMA_RQ);

		if (number == MANA_WQS)
			return GDMA_STATUS_INVALID;
		table[i] = (uint16_t)number;
	}
	memcpy(steering->table, table, req->num_indir_entries * sizeof(table[0]));
	steering->entries = req->num_indir_entries;
	return GDMA_STATUS_SUCCESS;
}

static uint32_t configure_rx(struct mana *mana, size_t len)
{
	struct mana_cfg_rx_steer_req req = { 0 };
	struct mana_steering *steering = &mana->steering;
	uint32_t number;

	if (len < MANA_STEER_REQ_SIZE_V1)
		return GDMA_STATUS_INVALID;
	memcpy(&req, mana->request, len < sizeof(req) ? len : sizeof(req));
	if (req.vport != MANA_VPORT)
		return GDMA_STATUS_INVALID;
	if (req.update_default_rxobj) {
		number = find_wq(mana, req.default_rxobj, GDMA_RQ);
		if (number == MANA_WQS && req.rx_enable)
			return GDMA_STATUS_INVALID;
		steering->default_wq = number;
	}
	if (req.update_indir_tab && set_table(mana, steering, &req, len))
		return GDMA_STATUS_INVALID;
	if (req.update_hashkey)
		net_hash_init(&steering->hash, req.hashkey);
	if (req.rx_enable != UINT32_MAX)
		steering->enabled = req.rx_enable;
	if (req.rss_enable != UINT32_MAX)
		steering->rss = req.rss_enable;
	/* Drivers that do not know the field mean all types. */
	steering->hash_types = hash_types(
		req.hdr.req.msg_version >= 5 && req.rss_hash_types ? req.rss_hash_types : 0x3F);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t move_filter(struct mana *mana, size_t len)
{
	const struct mana_move_filter_req *req = REQUEST(mana, struct mana_move_filter_req);

	if (!mana->config.move_filter)
		return GDMA_STATUS_CMD_UNSUPPORTED;
	if (len < sizeof(*req) || req->vport != MANA_VPORT || req->to_vtl0 > 1)
		return GDMA_STATUS_INVALID;
	mana->config.move_filter(mana->config.ctx, req->to_vtl0);
	return GDMA_STATUS_SUCCESS;
}

static uint32_t take_uncut(struct mana *mana, size_t len)
{
	const struct mana_uncut_req *req = REQUEST(mana, struct mana_uncut_req);

	if (len < sizeof(*req) || req->vport != MANA_VPORT ||
	    req->versions > (MANA_UNCUT_IPV4 | MANA_UNCUT_IPV6) || req->max_len > UINT16_MAX)
		return GDMA_STATUS_INVALID;
	mana->uncut = (struct mana_uncut){ req->versions, req->max_len };
	return GDMA_STATUS_SUCCESS;
}

/* --- All of it */

uint32_t mana_command(struct mana *mana, const struct gdma_req_hdr *hdr, size_t len)
{
	switch (hdr->req.msg_type) {
	case GDMA_VERIFY_VF_DRIVER_VERSION:
		return verify_version(mana, len);
	case GDMA_QUERY_MAX_RESOURCES:
		return query_max_resources(mana);
	case GDMA_LIST_DEVICES:
		return list_devices(mana);
	case GDMA_REGISTER_DEVICE:
		return register_device(mana, hdr);
	case GDMA_DEREGISTER_DEVICE:
		return GDMA_STATUS_SUCCESS;
	case GDMA_GENERATE_TEST_EQE:
		return test_event(mana, len);
	case GDMA_CREATE_QUEUE:
		return create_queue(mana, len);
	case GDMA_DISABLE_QUEUE:
		return disable_queue(mana, len);
	case GDMA_CREATE_DMA_REGION:
		return create_region(mana, len);
	case GDMA_DMA_REGION_ADD_PAGES:
		return extend_region(mana, len);
	case GDMA_DESTROY_DMA_REGION:
		return destroy_region(mana, len);
	case MANA_QUERY_DEV_CONFIG:
		return query_device(mana);
	case MANA_QUERY_GF_STAT:
		return query_statistics(mana);
	case MANA_CONFIG_VPORT_TX:
		return configure_tx(mana, len);
	case MANA_CREATE_WQ_OBJ:
		return create_wq(mana, len);
	case MANA_DESTROY_WQ_OBJ:
		return destroy_wq(mana, len);
	case MANA_FENCE_RQ:
		return fence(mana, len);
	case MANA_CONFIG_VPORT_RX:
		return configure_rx(mana, len);
	case MANA_QUERY_VPORT_CONFIG:
		return query_vport(mana, len);
	case MANA_VTL2_MOVE_FILTER:
		return move_filter(mana, len);
	case MANA_EMULATED_UNCUT:
		return take_uncut(mana, len);
	}
	return GDMA_STATUS_CMD_UNSUPPORTED;
}

void mana_objects_free(struct mana *mana)
{
	for (uint32_t i = 0; i < MANA_WQS; i++) {
		mana_ring_free(&mana->wqs[i].ring);
		mana->wqs[i] = (struct mana_wq){ 0 };
	}
	for (uint32_t i = 0; i < MANA_CQS; i++)
		free_cq(mana, i);
	for (uint32_t i = 0; i < MANA_EQS; i++)
		free_eq(mana, i);
	for (uint32_t i = 0; i < MANA_REGIONS; i++)
		free_region(&mana->regions[i]);
	mana->steering.enabled = false;
	mana->steering.rss = false;
	mana->steering.entries = 0;
	mana->steering.default_wq = MANA_WQS;
	mana->uncut.versions = 0;
	mana->vport_tx = false;
}

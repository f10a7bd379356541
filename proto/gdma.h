#ifndef PROTO_GDMA_H
#define PROTO_GDMA_H

#include <stdint.h>

/*
 * GDMA: queues, doorbells and the hardware channel of a Microsoft Azure Network Adapter function.
 * There is no public specification; the facts are those of Linux's driver (include/net/mana) and of
 * microsoft/openvmm (vm/devices/net/gdma_defs). Bit fields are written as shifts.
 */

#define GDMA_PCI_VENDOR    0x1414u
#define GDMA_PCI_DEVICE_VF 0x00BAu

/* BAR 0 */
#define GDMA_REG_DB_PAGE_OFFSET 0x08u /* 8 bytes: where doorbell pages start */
#define GDMA_REG_DB_PAGE_SIZE   0x10u /* 4 bytes, of which 16 bits count */
#define GDMA_REG_SHM_OFFSET     0x18u /* 8 bytes: the shared memory channel */

/* In a doorbell page; 8 bytes each. */
#define GDMA_DOORBELL_SQ  0x000u
#define GDMA_DOORBELL_RQ  0x400u
#define GDMA_DOORBELL_CQ  0x800u
#define GDMA_DOORBELL_DIM 0x820u
#define GDMA_DOORBELL_EQ  0xFF8u

#define GDMA_DOORBELL_ID_MASK    0xFFFFFFu
#define GDMA_DOORBELL_EQ_ID_MASK 0xFFFFu
#define GDMA_DOORBELL_TAIL_SHIFT \
	32 /* work queues: bytes, all 32 bits; CQ and EQ: entries, 31 bits */
#define GDMA_DOORBELL_ARM 0x8000000000000000u

/*
 * The shared memory channel: 256 bits through which the first queues are made known. Four page
 * numbers of 48 bits (EQ, CQ, RQ, SQ), then their upper 4 bits each, the EQ's vector, and a header.
 */
#define SMC_SIZE               32u
#define SMC_PAGE_NUMBER_BYTES  6u
#define SMC_HIGH_BITS_OFFSET   24u
#define SMC_VECTOR_OFFSET      26u
#define SMC_HEADER_OFFSET      28u
#define SMC_TYPE_MASK          0x7u
#define SMC_TYPE_ESTABLISH_HWC 1u
#define SMC_TYPE_DESTROY_HWC   2u
#define SMC_VERSION_SHIFT      3
#define SMC_VERSION_MASK       0x7u
#define SMC_DIRECTION_RESPONSE 0x80u
#define SMC_STATUS_SHIFT       8
#define SMC_STATUS_MASK        0xFFu
#define SMC_RESET_VF           0x01000000u
#define SMC_OWNER_PF           0x80000000u

#define GDMA_PAGE_SIZE  4096u
#define GDMA_PAGE_SHIFT 12

enum gdma_queue_type {
	GDMA_SQ = 1,
	GDMA_RQ = 2,
	GDMA_CQ = 3,
	GDMA_EQ = 4,
};

/* Work queue entries are multiples of this; doorbells count bytes, which wrap at 2^32. */
#define GDMA_WQE_UNIT  32u
#define GDMA_SQE_MAX   512u
#define GDMA_RQE_MAX   256u
#define GDMA_OOB_SMALL 8u
#define GDMA_OOB_LARGE 24u

/* Followed by the inline OOB (8 or 24 bytes), then the SGEs. */
struct gdma_wqe {
	uint32_t last_vbytes; /* bits 31:24 */
	uint32_t flags;
};
#define GDMA_WQE_VBYTES_SHIFT    24
#define GDMA_WQE_SGE_MASK        0xFFu /* count */
#define GDMA_WQE_OOB_SHIFT       8     /* size in units of 4 bytes, 3 bits */
#define GDMA_WQE_OOB_MASK        0x7u
#define GDMA_WQE_OOB_IN_SGL      0x800u /* the first SGE is the headers of a send to be segmented */
#define GDMA_WQE_DATA_UNIT_SHIFT 16     /* MSS, 14 bits */
#define GDMA_WQE_DATA_UNIT_MASK  0x3FFFu

struct gdma_sge {
	uint64_t address;
	uint32_t mem_key;
	uint32_t size;
};
_Static_assert(sizeof(struct gdma_sge) == 16, "SGE");

/* An entry is new when its owner bits are those of the pass over the queue; passes start at 1. */
#define GDMA_OWNER_SHIFT 29
#define GDMA_OWNER_MASK  0x7u

#define GDMA_CQE_DATA 60u
struct gdma_cqe {
	uint8_t data[GDMA_CQE_DATA];
	uint32_t info;
};
_Static_assert(sizeof(struct gdma_cqe) == 64, "CQE");
#define GDMA_CQE_WQ_MASK 0xFFFFFFu
#define GDMA_CQE_IS_SQ   0x1000000u

struct gdma_eqe {
	uint32_t details[3];
	uint32_t info;
};
_Static_assert(sizeof(struct gdma_eqe) == 16, "EQE");
#define GDMA_EQE_TYPE_MASK 0xFFu
#define GDMA_EQE_CQ_MASK   0xFFFFFFu

enum gdma_eqe_type {
	GDMA_EQE_COMPLETION = 3, /* details[0]: GDMA_EQE_CQ_MASK */
	GDMA_EQE_TEST_EVENT = 64,
	GDMA_EQE_HWC_INIT_EQ_ID_DB = 129, /* EQ id in 15:0, doorbell page in 31:16 */
	GDMA_EQE_HWC_INIT_DATA = 130,     /* enum hwc_init_data in 31:24, a value in 23:0 */
	GDMA_EQE_HWC_INIT_DONE = 131,
	GDMA_EQE_HWC_FPGA_RECONFIG = 132,
	GDMA_EQE_HWC_RECONFIG_DATA = 133, /* enum hwc_reconfig in 31:24 */
	GDMA_EQE_HWC_SOC_SERVICE = 134,
	GDMA_EQE_HWC_RESET_REQUEST = 135,
};

enum hwc_init_data {
	HWC_INIT_DATA_CQID = 1,
	HWC_INIT_DATA_RQID = 2,
	HWC_INIT_DATA_SQID = 3,
	HWC_INIT_DATA_QUEUE_DEPTH = 4,
	HWC_INIT_DATA_MAX_REQUEST = 5,
	HWC_INIT_DATA_MAX_RESPONSE = 6,
	HWC_INIT_DATA_MAX_NUM_CQS = 7,
	HWC_INIT_DATA_PDID = 8,
	HWC_INIT_DATA_GPA_MKEY = 9,
};
#define HWC_INIT_TYPE_SHIFT 24
#define HWC_INIT_VALUE_MASK 0xFFFFFFu

enum hwc_reconfig {
	HWC_RECONFIG_TIMEOUT = 1,
	HWC_RECONFIG_LINK_CONNECT = 2,
	HWC_RECONFIG_LINK_DISCONNECT = 3,
};

/* The hardware channel's queues are a page each, with one message at a time of at most a page. */
#define HWC_MESSAGE_MAX 4096u
#define HWC_QUEUE_DEPTH 1u

/* Inline OOB of a message sent. */
struct hwc_tx_oob {
	uint32_t reserved_0[2];
	uint32_t vrq;
	uint32_t vrcq;
	uint32_t vscq; /* 23:0 */
	uint32_t vsq;  /* 23:0 */
};
_Static_assert(sizeof(struct hwc_tx_oob) == GDMA_OOB_LARGE, "HWC TX OOB");

/* CQE data of a message received. */
struct hwc_rx_oob {
	uint32_t type;
	uint32_t source;
	uint32_t reserved_8;
	uint32_t wqe_offset; /* bytes, in the receive queue */
	uint32_t wqe_address_high;
	uint32_t client_data_unit;
	uint32_t tx_oob_data_size; /* bytes of the message */
	uint32_t chunk_offset;
};

enum gdma_request_type {
	GDMA_VERIFY_VF_DRIVER_VERSION = 1,
	GDMA_QUERY_MAX_RESOURCES = 2,
	GDMA_LIST_DEVICES = 3,
	GDMA_REGISTER_DEVICE = 4,
	GDMA_DEREGISTER_DEVICE = 5,
	GDMA_GENERATE_TEST_EQE = 10,
	GDMA_CREATE_QUEUE = 12,
	GDMA_DISABLE_QUEUE = 13,
	GDMA_CREATE_DMA_REGION = 25,
	GDMA_DMA_REGION_ADD_PAGES = 26,
	GDMA_DESTROY_DMA_REGION = 27,
	GDMA_QUERY_HWC_TIMEOUT = 84,
};

#define GDMA_STATUS_SUCCESS         0u
#define GDMA_STATUS_MORE_ENTRIES    0x00000105u
#define GDMA_STATUS_INVALID         0x00000101u
#define GDMA_STATUS_NO_RESOURCES    0x00000102u
#define GDMA_STATUS_CMD_UNSUPPORTED 0xFFFFFFFFu

enum gdma_device_type {
	GDMA_DEVICE_HWC = 1,
	GDMA_DEVICE_MANA = 2,
};

struct gdma_msg_hdr {
	uint32_t hdr_type; /* 0 */
	uint32_t msg_type;
	uint16_t msg_version;
	uint16_t hwc_msg_id;
	uint32_t msg_size;
};

struct gdma_dev_id {
	uint16_t type;
	uint16_t instance;
};

struct gdma_req_hdr {
	struct gdma_msg_hdr req;
	struct gdma_msg_hdr resp; /* what is expected */
	struct gdma_dev_id dev_id;
	uint32_t activity_id;
};
_Static_assert(sizeof(struct gdma_req_hdr) == 40, "request header");

struct gdma_resp_hdr {
	struct gdma_msg_hdr response;
	struct gdma_dev_id dev_id;
	uint32_t activity_id;
	uint32_t status;
	uint32_t reserved_28;
};
_Static_assert(sizeof(struct gdma_resp_hdr) == 32, "response header");

#define GDMA_PROTOCOL_V1 1u

struct gdma_verify_ver_req {
	struct gdma_req_hdr hdr;
	uint64_t protocol_ver_min;
	uint64_t protocol_ver_max;
	uint64_t gd_drv_cap_flags[4];
	uint64_t drv_ver;
	uint32_t os_type; /* 0x30: other */
	uint32_t reserved_100;
	uint32_t os_ver[4];
	uint64_t reserved_120;
	uint8_t os_ver_str[4][128];
};
_Static_assert(sizeof(struct gdma_verify_ver_req) == 640, "verify version");

struct gdma_verify_ver_resp {
	struct gdma_resp_hdr hdr;
	uint64_t gdma_protocol_ver;
	uint64_t pf_cap_flags[4];
};

struct gdma_query_max_resources_resp {
	struct gdma_resp_hdr hdr;
	uint32_t status;
	uint32_t max_sq;
	uint32_t max_rq;
	uint32_t max_cq;
	uint32_t max_eq;
	uint32_t max_db;
	uint32_t max_mst;
	uint32_t max_cq_mod_ctx;
	uint32_t max_mod_cq;
	uint32_t max_msix;
};

#define GDMA_DEV_LIST_SIZE 64u
struct gdma_list_devices_resp {
	struct gdma_resp_hdr hdr;
	uint32_t num_of_devs;
	uint32_t reserved_36;
	struct gdma_dev_id devs[GDMA_DEV_LIST_SIZE];
};

struct gdma_register_device_resp {
	struct gdma_resp_hdr hdr;
	uint32_t pdid;
	uint32_t gpa_mkey;
	uint32_t db_id;
};

struct gdma_generate_test_event_req {
	struct gdma_req_hdr hdr;
	uint32_t queue_index;
};

struct gdma_create_queue_req {
	struct gdma_req_hdr hdr;
	uint32_t type;
	uint32_t reserved_44;
	uint32_t pdid;
	uint32_t doorbell_id;
	uint64_t gdma_region;
	uint32_t reserved_64;
	uint32_t queue_size;
	uint32_t log2_throttle_limit;
	uint32_t eq_pci_msix_index;
	uint32_t cq_mod_ctx_id;
	uint32_t cq_parent_eq_id;
	uint8_t rq_drop_on_overrun;
	uint8_t rq_err_on_wqe_overflow;
	uint8_t rq_chain_rec_wqes;
	uint8_t sq_hw_db;
	uint32_t reserved_92;
};
_Static_assert(sizeof(struct gdma_create_queue_req) == 96, "create queue");

struct gdma_create_queue_resp {
	struct gdma_resp_hdr hdr;
	uint32_t queue_index;
};

struct gdma_disable_queue_req {
	struct gdma_req_hdr hdr;
	uint32_t type;
	uint32_t queue_index;
	uint32_t alloc_res_id_on_creation;
};

struct gdma_create_dma_region_req {
	struct gdma_req_hdr hdr;
	uint64_t length;
	uint32_t offset_in_page;
	uint32_t gdma_page_type; /* 0: 4 KiB */
	uint32_t page_count;
	uint32_t page_addr_list_len; /* in this message */
	uint64_t page_addr_list[];
};
_Static_assert(sizeof(struct gdma_create_dma_region_req) == 64, "create DMA region");

struct gdma_create_dma_region_resp {
	struct gdma_resp_hdr hdr;
	uint64_t dma_region_handle;
};

struct gdma_dma_region_add_pages_req {
	struct gdma_req_hdr hdr;
	uint64_t dma_region_handle;
	uint32_t page_addr_list_len;
	uint32_t reserved_52;
	uint64_t page_addr_list[];
};
_Static_assert(sizeof(struct gdma_dma_region_add_pages_req) == 56, "add pages");

struct gdma_destroy_dma_region_req {
	struct gdma_req_hdr hdr;
	uint64_t dma_region_handle;
};

#endif

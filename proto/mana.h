#ifndef PROTO_MANA_H
#define PROTO_MANA_H

#include <stdint.h>

#include "proto/gdma.h"

/*
 * MANA: the Ethernet device behind GDMA. Facts from Linux's driver (include/net/mana/mana.h) and
 * microsoft/openvmm; bit fields are written as shifts.
 */

enum mana_command {
	MANA_QUERY_DEV_CONFIG = 0x20001,
	MANA_QUERY_GF_STAT = 0x20002,
	MANA_CONFIG_VPORT_TX = 0x20003,
	MANA_CREATE_WQ_OBJ = 0x20004,
	MANA_DESTROY_WQ_OBJ = 0x20005,
	MANA_FENCE_RQ = 0x20006,
	MANA_CONFIG_VPORT_RX = 0x20007,
	MANA_QUERY_VPORT_CONFIG = 0x20008,
	MANA_QUERY_LINK_CONFIG = 0x2000A,
	MANA_VTL2_MOVE_FILTER = 0x27802, /* of a function that VTL2 has */
	MANA_EMULATED_UNCUT = 0x27E01,   /* ours: hardware does not know it */
};

#define MANA_INVALID_HANDLE UINT64_MAX

struct mana_query_device_cfg_req {
	struct gdma_req_hdr hdr;
	uint64_t mn_drv_cap_flags[4];
	uint32_t proto_major_ver; /* 0 */
	uint32_t proto_minor_ver; /* 1 */
	uint32_t proto_micro_ver; /* 1 */
	uint32_t reserved_84;
};
_Static_assert(sizeof(struct mana_query_device_cfg_req) == 88, "query device config");

struct mana_query_device_cfg_resp {
	struct gdma_resp_hdr hdr;
	uint64_t pf_cap_flags[4];
	uint16_t max_num_vports;
	uint8_t bm_hostmode; /* version 3 */
	uint8_t reserved_67;
	uint32_t max_num_eqs;
	uint16_t adapter_mtu; /* version 2: with the Ethernet header */
	uint16_t reserved_74;
	uint32_t reserved_76;
};
_Static_assert(sizeof(struct mana_query_device_cfg_resp) == 80, "query device config");

struct mana_query_vport_cfg_req {
	struct gdma_req_hdr hdr;
	uint32_t vport_index;
};

struct mana_query_vport_cfg_resp {
	struct gdma_resp_hdr hdr;
	uint32_t max_num_sq;
	uint32_t max_num_rq;
	uint32_t num_indirection_ent;
	uint32_t reserved_44;
	uint8_t mac_addr[6];
	uint8_t reserved_54[2];
	uint64_t vport;
};
_Static_assert(sizeof(struct mana_query_vport_cfg_resp) == 64, "query vport config");

struct mana_config_vport_req {
	struct gdma_req_hdr hdr;
	uint64_t vport;
	uint32_t pdid;
	uint32_t doorbell_pageid;
};

struct mana_config_vport_resp {
	struct gdma_resp_hdr hdr;
	uint16_t tx_vport_offset;
	uint8_t short_form_allowed;
	uint8_t reserved_35;
};

struct mana_create_wqobj_req {
	struct gdma_req_hdr hdr;
	uint64_t vport;
	uint32_t wq_type; /* enum gdma_queue_type: SQ or RQ */
	uint32_t reserved_52;
	uint64_t wq_gdma_region;
	uint64_t cq_gdma_region;
	uint32_t wq_size;
	uint32_t cq_size;
	uint32_t cq_moderation_ctx_id;
	uint32_t cq_parent_qid;
};
_Static_assert(sizeof(struct mana_create_wqobj_req) == 88, "create WQ object");

struct mana_create_wqobj_resp {
	struct gdma_resp_hdr hdr;
	uint32_t wq_id;
	uint32_t cq_id;
	uint64_t wq_obj;
};

/* Frames for the vport's address go to the function that VTL0 has, or come back. Version 2. */
struct mana_move_filter_req {
	struct gdma_req_hdr hdr;
	uint64_t vport;
	uint8_t to_vtl0;
	uint8_t reserved_49[3];
	uint32_t reserved_52;
};
_Static_assert(sizeof(struct mana_move_filter_req) == 56, "move filter");

/*
 * TCP sends that the function has whole are to come so, those of the IP versions said here, with at most max_len bytes; until
 * the next command, or the function's reset. Each is one completion, MANA_CQE_RX_UNCUT, and fills receive buffers one after
 * another, each as far as it goes, MANA_UNCUT_BUFFERS at most.
 */
struct mana_uncut_req {
	struct gdma_req_hdr hdr;
	uint64_t vport;
	uint32_t versions;
	uint32_t max_len;
};
_Static_assert(sizeof(struct mana_uncut_req) == 56, "uncut sends");
#define MANA_UNCUT_IPV4    1u
#define MANA_UNCUT_IPV6    2u
#define MANA_UNCUT_BUFFERS 64u

struct mana_destroy_wqobj_req {
	struct gdma_req_hdr hdr;
	uint32_t wq_type;
	uint32_t reserved_44;
	uint64_t wq_obj_handle;
};

struct mana_fence_rq_req {
	struct gdma_req_hdr hdr;
	uint64_t wq_obj_handle;
};

#define MANA_HASH_KEY_SIZE       40u
#define MANA_INDIRECTION_MAX     512u
#define MANA_INDIRECTION_DEFAULT 64u

/* Hash types: of the steering request and of a received frame. */
#define MANA_HASH_IPV4     0x01u
#define MANA_HASH_TCP_IPV4 0x02u
#define MANA_HASH_UDP_IPV4 0x04u
#define MANA_HASH_IPV6     0x08u
#define MANA_HASH_TCP_IPV6 0x10u
#define MANA_HASH_UDP_IPV6 0x20u

/* The table of handles is where indir_tab_offset says, counted from the message's start. */
struct mana_cfg_rx_steer_req {
	struct gdma_req_hdr hdr;
	uint64_t vport;
	uint16_t num_indir_entries;
	uint16_t indir_tab_offset;
	uint32_t rx_enable; /* 0, 1, or all ones: as it is */
	uint32_t rss_enable;
	uint8_t update_default_rxobj;
	uint8_t update_hashkey;
	uint8_t update_indir_tab;
	uint8_t reserved_63;
	uint64_t default_rxobj;
	uint8_t hashkey[MANA_HASH_KEY_SIZE];
	uint8_t cqe_coalescing_enable; /* version 2 */
	uint8_t reserved_113[3];
	uint16_t rss_hash_types; /* version 5 */
	uint8_t cqe8_coalescing_enable;
	uint8_t reserved_119;
};
_Static_assert(sizeof(struct mana_cfg_rx_steer_req) == 120, "RX steering");
#define MANA_STEER_REQ_SIZE_V1 112u

/* Bits of the statistics that are wanted and reported, and the counters in their order. */
struct mana_query_gf_stat_req {
	struct gdma_req_hdr hdr;
	uint64_t req_stats;
};

struct mana_query_gf_stat_resp {
	struct gdma_resp_hdr hdr;
	uint64_t reported_stats;
	uint64_t rx_discards_nowqe;
	uint64_t rx_err_vport_disabled;
	uint64_t hc_rx_bytes;
	uint64_t hc_rx_ucast_pkts, hc_rx_ucast_bytes;
	uint64_t hc_rx_bcast_pkts, hc_rx_bcast_bytes;
	uint64_t hc_rx_mcast_pkts, hc_rx_mcast_bytes;
	uint64_t tx_errors[9]; /* by cause */
	uint64_t tx_err_inval_oob;
	uint64_t hc_tx_bytes;
	uint64_t hc_tx_ucast_pkts, hc_tx_ucast_bytes;
	uint64_t hc_tx_bcast_pkts, hc_tx_bcast_bytes;
	uint64_t hc_tx_mcast_pkts, hc_tx_mcast_bytes;
	uint64_t tx_err_gdma;
};
_Static_assert(sizeof(struct mana_query_gf_stat_resp) == 32 + 28 * 8, "statistics");

/* Inline OOB of a frame to send: short form 8 bytes, long form 24. */
struct mana_tx_oob {
	uint32_t flags;
	uint32_t placement;
	uint32_t vlan; /* long form from here on */
	uint32_t inner;
	uint32_t reserved_16[2];
};
_Static_assert(sizeof(struct mana_tx_oob) == GDMA_OOB_LARGE, "TX OOB");
#define MANA_TX_FORMAT_MASK       0x3u
#define MANA_TX_FORMAT_LONG       1u
#define MANA_TX_IPV4              0x04u
#define MANA_TX_IPV6              0x08u
#define MANA_TX_IP_CHECKSUM       0x10u
#define MANA_TX_TCP_CHECKSUM      0x20u
#define MANA_TX_UDP_CHECKSUM      0x40u
#define MANA_TX_SUPPRESS_CQE      0x80u
#define MANA_TX_VCQ_SHIFT         8      /* 24 bits */
#define MANA_TX_TRANSPORT_MASK    0x3FFu /* placement: offset of the TCP or UDP header */
#define MANA_TX_VSQ_FRAME_SHIFT   10     /* 14 bits: bits 23:10 of the SQ's number */
#define MANA_TX_VSQ_FRAME_MASK    0x3FFFu
#define MANA_TX_SHORT_VPORT_SHIFT 24    /* 8 bits */
#define MANA_TX_INJECT_VLAN       0x08u /* vlan */
#define MANA_TX_VLAN_TCI_SHIFT    16    /* pcp 3, dei 1, id 12: bits 18:16, 19, 31:20 */
#define MANA_TX_LONG_VPORT_SHIFT  16    /* inner: 12 bits */

enum mana_cqe_type {
	MANA_CQE_RX_OKAY = 1,
	MANA_CQE_RX_COALESCED_4 = 2,
	MANA_CQE_RX_OBJECT_FENCE = 3,
	MANA_CQE_RX_TRUNCATED = 4,
	MANA_CQE_RX_UNCUT = 31, /* ours, as the command */
	MANA_CQE_TX_OKAY = 32,
	MANA_CQE_TX_MTU_DROP = 34,
	MANA_CQE_TX_INVALID_OOB = 35,
	MANA_CQE_TX_HDR_PROCESSING_ERROR = 37,
	MANA_CQE_TX_VPORT_DISABLED = 40,
};
#define MANA_CQE_TYPE_MASK    0x3Fu
#define MANA_CQE_CLIENT_SHIFT 6
#define MANA_CQE_CLIENT_MASK  0x3u
#define MANA_CQE_COMPLETION   1u /* client type */

struct mana_rx_packet_info {
	uint32_t len; /* 15:0 */
	uint32_t reserved_4;
	uint32_t hash;
};

struct mana_rx_comp {
	uint32_t header; /* type, client */
	uint32_t flags;
	struct mana_rx_packet_info packets[4];
	uint32_t wqe_offset;
};
_Static_assert(sizeof(struct mana_rx_comp) == GDMA_CQE_DATA, "RX completion");

/* The same of a send that was not cut. */
struct mana_rx_uncut_comp {
	uint32_t header;
	uint32_t flags;
	struct mana_rx_packet_info packet;
	uint32_t frames;  /* on a wire it would be so many */
	uint32_t buffers; /* that it is in */
	uint32_t reserved_28[7];
	uint32_t wqe_offset; /* the first's */
};
_Static_assert(sizeof(struct mana_rx_uncut_comp) == GDMA_CQE_DATA, "uncut RX completion");
#define MANA_RX_VLAN_MASK       0xFFFu
#define MANA_RX_VLAN_PRESENT    0x1000u
#define MANA_RX_HASH_TYPE_SHIFT 16 /* 9 bits */
#define MANA_RX_HASH_TYPE_MASK  0x1FFu
#define MANA_RX_IP_OK           0x02000000u
#define MANA_RX_IP_BAD          0x04000000u
#define MANA_RX_TCP_OK          0x08000000u
#define MANA_RX_TCP_BAD         0x10000000u
#define MANA_RX_UDP_OK          0x20000000u
#define MANA_RX_UDP_BAD         0x40000000u

struct mana_tx_comp {
	uint32_t header;
	uint32_t data_offset;
	uint32_t offsets; /* SGL in 4:0, WQE in 31:5, units of 32 bytes */
	uint32_t reserved_12[12];
};
_Static_assert(sizeof(struct mana_tx_comp) == GDMA_CQE_DATA, "TX completion");

#endif

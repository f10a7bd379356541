#ifndef PROTO_NVSP_H
#define PROTO_NVSP_H

#include <stdint.h>

#include "proto/guid.h"

/*
 * NVSP: what a guest's netvsc and the network VSP say to each other over VMBus. Data and control of
 * the card itself are RNDIS messages (proto/rndis.h) inside. There is no public specification; the
 * facts are those of Linux's client (drivers/net/hyperv) and microsoft/openvmm (vm/devices/net).
 */

/* {f8615163-df3e-46c5-913f-f2d2f965ed0e} */
#define NVSP_INTERFACE                                                 \
	{                                                              \
		0xf8615163, 0xdf3e, 0x46c5,                            \
		{                                                      \
			0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e \
		}                                                      \
	}

enum nvsp_version {
	NVSP_PROTOCOL_VERSION_1 = 0x00002,
	NVSP_PROTOCOL_VERSION_2 = 0x30002,
	NVSP_PROTOCOL_VERSION_4 = 0x40000,
	NVSP_PROTOCOL_VERSION_5 = 0x50000,
	NVSP_PROTOCOL_VERSION_6 = 0x60000,
	NVSP_PROTOCOL_VERSION_61 = 0x60001,
};

enum nvsp_message_type {
	NVSP_MSG_TYPE_INIT = 1,
	NVSP_MSG_TYPE_INIT_COMPLETE = 2,

	NVSP_MSG1_TYPE_SEND_NDIS_VER = 100,
	NVSP_MSG1_TYPE_SEND_RECV_BUF = 101,
	NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE = 102,
	NVSP_MSG1_TYPE_REVOKE_RECV_BUF = 103,
	NVSP_MSG1_TYPE_SEND_SEND_BUF = 104,
	NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE = 105,
	NVSP_MSG1_TYPE_REVOKE_SEND_BUF = 106,
	NVSP_MSG1_TYPE_SEND_RNDIS_PKT = 107,
	NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE = 108,

	NVSP_MSG2_TYPE_SEND_NDIS_CONFIG = 125,

	NVSP_MSG4_TYPE_SEND_VF_ASSOCIATION = 128,
	NVSP_MSG4_TYPE_SWITCH_DATA_PATH = 129,

	NVSP_MSG5_TYPE_OID_QUERY_EX = 131,
	NVSP_MSG5_TYPE_OID_QUERY_EX_COMP = 132,
	NVSP_MSG5_TYPE_SUBCHANNEL = 133,
	NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE = 134,

	NVSP_MSG6_TYPE_PD_API = 135,
};

enum nvsp_status {
	NVSP_STAT_NONE = 0,
	NVSP_STAT_SUCCESS = 1,
	NVSP_STAT_FAIL = 2,
	NVSP_STAT_PROTOCOL_TOO_NEW = 3,
	NVSP_STAT_PROTOCOL_TOO_OLD = 4,
	NVSP_STAT_INVALID_RNDIS_PKT = 5,
	NVSP_STAT_BUSY = 6,
	NVSP_STAT_PROTOCOL_UNSUPPORTED = 7,
};

struct nvsp_init {
	uint32_t min_protocol_ver;
	uint32_t max_protocol_ver;
};

struct nvsp_init_complete {
	uint32_t negotiated_protocol_ver;
	uint32_t max_mdl_chain_len;
	uint32_t status;
};

struct nvsp_send_ndis_version {
	uint32_t ndis_major_ver;
	uint32_t ndis_minor_ver;
};

/* SEND_RECV_BUF and SEND_SEND_BUF */
struct nvsp_send_buffer {
	uint32_t gpadl_handle;
	uint16_t id;
	uint16_t reserved_6;
};

struct nvsp_receive_buffer_section {
	uint32_t offset;
	uint32_t sub_alloc_size;
	uint32_t num_sub_allocs;
	uint32_t end_offset;
};

struct nvsp_send_receive_buffer_complete {
	uint32_t status;
	uint32_t num_sections;
	struct nvsp_receive_buffer_section sections[1];
};

struct nvsp_send_send_buffer_complete {
	uint32_t status;
	uint32_t section_size;
};

struct nvsp_revoke_buffer {
	uint16_t id;
	uint16_t reserved_2;
};

#define NVSP_CHANNEL_DATA     0u
#define NVSP_CHANNEL_CONTROL  1u
#define NVSP_SEND_BUFFER_NONE 0xFFFFFFFFu

struct nvsp_send_rndis_packet {
	uint32_t channel_type;
	uint32_t send_buf_section_index; /* NVSP_SEND_BUFFER_NONE: all in the packet's page list */
	uint32_t send_buf_section_size;  /* bytes used of it; the page list's follow */
};

struct nvsp_send_rndis_packet_complete {
	uint32_t status;
};

/* Capabilities in SEND_NDIS_CONFIG */
#define NVSP_CAPABILITY_IEEE8021Q 0x08u
#define NVSP_CAPABILITY_SRIOV     0x04u
#define NVSP_CAPABILITY_TEAMING   0x20u
#define NVSP_CAPABILITY_RSC       0x80u

struct nvsp_send_ndis_config {
	uint32_t mtu; /* with the Ethernet header */
	uint32_t reserved_4;
	uint32_t capability_low; /* a 64-bit field that is not aligned */
	uint32_t capability_high;
};

struct nvsp_send_vf_association {
	uint32_t allocated;
	uint32_t serial; /* of the VF: its slot in the VPCI bus */
};

#define NVSP_DATAPATH_SYNTHETIC 0u
#define NVSP_DATAPATH_VF        1u

struct nvsp_switch_data_path {
	uint32_t active_datapath;
};

#define NVSP_SUBCHANNEL_ALLOCATE 1u

struct nvsp_subchannel_request {
	uint32_t op;
	uint32_t num_subchannels;
};

struct nvsp_subchannel_complete {
	uint32_t status;
	uint32_t num_subchannels;
};

struct nvsp_send_indirection_table {
	uint32_t count;
	uint32_t offset; /* from the message's start */
};

#define NVSP_SEND_TABLE_ENTRIES 16u

struct nvsp_message {
	uint32_t msg_type;
	union {
		struct nvsp_init init;
		struct nvsp_init_complete init_complete;
		struct nvsp_send_ndis_version send_ndis_ver;
		struct nvsp_send_buffer send_buffer;
		struct nvsp_send_receive_buffer_complete send_recv_buf_complete;
		struct nvsp_send_send_buffer_complete send_send_buf_complete;
		struct nvsp_revoke_buffer revoke_buffer;
		struct nvsp_send_rndis_packet send_rndis_pkt;
		struct nvsp_send_rndis_packet_complete send_rndis_pkt_complete;
		struct nvsp_send_ndis_config send_ndis_config;
		struct nvsp_send_vf_association vf_association;
		struct nvsp_switch_data_path switch_data_path;
		struct nvsp_subchannel_request subchannel;
		struct nvsp_subchannel_complete subchannel_complete;
		struct nvsp_send_indirection_table send_table;
		uint8_t bytes[36];
	};
};
_Static_assert(sizeof(struct nvsp_message) == 40, "NVSP message");

/* Messages are padded to the size of the largest of the negotiated version. */
#define NVSP_MESSAGE_SIZE_BEFORE_61 28u
#define NVSP_MESSAGE_SIZE           40u

#endif

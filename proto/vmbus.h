#ifndef PROTO_VMBUS_H
#define PROTO_VMBUS_H

#include <stdint.h>

#include "proto/guid.h"

/*
 * VMBus: the messages between a guest and the server of its devices, and the rings of a channel.
 *
 * Messages travel as SynIC messages (TLFS 11.4), so each is at most 240 bytes with its header.
 * There is no public specification. The layouts are those that Linux's client uses
 * (include/linux/hyperv.h, drivers/hv) and that microsoft/openvmm publishes (vmbus_core,
 * vmbus_ring); the names are Linux's where it has one.
 */

/* HV_MESSAGE type of every VMBus message, both ways. */
#define VMBUS_HV_MESSAGE_TYPE 1u
#define VMBUS_MESSAGE_MAX     240u

/* SINT for messages and events unless the guest asks for another (5.0 and later). */
#define VMBUS_MESSAGE_SINT 2u

/*
 * Connections that a guest posts messages to: 1 below version 5.0, 4 for the InitiateContact of 5.0
 * and later, the redirected one first when a VTL2 client looks for a second server.
 */
#define VMBUS_MESSAGE_CONNECTION_ID          1u
#define VMBUS_MESSAGE_CONNECTION_ID_4        4u
#define VMBUS_MESSAGE_CONNECTION_ID_REDIRECT 0x800074u

/* Connection that a guest signals for channels without a dedicated interrupt. */
#define VMBUS_EVENT_CONNECTION_ID 2u

#define VMBUS_VERSION(major, minor) (((uint32_t)(major) << 16) | (minor))
#define VMBUS_VERSION_4_0           VMBUS_VERSION(4, 0)
#define VMBUS_VERSION_4_1           VMBUS_VERSION(4, 1)
#define VMBUS_VERSION_5_0           VMBUS_VERSION(5, 0)
#define VMBUS_VERSION_5_1           VMBUS_VERSION(5, 1)
#define VMBUS_VERSION_5_2           VMBUS_VERSION(5, 2)
#define VMBUS_VERSION_5_3           VMBUS_VERSION(5, 3)
#define VMBUS_VERSION_6_0           VMBUS_VERSION(6, 0)

/* Negotiated with version 6.0 and later. */
enum vmbus_feature {
	VMBUS_FEATURE_GUEST_SPECIFIED_SIGNAL = 0x01,
	VMBUS_FEATURE_INTERRUPT_REDIRECTION = 0x02,
	VMBUS_FEATURE_MODIFY_CONNECTION = 0x04,
	VMBUS_FEATURE_CLIENT_ID = 0x08,
	VMBUS_FEATURE_CONFIDENTIAL_CHANNELS = 0x10,
	VMBUS_FEATURE_PAUSE_RESUME = 0x20,
};

enum vmbus_channel_message_type {
	CHANNELMSG_INVALID = 0,
	CHANNELMSG_OFFERCHANNEL = 1,
	CHANNELMSG_RESCIND_CHANNELOFFER = 2,
	CHANNELMSG_REQUESTOFFERS = 3,
	CHANNELMSG_ALLOFFERS_DELIVERED = 4,
	CHANNELMSG_OPENCHANNEL = 5,
	CHANNELMSG_OPENCHANNEL_RESULT = 6,
	CHANNELMSG_CLOSECHANNEL = 7,
	CHANNELMSG_GPADL_HEADER = 8,
	CHANNELMSG_GPADL_BODY = 9,
	CHANNELMSG_GPADL_CREATED = 10,
	CHANNELMSG_GPADL_TEARDOWN = 11,
	CHANNELMSG_GPADL_TORNDOWN = 12,
	CHANNELMSG_RELID_RELEASED = 13,
	CHANNELMSG_INITIATE_CONTACT = 14,
	CHANNELMSG_VERSION_RESPONSE = 15,
	CHANNELMSG_UNLOAD = 16,
	CHANNELMSG_UNLOAD_RESPONSE = 17,
	CHANNELMSG_TL_CONNECT_REQUEST = 21,
	CHANNELMSG_MODIFYCHANNEL = 22,
	CHANNELMSG_TL_CONNECT_RESULT = 23,
	CHANNELMSG_MODIFYCHANNEL_RESPONSE = 24,
	CHANNELMSG_MODIFYCONNECTION = 25,
	CHANNELMSG_MODIFYCONNECTION_RESPONSE = 26,
};

struct vmbus_channel_message_header {
	uint32_t msgtype;
	uint32_t padding;
};
_Static_assert(sizeof(struct vmbus_channel_message_header) == 8, "message header");

/* NTSTATUS values in results: 0 or negative. */
#define VMBUS_STATUS_SUCCESS      0u
#define VMBUS_STATUS_UNSUCCESSFUL 0xC0000001u

struct vmbus_channel_initiate_contact {
	struct vmbus_channel_message_header header;
	uint32_t vmbus_version_requested;
	uint32_t target_vcpu; /* VP that answers and offers go to */
	union {
		uint64_t interrupt_page; /* below 5.0 */
		struct {
			uint8_t msg_sint;
			uint8_t msg_vtl; /* 5.1 */
			uint8_t reserved[2];
			uint32_t feature_flags; /* 6.0: enum vmbus_feature */
		};
	};
	uint64_t monitor_page1; /* parent to child; both or neither */
	uint64_t monitor_page2; /* child to parent */
				/* With VMBUS_FEATURE_CLIENT_ID, a struct guid follows. */
};
_Static_assert(sizeof(struct vmbus_channel_initiate_contact) == 40, "initiate contact");

enum vmbus_connection_state {
	VMBUS_CONNECTION_SUCCESSFUL = 0,
	VMBUS_CONNECTION_FAILED_LOW_RESOURCES = 1,
	VMBUS_CONNECTION_FAILED_UNKNOWN = 2,
};

struct vmbus_channel_version_response {
	struct vmbus_channel_message_header header;
	uint8_t version_supported;
	uint8_t connection_state; /* enum vmbus_connection_state */
	uint16_t padding;
	uint32_t msg_conn_id;        /* 5.0: connection for further messages; below: the version */
	uint32_t supported_features; /* sent with 6.0 only */
};
_Static_assert(sizeof(struct vmbus_channel_version_response) == 20, "version response");
#define VMBUS_VERSION_RESPONSE_SIZE_BEFORE_6_0 16u

#define VMBUS_USER_DEFINED_BYTES 120u

enum vmbus_offer_flag {
	VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE = 0x0001,
	VMBUS_OFFER_CONFIDENTIAL_RING_BUFFER = 0x0002,
	VMBUS_OFFER_CONFIDENTIAL_EXTERNAL_MEMORY = 0x0004,
	VMBUS_OFFER_NAMED_PIPE_MODE = 0x0010,
	VMBUS_OFFER_TLNPI_PROVIDER = 0x2000,
};

/* First field of the user-defined bytes of an offer in pipe mode. */
#define VMBUS_PIPE_TYPE_BYTE    0u
#define VMBUS_PIPE_TYPE_MESSAGE 4u

#define VMBUS_MONITOR_ID_INVALID 0xFFu

struct vmbus_channel_offer_channel {
	struct vmbus_channel_message_header header;
	struct guid if_type;
	struct guid if_instance;
	uint32_t reserved_40[4];
	uint16_t chn_flags; /* enum vmbus_offer_flag */
	uint16_t mmio_megabytes;
	uint8_t user_defined[VMBUS_USER_DEFINED_BYTES];
	uint16_t sub_channel_index; /* 0: the primary channel */
	uint16_t mmio_megabytes_optional;
	uint32_t child_relid; /* channel id; also the event flag's number */
	uint8_t monitorid;
	uint8_t monitor_allocated;
	uint16_t is_dedicated_interrupt;
	uint32_t connection_id; /* what the guest signals */
};
_Static_assert(sizeof(struct vmbus_channel_offer_channel) == 196, "offer");

/* Rescind, close, relid released: a header and a channel id. */
struct vmbus_channel_id_message {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
};
_Static_assert(sizeof(struct vmbus_channel_id_message) == 12, "channel id message");

/* A target VP that asks for no interrupts at all. */
#define VMBUS_VP_NO_INTERRUPT 0xFFFFFFFFu

struct vmbus_channel_open_channel {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t openid;
	uint32_t ringbuffer_gpadlhandle;
	uint32_t target_vp;
	uint32_t downstream_ringbuffer_pageoffset; /* pages of the upstream ring */
	uint8_t userdata[VMBUS_USER_DEFINED_BYTES];
};
_Static_assert(sizeof(struct vmbus_channel_open_channel) == 148, "open");

struct vmbus_channel_open_result {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t openid;
	uint32_t status;
};
_Static_assert(sizeof(struct vmbus_channel_open_result) == 20, "open result");

/* A buffer of guest pages, contiguous to its user: followed by one page number a page. */
struct gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset; /* into the first page */
};
_Static_assert(sizeof(struct gpa_range) == 8, "GPA range");

/* Followed by range_buflen bytes of ranges; what does not fit comes in GPADL_BODY messages. */
struct vmbus_channel_gpadl_header {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t gpadl;
	uint16_t range_buflen;
	uint16_t rangecount;
};
_Static_assert(sizeof(struct vmbus_channel_gpadl_header) == 20, "GPADL header");

struct vmbus_channel_gpadl_body {
	struct vmbus_channel_message_header header;
	uint32_t msgnumber; /* not reliable: Linux and Windows differ */
	uint32_t gpadl;
};
_Static_assert(sizeof(struct vmbus_channel_gpadl_body) == 16, "GPADL body");

struct vmbus_channel_gpadl_created {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t gpadl;
	uint32_t creation_status;
};
_Static_assert(sizeof(struct vmbus_channel_gpadl_created) == 20, "GPADL created");

struct vmbus_channel_gpadl_teardown {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t gpadl;
};
_Static_assert(sizeof(struct vmbus_channel_gpadl_teardown) == 16, "GPADL teardown");

struct vmbus_channel_gpadl_torndown {
	struct vmbus_channel_message_header header;
	uint32_t gpadl;
};
_Static_assert(sizeof(struct vmbus_channel_gpadl_torndown) == 12, "GPADL torn down");

struct vmbus_channel_modifychannel {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t target_vp;
};
_Static_assert(sizeof(struct vmbus_channel_modifychannel) == 16, "modify channel");

struct vmbus_channel_modifychannel_response {
	struct vmbus_channel_message_header header;
	uint32_t child_relid;
	uint32_t status;
};
_Static_assert(sizeof(struct vmbus_channel_modifychannel_response) == 16, "modify response");

struct vmbus_channel_modifyconnection {
	struct vmbus_channel_message_header header;
	uint64_t monitor_page1;
	uint64_t monitor_page2;
};
_Static_assert(sizeof(struct vmbus_channel_modifyconnection) == 24, "modify connection");

struct vmbus_channel_modifyconnection_response {
	struct vmbus_channel_message_header header;
	uint8_t connection_state;
	uint8_t padding[3];
};
_Static_assert(sizeof(struct vmbus_channel_modifyconnection_response) == 12, "modify connection");

/*
 * Hyper-V socket connect request. We offer no sockets, so only the answer's layout matters: both
 * GUIDs back and a status.
 */
struct vmbus_channel_tl_connect_request {
	struct vmbus_channel_message_header header;
	struct guid guest_endpoint_id;
	struct guid host_service_id;
};
_Static_assert(sizeof(struct vmbus_channel_tl_connect_request) == 40, "TL connect");

struct vmbus_channel_tl_connect_result {
	struct vmbus_channel_message_header header;
	struct guid guest_endpoint_id;
	struct guid host_service_id;
	uint32_t status;
};
_Static_assert(sizeof(struct vmbus_channel_tl_connect_result) == 44, "TL connect result");
#define VMBUS_STATUS_CONNECTION_REFUSED 0xC0000236u

/*
 * A ring: one control page, then data pages. Offsets are in bytes from the first data byte and
 * multiples of 8; write_index equal to read_index means empty, so 8 bytes always stay free.
 */
#define VMBUS_PAGE_SIZE  4096u
#define VMBUS_PAGE_SHIFT 12

struct hv_ring_buffer {
	uint32_t write_index;     /* the writer's */
	uint32_t read_index;      /* the reader's */
	uint32_t interrupt_mask;  /* the reader's: non-zero, do not signal on empty to non-empty */
	uint32_t pending_send_sz; /* the writer's: signal when this many bytes are free */
	uint32_t reserved_16[12];
	uint32_t feature_bits; /* the writer's */
	uint8_t reserved_68[4028];
};
_Static_assert(sizeof(struct hv_ring_buffer) == VMBUS_PAGE_SIZE, "ring control page");

#define VMBUS_RING_FEATURE_PENDING_SEND_SIZE 1u

enum vmbus_packet_type {
	VM_PKT_DATA_INBAND = 6,
	VM_PKT_DATA_USING_XFER_PAGES = 7,
	VM_PKT_DATA_USING_GPA_DIRECT = 9,
	VM_PKT_CANCEL_REQUEST = 10,
	VM_PKT_COMP = 11,
};

#define VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED 1u

/* Lengths are in units of 8 bytes. offset8 is where the payload starts, len8 where it ends. */
struct vmpacket_descriptor {
	uint16_t type;
	uint16_t offset8;
	uint16_t len8;
	uint16_t flags;
	uint64_t trans_id;
};
_Static_assert(sizeof(struct vmpacket_descriptor) == 16, "packet descriptor");

/* After every packet: where it started, for the reader's debugging. */
struct vmpacket_trailer {
	uint32_t reserved;
	uint32_t offset;
};
_Static_assert(sizeof(struct vmpacket_trailer) == 8, "packet trailer");

/* After the descriptor of a GPA-direct packet: then range_cnt gpa_ranges with their pages. */
struct vmdata_gpa_direct_header {
	uint32_t reserved; /* may hold anything */
	uint32_t range_cnt;
};
_Static_assert(sizeof(struct vmdata_gpa_direct_header) == 8, "GPA direct");

/* After the descriptor of a transfer-page packet: then range_cnt ranges. */
struct vmtransfer_page_packet_header {
	uint16_t xfer_pageset_id;
	uint8_t sender_owns_set;
	uint8_t reserved;
	uint32_t range_cnt;
};
_Static_assert(sizeof(struct vmtransfer_page_packet_header) == 8, "transfer pages");

struct vmtransfer_page_range {
	uint32_t byte_count;
	uint32_t byte_offset;
};
_Static_assert(sizeof(struct vmtransfer_page_range) == 8, "transfer page range");

#endif

#ifndef PROTO_RNDIS_H
#define PROTO_RNDIS_H

#include <stdint.h>

/*
 * Remote NDIS ([MS-RNDIS]) as netvsc speaks it, and the NDIS structures that travel in it. Offsets
 * count from the byte after the message header, names are Linux's (include/linux/rndis.h,
 * drivers/net/hyperv/hyperv_net.h).
 */

enum rndis_message_type {
	RNDIS_MSG_PACKET = 0x00000001,
	RNDIS_MSG_INIT = 0x00000002,
	RNDIS_MSG_HALT = 0x00000003,
	RNDIS_MSG_QUERY = 0x00000004,
	RNDIS_MSG_SET = 0x00000005,
	RNDIS_MSG_RESET = 0x00000006,
	RNDIS_MSG_INDICATE = 0x00000007,
	RNDIS_MSG_KEEPALIVE = 0x00000008,
};

#define RNDIS_MSG_COMPLETION 0x80000000u

#define RNDIS_STATUS_SUCCESS           0x00000000u
#define RNDIS_STATUS_MEDIA_CONNECT     0x4001000Bu
#define RNDIS_STATUS_MEDIA_DISCONNECT  0x4001000Cu
#define RNDIS_STATUS_LINK_SPEED_CHANGE 0x40010013u
#define RNDIS_STATUS_FAILURE           0xC0000001u
#define RNDIS_STATUS_NOT_SUPPORTED     0xC00000BBu
#define RNDIS_STATUS_BAD_VERSION       0xC0010004u
#define RNDIS_STATUS_MULTICAST_FULL    0xC0010009u
#define RNDIS_STATUS_INVALID_LENGTH    0xC0010014u
#define RNDIS_STATUS_INVALID_DATA      0xC0010015u

#define RNDIS_MAJOR_VERSION 1u
#define RNDIS_MINOR_VERSION 0u

#define RNDIS_DF_CONNECTIONLESS        1u
#define RNDIS_MEDIUM_802_3             0u
#define RNDIS_MEDIA_STATE_CONNECTED    0u
#define RNDIS_MEDIA_STATE_DISCONNECTED 1u

struct rndis_header {
	uint32_t ndis_msg_type;
	uint32_t msg_len; /* with this header */
};
_Static_assert(sizeof(struct rndis_header) == 8, "RNDIS header");

struct rndis_initialize_request {
	uint32_t req_id;
	uint32_t major_ver;
	uint32_t minor_ver;
	uint32_t max_xfer_size;
};

struct rndis_initialize_complete {
	uint32_t req_id;
	uint32_t status;
	uint32_t major_ver;
	uint32_t minor_ver;
	uint32_t dev_flags;
	uint32_t medium;
	uint32_t max_pkt_per_msg;
	uint32_t max_xfer_size;
	uint32_t pkt_alignment_factor; /* a power of two's exponent */
	uint32_t af_list_offset;
	uint32_t af_list_size;
};
_Static_assert(sizeof(struct rndis_initialize_complete) == 44, "RNDIS initialize complete");

/* QUERY and SET */
struct rndis_request {
	uint32_t req_id;
	uint32_t oid;
	uint32_t info_buflen;
	uint32_t info_buf_offset;
	uint32_t dev_vc_handle;
};
_Static_assert(sizeof(struct rndis_request) == 20, "RNDIS request");

struct rndis_query_complete {
	uint32_t req_id;
	uint32_t status;
	uint32_t info_buflen;
	uint32_t info_buf_offset;
};

/* SET and KEEPALIVE */
struct rndis_set_complete {
	uint32_t req_id;
	uint32_t status;
};

struct rndis_reset_complete {
	uint32_t status;
	uint32_t addressing_reset;
};

struct rndis_indicate_status {
	uint32_t status;
	uint32_t status_buflen;
	uint32_t status_buf_offset;
};

struct rndis_packet {
	uint32_t data_offset;
	uint32_t data_len;
	uint32_t oob_data_offset;
	uint32_t oob_data_len;
	uint32_t num_oob_data_elements;
	uint32_t per_pkt_info_offset;
	uint32_t per_pkt_info_len;
	uint32_t vc_handle;
	uint32_t reserved;
};
_Static_assert(sizeof(struct rndis_packet) == 36, "RNDIS packet");

struct rndis_per_packet_info {
	uint32_t size;       /* with this header */
	uint32_t type;       /* the highest bit: internal, a number space of its own */
	uint32_t ppi_offset; /* of the value, from this header */
};
_Static_assert(sizeof(struct rndis_per_packet_info) == 12, "per-packet info");

enum rndis_ppi_type {
	TCPIP_CHKSUM_PKTINFO = 0,
	TCP_LARGESEND_PKTINFO = 2,
	IEEE_8021Q_INFO = 6,
	NBL_HASH_VALUE = 8,
};
#define RNDIS_PPI_INTERNAL 0x80000000u

/* Internal: whether the message holds a part of a frame. All parts are in one VMBus packet, in order. */
#define RNDIS_PKTINFO_ID         (RNDIS_PPI_INTERNAL | 1u)
#define RNDIS_PKTINFO_ID_V1      1u
#define RNDIS_PKTINFO_SUBALLOC   0x1u
#define RNDIS_PKTINFO_FIRST_FRAG 0x2u
#define RNDIS_PKTINFO_LAST_FRAG  0x4u

struct rndis_packet_id {
	uint8_t version;
	uint8_t flags;
	uint16_t id;
};

/* TCPIP_CHKSUM_PKTINFO of a frame to send */
#define NDIS_TX_CHECKSUM_IS_IPV4      0x01u
#define NDIS_TX_CHECKSUM_IS_IPV6      0x02u
#define NDIS_TX_CHECKSUM_TCP          0x04u
#define NDIS_TX_CHECKSUM_UDP          0x08u
#define NDIS_TX_CHECKSUM_IP_HEADER    0x10u
#define NDIS_TX_CHECKSUM_OFFSET_SHIFT 16
#define NDIS_TX_CHECKSUM_OFFSET_MASK  0x3FFu

/* ... of a received one */
#define NDIS_RX_CHECKSUM_TCP_FAILED    0x01u
#define NDIS_RX_CHECKSUM_UDP_FAILED    0x02u
#define NDIS_RX_CHECKSUM_IP_FAILED     0x04u
#define NDIS_RX_CHECKSUM_TCP_SUCCEEDED 0x08u
#define NDIS_RX_CHECKSUM_UDP_SUCCEEDED 0x10u
#define NDIS_RX_CHECKSUM_IP_SUCCEEDED  0x20u

/* TCP_LARGESEND_PKTINFO, version 2 */
#define NDIS_LSO_MSS_MASK     0xFFFFFu
#define NDIS_LSO_OFFSET_SHIFT 20
#define NDIS_LSO_OFFSET_MASK  0x3FFu
#define NDIS_LSO_V2           0x40000000u
#define NDIS_LSO_IPV6         0x80000000u

/* IEEE_8021Q_INFO */
#define NDIS_VLAN_PRIORITY_MASK 0x7u
#define NDIS_VLAN_CFI           0x8u
#define NDIS_VLAN_ID_SHIFT      4
#define NDIS_VLAN_ID_MASK       0xFFFu

#define NDIS_PACKET_TYPE_DIRECTED      0x01u
#define NDIS_PACKET_TYPE_MULTICAST     0x02u
#define NDIS_PACKET_TYPE_ALL_MULTICAST 0x04u
#define NDIS_PACKET_TYPE_BROADCAST     0x08u
#define NDIS_PACKET_TYPE_PROMISCUOUS   0x20u

enum rndis_oid {
	OID_GEN_SUPPORTED_LIST = 0x00010101,
	OID_GEN_HARDWARE_STATUS = 0x00010102,
	OID_GEN_MEDIA_SUPPORTED = 0x00010103,
	OID_GEN_MEDIA_IN_USE = 0x00010104,
	OID_GEN_MAXIMUM_LOOKAHEAD = 0x00010105,
	OID_GEN_MAXIMUM_FRAME_SIZE = 0x00010106,
	OID_GEN_LINK_SPEED = 0x00010107,
	OID_GEN_TRANSMIT_BUFFER_SPACE = 0x00010108,
	OID_GEN_RECEIVE_BUFFER_SPACE = 0x00010109,
	OID_GEN_TRANSMIT_BLOCK_SIZE = 0x0001010A,
	OID_GEN_RECEIVE_BLOCK_SIZE = 0x0001010B,
	OID_GEN_VENDOR_ID = 0x0001010C,
	OID_GEN_VENDOR_DESCRIPTION = 0x0001010D,
	OID_GEN_CURRENT_PACKET_FILTER = 0x0001010E,
	OID_GEN_CURRENT_LOOKAHEAD = 0x0001010F,
	OID_GEN_DRIVER_VERSION = 0x00010110,
	OID_GEN_MAXIMUM_TOTAL_SIZE = 0x00010111,
	OID_GEN_MAC_OPTIONS = 0x00010113,
	OID_GEN_MEDIA_CONNECT_STATUS = 0x00010114,
	OID_GEN_MAXIMUM_SEND_PACKETS = 0x00010115,
	OID_GEN_VENDOR_DRIVER_VERSION = 0x00010116,
	OID_GEN_NETWORK_LAYER_ADDRESSES = 0x00010118,
	OID_GEN_PHYSICAL_MEDIUM = 0x00010202,
	OID_GEN_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
	OID_GEN_RECEIVE_SCALE_PARAMETERS = 0x00010204,
	OID_GEN_RNDIS_CONFIG_PARAMETER = 0x0001021B,
	OID_GEN_XMIT_OK = 0x00020101,
	OID_GEN_RCV_OK = 0x00020102,
	OID_GEN_XMIT_ERROR = 0x00020103,
	OID_GEN_RCV_ERROR = 0x00020104,
	OID_GEN_RCV_NO_BUFFER = 0x00020105,
	OID_GEN_STATISTICS = 0x00020106,
	OID_GEN_DIRECTED_BYTES_XMIT = 0x00020201,
	OID_GEN_DIRECTED_FRAMES_XMIT = 0x00020202,
	OID_GEN_MULTICAST_BYTES_XMIT = 0x00020203,
	OID_GEN_MULTICAST_FRAMES_XMIT = 0x00020204,
	OID_GEN_BROADCAST_BYTES_XMIT = 0x00020205,
	OID_GEN_BROADCAST_FRAMES_XMIT = 0x00020206,
	OID_GEN_DIRECTED_BYTES_RCV = 0x00020207,
	OID_GEN_DIRECTED_FRAMES_RCV = 0x00020208,
	OID_GEN_MULTICAST_BYTES_RCV = 0x00020209,
	OID_GEN_MULTICAST_FRAMES_RCV = 0x0002020A,
	OID_GEN_BROADCAST_BYTES_RCV = 0x0002020B,
	OID_GEN_BROADCAST_FRAMES_RCV = 0x0002020C,
	OID_GEN_FRIENDLY_NAME = 0x00020216,
	OID_GEN_BYTES_RCV = 0x00020219,
	OID_GEN_BYTES_XMIT = 0x0002021A,
	OID_TCP_RSC_STATISTICS = 0x0002021D,
	OID_802_3_PERMANENT_ADDRESS = 0x01010101,
	OID_802_3_CURRENT_ADDRESS = 0x01010102,
	OID_802_3_MULTICAST_LIST = 0x01010103,
	OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
	OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
	OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
	OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
};
/* Too large for an enum's int. */
#define OID_TCP_OFFLOAD_CURRENT_CONFIG        0xFC01020Bu
#define OID_TCP_OFFLOAD_PARAMETERS            0xFC01020Cu
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES 0xFC01020Du

struct ndis_object_header {
	uint8_t type;
	uint8_t revision;
	uint16_t size;
};

#define NDIS_OBJECT_TYPE_DEFAULT          0x80u
#define NDIS_OBJECT_TYPE_RSS_CAPABILITIES 0x88u
#define NDIS_OBJECT_TYPE_RSS_PARAMETERS   0x89u
#define NDIS_OBJECT_TYPE_OFFLOAD          0xA7u

/* NDIS_STATISTICS_INFO: which of the counters are filled in */
#define NDIS_STATISTICS_FRAMES_RCV   0x000007u /* directed, multicast, broadcast: a bit each */
#define NDIS_STATISTICS_BYTES_RCV    0x000008u
#define NDIS_STATISTICS_RCV_DISCARDS 0x000010u
#define NDIS_STATISTICS_RCV_ERROR    0x000020u
#define NDIS_STATISTICS_FRAMES_XMIT  0x0001C0u /* likewise, and below */
#define NDIS_STATISTICS_BYTES_XMIT   0x000200u
#define NDIS_STATISTICS_XMIT_ERROR   0x000400u
#define NDIS_STATISTICS_OCTETS_RCV   0x070000u
#define NDIS_STATISTICS_OCTETS_XMIT  0x380000u

struct ndis_statistics_info {
	struct ndis_object_header header;
	uint32_t supported;
	uint64_t in_discards, in_errors;
	uint64_t in_octets, in_unicast, in_multicast, in_broadcast;
	uint64_t out_octets, out_unicast, out_multicast, out_broadcast;
	uint64_t out_errors, out_discards;
	uint64_t in_unicast_octets, in_multicast_octets, in_broadcast_octets;
	uint64_t out_unicast_octets, out_multicast_octets, out_broadcast_octets;
};
_Static_assert(sizeof(struct ndis_statistics_info) == 152, "NDIS_STATISTICS_INFO");

struct ndis_rsc_statistics_info {
	struct ndis_object_header header;
	uint32_t reserved_4;
	uint64_t coalesced_packets; /* that became part of another, or its beginning */
	uint64_t coalesced_octets;  /* of their TCP payload */
	uint64_t coalesce_events;   /* packets that were made of them */
	uint64_t aborts;            /* ended by anything but their length */
};
_Static_assert(sizeof(struct ndis_rsc_statistics_info) == 40, "NDIS_RSC_STATISTICS_INFO");

#define NDIS_OFFLOAD_ENCAP_8023 0x2u

/* Checksum capabilities; the IPv6 set has the TCP and UDP bits in the same places */
#define NDIS_CHECKSUM_IP_OPTIONS  0x001u /* IPv6: extension headers */
#define NDIS_CHECKSUM_TCP_OPTIONS 0x004u
#define NDIS_CHECKSUM_TCP         0x010u
#define NDIS_CHECKSUM_UDP         0x040u
#define NDIS_CHECKSUM_IP          0x100u /* IPv4 only */

struct ndis_checksum_offload {
	uint32_t ip4_tx_encap, ip4_tx;
	uint32_t ip4_rx_encap, ip4_rx;
	uint32_t ip6_tx_encap, ip6_tx;
	uint32_t ip6_rx_encap, ip6_rx;
};

#define NDIS_LSOV2_IP6_EXTENSIONS 0x1u
#define NDIS_LSOV2_TCP6_OPTIONS   0x4u

struct ndis_lsov2_offload {
	uint32_t ip4_encap, ip4_max_size, ip4_min_segments;
	uint32_t ip6_encap, ip6_max_size, ip6_min_segments, ip6_options;
};

struct ndis_offload {
	struct ndis_object_header header;
	struct ndis_checksum_offload checksum;
	uint32_t lsov1[4];
	uint32_t ipsecv1[7];
	struct ndis_lsov2_offload lsov2;
	uint32_t flags;
	uint8_t ipsecv2[32]; /* NDIS 6.1 */
	uint8_t rsc_ip4;     /* NDIS 6.30 */
	uint8_t rsc_ip6;
	uint8_t reserved_146[2];
	uint32_t encapsulated_flags, encapsulated_max_header;
};
_Static_assert(sizeof(struct ndis_offload) == 156, "NDIS offload");
#define NDIS_OFFLOAD_SIZE_6_0 112u
#define NDIS_OFFLOAD_SIZE_6_1 144u

#define NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED         1u
#define NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED 2u
#define NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED 3u
#define NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED          4u
#define NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED           1u
#define NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED            2u

struct ndis_offload_parameters {
	struct ndis_object_header header;
	uint8_t ip_v4_checksum;
	uint8_t tcp_ip_v4_checksum;
	uint8_t udp_ip_v4_checksum;
	uint8_t tcp_ip_v6_checksum;
	uint8_t udp_ip_v6_checksum;
	uint8_t lso_v1;
	uint8_t ip_sec_v1;
	uint8_t lso_v2_ipv4;
	uint8_t lso_v2_ipv6;
	uint8_t tcp_connection_ip_v4;
	uint8_t tcp_connection_ip_v6;
	uint8_t reserved_15;
	uint32_t flags;
	uint8_t ip_sec_v2; /* NDIS 6.1 */
	uint8_t ip_sec_v2_ipv4;
	uint8_t rsc_ipv4; /* NDIS 6.30 */
	uint8_t rsc_ipv6;
};
_Static_assert(sizeof(struct ndis_offload_parameters) == 24, "NDIS offload parameters");

#define NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR 0x02000000u
#define NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4    0x00000100u
#define NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6    0x00000200u
#define NDIS_RSS_CAPS_TOEPLITZ              0x00000001u

/* Packed in Linux: 18 bytes */
struct ndis_receive_scale_capabilities {
	struct ndis_object_header header;
	uint32_t flags;
	uint32_t interrupt_messages;
	uint32_t receive_queues;
	uint16_t table_entries;
	uint16_t reserved_18;
};
#define NDIS_RECEIVE_SCALE_CAPABILITIES_SIZE 18u

#define NDIS_RSS_FLAG_HASH_INFO_UNCHANGED 0x02u
#define NDIS_RSS_FLAG_TABLE_UNCHANGED     0x04u
#define NDIS_RSS_FLAG_KEY_UNCHANGED       0x08u
#define NDIS_RSS_FLAG_DISABLE             0x10u

#define NDIS_HASH_FUNCTION_MASK     0xFFu
#define NDIS_HASH_FUNCTION_TOEPLITZ 0x01u
#define NDIS_HASH_IPV4              0x00000100u
#define NDIS_HASH_TCP_IPV4          0x00000200u
#define NDIS_HASH_IPV6              0x00000400u
#define NDIS_HASH_TCP_IPV6          0x00001000u

/* Offsets count from the structure's start */
struct ndis_receive_scale_parameters {
	struct ndis_object_header header;
	uint16_t flags;
	uint16_t base_cpu_number;
	uint32_t hash_information;
	uint16_t table_size; /* bytes: entries of 4 */
	uint16_t reserved_14;
	uint32_t table_offset;
	uint16_t key_size;
	uint16_t reserved_22;
	uint32_t key_offset;
	uint32_t processor_masks_offset;
	uint32_t num_processor_masks;
	uint32_t processor_masks_entry_size;
};
_Static_assert(sizeof(struct ndis_receive_scale_parameters) == 40, "NDIS RSS parameters");

#endif

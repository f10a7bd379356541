/* OIDs: what the guest may ask of the card and set. */

#include <string.h>

#include "core/bytes.h"
#include "devices/net/netvsp_internal.h"
#include "proto/rndis.h"

static const uint32_t supported[] = {
	OID_GEN_SUPPORTED_LIST,
	OID_GEN_HARDWARE_STATUS,
	OID_GEN_MEDIA_SUPPORTED,
	OID_GEN_MEDIA_IN_USE,
	OID_GEN_MAXIMUM_LOOKAHEAD,
	OID_GEN_MAXIMUM_FRAME_SIZE,
	OID_GEN_LINK_SPEED,
	OID_GEN_TRANSMIT_BUFFER_SPACE,
	OID_GEN_RECEIVE_BUFFER_SPACE,
	OID_GEN_TRANSMIT_BLOCK_SIZE,
	OID_GEN_RECEIVE_BLOCK_SIZE,
	OID_GEN_VENDOR_ID,
	OID_GEN_VENDOR_DESCRIPTION,
	OID_GEN_CURRENT_PACKET_FILTER,
	OID_GEN_CURRENT_LOOKAHEAD,
	OID_GEN_DRIVER_VERSION,
	OID_GEN_MAXIMUM_TOTAL_SIZE,
	OID_GEN_MAC_OPTIONS,
	OID_GEN_MEDIA_CONNECT_STATUS,
	OID_GEN_MAXIMUM_SEND_PACKETS,
	OID_GEN_VENDOR_DRIVER_VERSION,
	OID_GEN_PHYSICAL_MEDIUM,
	OID_GEN_RECEIVE_SCALE_CAPABILITIES,
	OID_GEN_RECEIVE_SCALE_PARAMETERS,
	OID_GEN_XMIT_OK,
	OID_GEN_RCV_OK,
	OID_GEN_XMIT_ERROR,
	OID_GEN_RCV_ERROR,
	OID_GEN_RCV_NO_BUFFER,
	OID_GEN_STATISTICS,
	OID_GEN_DIRECTED_BYTES_XMIT,
	OID_GEN_DIRECTED_FRAMES_XMIT,
	OID_GEN_MULTICAST_BYTES_XMIT,
	OID_GEN_MULTICAST_FRAMES_XMIT,
	OID_GEN_BROADCAST_BYTES_XMIT,
	OID_GEN_BROADCAST_FRAMES_XMIT,
	OID_GEN_DIRECTED_BYTES_RCV,
	OID_GEN_DIRECTED_FRAMES_RCV,
	OID_GEN_MULTICAST_BYTES_RCV,
	OID_GEN_MULTICAST_FRAMES_RCV,
	OID_GEN_BROADCAST_BYTES_RCV,
	OID_GEN_BROADCAST_FRAMES_RCV,
	OID_GEN_FRIENDLY_NAME,
	OID_GEN_BYTES_RCV,
	OID_GEN_BYTES_XMIT,
	OID_TCP_RSC_STATISTICS,
	OID_802_3_PERMANENT_ADDRESS,
	OID_802_3_CURRENT_ADDRESS,
	OID_802_3_MULTICAST_LIST,
	OID_802_3_MAXIMUM_LIST_SIZE,
	OID_802_3_RCV_ERROR_ALIGNMENT,
	OID_802_3_XMIT_ONE_COLLISION,
	OID_802_3_XMIT_MORE_COLLISIONS,
	OID_TCP_OFFLOAD_CURRENT_CONFIG,
	OID_TCP_OFFLOAD_PARAMETERS,
	OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
};
_Static_assert(sizeof(supported) <= NETVSP_INFO_MAX, "the list fits an answer");

struct answer {
	uint8_t *info;
	size_t len;
};

static uint32_t put(struct answer *answer, const void *bytes, size_t len)
{
	memcpy(answer->info, bytes, len);
	answer->len = len;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t put32(struct answer *answer, uint32_t value)
{
	return put(answer, &value, sizeof(value));
}

static uint32_t put64(struct answer *answer, uint64_t value)
{
	return put(answer, &value, sizeof(value));
}

/* --- Statistics */

/* Asks the device. Unicast is told from the rest there: here that would be a look at each frame. */
static void ask_nic(const struct netvsp *netvsp, struct nic_stats *stats)
{
	netvsp->config.nic->ops->get_stats(netvsp->config.nic, stats);
}

static uint32_t put_statistics(struct answer *answer, const struct netvsp_counters *counters,
			       const struct nic_stats *nic)
{
	const struct nic_cast_stats *rx = nic->rx_cast, *tx = nic->tx_cast;
	const struct ndis_statistics_info info = {
		.header = { NDIS_OBJECT_TYPE_DEFAULT, 1, sizeof(info) },
		.supported = NDIS_STATISTICS_FRAMES_RCV | NDIS_STATISTICS_BYTES_RCV |
			     NDIS_STATISTICS_RCV_DISCARDS | NDIS_STATISTICS_RCV_ERROR |
			     NDIS_STATISTICS_FRAMES_XMIT | NDIS_STATISTICS_BYTES_XMIT |
			     NDIS_STATISTICS_XMIT_ERROR | NDIS_STATISTICS_OCTETS_RCV |
			     NDIS_STATISTICS_OCTETS_XMIT,
		.in_discards = nic->rx_no_buffer,
		.in_errors = counters->rx_errors,
		.in_octets = counters->rx_bytes,
		.in_unicast = rx[NIC_UNICAST].frames,
		.in_multicast = rx[NIC_MULTICAST].frames,
		.in_broadcast = rx[NIC_BROADCAST].frames,
		.in_unicast_octets = rx[NIC_UNICAST].bytes,
		.in_multicast_octets = rx[NIC_MULTICAST].bytes,
		.in_broadcast_octets = rx[NIC_BROADCAST].bytes,
		.out_octets = counters->tx_bytes,
		.out_unicast = tx[NIC_UNICAST].frames,
		.out_multicast = tx[NIC_MULTICAST].frames,
		.out_broadcast = tx[NIC_BROADCAST].frames,
		.out_unicast_octets = tx[NIC_UNICAST].bytes,
		.out_multicast_octets = tx[NIC_MULTICAST].bytes,
		.out_broadcast_octets = tx[NIC_BROADCAST].bytes,
		.out_errors = counters->tx_errors,
	};

	return put(answer, &info, sizeof(info));
}

static uint32_t put_rsc_statistics(struct answer *answer, const struct netvsp_counters *counters)
{
	const struct ndis_rsc_statistics_info info = {
		.header = { NDIS_OBJECT_TYPE_DEFAULT, 1, sizeof(info) },
		.coalesced_packets = counters->rsc_frames,
		.coalesced_octets = counters->rsc_payload,
		.coalesce_events = counters->rsc_units,
		.aborts = counters->rsc_aborts,
	};

	return put(answer, &info, sizeof(info));
}

/* The twelve OIDs in a row: bytes and frames by address, sent, then received. */
static uint32_t query_cast(struct netvsp *netvsp, uint32_t oid, struct answer *answer)
{
	struct nic_stats nic;
	uint32_t index = oid - OID_GEN_DIRECTED_BYTES_XMIT;
	const struct nic_cast_stats *cast;

	ask_nic(netvsp, &nic);
	cast = index < 2 * NIC_CASTS ? &nic.tx_cast[index / 2]
				     : &nic.rx_cast[index / 2 - NIC_CASTS];
	return put64(answer, index % 2 ? cast->frames : cast->bytes);
}

static uint32_t query_statistic(struct netvsp *netvsp, uint32_t oid, struct answer *answer)
{
	struct netvsp_counters counters;
	struct nic_stats nic;

	netvsp_counters(netvsp, &counters);
	switch (oid) {
	case OID_GEN_XMIT_OK:
		return put64(answer, counters.tx_frames);
	case OID_GEN_RCV_OK:
		return put64(answer, counters.rx_frames);
	case OID_GEN_XMIT_ERROR:
		return put64(answer, counters.tx_errors);
	case OID_GEN_RCV_ERROR:
		return put64(answer, counters.rx_errors);
	case OID_GEN_BYTES_XMIT:
		return put64(answer, counters.tx_bytes);
	case OID_GEN_BYTES_RCV:
		return put64(answer, counters.rx_bytes);
	case OID_GEN_RCV_NO_BUFFER:
		ask_nic(netvsp, &nic);
		return put64(answer, nic.rx_no_buffer);
	case OID_GEN_STATISTICS:
		ask_nic(netvsp, &nic);
		return put_statistics(answer, &counters, &nic);
	case OID_TCP_RSC_STATISTICS:
		return put_rsc_statistics(answer, &counters);
	}
	if (oid >= OID_GEN_DIRECTED_BYTES_XMIT && oid <= OID_GEN_BROADCAST_FRAMES_RCV)
		return query_cast(netvsp, oid, answer);
	return RNDIS_STATUS_NOT_SUPPORTED;
}

/* --- Offloads */

static uint32_t tx_checksums(uint32_t nic, bool ipv4)
{
	uint32_t flags = 0;

	if (nic & NIC_TX_TCP_CHECKSUM)
		flags |= NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_IP_OPTIONS;
	if (nic & NIC_TX_UDP_CHECKSUM)
		flags |= NDIS_CHECKSUM_UDP;
	if (ipv4 && (nic & NIC_TX_IP_CHECKSUM))
		flags |= NDIS_CHECKSUM_IP;
	return flags;
}

static void fill_checksums(const struct nic_info *info, struct ndis_checksum_offload *checksum)
{
	const uint32_t rx = NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_UDP |
			    NDIS_CHECKSUM_IP_OPTIONS;

	checksum->ip4_tx = tx_checksums(info->tx_offloads, true);
	checksum->ip6_tx = tx_checksums(info->tx_offloads, false);
	checksum->ip4_tx_encap = checksum->ip4_tx ? NDIS_OFFLOAD_ENCAP_8023 : 0;
	checksum->ip6_tx_encap = checksum->ip6_tx ? NDIS_OFFLOAD_ENCAP_8023 : 0;
	if (!info->rx_checksums)
		return;
	checksum->ip4_rx = rx | NDIS_CHECKSUM_IP;
	checksum->ip6_rx = rx;
	checksum->ip4_rx_encap = NDIS_OFFLOAD_ENCAP_8023;
	checksum->ip6_rx_encap = NDIS_OFFLOAD_ENCAP_8023;
}

static void fill_lso(const struct nic_info *info, struct ndis_lsov2_offload *lso)
{
	if (!(info->tx_offloads & NIC_TX_LSO))
		return;
	*lso = (struct ndis_lsov2_offload){
		.ip4_encap = NDIS_OFFLOAD_ENCAP_8023,
		.ip4_max_size = info->max_lso,
		.ip4_min_segments = 2,
		.ip6_encap = NDIS_OFFLOAD_ENCAP_8023,
		.ip6_max_size = info->max_lso,
		.ip6_min_segments = 2,
		.ip6_options = NDIS_LSOV2_IP6_EXTENSIONS | NDIS_LSOV2_TCP6_OPTIONS,
	};
}

/* What there is, and what of it the guest has enabled: for all but coalescing that is the same. */
static void fill_rsc(const struct netvsp *netvsp, uint32_t oid, struct ndis_offload *offload)
{
	uint8_t versions = oid == OID_TCP_OFFLOAD_CURRENT_CONFIG ? netvsp->rsc
			   : netvsp_rsc_offered(netvsp)          ? NETVSP_RSC_IPV4 | NETVSP_RSC_IPV6
								 : 0;

	offload->rsc_ip4 = !!(versions & NETVSP_RSC_IPV4);
	offload->rsc_ip6 = !!(versions & NETVSP_RSC_IPV6);
}

/* The guest's header says which revision of the structure it knows. */
static uint32_t query_offload(const struct netvsp *netvsp, uint32_t oid, const uint8_t *in,
			      size_t in_len, struct answer *answer)
{
	struct ndis_offload offload = { 0 };
	struct ndis_object_header wanted = { .revision = 1, .size = NDIS_OFFLOAD_SIZE_6_0 };
	size_t size;

	if (in_len >= sizeof(wanted))
		memcpy(&wanted, in, sizeof(wanted));
	size = wanted.size >= sizeof(offload)         ? sizeof(offload)
	       : wanted.size >= NDIS_OFFLOAD_SIZE_6_1 ? NDIS_OFFLOAD_SIZE_6_1
						      : NDIS_OFFLOAD_SIZE_6_0;
	offload.header.type = NDIS_OBJECT_TYPE_OFFLOAD;
	offload.header.revision = size == sizeof(offload)         ? 3
				  : size == NDIS_OFFLOAD_SIZE_6_1 ? 2
								  : 1;
	offload.header.size = (uint16_t)size;
	fill_checksums(&netvsp->info, &offload.checksum);
	fill_lso(&netvsp->info, &offload.lsov2);
	fill_rsc(netvsp, oid, &offload);
	return put(answer, &offload, size);
}

static uint8_t set_rsc(uint8_t versions, uint8_t version, uint8_t setting)
{
	if (setting == NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED)
		return versions | version;
	if (setting == NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED)
		return versions & (uint8_t)~version;
	return versions;
}

/* What goes out is marked frame by frame, so only the receiving half needs keeping. */
static uint32_t set_offload(struct netvsp *netvsp, const uint8_t *in, size_t in_len)
{
	struct ndis_offload_parameters parameters = { 0 };
	const uint8_t *settings[] = {
		&parameters.tcp_ip_v4_checksum,
		&parameters.udp_ip_v4_checksum,
		&parameters.tcp_ip_v6_checksum,
		&parameters.udp_ip_v6_checksum,
	};
	bool changed = false, wanted = false;
	uint8_t versions;

	if (in_len < sizeof(struct ndis_object_header) + 11)
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&parameters, in, in_len < sizeof(parameters) ? in_len : sizeof(parameters));
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		changed |= *settings[i] != 0;
		wanted |= *settings[i] >= NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED;
	}
	if (changed)
		__atomic_store_n(&netvsp->rx_checksums, wanted && netvsp->info.rx_checksums,
				 __ATOMIC_RELAXED);
	versions = set_rsc(netvsp->rsc, NETVSP_RSC_IPV4, parameters.rsc_ipv4);
	versions = set_rsc(versions, NETVSP_RSC_IPV6, parameters.rsc_ipv6);
	netvsp_rsc_set(netvsp, netvsp_rsc_offered(netvsp) ? versions : 0);
	return RNDIS_STATUS_SUCCESS;
}

/* --- Receive-side scaling */

static uint32_t query_rss(const struct netvsp *netvsp, struct answer *answer)
{
	struct ndis_receive_scale_capabilities capabilities = {
		.header = { NDIS_OBJECT_TYPE_RSS_CAPABILITIES, 2,
			    NDIS_RECEIVE_SCALE_CAPABILITIES_SIZE },
		.flags = NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR | NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4 |
			 NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6 | NDIS_RSS_CAPS_TOEPLITZ,
		.interrupt_messages = netvsp_queues(netvsp),
		.receive_queues = netvsp_queues(netvsp),
		.table_entries = netvsp->info.rss_entries,
	};

	if (!netvsp->info.rss_entries)
		return RNDIS_STATUS_NOT_SUPPORTED;
	return put(answer, &capabilities, NDIS_RECEIVE_SCALE_CAPABILITIES_SIZE);
}

static uint8_t hash_types(uint32_t information)
{
	static const struct {
		uint32_t ndis;
		uint8_t nic;
	} types[] = {
		{ NDIS_HASH_IPV4, NIC_HASH_IPV4 },
		{ NDIS_HASH_TCP_IPV4, NIC_HASH_TCP_IPV4 },
		{ NDIS_HASH_IPV6, NIC_HASH_IPV6 },
		{ NDIS_HASH_TCP_IPV6, NIC_HASH_TCP_IPV6 },
	};
	uint8_t flags = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (information & types[i].ndis)
			flags |= types[i].nic;
	return flags;
}

static uint32_t set_table(const struct netvsp *netvsp, struct nic_receive *receive,
			  const struct ndis_receive_scale_parameters *parameters, const uint8_t *in,
			  size_t in_len)
{
	uint32_t count = parameters->table_size / 4;

	if (!count || count > netvsp->info.rss_entries || netvsp->info.rss_entries % count ||
	    !range_within(parameters->table_offset, count * 4, in_len))
		return RNDIS_STATUS_INVALID_DATA;
	receive->entries = netvsp->info.rss_entries;
	for (uint32_t i = 0; i < receive->entries; i++) {
		uint32_t queue = load_le32(in + parameters->table_offset + i % count * 4);

		if (queue >= netvsp_queues(netvsp))
			return RNDIS_STATUS_INVALID_DATA;
		receive->table[i] = (uint8_t)queue;
	}
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_rss(struct netvsp *netvsp, const uint8_t *in, size_t in_len)
{
	struct ndis_receive_scale_parameters parameters;
	struct nic_receive receive = netvsp->receive, old = netvsp->receive;
	uint32_t status;

	if (in_len < sizeof(parameters) || !netvsp->info.rss_entries)
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&parameters, in, sizeof(parameters));
	if (parameters.header.type != NDIS_OBJECT_TYPE_RSS_PARAMETERS)
		return RNDIS_STATUS_INVALID_DATA;
	receive.rss = !(parameters.flags & NDIS_RSS_FLAG_DISABLE) && parameters.hash_information;
	if (receive.rss && !(parameters.flags & NDIS_RSS_FLAG_HASH_INFO_UNCHANGED)) {
		if ((parameters.hash_information & NDIS_HASH_FUNCTION_MASK) !=
		    NDIS_HASH_FUNCTION_TOEPLITZ)
			return RNDIS_STATUS_INVALID_DATA;
		receive.hash_types = hash_types(parameters.hash_information);
	}
	if (receive.rss && !(parameters.flags & NDIS_RSS_FLAG_TABLE_UNCHANGED)) {
		status = set_table(netvsp, &receive, &parameters, in, in_len);
		if (status)
			return status;
	}
	if (receive.rss && !(parameters.flags & NDIS_RSS_FLAG_KEY_UNCHANGED)) {
		if (parameters.key_size != NIC_RSS_KEY_SIZE ||
		    !range_within(parameters.key_offset, NIC_RSS_KEY_SIZE, in_len))
			return RNDIS_STATUS_INVALID_DATA;
		memcpy(receive.key, in + parameters.key_offset, NIC_RSS_KEY_SIZE);
	}
	netvsp->receive = receive;
	if (!netvsp_apply_receive(netvsp))
		return RNDIS_STATUS_SUCCESS;
	netvsp->receive = old;
	return RNDIS_STATUS_FAILURE;
}

/* --- Filters */

static uint32_t set_filter(struct netvsp *netvsp, const uint8_t *in, size_t in_len)
{
	uint32_t filter;

	if (in_len < sizeof(filter))
		return RNDIS_STATUS_INVALID_LENGTH;
	filter = load_le32(in);
	netvsp->receive.enabled = filter != 0;
	__atomic_store_n(&netvsp->filter, filter, __ATOMIC_RELAXED);
	return netvsp_apply_receive(netvsp) ? RNDIS_STATUS_FAILURE : RNDIS_STATUS_SUCCESS;
}

static uint32_t set_multicast(struct netvsp *netvsp, const uint8_t *in, size_t in_len)
{
	if (in_len % NIC_MAC_SIZE)
		return RNDIS_STATUS_INVALID_LENGTH;
	if (in_len > sizeof(netvsp->multicast))
		return RNDIS_STATUS_MULTICAST_FULL;
	pthread_mutex_lock(&netvsp->lock);
	memcpy(netvsp->multicast, in, in_len);
	netvsp->multicast_count = (uint32_t)(in_len / NIC_MAC_SIZE);
	pthread_mutex_unlock(&netvsp->lock);
	return RNDIS_STATUS_SUCCESS;
}

/* --- The rest */

static uint32_t query_multicast(const struct netvsp *netvsp, struct answer *answer)
{
	return put(answer, netvsp->multicast, netvsp->multicast_count * NIC_MAC_SIZE);
}

static uint32_t link_state(const struct netvsp *netvsp)
{
	return __atomic_load_n(&netvsp->link_up, __ATOMIC_ACQUIRE) ? RNDIS_MEDIA_STATE_CONNECTED
								   : RNDIS_MEDIA_STATE_DISCONNECTED;
}

static uint32_t link_speed(const struct netvsp *netvsp)
{
	uint64_t speed = netvsp->info.bits_per_second / 100; /* its unit */

	return speed > UINT32_MAX ? UINT32_MAX : (uint32_t)speed;
}

static uint32_t query_name(struct answer *answer)
{
	static const char name[] = "Network Adapter"; /* UTF-16; Linux knows it for the default */

	for (size_t i = 0; i < sizeof(name); i++)
		store_le16(answer->info + 2 * i, (uint8_t)name[i]);
	answer->len = 2 * sizeof(name);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t query(struct netvsp *netvsp, uint32_t oid, const uint8_t *in, size_t in_len,
		      struct answer *answer)
{
	static const char vendor[] = "Entresol network";

	switch (oid) {
	case OID_GEN_SUPPORTED_LIST:
		return put(answer, supported, sizeof(supported));
	case OID_GEN_HARDWARE_STATUS: /* ready */
	case OID_GEN_MEDIA_SUPPORTED:
	case OID_GEN_MEDIA_IN_USE:
	case OID_GEN_PHYSICAL_MEDIUM: /* unspecified */
	case OID_802_3_RCV_ERROR_ALIGNMENT:
	case OID_802_3_XMIT_ONE_COLLISION:
	case OID_802_3_XMIT_MORE_COLLISIONS:
		return put32(answer, 0);
	case OID_GEN_MAXIMUM_LOOKAHEAD:
	case OID_GEN_CURRENT_LOOKAHEAD:
	case OID_GEN_MAXIMUM_FRAME_SIZE:
		return put32(answer, netvsp->mtu);
	case OID_GEN_TRANSMIT_BLOCK_SIZE:
	case OID_GEN_RECEIVE_BLOCK_SIZE:
	case OID_GEN_MAXIMUM_TOTAL_SIZE:
		return put32(answer, netvsp->mtu + ETHERNET_HEADER);
	case OID_GEN_LINK_SPEED:
		return put32(answer, link_speed(netvsp));
	case OID_GEN_TRANSMIT_BUFFER_SPACE:
	case OID_GEN_RECEIVE_BUFFER_SPACE:
		return put32(answer, (netvsp->mtu + ETHERNET_HEADER) * NETVSP_TX_FRAMES);
	case OID_GEN_VENDOR_ID:
		return put32(answer, 0xFFFFFF); /* none assigned */
	case OID_GEN_VENDOR_DESCRIPTION:
		return put(answer, vendor, sizeof(vendor));
	case OID_GEN_CURRENT_PACKET_FILTER:
		return put32(answer, netvsp->filter);
	case OID_GEN_DRIVER_VERSION:
		return put(answer, &(uint16_t){ 0x061E }, 2);
	case OID_GEN_VENDOR_DRIVER_VERSION:
		return put32(answer, 1);
	case OID_GEN_MAC_OPTIONS:
		return put32(answer, 0x08 | 0x40); /* no loopback; priority and VLAN */
	case OID_GEN_MEDIA_CONNECT_STATUS:
		return put32(answer, link_state(netvsp));
	case OID_GEN_MAXIMUM_SEND_PACKETS:
		return put32(answer, NETVSP_MESSAGES_MAX);
	case OID_GEN_FRIENDLY_NAME:
		return query_name(answer);
	case OID_802_3_PERMANENT_ADDRESS:
	case OID_802_3_CURRENT_ADDRESS:
		return put(answer, netvsp->info.mac, NIC_MAC_SIZE);
	case OID_802_3_MULTICAST_LIST:
		return query_multicast(netvsp, answer);
	case OID_802_3_MAXIMUM_LIST_SIZE:
		return put32(answer, NETVSP_MULTICAST_LIST);
	case OID_GEN_RECEIVE_SCALE_CAPABILITIES:
		return query_rss(netvsp, answer);
	case OID_TCP_OFFLOAD_CURRENT_CONFIG:
	case OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES:
		return query_offload(netvsp, oid, in, in_len, answer);
	}
	return query_statistic(netvsp, oid, answer);
}

uint32_t netvsp_oid_query(struct netvsp *netvsp, uint32_t oid, const void *in, size_t in_len,
			  void *info, size_t *len)
{
	struct answer answer = { .info = info };
	uint32_t status = query(netvsp, oid, in, in_len, &answer);

	*len = answer.len;
	return status;
}

uint32_t netvsp_oid_set(struct netvsp *netvsp, uint32_t oid, const void *in, size_t in_len)
{
	switch (oid) {
	case OID_GEN_CURRENT_PACKET_FILTER:
		return set_filter(netvsp, in, in_len);
	case OID_802_3_MULTICAST_LIST:
		return set_multicast(netvsp, in, in_len);
	case OID_GEN_RECEIVE_SCALE_PARAMETERS:
		return set_rss(netvsp, in, in_len);
	case OID_TCP_OFFLOAD_PARAMETERS:
		return set_offload(netvsp, in, in_len);
	case OID_GEN_CURRENT_LOOKAHEAD: /* hints */
	case OID_GEN_NETWORK_LAYER_ADDRESSES:
		return RNDIS_STATUS_SUCCESS;
	}
	return RNDIS_STATUS_NOT_SUPPORTED;
}

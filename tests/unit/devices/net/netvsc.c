#include "tests/unit/devices/net/netvsc.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "core/bytes.h"
#include "proto/rndis.h"

#define WAIT_SECONDS 30

/* --- What comes */

static void give_back(struct netvsc *netvsc, unsigned int channel, uint64_t trans_id)
{
	const uint32_t message[10] = { NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, NVSP_STAT_SUCCESS };

	client_send(&netvsc->channels[channel], VM_PKT_COMP, 0, trans_id, NULL, 0, message, 8);
}

void netvsc_give_back(struct netvsc *netvsc)
{
	for (unsigned int i = 0; i < netvsc->kept_count; i++)
		give_back(netvsc, netvsc->kept_channel[i], netvsc->kept[i]);
	netvsc->kept_count = 0;
}

/* Value of the RNDIS_PKTINFO_ID in *id, if there is one. */
static void take_infos(const uint8_t *message, struct netvsc_rx *rx, uint32_t *id)
{
	uint32_t at = 8 + load_le32(message + 28), end = at + load_le32(message + 32);

	while (at < end) {
		uint32_t size = load_le32(message + at), type = load_le32(message + at + 4);
		uint32_t value = load_le32(message + at + load_le32(message + at + 8));

		if (type == TCPIP_CHKSUM_PKTINFO) {
			rx->has_checksum = true;
			rx->checksum = value;
		} else if (type == IEEE_8021Q_INFO) {
			rx->has_vlan = true;
			rx->vlan = value;
		} else if (type == NBL_HASH_VALUE) {
			rx->has_hash = true;
			rx->hash = value;
		} else if (type == RNDIS_PKTINFO_ID) {
			*id = value;
		}
		at += size;
	}
}

static bool same_infos(const struct netvsc_rx *a, const struct netvsc_rx *b)
{
	return a->has_checksum == b->has_checksum && a->checksum == b->checksum &&
	       a->has_hash == b->has_hash && a->hash == b->hash && a->has_vlan == b->has_vlan &&
	       a->vlan == b->vlan;
}

/* The first part says what the frame is, and the others the same; the last, and the packet's last, end it. False: that cannot be. */
static bool take_part(struct netvsc *netvsc, unsigned int channel, const struct netvsc_rx *part,
		      uint32_t flags, bool packet_ends)
{
	struct netvsc_unit *unit = &netvsc->units[channel];

	if (flags & RNDIS_PKTINFO_FIRST_FRAG) {
		unit->rx = *part;
		unit->rx.bytes = unit->bytes;
		unit->rx.len = 0;
		unit->rx.parts = 0;
	} else if (!unit->rx.parts || !same_infos(&unit->rx, part)) {
		return false;
	}
	if (part->len > sizeof(unit->bytes) - unit->rx.len)
		return false;
	memcpy(unit->bytes + unit->rx.len, part->bytes, part->len);
	unit->rx.len += part->len;
	unit->rx.parts++;
	if (!(flags & RNDIS_PKTINFO_LAST_FRAG))
		return !packet_ends;
	if (netvsc->received)
		netvsc->received(netvsc->ctx, channel, &unit->rx);
	unit->rx.parts = 0;
	return true;
}

static void take_frame(struct netvsc *netvsc, unsigned int channel, const uint8_t *message,
		       bool packet_ends)
{
	struct netvsc_rx rx = { .bytes = message + 8 + load_le32(message + 8),
				.len = load_le32(message + 12),
				.parts = 1 };
	uint32_t id = 0;

	if (load_le32(message + 32))
		take_infos(message, &rx, &id);
	if (id >> 8 & RNDIS_PKTINFO_SUBALLOC) {
		if (take_part(netvsc, channel, &rx, id >> 8, packet_ends))
			return;
		netvsc->bad_parts++;
	} else if (netvsc->units[channel].rx.parts) {
		netvsc->bad_parts++; /* a frame among the parts of another */
	} else if (netvsc->received) {
		netvsc->received(netvsc->ctx, channel, &rx);
	}
	netvsc->units[channel].rx.parts = 0;
}

static void take_message(struct netvsc *netvsc, unsigned int channel, const uint8_t *message,
			 uint32_t len, bool packet_ends)
{
	uint32_t type = load_le32(message);

	if (type == RNDIS_MSG_PACKET) {
		take_frame(netvsc, channel, message, packet_ends);
	} else if (type == RNDIS_MSG_INDICATE) {
		netvsc->indicated = load_le32(message + 8);
		netvsc->indications++;
	} else if (len <= sizeof(netvsc->response)) {
		memcpy(netvsc->response, message, len);
		netvsc->response_len = len;
		netvsc->responded = true;
	}
}

static void take_pages(struct netvsc *netvsc, unsigned int channel, const uint8_t *packet)
{
	uint32_t count = load_le32(packet + 20);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = load_le32(packet + 24 + 8 * i);
		uint32_t offset = load_le32(packet + 28 + 8 * i);

		if (range_within(offset, len, NETVSC_RECEIVE_BYTES))
			take_message(netvsc, channel,
				     netvsc->client->ram + NETVSC_RECEIVE_BUFFER + offset, len,
				     i + 1 == count);
	}
	netvsc->packets[channel]++;
	if (netvsc->keep && netvsc->kept_count < 64) {
		netvsc->kept_channel[netvsc->kept_count] = channel;
		netvsc->kept[netvsc->kept_count++] = load_le64(packet + 8);
	} else {
		give_back(netvsc, channel, load_le64(packet + 8));
	}
}

static void take_completion(struct netvsc *netvsc, unsigned int channel, const uint8_t *packet,
			    size_t payload)
{
	if (payload >= 8 && load_le32(packet + 16) == NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE) {
		netvsc->completed[channel]++;
		netvsc->last_completed[channel] = load_le64(packet + 8);
		if (load_le32(packet + 20) != NVSP_STAT_SUCCESS)
			netvsc->failed[channel]++;
		return;
	}
	memcpy(&netvsc->reply, packet + 16,
	       payload < sizeof(netvsc->reply) ? payload : sizeof(netvsc->reply));
	netvsc->reply_len = payload;
	netvsc->replied = true;
}

static void take_inband(struct netvsc *netvsc, const uint8_t *packet, size_t payload)
{
	memcpy(&netvsc->inband, packet + 16,
	       payload < sizeof(netvsc->inband) ? payload : sizeof(netvsc->inband));
	if (netvsc->inband.msg_type == NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE &&
	    range_within(netvsc->inband.send_table.offset, sizeof(netvsc->inband_table), payload))
		memcpy(netvsc->inband_table, packet + 16 + netvsc->inband.send_table.offset,
		       sizeof(netvsc->inband_table));
	netvsc->inbands++;
}

int netvsc_poll(struct netvsc *netvsc, unsigned int channel)
{
	_Alignas(8) uint8_t packet[4096];
	int packets = 0, len;

	while ((len = client_receive(&netvsc->channels[channel], packet, sizeof(packet))) > 0) {
		size_t start = load_le16(packet + 2) * 8u;

		packets++;
		if (load_le16(packet) == VM_PKT_DATA_USING_XFER_PAGES)
			take_pages(netvsc, channel, packet);
		else if (load_le16(packet) == VM_PKT_COMP)
			take_completion(netvsc, channel, packet, (size_t)len - start);
		else
			take_inband(netvsc, packet, (size_t)len - start);
	}
	return packets;
}

/* Lets the card work until *flag, which what comes on the primary sets. */
static int await(struct netvsc *netvsc, const bool *flag)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t seen = client_events(netvsc->client, netvsc->channels[0].relid);

		netvsc_poll(netvsc, 0);
		if (*flag)
			return 0;
		if (!netvsc->threads) {
			client_run(netvsc->client);
			if (!netvsc_poll(netvsc, 0) && !*flag)
				return -1;
		} else if (!client_wait_event(netvsc->client, netvsc->channels[0].relid, seen,
					      WAIT_SECONDS)) {
			return -1;
		}
	}
	return -1;
}

/* --- NVSP */

int netvsc_call(struct netvsc *netvsc, const struct nvsp_message *message)
{
	netvsc->replied = false;
	memset(&netvsc->reply, 0, sizeof(netvsc->reply));
	if (client_send(&netvsc->channels[0], VM_PKT_DATA_INBAND, 1, 0x1234, NULL, 0, message,
			sizeof(*message)))
		return -1;
	return await(netvsc, &netvsc->replied);
}

static int take_offer(struct netvsc *netvsc)
{
	const struct vmbus_channel_offer_channel *offer;

	if (netvsc->threads && !client_wait_message(netvsc->client, WAIT_SECONDS))
		return -1;
	offer = client_take(netvsc->client, CHANNELMSG_OFFERCHANNEL);
	if (!offer || offer->sub_channel_index >= NETVSC_CHANNELS)
		return -1;
	netvsc->relids[offer->sub_channel_index] = offer->child_relid;
	netvsc->connections[offer->sub_channel_index] = offer->connection_id;
	return 0;
}

static int open_channel(struct netvsc *netvsc, unsigned int index)
{
	uint64_t gpa = 0x100000 + index * 2u * netvsc->ring_pages * 4096;
	const struct vmbus_channel_open_result *result;

	client_open_start(netvsc->client, &netvsc->channels[index], netvsc->relids[index],
			  netvsc->connections[index], index, gpa, netvsc->ring_pages);
	if (!netvsc->threads)
		client_run(netvsc->client);
	else if (!client_wait_message(netvsc->client, WAIT_SECONDS))
		return -1;
	result = client_take(netvsc->client, CHANNELMSG_OPENCHANNEL_RESULT);
	return result && !result->status ? 0 : -1;
}

int netvsc_open(struct netvsc *netvsc)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	if (!netvsc->ring_pages)
		netvsc->ring_pages = 8;
	if (!netvsc->relids[0]) {
		if (!client_connect(netvsc->client, VMBUS_VERSION_5_3))
			return -1;
		client_post(netvsc->client, &request, sizeof(request));
		if (take_offer(netvsc))
			return -1;
		client_take(netvsc->client, CHANNELMSG_ALLOFFERS_DELIVERED);
	}
	return open_channel(netvsc, 0);
}

static int negotiate(struct netvsc *netvsc, uint32_t version)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG_TYPE_INIT,
					.init = { version, version } };

	if (netvsc_call(netvsc, &message) || netvsc->reply.msg_type != NVSP_MSG_TYPE_INIT_COMPLETE)
		return -1;
	return netvsc->reply.init_complete.status == NVSP_STAT_SUCCESS ? 0 : -1;
}

static uint32_t share_buffer(struct netvsc *netvsc, uint64_t gpa, uint32_t bytes)
{
	uint32_t gpadl = netvsc->client->next_gpadl++;

	return client_gpadl(netvsc->client, netvsc->relids[0], gpadl, gpa, bytes) ? 0 : gpadl;
}

static int send_buffers(struct netvsc *netvsc)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RECV_BUF };

	netvsc->receive_gpadl = share_buffer(netvsc, NETVSC_RECEIVE_BUFFER, NETVSC_RECEIVE_BYTES);
	netvsc->send_gpadl = share_buffer(netvsc, NETVSC_SEND_BUFFER, NETVSC_SEND_BYTES);
	message.send_buffer.gpadl_handle = netvsc->receive_gpadl;
	message.send_buffer.id = NETVSC_RECEIVE_ID;
	if (netvsc_call(netvsc, &message) ||
	    netvsc->reply.send_recv_buf_complete.status != NVSP_STAT_SUCCESS ||
	    netvsc->reply.send_recv_buf_complete.num_sections != 1)
		return -1;
	netvsc->section_size = netvsc->reply.send_recv_buf_complete.sections[0].sub_alloc_size;
	netvsc->sections = netvsc->reply.send_recv_buf_complete.sections[0].num_sub_allocs;
	message = (struct nvsp_message){ .msg_type = NVSP_MSG1_TYPE_SEND_SEND_BUF };
	message.send_buffer.gpadl_handle = netvsc->send_gpadl;
	if (netvsc_call(netvsc, &message) ||
	    netvsc->reply.send_send_buf_complete.status != NVSP_STAT_SUCCESS)
		return -1;
	netvsc->send_section_size = netvsc->reply.send_send_buf_complete.section_size;
	return 0;
}

int netvsc_init(struct netvsc *netvsc, uint32_t version, uint32_t mtu)
{
	struct nvsp_message config = { .msg_type = NVSP_MSG2_TYPE_SEND_NDIS_CONFIG };
	struct nvsp_message ndis = { .msg_type = NVSP_MSG1_TYPE_SEND_NDIS_VER,
				     .send_ndis_ver = { 6, 30 } };

	if (negotiate(netvsc, version))
		return -1;
	config.send_ndis_config.mtu = mtu + 14;
	config.send_ndis_config.capability_low =
		NVSP_CAPABILITY_IEEE8021Q | NVSP_CAPABILITY_SRIOV |
		(version >= NVSP_PROTOCOL_VERSION_61 ? NVSP_CAPABILITY_RSC : 0);
	config.send_ndis_config.capability_low ^= netvsc->odd_capabilities;
	/* Like Linux, without asking for completions. */
	if (version > NVSP_PROTOCOL_VERSION_1)
		client_send(&netvsc->channels[0], VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &config,
			    sizeof(config));
	client_send(&netvsc->channels[0], VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &ndis, sizeof(ndis));
	return send_buffers(netvsc);
}

/* --- RNDIS control */

int netvsc_rndis(struct netvsc *netvsc, const void *bytes, uint32_t len, bool answered)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[3];
	} ext = { .header.range_cnt = 1,
		  .range.byte_count = len,
		  .pages = { NETVSC_CONTROL >> 12, (NETVSC_CONTROL >> 12) + 1,
			     (NETVSC_CONTROL >> 12) + 2 } };
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_CONTROL, NVSP_SEND_BUFFER_NONE, 0 },
	};

	memcpy(netvsc->client->ram + NETVSC_CONTROL, bytes, len);
	netvsc->responded = false;
	if (client_send(&netvsc->channels[0], VM_PKT_DATA_USING_GPA_DIRECT, 1, 0x99, &ext,
			16 + 8 * ((len + 4095) / 4096), &message, sizeof(message)))
		return -1;
	return answered ? await(netvsc, &netvsc->responded) : 0;
}

static uint32_t request(struct netvsc *netvsc, uint32_t type, uint32_t oid, const void *in,
			uint32_t in_len)
{
	struct {
		struct rndis_header header;
		struct rndis_request request;
		uint8_t in[2048];
	} message = {
		.header = { type, 28 + in_len },
		.request = { ++netvsc->next_request, oid, in_len, sizeof(struct rndis_request), 0 },
	};

	if (in_len)
		memcpy(message.in, in, in_len);
	if (netvsc_rndis(netvsc, &message, 28 + in_len, true) ||
	    load_le32(netvsc->response) != (type | RNDIS_MSG_COMPLETION) ||
	    load_le32(netvsc->response + 8) != netvsc->next_request)
		return UINT32_MAX;
	return load_le32(netvsc->response + 12);
}

uint32_t netvsc_query(struct netvsc *netvsc, uint32_t oid, const void *in, uint32_t in_len,
		      void *info, uint32_t *len)
{
	uint32_t status = request(netvsc, RNDIS_MSG_QUERY, oid, in, in_len);
	uint32_t info_len = load_le32(netvsc->response + 16);
	uint32_t offset = load_le32(netvsc->response + 20);

	if (status)
		return status;
	if (!range_within(offset, info_len, netvsc->response_len - 8) || info_len > *len)
		return UINT32_MAX;
	memcpy(info, netvsc->response + 8 + offset, info_len);
	*len = info_len;
	return 0;
}

uint32_t netvsc_set(struct netvsc *netvsc, uint32_t oid, const void *in, uint32_t in_len)
{
	return request(netvsc, RNDIS_MSG_SET, oid, in, in_len);
}

uint32_t netvsc_filter(struct netvsc *netvsc, uint32_t filter)
{
	return netvsc_set(netvsc, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

int netvsc_rndis_init(struct netvsc *netvsc)
{
	const uint32_t message[] = { RNDIS_MSG_INIT, 24, ++netvsc->next_request, 1, 0, 0x4000 };

	if (netvsc_rndis(netvsc, message, sizeof(message), true) ||
	    load_le32(netvsc->response) != (RNDIS_MSG_INIT | RNDIS_MSG_COMPLETION))
		return -1;
	return load_le32(netvsc->response + 12) ? -1 : 0;
}

int netvsc_start(struct netvsc *netvsc, uint32_t version, uint32_t mtu)
{
	if (netvsc_open(netvsc) || netvsc_init(netvsc, version, mtu) || netvsc_rndis_init(netvsc))
		return -1;
	return netvsc_filter(netvsc, NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST |
					     NDIS_PACKET_TYPE_ALL_MULTICAST)
		       ? -1
		       : 0;
}

int netvsc_sub_channels(struct netvsc *netvsc, unsigned int count)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG5_TYPE_SUBCHANNEL,
					.subchannel = { NVSP_SUBCHANNEL_ALLOCATE, count } };

	if (netvsc_call(netvsc, &message) ||
	    netvsc->reply.subchannel_complete.status != NVSP_STAT_SUCCESS ||
	    netvsc->reply.subchannel_complete.num_subchannels != count)
		return -1;
	for (unsigned int i = 0; i < count; i++)
		if (take_offer(netvsc))
			return -1;
	for (unsigned int i = 1; i <= count; i++)
		if (open_channel(netvsc, i))
			return -1;
	return 0;
}

int netvsc_rsc(struct netvsc *netvsc, uint8_t ipv4, uint8_t ipv6)
{
	const struct ndis_offload_parameters parameters = {
		.header = { NDIS_OBJECT_TYPE_DEFAULT, 3, sizeof(parameters) },
		.rsc_ipv4 = ipv4,
		.rsc_ipv6 = ipv6,
	};

	return netvsc_set(netvsc, OID_TCP_OFFLOAD_PARAMETERS, &parameters, sizeof(parameters)) ? -1
											       : 0;
}

int netvsc_rss(struct netvsc *netvsc, unsigned int queues, unsigned int entries, const uint8_t *key)
{
	struct {
		struct ndis_receive_scale_parameters parameters;
		uint32_t table[128];
		uint8_t key[40];
	} in = {
		.parameters = {
			.header = { NDIS_OBJECT_TYPE_RSS_PARAMETERS, 2, 40 },
			.hash_information = NDIS_HASH_FUNCTION_TOEPLITZ | NDIS_HASH_IPV4 |
					    NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6,
			.table_size = (uint16_t)(entries * sizeof(in.table[0])),
			.table_offset = sizeof(in.parameters),
			.key_size = sizeof(in.key),
			.key_offset = sizeof(in.parameters) + sizeof(in.table),
		},
	};

	for (unsigned int i = 0; i < 128; i++)
		in.table[i] = i % queues;
	memcpy(in.key, key, sizeof(in.key));
	return netvsc_set(netvsc, OID_GEN_RECEIVE_SCALE_PARAMETERS, &in, sizeof(in)) ? -1 : 0;
}

/* --- End */

static void post_teardown(struct netvsc *netvsc, uint32_t relid, uint32_t gpadl)
{
	struct vmbus_channel_gpadl_teardown msg = {
		.header.msgtype = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = relid,
		.gpadl = gpadl,
	};

	client_post(netvsc->client, &msg, sizeof(msg));
}

static int await_message(struct netvsc *netvsc, uint32_t type)
{
	if (!netvsc->threads)
		client_run(netvsc->client);
	else if (!client_wait_message(netvsc->client, WAIT_SECONDS))
		return -1;
	return client_take(netvsc->client, type) ? 0 : -1;
}

static void revoke(struct netvsc *netvsc, uint32_t type, uint16_t id)
{
	struct nvsp_message message = { .msg_type = type, .revoke_buffer = { .id = id } };

	client_send(&netvsc->channels[0], VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &message,
		    sizeof(message));
}

int netvsc_stop(struct netvsc *netvsc, unsigned int sub_channels)
{
	struct vmbus_channel_id_message released = { .header.msgtype = CHANNELMSG_RELID_RELEASED };
	int err = 0;

	revoke(netvsc, NVSP_MSG1_TYPE_REVOKE_RECV_BUF, NETVSC_RECEIVE_ID);
	revoke(netvsc, NVSP_MSG1_TYPE_REVOKE_SEND_BUF, 0);
	for (unsigned int i = sub_channels; i > 0; i--) {
		client_close(&netvsc->channels[i]);
		post_teardown(netvsc, netvsc->relids[i], netvsc->channels[i].gpadl);
		err |= await_message(netvsc, CHANNELMSG_GPADL_TORNDOWN);
	}
	client_close(&netvsc->channels[0]);
	for (unsigned int i = 0; i < sub_channels; i++)
		err |= await_message(netvsc, CHANNELMSG_RESCIND_CHANNELOFFER);
	post_teardown(netvsc, netvsc->relids[0], netvsc->channels[0].gpadl);
	err |= await_message(netvsc, CHANNELMSG_GPADL_TORNDOWN);
	post_teardown(netvsc, netvsc->relids[0], netvsc->receive_gpadl);
	err |= await_message(netvsc, CHANNELMSG_GPADL_TORNDOWN);
	post_teardown(netvsc, netvsc->relids[0], netvsc->send_gpadl);
	err |= await_message(netvsc, CHANNELMSG_GPADL_TORNDOWN);
	for (unsigned int i = 1; i <= sub_channels; i++) {
		released.child_relid = netvsc->relids[i];
		client_post(netvsc->client, &released, sizeof(released));
	}
	return err;
}

/* --- Frames */

uint32_t netvsc_head(void *head, const struct netvsc_tx *tx)
{
	uint32_t len = 44 + 16 * tx->info_count;
	uint8_t *info = (uint8_t *)head + 44;
	struct {
		struct rndis_header header;
		struct rndis_packet packet;
	} message = {
		.header = { RNDIS_MSG_PACKET, len + tx->len },
		.packet = { .data_offset = len - 8, .data_len = tx->len },
	};

	if (tx->info_count) {
		message.packet.per_pkt_info_offset = 36;
		message.packet.per_pkt_info_len = 16 * tx->info_count;
	}
	memcpy(head, &message, 44);
	for (unsigned int i = 0; i < tx->info_count; i++, info += 16) {
		store_le32(info, 16);
		store_le32(info + 4, tx->infos[2 * i]);
		store_le32(info + 8, 12);
		store_le32(info + 12, tx->infos[2 * i + 1]);
	}
	return len;
}

/* One range a piece, like Linux. */
static size_t add_range(uint64_t *words, uint64_t gpa, uint32_t len)
{
	uint32_t offset = gpa & 0xFFF;
	size_t pages = (offset + len + 4095) / 4096;

	words[0] = (uint64_t)offset << 32 | len;
	for (size_t i = 0; i < pages; i++)
		words[1 + i] = (gpa >> 12) + i;
	return 1 + pages;
}

int netvsc_send(struct netvsc *netvsc, unsigned int channel, uint64_t id, uint64_t head_gpa,
		const struct netvsc_tx *tx)
{
	const struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, NVSP_SEND_BUFFER_NONE, 0 },
	};
	uint64_t ext[64] = { UINT64_C(2) << 32 };
	uint32_t head_len = netvsc_head(netvsc->client->ram + head_gpa, tx);
	size_t words = 1;

	words += add_range(&ext[words], head_gpa, head_len);
	words += add_range(&ext[words], tx->gpa, tx->len);
	return client_send(&netvsc->channels[channel], VM_PKT_DATA_USING_GPA_DIRECT, 1, id, ext,
			   words * 8, &message, sizeof(message));
}

int netvsc_send_section(struct netvsc *netvsc, unsigned int channel, uint64_t id, uint32_t section,
			const struct netvsc_tx *tx, unsigned int count)
{
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, section, 0 },
	};
	uint8_t *to =
		netvsc->client->ram + NETVSC_SEND_BUFFER + section * netvsc->send_section_size;
	uint32_t at = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint32_t head = netvsc_head(to + at, &tx[i]), padded;

		memcpy(to + at + head, netvsc->client->ram + tx[i].gpa, tx[i].len);
		padded = (head + tx[i].len + 7) & ~7u;
		if (i + 1 < count)
			store_le32(to + at + 4, padded);
		else
			padded = head + tx[i].len;
		at += padded;
	}
	message.send_rndis_pkt.send_buf_section_size = at;
	return client_send(&netvsc->channels[channel], VM_PKT_DATA_INBAND, 1, id, NULL, 0, &message,
			   sizeof(message));
}

/* --- Load on threads */

static int open_all(struct netvsc *netvsc)
{
	if (netvsc_init(netvsc, NVSP_PROTOCOL_VERSION_61, 1500) || netvsc_rndis_init(netvsc) ||
	    netvsc_filter(netvsc, 0xF))
		return -1;
	return netvsc_sub_channels(netvsc, NETVSC_CHANNELS - 1);
}

static int work(const struct netvsc_load *load)
{
	pthread_t threads[NETVSC_CHANNELS], other;
	unsigned int count = 1;
	int err = pthread_create(&other, NULL, load->other, load->ctx);

	if (err)
		return -1;
	while (!err && count < NETVSC_CHANNELS) {
		err = pthread_create(&threads[count], NULL, load->worker, (void *)(uintptr_t)count);
		count += !err;
	}
	load->worker((void *)0);
	while (--count)
		pthread_join(threads[count], NULL);
	pthread_join(other, NULL);
	return err ? -1 : 0;
}

static int run_round(struct netvsc *netvsc, const struct netvsc_load *load)
{
	int ret = open_all(netvsc);

	if (!ret)
		ret = work(load);
	for (unsigned int channel = 0; !ret && channel < NETVSC_CHANNELS; channel++)
		for (uint64_t i = 0; i < load->in_flight; i++)
			load->send(channel, i);
	return ret ? ret : netvsc_stop(netvsc, NETVSC_CHANNELS - 1);
}

int netvsc_run_load(struct netvsc *netvsc, const struct netvsc_load *load)
{
	int ret;

	netvsc->threads = false; /* so far nobody runs the loops but us */
	if (netvsc_open(netvsc) || client_start_loops(netvsc->client))
		return -1;
	netvsc->threads = true;
	ret = run_round(netvsc, load);
	for (unsigned int round = 1; !ret && round < load->rounds; round++) {
		ret = netvsc_open(netvsc);
		if (!ret)
			ret = run_round(netvsc, load);
	}
	client_stop_loops(netvsc->client);
	return ret;
}

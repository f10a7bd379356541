/* NVSP messages of the primary channel: versions, buffers, sub-channels, the VF. */

#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/net/rndis_packet.h"
#include "devices/vmbus/vmbus_channel.h"

/* --- Replies */

static bool try_reply(struct netvsp *netvsp, const struct netvsp_reply *reply)
{
	return vmbus_channel_complete(netvsp->primary.channel, reply->trans_id, &reply->message,
				      reply->len) != -EAGAIN;
}

bool netvsp_nvsp_flush(struct netvsp *netvsp)
{
	while (netvsp->reply_count) {
		if (!try_reply(netvsp, &netvsp->replies[netvsp->reply_head]))
			return false;
		netvsp->reply_head = (netvsp->reply_head + 1) % NETVSP_REPLIES;
		netvsp->reply_count--;
	}
	return true;
}

/* `message` may be NULL: a completion without payload. */
static void reply(struct netvsp *netvsp, const struct vmbus_packet *packet,
		  const struct nvsp_message *message)
{
	struct netvsp_reply reply = { .trans_id = packet->trans_id };

	if (!packet->wants_completion)
		return;
	if (message) {
		reply.message = *message;
		reply.len = netvsp_message_size(netvsp);
	}
	if (!netvsp->reply_count && try_reply(netvsp, &reply))
		return;
	if (netvsp->reply_count == NETVSP_REPLIES) {
		log_limited(LOG_WARN,
			    "netvsp: a guest that does not read its ring loses an answer");
		return;
	}
	netvsp->replies[(netvsp->reply_head + netvsp->reply_count++) % NETVSP_REPLIES] = reply;
}

/* --- Versions */

static const uint32_t versions[] = {
	NVSP_PROTOCOL_VERSION_61, NVSP_PROTOCOL_VERSION_6, NVSP_PROTOCOL_VERSION_5,
	NVSP_PROTOCOL_VERSION_4,  NVSP_PROTOCOL_VERSION_2, NVSP_PROTOCOL_VERSION_1,
};

static void negotiate(struct netvsp *netvsp, const struct vmbus_packet *packet,
		      const struct nvsp_init *init)
{
	struct nvsp_message answer = { .msg_type = NVSP_MSG_TYPE_INIT_COMPLETE };

	answer.init_complete.status = NVSP_STAT_PROTOCOL_UNSUPPORTED;
	answer.init_complete.max_mdl_chain_len = NIC_TX_SEGMENTS;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (versions[i] < init->min_protocol_ver || versions[i] > init->max_protocol_ver)
			continue;
		__atomic_store_n(&netvsp->version, versions[i], __ATOMIC_RELEASE);
		answer.init_complete.negotiated_protocol_ver = versions[i];
		answer.init_complete.status = NVSP_STAT_SUCCESS;
		break;
	}
	reply(netvsp, packet, &answer);
}

static void set_config(struct netvsp *netvsp, const struct nvsp_send_ndis_config *config)
{
	uint32_t mtu = config->mtu > ETHERNET_HEADER ? config->mtu - ETHERNET_HEADER : 0;

	if (mtu < NETVSP_MTU_MIN)
		mtu = NETVSP_MTU_MIN;
	if (mtu > netvsp->info.max_mtu)
		mtu = netvsp->info.max_mtu;
	__atomic_store_n(&netvsp->mtu, mtu, __ATOMIC_RELAXED);
	netvsp->knows_vf = config->capability_low & NVSP_CAPABILITY_SRIOV;
	netvsp->knows_rsc = config->capability_low & NVSP_CAPABILITY_RSC;
}

/* --- Buffers */

/*
 * A section holds the head, and a frame with a tag; sections of the smallest size never straddle
 * pages, larger ones are whole pages.
 */
static uint32_t receive_section_size(const struct netvsp *netvsp)
{
	uint32_t need = RNDIS_RX_HEADROOM + ETHERNET_HEADER + NETVSP_VLAN_TAG + netvsp->mtu;

	if (need <= NETVSP_RX_SECTION_MIN)
		return NETVSP_RX_SECTION_MIN;
	return (need + 4095) & ~4095u;
}

/* Divides the buffer among the queues that there may be. False: it is too small. */
static bool divide(const struct netvsp *netvsp, struct netvsp_buffer *buffer)
{
	uint32_t sections;

	buffer->section_size = receive_section_size(netvsp);
	sections = buffer->len / buffer->section_size;
	if (sections < NETVSP_CONTROL_SECTIONS + netvsp_queues(netvsp))
		return false;
	buffer->per_queue = (sections - NETVSP_CONTROL_SECTIONS) / netvsp_queues(netvsp);
	if (buffer->per_queue > NETVSP_RX_SECTIONS_MAX)
		buffer->per_queue = NETVSP_RX_SECTIONS_MAX;
	return true;
}

static void set_buffer(struct netvsp *netvsp, struct netvsp_buffer **slot,
		       struct netvsp_buffer *buffer)
{
	struct netvsp_buffer *old;

	pthread_mutex_lock(&netvsp->lock);
	old = *slot;
	*slot = buffer;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_buffer_put(old);
	netvsp_changed(netvsp);
}

static bool may_set(const struct netvsp *netvsp, const struct netvsp_buffer *current)
{
	return netvsp_version(netvsp) && !current && !netvsp->running;
}

static void set_receive_buffer(struct netvsp *netvsp, const struct vmbus_packet *packet,
			       const struct nvsp_send_buffer *request)
{
	struct nvsp_message answer = { .msg_type = NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE };
	struct nvsp_receive_buffer_section *section = &answer.send_recv_buf_complete.sections[0];
	struct netvsp_buffer *buffer = NULL;

	answer.send_recv_buf_complete.status = NVSP_STAT_FAIL;
	if (may_set(netvsp, netvsp->receive_buffer))
		buffer = netvsp_buffer_create(netvsp->primary.channel, request->gpadl_handle);
	if (buffer && !divide(netvsp, buffer)) {
		netvsp_buffer_put(buffer);
		buffer = NULL;
	}
	if (buffer) {
		buffer->id = request->id;
		answer.send_recv_buf_complete.status = NVSP_STAT_SUCCESS;
		answer.send_recv_buf_complete.num_sections = 1;
		section->sub_alloc_size = buffer->section_size;
		section->num_sub_allocs =
			NETVSP_CONTROL_SECTIONS + buffer->per_queue * netvsp_queues(netvsp);
		section->end_offset = section->num_sub_allocs * buffer->section_size;
		set_buffer(netvsp, &netvsp->receive_buffer, buffer);
	}
	reply(netvsp, packet, &answer);
}

static void set_send_buffer(struct netvsp *netvsp, const struct vmbus_packet *packet,
			    const struct nvsp_send_buffer *request)
{
	struct nvsp_message answer = { .msg_type = NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE };
	struct netvsp_buffer *buffer = NULL;

	answer.send_send_buf_complete.status = NVSP_STAT_FAIL;
	if (may_set(netvsp, netvsp->send_buffer))
		buffer = netvsp_buffer_create(netvsp->primary.channel, request->gpadl_handle);
	if (buffer) {
		buffer->id = request->id;
		buffer->section_size = NETVSP_SEND_SECTION;
		answer.send_send_buf_complete.status = NVSP_STAT_SUCCESS;
		answer.send_send_buf_complete.section_size = NETVSP_SEND_SECTION;
		set_buffer(netvsp, &netvsp->send_buffer, buffer);
	}
	reply(netvsp, packet, &answer);
}

/*
 * No answer is asked for: the guest waits for the GPADL. The queues let go of the buffer on their
 * own threads, so receiving ends first.
 */
static void revoke_buffer(struct netvsp *netvsp, struct netvsp_buffer **slot, uint16_t id)
{
	if (!*slot || (*slot)->id != id)
		return;
	netvsp_stop(netvsp);
	if (slot == &netvsp->receive_buffer)
		netvsp_rndis_reset(netvsp);
	set_buffer(netvsp, slot, NULL);
}

/* --- RNDIS control messages: small, so copied at once */

static void rndis_control(struct netvsp *netvsp, const struct vmbus_packet *packet,
			  const struct nvsp_send_rndis_packet *rndis)
{
	const struct guest_memory *memory = vmbus_channel_memory(netvsp->primary.channel);
	struct nvsp_message answer = { .msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE };
	const struct netvsp_buffer *send = netvsp->send_buffer;
	uint64_t len = packet->buffer.byte_count;
	uint32_t index = rndis->send_buf_section_index;
	bool copied = false;

	if (index == NVSP_SEND_BUFFER_NONE) {
		copied = len <= sizeof(netvsp->request) &&
			 !vmbus_gpa_read(&packet->buffer, memory, 0, netvsp->request, len);
	} else if (send && index < send->len / send->section_size && !len) {
		struct nic_segment pieces[4];
		unsigned int count;
		size_t at = 0;

		len = rndis->send_buf_section_size;
		count = len <= send->section_size
				? netvsp_buffer_segments(send, index * send->section_size,
							 (uint32_t)len, pieces, 4)
				: 0;
		copied = count;
		for (unsigned int i = 0; i < count; at += pieces[i++].len)
			if (guest_memory_read(memory, pieces[i].gpa, netvsp->request + at,
					      pieces[i].len))
				copied = false;
	}
	answer.send_rndis_pkt_complete.status =
		copied ? NVSP_STAT_SUCCESS : NVSP_STAT_INVALID_RNDIS_PKT;
	reply(netvsp, packet, &answer);
	if (copied)
		netvsp_rndis_message(netvsp, len);
}
_Static_assert(NETVSP_SEND_SECTION <= NETVSP_CONTROL_REQUEST, "a section fits");

/* --- Sub-channels */

static void create_sub_channels(struct netvsp *netvsp, const struct vmbus_packet *packet,
				const struct nvsp_subchannel_request *request)
{
	struct nvsp_message answer = { .msg_type = NVSP_MSG5_TYPE_SUBCHANNEL };
	uint32_t count = request->num_subchannels;
	int offered = -EINVAL;

	if (netvsp_version(netvsp) >= NVSP_PROTOCOL_VERSION_5 && !netvsp->sub_count &&
	    request->op == NVSP_SUBCHANNEL_ALLOCATE && count <= netvsp->config.max_sub_channels)
		offered = netvsp_offer_sub_channels(netvsp, count);
	answer.subchannel_complete.status = offered < 0 ? NVSP_STAT_FAIL : NVSP_STAT_SUCCESS;
	answer.subchannel_complete.num_subchannels = offered < 0 ? 0 : (uint32_t)offered;
	reply(netvsp, packet, &answer);
}

/* --- What we tell unasked */

static bool take_flag(bool *flag)
{
	return __atomic_exchange_n(flag, false, __ATOMIC_ACQ_REL);
}

static int send(struct netvsp *netvsp, const void *message, size_t len)
{
	return vmbus_channel_send(netvsp->primary.channel, false, 0, message, len);
}

static int send_vf(struct netvsp *netvsp)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG4_TYPE_SEND_VF_ASSOCIATION };
	uint64_t vf = __atomic_load_n(&netvsp->vf, __ATOMIC_ACQUIRE);

	message.vf_association.allocated = vf & 1;
	message.vf_association.serial = (uint32_t)(vf >> 1);
	return send(netvsp, &message, netvsp_message_size(netvsp));
}

/*
 * Which channel to send on, by hash. The entries start where the largest message would end: there
 * some guests look for them whatever the offset says.
 */
static int send_table(struct netvsp *netvsp)
{
	struct {
		struct nvsp_message message;
		uint32_t entries[NVSP_SEND_TABLE_ENTRIES];
	} table = { .message.msg_type = NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE };

	table.message.send_table.count = NVSP_SEND_TABLE_ENTRIES;
	table.message.send_table.offset = sizeof(table.message);
	for (uint32_t i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		table.entries[i] = i % (netvsp->wanted_subs + 1);
	return send(netvsp, &table, sizeof(table));
}

void netvsp_nvsp_notify(struct netvsp *netvsp)
{
	if (netvsp_version(netvsp) >= NVSP_PROTOCOL_VERSION_4 && netvsp->knows_vf &&
	    netvsp->running && take_flag(&netvsp->vf_pending) && send_vf(netvsp) == -EAGAIN)
		__atomic_store_n(&netvsp->vf_pending, true, __ATOMIC_RELEASE);
	if (take_flag(&netvsp->table_pending) && send_table(netvsp) == -EAGAIN)
		__atomic_store_n(&netvsp->table_pending, true, __ATOMIC_RELEASE);
}

/* --- Dispatch */

static void switch_data_path(struct netvsp *netvsp, const struct vmbus_packet *packet,
			     const struct nvsp_switch_data_path *request)
{
	if (request->active_datapath <= NVSP_DATAPATH_VF)
		netvsp_nvsp_data_path(netvsp, request->active_datapath == NVSP_DATAPATH_VF);
	reply(netvsp, packet, NULL);
}

void netvsp_nvsp_data_path(struct netvsp *netvsp, bool to_vf)
{
	pthread_mutex_lock(&netvsp->path_lock);
	if (netvsp->on_vf != to_vf &&
	    (!netvsp->config.data_path || netvsp->config.data_path(netvsp->config.ctx, to_vf)))
		netvsp->on_vf = to_vf;
	pthread_mutex_unlock(&netvsp->path_lock);
}

/* Clients always send a whole message, so what one lacks reads as zero. */
void netvsp_nvsp_message(struct netvsp *netvsp, const struct vmbus_packet *packet)
{
	struct nvsp_message message = { 0 };

	memcpy(&message, packet->payload,
	       packet->payload_len < sizeof(message) ? packet->payload_len : sizeof(message));
	switch (message.msg_type) {
	case NVSP_MSG_TYPE_INIT:
		negotiate(netvsp, packet, &message.init);
		break;
	case NVSP_MSG1_TYPE_SEND_NDIS_VER:
		reply(netvsp, packet, NULL);
		break;
	case NVSP_MSG2_TYPE_SEND_NDIS_CONFIG:
		set_config(netvsp, &message.send_ndis_config);
		reply(netvsp, packet, NULL);
		break;
	case NVSP_MSG1_TYPE_SEND_RECV_BUF:
		set_receive_buffer(netvsp, packet, &message.send_buffer);
		break;
	case NVSP_MSG1_TYPE_SEND_SEND_BUF:
		set_send_buffer(netvsp, packet, &message.send_buffer);
		break;
	case NVSP_MSG1_TYPE_REVOKE_RECV_BUF:
		revoke_buffer(netvsp, &netvsp->receive_buffer, message.revoke_buffer.id);
		reply(netvsp, packet, NULL);
		break;
	case NVSP_MSG1_TYPE_REVOKE_SEND_BUF:
		revoke_buffer(netvsp, &netvsp->send_buffer, message.revoke_buffer.id);
		reply(netvsp, packet, NULL);
		break;
	case NVSP_MSG1_TYPE_SEND_RNDIS_PKT:
		rndis_control(netvsp, packet, &message.send_rndis_pkt);
		break;
	case NVSP_MSG4_TYPE_SWITCH_DATA_PATH:
		switch_data_path(netvsp, packet, &message.switch_data_path);
		break;
	case NVSP_MSG5_TYPE_SUBCHANNEL:
		create_sub_channels(netvsp, packet, &message.subchannel);
		break;
	default:
		log_limited(LOG_WARN, "netvsp: NVSP message %u is not known", message.msg_type);
		reply(netvsp, packet, NULL);
		break;
	}
}

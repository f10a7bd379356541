/*
 * A guest's network driver that does what the input says: any NVSP and RNDIS message, any frame
 * with any per-packet information from sections and pages, completions of anything, sub-channels that
 * close and come back, revoked buffers, drivers that end or crash, a link that flaps. Afterwards everything must be given back.
 */

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/tcp_unit.h"
#include "devices/net/loopback_nic.h"
#include "devices/net/netvsp.h"
#include "proto/rndis.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/net/netvsc.h"
#include "tests/unit/devices/net/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client client;
static struct netvsc net;
static struct loopback_nic *nic;
static struct netvsp *netvsp;
static unsigned int subs;
static bool gone;
static bool idle; /* the guest does not look at its rings */

static void card_gone(void *ctx)
{
	(void)ctx;
	gone = true;
}

/* A guest finds no part of a frame that is nowhere whole, if it leaves the heads of messages alone. */
static void received(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	(void)channel;
	if (rx->parts > 1 && (rx->len > TCP_UNIT_BYTES || rx->len < 56))
		abort();
}

/* What the card promises its nic, whatever the guest says. */
static bool sent(void *ctx, unsigned int queue, const struct nic_tx *tx, const uint8_t *frame)
{
	uint32_t len = 0;

	(void)ctx;
	(void)frame;
	for (unsigned int i = 0; i < tx->segment_count; i++)
		len += tx->segments[i].len;
	if (queue >= 4 || len != tx->len || tx->segment_count > NIC_TX_SEGMENTS || len < 14)
		abort();
	if ((tx->flags & NIC_TX_LSO) &&
	    (tx->mss < 48 || tx->header_len >= len || tx->header_len < 54))
		abort();
	if (!(tx->flags & NIC_TX_LSO) && len > 9000 + 18)
		abort();
	return len & 1;
}

static void run(void)
{
	client_run(&client);
	for (unsigned int i = 0; i <= subs && !idle; i++)
		netvsc_poll(&net, i);
}

static void send_message(struct fuzz_input *in)
{
	struct nvsp_message message = { 0 };
	size_t len = fuzz_take(in, 1) % (sizeof(message) + 1);

	fuzz_take_bytes(in, &message, len);
	client_send(&net.channels[fuzz_take(in, 1) % (subs + 1)], VM_PKT_DATA_INBAND,
		    (uint16_t)fuzz_take(in, 1) & 1, fuzz_take(in, 1), NULL, 0, &message, len);
}

static void send_control(struct fuzz_input *in)
{
	uint8_t message[700] = { 0 };
	size_t len = fuzz_take(in, 1) * 2;

	store_le32(message, (uint32_t)fuzz_take(in, 1));
	store_le32(message + 4, (uint32_t)fuzz_take(in, 2));
	fuzz_take_bytes(in, message + 8, len);
	netvsc_rndis(&net, message, (uint32_t)(8 + len), false);
}

/* As a driver sets it, with fields that the input overwrites. */
static void set_rss(struct fuzz_input *in)
{
	struct {
		struct ndis_receive_scale_parameters parameters;
		uint32_t table[128];
		uint8_t key[40];
	} info = {
		.parameters = {
			.header = { NDIS_OBJECT_TYPE_RSS_PARAMETERS, 2, 40 },
			.hash_information = NDIS_HASH_FUNCTION_TOEPLITZ | NDIS_HASH_TCP_IPV4,
			.table_size = sizeof(info.table),
			.table_offset = sizeof(info.parameters),
			.key_size = sizeof(info.key),
			.key_offset = sizeof(info.parameters) + sizeof(info.table),
		},
	};

	for (unsigned int i = 0; i < 128; i++)
		info.table[i] = i % (subs + 1);
	for (uint64_t i = fuzz_take(in, 1) % 4; i > 0; i--)
		store_le16((uint8_t *)&info + fuzz_take(in, 1) * 2, (uint16_t)fuzz_take(in, 2));
	netvsc_set(&net, OID_GEN_RECEIVE_SCALE_PARAMETERS, &info, sizeof(info));
}

static void query_or_set(struct fuzz_input *in)
{
	static const uint32_t oids[] = {
		OID_GEN_CURRENT_PACKET_FILTER,
		OID_GEN_RECEIVE_SCALE_PARAMETERS,
		OID_TCP_OFFLOAD_PARAMETERS,
		OID_802_3_MULTICAST_LIST,
		OID_GEN_RCV_NO_BUFFER,
		OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
		OID_GEN_SUPPORTED_LIST,
		OID_GEN_RECEIVE_SCALE_CAPABILITIES,
		OID_GEN_STATISTICS,
		OID_GEN_DIRECTED_BYTES_XMIT,
		OID_GEN_FRIENDLY_NAME,
		OID_TCP_OFFLOAD_CURRENT_CONFIG,
	};
	unsigned int index = fuzz_take(in, 1) % 16;
	uint32_t oid = index < 12 ? oids[index] : 0x10100 + (uint32_t)fuzz_take(in, 2);
	uint32_t len = sizeof(net.response);
	uint8_t info[512], out[2048];
	size_t in_len = fuzz_take_bytes(in, info, fuzz_take(in, 1) * 2);
	uint8_t how = (uint8_t)fuzz_take(in, 1);

	if (index == 1 && how & 2)
		set_rss(in);
	else if (how & 1)
		netvsc_query(&net, oid, info, (uint32_t)in_len, out, &len);
	else
		netvsc_set(&net, oid, info, (uint32_t)in_len);
}

/* A send to be segmented, right but for sizes that hardly are. */
static void make_large(struct fuzz_input *in, struct netvsc_tx *tx, uint32_t *infos)
{
	static const uint32_t sizes[] = {
		0, 1, 47, 48, 536, 1446, 1460, 1461, 8960, 65535, NDIS_LSO_MSS_MASK
	};
	static const uint8_t offsets[] = { 34, 54, 0, 14 };
	uint8_t *frame = client.ram + tx->gpa, how = (uint8_t)fuzz_take(in, 1);

	store_le16(frame + 12, how & 1 ? 0xDD86 : 0x0008);
	frame[14] = how & 1 ? 0x60 : 0x45;
	frame[23] = 6;
	frame[(how & 1 ? 54 : 34) + 12] = how & 2 ? 0x50 : (uint8_t)fuzz_take(in, 1);
	infos[0] = TCP_LARGESEND_PKTINFO;
	infos[1] = sizes[fuzz_take(in, 1) % 11] |
		   (uint32_t)offsets[how & 4 ? fuzz_take(in, 1) % 4 : how & 1]
			   << NDIS_LSO_OFFSET_SHIFT |
		   (how & 8 ? 0 : NDIS_LSO_V2) | (how & 1 ? NDIS_LSO_IPV6 : 0);
}

/* A message with fields that the input overwrites. */
static uint32_t make_head(struct fuzz_input *in, uint8_t *at, struct netvsc_tx *tx, uint32_t *infos)
{
	uint32_t len, count;

	tx->gpa = NETVSC_FRAMES + 0x10000 + fuzz_take(in, 2);
	tx->len = (uint32_t)fuzz_take(in, 2);
	tx->infos = infos;
	count = (uint32_t)fuzz_take(in, 1);
	tx->info_count = count % 4;
	for (unsigned int i = 0; i < 2 * tx->info_count; i++)
		infos[i] = (uint32_t)fuzz_take(in, i & 1 ? 4 : 1);
	if (count & 0x80 && tx->info_count)
		make_large(in, tx, infos);
	else
		fuzz_take_bytes(in, client.ram + tx->gpa + 14, 40);
	len = netvsc_head(at, tx);
	for (uint64_t i = fuzz_take(in, 1) % 4; i > 0; i--) {
		uint64_t field = fuzz_take(in, 1) % 24 * 4;

		store_le32(at + field, (uint32_t)fuzz_take(in, fuzz_take(in, 1) & 1 ? 4 : 1));
	}
	return len;
}

static size_t put_range(uint64_t *words, uint64_t gpa, uint32_t len)
{
	size_t count = 1;

	words[0] = (gpa & 0xFFF) << 32 | len;
	for (uint64_t page = gpa >> 12; page <= (gpa + len - 1) >> 12 && len; page++)
		words[count++] = page;
	return count;
}

/* As netvsc_send(), but the head is what the input made it. Several times, if it says so: rings fill. */
static void send_frame(struct fuzz_input *in)
{
	const struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, NVSP_SEND_BUFFER_NONE, 0 },
	};
	uint64_t ext[64] = { UINT64_C(2) << 32 };
	struct netvsc_tx tx;
	uint32_t infos[8], len = make_head(in, client.ram + NETVSC_FRAMES, &tx, infos);
	size_t words = 1;
	uint8_t where = (uint8_t)fuzz_take(in, 1);

	words += put_range(&ext[words], NETVSC_FRAMES, len);
	words += put_range(&ext[words], tx.gpa, tx.len);
	for (unsigned int i = 0; i < (where & 0x80 ? 64 : 1); i++) {
		client_send(&net.channels[(where & 0x7F) % (subs + 1)],
			    VM_PKT_DATA_USING_GPA_DIRECT, 1, 5, ext, words * 8, &message,
			    sizeof(message));
		if (idle)
			client_run(&client);
	}
}

static void send_section(struct fuzz_input *in)
{
	uint8_t *section = client.ram + NETVSC_SEND_BUFFER;
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT };
	uint64_t ext[6] = { UINT64_C(1) << 32 };
	uint32_t infos[8], at = 0;
	struct netvsc_tx tx;

	for (uint64_t i = fuzz_take(in, 1) % 10; i > 0; i--) {
		uint32_t head = make_head(in, section + at, &tx, infos);

		tx.len %= 200;
		store_le32(section + at + 4, head + tx.len);
		store_le32(section + at + 12, tx.len);
		at += head + tx.len;
	}
	message.send_rndis_pkt.send_buf_section_index = fuzz_take(in, 1) % 60;
	message.send_rndis_pkt.send_buf_section_size = at + (uint32_t)fuzz_take(in, 1) - 20;
	ext[1] = fuzz_take(in, 2) | fuzz_take(in, 2) << 32;
	ext[2] = fuzz_take(in, 2);
	ext[3] = fuzz_take(in, 2);
	ext[4] = ext[5] = ext[3] + 1;
	message.send_rndis_pkt.channel_type = (uint32_t)fuzz_take(in, 1) & 1;
	if (fuzz_take(in, 1) & 1)
		client_send(&net.channels[0], VM_PKT_DATA_USING_GPA_DIRECT, 1, 4, ext, sizeof(ext),
			    &message, sizeof(message));
	else
		client_send(&net.channels[0], VM_PKT_DATA_INBAND, 1, 4, NULL, 0, &message,
			    sizeof(message));
}

static void receive(struct fuzz_input *in)
{
	struct nic_rx meta = { .flags = (uint16_t)fuzz_take(in, 1) };
	uint8_t frame[64] = { 0 };
	unsigned int queue = fuzz_take(in, 1) % 4;

	fuzz_take_bytes(in, frame, 6);
	loopback_nic_deliver(nic, queue, frame, sizeof(frame), &meta);
}

/*
 * A batch of segments of a few connections, all said to be good, with bytes that the input chose in what is read of them,
 * and guest memory that changes under them.
 */
static void receive_segments(struct fuzz_input *in)
{
	static struct tcp_frame frame;
	struct nic_rx meta = { .flags = (uint16_t)(fuzz_take(in, 1) | NIC_RX_TCP_CHECKSUM_OK),
			       .vlan_tci = (uint16_t)fuzz_take(in, 1) };
	uint8_t kind = (uint8_t)fuzz_take(in, 1);
	unsigned int queue = kind & 3;
	uint32_t at = 0, payload = (uint32_t)fuzz_take(in, 2) % 1400;

	loopback_nic_gather(nic, queue, true);
	for (uint64_t left = fuzz_take(in, 1) % 100; left > 0; left--) {
		uint64_t what = fuzz_take(in, 1);

		tcp_frame_make(&frame, kind & 4, kind & 8, at, payload);
		frame.tcp[0] ^= what & 1 ? (uint8_t)fuzz_take(in, 1) : 0;
		if (what & 2)
			frame.bytes[fuzz_take(in, 1) % 86] ^= (uint8_t)fuzz_take(in, 1);
		if (what & 4)
			payload = (uint32_t)fuzz_take(in, 2) % 1400;
		loopback_nic_deliver(nic, queue, frame.bytes, frame.len, &meta);
		if (what & 8)
			client.ram[NETVSC_RECEIVE_BUFFER +
				   fuzz_take(in, 3) % NETVSC_RECEIVE_BYTES] ^= 0xFF;
		at += payload;
	}
	loopback_nic_gather(nic, queue, false);
}

/* The same of a send that the nic did not cut, among segments of the same connection and others. */
static void receive_uncut(struct fuzz_input *in)
{
	static uint8_t bytes[66000];
	struct nic_rx meta = { .flags = (uint16_t)(fuzz_take(in, 1) | NIC_RX_TCP_CHECKSUM_OK) };
	uint8_t kind = (uint8_t)fuzz_take(in, 1);
	unsigned int queue = kind & 3;
	uint32_t payload = (uint32_t)fuzz_take(in, 2) % 65400;
	uint32_t len =
		tcp_send_make(bytes, kind & 4, kind & 8, (uint32_t)fuzz_take(in, 2), payload);

	for (unsigned int i = kind >> 4 & 3; i > 0; i--)
		bytes[fuzz_take(in, 1) % 90] ^= (uint8_t)fuzz_take(in, 1);
	loopback_nic_gather(nic, queue, true);
	if (kind & 64)
		loopback_nic_deliver(nic, queue, bytes, 86 + payload % 1000, &meta);
	loopback_nic_deliver_uncut(nic, queue, bytes, len, (uint32_t)fuzz_take(in, 1) + 1, &meta);
	if (kind & 128)
		client.ram[NETVSC_RECEIVE_BUFFER + fuzz_take(in, 3) % NETVSC_RECEIVE_BYTES] ^= 0xFF;
	loopback_nic_gather(nic, queue, fuzz_take(in, 1) & 1);
}

/* As drivers do; the settings themselves are the input's in query_or_set(). */
static void coalesce(struct fuzz_input *in)
{
	netvsc_rsc(&net, (uint8_t)fuzz_take(in, 1) % 4, (uint8_t)fuzz_take(in, 1) % 4);
}

static void complete(struct fuzz_input *in)
{
	uint64_t id = fuzz_take(in, 1) | (fuzz_take(in, 1) & 1 ? 0x80000000u : 0);

	client_send(&net.channels[fuzz_take(in, 1) % (subs + 1)], VM_PKT_COMP, 0, id, NULL, 0, &id,
		    8);
}

/* A buffer is taken away while frames are under way, by the protocol or only its memory. */
static void revoke(struct fuzz_input *in)
{
	bool receives = fuzz_take(in, 1) & 1;
	struct nvsp_message message = {
		.msg_type =
			receives ? NVSP_MSG1_TYPE_REVOKE_RECV_BUF : NVSP_MSG1_TYPE_REVOKE_SEND_BUF,
		.revoke_buffer = { .id = receives ? NETVSC_RECEIVE_ID : 0 },
	};

	if (fuzz_take(in, 1) & 1)
		client_send(&net.channels[0], VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &message,
			    sizeof(message));
	client_gpadl_teardown(&client, net.relids[0],
			      receives ? net.receive_gpadl : net.send_gpadl);
	client_drop_messages(&client);
}

/* Ends as a driver does, or as one that crashes and is followed by another; sub-channels come and go. */
static void start_again(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_take(in, 1);

	if (how & 1) {
		netvsc_stop(&net, subs);
	} else {
		client_close(&net.channels[0]);
		client_run(&client);
		client_gpadl_teardown(&client, net.relids[0], net.channels[0].gpadl);
		client_gpadl_teardown(&client, net.relids[0], net.receive_gpadl);
		client_gpadl_teardown(&client, net.relids[0], net.send_gpadl);
	}
	client_drop_messages(&client);
	net.kept_count = 0;
	idle = false;
	subs = 0;
	if (!netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, how & 2 ? 1500 : 9000) && how & 4 &&
	    !netvsc_sub_channels(&net, 3))
		subs = 3;
	client_drop_messages(&client);
}

/* One of them comes or goes by itself, whether it is there or not. */
static void sub_channel(struct fuzz_input *in)
{
	unsigned int i = 1 + fuzz_take(in, 1) % 3;
	bool open = fuzz_take(in, 1) & 1;

	if (i > subs)
		return;
	if (open)
		client_open(&client, &net.channels[i], net.relids[i], net.connections[i], i,
			    0x100000 + i * 2ull * net.ring_pages * 4096, net.ring_pages);
	else
		client_close(&net.channels[i]);
	client_drop_messages(&client);
}

static void act(struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 19) {
	case 0:
		send_message(in);
		break;
	case 1:
		send_control(in);
		break;
	case 2:
		query_or_set(in);
		break;
	case 3:
	case 4:
		send_frame(in);
		break;
	case 5:
		send_section(in);
		break;
	case 6:
		receive(in);
		break;
	case 7:
		complete(in);
		break;
	case 8:
		loopback_nic_set_link(nic, fuzz_take(in, 1) & 1);
		break;
	case 9:
		loopback_nic_hold(nic, fuzz_take(in, 1) % 4, fuzz_take(in, 1) & 1);
		break;
	case 10:
		if (fuzz_take(in, 1) & 1)
			idle = !idle;
		else
			net.keep = !net.keep;
		break;
	case 11:
		netvsc_give_back(&net);
		break;
	case 12:
		if (fuzz_take(in, 1) & 1)
			netvsp_set_vf(netvsp, fuzz_take(in, 1) & 1, 7);
		else
			netvsp_vf_left(netvsp);
		break;
	case 13:
		revoke(in);
		break;
	case 14:
		start_again(in);
		break;
	case 15:
		sub_channel(in);
		break;
	case 16:
		receive_segments(in);
		break;
	case 17:
		coalesce(in);
		break;
	case 18:
		receive_uncut(in);
		break;
	}
}

static void prologue(struct fuzz_input *in)
{
	struct netvsp_config config = { .server = client.server, .max_sub_channels = 3 };
	struct loopback_nic_config nic_config = { .memory = client.memory,
						  .queues = 4,
						  .sent = sent };
	uint8_t how = (uint8_t)fuzz_take(in, 1);

	memset(&net, 0, sizeof(net));
	net.client = &client;
	net.received = received;
	subs = 0;
	gone = false;
	idle = false;
	net.ring_pages = how & 4 ? 2 : 8;
	nic = loopback_nic_create(&nic_config);
	config.nic = loopback_nic_nic(nic);
	if (!nic || netvsp_create(&config, &netvsp))
		abort();
	if (how == 0) {
		if (netvsc_open(&net))
			abort();
		return;
	}
	if (netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, how & 1 ? 1500 : 9000))
		abort();
	if ((how & 2) && !netvsc_sub_channels(&net, 3))
		subs = 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	if (client_init(&client, 0, 0))
		abort();
	prologue(&in);
	while (in.size) {
		act(&in);
		if (fuzz_take(&in, 1) & 1)
			run();
	}
	run();
	for (unsigned int i = 0; i < 4; i++)
		loopback_nic_hold(nic, i, false);
	netvsp_destroy(netvsp, card_gone, NULL);
	client_run(&client);
	if (!gone)
		abort();
	loopback_nic_destroy(nic);
	client_fini(&client);
	return 0;
}

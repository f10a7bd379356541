#ifndef TESTS_UNIT_DEVICES_NET_NETVSC_H
#define TESTS_UNIT_DEVICES_NET_NETVSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/nvsp.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

/*
 * The guest's network driver for tests, written from the protocol and from what drivers/net/hyperv
 * does. Errors are return values, so that it serves cmocka tests, fuzz targets and benchmarks.
 */

#define NETVSC_CHANNELS       4
#define NETVSC_RECEIVE_BUFFER 0x400000u
#define NETVSC_RECEIVE_BYTES  0x200000u
#define NETVSC_RECEIVE_ID     0xCAFE
#define NETVSC_SEND_BUFFER    0x600000u
#define NETVSC_SEND_BYTES     0x40000u
#define NETVSC_FRAMES         0x680000u /* memory for frames to send */
#define NETVSC_CONTROL        0x7F0000u /* RNDIS requests */
#define NETVSC_UNIT_BYTES     (64u * 1024)

struct netvsc;

/* A received frame. Valid during the call. */
struct netvsc_rx {
	const uint8_t *bytes;
	uint32_t len;
	bool has_checksum, has_vlan, has_hash;
	uint32_t checksum, vlan, hash;
	unsigned int parts; /* messages that it came in */
};

/* A frame that comes in parts: put together as Linux does it. */
struct netvsc_unit {
	struct netvsc_rx rx;
	uint8_t bytes[NETVSC_UNIT_BYTES];
};

struct netvsc {
	struct client *client;
	struct client_channel channels[NETVSC_CHANNELS];
	uint32_t relids[NETVSC_CHANNELS], connections[NETVSC_CHANNELS];
	uint32_t ring_pages;
	uint32_t odd_capabilities; /* NVSP_CAPABILITY_* that it says otherwise than Linux */
	bool threads; /* the client's loops run elsewhere: wait for events, do not run them */
	uint32_t receive_gpadl, send_gpadl;
	uint32_t section_size, sections, send_section_size;
	uint32_t next_request;

	/* A received frame; any channel. May be NULL. */
	void (*received)(void *ctx, unsigned int channel, const struct netvsc_rx *rx);
	void *ctx;
	bool keep; /* received sections are not given back: netvsc_give_back() */
	uint64_t kept[64];
	unsigned int kept_channel[64], kept_count;

	/* What came. */
	uint64_t completed[NETVSC_CHANNELS]; /* frames that we sent */
	uint64_t failed[NETVSC_CHANNELS];
	uint64_t last_completed[NETVSC_CHANNELS]; /* transaction */
	struct nvsp_message reply;                /* to an NVSP message */
	size_t reply_len;
	bool replied;
	uint8_t response[2048]; /* RNDIS */
	uint32_t response_len;
	bool responded;
	uint32_t indicated; /* the last status */
	unsigned int indications;
	struct nvsp_message inband;
	uint32_t inband_table[NVSP_SEND_TABLE_ENTRIES];
	unsigned int inbands;
	unsigned int bad_parts;                /* of no frame, or more than is allowed */
	unsigned int packets[NETVSC_CHANNELS]; /* that had frames */
	struct netvsc_unit units[NETVSC_CHANNELS];
};

/* The steps of a driver's start. 0, or -1 when the card answered wrongly or not at all. */
int netvsc_open(
	struct netvsc *netvsc); /* of offers that the client already has, to an open channel */
int netvsc_init(struct netvsc *netvsc, uint32_t version, uint32_t mtu); /* up to the buffers */
int netvsc_rndis_init(struct netvsc *netvsc);
int netvsc_start(struct netvsc *netvsc, uint32_t version, uint32_t mtu); /* all, and the filter */
int netvsc_sub_channels(struct netvsc *netvsc, unsigned int count); /* asks for and opens them */
int netvsc_rsc(struct netvsc *netvsc, uint8_t ipv4,
	       uint8_t ipv6); /* NDIS_OFFLOAD_PARAMETERS_RSC_* */
/* With a table of so many entries: the card's. */
int netvsc_rss(struct netvsc *netvsc, unsigned int queues, unsigned int entries,
	       const uint8_t *key);
/* As drivers/hv ends: revoke, close, tear down; sub-channels are forgotten. */
int netvsc_stop(struct netvsc *netvsc, unsigned int sub_channels);

/*
 * Everything at once, on threads: in each round all channels are opened, each has a thread that works
 * on it, with another beside them, and the end finds `in_flight` frames of each channel under way.
 * To be called when the client has its offers and nobody runs its loops yet. 0 or -1.
 */
struct netvsc_load {
	unsigned int rounds, in_flight;
	void *(*worker)(void *channel); /* the number */
	void *(*other)(void *ctx);
	void *ctx;
	int (*send)(unsigned int channel, uint64_t number);
};

int netvsc_run_load(struct netvsc *netvsc, const struct netvsc_load *load);

/* An NVSP message and its completion; `len` bytes of it are sent. */
int netvsc_call(struct netvsc *netvsc, const struct nvsp_message *message);
/* An RNDIS message, and for those with answers the answer, in netvsc->response. */
int netvsc_rndis(struct netvsc *netvsc, const void *message, uint32_t len, bool answered);
/* Status of the answer, or UINT32_MAX. */
uint32_t netvsc_query(struct netvsc *netvsc, uint32_t oid, const void *in, uint32_t in_len,
		      void *info, uint32_t *len);
uint32_t netvsc_set(struct netvsc *netvsc, uint32_t oid, const void *in, uint32_t in_len);
uint32_t netvsc_filter(struct netvsc *netvsc, uint32_t filter);

/* Takes what has come on a channel; how many packets. */
int netvsc_poll(struct netvsc *netvsc, unsigned int channel);
void netvsc_give_back(struct netvsc *netvsc);

/* A frame to send, with per-packet information. */
struct netvsc_tx {
	uint64_t gpa; /* of the frame */
	uint32_t len;
	const uint32_t *infos; /* type, value, type, value, ... */
	unsigned int info_count;
};

/* Writes an RNDIS data message's head; returns its length. */
uint32_t netvsc_head(void *head, const struct netvsc_tx *tx);
/* Head in guest memory at head_gpa (room for 512 bytes), the frame where it is. 0 or -EAGAIN. */
int netvsc_send(struct netvsc *netvsc, unsigned int channel, uint64_t id, uint64_t head_gpa,
		const struct netvsc_tx *tx);
/* `count` frames, copied into one section of the send buffer, with their heads. */
int netvsc_send_section(struct netvsc *netvsc, unsigned int channel, uint64_t id, uint32_t section,
			const struct netvsc_tx *tx, unsigned int count);

#endif

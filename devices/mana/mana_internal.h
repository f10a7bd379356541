#ifndef DEVICES_MANA_MANA_INTERNAL_H
#define DEVICES_MANA_MANA_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event_loop.h"
#include "core/net_backend.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_direct.h"
#include "proto/mana.h"

/*
 * What the parts of the emulated function share. Three locks, taken in this order: `lock` is for frames that come in, `sending`
 * for those that go out, both together for the driver's objects (commands, reset); so whoever has either finds these as they are.
 * `events` is for the completion and event queues (also taken by doorbells, inside or outside of the others). Sending and
 * receiving do not share one because what is sent may be answered, and the answer come in, before the send returns. Work queues'
 * tails are atomic: a doorbell stores and wakes the loop.
 */

struct pci_msix;

/* BAR 0: registers, the shared memory channel, doorbell pages. BAR 4: MSI-X. */
#define MANA_BAR_SIZE       0x20000u
#define MANA_SHM            0x1000u
#define MANA_DOORBELLS      0x10000u
#define MANA_DOORBELL_PAGES 16u
#define MANA_MSIX_BAR       4u
#define MANA_MSIX_SIZE      0x2000u
#define MANA_MSIX_PBA       0x1000u

/* Objects. Number 0 of each is the hardware channel's; its SQ and RQ are work queues 0 and 1. */
#define MANA_EQS     (MANA_FUNCTION_QUEUES + 2)
#define MANA_CQS     (2 * MANA_FUNCTION_QUEUES + 2)
#define MANA_WQS     (2 * MANA_FUNCTION_QUEUES + 2)
#define MANA_REGIONS (5 * MANA_FUNCTION_QUEUES + 8)
#define MANA_HWC_SQ  0u
#define MANA_HWC_RQ  1u

#define MANA_PD          1u
#define MANA_GPA_KEY     0x4D4Bu
#define MANA_VPORT       0x5000u /* handle */
#define MANA_WQ_HANDLE   0x6000u /* the first's */
#define MANA_DOORBELL    1u      /* page of the Ethernet device */
#define MANA_RING_PAGES  1024u   /* of any queue, at most */
#define MANA_LSO_MAX     (64u * 1024)
#define MANA_SGES_MAX    30u
#define MANA_RX_SGES_MAX 15u

/* Queue memory, by page. */
struct mana_ring {
	uint64_t *pages; /* addresses */
	uint32_t size;   /* bytes, a power of two, or for RQs a multiple of pages */
};

struct mana_eq {
	bool used, armed;
	struct mana_ring ring;
	uint32_t head; /* entries written, from the number of entries on */
	uint32_t tail; /* as the last doorbell said, modulo entries * 8 */
	uint32_t vector;
	uint32_t held_cq; /* of those that it is for, the last one with `held` */
};

struct mana_cq {
	bool used, armed;
	struct mana_ring ring;
	uint32_t head, tail;
	uint32_t eq;
	uint32_t
		held; /* completions that the driver will hear of later, though it has armed the queue */
};

struct mana_wq {
	bool used;
	uint32_t type; /* enum gdma_queue_type */
	struct mana_ring ring;
	uint32_t cq;
	uint32_t head; /* bytes consumed, modulo 2^32 */
	bool stuck;    /* broke the rules: nothing moves until it is destroyed */
	bool starved;  /* frames have waited long enough for it; while its tail is this one: */
	uint32_t starved_tail;
};

struct mana_region {
	bool used;
	struct mana_ring ring;
	uint32_t filled, page_count;
};

struct mana_steering {
	bool enabled, rss;
	uint32_t default_wq; /* MANA_WQS: none */
	uint8_t hash_types;  /* enum nic_hash_type */
	uint16_t entries;
	uint16_t table[MANA_INDIRECTION_MAX]; /* work queues */
	struct net_hash hash;
};

/* What the driver wants uncut. */
struct mana_uncut {
	uint32_t versions; /* MANA_UNCUT_*; 0: nothing */
	uint32_t max_len;
};

struct mana_stats {
	uint64_t rx_no_wqe, rx_disabled;
	uint64_t tx_invalid_oob, tx_gdma;
	struct nic_cast_stats rx[NIC_CASTS], tx[NIC_CASTS];
};

/* Frames that wait for buffers, each with its length before it; at most what a network gives in one read. */
struct mana_backlog {
	bool waiting; /* the network is paused; atomic */
	struct event_timer timer;
	size_t at, end;
	uint8_t bytes[2 * (NET_SEND_MAX + 4)];
};

struct mana {
	struct pci_function function;
	struct mana_function_config config;
	struct pci_config_space space;
	struct pci_msix *msix;
	struct pci_direct direct; /* if config.direct */

	pthread_mutex_t lock, sending;

	/* Both are needed to change these, but for what frames change. */
	uint8_t shm[SMC_SIZE];
	bool hwc_up;
	bool vport_tx; /* configured */
	struct mana_region regions[MANA_REGIONS];
	struct mana_wq wqs[MANA_WQS];
	uint32_t tails[MANA_WQS]; /* bytes posted: as the last doorbell said; atomic, no lock */
	struct mana_steering steering;
	struct mana_uncut uncut;
	struct mana_stats stats;
	uint64_t dma_bytes; /* atomic */
	uint8_t request[HWC_MESSAGE_MAX], response[HWC_MESSAGE_MAX];
	uint8_t frame[MANA_LSO_MAX + 512]; /* being sent; with `sending` */
	uint8_t received[MANA_LSO_MAX];    /* with `lock` */
	struct mana_backlog backlog;

	pthread_mutex_t events;
	struct mana_eq eqs[MANA_EQS];
	struct mana_cq cqs[MANA_CQS];
	struct event_timer held_timer;
	bool holding;  /* it is armed, or about to run; with `events` */
	bool in_place; /* a doorbell's writer sends; with `sending` */

	bool wake_posted; /* a run of the loop is on its way; atomic */
	bool started, dying;
	bool link_down; /* with `lock` */
};

static inline struct mana *mana_of(struct pci_function *function)
{
	return (struct mana *)((char *)function - offsetof(struct mana, function));
}

/* May it do DMA at all? */
bool mana_is_master(const struct mana *mana);

/* --- mana_ring.c: memory, work queue entries, completions, events */
int mana_dma_read(struct mana *mana, uint64_t address, void *buf, size_t len);
int mana_dma_write(struct mana *mana, uint64_t address, const void *buf, size_t len);
int mana_ring_init(struct mana_ring *ring, const uint64_t *pages, uint32_t size);
void mana_ring_free(struct mana_ring *ring);

/* A work queue entry, copied once and taken apart. */
struct mana_wqe {
	uint32_t offset; /* where it was in the queue, bytes */
	uint32_t size;
	bool oob_in_sgl;
	uint32_t data_unit;
	uint32_t oob_size;
	uint8_t oob[GDMA_OOB_LARGE];
	uint32_t sge_count;
	struct gdma_sge sges[MANA_SGES_MAX + 1];
};

/* The next entry of the queue: 0; -EAGAIN: none posted; -EPROTO: it cannot be, the queue is stuck. */
int mana_wq_peek(struct mana *mana, struct mana_wq *wq, struct mana_wqe *wqe);
void mana_wq_consume(struct mana_wq *wq, const struct mana_wqe *wqe);

void mana_complete(struct mana *mana, struct mana_wq *wq, const void *data);
void mana_complete_later(struct mana *mana, struct mana_wq *wq,
			 const void *data); /* no hurry to tell */
void mana_events_init(struct mana *mana);
void mana_events_fini(struct mana *mana);
void mana_event(struct mana *mana, uint32_t eq, uint8_t type, uint32_t detail);
void mana_cq_doorbell(struct mana *mana, uint32_t id, uint32_t tail, bool arm);
void mana_eq_doorbell(struct mana *mana, uint32_t id, uint32_t tail, bool arm);

/* --- mana_hwc.c: the shared memory channel and the hardware channel; with both locks */
void mana_smc_written(struct mana *mana);
void mana_hwc_run(struct mana *mana);
void mana_hwc_down(struct mana *mana);
void mana_hwc_tell_link(struct mana *mana); /* `lock` is enough */

/* --- mana_command.c: answers the request; returns the status; with both locks */
uint32_t mana_command(struct mana *mana, const struct gdma_req_hdr *hdr, size_t len);
void mana_objects_free(struct mana *mana);

/* --- mana_frames.c: with `sending`, on the loop or by who rings the doorbell */
void mana_send_frames(struct mana *mana);
void mana_send_frames_of(struct mana *mana, uint32_t wq);
extern const struct net_backend_client mana_backend_client;
/*
 * A frame from the network. False: its queue has no buffer, which is worth waiting for; never the last time. On the loop, with `lock`.
 */
bool mana_receive_frame(struct mana *mana, const uint8_t *frame, size_t len, bool last_time);

/* What the parts of receiving share, with `lock`. */
bool mana_is_ours(const struct mana *mana, const uint8_t *frame);
/* The work queue for the frame; MANA_WQS: nowhere. What it was chosen by goes to *flags (of a completion) and *hash. */
uint32_t mana_steer(const struct mana *mana, const uint8_t *bytes, const struct net_frame *frame,
		    uint32_t *flags, uint32_t *hash);
uint32_t mana_checksum_flags(uint16_t nic); /* from enum nic_rx_flag */
/* `frames` with `bytes` in all went to the address `to`. */
void mana_count_frames(struct nic_cast_stats stats[NIC_CASTS], const uint8_t *to, size_t frames,
		       size_t bytes);

/* --- mana_uncut.c: a send from the network; net_backend_client's receive_send(). On the loop. */
size_t mana_receive_send(void *ctx, const struct net_send *send, size_t mss);

/* --- mana_function.c: a run of the loop, soon; any thread */
void mana_wake(struct mana *mana);

/* --- mana_backlog.c: frames for which there was no buffer; with `lock`, on the loop */
void mana_backlog_init(struct mana *mana);
void mana_backlog_fini(struct mana *mana);
void mana_backlog_keep(struct mana *mana, const uint8_t *frame, size_t len);
void mana_backlog_run(struct mana *mana); /* there may be buffers */

/* Any thread. */
static inline bool mana_backlog_waits(const struct mana *mana)
{
	return __atomic_load_n(&mana->backlog.waiting, __ATOMIC_SEQ_CST);
}

/* There may be buffers, or nobody who is to have the frames any more. Any thread, with or without locks. */
static inline void mana_backlog_look(struct mana *mana)
{
	if (mana_backlog_waits(mana))
		mana_wake(mana);
}

#endif

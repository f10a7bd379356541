#ifndef DEVICES_NET_MANA_NIC_INTERNAL_H
#define DEVICES_NET_MANA_NIC_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event_loop.h"
#include "core/nic.h"
#include "core/pci_device.h"
#include "devices/net/mana_nic.h"
#include "proto/mana.h"

/*
 * What the parts of the driver share. The hardware channel and the function's objects are under
 * `control`, whose holder may wait for the device; a queue's data path belongs to its loop and takes
 * no lock.
 */

#define MANA_NIC_TX_DEPTH     256u /* frames of a queue under way */
#define MANA_NIC_RX_DEPTH     512u /* buffers posted */
#define MANA_NIC_SQ_BYTES     0x8000u
#define MANA_NIC_RQ_BYTES     0x8000u
#define MANA_NIC_EQ_BYTES     0x1000u
#define MANA_NIC_SGES         30u
#define MANA_NIC_BOUNCE_SLOTS 2u
#define MANA_NIC_BOUNCE_BYTES 0x8000u

/* A completion queue holds a completion of each entry that can be under way, and a fence. */
#define MANA_NIC_TX_CQ_BYTES 0x8000u
#define MANA_NIC_RX_CQ_BYTES 0x10000u

struct mana_nic;

/* Where the driver is in a completion or event queue: entries taken, from the number of them on. */
struct mana_nic_ring {
	uint8_t *base;
	uint64_t address;
	uint32_t bytes, entry;
	uint32_t entries; /* a power of two */
	uint32_t head;
	uint32_t id;
	uint8_t pass_shift; /* the same as a logarithm */
};

struct mana_nic_wq {
	uint8_t *base;
	uint64_t address;
	uint32_t bytes;
	uint32_t head, tail; /* bytes, modulo 2^32: posted, completed */
	uint32_t rung;       /* head as the device knows it */
	uint32_t id;
	uint64_t handle;
};

/* Counters of the function, since the driver began, though the function begins anew when it is reset. */
#define MANA_NIC_TALLIES (1u + 4u * NIC_CASTS)
struct mana_nic_tally {
	uint64_t before[MANA_NIC_TALLIES], last[MANA_NIC_TALLIES];
};

struct mana_nic_tx {
	struct nic_tx *tx;
	uint16_t size; /* of its entry */
	int8_t bounce; /* slot, or -1 */
};

struct mana_nic_rx {
	struct nic_rx *rx;
	uint16_t size;
};

/* An entry's scatter-gather list while it is made. */
struct mana_nic_list {
	struct gdma_sge sges[MANA_NIC_SGES];
	uint32_t count;
	int bounce; /* slot, -1: none */
};

/*
 * An interrupt may find nothing, when somebody has looked already. But a device that is armed with a tail that it does not
 * agree with interrupts at once, so one whose events cannot be seen would for ever.
 */
#define MANA_NIC_IDLE_MAX 1000u

/* Whether the device is looked at rather than asked for interrupts: mana_nic_poll.c. */
struct mana_nic_poll {
	bool on;     /* the timer is armed, the completion queue of received frames need not be */
	bool looked; /* since the timer was armed */
	unsigned int in_place; /* sends in a row that found received frames */
	unsigned int found;    /* looks that found some, since it is on */
	uint64_t wait_ns, not_before_ns;
	struct event_timer timer;
};

struct mana_nic_queue {
	struct mana_nic *mana;
	unsigned int index;
	struct pci_interrupt interrupt;

	/* The queue's loop's. */
	const struct nic_queue_client *client;
	void *ctx;
	struct event_loop *loop;
	bool started; /* the device has it */
	bool live;    /* and what it says is believed */
	/* The device has been asked for, and has not given: an event of the next completed send or received frame, an interrupt. */
	bool tx_armed, rx_armed, eq_armed;
	unsigned int idle; /* interrupts without an event, in a row */
	struct mana_nic_poll poll;
	struct pci_dma memory;
	struct mana_nic_ring eq, tx_cq, rx_cq;
	struct mana_nic_wq sq, rq;
	struct mana_nic_list list;
	struct mana_nic_tx tx[MANA_NIC_TX_DEPTH];
	struct mana_nic_rx rx[MANA_NIC_RX_DEPTH];
	unsigned int tx_first, tx_count, rx_first, rx_count;
	struct nic_tx *failed, **failed_end; /* not fit for the device: back at the next kick */
	uint8_t *bounce;
	uint64_t bounce_address;
	uint32_t bounce_used; /* bits */
	bool in_batch;

	/* Under `control`. */
	bool open;
	struct nic_stats stats; /* atomic */
};

/* The hardware channel; under `control`. */
struct mana_nic_hwc {
	struct pci_dma memory; /* EQ, CQ, RQ, SQ, request, response: a page each */
	struct mana_nic_ring eq, cq;
	struct mana_nic_wq sq, rq;
	uint32_t doorbell; /* page */
	uint32_t gpa_key;
	uint32_t activity;
	bool up, answered;
	uint32_t answer_len;
	unsigned int idle; /* as a queue's */
};

enum mana_nic_recovery {
	MANA_NIC_WELL,
	MANA_NIC_SUSPENDING, /* the queues' loops are letting go */
	MANA_NIC_RESUMING,
	MANA_NIC_DEAD,
};

/* Sends that the function does not cut. */
struct mana_nic_uncut {
	uint8_t versions; /* enum nic_uncut: as wanted */
	uint16_t max;
	bool refused; /* the function does not know of them */
	uint32_t
		believed; /* they come, of at most so many bytes; 0: it was not asked for since it is up; atomic */
};

struct mana_nic {
	struct nic nic;
	struct mana_nic_config config;

	pthread_mutex_t control;
	struct mana_nic_hwc hwc;
	struct pci_interrupt hwc_interrupt;
	uint64_t bar_bytes, doorbells, doorbell_bytes, shm;
	uint32_t doorbell, gpa_key, pdid; /* of the Ethernet device */
	uint64_t vport;
	uint16_t vport_offset;
	struct nic_receive receive; /* as wanted */
	bool receive_set;           /* as the device has it */
	bool link_told;             /* up: as the device says */
	bool to_vtl0;               /* where frames are wanted: another function's */
	struct mana_nic_uncut uncut;
	struct nic_info info;
	struct mana_nic_tally device; /* what the function counts */
	unsigned int waiting;         /* queues whose loops have not reported, during recovery */
	unsigned int attempts;
	struct event_timer retry;

	unsigned int recovery; /* enum mana_nic_recovery; atomic */
	bool failing;          /* recovery is on its way; atomic */
	bool hwc_events; /* the hardware channel's interrupt came, nobody has looked; atomic */

	pthread_mutex_t client_lock;
	const struct nic_client *client;
	void *client_ctx;
	bool link_up; /* as the client knows it */

	struct mana_nic_counters counters; /* atomic */
	struct mana_nic_queue queues[NIC_QUEUES];
};

static inline void mana_nic_count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Of a queue's, which has one writer. */
static inline void mana_nic_count_own(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* --- mana_nic_ring.c: what driver and device share in memory */
void mana_nic_ring_init(struct mana_nic_ring *ring, const struct pci_dma *dma, uint32_t offset,
			uint32_t bytes, uint32_t entry);
/* Copies the next entry: 1; 0: none; -EPROTO: the device has overrun it. */
int mana_nic_ring_take(struct mana_nic_ring *ring, void *entry);
uint32_t mana_nic_ring_tail(const struct mana_nic_ring *ring); /* for the doorbell */
void mana_nic_wq_init(struct mana_nic_wq *wq, const struct pci_dma *dma, uint32_t offset,
		      uint32_t bytes);
bool mana_nic_wq_has_room(const struct mana_nic_wq *wq, uint32_t size);
/* Writes an entry; room has been checked. Returns its size. */
uint32_t mana_nic_wq_post(struct mana_nic_wq *wq, uint32_t flags, uint32_t vbytes, const void *oob,
			  uint32_t oob_size, const struct gdma_sge *sges, uint32_t count);
static inline uint32_t mana_nic_wqe_size(uint32_t oob_size, uint32_t sges)
{
	return (8 + oob_size + sges * 16 + GDMA_WQE_UNIT - 1) & ~(GDMA_WQE_UNIT - 1);
}
void mana_nic_doorbell(struct mana_nic *mana, uint32_t page, uint32_t place, uint32_t id,
		       uint32_t tail, bool arm);

/* --- mana_nic_hwc.c: under `control` */
int mana_nic_hwc_create(struct mana_nic *mana);
void mana_nic_hwc_destroy(struct mana_nic *mana);
/*
 * Sends `req` (its header is filled in) and copies at most resp_len bytes of the answer. 0;
 * -ETIMEDOUT, -EPROTO: the device is not well; -EINVAL: it refused; -EOPNOTSUPP.
 */
int mana_nic_command(struct mana_nic *mana, uint32_t type, void *req, uint32_t len, void *resp,
		     uint32_t resp_len);
/* Lets go of `control`, after a look at what the device said unasked meanwhile. */
void mana_nic_release(struct mana_nic *mana);

/* --- mana_nic_setup.c: under `control` */
int mana_nic_setup(struct mana_nic *mana);
void mana_nic_teardown(struct mana_nic *mana);
int mana_nic_create_region(struct mana_nic *mana, uint64_t address, uint32_t bytes,
			   uint64_t *handle);
int mana_nic_send_filter(struct mana_nic *mana); /* to_vtl0 */
int mana_nic_steer(struct mana_nic *mana, const struct nic_receive *receive);
int mana_nic_send_uncut(struct mana_nic *mana); /* 0 also when the function does not know of it */

/* --- mana_nic_queue.c: on the queue's loop */
int mana_nic_queue_open(struct nic *nic, unsigned int index, struct event_loop *loop,
			const struct nic_queue_client *client, void *ctx);
void mana_nic_queue_close(struct nic *nic, unsigned int index);
int mana_nic_queue_start(struct mana_nic_queue *queue);   /* takes `control` */
void mana_nic_queue_forget(struct mana_nic_queue *queue); /* the function was reset */

/* --- mana_nic_data.c: on the queue's loop */
int mana_nic_tx(struct nic *nic, unsigned int index, struct nic_tx *tx);
int mana_nic_rx_post(struct nic *nic, unsigned int index, struct nic_rx *rx);
void mana_nic_kick(struct nic *nic, unsigned int index);
void mana_nic_interrupt(struct pci_interrupt *interrupt);
/* Gives the client what has been completed; true: received frames were among it. The queue may not be live any more. */
bool mana_nic_look(struct mana_nic_queue *queue);
void mana_nic_arm(struct mana_nic_queue *queue); /* what has to be */
void mana_nic_repost(struct mana_nic_queue *queue);
void mana_nic_return_tx(struct mana_nic_queue *queue, int err);
void mana_nic_return_rx(struct mana_nic_queue *queue);
struct mana_nic_rx mana_nic_take_rx(struct mana_nic_queue *queue); /* the first that is posted */
uint16_t mana_nic_rx_flags(uint32_t flags);                        /* of a completion */

/* --- mana_nic_uncut.c: on the queue's loop. 0, or -EPROTO: it cannot be. */
int mana_nic_deliver_uncut(struct mana_nic_queue *queue, const struct mana_rx_uncut_comp *comp);

/* --- mana_nic_poll.c: on the queue's loop */
void mana_nic_poll_init(struct mana_nic_queue *queue);
void mana_nic_poll_end(struct mana_nic_queue *queue); /* also when it is not on */
/* The queue was looked at, after a send's doorbell or because this is on; were there received frames? */
void mana_nic_poll_looked(struct mana_nic_queue *queue, bool found);

/* --- mana_nic.c: recovery. Any thread. */
void mana_nic_fail(struct mana_nic *mana, const char *why);
void mana_nic_link_event(struct mana_nic *mana, bool up); /* with `control` */

#endif

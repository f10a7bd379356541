#ifndef DEVICES_STORAGE_NVME_INTERNAL_H
#define DEVICES_STORAGE_NVME_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/disk.h"
#include "core/event_loop.h"
#include "core/pci_device.h"
#include "devices/storage/nvme.h"
#include "devices/storage/nvme_ring.h"
#include "proto/nvme.h"

/*
 * Shared by the NVMe driver's own files only.
 *
 * Threads: a queue belongs to its loop's thread, everything else to the driver's ("driver's
 * thread"), but for what is marked atomic or guarded by nvme->lock. They talk by posts.
 */

#define NVME_DEFAULT_DEPTH    128u
#define NVME_DEPTH_MAX        1024u
#define NVME_DEFAULT_IO_MS    30000u
#define NVME_DEFAULT_ADMIN_MS 10000u
#define NVME_QUEUES_MAX       256u
#define NVME_TABLE_SIZE       512u /* loops: a power of two above that */
#define NVME_ADMIN_ENTRIES    32u
#define NVME_NAMESPACES_MAX   256u

/*
 * A slot's piece of device-visible memory holds a PRP list or a Dataset Management range: 32 pages
 * beside the one in PRP 1 are 128 KiB at any alignment, so 256 bytes a slot rather than a page.
 */
#define NVME_CHUNK_SIZE   256u
#define NVME_CHUNK_PRPS   (NVME_CHUNK_SIZE / 8)
#define NVME_TRANSFER_MAX (NVME_CHUNK_PRPS * NVME_PAGE_SIZE)
#define NVME_BOUNCE_SIZE  16384u
#define NVME_BOUNCE_COUNT 8u
#define NVME_TICKS        4u /* a timeout is at least that many ticks of the queue's timer */
#define NVME_TICK_MAX_NS  1000000000ull /* what a lost interrupt costs at most */
#define NVME_RETRIES_MAX  3u
#define NVME_REPLAYS_MAX  2u
#define NVME_NO_BOUNCE    0xFF

/*
 * A command identifier is the slot's index, and above it a count of the slot's uses: a second answer
 * to a command is then not taken for the first to its successor.
 */
#define NVME_CID_SLOT(cid) ((cid)&0x3FF)
#define NVME_CID_USE       0x400u

struct nvme_queue;
struct nvme_namespace;

/* Where in a request's segments a transfer has come to. */
struct nvme_cursor {
	unsigned int segment;
	uint64_t offset;
};

/* A request under way: one or more commands. */
struct nvme_io {
	struct disk_request *request;
	struct nvme_namespace *ns;
	struct nvme_io *next; /* when it is free */
	struct nvme_cursor cursor;
	uint64_t sector, left; /* of which no command was made yet */
	unsigned int commands; /* under way */
	int err;               /* the first */
	bool unissued;         /* a flush, say: has no sectors, wants a command */
};

/* A command that is under way or could be. */
struct nvme_slot {
	struct nvme_io *io;        /* NULL: free */
	struct nvme_sqe sqe;       /* its cid is kept from use to use */
	struct nvme_cursor cursor; /* of bounced data */
	uint32_t bytes;
	uint32_t tick;
	uint16_t next_free;
	uint8_t bounce; /* index of the buffer, or NVME_NO_BOUNCE */
	uint8_t retries, replays;
	bool aborting;
};

enum nvme_queue_state {
	NVME_QUEUE_NEW,     /* has no queue of the controller */
	NVME_QUEUE_WAITING, /* has asked the driver's thread for one */
	NVME_QUEUE_READY,
	NVME_QUEUE_FORWARD, /* there is none for it: `target` gets what comes */
	NVME_QUEUE_DEAD,    /* requests end with `err` */
};

/* What a loop has. */
struct nvme_queue {
	struct nvme *nvme;
	struct event_loop *loop;
	enum nvme_queue_state state;
	int err;
	uint16_t qid;        /* 0: none yet, or it forwards */
	uint32_t generation; /* of the controller's life that the queue was created in */
	struct nvme_queue *target;

	struct nvme_ring ring;
	struct pci_dma dma;
	uint8_t *chunks; /* one for each slot */
	uint64_t chunks_address;
	struct pci_interrupt interrupt;
	uint16_t vector;
	bool bound;

	struct nvme_slot *slots;
	uint16_t slot_count, free_slot; /* free_slot == slot_count: none */
	unsigned int in_flight;
	struct nvme_io *ios, *free_ios;
	struct nvme_io *issuing; /* has commands to make and had no room; others wait behind it */
	struct disk_request *waiting, **waiting_tail;
	struct event_deferred doorbell; /* rung once for all that a run of the loop brings */
	bool broken; /* the controller made no sense: nothing it says counts until the reset */

	struct pci_dma bounce;
	uint8_t bounce_free; /* a bit a buffer */

	struct event_timer timer;
	uint64_t tick_ns;
	uint32_t tick, timeout_ticks;
	bool timer_armed;

	struct nvme_counters counters; /* written here only, atomic */
	struct nvme_queue *next;       /* of nvme->queues */
	struct nvme_queue *next_wanted;
};

struct nvme_namespace {
	struct disk disk;
	struct nvme *nvme;
	uint32_t nsid;
	uint32_t sector_shift; /* atomic, like what follows: also read on the fast path */
	uint64_t sectors;
	int gone;              /* 0 or the errno that requests get */
	struct disk_info info; /* nvme->lock */
	struct nvme_namespace *next;
};

/* An admin command that is waited for. */
struct nvme_admin_slot {
	bool busy;
	bool done;
	bool is_event;  /* an Asynchronous Event Request */
	bool abandoned; /* nobody waits any more */
	uint16_t cid;   /* kept from use to use, as that of struct nvme_slot */
	uint16_t status;
	uint32_t result;
};

struct nvme_abort {
	uint16_t qid, cid;
};

enum nvme_state {
	NVME_STARTING,
	NVME_LIVE,
	NVME_RECOVERING,
	NVME_FAILED, /* for good; nvme->err */
	NVME_STOPPED,
};

struct nvme {
	struct nvme_config config;
	char name[32];
	struct pci_device_access *pci;
	pthread_t thread;
	struct event_loop *loop; /* of the driver's thread */
	sem_t started, shut_down;
	sem_t queue_closed; /* not a post: a loop that is done with us touches ours no more */
	int start_err;

	uint32_t state;      /* enum nvme_state; atomic */
	uint32_t generation; /* atomic: counts resets */
	int err;             /* for what comes once it failed or stopped; atomic */

	/* What the controller is. */
	uint64_t cap;
	uint16_t entries; /* of an I/O queue */
	uint32_t max_transfer;
	uint16_t oacs, oncs;
	uint32_t oaes;
	uint8_t vwc;
	bool host_known; /* the controller has our identifier, and reservations */
	uint16_t awupf;
	uint16_t vendor;
	uint32_t nn, version;
	uint32_t shutdown_ms;
	char serial[21], model[41];

	/* The admin queue. */
	struct nvme_ring admin;
	struct pci_dma admin_dma; /* queues, then a page for data */
	void *data;
	uint64_t data_address;
	struct pci_interrupt admin_interrupt;
	struct nvme_admin_slot admin_slots[NVME_ADMIN_ENTRIES - 1];
	bool event_asked, event_came;
	uint32_t event;        /* dword 0 */
	struct pci_dma shadow; /* two pages, or none */

	/* To be done by the driver's thread. */
	bool reset_wanted, rescan_wanted, check_wanted, shutdown_wanted, stop_wanted, ended;
	uint32_t reset_asked;      /* atomic: somebody has posted it */
	struct nvme_queue *wanted; /* queues to be created */
	struct nvme_abort aborts[8];
	unsigned int abort_count;
	void (*stopped)(void *ctx);
	void *stopped_ctx;

	pthread_mutex_t lock;
	struct nvme_queue *queues;
	struct nvme_queue *table[NVME_TABLE_SIZE]; /* by loop; entries are atomic, set once */
	unsigned int queue_count, hardware_queues, hardware_limit;
	uint64_t dma_bytes; /* atomic */
	struct nvme_namespace *namespaces;
	struct nvme_counters counters; /* of the driver's thread */
};

/* Adds to a counter that one thread writes and others read. */
static inline void nvme_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline enum nvme_state nvme_state(const struct nvme *nvme)
{
	return __atomic_load_n(&nvme->state, __ATOMIC_ACQUIRE);
}

/* --- nvme.c: the driver's thread */

/* Runs fn(ctx) on a loop's thread, waiting for memory if there is none. Any thread. */
void nvme_post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx);

/* Has the controller reset, once for any number of calls until it is. Any thread. */
void nvme_request_reset(struct nvme *nvme, const char *why);

/* Counted device-visible memory. Any thread. */
int nvme_dma_alloc(struct nvme *nvme, size_t len, struct pci_dma *dma);
void nvme_dma_free(struct nvme *nvme, struct pci_dma *dma);

/* --- nvme_admin.c: driver's thread, not from handlers */

int nvme_admin_init(struct nvme *nvme);
void nvme_admin_fini(struct nvme *nvme);

/* Forgets commands under way, when the controller has been disabled. */
void nvme_admin_reset(struct nvme *nvme);

/*
 * Sends a command and waits for it. 0; a status (enum nvme_status) above 0; -ETIMEDOUT; -ENODEV: the
 * function is gone. result: dword 0, may be NULL.
 */
int nvme_admin_execute(struct nvme *nvme, struct nvme_sqe *sqe, uint32_t *result);

/* The same, and any status but success is -EIO. */
int nvme_admin_call(struct nvme *nvme, struct nvme_sqe *sqe, uint32_t *result);

/* Identify into nvme->data. */
int nvme_admin_identify(struct nvme *nvme, uint8_t cns, uint32_t nsid);
/* Feature 81h (5.21.1.19), which reservations need. 0 or -errno. */
int nvme_admin_set_host_id(struct nvme *nvme, uint64_t id);
int nvme_admin_set_feature(struct nvme *nvme, uint8_t feature, uint32_t value, uint32_t *result);
int nvme_admin_create_queue(struct nvme *nvme, struct nvme_queue *queue);
void nvme_admin_abort(struct nvme *nvme, const struct nvme_abort *abort);

/* Asks for an event, unless that is under way; reads the log of one that came, which clears it. */
void nvme_admin_ask_event(struct nvme *nvme);
void nvme_admin_clear_event(struct nvme *nvme);

/* --- nvme_controller.c: registers; driver's thread, not from handlers */

/* Whether the function still answers. Any thread. */
bool nvme_controller_present(struct nvme *nvme);
bool nvme_controller_fatal(struct nvme *nvme);

/* Reads CAP and prepares the function. 0, -ENODEV, -ENOTSUP. */
int nvme_controller_probe(struct nvme *nvme);
int nvme_controller_disable(struct nvme *nvme);

/* From disabled to a running admin queue, features set. */
int nvme_controller_enable(struct nvme *nvme);
void nvme_controller_shutdown(struct nvme *nvme);

/* No DMA from here on, as far as that is in our hands. */
void nvme_controller_silence(struct nvme *nvme);

/* --- nvme_namespace.c */

/* Finds namespaces anew: 0, -errno; *changed is set when something did. Driver's thread. */
int nvme_namespaces_scan(struct nvme *nvme, bool *changed);

/* All of them end requests with err. */
void nvme_namespaces_fail(struct nvme *nvme, int err);
void nvme_namespaces_destroy(struct nvme *nvme);

/* --- nvme_queue.c */

/* The queue of a loop, made if it has none; NULL when out of memory. Loop's thread. */
struct nvme_queue *nvme_queue_of(struct nvme *nvme, struct event_loop *loop);
void nvme_queue_destroy(struct nvme_queue *queue);

/* Takes a request, which request->disk is set for. Queue's thread. */
void nvme_queue_submit(struct nvme_queue *queue, struct disk_request *request);

/* Posted by the driver's thread: the queue exists, cannot be had, was lost, will never be again. */
void nvme_queue_created(void *queue);
void nvme_queue_refused(void *queue);
void nvme_queue_lost(void *queue);
void nvme_queue_failed(void *queue);
void nvme_queue_close(void *queue);

/* Handles what the controller has completed; returns how many commands. Queue's thread. */
unsigned int nvme_queue_poll(struct nvme_queue *queue);

/* --- nvme_issue.c: requests to commands. Queue's thread. */

/* Makes commands for the request until it has all or there is no room (-EAGAIN); 0 or -errno. */
int nvme_issue(struct nvme_queue *queue, struct nvme_io *io);

/* nvme_reservation.c: `data` is a slot's NVME_CHUNK_SIZE bytes, or a copy of them. */
void nvme_reservation_command(const struct disk_reservation *reservation, struct nvme_sqe *sqe,
			      void *data);
void nvme_reservation_report(const void *data, struct disk_reservation *reservation);

/* Done with the slot's data: copies it to where it belongs. 0 or -EFAULT. */
int nvme_issue_finish(struct nvme_queue *queue, struct nvme_slot *slot);
struct nvme_slot *nvme_slot_take(struct nvme_queue *queue);
void nvme_slot_free(struct nvme_queue *queue, struct nvme_slot *slot);
void nvme_slot_send(struct nvme_queue *queue, struct nvme_slot *slot);

/* --- nvme_prp.c */

/*
 * Pages for at most `max` bytes of the request from the cursor on, a multiple of 1 << shift bytes:
 * returns how many, advancing the cursor, or 0 when not even one sector can be reached without a
 * copy, or -EFAULT. `chunk` receives the list.
 */
int64_t nvme_prp_build(struct pci_device_access *pci, const struct disk_request *request,
		       struct nvme_cursor *cursor, uint64_t max, unsigned int shift,
		       struct nvme_sqe *sqe, uint64_t *chunk, uint64_t chunk_address);

/* For a buffer that is contiguous and begins on a page. */
void nvme_prp_contiguous(struct nvme_sqe *sqe, uint64_t address, uint64_t len, uint64_t *chunk,
			 uint64_t chunk_address);

/* Copies between a buffer and the request's memory from the cursor on, advancing it. 0 or -EFAULT. */
int nvme_copy(const struct guest_memory *memory, const struct disk_request *request,
	      struct nvme_cursor *cursor, void *buffer, uint64_t len, bool to_guest);

/* Moves the cursor on, within the segments. */
void nvme_cursor_advance(const struct disk_request *request, struct nvme_cursor *cursor,
			 uint64_t len);

/* --- nvme_status.c */

/* A completion's status as struct disk_request has it. */
int nvme_status_errno(uint16_t status);

/* Whether the same command may fare better. */
bool nvme_status_passing(uint16_t status);

#endif

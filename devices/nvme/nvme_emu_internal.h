#ifndef DEVICES_NVME_NVME_EMU_INTERNAL_H
#define DEVICES_NVME_NVME_EMU_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/pci_function.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/nvme/nvme_emu_fault.h"
#include "devices/pci/pci_config_space.h"
#include "proto/nvme.h"

/*
 * Between the files of the emulator. Who owns what:
 *
 * A lane is a worker thread (or, without threads, whoever rings the doorbell) with its queues. Its
 * lock is held while it executes commands; everything of its submission and completion queues that
 * is not marked atomic is guarded by it. Lane 0 is the admin queue's; its lock guards the admin
 * state too, and is taken before that of another lane. A namespace's lock comes after all lanes',
 * nvme_emu.lock after that.
 */

#define NVME_EMU_MAX_ENTRIES     1024u /* of a queue */
#define NVME_EMU_MDTS            8u
#define NVME_EMU_MAX_TRANSFER    ((uint64_t)NVME_PAGE_SIZE << NVME_EMU_MDTS)
#define NVME_EMU_MAX_PIECES      1024u /* of guest memory in one transfer: what preadv() takes */
#define NVME_EMU_MAX_EVENTS      4u    /* outstanding asynchronous event requests */
#define NVME_EMU_ERROR_ENTRIES   16u
#define NVME_EMU_MAX_SHARERS     8u
#define NVME_EMU_MAX_REGISTRANTS 16u
#define NVME_EMU_FIRMWARE        "1.0     "
#define NVME_EMU_DONE_LATER      0xFFFFu /* no status: a command that is answered later or never */

struct nvme_emu_lane;
struct pci_msix;

/* Guest memory of a transfer. */
struct nvme_emu_data {
	struct iovec pieces[NVME_EMU_MAX_PIECES];
	unsigned int count;
	uint64_t len;
};

/* Completion queue. */
struct nvme_emu_cq {
	uint32_t limit; /* atomic: entries; 0: there is no such queue */
	uint32_t head;  /* atomic: the driver's */
	uint32_t tail;  /* atomic, the lane's */
	bool stalled;   /* atomic: the lane waits for room */

	struct nvme_emu_lane *lane; /* fixed while limit is not 0, as the next four */
	uint8_t *ring;
	uint16_t id;
	uint16_t vector;
	bool interrupts;
	uint32_t *shadow, *event; /* doorbell buffers; NULL: none */
	bool phase;
	bool raise;         /* completions that no interrupt has told of yet */
	unsigned int users; /* submission queues; lane 0's */
};

/* Submission queue. */
struct nvme_emu_sq {
	uint32_t limit; /* atomic: entries; 0: there is no such queue */
	uint32_t tail;  /* atomic: the driver's */

	struct nvme_emu *emu; /* fixed */
	uint16_t id;
	struct nvme_emu_lane *lane; /* fixed while limit is not 0, as the next three */
	struct nvme_emu_cq *cq;
	uint8_t *ring;
	uint32_t *shadow, *event;
	uint32_t head;
	struct nvme_emu_sq *next; /* of the lane */

	/* Atomic, the lane counts: for the SMART log. */
	uint64_t reads, writes, bytes_read, bytes_written;
};

/* A command that is answered later or never. */
struct nvme_emu_held {
	struct nvme_emu_held *next;
	struct nvme_emu_sq *sq;
	struct nvme_cqe cqe;
	uint64_t due_ns;       /* UINT64_MAX: never by itself */
	const void *waits_for; /* what nvme_emu_hold_for() was told, or NULL */
};

struct nvme_emu_lane {
	struct nvme_emu *emu;
	unsigned int index;
	pthread_mutex_t lock;
	pthread_t thread;
	int wake_fd;   /* eventfd; -1: without a thread */
	bool sleeping; /* atomic: needs wake_fd */
	bool work;     /* atomic: somebody woke it */
	struct nvme_emu_sq *queues;
	struct nvme_emu_held *held;
	struct nvme_emu_data data; /* of the command in hand */

	/* Of a lane with a thread: see end_of_work(). */
	unsigned int commands; /* executed since it last slept */
	unsigned int singles;  /* wakes without company, or with impatience, in a row */
	unsigned int impatience;
	bool patient;
};

/* What asynchronous events are due (by bit); each is of a type that can be masked. */
enum nvme_emu_event {
	NVME_EMU_EVENT_DOORBELL_REGISTER,
	NVME_EMU_EVENT_DOORBELL_VALUE,
	NVME_EMU_EVENT_NS_CHANGED,
	NVME_EMU_EVENT_COUNT,
};

/* What the admin queue's lane knows. Its lock. */
struct nvme_emu_admin {
	uint16_t event_cids[NVME_EMU_MAX_EVENTS]; /* requests that wait for an event */
	unsigned int event_requests;
	uint8_t masked_types;  /* events of this type wait until the log page has been read */
	uint32_t features[16]; /* by identifier */
	unsigned int sq_granted, cq_granted;
	uint64_t timestamp_ms, timestamp_set_ns;
	bool timestamp_by_host;
	void *shadow, *event; /* doorbell buffers; NULL: not configured */
};

/* The thread for flushes; without it (`runs`) they are done by the lanes. */
struct nvme_emu_flusher {
	pthread_t thread;
	bool runs; /* fixed */

	pthread_mutex_t lock;   /* guards the rest; taken after a lane's */
	pthread_cond_t changed; /* any of it */
	struct nvme_emu_flush *first, **last;
	struct nvme_emu_namespace *busy; /* what is being flushed */
	bool quit;
};

struct nvme_emu {
	struct pci_function function;
	struct pci_config_space space;
	struct pci_msix *msix;
	struct nvme_emu_config config;

	/* Registers and what any thread leaves for lane 0. */
	pthread_mutex_t lock;
	uint32_t cc, aqa;
	uint64_t asq, acq;
	uint32_t csts; /* atomic too */
	bool disable;  /* CC.EN went to 0 */
	bool shutdown; /* CC.SHN was set */
	uint32_t events;
	uint64_t changed; /* namespaces, by bit */
	struct nvme_emu_namespace *dying[NVME_EMU_MAX_NAMESPACES];
	struct nvme_error_log errors[NVME_EMU_ERROR_ENTRIES];
	uint64_t error_count;
	uint8_t host_id[16];
	struct nvme_emu_fault faults[NVME_EMU_MAX_FAULTS];
	unsigned int fault_count;
	uint64_t fault_hits;

	bool faulty;      /* atomic: fault_count is not 0 */
	bool stop;        /* atomic: lanes take no more commands */
	bool quit;        /* atomic: threads end */
	bool running;     /* atomic, lane 0's: the controller is enabled */
	bool write_cache; /* atomic */
	bool eventfds;    /* atomic: doorbell buffers are configured */
	uint64_t power_on_ns;
	uint64_t power_cycles;

	struct nvme_emu_admin admin;
	struct nvme_emu_namespace *namespaces[NVME_EMU_MAX_NAMESPACES]; /* atomic, by nsid - 1 */
	struct nvme_emu_sq sqs[1 + NVME_EMU_MAX_IO_QUEUES];
	struct nvme_emu_cq cqs[1 + NVME_EMU_MAX_IO_QUEUES];
	struct nvme_emu_flusher flusher;
	unsigned int lane_count; /* with lane 0 */
	struct nvme_emu_lane *lanes;
};

/* --- nvme_emu_lane.c: threads; queues begin and end */

int nvme_emu_lanes_create(struct nvme_emu *emu);
void nvme_emu_lanes_destroy(struct nvme_emu *emu);

/* Any thread. In a configuration without threads the lane runs at the next nvme_emu_kick(). */
void nvme_emu_wake(struct nvme_emu_lane *lane);
void nvme_emu_wake_all(struct nvme_emu *emu);

/* One that leaves signals to the process's other threads. 0 or -errno. */
int nvme_emu_start_thread(pthread_t *thread, void *(*fn)(void *ctx), void *ctx);

/* At the end of whatever came from outside, without locks: runs lanes that have no thread. */
void nvme_emu_kick(struct nvme_emu *emu);

/* After any lane's command that began before: as if every lane paused once. With lane 0's lock. */
void nvme_emu_wait_lanes(struct nvme_emu *emu);

/* With lane 0's lock: stops every queue; held commands are forgotten. */
void nvme_emu_drop_queues(struct nvme_emu *emu);

/* With lane 0's lock. The queues do not exist, the rings are RAM, parameters valid. */
void nvme_emu_start_cq(struct nvme_emu *emu, uint16_t id, uint8_t *ring, uint32_t entries,
		       uint16_t vector, bool interrupts);
void nvme_emu_start_sq(struct nvme_emu *emu, uint16_t id, uint16_t cq, uint8_t *ring,
		       uint32_t entries);
void nvme_emu_stop_cq(struct nvme_emu *emu, uint16_t id);
void nvme_emu_stop_sq(struct nvme_emu *emu, uint16_t id);

/* With lane 0's lock: points every I/O queue at its places in the doorbell buffers. */
void nvme_emu_set_shadows(struct nvme_emu *emu);

/* With lane 0's lock. True when the command was held: it is answered as aborted. */
bool nvme_emu_abort(struct nvme_emu *emu, uint16_t sqid, uint16_t cid);

static inline bool nvme_emu_stopped(const struct nvme_emu *emu)
{
	return __atomic_load_n(&emu->stop, __ATOMIC_RELAXED);
}

/* --- nvme_emu_ring.c: what is in guest memory of a queue. All with its lane's lock. */

uint32_t nvme_emu_next_entry(uint32_t at, uint32_t limit);

/* The driver's tail; one that is nonsense changes nothing. */
uint32_t nvme_emu_submission_tail(struct nvme_emu_sq *sq);

/* From now on the driver is to ring the register when its value passes `at` (7.13). */
void nvme_emu_ask_for_doorbell(struct nvme_emu *emu, uint32_t *event, uint32_t at);

/* Points a queue at its places in the doorbell buffers, if there are any. */
void nvme_emu_shadow_sq(struct nvme_emu *emu, struct nvme_emu_sq *sq);
void nvme_emu_shadow_cq(struct nvme_emu *emu, struct nvme_emu_cq *cq);

/* Is there room for a completion; posts one, when there is; tells of what was posted. */
bool nvme_emu_has_room(struct nvme_emu_cq *cq);
void nvme_emu_complete(struct nvme_emu_sq *sq, uint16_t cid, uint16_t status, uint32_t result);
void nvme_emu_interrupt(struct nvme_emu *emu, struct nvme_emu_cq *cq);

/* --- nvme_emu_command.c: commands from submission to completion. All with the lane's lock. */

/* Some commands of a queue. False when there was none that could be had. */
bool nvme_emu_run_queue(struct nvme_emu_sq *sq);

/*
 * A command that is answered when what it waits for, by which it is known, says so. False without
 * memory; and when a reset, an abort or the end of its queue came first: it is not there any more.
 */
bool nvme_emu_hold_for(struct nvme_emu_sq *sq, uint16_t cid, const void *what);
bool nvme_emu_answer_held(struct nvme_emu_lane *lane, const void *what, uint16_t status);

/* Answers held commands that are due; forgets those of a queue, or all (NULL); time to the next. */
bool nvme_emu_release_held(struct nvme_emu_lane *lane);
void nvme_emu_forget_held(struct nvme_emu_lane *lane, const struct nvme_emu_sq *sq);
int nvme_emu_wait_ms(const struct nvme_emu_lane *lane);

/* --- nvme_emu_registers.c: BAR 0 */

uint64_t nvme_emu_register_read(struct nvme_emu *emu, uint64_t offset, unsigned int size);
void nvme_emu_register_write(struct nvme_emu *emu, uint64_t offset, unsigned int size,
			     uint64_t value);

/* With lane 0's lock: what the registers asked for; disable also is what a reset does. */
void nvme_emu_control(struct nvme_emu *emu);
void nvme_emu_disable(struct nvme_emu *emu);

/* CSTS.CFS: the controller is broken until a reset. Any thread. */
void nvme_emu_fatal(struct nvme_emu *emu);

/* --- nvme_emu_admin.c, nvme_emu_queues.c, nvme_emu_identify.c, nvme_emu_features.c, nvme_emu_logs.c */

/* Each with lane 0's lock; returns a status. */
uint16_t nvme_emu_admin(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result);
uint16_t nvme_emu_create_cq(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_create_sq(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_delete_cq(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_delete_sq(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_doorbell_buffers(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_identify(struct nvme_emu *emu, const struct nvme_sqe *sqe);
uint16_t nvme_emu_set_features(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result);
uint16_t nvme_emu_get_features(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result);
void nvme_emu_reset_features(struct nvme_emu *emu);
uint16_t nvme_emu_get_log_page(struct nvme_emu *emu, const struct nvme_sqe *sqe);

/* Answers event requests while there are events. */
void nvme_emu_deliver_events(struct nvme_emu *emu);

/* Any thread: something to tell the driver; a namespace has changed. Lane 0 must be kicked. */
void nvme_emu_event(struct nvme_emu *emu, enum nvme_emu_event event);
void nvme_emu_namespace_changed(struct nvme_emu *emu, uint32_t nsid);

/* Any thread: remembers a failed command (sqid 0xFFFF: none) for the error log. */
void nvme_emu_log_error(struct nvme_emu *emu, uint16_t sqid, const struct nvme_sqe *sqe,
			uint16_t status);

/* --- nvme_emu_io.c */

/* With the lane's lock. Returns a status. */
uint16_t nvme_emu_io(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe);

/* The status of a write or flush that ended with 0 or -errno. */
uint16_t nvme_emu_write_status(int err);

/* Namespace nsid, or NULL. Valid while a lane's lock is held. */
struct nvme_emu_namespace *nvme_emu_find_namespace(struct nvme_emu *emu, uint32_t nsid);

/* --- nvme_emu_flush.c */

void nvme_emu_flusher_init(struct nvme_emu *emu);
int nvme_emu_flusher_start(struct nvme_emu *emu);
/* After what is queued is done; lanes are still there. */
void nvme_emu_flusher_destroy(struct nvme_emu *emu);

/* With the lane's lock: the command is held until the namespace was flushed. False: flush it now. */
bool nvme_emu_flush_later(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			  const struct nvme_sqe *sqe);

/* Without locks, when no lane finds the namespace any more: until no flush uses it. */
void nvme_emu_flush_wait(struct nvme_emu *emu, const struct nvme_emu_namespace *ns);

/* --- nvme_emu_data.c: PRPs and SGLs */

/* Finds the guest memory of a command that transfers len bytes. Returns a status. */
uint16_t nvme_emu_map(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint64_t len,
		      struct nvme_emu_data *data);

/* Control structures to and from guest memory; `data` is working space. Returns a status. */
uint16_t nvme_emu_copy_out(struct nvme_emu *emu, const struct nvme_sqe *sqe, const void *buf,
			   uint64_t len, struct nvme_emu_data *data);
uint16_t nvme_emu_copy_in(struct nvme_emu *emu, const struct nvme_sqe *sqe, void *buf, uint64_t len,
			  struct nvme_emu_data *data);

/* --- nvme_emu_reservation.c */

struct nvme_emu_registrant {
	const struct nvme_emu *emu; /* what it registered through: compared, not followed */
	uint16_t controller_id;
	uint8_t host_id[16];
	uint64_t key;
};

/* Of a namespace, guarded by its lock. Registrant 0 to count - 1. */
struct nvme_emu_reservation {
	struct nvme_emu_registrant registrants[NVME_EMU_MAX_REGISTRANTS];
	unsigned int count;
	uint8_t type; /* atomic too: enum nvme_reservation_type */
	uint8_t holder_id[16];
	const struct nvme_emu *holder;
	uint32_t generation;
};

/* Lane's lock. Returns a status. */
uint16_t nvme_emu_reservation_command(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
				      const struct nvme_sqe *sqe);
/* With the namespace's lock: what was registered through a controller that leaves it. */
void nvme_emu_reservation_forget(struct nvme_emu_namespace *ns, const struct nvme_emu *emu);
bool nvme_emu_reservation_allows(struct nvme_emu *emu, struct nvme_emu_namespace *ns, bool write);

/* --- nvme_emu_namespace.c: namespaces and what backs them */

struct nvme_emu_sharer {
	struct nvme_emu *emu;
	uint32_t nsid;
};

/* What backs a namespace. Offsets and lengths in bytes, inside it. 0 or -errno. */
struct nvme_emu_backing_ops {
	int (*read)(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset);
	int (*write)(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset);
	int (*flush)(struct nvme_emu_namespace *ns);
	/* Reads as zeroes afterwards (zero), or may (discard); what is not supported is no error. */
	int (*zero)(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len, bool deallocate);
	int (*discard)(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len);
};

struct nvme_emu_namespace {
	const struct nvme_emu_backing_ops *ops;
	struct nvme_emu_namespace_config config;
	unsigned int refs; /* atomic */
	unsigned int shift;
	uint64_t blocks; /* atomic */
	bool is_device;
	bool in_memory; /* no disk is behind it */
	uint8_t *memory;

	pthread_mutex_t flush_lock; /* held during a flush; taken after a lane's */
	bool lost_writes; /* a flush failed; what it was to save cannot be saved any more */

	pthread_mutex_t lock; /* guards the rest */
	struct nvme_emu_sharer sharers[NVME_EMU_MAX_SHARERS];
	unsigned int sharer_count;
	struct nvme_emu_reservation reservation;
};

extern const struct nvme_emu_backing_ops nvme_emu_file_backing, nvme_emu_memory_backing;

void nvme_emu_namespace_get(struct nvme_emu_namespace *ns);
int nvme_emu_namespace_share(struct nvme_emu_namespace *ns, struct nvme_emu *emu, uint32_t nsid);
void nvme_emu_namespace_unshare(struct nvme_emu_namespace *ns, struct nvme_emu *emu);

/* resize() without the kick, for lanes. */
int nvme_emu_namespace_set_size(struct nvme_emu_namespace *ns, uint64_t bytes);

static inline uint64_t nvme_emu_blocks(const struct nvme_emu_namespace *ns)
{
	return __atomic_load_n(&ns->blocks, __ATOMIC_RELAXED);
}

/* --- nvme_emu.c, nvme_emu_fault.c */

/* Any thread: takes a namespace away; what must wait for the lanes is left to lane 0. */
void nvme_emu_remove(struct nvme_emu *emu, uint32_t nsid);
void nvme_emu_bury(struct nvme_emu *emu);

/* Which fault has this command: false when none. */
bool nvme_emu_fault_hit(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe,
			struct nvme_emu_fault *fault);

#endif

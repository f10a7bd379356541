/*
 * The controller with worker threads, each queue used by a thread of its own, while the namespace is
 * resized, another comes and goes, commands are held back and aborted, and the controller is reset
 * with commands under way. For the thread sanitizer (make tsan) too.
 */

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>

#include <cmocka.h>

#include "core/pci_function.h"
#include "tests/unit/devices/nvme/raw_driver.h"

#define THREADS    4u
#define WORKERS    3u
#define ENTRIES    16u
#define COMMANDS   400u
#define ROUNDS     6u
#define DISK       (4u << 20)
#define PART       (1024u) /* blocks of the disk that are one thread's */
#define MEETINGS   200000u
#define MOMENTS    64u
#define MEETING_NS 5000000000ull
#define WAIT_NS    20000000000ull
#define DOORBELLS  0x40000u /* the doorbell buffers */

struct user {
	pthread_t thread;
	struct event_loop *loop;
	unsigned int id; /* of its queue */
	unsigned int seed;
	unsigned int failed;
	uint8_t expected[PART]; /* by block: what its bytes are */
};

static struct raw m;
static struct user users[THREADS];
static int fd;
static bool on_disk; /* the namespace's file is said to be, and not in memory */
static struct nvme_emu_namespace *ns, *other;

static uint8_t *page(const struct user *user, unsigned int slot)
{
	return m.ram + RAW_BUFFER + (user->id * ENTRIES + slot) * NVME_PAGE_SIZE;
}

/* --- A queue's user: one command of one block in each slot */

struct slot {
	bool busy, write;
	uint16_t cid;
	uint32_t block;
};

static bool block_in_use(const struct slot *slots, uint32_t block)
{
	for (unsigned int i = 0; i < ENTRIES - 1; i++) {
		if (slots[i].busy && slots[i].block == block)
			return true;
	}
	return false;
}

static void start(struct user *user, struct slot *slots, unsigned int index)
{
	struct slot *slot = &slots[index];
	struct nvme_sqe sqe = { .nsid = 1, .prp1 = (uint64_t)(page(user, index) - m.ram) };

	do
		slot->block = (uint32_t)rand_r(&user->seed) % PART;
	while (block_in_use(slots, slot->block));
	slot->write = rand_r(&user->seed) & 1;
	slot->busy = true;
	if (slot->write)
		user->expected[slot->block]++;
	memset(page(user, index), slot->write ? user->expected[slot->block] : 0xEE, 512);
	sqe.opcode = slot->write ? NVME_IO_WRITE : NVME_IO_READ;
	sqe.cdw10 = (user->id - 1) * PART + slot->block;
	if (slot->write && rand_r(&user->seed) % 8 == 0)
		sqe.cdw12 = NVME_IO_FUA;
	slot->cid = raw_push(&m, user->id, &sqe);
}

static void finish(struct user *user, struct slot *slots, const struct nvme_cqe *cqe)
{
	for (unsigned int i = 0; i < ENTRIES - 1; i++) {
		struct slot *slot = &slots[i];
		uint8_t wanted = user->expected[slot->block];

		if (!slot->busy || slot->cid != cqe->cid)
			continue;
		slot->busy = false;
		if (NVME_CQE_STATUS(cqe->status) ||
		    (!slot->write && (page(user, i)[0] != wanted || page(user, i)[511] != wanted)))
			user->failed++;
		return;
	}
	user->failed++; /* a completion of nothing */
}

static bool wait_one(struct user *user, struct nvme_cqe *cqe)
{
	uint64_t end = event_loop_now_ns() + WAIT_NS;

	while (!raw_poll(&m, user->id, cqe)) {
		event_loop_run_once(user->loop, 100);
		if (event_loop_now_ns() > end)
			return false;
	}
	return true;
}

/* Leaves `leave` commands under way. */
static void run_user(struct user *user, unsigned int leave)
{
	struct slot slots[ENTRIES - 1] = { { 0 } };
	unsigned int started = 0, busy = 0;
	struct nvme_cqe cqe;

	while (started < COMMANDS || busy > leave) {
		unsigned int before = started;

		for (unsigned int i = 0; i < ENTRIES - 1 && started < COMMANDS; i++) {
			if (slots[i].busy)
				continue;
			start(user, slots, i);
			started++;
			busy++;
		}
		if (started != before)
			raw_ring(&m, user->id);
		if (!wait_one(user, &cqe)) {
			user->failed += 1000;
			return;
		}
		finish(user, slots, &cqe);
		busy--;
	}
}

static void *user_thread(void *ctx)
{
	run_user(ctx, 0);
	return NULL;
}

/* --- Meanwhile */

static void inject(const char *text)
{
	struct nvme_emu_fault fault;

	assert_int_equal(nvme_emu_fault_parse(text, &fault), 0);
	nvme_emu_inject(m.emu, &fault);
}

static void admin(uint8_t opcode, uint32_t cdw10, uint16_t expected)
{
	struct nvme_sqe sqe = { .opcode = opcode, .nsid = 1, .prp1 = RAW_LISTS, .cdw10 = cdw10 };

	assert_int_equal(raw_command(&m, 0, &sqe), expected);
}

static void disturb(void)
{
	for (unsigned int i = 0; i < 20; i++) {
		inject("delay,ms=2,count=3");
		inject("interrupt,queue=admin,opcode=6,count=1");
		admin(NVME_ADMIN_IDENTIFY, NVME_CNS_NAMESPACE, 0);
		assert_int_equal(nvme_emu_attach(m.emu, 2, other), 0);
		assert_int_equal(nvme_emu_namespace_resize(ns, DISK - 512 * (i & 1)), 0);
		admin(NVME_ADMIN_ABORT, 1 + (i % THREADS) + (0x7FFFu << 16), 0);
		admin(NVME_ADMIN_GET_LOG_PAGE, NVME_LOG_SMART | 127u << 16,
		      NVME_SC_INVALID_FIELD | NVME_STATUS_DNR); /* not of one namespace */
		assert_int_equal(nvme_emu_detach(m.emu, 2), 0);
		pci_write32(m.pci, 0, NVME_SQ_DOORBELL(8, 0), 1);
	}
}

static void use_shadow_doorbells(void)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_DOORBELL_BUFFER_CONFIG,
				.prp1 = DOORBELLS,
				.prp2 = DOORBELLS + NVME_PAGE_SIZE };
	struct pci_doorbell doorbells[2 * THREADS + 1];

	assert_int_equal(raw_command(&m, 0, &sqe), 0);
	m.shadow = (uint32_t *)(m.ram + DOORBELLS);
	m.event = m.shadow + NVME_PAGE_SIZE / 4;
	assert_int_equal(m.function->ops->doorbells(m.function, doorbells, 2 * THREADS + 1),
			 2 * THREADS);
	assert_int_equal(doorbells[0].offset, NVME_SQ_DOORBELL(1, 0));
	assert_true(doorbells[0].fd >= 0);
}

static void set_up_queues(void)
{
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	for (unsigned int i = 0; i < THREADS; i++) {
		raw_create_queue(&m, i + 1, ENTRIES);
		m.pci->ops->unbind(m.pci, i + 1);
		assert_int_equal(
			m.pci->ops->bind(m.pci, i + 1, users[i].loop, &m.queues[i + 1].interrupt),
			0);
	}
}

static void round_of_users(unsigned int round)
{
	m.shadow = NULL;
	set_up_queues();
	if (round % 2)
		use_shadow_doorbells();
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&users[i].thread, NULL, user_thread, &users[i]), 0);
	disturb();
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(users[i].thread, NULL);
		assert_int_equal(users[i].failed, 0);
	}
	m.shadow = NULL;
	nvme_emu_clear_faults(m.emu);
}

/* --- Tests */

static int setup(void **state)
{
	struct nvme_emu_namespace_config config = { .block_size = 512, .memory_len = DISK };

	(void)state;
	fd = memfd_create("disk", 0);
	if (ftruncate(fd, DISK))
		return -1;
	raw_start(&m, WORKERS);
	config.fd = fd;
	ns = nvme_emu_namespace_create(&config);
	config.fd = -1;
	other = nvme_emu_namespace_create(&config);
	memset(users, 0, sizeof(users));
	for (unsigned int i = 0; i < THREADS; i++) {
		users[i].id = i + 1;
		users[i].seed = i;
		users[i].loop = event_loop_create();
	}
	return nvme_emu_attach(m.emu, 1, ns);
}

static int setup_on_disk(void **state)
{
	on_disk = true;
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	raw_stop(&m);
	nvme_emu_namespace_put(ns);
	nvme_emu_namespace_put(other);
	for (unsigned int i = 0; i < THREADS; i++)
		event_loop_destroy(users[i].loop);
	close(fd);
	on_disk = false;
	return 0;
}

static void users_and_disturbances(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		round_of_users(round);
		raw_disable(&m);
	}
}

/* After reset() or CSTS.RDY = 0 nothing is written any more: the next user's data stays. */
static void reset_under_way(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_IO_READ, .nsid = 1 };

	(void)state;
	for (unsigned int round = 0; round < 40; round++) {
		set_up_queues();
		inject("delay,ms=1,count=10");
		for (unsigned int i = 0; i < THREADS; i++) {
			for (unsigned int n = 0; n < ENTRIES - 1; n++) {
				sqe.prp1 = (uint64_t)(page(&users[i], n) - m.ram);
				raw_push(&m, i + 1, &sqe);
			}
			raw_ring(&m, i + 1);
		}
		if (round % 2)
			assert_int_equal(m.pci->ops->reset(m.pci), 0);
		else
			raw_disable(&m);
		memset(m.ram + RAW_BUFFER, 0x77, THREADS * ENTRIES * NVME_PAGE_SIZE);
		nvme_emu_clear_faults(m.emu);
		set_up_queues();
		for (uint32_t at = 0; at < THREADS * ENTRIES * NVME_PAGE_SIZE; at += 512)
			assert_int_equal(m.ram[RAW_BUFFER + at], 0x77);
		m.pci->ops->reset(m.pci);
	}
}

/* Without sleeping, but the lane may need the processor. */
static void spin_for_completion(unsigned int round)
{
	uint64_t end = event_loop_now_ns() + WAIT_NS;
	struct nvme_cqe cqe;

	for (unsigned int spins = 1; !raw_poll(&m, 0, &cqe); spins++) {
		if (spins % 256)
			continue;
		sched_yield();
		if (event_loop_now_ns() > end)
			fail_msg("round %u: a command was not seen", round);
	}
}

/*
 * The second of two doorbells rings while the lane, woken by the first, looks at it: after a moment
 * that differs each time, so that it meets every place of the lane's way back to sleep. Not so often
 * on a busy machine, where each meeting takes its time.
 */
static void doorbells_meet_a_lane_that_looks(void **state)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_GET_FEATURES, .cdw10 = NVME_FEATURE_QUEUES };

	uint64_t end = event_loop_now_ns() + MEETING_NS;

	(void)state;
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	for (unsigned int round = 0; round < MEETINGS && event_loop_now_ns() < end; round++) {
		raw_submit(&m, 0, &sqe);
		for (volatile unsigned int pause = round % MOMENTS; pause; pause--)
			;
		raw_submit(&m, 0, &sqe);
		spin_for_completion(round);
		spin_for_completion(round);
	}
	raw_disable(&m);
}

/* --- A host's file system that takes its time */

static struct {
	bool slow, gave_up; /* atomic */
	sem_t begun, end;
} sync_call;

static bool await(sem_t *semaphore)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(WAIT_NS / 1000000000ull);
	return !sem_timedwait(semaphore, &until);
}

/* The namespace's. */
int fdatasync(int file)
{
	(void)file;
	if (!__atomic_load_n(&sync_call.slow, __ATOMIC_ACQUIRE))
		return 0;
	sem_post(&sync_call.begun);
	if (!await(&sync_call.end))
		__atomic_store_n(&sync_call.gave_up, true, __ATOMIC_RELEASE);
	return 0;
}

/* What the namespace's file lies in. */
int fstatfs(int file, struct statfs *system)
{
	(void)file;
	*system = (struct statfs){ .f_type = on_disk ? EXT4_SUPER_MAGIC : TMPFS_MAGIC };
	return 0;
}

static void begin_slow_flush(void)
{
	struct nvme_sqe flush = { .opcode = NVME_IO_FLUSH, .nsid = 1 };

	sem_init(&sync_call.begun, 0, 0);
	sem_init(&sync_call.end, 0, 0);
	assert_int_equal(raw_enable(&m), NVME_CSTS_RDY);
	for (unsigned int i = 1; i <= THREADS; i++)
		raw_create_queue(&m, i, ENTRIES);
	__atomic_store_n(&sync_call.slow, true, __ATOMIC_RELEASE);
	raw_submit(&m, 1, &flush);
	assert_true(await(&sync_call.begun));
	__atomic_store_n(&sync_call.slow, false, __ATOMIC_RELEASE);
}

static void end_slow_flush(void)
{
	assert_false(__atomic_load_n(&sync_call.gave_up, __ATOMIC_ACQUIRE));
	sem_post(&sync_call.end);
}

/* Neither other commands of its queue wait for it, nor other queues, nor registers; a flush after it does. */
static void a_slow_flush_holds_up_nothing(void **state)
{
	struct nvme_sqe flush = { .opcode = NVME_IO_FLUSH, .nsid = 1 };
	struct nvme_sqe write = { .opcode = NVME_IO_WRITE,
				  .nsid = 1,
				  .prp1 = RAW_BUFFER + 0x10000 };
	struct nvme_cqe cqe;

	(void)state;
	begin_slow_flush();
	for (unsigned int i = 1; i <= THREADS; i++)
		assert_int_equal(raw_command(&m, i, &write), 0);
	raw_submit(&m, 1, &flush);
	write.cdw12 = NVME_IO_FUA;
	raw_submit(&m, 2, &write);
	assert_int_equal(raw_transfer(&m, 1, NVME_IO_READ, 8, 8), 0);
	admin(NVME_ADMIN_IDENTIFY, NVME_CNS_NAMESPACE, 0);
	assert_int_equal(pci_read32(m.pci, 0, NVME_REG_CSTS), NVME_CSTS_RDY);
	assert_false(raw_poll(&m, 1, &cqe));
	assert_false(raw_poll(&m, 2, &cqe));
	end_slow_flush();
	for (unsigned int i = 0; i < 3; i++) {
		raw_wait(&m, i < 2 ? 1 : 2, &cqe);
		assert_int_equal(NVME_CQE_STATUS(cqe.status), 0);
	}
	raw_disable(&m);
	sem_destroy(&sync_call.begun);
	sem_destroy(&sync_call.end);
}

/* Nor does a reset; what the flush was for has nobody to be told. Who takes the namespace away waits. */
static void a_slow_flush_survives_a_reset(void **state)
{
	struct nvme_sqe read = { .opcode = NVME_IO_READ, .nsid = 1, .prp1 = RAW_BUFFER };
	struct nvme_cqe cqe;

	(void)state;
	begin_slow_flush();
	assert_int_equal(m.pci->ops->reset(m.pci), 0);
	set_up_queues();
	assert_int_equal(raw_command(&m, 1, &read), 0);
	end_slow_flush();
	assert_int_equal(nvme_emu_detach(m.emu, 1), 0);
	assert_false(raw_poll(&m, 1, &cqe));
	raw_disable(&m);
	sem_destroy(&sync_call.begun);
	sem_destroy(&sync_call.end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(users_and_disturbances, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(users_and_disturbances, setup_on_disk, teardown),
		cmocka_unit_test_setup_teardown(a_slow_flush_holds_up_nothing, setup_on_disk,
						teardown),
		cmocka_unit_test_setup_teardown(a_slow_flush_survives_a_reset, setup_on_disk,
						teardown),
		cmocka_unit_test_setup_teardown(doorbells_meet_a_lane_that_looks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

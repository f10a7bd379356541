#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/loop.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/pci/pci_inproc.h"
#include "proto/nvme.h"
#include "tests/unit/devices/storage/disk_suite.h"
#include "tests/unit/devices/storage/nvme_rig.h"

static struct rig rig;

/* --- What a disk is */

static void namespaces_are_disks(void **state)
{
	struct disk_info one, two;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(nvme_namespace_id(rig.nvme, 0), 1);
	assert_int_equal(nvme_namespace_id(rig.nvme, 1), 2);
	assert_int_equal(nvme_namespace_id(rig.nvme, 2), 0);
	assert_null(nvme_namespace_disk(rig.nvme, 3));
	rig.disk->ops->get_info(rig.disk, &one);
	assert_int_equal(one.sectors, (8 << 20) / 512);
	assert_int_equal(one.sector_size, 512);
	assert_true(one.can_unmap && one.can_write_zeroes && !one.read_only);
	assert_string_equal(one.serial, "RIG");
	nvme_namespace_disk(rig.nvme, 2)->ops->get_info(nvme_namespace_disk(rig.nvme, 2), &two);
	assert_int_equal(two.sectors, (8 << 20) / 4096);
	assert_int_equal(two.sector_size, 4096);
	assert_memory_not_equal(one.id, two.id, sizeof(one.id));
}

static void fill(uint64_t gpa, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		rig.ram[gpa + i] = (uint8_t)(seed + i * 7 + i / 256);
}

static void data_comes_back_without_a_copy(void **state)
{
	struct nvme_counters counters;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	/* Ten pages that begin in the middle of one: the sectors of a page cache. */
	fill(0x10200, 40960, 1);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 100, 80, 0x10200), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 100, 80, 0x40400), 0);
	assert_memory_equal(rig.ram + 0x10200, rig.ram + 0x40400, 40960);
	counters = rig_counters(&rig);
	assert_int_equal(counters.bytes_direct, 2 * 40960);
	assert_int_equal(counters.bytes_copied, 0);
	assert_int_equal(counters.commands, 2);
	assert_int_equal(counters.queues, 1);
}

static void what_no_prp_describes_is_copied(void **state)
{
	struct nvme_counters counters;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	fill(0x10001, 8192, 3); /* PRPs are dword-aligned */
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 16, 0x10001), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 16, 0x40000), 0);
	assert_memory_equal(rig.ram + 0x10001, rig.ram + 0x40000, 8192);
	counters = rig_counters(&rig);
	assert_int_equal(counters.bytes_copied, 8192);
	assert_int_equal(counters.bytes_direct, 8192);
}

static void large_requests_are_split(void **state)
{
	struct nvme_counters counters;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	fill(0x100200, 1 << 20, 5);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 64, 2048, 0x100200), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 64, 2048, 0x400000), 0);
	assert_memory_equal(rig.ram + 0x100200, rig.ram + 0x400000, 1 << 20);
	counters = rig_counters(&rig);
	assert_true(counters.commands >= 16);
	assert_int_equal(counters.bytes_copied, 0);
}

static void memory_that_is_not_ram_is_refused(void **state)
{
	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, RIG_RAM_SIZE - 2048), -EFAULT);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, RIG_POOL), -EFAULT);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, UINT64_MAX - 100), -EFAULT);
	assert_int_equal(rig_transfer(&rig, DISK_READ, (8 << 20) / 512, 1, 0), -EIO);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
}

static void zeroes_unmap_and_flush(void **state)
{
	struct disk_request flush = { .operation = DISK_FLUSH };
	uint8_t zeroes[4096] = { 0 };

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	fill(0, 3 * 4096, 9);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 24, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE_ZEROES, 8, 8, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_UNMAP, 1000, 500, 0), 0);
	assert_int_equal(rig_execute(&rig, &flush), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 24, 0x10000), 0);
	assert_memory_equal(rig.ram + 0x10000, rig.ram, 4096);
	assert_memory_equal(rig.ram + 0x11000, zeroes, 4096);
	assert_memory_equal(rig.ram + 0x12000, rig.ram + 0x2000, 4096);
	/* More than one command's worth. */
	assert_int_equal(rig_transfer(&rig, DISK_WRITE_ZEROES, 0, (8 << 20) / 512, 0), 0);
}

/* --- Many requests at once */

static void suite(struct disk *disk, unsigned int workers, bool aligned, bool errors,
		  unsigned int requests)
{
	struct disk_info info;
	struct disk_suite_result result;
	struct disk_suite_config config = { .disk = disk,
					    .ram = rig.ram,
					    .ram_len = RIG_RAM_SIZE,
					    .workers = workers,
					    .loops = rig.loops,
					    .depth = 8,
					    .requests = requests,
					    .aligned = aligned,
					    .errors_allowed = errors,
					    .seed = 7 };

	disk->ops->get_info(disk, &info);
	config.max_sectors = (512u << 10) / info.sector_size;
	if (!disk_suite_run(&config, &result))
		fail_msg("%s", result.why);
}

static void random_requests_agree_with_the_model(void **state)
{
	struct nvme_counters counters;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	suite(rig.disk, 2, true, false, 300);
	assert_int_equal(rig_counters(&rig).bytes_copied, 0);
	suite(rig.disk, 2, false, false, 300);
	suite(nvme_namespace_disk(rig.nvme, 2), 3, false, false, 300);
	counters = rig_counters(&rig);
	assert_true(counters.bytes_copied > 0);
	assert_int_equal(counters.queues, 3);
	assert_int_equal(counters.resets + counters.bad_completions + counters.timeouts, 0);
}

/* The suite on namespace 1, and requests that are known. */
static void suite_on(int fd)
{
	struct disk_info info;

	rig.fd = fd;
	assert_int_equal(rig_start(&rig), 0);
	rig.disk->ops->get_info(rig.disk, &info);
	assert_int_equal(info.sectors, (8 << 20) / 512);
	suite(rig.disk, 2, false, false, 300);
	memset(rig.ram, 0xA7, 4096);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 8, 8, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_COMPARE, 8, 8, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE_ZEROES, 8, 4, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 8, 8, 0), 0);
	assert_int_equal(rig.ram[2047] << 8 | rig.ram[2048], 0xA7);
	assert_int_equal(rig_transfer(&rig, DISK_UNMAP, 1024, 8192, 0), 0);
}

static unsigned int syncs;

/* The file's; atomic, for it is a thread of the controller's that asks. */
int fdatasync(int fd)
{
	(void)fd;
	__atomic_fetch_add(&syncs, 1, __ATOMIC_RELAXED);
	return 0;
}

/* How often the file was made durable by one sector's transfer. */
static unsigned int syncs_of(enum disk_operation operation, bool fua)
{
	const struct disk_segment segment = { .len = 512 };
	struct disk_request request = { .operation = operation,
					.fua = fua,
					.count = 1,
					.segments = &segment,
					.segment_count = 1 };

	__atomic_store_n(&syncs, 0, __ATOMIC_RELAXED);
	assert_int_equal(rig_execute(&rig, &request), 0);
	return __atomic_load_n(&syncs, __ATOMIC_RELAXED);
}

static void a_file_backs_a_disk(void **state)
{
	int fd = memfd_create("disk", 0);

	(void)state;
	assert_int_equal(ftruncate(fd, 8 << 20), 0);
	suite_on(fd);
	assert_int_equal(syncs_of(DISK_WRITE, false), 0);
	assert_int_equal(syncs_of(DISK_WRITE, true), 1);
	assert_int_equal(syncs_of(DISK_READ, false), 0);
	assert_int_equal(syncs_of(DISK_READ, true), 1);
	assert_int_equal(syncs_of(DISK_FLUSH, false), 1);
}

/* One on that file, which goes when it is closed; -1 where there are none to be had. */
static int loop_device(int file)
{
	const struct loop_config config = { .fd = (uint32_t)file,
					    .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), device = -1;
	char name[32];

	/* Others look for a free one, too. */
	for (unsigned int i = 0; i < 8 && control >= 0 && device < 0; i++) {
		snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		device = open(name, O_RDWR);
		if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config)) {
			close(device);
			device = -1;
		}
	}
	if (control >= 0)
		close(control);
	return device;
}

static void a_block_device_backs_a_disk(void **state)
{
	int file = memfd_create("disk", 0), device;

	(void)state;
	assert_int_equal(ftruncate(file, 8 << 20), 0);
	device = loop_device(file);
	close(file);
	if (device < 0)
		skip();
	suite_on(device);
}

static void a_shallow_queue_serves_deep_requests(void **state)
{
	(void)state;
	rig.config.queue_depth = 2;
	assert_int_equal(rig_start(&rig), 0);
	suite(rig.disk, 2, false, false, 200);
}

static void loops_beyond_the_queues_share(void **state)
{
	(void)state;
	rig.config.max_queues = 1;
	assert_int_equal(rig_start(&rig), 0);
	suite(rig.disk, 4, false, false, 200);
	assert_int_equal(rig_counters(&rig).queues, 1);
}

static void works_without_shadow_doorbells(void **state)
{
	struct nvme_counters counters;

	(void)state;
	rig.emu_config.no_shadow_doorbells = true;
	assert_int_equal(rig_start(&rig), 0);
	suite(rig.disk, 2, false, false, 200);
	counters = rig_counters(&rig);
	assert_true(counters.doorbells > 100);
}

/* --- What changes */

struct counting_watcher {
	struct disk_watcher watcher;
	bool told;
};

static void told(struct disk_watcher *watcher)
{
	__atomic_store_n(&((struct counting_watcher *)watcher)->told, true, __ATOMIC_RELEASE);
}

static void a_resize_is_seen(void **state)
{
	struct counting_watcher watcher = { .watcher.changed = told };
	struct disk_info info;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	disk_watch(rig.disk, &watcher.watcher);
	assert_int_equal(nvme_emu_namespace_resize(rig.namespaces[0], 4 << 20), 0);
	assert_true(rig_wait(&rig, &watcher.told));
	rig.disk->ops->get_info(rig.disk, &info);
	assert_int_equal(info.sectors, (4 << 20) / 512);
	assert_int_equal(rig_transfer(&rig, DISK_READ, (4 << 20) / 512, 1, 0), -EIO);
	/* And the next one: the event was asked for again. */
	watcher.told = false;
	assert_int_equal(nvme_emu_namespace_resize(rig.namespaces[0], 8 << 20), 0);
	assert_true(rig_wait(&rig, &watcher.told));
	assert_int_equal(rig_transfer(&rig, DISK_READ, (4 << 20) / 512, 1, 0), 0);
	disk_unwatch(rig.disk, &watcher.watcher);
}

static void namespaces_go_and_come(void **state)
{
	struct counting_watcher watcher = { .watcher.changed = told };

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	disk_watch(rig.disk, &watcher.watcher);
	assert_int_equal(nvme_emu_detach(rig.emu, 1), 0);
	assert_true(rig_wait(&rig, &watcher.told));
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 1, 0), -ENODEV);
	watcher.told = false;
	assert_int_equal(nvme_emu_attach(rig.emu, 1, rig.namespaces[0]), 0);
	assert_true(rig_wait(&rig, &watcher.told));
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 1, 0), 0);
	assert_true(rig_wait(&rig, &rig.changed));
	disk_unwatch(rig.disk, &watcher.watcher);
}

/* --- Errors */

static void status_becomes_an_errno(void **state)
{
	static const struct {
		const char *fault;
		int err;
	} cases[] = {
		{ "status,status=0x4281,count=1", -EIO },
		{ "status,status=0x281,count=1", -EIO },
		{ "status,status=0x4020,count=1", -EROFS },
		{ "status,status=0x4081,count=1", -ENOSPC },
		{ "status,status=0x4083,count=1", -EBADE },
		{ "status,status=0x4001,count=1", -EOPNOTSUPP },
		{ "status,status=0x400B,count=1", -ENODEV },
		{ "status,status=0x4007,count=1", -ECANCELED },
	};

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nvme_emu_clear_faults(rig.emu);
		assert_int_equal(rig_fault(&rig, cases[i].fault), 0);
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), cases[i].err);
		assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	}
	assert_int_equal(rig_counters(&rig).retries, 0);
}

static void one_failed_command_of_many_fails_the_request(void **state)
{
	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "status,status=0x4280,after=3,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 2048, 0), -EIO);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 2048, 0), 0);
}

static void passing_errors_are_tried_again(void **state)
{
	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "status,status=0x006,count=2"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	assert_int_equal(rig_counters(&rig).retries, 2);
	nvme_emu_clear_faults(rig.emu);
	assert_int_equal(rig_fault(&rig, "status,status=0x006"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), -EIO);
}

static void a_command_that_times_out_is_aborted(void **state)
{
	struct nvme_counters counters;

	(void)state;
	rig.config.io_timeout_ms = 200;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "stall,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ETIMEDOUT);
	counters = rig_counters(&rig);
	assert_int_equal(counters.timeouts, 1);
	assert_int_equal(counters.aborts, 1);
	assert_int_equal(counters.resets, 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
}

static void what_cannot_be_aborted_is_reset(void **state)
{
	struct nvme_counters counters;

	(void)state;
	rig.config.io_timeout_ms = 200;
	rig.config.admin_timeout_ms = 300;
	assert_int_equal(rig_start(&rig), 0);
	fill(0, 4096, 1);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	assert_int_equal(rig_fault(&rig, "stall,count=1"), 0);
	assert_int_equal(rig_fault(&rig, "stall,queue=admin,opcode=8,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ETIMEDOUT);
	counters = rig_counters(&rig);
	assert_int_equal(counters.resets, 1);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0x10000), 0);
	assert_memory_equal(rig.ram + 0x10000, rig.ram, 4096);
}

/* Abort is answered, with an error, and the command is not. */
static void what_an_abort_does_not_end_is_reset(void **state)
{
	(void)state;
	rig.config.io_timeout_ms = 200;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "stall,count=1"), 0);
	assert_int_equal(rig_fault(&rig, "status,status=0x4103,queue=admin,opcode=8,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ETIMEDOUT);
	assert_int_equal(rig_counters(&rig).resets, 1);
	assert_int_equal(rig_counters(&rig).aborts, 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
}

static void a_lost_interrupt_costs_time_only(void **state)
{
	(void)state;
	rig.config.io_timeout_ms = 400;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "interrupt,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(rig_counters(&rig).lost_interrupts, 1);
	assert_int_equal(rig_counters(&rig).resets, 0);
}

static void a_fatal_status_is_reset_and_replayed(void **state)
{
	(void)state;
	rig.config.io_timeout_ms = 1000;
	assert_int_equal(rig_start(&rig), 0);
	fill(0, 65536, 1);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 128, 0), 0);
	assert_int_equal(rig_fault(&rig, "fatal,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 128, 0x100000), 0);
	assert_memory_equal(rig.ram + 0x100000, rig.ram, 65536);
	assert_int_equal(rig_counters(&rig).resets, 1);
}

static void impossible_completions_reset(void **state)
{
	struct nvme_counters counters;

	(void)state;
	rig.config.io_timeout_ms = 400;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_fault(&rig, "bogus,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	counters = rig_counters(&rig);
	assert_int_equal(counters.bad_completions, 1);
	/* The second answer may come when the command's number has been used again. */
	assert_int_equal(rig_fault(&rig, "duplicate,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	counters = rig_counters(&rig);
	assert_int_equal(counters.bad_completions, 2);
	assert_true(counters.resets >= 1);
}

static struct disk_request second_read;
static bool second_over;

static void second_done(struct disk_request *request, int err)
{
	(void)request;
	assert_int_equal(err, 0);
	second_over = true;
}

static void start_second(struct disk_request *request, int err)
{
	(void)request;
	assert_int_equal(err, 0);
	rig.disk->ops->submit(rig.disk, rig.loops[0], &second_read);
}

/* The second answer comes when the only slot is the next command's, which has not been done. */
static void an_answer_is_not_taken_for_the_next_commands(void **state)
{
	const struct disk_segment segments[2] = { { .len = 4096 }, { .gpa = 4096, .len = 4096 } };
	struct disk_request first = {
		.operation = DISK_READ,
		.count = 8,
		.segments = &segments[0],
		.segment_count = 1,
		.done = start_second,
	};
	static uint8_t expected[8192];

	(void)state;
	rig.config.queue_depth = 2;
	rig.emu_config.workers = 0;
	assert_int_equal(rig_start(&rig), 0);
	fill(0, 8192, 3);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 16, 0), 0);
	memcpy(expected, rig.ram, sizeof(expected));
	memset(rig.ram, 0xEE, sizeof(expected));
	second_read = first;
	second_read.sector = 8;
	second_read.segments = &segments[1];
	second_read.done = second_done;
	second_over = false;
	assert_int_equal(rig_fault(&rig, "duplicate,count=1"), 0);
	rig.disk->ops->submit(rig.disk, rig.loops[0], &first);
	assert_true(rig_wait(&rig, &second_over));
	assert_memory_equal(rig.ram, expected, sizeof(expected));
	assert_int_equal(rig_counters(&rig).bad_completions, 1);
}

static void faults_under_load_lose_nothing(void **state)
{
	static const char *const faults[] = {
		"interrupt,after=20,count=3",     "status,status=0x4281,after=30,count=5",
		"fatal,after=100,count=1",        "stall,after=150,count=2",
		"bogus,after=300,count=1",        "duplicate,after=350,count=1",
		"delay,ms=50,after=400,count=20",
	};

	(void)state;
	rig.config.io_timeout_ms = 400;
	rig.config.admin_timeout_ms = 1000;
	assert_int_equal(rig_start(&rig), 0);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_int_equal(rig_fault(&rig, faults[i]), 0);
	suite(rig.disk, 3, false, true, 400);
	nvme_emu_clear_faults(rig.emu);
	suite(rig.disk, 3, false, false, 100);
	assert_true(rig_counters(&rig).resets >= 1);
}

static void a_function_that_is_gone_ends_everything(void **state)
{
	int ret;

	(void)state;
	rig.config.io_timeout_ms = 400;
	rig.emu_config.no_shadow_doorbells = true; /* it still sees memory, not registers */
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	__atomic_store_n(&rig.gone, true, __ATOMIC_RELEASE);
	/* While the controller still looks at its shadow doorbells, it needs no register to go on. */
	do {
		ret = rig_transfer(&rig, DISK_READ, 0, 8, 0);
	} while (!ret);
	assert_int_equal(ret, -ENODEV);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ENODEV);
	assert_true(rig_wait(&rig, &rig.changed));
}

static void what_no_reset_cures_fails_for_good(void **state)
{
	(void)state;
	rig.config.io_timeout_ms = 200;
	rig.config.admin_timeout_ms = 200;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(rig_fault(&rig, "stall,queue=any"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ETIMEDOUT);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -EIO);
}

static void no_dma_memory_is_no_disaster(void **state)
{
	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	__atomic_store_n(&rig.no_dma, true, __ATOMIC_RELEASE);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ENOMEM);
	__atomic_store_n(&rig.no_dma, false, __ATOMIC_RELEASE);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	__atomic_store_n(&rig.no_dma, true, __ATOMIC_RELEASE);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 1),
			 -ENOMEM); /* wants a bounce buffer */
	__atomic_store_n(&rig.no_dma, false, __ATOMIC_RELEASE);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 1), 0);
}

static void controllers_that_do_not_start_are_refused(void **state)
{
	(void)state;
	rig.never_ready = true;
	assert_int_equal(rig_start(&rig), -ETIMEDOUT);
}

static void nothing_there_is_refused(void **state)
{
	(void)state;
	rig.gone = true;
	assert_int_equal(rig_start(&rig), -ENODEV);
}

static void shutdown_is_told(void **state)
{
	struct pci_device_access *pci;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	nvme_shutdown(rig.nvme);
	pci = pci_inproc_device(rig.inproc);
	assert_int_equal(pci_read32(pci, 0, NVME_REG_CSTS) & NVME_CSTS_SHST_MASK,
			 NVME_CSTS_SHST_COMPLETE);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -ENODEV);
}

/* --- Reservations: two machines, each with a controller of its own, have namespace 1 */

static struct rig other;

static int reserve(struct rig *machine, enum disk_reservation_action action,
		   struct disk_reservation *what)
{
	struct disk_request request = { .operation = DISK_RESERVATION, .reservation = what };

	what->action = action;
	return rig_execute(machine, &request);
}

static int reserve_with(struct rig *machine, enum disk_reservation_action action, uint64_t key,
			uint64_t other_key, enum disk_reservation_type type)
{
	struct disk_reservation what = { .key = key, .other_key = other_key, .type = type };

	return reserve(machine, action, &what);
}

static void start_two_machines(void)
{
	assert_int_equal(rig_init(&other), 0);
	rig.emu_config.shared = other.emu_config.shared = true;
	other.emu_config.controller_id = 2;
	rig.config.host_id = 0x1111;
	other.config.host_id = 0x2222;
	other.size[0] = 0;
	assert_int_equal(rig_start(&rig), 0);
	assert_int_equal(rig_start(&other), 0);
	assert_int_equal(nvme_emu_attach(other.emu, 1, rig.namespaces[0]), 0);
	assert_true(rig_wait(&other, &other.changed));
	other.disk = nvme_namespace_disk(other.nvme, 1);
	assert_non_null(other.disk);
}

static void expect_report(enum disk_reservation_type type, uint64_t first, bool first_holds,
			  uint64_t second)
{
	struct disk_reservation report = { 0 };

	assert_int_equal(reserve(&other, DISK_RESERVATION_REPORT, &report), 0);
	assert_int_equal(report.type, type);
	assert_int_equal(report.registrant_count, (first != 0) + (second != 0));
	for (unsigned int i = 0; i < report.registrant_count; i++) {
		const struct disk_registrant *r = &report.registrants[i];

		assert_int_equal(r->key, r->port == 1 ? first : second);
		assert_int_equal(r->holds, type && (r->port == 1) == first_holds);
	}
}

static void reservations_keep_others_out(void **state)
{
	struct disk_info info;

	(void)state;
	start_two_machines();
	rig.disk->ops->get_info(rig.disk, &info);
	assert_true(info.can_reserve);
	assert_int_equal(reserve_with(&rig, DISK_RESERVATION_ACQUIRE, 1, 0, DISK_RESERVED_WRITE),
			 -EBADE);
	assert_int_equal(reserve_with(&rig, DISK_RESERVATION_REGISTER, 0, 0xA1, 0), 0);
	assert_int_equal(reserve_with(&other, DISK_RESERVATION_REGISTER, 0, 0xB2, 0), 0);
	expect_report(DISK_NOT_RESERVED, 0xA1, false, 0xB2);
	assert_int_equal(reserve_with(&rig, DISK_RESERVATION_ACQUIRE, 0xA1, 0, DISK_RESERVED_WRITE),
			 0);
	expect_report(DISK_RESERVED_WRITE, 0xA1, true, 0xB2);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	assert_int_equal(rig_transfer(&other, DISK_WRITE, 0, 8, 0), -EBADE);
	assert_int_equal(rig_transfer(&other, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(
		reserve_with(&other, DISK_RESERVATION_ACQUIRE, 0xB2, 0, DISK_RESERVED_WRITE),
		-EBADE);
	/* A machine that is gone is pushed out by who has its key. */
	assert_int_equal(
		reserve_with(&other, DISK_RESERVATION_PREEMPT, 0xB2, 0xA1, DISK_RESERVED_EXCLUSIVE),
		0);
	expect_report(DISK_RESERVED_EXCLUSIVE, 0, false, 0xB2);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), -EBADE);
	assert_int_equal(rig_transfer(&other, DISK_WRITE, 0, 8, 0), 0);
	assert_int_equal(
		reserve_with(&other, DISK_RESERVATION_RELEASE, 0xB2, 0, DISK_RESERVED_WRITE),
		-EINVAL);
	assert_int_equal(
		reserve_with(&other, DISK_RESERVATION_RELEASE, 0xB2, 0, DISK_RESERVED_EXCLUSIVE),
		0);
	assert_int_equal(rig_transfer(&rig, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(reserve_with(&other, DISK_RESERVATION_REPLACE, 0xB2, 0xB3, 0), 0);
	expect_report(DISK_NOT_RESERVED, 0, false, 0xB3);
	assert_int_equal(reserve_with(&other, DISK_RESERVATION_UNREGISTER, 0xB2, 0, 0), -EBADE);
	assert_int_equal(reserve_with(&other, DISK_RESERVATION_CLEAR, 0xB3, 0, 0), 0);
	expect_report(DISK_NOT_RESERVED, 0, false, 0);
	assert_int_equal(rig_stop(&other), 0);
	rig_fini(&other);
}

/* The controller forgets who we are at a reset, and is told again. */
static void a_reset_keeps_the_reservation(void **state)
{
	(void)state;
	start_two_machines();
	assert_int_equal(reserve_with(&rig, DISK_RESERVATION_REGISTER, 0, 0xA1, 0), 0);
	assert_int_equal(
		reserve_with(&rig, DISK_RESERVATION_ACQUIRE, 0xA1, 0, DISK_RESERVED_EXCLUSIVE), 0);
	assert_int_equal(rig_fault(&rig, "fatal,count=1"), 0);
	assert_int_equal(rig_transfer(&rig, DISK_WRITE, 0, 8, 0), 0);
	assert_int_equal(rig_counters(&rig).resets, 1);
	assert_int_equal(rig_transfer(&other, DISK_READ, 0, 8, 0), -EBADE);
	assert_int_equal(
		reserve_with(&rig, DISK_RESERVATION_RELEASE, 0xA1, 0, DISK_RESERVED_EXCLUSIVE), 0);
	assert_int_equal(rig_transfer(&other, DISK_READ, 0, 8, 0), 0);
	assert_int_equal(rig_stop(&other), 0);
	rig_fini(&other);
}

/* Who has no identifier has no reservations. */
static void nobody_reserves_nothing(void **state)
{
	struct disk_info info;

	(void)state;
	assert_int_equal(rig_start(&rig), 0);
	rig.disk->ops->get_info(rig.disk, &info);
	assert_false(info.can_reserve);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return rig_init(&rig);
}

static int teardown(void **state)
{
	uint64_t left = rig_stop(&rig);

	(void)state;
	if (rig.fd >= 0)
		close(rig.fd);
	rig_fini(&rig);
	if (left)
		print_error("the driver left %llu bytes or vectors\n", (unsigned long long)left);
	return left ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(namespaces_are_disks),
		TEST(data_comes_back_without_a_copy),
		TEST(what_no_prp_describes_is_copied),
		TEST(large_requests_are_split),
		TEST(memory_that_is_not_ram_is_refused),
		TEST(zeroes_unmap_and_flush),
		TEST(random_requests_agree_with_the_model),
		TEST(a_file_backs_a_disk),
		TEST(a_block_device_backs_a_disk),
		TEST(a_shallow_queue_serves_deep_requests),
		TEST(loops_beyond_the_queues_share),
		TEST(works_without_shadow_doorbells),
		TEST(a_resize_is_seen),
		TEST(namespaces_go_and_come),
		TEST(status_becomes_an_errno),
		TEST(one_failed_command_of_many_fails_the_request),
		TEST(passing_errors_are_tried_again),
		TEST(a_command_that_times_out_is_aborted),
		TEST(what_cannot_be_aborted_is_reset),
		TEST(what_an_abort_does_not_end_is_reset),
		TEST(a_lost_interrupt_costs_time_only),
		TEST(a_fatal_status_is_reset_and_replayed),
		TEST(impossible_completions_reset),
		TEST(an_answer_is_not_taken_for_the_next_commands),
		TEST(faults_under_load_lose_nothing),
		TEST(a_function_that_is_gone_ends_everything),
		TEST(what_no_reset_cures_fails_for_good),
		TEST(no_dma_memory_is_no_disaster),
		TEST(controllers_that_do_not_start_are_refused),
		TEST(nothing_there_is_refused),
		TEST(shutdown_is_told),
		TEST(reservations_keep_others_out),
		TEST(a_reset_keeps_the_reservation),
		TEST(nobody_reserves_nothing),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

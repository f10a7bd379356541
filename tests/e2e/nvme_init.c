/*
 * PID 1 of a VTL2 whose kernel has Linux's own NVMe driver: drives vtlhost's emulated controller with
 * it, each processor by a process of its own, and compares with a model in memory. The last line in
 * the kernel's log says how it went. tests/e2e/nvme-linux builds and runs it.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <linux/pr.h>

#include "proto/nvme.h"

#define DISK       "/dev/nvme0n1"
#define REGION     (8u << 20) /* bytes that a process tests */
#define LARGEST    (2u << 20) /* of one transfer: more than the controller's MDTS */
#define OPERATIONS 300u
#define WAIT_MS    20000u

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int kmsg = -1;

/* One write is one record of the kernel's log, at level "info". */
static void say(const char *fmt, ...)
{
	char line[512] = "<6>nvme-test: ";
	size_t used = strlen(line);
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + used, sizeof(line) - used, fmt, args);
	va_end(args);
	if (write(kmsg, line, strlen(line)) < 0)
		_exit(1); /* the kernel panics: nobody takes that for a success */
}

static void __attribute__((noreturn)) end(bool passed)
{
	say(passed ? "passed" : "failed");
	reboot(RB_AUTOBOOT);
	_exit(1);
}

#define CHECK(what)                                                               \
	do {                                                                      \
		if (!(what)) {                                                    \
			say("line %d: %s: %s", __LINE__, #what, strerror(errno)); \
			return false;                                             \
		}                                                                 \
	} while (0)

static void unlimit_log(void)
{
	int fd = open("/proc/sys/kernel/printk_devkmsg", O_WRONLY);

	if (fd < 0 || write(fd, "on\n", 3) < 0)
		say("the log may lose lines");
	close(fd);
}

static bool wait_for(const char *path)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	struct stat st;

	for (unsigned int ms = 0; ms < WAIT_MS; ms += 10) {
		if (!stat(path, &st))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void show(const char *path)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	say("%s: %s", path, n > 0 ? text : "?");
	close(fd);
}

/* --- Data against a model */

struct tester {
	int fd;
	off_t base;
	uint8_t *model, *buf;
	unsigned int seed;
};

static void choose(struct tester *t, size_t *at, size_t *len)
{
	size_t most = rand_r(&t->seed) % 4 ? 64 << 10 : LARGEST;

	*at = (size_t)rand_r(&t->seed) % (REGION / 512) * 512;
	*len = ((size_t)rand_r(&t->seed) % (most / 512) + 1) * 512;
	if (*len > REGION - *at)
		*len = REGION - *at;
}

static bool do_write(struct tester *t, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i += 4)
		*(uint32_t *)(t->buf + i) = (uint32_t)rand_r(&t->seed);
	CHECK(pwrite(t->fd, t->buf, len, t->base + (off_t)at) == (ssize_t)len);
	memcpy(t->model + at, t->buf, len);
	return true;
}

static bool do_read(struct tester *t, size_t at, size_t len)
{
	memset(t->buf, 0xA5, len);
	CHECK(pread(t->fd, t->buf, len, t->base + (off_t)at) == (ssize_t)len);
	CHECK(!memcmp(t->buf, t->model + at, len));
	return true;
}

static bool do_zero(struct tester *t, size_t at, size_t len)
{
	uint64_t range[2] = { (uint64_t)t->base + at, len };

	CHECK(!ioctl(t->fd, BLKZEROOUT, range));
	memset(t->model + at, 0, len);
	return true;
}

/* Afterwards a block is what it was, or zeroes. */
static bool do_discard(struct tester *t, size_t at, size_t len)
{
	uint64_t range[2] = { (uint64_t)t->base + at, len };
	static const uint8_t zeroes[512];

	CHECK(!ioctl(t->fd, BLKDISCARD, range));
	CHECK(pread(t->fd, t->buf, len, t->base + (off_t)at) == (ssize_t)len);
	for (size_t i = 0; i < len; i += 512)
		CHECK(!memcmp(t->buf + i, t->model + at + i, 512) ||
		      !memcmp(t->buf + i, zeroes, 512));
	memcpy(t->model + at, t->buf, len);
	return true;
}

static bool step(struct tester *t)
{
	size_t at, len;

	choose(t, &at, &len);
	switch (rand_r(&t->seed) % 10) {
	case 0:
		CHECK(!fsync(t->fd));
		return true;
	case 1:
		return do_zero(t, at, len);
	case 2:
		return do_discard(t, at, len);
	case 3:
	case 4:
	case 5:
	case 6:
		return do_write(t, at, len);
	default:
		return do_read(t, at, len);
	}
}

static bool test_data(unsigned int cpu, unsigned int operations)
{
	struct tester t = { .base = (off_t)cpu * REGION, .seed = cpu + 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	t.fd = open(DISK, O_RDWR | O_DIRECT | (cpu & 1 ? O_DSYNC : 0));
	t.model = mmap(NULL, REGION + LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	t.buf = t.model + REGION;
	CHECK(t.fd >= 0 && t.model != MAP_FAILED);
	CHECK(do_zero(&t, 0, REGION));
	for (unsigned int i = 0; i < operations; i++)
		CHECK(step(&t));
	for (size_t at = 0; at < REGION; at += LARGEST)
		CHECK(do_read(&t, at, LARGEST));
	return true;
}

/* One process a processor, so that each queue is used, at once. */
static bool test_data_everywhere(unsigned int cpus)
{
	bool passed = true;
	int status;

	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		if (fork() == 0)
			_exit(test_data(cpu, OPERATIONS) ? 0 : 1);
	}
	while (wait(&status) > 0)
		passed &= status == 0;
	return passed;
}

/* --- Commands past the block layer */

static int admin(int fd, uint8_t opcode, uint32_t nsid, uint32_t cdw10, void *buf, uint32_t len)
{
	struct nvme_admin_cmd command = { .opcode = opcode,
					  .nsid = nsid,
					  .cdw10 = cdw10,
					  .addr = (uintptr_t)buf,
					  .data_len = len };

	return ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
}

static bool test_admin(void)
{
	static uint8_t buf[4096] __attribute__((aligned(4096)));
	const struct nvme_id_ctrl *id = (const void *)buf;
	const struct nvme_smart_log *smart = (const void *)buf;
	int fd = open("/dev/nvme0", O_RDWR);

	CHECK(fd >= 0);
	CHECK(!admin(fd, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CONTROLLER, buf, sizeof(buf)));
	CHECK(!strncmp(id->mn, "Entresol", 8));
	CHECK(!admin(fd, NVME_ADMIN_GET_LOG_PAGE, NVME_NSID_ALL, NVME_LOG_SMART | 127 << 16, buf,
		     512));
	CHECK(smart->host_writes.low > 0);
	CHECK(admin(fd, 0x7F, 0, 0, NULL, 0) == (NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR));
	close(fd);
	return true;
}

static bool test_compare(void)
{
	static uint8_t buf[4096] __attribute__((aligned(4096)));
	int fd = open(DISK, O_RDWR | O_DIRECT);
	struct nvme_user_io io = { .opcode = NVME_IO_COMPARE,
				   .nblocks = 7,
				   .addr = (uintptr_t)buf };

	CHECK(fd >= 0);
	CHECK(pread(fd, buf, sizeof(buf), 0) == sizeof(buf));
	CHECK(ioctl(fd, NVME_IOCTL_SUBMIT_IO, &io) == 0);
	buf[100] ^= 1;
	CHECK(ioctl(fd, NVME_IOCTL_SUBMIT_IO, &io) == (NVME_SC_COMPARE_FAILED | NVME_STATUS_DNR));
	close(fd);
	return true;
}

static bool test_reservation(void)
{
	struct pr_registration registration = { .new_key = 0x123 };
	struct pr_reservation reservation = { .key = 0x123, .type = PR_WRITE_EXCLUSIVE };
	int fd = open(DISK, O_RDWR);

	CHECK(fd >= 0);
	CHECK(!ioctl(fd, IOC_PR_REGISTER, &registration));
	CHECK(!ioctl(fd, IOC_PR_RESERVE, &reservation));
	CHECK(!ioctl(fd, IOC_PR_RELEASE, &reservation));
	registration = (struct pr_registration){ .old_key = 0x123 };
	CHECK(!ioctl(fd, IOC_PR_REGISTER, &registration));
	close(fd);
	return true;
}

/* The controller is reset while a process uses it: that one sees a delay. */
static bool test_reset(void)
{
	struct timespec pause = { .tv_nsec = 300000000 };
	int fd = open("/dev/nvme0", O_RDWR), status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(test_data(0, 100) ? 0 : 1);
	for (unsigned int i = 0; i < 3; i++) {
		nanosleep(&pause, NULL);
		CHECK(!ioctl(fd, NVME_IOCTL_RESET));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(fd);
	return true;
}

/* What the driver complained of: lines of level warning or worse that begin with its name. */
static bool test_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	char line[1024];
	bool quiet = true;
	ssize_t n;

	CHECK(fd >= 0);
	while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		if ((atoi(line) & 7) <= 4 && strstr(line, ";nvme ")) {
			line[strcspn(line, "\n")] = '\0';
			say("the kernel said: %s", line);
			quiet = false;
		}
	}
	close(fd);
	return quiet;
}

struct test {
	const char *name;
	bool (*run)(void);
};

static bool all_processors(void)
{
	return test_data_everywhere((unsigned int)sysconf(_SC_NPROCESSORS_ONLN));
}

int main(void)
{
	static const struct test tests[] = {
		{ "data", all_processors },  { "admin", test_admin },
		{ "compare", test_compare }, { "reservation", test_reservation },
		{ "log", test_log },         { "reset", test_reset },
	};
	bool passed = true;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	unlimit_log();
	if (!wait_for(DISK)) {
		say("no " DISK);
		end(false);
	}
	show("/sys/class/nvme/nvme0/model");
	show("/sys/class/nvme/nvme0/queue_count");
	show("/sys/block/nvme0n1/size");
	show("/sys/block/nvme0n1/queue/physical_block_size");
	show("/sys/block/nvme0n1/queue/discard_max_bytes");
	show("/sys/block/nvme0n1/queue/write_cache");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool ok = tests[i].run();

		say("%s: %s", tests[i].name, ok ? "ok" : "FAILED");
		passed &= ok;
	}
	end(passed);
}

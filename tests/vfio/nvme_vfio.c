/*
 * The NVMe driver on a controller that is not ours, through VFIO: run in a Linux guest that has one
 * (tests/vfio/run). What is memory of a guest to the driver is memory of this process: with an IOMMU
 * at any address, without one in huge pages, whose physical addresses are the kernel's to tell.
 *   nvme_vfio ADDRESS iommu|noiommu [REQUESTS]
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/disk.h"
#include "core/event_loop.h"
#include "core/guest_access.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/pci/dma_pool.h"
#include "devices/pci/vfio.h"
#include "devices/storage/nvme.h"
#include "tests/unit/devices/storage/disk_suite.h"

#define HUGE      (2ul << 20)
#define RAM_GPA   0x10000000ull /* with an IOMMU */
#define RAM_SIZE  (16ul << 20)
#define WORKERS   2u
#define POOL_SIZE HUGE

struct machine {
	const char *address;
	bool iommu;
	unsigned int requests;
	struct guest_memory *memory;
	uint8_t *ram;
	uint64_t gpa, ram_len;
	struct dma_pool *pool;
	struct pci_device_access *pci;
	struct nvme *nvme;
	struct event_loop *loops[WORKERS];
};

static unsigned int failures;

static bool check(bool good, const char *what)
{
	printf("%s %s\n", good ? "PASS" : "FAIL", what);
	failures += !good;
	return good;
}

/* Documentation/admin-guide/mm/pagemap.rst: bits 54:0 of an entry are the page's frame. */
static uint64_t physical(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (pread(fd, &entry, 8, (off_t)((uintptr_t)p / 4096 * 8)) != 8)
		entry = 0;
	close(fd);
	return (entry & ((1ull << 55) - 1)) * 4096;
}

static void *huge_page(void)
{
	void *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool make_memory(struct machine *m)
{
	void *pool;

	m->memory = guest_memory_create();
	if (m->iommu) {
		m->gpa = RAM_GPA;
		m->ram_len = RAM_SIZE;
		m->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	} else {
		/* One huge page: two need not lie side by side. */
		m->ram_len = HUGE;
		m->ram = huge_page();
		pool = huge_page();
		if (!m->ram || !pool)
			return false;
		m->gpa = physical(m->ram);
		m->pool = dma_pool_create(physical(pool), pool, POOL_SIZE);
		if (!m->gpa || !m->pool)
			return false;
	}
	return !guest_memory_add(m->memory, m->gpa, m->ram, m->ram_len);
}

static bool open_controller(struct machine *m)
{
	struct vfio_config config = { .address = m->address, .memory = m->memory, .pool = m->pool };
	struct nvme_config nvme = { .memory = m->memory, .name = m->address };
	int err = vfio_bind(m->address, m->iommu);

	if (!err)
		err = vfio_open(&config, &m->pci);
	if (err) {
		printf("VFIO: errno %d\n", -err);
		return false;
	}
	nvme.pci = m->pci;
	nvme.io_timeout_ms = 60000; /* the whole machine is emulated */
	err = nvme_create(&nvme, &m->nvme);
	if (err)
		printf("nvme_create: errno %d\n", -err);
	return !err;
}

static void stopped(void *ctx)
{
	__atomic_store_n((int *)ctx, 1, __ATOMIC_RELEASE);
}

static bool close_controller(struct machine *m)
{
	int over = 0;

	nvme_stop(m->nvme, stopped, &over);
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		for (unsigned int i = 0; i < WORKERS; i++)
			event_loop_run_once(m->loops[i], 1);
	nvme_destroy(m->nvme);
	vfio_close(m->pci);
	return !m->pool || !dma_pool_used(m->pool);
}

/* One request, waited for. */
static int result;
static bool answered;

static void done(struct disk_request *request, int err)
{
	(void)request;
	result = err;
	answered = true;
}

static int execute(struct machine *m, struct disk *disk, struct disk_request request)
{
	request.done = done;
	answered = false;
	disk->ops->submit(disk, m->loops[0], &request);
	while (!answered)
		event_loop_run_once(m->loops[0], -1);
	return result;
}

static void refusals(struct machine *m, struct disk *disk)
{
	struct disk_segment outside = { m->gpa + m->ram_len, 4096 }, inside = { m->gpa, 4096 };
	struct disk_request request = { .operation = DISK_READ, .segment_count = 1 };
	struct disk_info info;

	disk->ops->get_info(disk, &info);
	request.count = 4096 / info.sector_size;
	request.segments = &outside;
	check(execute(m, disk, request) == -EFAULT, "memory that is not RAM is refused");
	request.segments = &inside;
	request.sector = info.sectors;
	check(execute(m, disk, request) == -EIO, "sectors beyond the end are refused");
	request.sector = info.sectors - request.count;
	check(!execute(m, disk, request), "the last sectors can be read");
}

static void suite(struct machine *m, uint32_t nsid, bool aligned)
{
	struct nvme_counters before, after;
	struct disk_suite_result sum;
	struct disk_suite_config config = {
		.disk = nvme_namespace_disk(m->nvme, nsid),
		.ram = m->ram,
		.gpa = m->gpa,
		.ram_len = m->ram_len,
		.workers = WORKERS,
		.loops = m->loops,
		.depth = m->iommu ? 16 : 4,
		.requests = m->requests,
		.aligned = aligned,
		.seed = nsid,
	};
	struct disk_info info;
	char what[400];

	config.disk->ops->get_info(config.disk, &info);
	config.max_sectors = (m->iommu ? 200u << 10 : 100u << 10) / info.sector_size;
	nvme_get_counters(m->nvme, &before);
	disk_suite_run(&config, &sum);
	nvme_get_counters(m->nvme, &after);
	snprintf(what, sizeof(what),
		 "namespace %u, %u-byte sectors, %s: %llu requests, %llu KiB%s%.160s", nsid,
		 info.sector_size, aligned ? "pages" : "any alignment",
		 (unsigned long long)sum.requests, (unsigned long long)sum.bytes / 1024,
		 sum.why[0] ? ": " : "", sum.why);
	check(!sum.why[0], what);
	if (aligned)
		check(after.bytes_copied == before.bytes_copied, "nothing was copied");
	else
		check(after.bytes_copied > before.bytes_copied, "something was copied");
}

static void print_counters(struct machine *m)
{
	struct nvme_counters c;

	nvme_get_counters(m->nvme, &c);
	printf("commands %llu, doorbells %llu, interrupts %llu, lost interrupts %llu, direct %llu, "
	       "copied %llu, timeouts %llu, resets %llu, queues %llu, DMA memory %llu KiB\n",
	       (unsigned long long)c.commands, (unsigned long long)c.doorbells,
	       (unsigned long long)c.interrupts, (unsigned long long)c.lost_interrupts,
	       (unsigned long long)c.bytes_direct, (unsigned long long)c.bytes_copied,
	       (unsigned long long)c.timeouts, (unsigned long long)c.resets,
	       (unsigned long long)c.queues, (unsigned long long)c.dma_bytes / 1024);
	check(!c.timeouts && !c.resets && !c.bad_completions, "no time-out, no reset");
	check(!c.lost_interrupts, "no interrupt was lost");
}

int main(int argc, char *argv[])
{
	struct machine m = { .requests = argc > 3 ? (unsigned int)atoi(argv[3]) : 1500 };

	if (argc < 3)
		return EXIT_FAILURE;
	setvbuf(stdout, NULL, _IOLBF, 0);
	m.address = argv[1];
	m.iommu = !strcmp(argv[2], "iommu");
	guest_access_install_fault_handler();
	for (unsigned int i = 0; i < WORKERS; i++)
		m.loops[i] = event_loop_create();
	if (!check(make_memory(&m), "memory") || !check(open_controller(&m), "controller"))
		return EXIT_FAILURE;
	for (unsigned int i = 0; nvme_namespace_id(m.nvme, i); i++) {
		suite(&m, nvme_namespace_id(m.nvme, i), true);
		suite(&m, nvme_namespace_id(m.nvme, i), false);
		refusals(&m, nvme_namespace_disk(m.nvme, nvme_namespace_id(m.nvme, i)));
	}
	print_counters(&m);
	check(close_controller(&m), "closed, nothing left");

	/* What a driver left can be taken up by the next. */
	if (check(open_controller(&m), "opened again")) {
		suite(&m, 1, true);
		check(close_controller(&m), "closed again");
	}
	printf("%s: %u failures\n", argv[2], failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

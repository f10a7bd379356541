/*
 * What a 4 KiB read costs the paravisor's thread, from the guest's ring to the disk and back, beside
 * the least that can drive the same emulated controller: a queue of prepared commands.
 *
 * memory: the namespace is memory, and the controller works on the thread that rings its doorbell, so
 * its time is in all figures alike. file: the same with a file in the page cache. In both the guest's
 * own work is not counted, its signal (a hypercall, to the paravisor) is.
 * threads: the file, and the controller on threads of its own, as in vtlhost. Time is the clock's, and
 * the guest works on the paravisor's thread: its time is in the last column's figures, to their harm.
 * space: the memory that each piece takes.
 *
 * Best of several slices, for other processes take time too.
 *   storage_iops [SETUP [DEPTH WAY SECONDS]]: with all of them one way only (0 raw queue, 1 driver, 2
 * storvsp), for a profile
 */

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/big_endian.h"
#include "core/container_of.h"
#include "core/disk.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/pci/pci_inproc.h"
#include "devices/storage/nvme.h"
#include "devices/storage/nvme_ring.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/nvme.h"
#include "proto/pci.h"
#include "proto/storvsp.h"

static uint64_t signal_ns;
static int timed_signal(struct vmbus_server *server, uint32_t connection_id, uint16_t flag);

/* The guest, with its signals timed. */
#define vmbus_server_handle_signal timed_signal
#include "tests/unit/devices/vmbus/vmbus_client.c" /* NOLINT(bugprone-suspicious-include) */
#undef vmbus_server_handle_signal

#define DEPTH_MAX   128u
#define BLOCK       4096u
#define DISK_SIZE   (32u << 20)
#define BUFFERS     0x200000ull /* guest memory of transfers */
#define RING_GPA    0x100000ull
#define RING_PAGES  16u
#define POOL        0x100000000ull
#define POOL_SIZE   (4u << 20)
#define RAW_ENTRIES 256u

#define check(condition)                                                      \
	do {                                                                  \
		if (!(condition)) {                                           \
			fprintf(stderr, "storage_iops: line %d\n", __LINE__); \
			exit(EXIT_FAILURE);                                   \
		}                                                             \
	} while (0)

static int timed_signal(struct vmbus_server *server, uint32_t connection_id, uint16_t flag)
{
	uint64_t before = event_loop_now_ns();
	int ret = vmbus_server_handle_signal(server, connection_id, flag);

	signal_ns += event_loop_now_ns() - before;
	return ret;
}

static uint32_t seed = 1;

static uint64_t random_block(void)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % (DISK_SIZE / BLOCK);
}

/* --- Where and how */

static const struct setup {
	const char *name;
	bool file;            /* else memory */
	unsigned int workers; /* of the controller */
	uint64_t slice_ns;
	unsigned int slices;
} setups[] = {
	{ "memory", false, 0, 1000000, 300 },
	{ "file", true, 0, 2000000, 150 },
	{ "threads", true, 1, 10000000, 30 },
};

#define SETUPS (sizeof(setups) / sizeof(setups[0]))

static const struct setup *setup;

/* Of one read. */
struct cost {
	double ns, cpu_ns;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct cost cost_of(uint64_t ns, uint64_t cpu_ns, uint64_t reads)
{
	return (struct cost){ (double)ns / (double)reads, (double)cpu_ns / (double)reads };
}

/* One that is answered by others is waited for. */
static void turn(struct event_loop *loop)
{
	event_loop_run_once(loop, setup->workers ? 1000 : 0);
}

static int backing(void)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	char block[BLOCK];

	memset(block, 0x5A, sizeof(block));
	check(fd >= 0);
	for (unsigned int i = 0; i < DISK_SIZE / BLOCK; i++)
		check(write(fd, block, sizeof(block)) == sizeof(block));
	return fd;
}

/* --- A controller */

struct controller {
	struct nvme_emu *emu;
	struct pci_inproc *inproc;
	struct pci_device_access *pci;
};

static void make_controller(struct controller *c, struct guest_memory *memory, uint64_t pool,
			    unsigned int namespaces)
{
	struct nvme_emu_config config = { .serial = "BENCH",
					  .controller_id = 1,
					  .io_queues = CLIENT_VPS,
					  .workers = setup->workers };
	struct nvme_emu_namespace_config ns = { .fd = setup->file ? backing() : -1,
						.memory_len = DISK_SIZE,
						.block_size = 512 };
	struct pci_inproc_config bus = { .memory = memory,
					 .pool_address = pool,
					 .pool_len = POOL_SIZE };

	c->emu = nvme_emu_create(&config);
	check(c->emu);
	for (unsigned int nsid = 1; nsid <= namespaces; nsid++) {
		struct nvme_emu_namespace *new = nvme_emu_namespace_create(&ns);

		check(new && !nvme_emu_attach(c->emu, nsid, new));
	}
	bus.function = nvme_emu_function(c->emu);
	c->inproc = pci_inproc_create(&bus);
	check(c->inproc);
	c->pci = pci_inproc_device(c->inproc);
}

/* --- A queue and nothing else */

struct raw {
	struct controller controller;
	struct event_loop *loop;
	struct nvme_ring admin, ring;
	struct pci_interrupt interrupt;
	struct nvme_sqe commands[DEPTH_MAX];
	unsigned int depth, under_way;
	uint64_t done;
};

static void admin(struct raw *raw, struct nvme_sqe sqe)
{
	struct nvme_cqe cqe;

	nvme_ring_push(&raw->admin, &sqe);
	nvme_ring_ring(&raw->admin);
	while (!nvme_ring_pop(&raw->admin, &cqe))
		;
	nvme_ring_popped(&raw->admin);
	check(!NVME_CQE_STATUS(cqe.status));
}

static void raw_send(struct raw *raw, unsigned int i)
{
	uint64_t sector = random_block() * (BLOCK / 512);

	raw->commands[i].cdw10 = (uint32_t)sector;
	nvme_ring_push(&raw->ring, &raw->commands[i]);
	raw->under_way++;
}

static void raw_raised(struct pci_interrupt *interrupt)
{
	struct raw *raw = container_of(interrupt, struct raw, interrupt);
	struct nvme_cqe cqe;

	while (nvme_ring_pop(&raw->ring, &cqe)) {
		check(cqe.cid < DEPTH_MAX && !NVME_CQE_STATUS(cqe.status));
		raw->under_way--;
		raw->done++;
		if (raw->under_way < raw->depth)
			raw_send(raw, cqe.cid);
	}
	nvme_ring_popped(&raw->ring);
	nvme_ring_ring(&raw->ring);
}

static void raw_enable(struct raw *raw)
{
	struct pci_device_access *pci = raw->controller.pci;
	struct pci_dma dma;

	check(!pci->ops->config_write(pci, PCI_COMMAND, 2,
				      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	check(!pci->ops->dma_alloc(pci, nvme_ring_end(16), &dma));
	nvme_ring_init(&raw->admin, pci, 0, 16, 0, &dma);
	pci_write32(pci, 0, NVME_REG_AQA, 15 << NVME_AQA_ACQS_SHIFT | 15);
	pci_write64(pci, 0, NVME_REG_ASQ, raw->admin.sq_address);
	pci_write64(pci, 0, NVME_REG_ACQ, raw->admin.cq_address);
	pci_write32(pci, 0, NVME_REG_CC,
		    NVME_CC_EN | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT);
	while (!(pci_read32(pci, 0, NVME_REG_CSTS) & NVME_CSTS_RDY))
		;
}

static void raw_init(struct raw *raw, struct guest_memory *memory)
{
	struct pci_device_access *pci;
	struct pci_dma dma, shadow;

	make_controller(&raw->controller, memory, POOL, 1);
	pci = raw->controller.pci;
	raw->loop = event_loop_create();
	raw_enable(raw);
	check(!pci->ops->dma_alloc(pci, 2 * BLOCK, &shadow));
	admin(raw, (struct nvme_sqe){ .opcode = NVME_ADMIN_DOORBELL_BUFFER_CONFIG,
				      .prp1 = shadow.address,
				      .prp2 = shadow.address + BLOCK });
	check(!pci->ops->dma_alloc(pci, nvme_ring_end(RAW_ENTRIES), &dma));
	nvme_ring_init(&raw->ring, pci, 1, RAW_ENTRIES, 0, &dma);
	nvme_ring_set_shadow(&raw->ring, shadow.base, (uint8_t *)shadow.base + BLOCK, 0);
	raw->interrupt.raised = raw_raised;
	check(!pci->ops->bind(pci, 1, raw->loop, &raw->interrupt));
	admin(raw, (struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_CQ,
				      .prp1 = raw->ring.cq_address,
				      .cdw10 = (RAW_ENTRIES - 1) << 16 | 1,
				      .cdw11 = 1 << 16 | 3 });
	admin(raw, (struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_SQ,
				      .prp1 = raw->ring.sq_address,
				      .cdw10 = (RAW_ENTRIES - 1) << 16 | 1,
				      .cdw11 = 1 << 16 | 1 });
	for (uint16_t i = 0; i < DEPTH_MAX; i++)
		raw->commands[i] = (struct nvme_sqe){ .opcode = NVME_IO_READ,
						      .cid = i,
						      .nsid = 1,
						      .prp1 = BUFFERS + i * BLOCK,
						      .cdw12 = BLOCK / 512 - 1 };
}

static struct cost raw_slice(struct raw *raw, unsigned int depth)
{
	uint64_t start, cpu = thread_cpu_ns(), before = raw->done;

	raw->depth = depth;
	for (unsigned int i = 0; i < depth; i++)
		raw_send(raw, i);
	start = event_loop_now_ns();
	nvme_ring_ring(&raw->ring);
	while (event_loop_now_ns() - start < setup->slice_ns)
		turn(raw->loop);
	start = event_loop_now_ns() - start;
	cpu = thread_cpu_ns() - cpu;
	before = raw->done - before;
	raw->depth = 0;
	while (raw->under_way)
		turn(raw->loop);
	return cost_of(start, cpu, before);
}

/* --- The driver alone */

struct driver_request {
	struct disk_request request;
	struct disk_segment segment;
	struct driver *driver;
};

struct driver {
	struct nvme *nvme;
	struct disk *disk;
	struct event_loop *loop;
	struct driver_request requests[DEPTH_MAX];
	unsigned int depth, under_way;
	uint64_t done;
};

static void driver_send(struct driver *driver, struct driver_request *r)
{
	r->request.sector = random_block() * (BLOCK / 512);
	driver->under_way++;
	driver->disk->ops->submit(driver->disk, driver->loop, &r->request);
}

static void driver_done(struct disk_request *request, int err)
{
	struct driver_request *r = container_of(request, struct driver_request, request);
	struct driver *driver = r->driver;

	check(!err);
	driver->under_way--;
	driver->done++;
	if (driver->under_way < driver->depth)
		driver_send(driver, r);
}

static struct cost driver_slice(struct driver *driver, unsigned int depth)
{
	uint64_t start, cpu = thread_cpu_ns(), before = driver->done;

	driver->depth = depth;
	start = event_loop_now_ns();
	for (unsigned int i = 0; i < depth; i++) {
		struct driver_request *r = &driver->requests[i];

		r->driver = driver;
		r->segment = (struct disk_segment){ BUFFERS + i * BLOCK, BLOCK };
		r->request = (struct disk_request){ .operation = DISK_READ,
						    .count = BLOCK / 512,
						    .segments = &r->segment,
						    .segment_count = 1,
						    .done = driver_done };
		driver_send(driver, r);
	}
	while (event_loop_now_ns() - start < setup->slice_ns)
		turn(driver->loop);
	start = event_loop_now_ns() - start;
	cpu = thread_cpu_ns() - cpu;
	before = driver->done - before;
	driver->depth = 0;
	while (driver->under_way)
		turn(driver->loop);
	return cost_of(start, cpu, before);
}

/* --- The guest on VMBus */

struct guest {
	struct client client;
	struct client_channel channel;
	struct storvsp *storvsp;
	struct scsi_lun *lun;
	unsigned int under_way;
	uint64_t done;
};

static void guest_call(struct guest *guest, uint32_t operation, uint16_t argument)
{
	struct vstor_packet packet = { .operation = operation };
	uint8_t answer[256];

	packet.version.major_minor = argument;
	check(!client_send(&guest->channel, VM_PKT_DATA_INBAND, 1, 1, NULL, 0, &packet,
			   sizeof(packet)));
	client_run(&guest->client);
	check(client_receive(&guest->channel, answer, sizeof(answer)) > 0);
}

static void guest_connect(struct guest *guest)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct vmbus_channel_offer_channel offer;
	const struct vmbus_channel_offer_channel *message;

	check(client_connect(&guest->client, VMBUS_VERSION_5_3));
	client_post(&guest->client, &request, sizeof(request));
	client_run(&guest->client);
	message = client_take(&guest->client, CHANNELMSG_OFFERCHANNEL);
	check(message);
	offer = *message;
	client_drop_messages(&guest->client);
	check(!client_open(&guest->client, &guest->channel, offer.child_relid, offer.connection_id,
			   0, RING_GPA, RING_PAGES));
	guest_call(guest, VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
	guest_call(guest, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VMSTOR_PROTO_VERSION_WIN10);
	guest_call(guest, VSTOR_OPERATION_QUERY_PROPERTIES, 0);
	guest_call(guest, VSTOR_OPERATION_END_INITIALIZATION, 0);
}

static void guest_send(struct guest *guest, unsigned int i)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t page;
	} ext = { .header.range_cnt = 1, .range.byte_count = BLOCK, .page = BUFFERS / BLOCK + i };

	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = BLOCK;
	packet.vm_srb.cdb_or_sense[0] = SCSI_READ_10;
	store_be32(&packet.vm_srb.cdb_or_sense[2], (uint32_t)(random_block() * (BLOCK / 512)));
	store_be16(&packet.vm_srb.cdb_or_sense[7], BLOCK / 512);
	check(!client_send(&guest->channel, VM_PKT_DATA_USING_GPA_DIRECT, 1, i + 1, &ext,
			   sizeof(ext), &packet, sizeof(packet)));
	guest->under_way++;
}

/* Takes all answers and sends as many new requests, while `more`. */
static void guest_turn(struct guest *guest, bool more)
{
	struct {
		struct vmpacket_descriptor desc;
		struct vstor_packet packet;
	} answer;

	while (client_receive(&guest->channel, &answer, sizeof(answer)) > 0) {
		check(answer.packet.vm_srb.srb_status == SRB_STATUS_SUCCESS);
		guest->under_way--;
		guest->done++;
		if (more)
			guest_send(guest, (unsigned int)answer.desc.trans_id - 1);
	}
}

static struct cost guest_slice(struct guest *guest, unsigned int depth)
{
	struct event_loop *loop = guest->client.loops[0];
	uint64_t begin, end, cpu = thread_cpu_ns(), spent = 0, before = guest->done;

	signal_ns = 0;
	begin = event_loop_now_ns();
	for (unsigned int i = 0; i < depth; i++)
		guest_send(guest, i);
	do {
		uint64_t start = event_loop_now_ns();

		turn(loop);
		end = event_loop_now_ns();
		spent += end - start;
		guest_turn(guest, true);
	} while (end < begin + setup->slice_ns);
	cpu = thread_cpu_ns() - cpu;
	before = guest->done - before;
	spent = setup->workers ? event_loop_now_ns() - begin : spent + signal_ns;
	while (guest->under_way) {
		turn(loop);
		guest_turn(guest, false);
	}
	return cost_of(spent, cpu, before);
}

/* --- */

static struct raw raw;
static struct driver driver;
static struct guest guest;
static struct controller controller;

static void make_driver(void)
{
	struct nvme_config config = { 0 };

	config.pci = controller.pci;
	config.memory = guest.client.memory;
	check(!nvme_create(&config, &driver.nvme));
	driver.disk = nvme_namespace_disk(driver.nvme, 1);
	driver.loop = guest.client.loops[0];
}

static void make_unit(void)
{
	struct scsi_lun_config lun = { .disk = driver.disk };

	guest.lun = scsi_lun_create(&lun);
	check(guest.lun && !storvsp_attach(guest.storvsp, 0, 0, guest.lun));
}

static void make_storvsp(void)
{
	struct storvsp_config config = { .server = guest.client.server };

	check(!storvsp_create(&config, &guest.storvsp));
}

static void init(void)
{
	check(!client_init(&guest.client, 0, 0));
	make_controller(&controller, guest.client.memory, POOL + POOL_SIZE, 1);
	make_driver();
	make_storvsp();
	make_unit();
	guest_connect(&guest);
	raw_init(&raw, guest.client.memory);
}

/* --- Memory: what is asked of the C library, and what the device can see */

void *__real_malloc(size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void __wrap_free(void *p);

static int64_t heap;

/* The library's calloc() comes here too. */
void *__wrap_malloc(size_t size)
{
	void *p = __real_malloc(size);

	__atomic_fetch_add(&heap, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	return p;
}

void __wrap_free(void *p)
{
	__atomic_fetch_sub(&heap, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	__real_free(p);
}

/* Where it was when it was last looked at. */
static int64_t heap_before, device_before;

static void space_start(void)
{
	struct nvme_counters counters;

	nvme_get_counters(driver.nvme, &counters);
	device_before = (int64_t)counters.dma_bytes;
	heap_before = __atomic_load_n(&heap, __ATOMIC_RELAXED);
}

/* What has been added since then, for each of `count`. */
static void space_line(const char *what, int64_t count)
{
	struct nvme_counters counters;
	int64_t more = __atomic_load_n(&heap, __ATOMIC_RELAXED) - heap_before;

	nvme_get_counters(driver.nvme, &counters);
	printf("%-44s %8lld %8lld\n", what, (long long)(more / count),
	       (long long)(((int64_t)counters.dma_bytes - device_before) / count));
	space_start();
}

#define MORE_DISKS 16

/* A driver's heap; it is driver.nvme then. Its controller is not counted. */
static int64_t driver_space(unsigned int namespaces, uint64_t pool)
{
	int64_t before;

	make_controller(&controller, guest.client.memory, pool, namespaces);
	before = __atomic_load_n(&heap, __ATOMIC_RELAXED);
	make_driver();
	return __atomic_load_n(&heap, __ATOMIC_RELAXED) - before;
}

/* One read on each loop but the first makes it a queue. */
static void use_all_loops(void)
{
	for (unsigned int i = 1; i < CLIENT_VPS; i++) {
		driver.loop = guest.client.loops[i];
		driver_slice(&driver, 1);
	}
}

static void measure_space(void)
{
	int64_t one, more;

	setup = &setups[0];
	check(!client_init(&guest.client, 0, 0));
	more = driver_space(1 + MORE_DISKS, POOL);
	one = driver_space(1, POOL + POOL_SIZE);
	printf("memory in bytes                                 VTL2's  visible to the device\n");
	device_before = 0;
	heap_before = heap - one;
	space_line("an NVMe controller with its first namespace", 1);
	printf("%-44s %8lld %8d\n", "a further namespace", (long long)((more - one) / MORE_DISKS),
	       0);
	use_all_loops();
	space_line("an I/O queue of a VP", CLIENT_VPS - 1);
	make_storvsp();
	space_line("a SCSI controller", 1);
	make_unit();
	space_line("a disk's logical unit", 1);
	guest_connect(&guest);
	guest_slice(&guest, 1);
	space_line("a channel, and the first VP's queue", 1);
	guest_slice(&guest, DEPTH_MAX);
	space_line("the channel once it had 128 requests", 1);
}

static struct cost slice(unsigned int way, unsigned int depth)
{
	switch (way) {
	case 0:
		return raw_slice(&raw, depth);
	case 1:
		return driver_slice(&driver, depth);
	default:
		return guest_slice(&guest, depth);
	}
}

static void measure(unsigned int depth)
{
	struct cost best[3] = { { 1e12, 1e12 }, { 1e12, 1e12 }, { 1e12, 1e12 } };

	for (unsigned int i = 0; i < 3 * setup->slices; i++) {
		struct cost now = slice(i % 3, depth), *least = &best[i % 3];

		least->ns = now.ns < least->ns ? now.ns : least->ns;
		least->cpu_ns = now.cpu_ns < least->cpu_ns ? now.cpu_ns : least->cpu_ns;
	}
	printf("%5u", depth);
	for (unsigned int k = 0; k < 3; k++)
		printf("   %7.0f (%6.0f)", best[k].ns, 1e6 / best[k].ns);
	printf("   %9.2f %12.2f", best[0].ns / best[1].ns, best[0].ns / best[2].ns);
	if (setup->workers)
		printf("   %7.0f %7.0f %7.0f", best[0].cpu_ns, best[1].cpu_ns, best[2].cpu_ns);
	printf("\n");
}

static void measure_all(void)
{
	struct nvme_counters counters;

	init();
	printf("4 KiB reads, %s: ns each (and thousands a second)%s\n", setup->name,
	       setup->workers ? "; ns of the paravisor's thread" : "");
	printf("depth   raw queue          driver             storvsp+driver     driver/raw  "
	       "storvsp/raw\n");
	for (unsigned int depth = 1; depth <= DEPTH_MAX; depth *= 2)
		measure(depth);
	nvme_get_counters(driver.nvme, &counters);
	printf("%llu bytes went straight to the guest's pages, %llu were copied; %llu interrupts "
	       "lost\n",
	       (unsigned long long)counters.bytes_direct, (unsigned long long)counters.bytes_copied,
	       (unsigned long long)counters.lost_interrupts);
}

static void measure_one(unsigned int depth, unsigned int way, unsigned int seconds)
{
	uint64_t end = event_loop_now_ns() + seconds * 1000000000ull;

	check(depth && depth <= DEPTH_MAX);
	init();
	while (event_loop_now_ns() < end)
		slice(way, depth);
}

/* Each in a process of its own. */
static int in_child(void (*function)(void))
{
	pid_t pid = fork();
	int status;

	check(pid >= 0);
	if (!pid) {
		function();
		fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	check(waitpid(pid, &status, 0) == pid);
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	int status = EXIT_SUCCESS;

	log_set_level(LOG_ERROR);
	if (argc == 1 || !strcmp(argv[1], "space"))
		status |= in_child(measure_space);
	for (setup = setups; setup < setups + SETUPS; setup++) {
		if (argc > 1 && strcmp(argv[1], setup->name) != 0)
			continue;
		if (argc < 5)
			status |= in_child(measure_all);
		else
			measure_one((unsigned int)atoi(argv[2]), (unsigned int)atoi(argv[3]),
				    (unsigned int)atoi(argv[4]));
	}
	return status;
}

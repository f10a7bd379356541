#include "tests/unit/devices/storage/nvme_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/pci_function.h"
#include "devices/pci/pci_inproc.h"
#include "proto/nvme.h"

#define WAIT_NS 30000000000ull

/* --- The layer between driver and function */

static struct pci_device_access *inner(struct pci_device_access *pci, struct rig **rig)
{
	*rig = container_of(pci, struct rig, pci);
	return pci_inproc_device((*rig)->inproc);
}

static bool is(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	*value = UINT32_MAX;
	return is(&rig->gone) ? 0 : to->ops->config_read(to, offset, size, value);
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return is(&rig->gone) ? 0 : to->ops->config_write(to, offset, size, value);
}

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return to->ops->bar_size(to, bar);
}

static uint64_t read_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			      unsigned int size)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);
	uint64_t value = to->ops->read(to, bar, offset, size);

	if (is(&rig->gone))
		return size == 4 ? UINT32_MAX : UINT64_MAX;
	if (is(&rig->never_ready) && offset == NVME_REG_CSTS)
		value &= ~(uint64_t)NVME_CSTS_RDY;
	if (is(&rig->never_ready) && offset == NVME_REG_CAP)
		value &= ~(0xFFull << NVME_CAP_TO_SHIFT);
	return value;
}

static void write_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	if (!is(&rig->gone))
		to->ops->write(to, bar, offset, size, value);
}

static int dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return is(&rig->no_dma) ? -ENOMEM : to->ops->dma_alloc(to, len, dma);
}

static void dma_free(struct pci_device_access *pci, struct pci_dma *dma)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	to->ops->dma_free(to, dma);
}

static int dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return to->ops->dma_address(to, gpa, len, address);
}

static unsigned int vector_count(struct pci_device_access *pci)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return to->ops->vector_count(to);
}

static int bind(struct pci_device_access *pci, unsigned int vector, struct event_loop *loop,
		struct pci_interrupt *interrupt)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return to->ops->bind(to, vector, loop, interrupt);
}

static void unbind(struct pci_device_access *pci, unsigned int vector)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	to->ops->unbind(to, vector);
}

static int reset(struct pci_device_access *pci)
{
	struct rig *rig;
	struct pci_device_access *to = inner(pci, &rig);

	return is(&rig->no_reset) ? -EIO : to->ops->reset(to);
}

static const struct pci_device_ops layer = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = read_register,
	.write = write_register,
	.dma_alloc = dma_alloc,
	.dma_free = dma_free,
	.dma_address = dma_address,
	.vector_count = vector_count,
	.bind = bind,
	.unbind = unbind,
	.reset = reset,
};

/* --- */

int rig_init(struct rig *rig)
{
	*rig = (struct rig){
		.emu_config = { .serial = "RIG", .controller_id = 1, .io_queues = 4, .workers = 2 },
		.sector_size = { 512, 4096 },
		.size = { 8 << 20, 8 << 20 },
		.fd = -1,
		.pci.ops = &layer,
	};
	rig->memory = guest_memory_create();
	rig->ram = mmap(NULL, RIG_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (!rig->memory || rig->ram == MAP_FAILED ||
	    guest_memory_add(rig->memory, 0, rig->ram, RIG_RAM_SIZE))
		return -1;
	for (unsigned int i = 0; i < RIG_LOOPS; i++) {
		rig->loops[i] = event_loop_create();
		if (!rig->loops[i])
			return -1;
	}
	return 0;
}

static void changed(void *ctx)
{
	struct rig *rig = ctx;

	__atomic_store_n(&rig->changed, true, __ATOMIC_RELEASE);
}

static int make_controller(struct rig *rig)
{
	struct pci_inproc_config config = { .memory = rig->memory,
					    .pool_address = RIG_POOL,
					    .pool_len = RIG_POOL_SIZE };

	rig->emu = nvme_emu_create(&rig->emu_config);
	if (!rig->emu)
		return -1;
	config.function = nvme_emu_function(rig->emu);
	rig->inproc = pci_inproc_create(&config);
	if (!rig->inproc)
		return -1;
	for (unsigned int i = 0; i < RIG_NAMESPACES; i++) {
		struct nvme_emu_namespace_config ns = { .fd = i ? -1 : rig->fd,
							.memory_len = rig->size[i],
							.block_size = rig->sector_size[i] };

		if (!rig->size[i])
			continue;
		rig->namespaces[i] = nvme_emu_namespace_create(&ns);
		if (!rig->namespaces[i] || nvme_emu_attach(rig->emu, i + 1, rig->namespaces[i]))
			return -1;
	}
	return 0;
}

int rig_start(struct rig *rig)
{
	int err = make_controller(rig);

	if (err)
		return err;
	rig->config.pci = &rig->pci;
	rig->config.memory = rig->memory;
	rig->config.changed = changed;
	rig->config.ctx = rig;
	err = nvme_create(&rig->config, &rig->nvme);
	if (!err)
		rig->disk = nvme_namespace_disk(rig->nvme, 1);
	return err;
}

static void stopped(void *ctx)
{
	__atomic_store_n((bool *)ctx, true, __ATOMIC_RELEASE);
}

uint64_t rig_stop(struct rig *rig)
{
	bool over = false;
	uint64_t left;

	if (rig->nvme) {
		nvme_stop(rig->nvme, stopped, &over);
		if (!rig_wait(rig, &over))
			abort();
		nvme_destroy(rig->nvme);
		rig->nvme = NULL;
	}
	left = pci_inproc_allocated(rig->inproc) + pci_inproc_bound(rig->inproc);
	pci_inproc_destroy(rig->inproc);
	nvme_emu_function(rig->emu)->ops->destroy(nvme_emu_function(rig->emu));
	for (unsigned int i = 0; i < RIG_NAMESPACES; i++)
		if (rig->namespaces[i])
			nvme_emu_namespace_put(rig->namespaces[i]);
	return left;
}

void rig_fini(struct rig *rig)
{
	for (unsigned int i = 0; i < RIG_LOOPS; i++)
		event_loop_destroy(rig->loops[i]);
	guest_memory_destroy(rig->memory);
	munmap(rig->ram, RIG_RAM_SIZE);
}

bool rig_wait(struct rig *rig, const bool *flag)
{
	uint64_t deadline = event_loop_now_ns() + WAIT_NS;

	while (!is(flag)) {
		for (unsigned int i = 0; i < RIG_LOOPS; i++)
			event_loop_run_once(rig->loops[i], i == 0);
		if (event_loop_now_ns() > deadline)
			return false;
	}
	return true;
}

struct waiting {
	struct disk_request *request;
	bool over;
	int err;
};

static struct waiting *current;

static void done(struct disk_request *request, int err)
{
	if (current->request != request || current->over)
		abort();
	current->err = err;
	current->over = true;
}

int rig_execute(struct rig *rig, struct disk_request *request)
{
	struct waiting waiting = { .request = request };

	request->done = done;
	current = &waiting;
	rig->disk->ops->submit(rig->disk, rig->loops[0], request);
	return rig_wait(rig, &waiting.over) ? waiting.err : -EBUSY;
}

int rig_transfer(struct rig *rig, enum disk_operation operation, uint64_t sector, uint64_t count,
		 uint64_t gpa)
{
	struct disk_info info;
	struct disk_segment segment = { .gpa = gpa };
	struct disk_request request = { .operation = operation,
					.sector = sector,
					.count = count,
					.segments = &segment,
					.segment_count = 1 };

	rig->disk->ops->get_info(rig->disk, &info);
	segment.len = count * info.sector_size;
	return rig_execute(rig, &request);
}

struct nvme_counters rig_counters(struct rig *rig)
{
	struct nvme_counters counters;

	nvme_get_counters(rig->nvme, &counters);
	return counters;
}

int rig_fault(struct rig *rig, const char *text)
{
	struct nvme_emu_fault fault;
	int err = nvme_emu_fault_parse(text, &fault);

	return err ? err : nvme_emu_inject(rig->emu, &fault);
}

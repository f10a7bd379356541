/*
 * A driver that does what the input says: any register and configuration write, any command, PRP lists
 * and SGLs that loop or point nowhere, doorbell buffers with nonsense; namespaces that change, faults.
 * Afterwards a reset must give a controller that works, and everything must be given back.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "core/pci_function.h"
#include "proto/pci.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/nvme/raw_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK 65536u

static struct raw m;
static int fd = -1;
static struct nvme_emu_namespace *file, *memory;

static struct nvme_emu_namespace *make_namespace(int backing, uint32_t block_size)
{
	struct nvme_emu_namespace_config config = { .fd = backing,
						    .memory_len = DISK,
						    .block_size = block_size };
	struct nvme_emu_namespace *ns = nvme_emu_namespace_create(&config);

	if (!ns)
		abort();
	return ns;
}

/* An address: mostly one where there is something, or that wraps around the end of RAM. */
static uint64_t take_address(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_take(in, 1);

	switch (how & 7) {
	case 0:
		return fuzz_take(in, 8);
	case 1:
		return RAW_RAM - 4096 * (how >> 4) + (how >> 3 & 1) * 512;
	case 2:
	case 3:
		return RAW_LISTS + (how >> 3) * 128u;
	case 4:
		return RAW_LISTS + 4096 - 8 * (how >> 3);
	default:
		return RAW_BUFFER + (how >> 3) * 512u;
	}
}

static void take_command(struct fuzz_input *in, struct nvme_sqe *sqe)
{
	uint8_t shape = (uint8_t)fuzz_take(in, 1);

	sqe->opcode = (uint8_t)fuzz_take(in, 1);
	sqe->flags = shape & 0x10 ? (uint8_t)fuzz_take(in, 1) : 0;
	sqe->nsid = shape & 0x20 ? (uint32_t)fuzz_take(in, 4) : 1 + (shape & 1);
	sqe->prp1 = take_address(in);
	if (shape & 0x40)
		fuzz_take_bytes(in, &sqe->sgl.length, 8);
	else
		sqe->prp2 = take_address(in);
	fuzz_take_bytes(in, &sqe->cdw10, shape & 0x80 ? 24 : 4);
	if (!(shape & 0x80))
		sqe->cdw12 = (uint32_t)fuzz_take(in, 2);
}

static void submit(struct fuzz_input *in, unsigned int id)
{
	struct nvme_sqe sqe = { 0 };

	take_command(in, &sqe);
	if (m.queues[id].entries)
		raw_push(&m, id, &sqe);
	if (fuzz_take(in, 1) & 3)
		pci_write32(m.pci, 0, NVME_SQ_DOORBELL(id, 0), m.queues[id].sq_tail);
}

static void fill_lists(struct fuzz_input *in)
{
	uint64_t *lists = (uint64_t *)(m.ram + RAW_LISTS);
	unsigned int at = (unsigned int)fuzz_take(in, 2) % 2048, n = fuzz_take(in, 1) % 16;

	for (unsigned int i = 0; i < n; i++)
		lists[(at + i) % 2048] = take_address(in);
}

static void fill_raw(struct fuzz_input *in)
{
	fuzz_take_bytes(in, m.ram + RAW_LISTS + fuzz_take(in, 2) % 16384, fuzz_take(in, 1) % 64);
}

static void access_registers(struct fuzz_input *in)
{
	unsigned int size = 1u << (fuzz_take(in, 1) & 3);
	uint64_t offset = fuzz_take(in, 2) % (0x4000 - 8);

	if (fuzz_take(in, 1) & 1)
		m.function->ops->bar_write(m.function, 0, offset, size, fuzz_take(in, size));
	else
		m.function->ops->bar_read(m.function, 0, offset, size);
}

static void access_config(struct fuzz_input *in)
{
	unsigned int size = 1u << (fuzz_take(in, 1) % 3);
	uint16_t offset = (uint16_t)(fuzz_take(in, 2) % 4096 & ~(size - 1));
	uint32_t value;

	if (fuzz_take(in, 1) & 1)
		m.pci->ops->config_write(m.pci, offset, size, (uint32_t)fuzz_take(in, size));
	else
		m.pci->ops->config_read(m.pci, offset, size, &value);
}

static void change_namespace(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_take(in, 1);
	struct nvme_emu_namespace *ns = how & 1 ? memory : file;
	uint32_t nsid = 1 + (how & 1);

	switch (how >> 1 & 3) {
	case 0:
		nvme_emu_detach(m.emu, nsid);
		break;
	case 1:
		nvme_emu_attach(m.emu, nsid, ns);
		break;
	case 2:
		nvme_emu_namespace_resize(ns, fuzz_take(in, 2) % DISK);
		break;
	case 3:
		if (ftruncate(fd, (off_t)(fuzz_take(in, 2) % DISK)))
			abort();
		break;
	}
}

static void inject(struct fuzz_input *in)
{
	struct nvme_emu_fault fault = {
		.kind = (enum nvme_emu_fault_kind)(fuzz_take(in, 1) % 9),
		.queue = (enum nvme_emu_fault_queue)(fuzz_take(in, 1) % 3),
		.opcode = -1,
		.after = fuzz_take(in, 1) % 4,
		.count = 1,
		.status = (uint16_t)(fuzz_take(in, 2) & 0x7FFF),
		.nsid = 1 + (uint32_t)fuzz_take(in, 1) % 3,
		.bytes = fuzz_take(in, 2),
	};

	nvme_emu_inject(m.emu, &fault);
}

static void enable(void)
{
	m.pci->ops->config_write(m.pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (raw_enable(&m) != NVME_CSTS_RDY)
		abort();
	raw_create_queue(&m, 1, 8);
	raw_create_queue(&m, 2, 4);
}

static void reset(struct fuzz_input *in)
{
	nvme_emu_clear_faults(m.emu);
	if (in && fuzz_take(in, 1) & 1)
		raw_disable(&m);
	else
		m.pci->ops->reset(m.pci);
	enable();
}

static void step(struct fuzz_input *in)
{
	struct nvme_cqe cqe;

	switch (fuzz_take(in, 1) % 13) {
	case 0:
	case 1:
	case 2:
		submit(in, 1 + (fuzz_take(in, 1) & 1));
		break;
	case 3:
	case 4:
		submit(in, 0);
		break;
	case 5:
		fill_lists(in);
		break;
	case 6:
		fill_raw(in);
		break;
	case 7:
		access_registers(in);
		break;
	case 8:
		access_config(in);
		break;
	case 9:
		change_namespace(in);
		break;
	case 10:
		inject(in);
		break;
	case 11:
		for (unsigned int i = 0; i < 3; i++)
			while (m.queues[i].entries && raw_poll(&m, i, &cqe))
				;
		break;
	case 12:
		reset(in);
		break;
	}
}

/* Whatever was done to it, a reset makes a working controller of it. */
static void epilogue(void)
{
	struct nvme_sqe identify = { .opcode = NVME_ADMIN_IDENTIFY,
				     .prp1 = RAW_BUFFER,
				     .cdw10 = NVME_CNS_CONTROLLER };

	reset(NULL);
	nvme_emu_detach(m.emu, 2);
	nvme_emu_namespace_resize(memory, DISK);
	nvme_emu_detach(m.emu, 1);
	if (nvme_emu_attach(m.emu, 1, memory))
		abort();
	if (raw_command(&m, 0, &identify) || raw_transfer(&m, 2, NVME_IO_FLUSH, 0, 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	if (fd < 0)
		fd = memfd_create("disk", 0);
	if (ftruncate(fd, 0) || ftruncate(fd, DISK))
		abort();
	raw_start(&m, 0);
	file = make_namespace(fd, 512);
	memory = make_namespace(-1, 4096);
	if (nvme_emu_attach(m.emu, 1, file) || nvme_emu_attach(m.emu, 2, memory))
		abort();
	enable();
	while (in.size)
		step(&in);
	epilogue();
	raw_stop(&m);
	nvme_emu_namespace_put(file);
	nvme_emu_namespace_put(memory);
	return 0;
}

#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "paravisor/exit.h"
#include "paravisor/get.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/vmbus.h"
#include "paravisor/vp.h"
#include "tests/unit/fake/fake_vtl.h"
#include "vtl/mshv_decode.h"

/*
 * Any intercept message, any processor state, any memory: the dispatch of exits answers and goes
 * on. The input is a message, then registers, then the first bytes of RAM.
 */

#define RAM_SIZE (64u << 10)

static struct fake_vtl fake;
static struct machine machine = { .end_lock = PTHREAD_MUTEX_INITIALIZER };
static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));

void interrupt_eoi(struct machine *m, uint8_t vector)
{
	(void)m;
	(void)vector;
}

void vmbus_slot_free(struct vp *vp, uint16_t sints)
{
	(void)vp;
	(void)sints;
}

int interrupt_deliverable(struct vp *vp)
{
	(void)vp;
	return 0;
}

void vp_wake(struct vp *vp)
{
	(void)vp;
}

void get_vtl_crash(struct get *get, uint32_t vp, uint64_t control, const uint64_t parameters[5])
{
	(void)get;
	(void)vp;
	(void)control;
	(void)parameters;
}

static enum io_result device_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	(void)dev;
	*value = offset * size;
	return offset & 1 ? IO_FAULT : IO_DONE;
}

static enum io_result device_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)dev;
	(void)size;
	return (offset ^ value) & 1 ? IO_FAULT : IO_DONE;
}

static const struct io_region_ops device_ops = { device_read, device_write };

static void drop(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)level;
	(void)line;
	(void)len;
}

static void prepare(void)
{
	const struct io_region regions[] = {
		{ .name = "ports", .space = IO_PORT, .base = 0, .len = 0x8000, .ops = &device_ops },
		{ .name = "mmio",
		  .space = IO_MEMORY,
		  .base = 0xf0000000,
		  .len = 1 << 20,
		  .ops = &device_ops },
	};

	log_set_sink(&(struct log_sink){ drop, NULL });
	machine.vtl = &fake.vtl;
	machine.bus = io_bus_create();
	machine.memory = guest_memory_create();
	if (!machine.bus || !machine.memory || io_bus_add(machine.bus, &regions[0]) ||
	    io_bus_add(machine.bus, &regions[1]) ||
	    guest_memory_add(machine.memory, 0, ram, RAM_SIZE))
		abort();
}

static size_t take(void *to, size_t len, const uint8_t **data, size_t *size)
{
	size_t n = *size < len ? *size : len;

	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hv_message message = { 0 };
	struct vp vp = { .machine = &machine, .vtl = &fake.vp };
	struct vp_exit exit;

	if (!machine.bus)
		prepare();
	fake_vtl_init(&fake);
	machine.ended = false;
	memset(ram, 0, sizeof(ram));
	take(&message, sizeof(message), &data, &size);
	take(&fake.cpu, sizeof(fake.cpu), &data, &size);
	take(ram, sizeof(ram), &data, &size);
	mshv_decode_message(&message, &exit);
	for (unsigned int i = 0; i < 4; i++) { /* a REP instruction comes back for more */
		exit_dispatch(&vp, &exit);
		if (vtl_vp_run(&fake.vp, &fake.next_exit))
			abort();
	}
	return 0;
}

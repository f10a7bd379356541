#include "paravisor/relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/event_loop.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "devices/pci/pci_relay.h"
#include "devices/vpci/vpci_set.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

struct window {
	struct relay *relay;
	uint64_t gpa;
};

struct relay {
	struct machine *machine;
	struct vpci_set *buses;
	struct window windows[TOPOLOGY_MAX_MMIO];
};

/* A vector of a function, on its way to the loop that relays it. */
struct binding {
	struct pci_relay *function;
	struct event_loop *loop;
	unsigned int vector;
};

struct relay_function {
	struct relay *relay;
	struct pci_relay *function;
	struct guid instance;
	uint32_t serial;

	/* VP 0's thread's. */
	bool wanted, offered;
	bool going; /* VTL0 has been asked for it */
};

/* --- What the buses ask for */

static void interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	struct relay *relay = ctx;
	struct machine *machine = relay->machine;
	const struct vtl_interrupt assert = {
		.type = HV_X64_INTERRUPT_TYPE_FIXED,
		.destination = machine->topology.apic_ids[vp],
		.vector = vector,
	};
	int ret = machine->vtl->ops->assert_interrupt(machine->vtl, &assert);

	if (ret)
		log_limited(LOG_WARN, "a relayed function's vector %#x not asserted: errno %d",
			    vector, -ret);
}

/* --- What VTL0 does */

static enum io_result window_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	const struct window *window = dev;

	return vpci_set_mmio(window->relay->buses, window->gpa + offset, size, value, false)
		       ? IO_DONE
		       : IO_FAULT;
}

static enum io_result window_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	const struct window *window = dev;

	return vpci_set_mmio(window->relay->buses, window->gpa + offset, size, &value, true)
		       ? IO_DONE
		       : IO_FAULT;
}

static const struct io_region_ops window_ops = { .read = window_read, .write = window_write };

int relay_retarget(struct relay *relay, const struct retarget *retarget)
{
	return vpci_set_retarget(relay->buses, retarget);
}

/* --- Life */

static int add_windows(struct relay *relay)
{
	const struct topology *topology = &relay->machine->topology;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < topology->mmio_count; i++) {
		const struct io_region region = {
			.name = "VPCI",
			.space = IO_MEMORY,
			.base = topology->mmio[i].gpa,
			.len = topology->mmio[i].len,
			.ops = &window_ops,
			.dev = &relay->windows[i],
		};

		relay->windows[i] = (struct window){ relay, region.base };
		if (region.len)
			ret = io_bus_add(relay->machine->bus, &region);
	}
	return ret;
}

/* All windows, and what is between them: no access to that comes here. */
static void cover(const struct topology *topology, uint64_t *base, uint64_t *len)
{
	uint64_t end = 0;

	*base = UINT64_MAX;
	for (unsigned int i = 0; i < topology->mmio_count; i++) {
		const struct boot_range *range = &topology->mmio[i];

		if (range->len && range->gpa < *base)
			*base = range->gpa;
		if (range->len && range->gpa + range->len > end)
			end = range->gpa + range->len;
	}
	*len = end > *base ? end - *base : 0;
}

int relay_create(struct machine *machine, struct relay **result)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	struct vpci_set_config config = {
		.interrupt = interrupt,
		.ctx = relay,
		.server = machine->vmbus,
		.vp_count = machine->topology.vp_count,
	};

	if (!relay)
		return -ENOMEM;
	relay->machine = machine;
	cover(&machine->topology, &config.mmio_base, &config.mmio_len);
	relay->buses = vpci_set_create(&config);
	if (!relay->buses) {
		free(relay);
		return -ENOMEM;
	}
	*result = relay;
	return add_windows(relay);
}

/* On the loop that is to relay the vector. */
static void bind_vector(void *ctx)
{
	struct binding *binding = ctx;
	int ret = pci_relay_bind(binding->function, binding->vector, binding->loop);

	if (ret)
		log_warn("vector %u of a relayed function is lost: errno %d", binding->vector,
			 -ret);
	free(binding);
}

/* The first is for events of the function, then comes one a VP: as drivers spread them. */
static int bind_vectors(struct relay_function *function)
{
	struct machine *machine = function->relay->machine;
	unsigned int count = pci_relay_vectors(function->function);

	for (unsigned int i = 0; i < count; i++) {
		struct binding *binding = malloc(sizeof(*binding));

		if (!binding)
			return -ENOMEM;
		*binding = (struct binding){
			.function = function->function,
			.loop = machine->vps[i ? (i - 1) % machine->topology.vp_count : 0].loop,
			.vector = i,
		};
		if (event_loop_post(binding->loop, bind_vector, binding)) {
			free(binding);
			return -ENOMEM;
		}
	}
	return 0;
}

int relay_add(struct relay *relay, struct pci_device_access *pci, const struct guid *instance,
	      uint32_t serial, struct relay_function **result)
{
	struct relay_function *function = calloc(1, sizeof(*function));
	int ret;

	if (!function)
		return -ENOMEM;
	function->relay = relay;
	function->instance = *instance;
	function->serial = serial;
	ret = pci_relay_create(pci, &function->function);
	if (!ret)
		ret = bind_vectors(function);
	if (ret)
		free(function); /* the machine ends: what was bound stays */
	else
		*result = function;
	return ret;
}

bool relay_in_use(const struct relay_function *function)
{
	return pci_relay_used(function->function);
}

void relay_watch(struct relay_function *function, void (*fn)(void *ctx), void *ctx)
{
	pci_relay_watch(function->function, fn, ctx);
}

/* --- Coming and going, on VP 0's thread */

static void update(struct relay_function *function);

static void note_gone(void *ctx)
{
	struct relay_function *function = ctx;

	function->offered = function->going = false;
	log_info("network: VTL0 has given function %u back", function->serial);
	update(function);
}

/* On the channel's loop. */
static void gone(void *ctx)
{
	struct relay_function *function = ctx;

	if (event_loop_post(function->relay->machine->vps[0].loop, note_gone, function))
		log_warn("out of memory: a relayed function does not come back");
}

static void offer(struct relay_function *function)
{
	const struct vpci_set_bus bus = {
		.instance = function->instance,
		.serial = function->serial,
		.memory = function->relay->machine->memory,
		.gone = gone,
		.ctx = function,
	};
	int ret =
		vpci_set_add(function->relay->buses, &bus, pci_relay_function(function->function));

	if (ret)
		log_warn("function %u not offered to VTL0: errno %d", function->serial, -ret);
	else
		function->offered = true;
}

static void update(struct relay_function *function)
{
	if (function->wanted && !function->offered)
		offer(function);
	if (function->wanted || !function->offered || function->going)
		return;
	function->going = true;
	vpci_set_remove(function->relay->buses, &function->instance);
}

void relay_want(struct relay_function *function, bool wanted)
{
	function->wanted = wanted;
	update(function);
}

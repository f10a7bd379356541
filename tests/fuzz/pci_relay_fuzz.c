/*
 * A function that says anything of itself, relayed to a guest that does anything with it. The fake
 * device aborts at an access that a relay must not make; what its host has been told has to be so.
 */

#include <stdlib.h>

#include "core/log.h"
#include "core/pci_function.h"
#include "devices/pci/pci_relay.h"
#include "proto/pci_direct.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/pci/fake_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
}

/* What the bus knows. */
static uint64_t places[PCI_BAR_COUNT]; /* of the BARs */
static uint32_t first_vp;              /* moves all interrupts */

static bool msi_target(void *ctx, uint64_t address, uint32_t data, uint32_t *vp, uint8_t *vector)
{
	(void)ctx;
	*vp = first_vp + (uint32_t)(address >> 2);
	*vector = (uint8_t)data;
	return *vector >= 16;
}

static const struct pci_bus_ops bus_ops = { .msi = msi, .msi_target = msi_target };

/* A few bytes of a sound function are changed, or all are the input's. */
static void make_device(struct fuzz_input *in, struct fake_device *fake)
{
	unsigned int first = (unsigned int)fuzz_take(in, 1), changes = first % 16;
	bool direct = first & 16;

	fake_device_init(fake);
	if (direct)
		fake_device_add_direct(fake);
	while (changes--)
		fake->config[fuzz_take(in, 1)] = (uint8_t)fuzz_take(in, 1);
	fake->bar_size[fuzz_take(in, 1) % PCI_BAR_COUNT] = 1ull << fuzz_take(in, 1) % 40;
	fake->vectors = (unsigned int)fuzz_take(in, 1) % 9;
}

static void access_bar(struct fuzz_input *in, struct pci_function *function)
{
	unsigned int bar = (unsigned int)fuzz_take(in, 1) % PCI_BAR_COUNT;
	unsigned int size = 1u << fuzz_take(in, 1) % 4;
	uint64_t len = function->ops->bar_size(function, bar), offset = fuzz_take(in, 4);

	if (len < 8)
		return;
	offset %= len - size + 1;
	if (fuzz_take(in, 1) & 1)
		function->ops->bar_read(function, bar, offset, size);
	else
		function->ops->bar_write(function, bar, offset, size, fuzz_take(in, 8));
}

static void access_config(struct fuzz_input *in, struct pci_function *function)
{
	unsigned int size = 1u << fuzz_take(in, 1) % 3;
	uint16_t offset = (uint16_t)(fuzz_take(in, 2) % 4096 & ~(size - 1));

	if (fuzz_take(in, 1) & 1)
		function->ops->config_read(function, offset, size);
	else
		function->ops->config_write(function, offset, size, (uint32_t)fuzz_take(in, 4));
}

/* --- What the host is told */

static unsigned int capability(struct pci_function *function)
{
	unsigned int at = function->ops->config_read(function, PCI_CAPABILITY_POINTER, 1);

	while (function->ops->config_read(function, (uint16_t)at, 1) != PCI_CAP_MSIX)
		at = function->ops->config_read(function, (uint16_t)(at + 1), 1);
	return at;
}

static bool is_master(struct pci_function *function)
{
	return function->ops->config_read(function, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

static void check_vector(struct pci_function *function, unsigned int msix, unsigned int i,
			 uint64_t told)
{
	uint32_t control = function->ops->config_read(function, (uint16_t)(msix + 2), 2);
	uint32_t table = function->ops->config_read(function, (uint16_t)(msix + 4), 4);
	uint64_t at = (table & ~PCI_MSIX_BAR_MASK) + i * 16;
	uint64_t address = function->ops->bar_read(function, table & PCI_MSIX_BAR_MASK, at, 8);
	uint64_t rest = function->ops->bar_read(function, table & PCI_MSIX_BAR_MASK, at + 8, 8);
	uint32_t vp;
	uint8_t vector;

	if (!is_master(function) || !(control & PCI_MSIX_CONTROL_ENABLE) ||
	    control & PCI_MSIX_CONTROL_MASK_ALL || rest >> 32 & PCI_MSIX_ENTRY_MASKED ||
	    !msi_target(NULL, address, (uint32_t)rest, &vp, &vector) ||
	    told != ((uint64_t)vector << 32 | vp))
		abort();
}

/* Nothing that was so once, nor what is not the host's. */
static void check_told(struct fake_device *fake, struct pci_function *function)
{
	unsigned int msix = capability(function);
	uint32_t table = function->ops->config_read(function, (uint16_t)(msix + 4), 4);

	for (unsigned int i = 0; i < PCI_BAR_COUNT; i++)
		if (fake->direct_bar[i] &&
		    (fake->direct_bar[i] != places[i] || i == (table & PCI_MSIX_BAR_MASK) ||
		     !is_master(function)))
			abort();
	for (unsigned int i = 0; i < sizeof(fake->direct_vector) / sizeof(uint64_t); i++)
		if (fake->direct_vector[i])
			check_vector(function, msix, i, fake->direct_vector[i]);
}

static void move_bar(struct fuzz_input *in, struct pci_function *function)
{
	unsigned int bar = (unsigned int)fuzz_take(in, 1) % PCI_BAR_COUNT;
	uint64_t place = fuzz_take(in, 5) << 12;

	if (!function->ops->bar_size(function, bar) || places[bar] == place)
		return;
	places[bar] = place;
	function->ops->bar_moved(function, bar, place);
}

static void move_interrupts(struct fuzz_input *in, struct pci_function *function)
{
	first_vp = (uint32_t)fuzz_take(in, 4);
	function->ops->targets_changed(function);
}

/* Takes a word no more, until it is told something new. */
static void fail(struct fuzz_input *in, struct fake_device *fake, struct pci_function *function)
{
	fake->direct_fails = PCI_DIRECT_LOW + (unsigned int)fuzz_take(in, 1) % 3 * 4;
	if (fuzz_take(in, 1) & 1)
		move_bar(in, function);
	else
		access_config(in, function);
	fake->direct_fails = 0;
	function->ops->config_write(function, 0, 4, 0);
}

static void step(struct fuzz_input *in, struct fake_device *fake, struct pci_relay *relay)
{
	struct pci_function *function = pci_relay_function(relay);
	unsigned int vector = (unsigned int)fuzz_take(in, 1) % 9;

	switch (fuzz_take(in, 1) % 8) {
	case 0:
		access_bar(in, function);
		break;
	case 1:
		access_config(in, function);
		break;
	case 2:
		if (!pci_relay_bind(relay, vector, NULL) && vector < 8)
			fake->bound[vector]->raised(fake->bound[vector]);
		break;
	case 3:
		function->ops->reset(function);
		break;
	case 4:
		move_bar(in, function);
		break;
	case 5:
		move_interrupts(in, function);
		break;
	case 6:
		fail(in, fake, function);
		break;
	}
	check_told(fake, function);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fake_device fake;
	struct pci_relay *relay;

	log_set_level(LOG_ERROR);
	memset(places, 0, sizeof(places));
	first_vp = 0;
	make_device(&in, &fake);
	if (pci_relay_create(&fake.pci, &relay))
		return 0;
	pci_relay_function(relay)->bus.ops = &bus_ops;
	while (in.size)
		step(&in, &fake, relay);
	pci_relay_destroy(relay);
	return 0;
}

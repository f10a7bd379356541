/*
 * A function that says anything of itself, relayed to a guest that does anything with it. The fake
 * device aborts at an access that a relay must not make.
 */

#include <stdlib.h>

#include "core/log.h"
#include "core/pci_function.h"
#include "devices/pci/pci_relay.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/pci/fake_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
}

static const struct pci_bus_ops bus_ops = { .msi = msi };

/* A few bytes of a sound function are changed, or all are the input's. */
static void make_device(struct fuzz_input *in, struct fake_device *fake)
{
	unsigned int changes = (unsigned int)fuzz_take(in, 1) % 16;

	fake_device_init(fake);
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

static void step(struct fuzz_input *in, struct fake_device *fake, struct pci_relay *relay)
{
	struct pci_function *function = pci_relay_function(relay);
	unsigned int vector = (unsigned int)fuzz_take(in, 1) % 9;

	switch (fuzz_take(in, 1) % 4) {
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
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fake_device fake;
	struct pci_relay *relay;

	log_set_level(LOG_ERROR);
	make_device(&in, &fake);
	if (pci_relay_create(&fake.pci, &relay))
		return 0;
	pci_relay_function(relay)->bus.ops = &bus_ops;
	while (in.size)
		step(&in, &fake, relay);
	pci_relay_destroy(relay);
	return 0;
}

/*
 * A guest's PCI driver that does what the input says: any message, any access to configuration
 * window and BARs, retargeting, ejection; and a VTL that it gives the function on to. The function
 * aborts at an access outside its BAR. Afterwards everything must be given back.
 */

#include <stdlib.h>

#include "core/log.h"
#include "proto/pci_direct.h"
#include "proto/vpci.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/vpci/vpci_bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vpci_bus bus;

static void drain(void)
{
	uint16_t type;

	while (vpci_bus_receive(&bus, &type))
		;
}

/* Two bytes of type, so that the fuzzer need not find the high half. */
static void send_message(struct fuzz_input *in)
{
	_Alignas(8) uint8_t message[160] = { 0 };
	uint32_t type = 0x42490000u | (uint32_t)fuzz_take(in, 1);
	uint16_t flags = (uint16_t)fuzz_take(in, 1) & 1;
	size_t len = fuzz_take(in, 1) % sizeof(message);

	fuzz_take_bytes(in, message, len);
	memcpy(message, &type, sizeof(type));
	client_send(&bus.channel, VM_PKT_DATA_INBAND, flags, fuzz_take(in, 1), NULL, 0, message,
		    len);
	client_run(&bus.client);
}

/* Near the window, the BAR, or anywhere in the MMIO range. */
static uint64_t take_gpa(struct fuzz_input *in)
{
	static const uint64_t bases[] = { BUS_WINDOW, BUS_WINDOW + VPCI_CONFIG_SPACE, BUS_BAR,
					  BUS_MMIO };

	return bases[fuzz_take(in, 1) % 4] + fuzz_take(in, 2);
}

static void access_mmio(struct fuzz_input *in, bool write)
{
	uint64_t gpa = take_gpa(in), value;
	unsigned int size = 1 + (unsigned int)fuzz_take(in, 1) % 8;

	if (write)
		vpci_mmio_write(bus.vpci, gpa, size, fuzz_take(in, 8));
	else
		vpci_mmio_read(bus.vpci, gpa, size, &value);
}

static void tell(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	uint32_t select = what & 1 ? PCI_DIRECT_BAR(what >> 4) : PCI_DIRECT_VECTOR(what >> 4);

	vpci_bus_tell(&bus, what & 2 ? select : (uint32_t)fuzz_take(in, 4),
		      what & 4 ? BUS_DIRECT : fuzz_take(in, 8));
}

/* At the edges of where it may have the BAR, or anywhere. */
static void write_direct(struct fuzz_input *in)
{
	static const uint64_t bases[] = { BUS_DIRECT - 8, BUS_DIRECT,
					  BUS_DIRECT + TEST_FUNCTION_BAR_SIZE - 8, BUS_BAR };
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	uint64_t gpa = what & 1 ? fuzz_take(in, 8) : bases[what >> 1 & 3] + fuzz_take(in, 1) % 17;

	vpci_direct_write(bus.vpci, gpa, (what >> 3) % 10, fuzz_take(in, 8));
}

static void start(void)
{
	struct vpci_version_request version = { VPCI_QUERY_PROTOCOL_VERSION, VPCI_VERSION_1_4 };
	struct vpci_d0_entry d0 = { .type = VPCI_BUS_D0ENTRY, .mmio_base = BUS_WINDOW };

	vpci_bus_request(&bus, &version, sizeof(version));
	vpci_bus_request(&bus, &d0, sizeof(d0));
	vpci_mmio_write(bus.vpci, BUS_WINDOW + VPCI_CONFIG_SPACE + 0x10, 4, (uint32_t)BUS_BAR);
	vpci_mmio_write(bus.vpci, BUS_WINDOW + VPCI_CONFIG_SPACE + 0x14, 4, BUS_BAR >> 32);
	vpci_mmio_write(bus.vpci, BUS_WINDOW + VPCI_CONFIG_SPACE + 0x04, 2, 6);
}

static void step(struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 12) {
	case 0:
	case 1:
		send_message(in);
		break;
	case 2:
		access_mmio(in, false);
		break;
	case 3:
		access_mmio(in, true);
		break;
	case 4:
		vpci_retarget(bus.vpci, fuzz_take(in, 4), (uint32_t)fuzz_take(in, 4),
			      (uint32_t)fuzz_take(in, 1), (uint32_t)fuzz_take(in, 2));
		break;
	case 5:
		vpci_eject(bus.vpci);
		client_run(&bus.client);
		break;
	case 6:
		test_function_set_doorbell(bus.function, (int)fuzz_take(in, 1) - 1);
		break;
	case 7:
		tell(in);
		break;
	case 8:
	case 9:
		write_direct(in);
		break;
	default:
		drain();
		client_run(&bus.client);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	if (vpci_bus_init(&bus, 2))
		abort();
	start();
	while (in.size)
		step(&in);
	vpci_bus_fini(&bus);
	return 0;
}

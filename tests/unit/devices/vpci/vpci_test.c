/* A VPCI bus with Linux's client on the other side, as far as pci-hyperv.c says what it sends. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "devices/vmbus/vmbus_server.h"
#include "proto/pci.h"
#include "proto/pci_direct.h"
#include "proto/vpci.h"
#include "tests/unit/devices/vpci/vpci_bus.h"

static struct vpci_bus bus;

static int setup(void **state)
{
	(void)state;
	return vpci_bus_init(&bus, 4);
}

static int teardown(void **state)
{
	(void)state;
	vpci_bus_fini(&bus);
	return 0;
}

static uint32_t status_of(const void *request, size_t len)
{
	const struct vpci_status_reply *reply = vpci_bus_request(&bus, request, len);

	assert_non_null(reply);
	return reply->status;
}

static uint32_t negotiate(uint32_t version)
{
	struct vpci_version_request request = { VPCI_QUERY_PROTOCOL_VERSION, version };

	return status_of(&request, sizeof(request));
}

static uint32_t child(uint32_t type)
{
	struct vpci_child_message request = { type, VPCI_SLOT(0, 0) };

	return status_of(&request, sizeof(request));
}

static uint32_t enter_d0(uint64_t window)
{
	struct vpci_d0_entry request = { .type = VPCI_BUS_D0ENTRY, .mmio_base = window };

	return status_of(&request, sizeof(request));
}

static uint64_t read_mmio(uint64_t gpa, unsigned int size)
{
	uint64_t value;

	assert_true(vpci_mmio_read(bus.vpci, gpa, size, &value));
	return value;
}

static void write_mmio(uint64_t gpa, unsigned int size, uint64_t value)
{
	assert_true(vpci_mmio_write(bus.vpci, gpa, size, value));
}

static uint64_t config(unsigned int offset)
{
	return BUS_WINDOW + VPCI_CONFIG_SPACE + offset;
}

/* As Linux: BARs, then memory decoding and bus mastering. */
static void place_bar(uint64_t gpa)
{
	write_mmio(config(0x04), 2, 0);
	write_mmio(config(0x10), 4, (uint32_t)gpa);
	write_mmio(config(0x14), 4, gpa >> 32);
	write_mmio(config(0x04), 2, 6);
}

static void start(void)
{
	assert_int_equal(negotiate(VPCI_VERSION_1_4), VPCI_STATUS_SUCCESS);
	assert_int_equal(enter_d0(BUS_WINDOW), VPCI_STATUS_SUCCESS);
	place_bar(BUS_BAR);
}

static void versions(void **state)
{
	(void)state;
	assert_int_equal(child(VPCI_BUS_D0EXIT), VPCI_STATUS_INVALID_DEVICE_STATE);
	assert_int_equal(negotiate(0x00010005), VPCI_STATUS_REVISION_MISMATCH);
	assert_int_equal(negotiate(0x00010000), VPCI_STATUS_REVISION_MISMATCH);
	assert_int_equal(negotiate(VPCI_VERSION_1_1), VPCI_STATUS_SUCCESS);
}

/* Linux drops packets that are not longer than 20 bytes. */
static void answers_are_long_enough(void **state)
{
	(void)state;
	negotiate(VPCI_VERSION_1_4);
	assert_true(bus.packet_len > 20);
	enter_d0(BUS_WINDOW);
	assert_true(bus.packet_len > 20);
}

static void relations(void **state)
{
	static const uint32_t query = VPCI_QUERY_BUS_RELATIONS;
	const struct vpci_bus_relations *one;
	const struct vpci_bus_relations2 *two;
	uint16_t type;

	(void)state;
	negotiate(VPCI_VERSION_1_2);
	vpci_bus_send(&bus, &query, sizeof(query));
	one = vpci_bus_receive(&bus, &type);
	assert_non_null(one);
	assert_int_equal(type, VM_PKT_DATA_INBAND);
	assert_int_equal(one->type, VPCI_BUS_RELATIONS);
	assert_int_equal(one->device_count, 1);
	assert_int_equal(one->function.vendor_id, TEST_FUNCTION_VENDOR);
	negotiate(VPCI_VERSION_1_3);
	vpci_bus_send(&bus, &query, sizeof(query));
	two = vpci_bus_receive(&bus, &type);
	assert_non_null(two);
	assert_int_equal(two->type, VPCI_BUS_RELATIONS2);
	assert_int_equal(two->function.base.device_id, TEST_FUNCTION_DEVICE);
	assert_int_equal(two->function.base.base_class, 0xff);
	assert_int_equal(two->function.base.revision, 1);
	assert_int_equal(two->function.base.subsystem_id, 0x11001af4);
	assert_int_equal(two->function.base.serial, BUS_SERIAL);
	assert_int_equal(two->function.flags, 0);
}

static void requirements(void **state)
{
	struct vpci_child_message request = { VPCI_QUERY_RESOURCE_REQUIREMENTS, 0 };
	const struct vpci_resource_requirements_reply *reply;

	(void)state;
	negotiate(VPCI_VERSION_1_4);
	reply = vpci_bus_request(&bus, &request, sizeof(request));
	assert_non_null(reply);
	assert_int_equal(reply->status, VPCI_STATUS_SUCCESS);
	assert_int_equal(reply->bars[0] & ~15u, 0xffffc000);
	assert_int_equal(reply->bars[0] & 7, 4);
	assert_int_equal(reply->bars[1], 0xffffffff);
	assert_int_equal(reply->bars[2], 0);
	request.slot = VPCI_SLOT(1, 0);
	assert_int_equal(status_of(&request, sizeof(request)), VPCI_STATUS_BAD_DATA);
}

static void configuration_window(void **state)
{
	uint64_t value;

	(void)state;
	negotiate(VPCI_VERSION_1_4);
	assert_false(vpci_mmio_read(bus.vpci, BUS_WINDOW, 4, &value));
	assert_int_equal(enter_d0(BUS_WINDOW + 8), VPCI_STATUS_BAD_DATA);
	assert_int_equal(enter_d0(BUS_MMIO + BUS_MMIO_LEN - 4096), VPCI_STATUS_BAD_DATA);
	assert_int_equal(enter_d0(BUS_MMIO - 4096), VPCI_STATUS_BAD_DATA);
	assert_int_equal(enter_d0(0), VPCI_STATUS_BAD_DATA);
	assert_int_equal(enter_d0(BUS_WINDOW), VPCI_STATUS_SUCCESS);
	assert_int_equal(enter_d0(BUS_WINDOW), VPCI_STATUS_INVALID_DEVICE_STATE);
	write_mmio(BUS_WINDOW, 4, 0);
	assert_int_equal(read_mmio(config(0), 2) & 0xffff, TEST_FUNCTION_VENDOR);
	assert_int_equal(read_mmio(config(1), 2) & 0xffff, 0xffff); /* misaligned */
	assert_int_equal(read_mmio(config(0xfff), 4) & 0xffffffff, 0xffffffff);
	write_mmio(BUS_WINDOW, 4, VPCI_SLOT(0, 1));
	assert_int_equal(read_mmio(config(0), 2) & 0xffff, 0xffff); /* no such function */
	assert_int_equal(child(VPCI_BUS_D0EXIT), VPCI_STATUS_SUCCESS);
	assert_false(vpci_mmio_read(bus.vpci, BUS_WINDOW, 4, &value));
}

static void bars(void **state)
{
	uint64_t value;

	(void)state;
	start();
	write_mmio(BUS_BAR + TEST_FUNCTION_SCRATCH, 8, 0x1122334455667788);
	assert_int_equal(read_mmio(BUS_BAR, 8), 0x1122334455667788);
	assert_int_equal(read_mmio(BUS_BAR + 0x3fff, 2), ~0ull); /* runs out of it */
	place_bar(BUS_BAR + 0x4000);
	assert_false(vpci_mmio_read(bus.vpci, BUS_BAR, 8, &value));
	assert_int_equal(read_mmio(BUS_BAR + 0x4000, 8), 0x1122334455667788);
	place_bar(BUS_MMIO + BUS_MMIO_LEN); /* outside */
	assert_false(vpci_mmio_read(bus.vpci, BUS_MMIO + BUS_MMIO_LEN, 8, &value));
	place_bar(BUS_BAR);
	write_mmio(config(0x04), 2, 0); /* not decoded */
	assert_false(vpci_mmio_read(bus.vpci, BUS_BAR, 8, &value));
}

/* --- interrupts --- */

static const struct vpci_create_interrupt_reply *create(uint32_t vector, uint16_t vp,
							uint16_t count)
{
	struct vpci_create_interrupt3 request = {
		.type = VPCI_CREATE_INTERRUPT3,
		.vector = vector,
		.vector_count = count,
		.processor_count = 1,
		.processors = { vp },
	};

	return vpci_bus_request(&bus, &request, VPCI_CREATE_INTERRUPT3_SIZE);
}

static void program_vector(unsigned int entry, const struct vpci_translated_interrupt *interrupt)
{
	uint64_t at = BUS_BAR + TEST_FUNCTION_TABLE + 16 * entry;

	write_mmio(at, 4, (uint32_t)interrupt->address);
	write_mmio(at + 4, 4, interrupt->address >> 32);
	write_mmio(at + 8, 4, interrupt->data);
	write_mmio(at + 12, 4, 0); /* not masked */
}

static unsigned int capability(enum pci_capability id)
{
	uint64_t at = read_mmio(config(0x34), 1) & 0xff;

	while (at && (read_mmio(config((unsigned int)at), 1) & 0xff) != id)
		at = read_mmio(config((unsigned int)at + 1), 1) & 0xff;
	assert_true(at);
	return (unsigned int)at;
}

static void enable_msix(void)
{
	write_mmio(config(capability(PCI_CAP_MSIX) + 2), 2, 0x8000);
}

static void interrupts(void **state)
{
	struct vpci_translated_interrupt interrupt;
	struct vpci_delete_interrupt delete = { .type = VPCI_DELETE_INTERRUPT };
	const struct vpci_create_interrupt_reply *reply;

	(void)state;
	start();
	enable_msix();
	reply = create(40, 2, 1);
	assert_int_equal(reply->status, VPCI_STATUS_SUCCESS);
	interrupt = reply->interrupt;
	program_vector(1, &interrupt);
	write_mmio(BUS_BAR + TEST_FUNCTION_RAISE, 4, 1);
	assert_int_equal(bus.interrupts, 1);
	assert_int_equal(bus.vp, 2);
	assert_int_equal(bus.vector, 40);

	assert_int_equal(vpci_retarget(bus.vpci, interrupt.address, interrupt.data, 3, 41), 0);
	write_mmio(BUS_BAR + TEST_FUNCTION_RAISE, 4, 1);
	assert_int_equal(bus.vp, 3);
	assert_int_equal(bus.vector, 41);

	delete.interrupt = interrupt;
	assert_int_equal(status_of(&delete, sizeof(delete)), VPCI_STATUS_SUCCESS);
	assert_int_equal(vpci_retarget(bus.vpci, interrupt.address, interrupt.data, 3, 41),
			 -ENOENT);
	assert_int_equal(child(VPCI_RESOURCES_RELEASED), VPCI_STATUS_SUCCESS);
	bus.function->function.bus.ops->msi(bus.vpci, interrupt.address, interrupt.data);
	assert_int_equal(bus.interrupts, 2);
}

/* Linux moves an interrupt by deleting and creating before it masks the function's. */
static void deleted_interrupt_is_not_lost(void **state)
{
	struct vpci_translated_interrupt interrupt;
	struct vpci_delete_interrupt delete = { .type = VPCI_DELETE_INTERRUPT };

	(void)state;
	start();
	enable_msix();
	interrupt = create(40, 0, 1)->interrupt;
	program_vector(0, &interrupt);
	delete.interrupt = interrupt;
	vpci_bus_request(&bus, &delete, sizeof(delete));
	assert_int_not_equal(create(50, 1, 1)->interrupt.data, interrupt.data);
	write_mmio(BUS_BAR + TEST_FUNCTION_RAISE, 4, 0);
	assert_int_equal(bus.interrupts, 1);
	assert_int_equal(bus.vector, 40);
}

static void several_vectors(void **state)
{
	const struct vpci_create_interrupt_reply *reply;

	(void)state;
	start();
	create(33, 0, 1);
	reply = create(64, 1, 8);
	assert_int_equal(reply->status, VPCI_STATUS_SUCCESS);
	assert_int_equal(reply->interrupt.vector_count, 8);
	assert_int_equal(reply->interrupt.data % 8, 0);
	bus.function->function.bus.ops->msi(bus.vpci, reply->interrupt.address,
					    reply->interrupt.data + 5);
	assert_int_equal(bus.vector, 69);
}

static void interrupts_are_checked(void **state)
{
	struct vpci_create_interrupt3 many = { .type = VPCI_CREATE_INTERRUPT3,
					       .vector = 40,
					       .vector_count = 1,
					       .processor_count = VPCI_PROCESSORS_MAX + 1 };
	struct vpci_create_interrupt mask = {
		.type = VPCI_CREATE_INTERRUPT, .vector = 40, .vector_count = 1, .processor_mask = 8
	};
	unsigned int i;

	(void)state;
	start();
	assert_int_equal(create(15, 0, 1)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(256, 0, 1)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(40, CLIENT_VPS, 1)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(40, 0, 0)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(40, 0, 3)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(40, 0, 64)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(create(252, 0, 8)->status, VPCI_STATUS_BAD_DATA);
	assert_int_equal(status_of(&many, sizeof(many)), VPCI_STATUS_BAD_DATA);
	assert_int_equal(status_of(&many, 40), VPCI_STATUS_BAD_DATA); /* cut short */
	assert_int_equal(status_of(&mask, sizeof(mask)), VPCI_STATUS_SUCCESS);
	mask.processor_mask = 0;
	assert_int_equal(status_of(&mask, sizeof(mask)), VPCI_STATUS_BAD_DATA);
	for (i = 0; i < 1023; i++)
		assert_int_equal(create(40, 0, 1)->status, VPCI_STATUS_SUCCESS);
	assert_int_equal(create(40, 0, 1)->status, VPCI_STATUS_INSUFFICIENT);
}

/* --- doorbells --- */

static void doorbells(void **state)
{
	(void)state;
	start();
	write_mmio(BUS_BAR + TEST_FUNCTION_DOORBELL, 4, 1);
	assert_int_equal(bus.function->rings, 1);
	test_function_set_doorbell(bus.function, 77);
	assert_int_equal(bus.doorbell.count, 1);
	assert_int_equal(bus.doorbell.gpa, BUS_BAR + TEST_FUNCTION_DOORBELL);
	place_bar(BUS_BAR + 0x8000);
	assert_int_equal(bus.doorbell.count, 1);
	assert_int_equal(bus.doorbell.gpa, BUS_BAR + 0x8000 + TEST_FUNCTION_DOORBELL);
	write_mmio(config(0x04), 2, 0);
	assert_int_equal(bus.doorbell.count, 0);
	place_bar(BUS_BAR);
	assert_int_equal(bus.doorbell.count, 1);
	test_function_set_doorbell(bus.function, -1);
	assert_int_equal(bus.doorbell.count, 0);
}

/* --- what the function hears --- */

static void the_function_hears_where_it_is(void **state)
{
	(void)state;
	start();
	assert_int_equal(bus.function->moves, 1);
	assert_int_equal(bus.function->base, BUS_BAR);
	write_mmio(config(0x04), 2, 6);
	write_mmio(config(0x0c), 1, 1);
	assert_int_equal(bus.function->moves, 1);
	write_mmio(config(0x10), 4, (uint32_t)BUS_BAR + 0x4000);
	assert_int_equal(bus.function->moves, 2);
	assert_int_equal(bus.function->base, BUS_BAR + 0x4000);
	write_mmio(config(0x04), 2, 4);
	assert_int_equal(bus.function->moves, 3);
	assert_int_equal(bus.function->base, 0);
	write_mmio(config(0x04), 2, 6);
	assert_int_equal(bus.function->base, BUS_BAR + 0x4000);
	write_mmio(config(0x14), 4, 0xffffffff); /* where it cannot be */
	assert_int_equal(bus.function->base, 0);
	place_bar(BUS_BAR);
	assert_int_equal(bus.function->base, BUS_BAR);
	assert_int_equal(child(VPCI_RESOURCES_RELEASED), VPCI_STATUS_SUCCESS);
	assert_int_equal(bus.function->base, 0);
}

static bool target_of(uint64_t address, uint32_t data, uint32_t vp, uint8_t vector)
{
	const struct pci_bus *its = &bus.function->function.bus;
	uint32_t its_vp;
	uint8_t its_vector;

	return its->ops->msi_target(its->ctx, address, data, &its_vp, &its_vector) &&
	       its_vp == vp && its_vector == vector;
}

/* It is told when the new one holds. */
static void the_function_hears_whom_it_interrupts(void **state)
{
	struct vpci_translated_interrupt interrupt;

	(void)state;
	start();
	assert_int_equal(bus.function->target_changes, 0);
	interrupt = create(40, 2, 1)->interrupt;
	assert_int_equal(interrupt.data, 0);
	assert_int_equal(bus.function->target_changes, 1);
	assert_int_equal(bus.function->target, 40ull << 32 | 2);
	assert_true(target_of(interrupt.address, 0, 2, 40));
	assert_int_equal(vpci_retarget(bus.vpci, interrupt.address, interrupt.data, 3, 41), 0);
	assert_int_equal(bus.function->target_changes, 2);
	assert_int_equal(bus.function->target, 41ull << 32 | 3);
	assert_true(target_of(interrupt.address, 0, 3, 41));
	create(64, 1, 2);
	assert_true(target_of(interrupt.address, 3, 1, 65));
	assert_false(target_of(interrupt.address, 4, 0, 0));
	assert_false(target_of(interrupt.address + 4, 0, 3, 41));
	assert_false(target_of(interrupt.address, 1024, 0, 0));
	assert_false(target_of(interrupt.address, UINT32_MAX, 0, 0));
	assert_int_equal(child(VPCI_RESOURCES_RELEASED), VPCI_STATUS_SUCCESS);
	assert_false(target_of(interrupt.address, 0, 3, 41));
	assert_false(target_of(interrupt.address, 0, 0, 0));
}

/* --- of a VTL that the guest relays it to --- */

static bool write_direct(uint64_t offset, unsigned int size, uint64_t value)
{
	return vpci_direct_write(bus.vpci, BUS_DIRECT + offset, size, value);
}

static void direct_writes(void **state)
{
	unsigned int size, count = 0;

	(void)state;
	start();
	assert_false(write_direct(0, 8, 1));
	vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), BUS_DIRECT);
	for (size = 1; size <= 8; size++) {
		bool does = !(size & (size - 1)); /* what a function answers to */

		count += does;
		assert_true(write_direct(TEST_FUNCTION_SCRATCH, size, 0x10 + size));
		assert_int_equal(bus.function->writes, count);
		count += does;
		assert_true(write_direct(TEST_FUNCTION_BAR_SIZE - size, size, 1));
		assert_int_equal(bus.function->writes, count);
		if (does) {
			assert_int_equal(bus.function->scratch, 0x10 + size);
			assert_int_equal(bus.function->size, size);
			assert_int_equal(bus.function->offset, TEST_FUNCTION_BAR_SIZE - size);
		}
		/* It begins in the BAR and is the BAR's, but ends behind it. */
		assert_true(write_direct(TEST_FUNCTION_BAR_SIZE - size + 1, size, 1) == (size > 1));
		assert_int_equal(bus.function->writes, count);
	}
	assert_true(write_direct(0x20, 0, 1));
	assert_true(write_direct(0x20, 16, 1));
	assert_false(write_direct(TEST_FUNCTION_BAR_SIZE, 1, 1));
	assert_false(write_direct(-1ull, 8, 1));
	assert_int_equal(bus.function->writes, count);
}

/* Neither has the other's BAR; and one that moves is not where it was. */
static void direct_writes_are_not_the_guests_own(void **state)
{
	uint64_t value;

	(void)state;
	start();
	vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), BUS_DIRECT);
	assert_false(vpci_mmio_write(bus.vpci, BUS_DIRECT, 8, 1));
	assert_false(vpci_mmio_read(bus.vpci, BUS_DIRECT, 8, &value));
	assert_false(vpci_direct_write(bus.vpci, BUS_BAR, 8, 1));
	assert_false(vpci_direct_write(bus.vpci, BUS_WINDOW, 4, 1));
	place_bar(BUS_BAR + 0x4000);
	assert_true(write_direct(0, 8, 1));
	vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), 2 * BUS_DIRECT);
	assert_false(write_direct(0, 8, 1));
	assert_true(write_direct(BUS_DIRECT, 8, 1));
	vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), 0);
	assert_false(write_direct(BUS_DIRECT, 8, 1));
	assert_false(vpci_direct_write(bus.vpci, 0, 8, 1));
}

static void give_on(void)
{
	place_bar(BUS_BAR);
	vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), BUS_DIRECT);
	assert_true(write_direct(0, 8, 1));
}

/* Whichever way it ends. */
static void direct_writes_end_with_their_function(void **state)
{
	(void)state;
	start();
	give_on();
	write_mmio(config(capability(PCI_CAP_EXPRESS) + PCI_EXPRESS_DEVICE_CONTROL), 2,
		   PCI_EXPRESS_DEVICE_CONTROL_FLR);
	assert_false(write_direct(0, 8, 1));
	give_on();
	assert_int_equal(child(VPCI_RESOURCES_RELEASED), VPCI_STATUS_SUCCESS);
	assert_false(write_direct(0, 8, 1));
	give_on();
	assert_int_equal(child(VPCI_BUS_D0EXIT), VPCI_STATUS_SUCCESS);
	assert_false(write_direct(0, 8, 1));
	assert_int_equal(enter_d0(BUS_WINDOW), VPCI_STATUS_SUCCESS);
	give_on();
	client_close(&bus.channel);
	client_run(&bus.client);
	assert_false(write_direct(0, 8, 1));
}

static void direct_writes_end_with_their_bus(void **state)
{
	(void)state;
	start();
	give_on();
	vpci_rescind(bus.vpci);
	client_run(&bus.client);
	assert_int_equal(bus.gone, 1);
	assert_false(write_direct(0, 8, 1));
}

static void direct_interrupts(void **state)
{
	struct vpci_translated_interrupt interrupt;

	(void)state;
	start();
	enable_msix();
	give_on();
	interrupt = create(40, 2, 1)->interrupt;
	program_vector(1, &interrupt);
	vpci_bus_tell(&bus, PCI_DIRECT_VECTOR(1), 0x5100000003);
	assert_true(write_direct(TEST_FUNCTION_RAISE, 4, 1));
	assert_int_equal(bus.direct_interrupts, 1);
	assert_int_equal(bus.direct_vp, 3);
	assert_int_equal(bus.direct_vector, 0x51);
	assert_int_equal(bus.interrupts, 0);
	vpci_bus_tell(&bus, PCI_DIRECT_VECTOR(1), 0);
	assert_true(write_direct(TEST_FUNCTION_RAISE, 4, 1));
	assert_int_equal(bus.direct_interrupts, 1);
	assert_int_equal(bus.interrupts, 1);
	assert_int_equal(bus.vector, 40);
}

/* --- the end --- */

static void close_resets_the_function(void **state)
{
	uint64_t value;

	(void)state;
	start();
	test_function_set_doorbell(bus.function, 77);
	client_close(&bus.channel);
	client_run(&bus.client);
	assert_int_equal(bus.function->resets, 1);
	assert_int_equal(bus.doorbell.count, 0);
	assert_false(vpci_mmio_read(bus.vpci, BUS_BAR, 4, &value));
	assert_false(vpci_mmio_read(bus.vpci, BUS_WINDOW, 4, &value));
	assert_false(vpci_eject(bus.vpci));
}

static void ejection(void **state)
{
	struct vpci_ejection_complete complete = { .type = VPCI_EJECTION_COMPLETE };
	const struct vpci_child_message *eject;
	uint16_t type;

	(void)state;
	start();
	vpci_bus_send(&bus, &complete, sizeof(complete)); /* nobody asked */
	assert_int_equal(bus.ejected, 0);
	assert_true(vpci_eject(bus.vpci));
	client_run(&bus.client);
	eject = vpci_bus_receive(&bus, &type);
	assert_non_null(eject);
	assert_int_equal(type, VM_PKT_DATA_INBAND);
	assert_int_equal(eject->type, VPCI_EJECT);
	vpci_bus_send(&bus, &complete, sizeof(complete));
	assert_int_equal(bus.ejected, 1);
	vpci_bus_send(&bus, &complete, sizeof(complete));
	assert_int_equal(bus.ejected, 1);
	vpci_rescind(bus.vpci);
	client_run(&bus.client);
	assert_non_null(client_take(&bus.client, CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_int_equal(bus.gone, 1);
}

/* A client that reads no answers: they wait in the ring and behind it, and all come in the end. */
static void full_ring(void **state)
{
	struct vpci_version_request request = { VPCI_QUERY_PROTOCOL_VERSION, VPCI_VERSION_1_4 };
	unsigned int sent = 0, received = 0;
	uint16_t type;
	uint64_t id;

	(void)state;
	for (id = 1; id < 10000; id++, sent++) {
		if (client_send(&bus.channel, VM_PKT_DATA_INBAND, 1, id, NULL, 0, &request,
				sizeof(request)))
			break;
		client_run(&bus.client);
	}
	assert_in_range(sent, 100, 9000);
	while (received < sent) {
		const struct vmpacket_descriptor *desc = (const void *)bus.packet;

		while (vpci_bus_receive(&bus, &type))
			assert_int_equal(desc->trans_id, ++received);
		client_run(&bus.client);
	}
	assert_int_equal(received, sent);
}

static void nonsense(void **state)
{
	static const uint8_t short_one[3] = { 0x13, 0, 0x49 };
	static const uint32_t unknown = 0x42490042;
	static const uint32_t to_guest = VPCI_EJECT;

	(void)state;
	assert_int_equal(status_of(short_one, sizeof(short_one)), VPCI_STATUS_NOT_SUPPORTED);
	assert_int_equal(status_of(&unknown, sizeof(unknown)), VPCI_STATUS_NOT_SUPPORTED);
	assert_int_equal(status_of(&to_guest, sizeof(to_guest)), VPCI_STATUS_NOT_SUPPORTED);
}

static void device_id(void **state)
{
	/* As hv_irq_retarget_interrupt() puts the instance's bytes 5, 4, 7 and 6 together. */
	(void)state;
	assert_int_equal(vpci_device_id(bus.vpci), 0x55667788);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(versions),
		TEST(answers_are_long_enough),
		TEST(relations),
		TEST(requirements),
		TEST(configuration_window),
		TEST(bars),
		TEST(interrupts),
		TEST(deleted_interrupt_is_not_lost),
		TEST(several_vectors),
		TEST(interrupts_are_checked),
		TEST(doorbells),
		TEST(the_function_hears_where_it_is),
		TEST(the_function_hears_whom_it_interrupts),
		TEST(direct_writes),
		TEST(direct_writes_are_not_the_guests_own),
		TEST(direct_writes_end_with_their_function),
		TEST(direct_writes_end_with_their_bus),
		TEST(direct_interrupts),
		TEST(close_resets_the_function),
		TEST(ejection),
		TEST(full_ring),
		TEST(nonsense),
		TEST(device_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A function of VTL2's as VTL0 has it: found, used, taken away, given back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/io_bus.h"
#include "core/log.h"
#include "core/retarget.h"
#include "devices/vmbus/vmbus_server.h"
#include "paravisor/machine.h"
#include "paravisor/relay.h"
#include "paravisor/vp.h"
#include "proto/vpci.h"
#include "tests/unit/devices/pci/fake_device.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"
#include "vtl/vtl.h"

#define WINDOW 0x100010000ull
#define BAR0   0x100040000ull
#define BAR4   0x100080000ull
#define RINGS  0x100000u

static struct client client;
static struct client_channel channel;
static struct fake_device fake;
static struct machine machine;
static struct vp vps[CLIENT_VPS];
static struct relay *relay;
static struct relay_function *function;
static void *kept[32]; /* of former tests: a relay lasts as long as its process */
static struct vtl_interrupt asserted;
static unsigned int asserts;
static uint32_t relid;
static uint8_t packet[512];

static const struct guid instance = { 1, 0x7002, 0x800, { 0 } };

static int assert_interrupt(struct vtl *vtl, const struct vtl_interrupt *interrupt)
{
	(void)vtl;
	asserted = *interrupt;
	asserts++;
	return 0;
}

/* The next offer of the bus. */
static bool offered(void)
{
	const struct vmbus_channel_offer_channel *offer;

	client_run(&client);
	offer = client_take(&client, CHANNELMSG_OFFERCHANNEL);
	if (offer)
		relid = offer->child_relid;
	return offer;
}

static int create(bool direct)
{
	static const struct vtl_ops ops = { .assert_interrupt = assert_interrupt };
	static struct vtl vtl = { .ops = &ops };
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	log_set_level(LOG_ERROR);
	if (client_init(&client, 0, 0))
		return -1;
	fake_device_init(&fake);
	if (direct)
		fake_device_add_direct(&fake);
	asserts = 0;
	machine = (struct machine){ .vtl = &vtl,
				    .memory = client.memory,
				    .bus = io_bus_create(),
				    .vmbus = client.server,
				    .vps = vps };
	machine.topology.vp_count = CLIENT_VPS;
	machine.topology.mmio_count = 2;
	machine.topology.mmio[0] = (struct boot_range){ 0xf8000000, 0x1000000 };
	machine.topology.mmio[1] = (struct boot_range){ 0x100000000, 0x100000 };
	for (unsigned int i = 0; i < CLIENT_VPS; i++) {
		machine.topology.apic_ids[i] = 0x10 + i;
		vps[i] = (struct vp){ .machine = &machine, .loop = client.loops[i], .index = i };
	}
	if (!machine.bus || relay_create(&machine, &relay) ||
	    relay_add(relay, &fake.pci, &instance, 9, &function))
		return -1;
	relay_want(function, true);
	if (!client_connect(&client, VMBUS_VERSION_5_3))
		return -1;
	client_post(&client, &request, sizeof(request));
	return !offered();
}

static int setup(void **state)
{
	(void)state;
	return create(false);
}

static int setup_direct(void **state)
{
	(void)state;
	return create(true);
}

static int teardown(void **state)
{
	unsigned int i = 0;

	(void)state;
	while (kept[i])
		i++;
	kept[i] = relay;
	kept[i + 1] = function;
	vmbus_server_reset(client.server);
	client_run(&client);
	io_bus_destroy(machine.bus);
	client_fini(&client);
	return 0;
}

static uint64_t get(uint64_t gpa, unsigned int size)
{
	uint64_t value;

	assert_int_equal(io_bus_read(machine.bus, IO_MEMORY, gpa, size, &value), IO_DONE);
	return value;
}

static void put(uint64_t gpa, unsigned int size, uint64_t value)
{
	assert_int_equal(io_bus_write(machine.bus, IO_MEMORY, gpa, size, value), IO_DONE);
}

/* What the bus answers, or NULL. */
static const void *request(const void *message, size_t len)
{
	const struct vmpacket_descriptor *desc = (const void *)packet;

	assert_int_equal(client_send(&channel, VM_PKT_DATA_INBAND,
				     VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED, 7, NULL, 0,
				     message, len),
			 0);
	client_run(&client);
	return client_receive(&channel, packet, sizeof(packet)) > 0 ? packet + desc->offset8 * 8
								    : NULL;
}

static uint64_t config(unsigned int offset)
{
	return WINDOW + VPCI_CONFIG_SPACE + offset;
}

/* As Linux's pci-hyperv and a driver of the function begin. */
static void start(void)
{
	struct vpci_version_request version = { .type = VPCI_QUERY_PROTOCOL_VERSION,
						.protocol_version = VPCI_VERSION_1_4 };
	struct vpci_d0_entry d0 = { .type = VPCI_BUS_D0ENTRY, .mmio_base = WINDOW };

	client_drop_messages(&client);
	assert_int_equal(client_open(&client, &channel, relid, 0x2000 + relid, 0, RINGS, 2), 0);
	assert_non_null(request(&version, sizeof(version)));
	assert_non_null(request(&d0, sizeof(d0)));
	put(config(PCI_BAR(0)), 4, (uint32_t)BAR0);
	put(config(PCI_BAR(0) + 4), 4, BAR0 >> 32);
	put(config(PCI_BAR(4)), 4, (uint32_t)BAR4);
	put(config(PCI_BAR(4) + 4), 4, BAR4 >> 32);
	put(config(PCI_COMMAND), 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Vector 1 of the function becomes this vector of that VP. */
static struct vpci_translated_interrupt take_interrupt(uint8_t vector, uint16_t vp)
{
	struct vpci_create_interrupt3 create = { .type = VPCI_CREATE_INTERRUPT3,
						 .vector = vector,
						 .vector_count = 1,
						 .processor_count = 1,
						 .processors = { vp } };
	const struct vpci_create_interrupt_reply *reply = request(&create, sizeof(create));
	struct vpci_translated_interrupt interrupt;
	unsigned int at = (unsigned int)get(config(PCI_CAPABILITY_POINTER), 1);

	assert_non_null(reply);
	assert_int_equal(reply->status, VPCI_STATUS_SUCCESS);
	interrupt = reply->interrupt;
	put(BAR4 + 16, 4, (uint32_t)interrupt.address);
	put(BAR4 + 24, 4, interrupt.data);
	put(BAR4 + 28, 4, 0);
	while (get(config(at), 1) != PCI_CAP_MSIX)
		at = (unsigned int)get(config(at + 1), 1);
	put(config(at + PCI_MSIX_CONTROL), 2, PCI_MSIX_CONTROL_ENABLE);
	return interrupt;
}

static void it_is_used(void **state)
{
	uint64_t value;

	(void)state;
	start();
	assert_int_equal(get(config(PCI_VENDOR_ID), 4), 0x00BA1414);
	put(BAR0 + 0x10000, 8, 77);
	assert_int_equal(fake.value, 77);
	assert_int_equal(get(BAR0 + 8, 4), 0x55667788);
	/* The windows are ours where nothing is, too; what is between them is not. */
	assert_int_equal(io_bus_read(machine.bus, IO_MEMORY, 0xf8000000, 4, &value), IO_FAULT);
	assert_int_equal(value, 0xffffffff);
}

static void interrupts_find_their_vp(void **state)
{
	struct vpci_translated_interrupt interrupt;
	struct retarget retarget = { .device_id = 0x70020800, .vp = 3, .vector = 0x62 };

	(void)state;
	start();
	interrupt = take_interrupt(0x51, 2);
	fake.bound[1]->raised(fake.bound[1]);
	assert_int_equal(asserts, 1);
	assert_int_equal(asserted.type, HV_X64_INTERRUPT_TYPE_FIXED);
	assert_int_equal(asserted.vector, 0x51);
	assert_int_equal(asserted.destination, 0x12);
	assert_false(asserted.logical);
	retarget.address = interrupt.address;
	retarget.data = interrupt.data;
	assert_int_equal(relay_retarget(relay, &retarget), 0);
	fake.bound[1]->raised(fake.bound[1]);
	assert_int_equal(asserted.vector, 0x62);
	assert_int_equal(asserted.destination, 0x13);
}

/* The first is for events, the others one a VP. */
static void vectors_are_spread_over_vps(void **state)
{
	(void)state;
	assert_int_equal(fake.vectors, CLIENT_VPS + 1);
	assert_ptr_equal(fake.loops[0], client.loops[0]);
	for (unsigned int i = 0; i < CLIENT_VPS; i++)
		assert_ptr_equal(fake.loops[i + 1], client.loops[i]);
}

static void note_left(void *ctx)
{
	assert_false(relay_in_use(function));
	++*(unsigned int *)ctx;
}

/* However VTL0 lets go: without a word, by its bus, by its channel. */
static void who_watches_hears_that_it_is_left(void **state)
{
	const struct vpci_child_message exit = { .type = VPCI_BUS_D0EXIT };
	unsigned int left = 0;

	(void)state;
	relay_watch(function, note_left, &left);
	assert_false(relay_in_use(function));
	start();
	assert_true(relay_in_use(function));
	assert_int_equal(left, 0);
	request(&exit, sizeof(exit));
	assert_int_equal(left, 1);
	client_close(&channel);
	client_run(&client);
	assert_int_equal(left, 1); /* nobody had it meanwhile */
	start();
	assert_true(relay_in_use(function));
	vmbus_server_reset(client.server);
	client_run(&client);
	assert_int_equal(left, 2);
}

static void it_is_taken_away_and_given_back(void **state)
{
	struct vpci_child_message complete = { .type = VPCI_EJECTION_COMPLETE };
	const struct vpci_child_message *message = (const void *)(packet + 16);
	unsigned int resets;

	(void)state;
	start();
	take_interrupt(0x51, 0);
	put(BAR0, 8, 1);
	relay_want(function, false);
	client_run(&client);
	assert_true(client_receive(&channel, packet, sizeof(packet)) > 0);
	assert_int_equal(message->type, VPCI_EJECT);
	put(BAR0, 8, 2); /* until it answers VTL0 keeps it */
	assert_int_equal(fake.value, 2);
	relay_want(function, true); /* too late */
	relay_want(function, false);
	relay_want(function, true);
	resets = fake.resets;
	client_drop_messages(&client);
	request(&complete, sizeof(complete));
	assert_int_equal(fake.resets, resets + 1);
	assert_int_equal(fake.config[PCI_COMMAND], PCI_COMMAND_MEMORY);
	client_take(&client, CHANNELMSG_RESCIND_CHANNELOFFER);
	assert_true(offered());
	fake.bound[1]->raised(fake.bound[1]);
	assert_int_equal(asserts, 0);
	start();
	take_interrupt(0x52, 1);
	fake.bound[1]->raised(fake.bound[1]);
	assert_int_equal(asserted.vector, 0x52);
}

static void one_that_nobody_uses_goes_at_once(void **state)
{
	(void)state;
	client_drop_messages(&client);
	relay_want(function, false);
	client_run(&client);
	assert_non_null(client_take(&client, CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_false(offered());
	relay_want(function, true);
	assert_true(offered());
}

/* --- A function whose host does without us what it can */

#define TARGET(vp, vector) ((uint64_t)(vector) << 32 | (vp))

static void assert_nothing_is_given_on(void)
{
	for (unsigned int i = 0; i < PCI_BAR_COUNT; i++)
		assert_int_equal(fake.direct_bar[i], 0);
	for (unsigned int i = 0; i < fake.vectors; i++)
		assert_int_equal(fake.direct_vector[i], 0);
}

static void use(uint8_t vector, uint16_t vp)
{
	start();
	take_interrupt(vector, vp);
	assert_int_equal(fake.direct_bar[0], BAR0);
	assert_int_equal(fake.direct_bar[4], 0);
	assert_int_equal(fake.direct_vector[1], TARGET(vp, vector));
}

static void its_host_knows_where_it_is(void **state)
{
	(void)state;
	start();
	assert_int_equal(fake.direct_bar[0], BAR0);
	put(config(PCI_BAR(0)), 4, (uint32_t)BAR0 + 0x20000);
	assert_int_equal(fake.direct_bar[0], BAR0 + 0x20000);
	put(config(PCI_COMMAND), 2, PCI_COMMAND_MASTER); /* and no memory */
	assert_int_equal(fake.direct_bar[0], 0);
	put(config(PCI_COMMAND), 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake.direct_bar[0], BAR0 + 0x20000);
	put(config(PCI_BAR(0)) + 4, 4, 7); /* beyond what VTL0 may use */
	assert_nothing_is_given_on();
}

static void its_host_knows_whom_it_interrupts(void **state)
{
	struct retarget retarget = { .device_id = 0x70020800, .vp = 3, .vector = 0x62 };
	struct vpci_translated_interrupt interrupt;

	(void)state;
	start();
	interrupt = take_interrupt(0x51, 2);
	assert_int_equal(fake.direct_vector[1], TARGET(2, 0x51));
	retarget.address = interrupt.address;
	retarget.data = interrupt.data;
	assert_int_equal(relay_retarget(relay, &retarget), 0);
	assert_int_equal(fake.direct_vector[1], TARGET(3, 0x62));
	put(BAR4 + 28, 4, 1);
	assert_int_equal(fake.direct_vector[1], 0);
	retarget.vp = 0;
	assert_int_equal(relay_retarget(relay, &retarget), 0);
	assert_int_equal(fake.direct_vector[1], 0);
	/* What comes meanwhile waits with us. */
	fake.bound[1]->raised(fake.bound[1]);
	assert_int_equal(asserts, 0);
	put(BAR4 + 28, 4, 0);
	assert_int_equal(fake.direct_vector[1], TARGET(0, 0x62));
	assert_int_equal(asserts, 1);
	assert_int_equal(asserted.vector, 0x62);
	assert_int_equal(asserted.destination, 0x10);
}

/* However VTL0 lets go. */
static void what_is_left_is_given_on_no_more(void **state)
{
	const struct vpci_child_message exit = { .type = VPCI_BUS_D0EXIT };

	(void)state;
	use(0x51, 2);
	request(&exit, sizeof(exit));
	assert_nothing_is_given_on();
	client_close(&channel);
	client_run(&client);
	use(0x52, 1);
	client_close(&channel);
	client_run(&client);
	assert_nothing_is_given_on();
	use(0x53, 3);
	vmbus_server_reset(client.server);
	client_run(&client);
	assert_nothing_is_given_on();
}

static void what_comes_back_is_given_on_again(void **state)
{
	struct vpci_child_message complete = { .type = VPCI_EJECTION_COMPLETE };

	(void)state;
	use(0x51, 2);
	relay_want(function, false);
	client_run(&client);
	assert_true(client_receive(&channel, packet, sizeof(packet)) > 0);
	assert_int_equal(fake.direct_bar[0], BAR0); /* until it answers VTL0 keeps it */
	relay_want(function, true);
	client_drop_messages(&client);
	request(&complete, sizeof(complete));
	assert_nothing_is_given_on();
	client_take(&client, CHANNELMSG_RESCIND_CHANNELOFFER);
	assert_true(offered());
	assert_nothing_is_given_on();
	use(0x52, 1);
}

#define TEST_DIRECT(test) cmocka_unit_test_setup_teardown(test, setup_direct, teardown)
#define TEST(test)        cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_used),
		TEST(interrupts_find_their_vp),
		TEST(vectors_are_spread_over_vps),
		TEST(who_watches_hears_that_it_is_left),
		TEST(it_is_taken_away_and_given_back),
		TEST(one_that_nobody_uses_goes_at_once),
		TEST_DIRECT(its_host_knows_where_it_is),
		TEST_DIRECT(its_host_knows_whom_it_interrupts),
		TEST_DIRECT(what_is_left_is_given_on_no_more),
		TEST_DIRECT(what_comes_back_is_given_on_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

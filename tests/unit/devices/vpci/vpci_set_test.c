/* Several buses of one guest: which of them an access is for, and how they end. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/retarget.h"
#include "devices/vmbus/vmbus_server.h"
#include "devices/vpci/vpci_set.h"
#include "proto/pci_direct.h"
#include "proto/vpci.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"
#include "tests/unit/devices/vpci/test_function.h"

#define MMIO      0x100000000ull
#define WINDOW(i) (MMIO + (i)*0x10000ull)
#define RINGS     0x100000u
#define BUSES     2u

/* Of another VTL, where the functions are when they are given on to it. */
#define DIRECT(i) (0x40000000ull + (i)*0x10000ull)

static struct {
	struct client client;
	struct client_channel channels[BUSES];
	uint32_t relids[BUSES];
	struct test_function *functions[BUSES];
	struct vpci_set *set;
	unsigned int gone[BUSES];
	bool destroyed[BUSES];
	unsigned int direct_interrupts;
	uint32_t vp;
	uint8_t vector;
} m;

static void interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	(void)ctx;
	(void)vp;
	(void)vector;
}

static void direct_interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	assert_ptr_equal(ctx, &m);
	m.direct_interrupts++;
	m.vp = vp;
	m.vector = vector;
}

static void gone(void *ctx)
{
	(*(unsigned int *)ctx)++;
}

static struct guid instance(unsigned int i)
{
	return (struct guid){ 1, (uint16_t)(0x10 + i), 0x800, { 0 } };
}

static int add(unsigned int i)
{
	struct test_function *function = test_function_create(&m.destroyed[i]);
	const struct vpci_set_bus bus = { .instance = instance(i),
					  .serial = i + 1,
					  .memory = m.client.memory,
					  .gone = gone,
					  .ctx = &m.gone[i] };
	const struct vmbus_channel_offer_channel *offer;

	m.destroyed[i] = false;
	m.functions[i] = function;
	if (!function)
		return -1;
	test_function_add_direct(function);
	if (vpci_set_add(m.set, &bus, &function->function))
		return -1;
	client_run(&m.client);
	offer = client_take(&m.client, CHANNELMSG_OFFERCHANNEL);
	if (!offer)
		return -1;
	m.relids[i] = offer->child_relid;
	return 0;
}

static int create(bool direct)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct vpci_set_config config = { .interrupt = interrupt,
					  .vp_count = CLIENT_VPS,
					  .mmio_base = MMIO,
					  .mmio_len = 0x100000,
					  .ctx = &m };

	memset(&m, 0, sizeof(m));
	if (client_init(&m.client, 0, 0))
		return -1;
	config.server = m.client.server;
	if (direct)
		config.direct_interrupt = direct_interrupt;
	m.set = vpci_set_create(&config);
	if (!m.set || !client_connect(&m.client, VMBUS_VERSION_5_3))
		return -1;
	client_post(&m.client, &request, sizeof(request));
	client_drop_messages(&m.client);
	return add(0) || add(1);
}

static int setup(void **state)
{
	(void)state;
	return create(true);
}

static int setup_without_direct(void **state)
{
	(void)state;
	return create(false);
}

static int teardown(void **state)
{
	(void)state;
	vmbus_server_reset(m.client.server);
	client_run(&m.client);
	vpci_set_destroy(m.set);
	client_fini(&m.client);
	return m.destroyed[0] && m.destroyed[1] ? 0 : -1;
}

static void send(unsigned int i, const void *message, size_t len)
{
	uint8_t packet[256];

	assert_int_equal(
		client_send(&m.channels[i], VM_PKT_DATA_INBAND, 0, 0, NULL, 0, message, len), 0);
	client_run(&m.client);
	while (client_receive(&m.channels[i], packet, sizeof(packet)) > 0)
		;
}

/* The guest opens the bus and puts its configuration window somewhere. */
static void start(unsigned int i)
{
	struct vpci_version_request version = { .type = VPCI_QUERY_PROTOCOL_VERSION,
						.protocol_version = VPCI_VERSION_1_4 };
	struct vpci_d0_entry d0 = { .type = VPCI_BUS_D0ENTRY, .mmio_base = WINDOW(i) };

	assert_int_equal(client_open(&m.client, &m.channels[i], m.relids[i], 0x2000 + m.relids[i],
				     0, RINGS + i * 0x10000, 2),
			 0);
	send(i, &version, sizeof(version));
	send(i, &d0, sizeof(d0));
}

static bool there(unsigned int i)
{
	uint64_t value = 0;

	if (!vpci_set_mmio(m.set, WINDOW(i) + VPCI_CONFIG_SPACE, 2, &value, false))
		return false;
	assert_int_equal(value, TEST_FUNCTION_VENDOR);
	return true;
}

static void each_has_its_window(void **state)
{
	uint64_t value = 0x1234;

	(void)state;
	assert_false(there(1));
	start(1);
	assert_false(there(0));
	assert_true(there(1));
	start(0);
	assert_true(there(0));
	/* The scratch byte of one bus is not the other's: cache line size. */
	assert_true(vpci_set_mmio(m.set, WINDOW(1) + VPCI_CONFIG_SPACE + 0xc, 1, &value, true));
	assert_true(vpci_set_mmio(m.set, WINDOW(1) + VPCI_CONFIG_SPACE + 0xc, 1, &value, false));
	assert_int_equal(value, 0x34);
	assert_true(vpci_set_mmio(m.set, WINDOW(0) + VPCI_CONFIG_SPACE + 0xc, 1, &value, false));
	assert_int_equal(value, 0);
}

static void one_that_is_not_used_goes_at_once(void **state)
{
	const struct guid first = instance(0), third = instance(2);

	(void)state;
	start(1);
	assert_int_equal(vpci_set_remove(m.set, &third), -ENOENT);
	assert_int_equal(vpci_set_remove(m.set, &first), 0);
	client_run(&m.client);
	assert_int_equal(m.gone[0], 1);
	assert_true(m.destroyed[0]);
	assert_int_equal(vpci_set_remove(m.set, &first), -ENOENT);
	assert_true(there(1));
	client_drop_messages(&m.client);
	assert_int_equal(add(0), 0); /* and may come again */
}

static void one_that_is_used_is_asked_for(void **state)
{
	struct vpci_child_message complete = { .type = VPCI_EJECTION_COMPLETE };
	const struct guid second = instance(1);

	(void)state;
	start(1);
	assert_int_equal(vpci_set_remove(m.set, &second), 0);
	client_run(&m.client);
	assert_int_equal(m.gone[1], 0);
	assert_true(there(1));
	send(1, &complete, sizeof(complete));
	client_run(&m.client);
	assert_false(there(1));
	assert_int_equal(m.gone[1], 1);
}

static void retargeting_finds_its_bus(void **state)
{
	struct retarget retarget = { .device_id = 0x00110800, .address = 0xfee00000, .vector = 40 };

	(void)state;
	start(1);
	assert_int_equal(vpci_set_retarget(m.set, &retarget), -ENOENT); /* no such interrupt */
	retarget.vector = 3;
	assert_int_equal(vpci_set_retarget(m.set, &retarget), -EINVAL);
	retarget.device_id = 0x00120800;
	assert_int_equal(vpci_set_retarget(m.set, &retarget), -ENOENT);
}

static void set_config(unsigned int i, unsigned int offset, uint64_t value)
{
	assert_true(vpci_set_mmio(m.set, WINDOW(i) + VPCI_CONFIG_SPACE + offset, 4, &value, true));
}

static void tell(unsigned int i, uint32_t select, uint64_t value)
{
	unsigned int at = m.functions[i]->direct.capability;

	set_config(i, at + PCI_DIRECT_LOW, (uint32_t)value);
	set_config(i, at + PCI_DIRECT_HIGH, value >> 32);
	set_config(i, at + PCI_DIRECT_SELECT, select);
}

static void direct_writes_find_their_function(void **state)
{
	const struct guid first = instance(0);

	(void)state;
	start(0);
	start(1);
	assert_false(vpci_set_is_direct(m.set, DIRECT(0)));
	assert_false(vpci_set_direct_write(m.set, DIRECT(0), 8, 1));
	tell(0, PCI_DIRECT_BAR(0), DIRECT(0));
	tell(1, PCI_DIRECT_BAR(0), DIRECT(1));
	assert_true(vpci_set_is_direct(m.set, DIRECT(0)));
	assert_true(vpci_set_is_direct(m.set, DIRECT(1) + TEST_FUNCTION_BAR_SIZE - 1));
	assert_false(vpci_set_is_direct(m.set, DIRECT(1) + TEST_FUNCTION_BAR_SIZE));
	assert_true(vpci_set_direct_write(m.set, DIRECT(0), 8, 70));
	assert_true(vpci_set_direct_write(m.set, DIRECT(1), 8, 71));
	assert_int_equal(m.functions[0]->scratch, 70);
	assert_int_equal(m.functions[1]->scratch, 71);
	assert_int_equal(m.functions[0]->writes, 1);
	assert_int_equal(m.functions[1]->writes, 1);
	assert_false(vpci_set_direct_write(m.set, DIRECT(0) + TEST_FUNCTION_BAR_SIZE, 8, 1));
	assert_false(vpci_set_direct_write(m.set, DIRECT(0) - 1, 1, 1));
	/* One that goes takes none with it, and leaves nothing. */
	client_close(&m.channels[0]);
	client_run(&m.client);
	assert_int_equal(vpci_set_remove(m.set, &first), 0);
	client_run(&m.client);
	assert_int_equal(m.gone[0], 1);
	assert_false(vpci_set_direct_write(m.set, DIRECT(0), 8, 1));
	assert_true(vpci_set_direct_write(m.set, DIRECT(1), 8, 72));
	assert_int_equal(m.functions[1]->scratch, 72);
	client_drop_messages(&m.client);
	assert_int_equal(add(0), 0);
	start(0);
	assert_false(vpci_set_direct_write(m.set, DIRECT(0), 8, 1));
}

static void interrupt_directly(unsigned int i)
{
	const struct pci_bus *bus = &m.functions[i]->function.bus;

	bus->ops->direct_interrupt(bus->ctx, 3, 0x51);
}

static void direct_interrupts_are_the_owners(void **state)
{
	(void)state;
	interrupt_directly(1);
	assert_int_equal(m.direct_interrupts, 1);
	assert_int_equal(m.vp, 3);
	assert_int_equal(m.vector, 0x51);
}

static void an_owner_without_them_has_none(void **state)
{
	(void)state;
	interrupt_directly(1);
	assert_int_equal(m.direct_interrupts, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_has_its_window),
		TEST(one_that_is_not_used_goes_at_once),
		TEST(one_that_is_used_is_asked_for),
		TEST(retargeting_finds_its_bus),
		TEST(direct_writes_find_their_function),
		TEST(direct_interrupts_are_the_owners),
		cmocka_unit_test_setup_teardown(an_owner_without_them_has_none,
						setup_without_direct, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

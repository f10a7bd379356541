/*
 * VTL0's network cards as the host's settings say: the real driver on emulated functions in this process, the real card,
 * a small guest's driver; a card's second function on a bus for VTL0. The test is the host, VTL2's kernel and the guest.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/io_bus.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/pci/pci_inproc.h"
#include "devices/pci/vfio.h"
#include "devices/vmbus/vmbus_server.h"
#include "paravisor/machine.h"
#include "paravisor/network.h"
#include "paravisor/settings.h"
#include "paravisor/vp.h"
#include "proto/vpci.h"
#include "tests/unit/devices/net/memory_backend.h"
#include "tests/unit/devices/net/netvsc.h"
#include "tests/unit/devices/pci/fake_device.h"
#include "vtl/vtl.h"

#define FUNCTIONS 5u
#define POOL      0x40000000ull
#define POOL_SIZE (4u << 20)
#define WINDOW    0x100010000ull
#define VF_RINGS  0x7C0000u
#define FRAME     64u

/* A function that the host has given VTL2. */
struct function {
	struct pci_function *emulated;
	struct memory_backend network;
	struct pci_inproc *inproc; /* NULL: VTL2 has not opened it */
	bool absent;               /* VTL2's kernel does not find it */
	int bind, open;            /* what VFIO says */
	uint32_t other;            /* it is not an emulated one but has these IDs; 0: it is */
	bool to_vtl0;
	unsigned int moves;
};

static struct test {
	struct client client;
	struct netvsc net;
	struct client_channel vf;
	struct machine machine;
	struct vp vps[CLIENT_VPS];
	struct settings *settings;
	struct network *network;
	struct function functions[FUNCTIONS];
	struct fake_device fake;
	uint32_t relids[FUNCTIONS]; /* of the offers, by instance; 0: none */
	unsigned int offers;
	_Alignas(8) uint8_t packet[512];
	char why[200]; /* the last reason, "" for success */
} t;

/* Of former tests: cards and relays last as long as their process. */
static void *kept[64];

static void keep(void *pointer)
{
	unsigned int i = 0;

	while (kept[i])
		i++;
	kept[i] = pointer;
}

/* --- Below the subject: VTL2's kernel, and the end of the machine */

static struct function *function_at(const char *address)
{
	return &t.functions[atoi(address)];
}

int vfio_find_vpci(const struct guid *instance, unsigned int timeout_ms, char address[16])
{
	assert_true(timeout_ms >= 1000);
	if (instance->data1 >= FUNCTIONS || t.functions[instance->data1].absent)
		return -ENOENT;
	snprintf(address, 16, "%u", instance->data1);
	return 0;
}

int vfio_bind(const char *address, bool iommu)
{
	assert_false(iommu);
	return function_at(address)->bind;
}

int vfio_open(const struct vfio_config *config, struct pci_device_access **pci)
{
	struct function *function = function_at(config->address);
	struct pci_inproc_config inproc = {
		.function = function->emulated,
		.memory = t.client.memory,
		.pool_address = POOL + (uint64_t)atoi(config->address) * POOL_SIZE,
		.pool_len = POOL_SIZE,
	};

	assert_int_equal(config->max_vectors, CLIENT_VPS + 1);
	assert_ptr_equal(config->memory, t.client.memory);
	if (function->inproc)
		return -EBUSY;
	if (function->open)
		return function->open;
	if (function->other) {
		fake_device_init(&t.fake);
		memcpy(t.fake.config, &function->other, sizeof(function->other));
		*pci = &t.fake.pci;
		return 0;
	}
	function->inproc = pci_inproc_create(&inproc);
	assert_non_null(function->inproc);
	*pci = pci_inproc_device(function->inproc);
	return 0;
}

void machine_end(struct machine *machine, enum host_port_result result, const char *format, ...)
{
	va_list args;

	assert_ptr_equal(machine, &t.machine);
	assert_int_equal(result, HOST_PORT_FAILURE);
	assert_string_equal(t.why, ""); /* once */
	va_start(args, format);
	vsnprintf(t.why, sizeof(t.why), format, args);
	va_end(args);
}

static int assert_interrupt(struct vtl *vtl, const struct vtl_interrupt *interrupt)
{
	(void)vtl;
	(void)interrupt;
	return 0;
}

/* --- The host */

#define CARD(n)        "{\"instance_id\":\"0000000" #n "-0000-0000-0000-000000000000\""
#define SUBORDINATE(n) ",\"subordinate_instance_id\":\"0000000" #n "-0000-0000-0000-000000000000\""
#define CARDS(list)    "{\"version\":\"V1\",\"dynamic\":{\"nic_devices\":[" list "]}}"

static void parse(const char *text)
{
	char why[160];

	assert_int_equal(settings_parse(t.settings, text, strlen(text), why, sizeof(why)), 0);
}

/* As main does it. */
static int start(const char *text)
{
	int ret;

	parse(text);
	t.why[0] = 0;
	ret = network_open(&t.machine, t.settings, NULL, &t.network);
	if (t.network)
		keep(t.network);
	if (!ret)
		ret = network_start(t.network, t.settings, t.client.server);
	assert_int_equal(!ret, !t.why[0]);
	return ret;
}

static void change(const char *text)
{
	parse(text);
	network_update(t.network, t.settings);
	client_run(&t.client);
}

static void move_filter(void *ctx, bool to_vtl0)
{
	struct function *function = ctx;

	function->to_vtl0 = to_vtl0;
	function->moves++;
}

static int make_function(struct function *function, unsigned int number)
{
	struct mana_function_config config = {
		.loop = t.client.loops[CLIENT_VPS - 1],
		.backend = &function->network.backend,
		.mac = { 0x02, 0x15, 0x5D, 1, 2, (uint8_t)number },
		.mtu = 1500,
		.queues = CLIENT_VPS,
		.move_filter = move_filter,
		.ctx = function,
	};

	memory_backend_init(&function->network);
	function->emulated = mana_function_create(&config);
	return function->emulated ? 0 : -1;
}

static int setup(void **state)
{
	static const struct vtl_ops ops = { .assert_interrupt = assert_interrupt };
	static struct vtl vtl = { .ops = &ops };

	(void)state;
	memset(&t, 0, sizeof(t));
	log_set_level(LOG_ERROR);
	if (client_init(&t.client, 0, 0))
		return -1;
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		if (make_function(&t.functions[i], i))
			return -1;
	client_run(&t.client); /* starts the networks */
	t.settings = calloc(1, sizeof(*t.settings));
	t.machine = (struct machine){ .vtl = &vtl,
				      .memory = t.client.memory,
				      .bus = io_bus_create(),
				      .vmbus = t.client.server,
				      .vps = t.vps };
	t.machine.topology.vp_count = CLIENT_VPS;
	t.machine.topology.mmio_count = 1;
	t.machine.topology.mmio[0] = (struct boot_range){ 0x100000000, 0x100000 };
	for (unsigned int i = 0; i < CLIENT_VPS; i++)
		t.vps[i] =
			(struct vp){ .machine = &t.machine, .loop = t.client.loops[i], .index = i };
	t.net.client = &t.client;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vmbus_server_reset(t.client.server);
	client_run(&t.client);
	for (unsigned int i = 0; i < FUNCTIONS; i++) {
		struct pci_function *function = t.functions[i].emulated;

		function->ops->reset(function);
		keep(t.functions[i].inproc);
		client_run(&t.client);
		function->ops->destroy(function);
		memory_backend_fini(&t.functions[i].network);
	}
	io_bus_destroy(t.machine.bus);
	free(t.settings);
	client_fini(&t.client);
	return 0;
}

/* --- The guest */

static void take_offers(void)
{
	const struct vmbus_channel_offer_channel *offer;

	while ((offer = client_take(&t.client, CHANNELMSG_OFFERCHANNEL))) {
		assert_true(offer->if_instance.data1 < FUNCTIONS);
		t.offers++;
		t.relids[offer->if_instance.data1] = offer->child_relid;
	}
	client_drop_messages(&t.client);
}

static void connect_guest(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	assert_true(client_connect(&t.client, VMBUS_VERSION_5_3));
	client_post(&t.client, &request, sizeof(request));
	client_run(&t.client);
	take_offers();
}

/* Its netvsc takes the card. */
static void take_card(unsigned int number)
{
	t.net.relids[0] = t.relids[number];
	t.net.connections[0] = 0x2000 + t.relids[number];
	assert_int_equal(netvsc_start(&t.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	client_run(&t.client);
	netvsc_poll(&t.net, 0);
}

static void send_frame(void)
{
	const struct netvsc_tx tx = { .gpa = NETVSC_FRAMES, .len = FRAME };

	memset(t.client.ram + NETVSC_FRAMES, 0xFF, FRAME);
	assert_int_equal(netvsc_send(&t.net, 0, 1, NETVSC_FRAMES + 4096, &tx), 0);
	client_run(&t.client);
	netvsc_poll(&t.net, 0);
}

static void say_to_bus(const void *message, size_t len)
{
	assert_int_equal(client_send(&t.vf, VM_PKT_DATA_INBAND,
				     VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED, 7, NULL, 0,
				     message, len),
			 0);
	client_run(&t.client);
}

/* What the bus says next, or 0: nothing. */
static uint32_t heard_from_bus(void)
{
	const struct vmpacket_descriptor *desc = (const void *)t.packet;
	uint32_t type;

	if (client_receive(&t.vf, t.packet, sizeof(t.packet)) <= 0)
		return 0;
	memcpy(&type, t.packet + desc->offset8 * 8, sizeof(type));
	return desc->type == VM_PKT_COMP ? UINT32_MAX : type;
}

/* Its mana takes the function. */
static void take_function(unsigned int number)
{
	const struct vpci_version_request version = { .type = VPCI_QUERY_PROTOCOL_VERSION,
						      .protocol_version = VPCI_VERSION_1_4 };
	const struct vpci_d0_entry d0 = { .type = VPCI_BUS_D0ENTRY, .mmio_base = WINDOW };

	client_drop_messages(&t.client);
	assert_int_equal(client_open(&t.client, &t.vf, t.relids[number], 0x2000 + t.relids[number],
				     0, VF_RINGS, 2),
			 0);
	say_to_bus(&version, sizeof(version));
	say_to_bus(&d0, sizeof(d0));
	assert_int_equal(io_bus_write(t.machine.bus, IO_MEMORY,
				      WINDOW + VPCI_CONFIG_SPACE + PCI_COMMAND, 2,
				      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
			 IO_DONE);
	while (heard_from_bus())
		;
}

static void switch_to(uint32_t path)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG4_TYPE_SWITCH_DATA_PATH };

	message.switch_data_path.active_datapath = path;
	assert_int_equal(netvsc_call(&t.net, &message), 0);
}

/* The card's VF is in that slot (0: it has none), as it has said last. */
static void expect_vf(uint32_t slot)
{
	client_run(&t.client);
	netvsc_poll(&t.net, 0);
	assert_int_equal(t.net.inband.msg_type, NVSP_MSG4_TYPE_SEND_VF_ASSOCIATION);
	assert_int_equal(t.net.inband.vf_association.allocated, slot ? 1 : 0);
	if (slot)
		assert_int_equal(t.net.inband.vf_association.serial, slot);
}

/* --- Tests: cards */

static void each_card_has_its_own_function(void **state)
{
	(void)state;
	assert_int_equal(start(CARDS(CARD(4) "}," CARD(2) "}")), 0);
	connect_guest();
	assert_int_equal(t.offers, 2);
	take_card(2);
	send_frame();
	assert_int_equal(t.functions[2].network.sent, 1);
	assert_int_equal(t.functions[4].network.sent, 0);
	assert_null(t.functions[1].inproc);
	assert_null(t.machine.relay);
}

static void no_cards_are_no_cards(void **state)
{
	(void)state;
	assert_int_equal(start("{\"version\":\"V1\"}"), 0);
	connect_guest();
	assert_int_equal(t.offers, 0);
	change("{\"version\":\"V1\"}");
}

/* How many the card gives of those that it is asked for. */
static uint32_t sub_channels(uint32_t wanted)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG5_TYPE_SUBCHANNEL,
					.subchannel = { NVSP_SUBCHANNEL_ALLOCATE, wanted } };

	assert_int_equal(netvsc_call(&t.net, &message), 0);
	return t.net.reply.subchannel_complete.status == NVSP_STAT_SUCCESS
		       ? t.net.reply.subchannel_complete.num_subchannels
		       : 0;
}

static void a_sub_channel_for_each_further_vp(void **state)
{
	(void)state;
	assert_int_equal(start(CARDS(CARD(4) ",\"max_sub_channels\":65535}")), 0);
	connect_guest();
	take_card(4);
	assert_int_equal(sub_channels(CLIENT_VPS), 0);
	assert_int_equal(sub_channels(CLIENT_VPS - 1), CLIENT_VPS - 1);
}

static void or_as_many_as_the_settings_say(void **state)
{
	(void)state;
	assert_int_equal(start(CARDS(CARD(4) ",\"max_sub_channels\":1}")), 0);
	connect_guest();
	take_card(4);
	assert_int_equal(sub_channels(2), 0);
	assert_int_equal(sub_channels(1), 1);
}

static void memory_is_counted(void **state)
{
	(void)state;
	assert_int_equal(network_pool_size(t.settings, 1), 0);
	t.settings->nic_count = 1;
	assert_int_equal(network_pool_size(t.settings, 1), 2u << 20);
	assert_int_equal(network_pool_size(t.settings, 8), 4u << 20);
	t.settings->nic_count = SETTINGS_NICS_MAX;
	assert_true(network_pool_size(t.settings, 2048) > SETTINGS_NICS_MAX * (512ull << 20));
}

/* --- Tests: what is wrong with the host or its settings is one line */

static void expect_failure(const char *text, int ret, const char *reason)
{
	assert_int_equal(start(text), ret);
	assert_non_null(strstr(t.why, reason));
}

static void a_function_that_is_not_there(void **state)
{
	(void)state;
	t.functions[1].absent = true;
	expect_failure(
		CARDS(CARD(4) "}," CARD(1) "}"), -ENOENT,
		"no MANA function at VPCI bus 00000001-0000-0000-0000-000000000000: errno 2");
}

static void a_function_that_vfio_does_not_get(void **state)
{
	(void)state;
	t.functions[4].bind = -EPERM;
	expect_failure(
		CARDS(CARD(4) "}"), -EPERM,
		"cannot take the MANA function at VPCI bus 00000004-0000-0000-0000-000000000000: "
		"errno 1");
	assert_null(t.functions[4].inproc);
	t.functions[4].bind = 0;
	t.functions[4].open = -ENODEV;
	expect_failure(CARDS(CARD(4) "}"), -ENODEV,
		       "cannot take the MANA function at VPCI bus 00000004");
}

static void a_function_that_is_something_else(void **state)
{
	(void)state;
	t.functions[1].other = 0x10D38086;
	expect_failure(CARDS(CARD(1) "}"), -ENODEV,
		       "the MANA function does not start at VPCI bus 00000001");
	assert_null(t.fake.bound[0]);
	t.functions[1].other = 0x00BA1414; /* by its name only */
	expect_failure(CARDS(CARD(1) "}"), -EPROTO,
		       "the MANA function does not start at VPCI bus 00000001");
	assert_null(t.fake.bound[0]);
}

static void a_function_of_vtl0s_that_is_not_to_be_had(void **state)
{
	(void)state;
	t.functions[3].absent = true;
	expect_failure(CARDS(CARD(4) SUBORDINATE(3) "}"), -ENOENT,
		       "no MANA function at VPCI bus 00000003");
	assert_null(t.machine.relay);
}

static void a_function_of_vtl0s_that_vfio_does_not_get(void **state)
{
	(void)state;
	t.functions[3].bind = -EACCES;
	expect_failure(CARDS(CARD(4) SUBORDINATE(3) "}"), -EACCES,
		       "cannot take the MANA function at VPCI bus 00000003");
}

static void the_bus_of_vtl0s_function_is_there_already(void **state)
{
	const struct io_region region = { .name = "other",
					  .space = IO_MEMORY,
					  .base = WINDOW,
					  .len = 4096,
					  .ops = &(const struct io_region_ops){ 0 } };

	(void)state;
	assert_int_equal(io_bus_add(t.machine.bus, &region), 0);
	assert_int_not_equal(start(CARDS(CARD(4) SUBORDINATE(1) "}")), 0);
	assert_non_null(strstr(t.why, "cannot relay the function at VPCI bus 00000001"));
}

static void two_cards_cannot_be_one(void **state)
{
	static const char *const bad[] = {
		CARDS(CARD(4) "}," CARD(4) "}"),
		CARDS(CARD(4) SUBORDINATE(4) "}"),
		CARDS(CARD(4) SUBORDINATE(2) "}," CARD(1) SUBORDINATE(2) "}"),
		CARDS(CARD(4) SUBORDINATE(1) "}," CARD(1) "}"),
		CARDS(CARD(1) "}," CARD(4) SUBORDINATE(1) "}"),
	};
	char why[160];

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = 0;
		assert_int_equal(
			settings_parse(t.settings, bad[i], strlen(bad[i]), why, sizeof(why)),
			-EINVAL);
		assert_non_null(strstr(why, "network card"));
	}
}

/* --- Tests: VTL0's own functions */

static int setup_vf(void **state)
{
	if (setup(state))
		return -1;
	if (start(CARDS(CARD(4) "}," CARD(1) SUBORDINATE(3) "}")))
		return -1;
	connect_guest();
	return 0;
}

static void the_guest_has_a_vf_beside_its_card(void **state)
{
	(void)state;
	assert_int_equal(t.offers, 3);
	assert_non_null(t.machine.relay);
	take_card(1);
	expect_vf(2); /* the second card's */
	/* As long as nobody drives it traffic stays. */
	switch_to(NVSP_DATAPATH_VF);
	assert_int_equal(t.functions[1].moves, 0);
	take_function(3);
	switch_to(NVSP_DATAPATH_VF);
	assert_true(t.functions[1].to_vtl0);
	assert_int_equal(t.functions[1].moves, 1);
	assert_int_equal(t.functions[4].moves, 0);
	switch_to(NVSP_DATAPATH_SYNTHETIC);
	assert_false(t.functions[1].to_vtl0);
	assert_int_equal(t.functions[1].moves, 2);
}

static void a_card_without_has_none(void **state)
{
	(void)state;
	take_function(3);
	take_card(4);
	client_run(&t.client);
	netvsc_poll(&t.net, 0);
	assert_int_equal(t.net.inbands, 0);
	switch_to(NVSP_DATAPATH_VF);
	assert_int_equal(t.functions[4].moves + t.functions[1].moves, 0);
}

static void traffic_comes_back_from_a_function_that_is_left(void **state)
{
	const struct vpci_child_message exit = { .type = VPCI_BUS_D0EXIT };

	(void)state;
	take_card(1);
	take_function(3);
	switch_to(NVSP_DATAPATH_VF);
	assert_true(t.functions[1].to_vtl0);
	say_to_bus(&exit, sizeof(exit));
	assert_false(t.functions[1].to_vtl0);
	assert_int_equal(t.functions[1].moves, 2);
}

static void the_host_takes_the_function_and_gives_it_back(void **state)
{
	const struct vpci_child_message complete = { .type = VPCI_EJECTION_COMPLETE };
	unsigned int told;

	(void)state;
	take_card(1);
	take_function(3);
	switch_to(NVSP_DATAPATH_VF);
	change(CARDS(CARD(4) "}," CARD(1) "}"));
	expect_vf(0);
	assert_int_equal(heard_from_bus(), VPCI_EJECT);
	told = t.net.inbands;
	change(CARDS(CARD(4) "}," CARD(1) "}")); /* said again */
	netvsc_poll(&t.net, 0);
	assert_int_equal(t.net.inbands, told);
	assert_int_equal(heard_from_bus(), 0);
	say_to_bus(&complete, sizeof(complete));
	assert_false(t.functions[1].to_vtl0);
	client_drop_messages(&t.client);
	change(CARDS(CARD(4) "}," CARD(1) SUBORDINATE(3) "}"));
	expect_vf(2);
	t.offers = 0;
	take_offers();
	assert_int_equal(t.offers, 1);
	take_function(3);
	switch_to(NVSP_DATAPATH_VF);
	assert_true(t.functions[1].to_vtl0);
}

/* One of which nothing was known at the start is not this one. */
static void another_function_is_none(void **state)
{
	(void)state;
	take_card(1);
	change(CARDS(CARD(4) SUBORDINATE(3) "}," CARD(1) SUBORDINATE(2) "}"));
	expect_vf(0);
	assert_null(t.functions[2].inproc);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define VF(test)   cmocka_unit_test_setup_teardown(test, setup_vf, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_card_has_its_own_function),
		TEST(no_cards_are_no_cards),
		TEST(a_sub_channel_for_each_further_vp),
		TEST(or_as_many_as_the_settings_say),
		TEST(memory_is_counted),
		TEST(a_function_that_is_not_there),
		TEST(a_function_that_vfio_does_not_get),
		TEST(a_function_that_is_something_else),
		TEST(a_function_of_vtl0s_that_is_not_to_be_had),
		TEST(a_function_of_vtl0s_that_vfio_does_not_get),
		TEST(the_bus_of_vtl0s_function_is_there_already),
		TEST(two_cards_cannot_be_one),
		VF(the_guest_has_a_vf_beside_its_card),
		VF(a_card_without_has_none),
		VF(traffic_comes_back_from_a_function_that_is_left),
		VF(the_host_takes_the_function_and_gives_it_back),
		VF(another_function_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

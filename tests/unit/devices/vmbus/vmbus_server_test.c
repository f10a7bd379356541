/* The server's connection: what a guest's first and last messages do. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/vmbus.h"

void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_msg_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	(void)limit;
	(void)level;
	(void)fmt;
}

/* A guest with one message slot that it empties when told to. */
struct guest {
	struct vmbus_server *server;
	struct vmbus_server_config config;
	bool slot_full;
	unsigned int posts;
	uint32_t vp, type;
	uint8_t sint;
	size_t len;
	_Alignas(8) uint8_t message[VMBUS_MESSAGE_MAX];
};

static int guest_post_message(void *ctx, uint32_t vp, uint8_t sint, uint32_t type,
			      const void *payload, size_t len)
{
	struct guest *guest = ctx;

	if (vp == 99)
		return -EINVAL;
	if (guest->slot_full)
		return -EAGAIN;
	guest->slot_full = true;
	guest->posts++;
	guest->vp = vp;
	guest->sint = sint;
	guest->type = type;
	guest->len = len;
	memcpy(guest->message, payload, len);
	return 0;
}

static const struct vmbus_transport_ops transport = { .post_message = guest_post_message };

static int setup(void **state)
{
	static struct guest guest;

	guest = (struct guest){ .config = { .ops = &transport, .ctx = &guest, .vtl = 2 } };
	guest.server = vmbus_server_create(&guest.config);
	*state = &guest;
	return guest.server ? 0 : -1;
}

static int teardown(void **state)
{
	struct guest *guest = *state;

	vmbus_server_destroy(guest->server);
	return 0;
}

static void recreate(struct guest *guest)
{
	vmbus_server_destroy(guest->server);
	guest->server = vmbus_server_create(&guest->config);
	assert_non_null(guest->server);
}

/* Reads the message in the slot, which must be of this type, and frees the slot. */
static const void *take(struct guest *guest, uint32_t msgtype)
{
	struct vmbus_channel_message_header header;
	static _Alignas(8) uint8_t taken[VMBUS_MESSAGE_MAX];

	assert_true(guest->slot_full);
	memcpy(&header, guest->message, sizeof(header));
	assert_int_equal(header.msgtype, msgtype);
	assert_int_equal(guest->type, VMBUS_HV_MESSAGE_TYPE);
	memcpy(taken, guest->message, sizeof(taken));
	guest->slot_full = false;
	vmbus_server_message_slot_free(guest->server);
	return taken;
}

static int post(struct guest *guest, uint32_t connection, const void *msg, size_t len)
{
	return vmbus_server_handle_message(guest->server, connection, VMBUS_HV_MESSAGE_TYPE, msg,
					   len);
}

static int post_header(struct guest *guest, uint32_t msgtype)
{
	struct vmbus_channel_message_header header = { .msgtype = msgtype };

	return post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &header, sizeof(header));
}

static struct vmbus_channel_initiate_contact contact_of(uint32_t version)
{
	return (struct vmbus_channel_initiate_contact){
		.header.msgtype = CHANNELMSG_INITIATE_CONTACT,
		.vmbus_version_requested = version,
		.target_vcpu = 3,
		.msg_sint = VMBUS_MESSAGE_SINT,
		.msg_vtl = 2,
		.monitor_page1 = 0x1000,
		.monitor_page2 = 0x2000,
	};
}

static void contact(struct guest *guest, uint32_t version)
{
	struct vmbus_channel_initiate_contact msg = contact_of(version);

	assert_int_equal(post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg)), 0);
}

static void connect_5_3(struct guest *guest)
{
	const struct vmbus_channel_version_response *response;

	contact(guest, VMBUS_VERSION_5_3);
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->version_supported, 1);
	assert_int_equal(response->connection_state, VMBUS_CONNECTION_SUCCESSFUL);
}

static void negotiates_every_supported_version(void **state)
{
	static const uint32_t good[] = { VMBUS_VERSION_4_0, VMBUS_VERSION_4_1, VMBUS_VERSION_5_0,
					 VMBUS_VERSION_5_1, VMBUS_VERSION_5_2, VMBUS_VERSION_5_3,
					 VMBUS_VERSION_6_0 };
	struct guest *guest = *state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct vmbus_channel_version_response *response;

		contact(guest, good[i]);
		assert_int_equal(guest->vp, 3);
		assert_int_equal(guest->sint, VMBUS_MESSAGE_SINT);
		assert_int_equal(guest->len, good[i] == VMBUS_VERSION_6_0 ? 20 : 16);
		response = take(guest, CHANNELMSG_VERSION_RESPONSE);
		assert_int_equal(response->version_supported, 1);
		assert_int_equal(response->msg_conn_id, good[i] >= VMBUS_VERSION_5_0
								? VMBUS_MESSAGE_CONNECTION_ID_4
								: good[i]);
		assert_int_equal(vmbus_server_version(guest->server), good[i]);
	}
}

static void refuses_other_versions(void **state)
{
	static const uint32_t bad[] = { 0,
					VMBUS_VERSION(3, 0),
					VMBUS_VERSION(4, 2),
					VMBUS_VERSION(5, 4),
					VMBUS_VERSION(6, 1),
					0xFFFFFFFF };
	struct guest *guest = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct vmbus_channel_version_response *response;

		contact(guest, bad[i]);
		response = take(guest, CHANNELMSG_VERSION_RESPONSE);
		assert_int_equal(response->version_supported, 0);
		assert_true(vmbus_server_is_idle(guest->server));
	}
}

static void caps_the_version(void **state)
{
	struct guest *guest = *state;
	const struct vmbus_channel_version_response *response;

	guest->config.max_version = VMBUS_VERSION_5_0;
	recreate(guest);
	contact(guest, VMBUS_VERSION_5_1);
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->version_supported, 0);
	contact(guest, VMBUS_VERSION_5_0);
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->version_supported, 1);
}

static void features_are_intersected(void **state)
{
	struct guest *guest = *state;
	struct {
		struct vmbus_channel_initiate_contact contact;
		struct guid client;
	} msg = { .contact = contact_of(VMBUS_VERSION_6_0) };
	const struct vmbus_channel_version_response *response;

	msg.contact.feature_flags = 0xFFFFFFFF;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->supported_features,
			 VMBUS_FEATURE_CLIENT_ID | VMBUS_FEATURE_MODIFY_CONNECTION);

	guest->config.confidential = true;
	recreate(guest);
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_true(response->supported_features & VMBUS_FEATURE_CONFIDENTIAL_CHANNELS);

	/* A client id is announced but not there. */
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg.contact));
	assert_false(guest->slot_full);
}

static void answers_on_the_sint_asked_for(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_5_2);

	msg.msg_sint = 5;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	assert_int_equal(guest->sint, 5);
	take(guest, CHANNELMSG_VERSION_RESPONSE);

	/* Below 5.0 these bytes are the interrupt page. */
	msg.vmbus_version_requested = VMBUS_VERSION_4_1;
	msg.interrupt_page = 0x12345000;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID, &msg, sizeof(msg));
	assert_int_equal(guest->sint, VMBUS_MESSAGE_SINT);
	take(guest, CHANNELMSG_VERSION_RESPONSE);

	msg = contact_of(VMBUS_VERSION_5_2);
	msg.msg_sint = 16;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	msg.msg_sint = 0;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	assert_false(guest->slot_full);
}

static void refuses_another_vtls_contact(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_5_3);
	const struct vmbus_channel_version_response *response;

	msg.msg_vtl = 0;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->version_supported, 0);
	assert_true(vmbus_server_is_idle(guest->server));
}

static void one_monitor_page_alone_is_refused(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_5_3);
	const struct vmbus_channel_version_response *response;

	msg.monitor_page2 = 0;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	response = take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(response->version_supported, 1);
	assert_int_equal(response->connection_state, VMBUS_CONNECTION_FAILED_UNKNOWN);
	assert_true(vmbus_server_is_idle(guest->server));
}

static void offers_end_once(void **state)
{
	struct guest *guest = *state;

	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	assert_false(guest->slot_full); /* not connected */
	connect_5_3(guest);
	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	take(guest, CHANNELMSG_ALLOFFERS_DELIVERED);
	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	assert_false(guest->slot_full);

	connect_5_3(guest); /* a new kernel asks again */
	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	take(guest, CHANNELMSG_ALLOFFERS_DELIVERED);
}

static void unload_disconnects(void **state)
{
	struct guest *guest = *state;

	connect_5_3(guest);
	assert_false(vmbus_server_is_idle(guest->server));
	post_header(guest, CHANNELMSG_UNLOAD);
	assert_int_equal(guest->vp, 3);
	take(guest, CHANNELMSG_UNLOAD_RESPONSE);
	assert_true(vmbus_server_is_idle(guest->server));
	assert_int_equal(vmbus_server_version(guest->server), 0);
}

static void messages_wait_for_the_slot(void **state)
{
	struct guest *guest = *state;

	connect_5_3(guest);
	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	assert_int_equal(guest->posts, 2);
	for (int i = 0; i < 3; i++) {
		struct vmbus_channel_tl_connect_request msg = {
			.header.msgtype = CHANNELMSG_TL_CONNECT_REQUEST,
			.guest_endpoint_id.data1 = (uint32_t)i,
		};

		post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	}
	assert_int_equal(guest->posts, 2);
	take(guest, CHANNELMSG_ALLOFFERS_DELIVERED);
	for (uint32_t i = 0; i < 3; i++) {
		const struct vmbus_channel_tl_connect_result *result =
			take(guest, CHANNELMSG_TL_CONNECT_RESULT);

		assert_int_equal(result->guest_endpoint_id.data1, i);
		assert_int_equal(result->status, VMBUS_STATUS_CONNECTION_REFUSED);
	}
	assert_false(guest->slot_full);
}

static void a_guest_that_never_reads_is_held_back(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_tl_connect_request msg = {
		.header.msgtype = CHANNELMSG_TL_CONNECT_REQUEST,
	};
	int err = 0;
	int tries;

	connect_5_3(guest);
	for (tries = 0; tries < 100000 && !err; tries++)
		err = post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	assert_int_equal(err, -ENOBUFS);
	take(guest, CHANNELMSG_TL_CONNECT_RESULT);
	assert_int_equal(post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg)), 0);
}

static void a_new_contact_drops_old_answers(void **state)
{
	struct guest *guest = *state;

	connect_5_3(guest);
	post_header(guest, CHANNELMSG_REQUESTOFFERS);
	for (int i = 0; i < 3; i++)
		post_header(guest, CHANNELMSG_REQUESTOFFERS);
	contact(guest, VMBUS_VERSION_5_2);
	take(guest, CHANNELMSG_ALLOFFERS_DELIVERED); /* was in the slot already */
	take(guest, CHANNELMSG_VERSION_RESPONSE);
	assert_int_equal(vmbus_server_version(guest->server), VMBUS_VERSION_5_2);
}

static void an_unreachable_vp_loses_its_message_only(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_5_3);

	msg.target_vcpu = 99;
	post(guest, VMBUS_MESSAGE_CONNECTION_ID_4, &msg, sizeof(msg));
	assert_false(guest->slot_full);
	connect_5_3(guest);
}

static void malformed_messages_are_refused(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_5_3);
	uint8_t big[VMBUS_MESSAGE_MAX + 1] = { CHANNELMSG_INITIATE_CONTACT };

	assert_int_equal(post(guest, VMBUS_MESSAGE_CONNECTION_ID_REDIRECT, &msg, sizeof(msg)),
			 -ENXIO);
	assert_int_equal(post(guest, VMBUS_EVENT_CONNECTION_ID, &msg, sizeof(msg)), -ENXIO);
	assert_int_equal(post(guest, 1, &msg, 7), -EINVAL);
	assert_int_equal(post(guest, 1, big, sizeof(big)), -EINVAL);
	assert_int_equal(vmbus_server_handle_message(guest->server, 4, 2, &msg, sizeof(msg)),
			 -EINVAL);
	for (uint32_t type = 0; type < 100; type++)
		if (type != CHANNELMSG_UNLOAD)
			assert_int_equal(post_header(guest, type), 0);
	assert_int_equal(post_header(guest, 0xFFFFFFFF), 0);
	assert_false(guest->slot_full);
	assert_int_equal(guest->posts, 0);
	connect_5_3(guest);
}

static void reset_forgets_the_connection(void **state)
{
	struct guest *guest = *state;

	connect_5_3(guest);
	vmbus_server_reset(guest->server);
	assert_true(vmbus_server_is_idle(guest->server));
	assert_false(guest->slot_full);
	connect_5_3(guest);
}

static void modify_connection_is_answered(void **state)
{
	struct guest *guest = *state;
	struct vmbus_channel_initiate_contact msg = contact_of(VMBUS_VERSION_6_0);
	struct vmbus_channel_modifyconnection modify = {
		.header.msgtype = CHANNELMSG_MODIFYCONNECTION,
		.monitor_page1 = 0x5000,
		.monitor_page2 = 0x6000,
	};
	const struct vmbus_channel_modifyconnection_response *response;

	connect_5_3(guest);
	post(guest, 4, &modify, sizeof(modify));
	assert_false(guest->slot_full);

	msg.feature_flags = VMBUS_FEATURE_MODIFY_CONNECTION;
	post(guest, 4, &msg, sizeof(msg));
	take(guest, CHANNELMSG_VERSION_RESPONSE);
	post(guest, 4, &modify, sizeof(modify));
	response = take(guest, CHANNELMSG_MODIFYCONNECTION_RESPONSE);
	assert_int_equal(response->connection_state, VMBUS_CONNECTION_SUCCESSFUL);
	modify.monitor_page1 = 0;
	post(guest, 4, &modify, sizeof(modify));
	response = take(guest, CHANNELMSG_MODIFYCONNECTION_RESPONSE);
	assert_int_equal(response->connection_state, VMBUS_CONNECTION_FAILED_UNKNOWN);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(negotiates_every_supported_version),
		test(refuses_other_versions),
		test(caps_the_version),
		test(features_are_intersected),
		test(answers_on_the_sint_asked_for),
		test(refuses_another_vtls_contact),
		test(one_monitor_page_alone_is_refused),
		test(offers_end_once),
		test(unload_disconnects),
		test(messages_wait_for_the_slot),
		test(a_guest_that_never_reads_is_held_back),
		test(a_new_contact_drops_old_answers),
		test(an_unreachable_vp_loses_its_message_only),
		test(malformed_messages_are_refused),
		test(reset_forgets_the_connection),
		test(modify_connection_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

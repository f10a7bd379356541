#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "devices/chipset.h"
#include "devices/vmbus/vmbus_server.h"
#include "paravisor/hypercall.h"
#include "paravisor/machine.h"
#include "paravisor/relay.h"
#include "paravisor/vmbus.h"
#include "paravisor/vp.h"
#include "tests/unit/fake/fake_vtl.h"

#define SINT 2

static struct fake_vtl fake;
static struct machine machine;
static struct vp vp;
static struct vmbus_server_config server;
static int slot; /* what posting returns */
static unsigned int flushes;

/* --- what is around it --- */

struct vmbus_server *vmbus_server_create(const struct vmbus_server_config *config)
{
	server = *config;
	return (struct vmbus_server *)&server;
}

void vmbus_server_message_slot_free(struct vmbus_server *s)
{
	(void)s;
	flushes++;
}

int vmbus_server_handle_message(struct vmbus_server *s, uint32_t connection_id, uint32_t type,
				const void *payload, size_t len)
{
	(void)s;
	(void)connection_id;
	(void)type;
	(void)payload;
	(void)len;
	return 0;
}

int vmbus_server_handle_signal(struct vmbus_server *s, uint32_t connection_id, uint16_t flag)
{
	(void)s;
	(void)connection_id;
	(void)flag;
	return 0;
}

int relay_retarget(struct relay *relay, const struct retarget *retarget)
{
	(void)relay;
	(void)retarget;
	return 0;
}

uint8_t chipset_pic_acknowledge(struct chipset *chipset)
{
	(void)chipset;
	return 0;
}

void chipset_ioapic_eoi(struct chipset *chipset, uint8_t vector)
{
	(void)chipset;
	(void)vector;
}

static int post_message(struct vtl *vtl, uint32_t index, uint8_t sint, uint32_t type,
			const void *payload, size_t len)
{
	(void)vtl;
	(void)index;
	(void)sint;
	(void)type;
	(void)payload;
	(void)len;
	return slot;
}

static int setup(void **state)
{
	(void)state;
	fake_vtl_init(&fake);
	fake.ops.post_message = post_message;
	machine = (struct machine){ .vtl = &fake.vtl, .vps = &vp, .topology.vp_count = 1 };
	vp = (struct vp){ .machine = &machine, .vtl = &fake.vp, .loop = event_loop_create() };
	slot = 0;
	flushes = 0;
	return vp.loop ? vmbus_start(&machine) : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(server.ctx);
	event_loop_destroy(vp.loop);
	return 0;
}

/* --- tests --- */

static int post(uint32_t index)
{
	return server.ops->post_message(server.ctx, index, SINT, 1, "", 0);
}

static void test_free_slot(void **state)
{
	(void)state;
	assert_int_equal(post(0), 0);
	assert_int_equal(event_loop_run_once(vp.loop, 0), 0);
	assert_int_equal(fake.sets, 0);
	assert_int_equal(post(1), -ENOENT); /* no such VP */
}

static void test_taken_slot(void **state)
{
	(void)state;
	slot = -EAGAIN;
	assert_int_equal(post(0), -EAGAIN);
	assert_int_equal(post(0), -EAGAIN);
	assert_int_equal(fake.sets, 0); /* only on the VP's own thread */
	assert_int_equal(event_loop_run_once(vp.loop, 0), 1);
	assert_int_equal(fake.sets, 1);
	assert_int_equal(fake.notifications, 1ull << (48 + SINT));

	/* Asked already: nothing more until it comes. */
	assert_int_equal(post(0), -EAGAIN);
	assert_int_equal(event_loop_run_once(vp.loop, 0), 1);
	assert_int_equal(fake.sets, 1);

	vmbus_slot_free(&vp, 1u << SINT);
	assert_int_equal(flushes, 1);
	assert_int_equal(post(0), -EAGAIN);
	assert_int_equal(event_loop_run_once(vp.loop, 0), 1);
	assert_int_equal(fake.sets, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_free_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_slot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

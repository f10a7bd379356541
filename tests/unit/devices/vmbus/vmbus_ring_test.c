/* Rings alone, with a guest that does something in the very moment in which it is asked for room. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/guest_access.h"
#include "devices/vmbus/vmbus_ring.h"

#define PACKET  1024u /* in the ring: a descriptor, PAYLOAD, a trailer */
#define PAYLOAD 1000u

static struct memory {
	_Alignas(VMBUS_PAGE_SIZE) uint8_t pages[2][VMBUS_PAGE_SIZE];
} memory;
static struct hv_ring_buffer *control;
static uint8_t *pages[] = { memory.pages[0], memory.pages[1] };
static struct vmbus_ring_writer writer;
static void (*asked)(void); /* the guest's, when pending_send_sz becomes something */

/* What the rings touch the guest's memory by. */
int guest_access_copy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	if (dst == &control->pending_send_sz && control->pending_send_sz && asked)
		asked();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	control = (struct hv_ring_buffer *)(void *)memory.pages[0];
	asked = NULL;
	return vmbus_ring_writer_init(&writer, pages, 2);
}

static int write_packet(uint8_t byte, size_t len)
{
	static uint8_t payload[VMBUS_PAGE_SIZE];
	const struct vmbus_ring_packet packet = { .type = VM_PKT_DATA_INBAND,
						  .payload = payload,
						  .payload_len = len };

	memset(payload, byte, len);
	return vmbus_ring_write(&writer, &packet);
}

static void fill(void)
{
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(write_packet('f', PAYLOAD), 0);
}

/* --- Writing */

/* The packets before it are the guest's by then, who is to be signalled once. */
static void room_is_asked_for_until_there_is_some(void **state)
{
	(void)state;
	fill();
	assert_int_equal(control->write_index, 0);
	assert_int_equal(write_packet('w', PAYLOAD), -EAGAIN);
	assert_int_equal(control->pending_send_sz, PACKET);
	assert_int_equal(control->write_index, 3 * PACKET);
	assert_int_equal(vmbus_ring_publish(&writer), 1);
	assert_int_equal(vmbus_ring_publish(&writer), 0);
	assert_int_equal(write_packet('w', PAYLOAD), -EAGAIN);
	control->read_index = PACKET;
	assert_int_equal(write_packet('w', PAYLOAD), 0);
	assert_int_equal(control->pending_send_sz, 0);
	assert_int_equal(vmbus_ring_publish(&writer), 0);
	assert_int_equal(control->write_index, 0);
}

static void make_room(void)
{
	control->read_index = 2 * PACKET;
}

/*
 * Whoever makes room before it can know that it is waited for does not signal. The signal for what it was shown
 * then is not forgotten either.
 */
static void room_is_found_that_comes_while_asking(void **state)
{
	(void)state;
	asked = make_room;
	fill();
	assert_int_equal(write_packet('w', PAYLOAD), 0);
	assert_int_equal(control->pending_send_sz, 0);
	assert_int_equal(vmbus_ring_publish(&writer), 1);
	assert_int_equal(control->write_index, 0);
}

static void expect_packet(uint32_t at, uint8_t byte, uint32_t len)
{
	struct vmpacket_descriptor desc;

	memcpy(&desc, memory.pages[1] + at, sizeof(desc));
	assert_int_equal(desc.len8 * 8u, sizeof(desc) + len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(memory.pages[1][at + sizeof(desc) + i], byte);
}

/* Small ones are gathered, large ones are not. */
static void packets_of_any_size_stay_in_order(void **state)
{
	(void)state;
	assert_int_equal(write_packet('a', 8), 0);
	assert_int_equal(write_packet('b', 2000), 0);
	assert_int_equal(write_packet('c', 16), 0);
	assert_int_equal(write_packet('d', 1200), 0);
	assert_int_equal(vmbus_ring_publish(&writer), 1);
	expect_packet(0, 'a', 8);
	expect_packet(32, 'b', 2000);
	expect_packet(32 + 2024, 'c', 16);
	expect_packet(32 + 2024 + 40, 'd', 1200);
	assert_int_equal(control->write_index, 32 + 2024 + 40 + 1224);
}

/* --- Reading */

/* Reads one of two packets while the guest waits for so many bytes: is it to be signalled? */
static bool signals(uint32_t pending)
{
	static uint64_t copy[VMBUS_PAGE_SIZE / 8];
	struct vmbus_ring_reader reader;
	const void *packet;

	setup(NULL);
	assert_int_equal(write_packet('1', PAYLOAD), 0);
	assert_int_equal(write_packet('2', PAYLOAD), 0);
	assert_int_equal(vmbus_ring_publish(&writer), 1);
	control->pending_send_sz = pending;
	assert_int_equal(vmbus_ring_reader_init(&reader, pages, 2, copy, sizeof(copy)), 0);
	assert_int_equal(vmbus_ring_read(&reader, &packet), PACKET - 8);
	return vmbus_ring_commit(&reader);
}

/* A step over the mark, from it, and onto it: clients differ on whether exactly as much is enough. */
static void a_guest_that_waits_hears_of_its_room(void **state)
{
	const uint32_t before = VMBUS_PAGE_SIZE - 2 * PACKET - 8, after = before + PACKET;

	(void)state;
	assert_true(signals(before + 8));
	assert_true(signals(after - 8));
	assert_true(signals(before));
	assert_true(signals(after));
	assert_false(signals(before - 8));
	assert_false(signals(after + 8));
	assert_false(signals(0));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(room_is_asked_for_until_there_is_some),
		TEST(room_is_found_that_comes_while_asking),
		TEST(packets_of_any_size_stay_in_order),
		TEST(a_guest_that_waits_hears_of_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "paravisor/tpm/guest_state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "paravisor/get.h"

/* The host's VMGS: get_vmgs_*() of a GET that there is none of. */
static struct {
	uint8_t *bytes;
	uint64_t capacity;
	uint32_t sector;
	int info_error, read_error;
	uint64_t last_offset;
	size_t last_len;
} host;

int get_vmgs_info(struct get *get, uint64_t *bytes, uint32_t *sector)
{
	(void)get;
	*bytes = host.capacity;
	*sector = host.sector;
	return host.info_error;
}

int get_vmgs_read(struct get *get, uint64_t offset, void *buf, size_t len)
{
	(void)get;
	assert_true(offset + len <= host.capacity);
	memcpy(buf, host.bytes + offset, len);
	return host.read_error;
}

void get_vmgs_write(struct get *get, uint64_t offset, const void *data, size_t len,
		    void (*done)(void *token, int error), void *token)
{
	(void)get;
	assert_true(offset % host.sector == 0 && len % host.sector == 0);
	memcpy(host.bytes + offset, data, len);
	host.last_offset = offset;
	host.last_len = len;
	done(token, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	host.capacity = 4 << 20;
	host.sector = 512;
	host.bytes = calloc(1, host.capacity);
	return host.bytes ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(host.bytes);
	return 0;
}

static int open_it(struct guest_state **gs, void **image, size_t *len)
{
	*gs = NULL;
	*image = NULL;
	return guest_state_open(gs, NULL, image, len);
}

static void expect_error(int error)
{
	struct guest_state *gs;
	void *image;
	size_t len;

	assert_int_equal(open_it(&gs, &image, &len), error);
	assert_null(gs);
	assert_null(image);
}

static void test_refused(void **state)
{
	(void)state;
	host.info_error = -ENODEV;
	expect_error(-ENODEV);
	host.info_error = 0;
	host.read_error = -EIO;
	expect_error(-EIO);
	host.read_error = 0;
	memcpy(host.bytes, "GUESTRTS", 8); /* a VMGS of Hyper-V's own format */
	expect_error(-EEXIST);
	memset(host.bytes, 0, 8);
	host.capacity = vtpm_state_size() - 1;
	expect_error(-EEXIST);
}

static void synced(void *token, int error)
{
	*(int *)token = error;
}

/* What is written is there at the next start; the host is asked for whole sectors. */
static void test_kept(void **state)
{
	struct guest_state *gs;
	struct vtpm_state *vtpm;
	void *image;
	size_t len;
	int result = 1;

	(void)state;
	assert_int_equal(open_it(&gs, &image, &len), 0);
	assert_int_equal(len, vtpm_state_size());
	free(image);
	vtpm = vtpm_state_create(&guest_state_backing, gs);
	assert_non_null(vtpm);
	assert_int_equal(vtpm_state_write(vtpm, 0, "ETVS", 4), 0);
	assert_int_equal(vtpm_state_write(vtpm, 1020, "abcdefgh", 8), 0);
	vtpm_state_sync(vtpm, synced, &result);
	assert_int_equal(result, 0);
	assert_int_equal(host.last_offset, 0);
	assert_int_equal(host.last_len, 3 * 512);
	assert_int_equal(vtpm_state_write(vtpm, 600, "x", 1), 0);
	vtpm_state_sync(vtpm, synced, &result);
	assert_int_equal(host.last_offset, 512);
	assert_int_equal(host.last_len, 512);
	vtpm_state_destroy(vtpm);
	free(gs);

	assert_int_equal(open_it(&gs, &image, &len), 0);
	assert_memory_equal((uint8_t *)image + 1020, "abcdefgh", 8);
	assert_int_equal(((uint8_t *)image)[600], 'x');
	free(image);
	free(gs);
}

/* --- a backing that takes its time */

static struct {
	void (*done)(void *token, int error);
	void *token;
	uint64_t offset;
	size_t len;
	unsigned int writes;
} slow;

static void slow_write(void *ctx, uint64_t offset, const void *data, size_t len,
		       void (*done)(void *token, int error), void *token)
{
	(void)ctx;
	(void)data;
	assert_null(slow.done); /* one at a time */
	slow.done = done;
	slow.token = token;
	slow.offset = offset;
	slow.len = len;
	slow.writes++;
}

static void answer(int error)
{
	void (*done)(void *, int) = slow.done;

	assert_non_null(done);
	slow.done = NULL;
	done(slow.token, error);
}

/* Who asks while an earlier one's write is under way has taken that one's place, and waits for its own. */
static void test_asked_again(void **state)
{
	static const struct vtpm_backing backing = { slow_write };
	struct vtpm_state *vtpm = vtpm_state_create(&backing, NULL);
	int first = 1, second = 1;

	(void)state;
	memset(&slow, 0, sizeof(slow));
	vtpm_state_write(vtpm, 100, "a", 1);
	vtpm_state_sync(vtpm, synced, &first);
	vtpm_state_write(vtpm, 200, "b", 1);
	vtpm_state_sync(vtpm, synced, &second);
	assert_int_equal(slow.writes, 1);
	answer(0);
	assert_int_equal(second, 1); /* b is not written yet */
	assert_int_equal(slow.writes, 2);
	assert_int_equal(slow.offset, 200);
	answer(0);
	assert_int_equal(second, 0);
	assert_int_equal(first, 1);
	vtpm_state_destroy(vtpm);
}

static void test_failed_write(void **state)
{
	static const struct vtpm_backing backing = { slow_write };
	struct vtpm_state *vtpm = vtpm_state_create(&backing, NULL);
	int result = 1;

	(void)state;
	memset(&slow, 0, sizeof(slow));
	vtpm_state_write(vtpm, 100, "a", 1);
	vtpm_state_sync(vtpm, synced, &result);
	answer(-EIO);
	assert_int_equal(result, -EIO);
	vtpm_state_write(vtpm, 300, "b", 1);
	vtpm_state_sync(vtpm, synced, &result);
	assert_int_equal(slow.offset, 100); /* what failed is still to be written */
	assert_int_equal(slow.len, 201);
	answer(0);
	assert_int_equal(result, 0);
	vtpm_state_destroy(vtpm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_failed_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

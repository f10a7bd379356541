// SPDX-License-Identifier: MIT
/* The two-slot store, with power lost after every possible number of bytes written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tpm/store.h"

#define BLOB_MAX 300

/* A disk that stops taking bytes when its budget is spent: that is where the power goes. */
struct disk {
	uint8_t bytes[3 * 8192];
	size_t budget;
	unsigned int syncs;
	int begun; /* how the sync that was begun goes */
};

static int disk_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct disk *d = ctx;

	assert_true(offset + len <= sizeof(d->bytes));
	memcpy(buf, d->bytes + offset, len);
	return 0;
}

static int disk_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct disk *d = ctx;
	size_t n = len < d->budget ? len : d->budget;

	assert_true(offset + len <= sizeof(d->bytes));
	memcpy(d->bytes + offset, buf, n);
	d->budget -= n;
	return n == len ? 0 : -EIO;
}

static int disk_sync(void *ctx)
{
	struct disk *d = ctx;

	d->syncs++;
	return 0;
}

static const struct store_device device = { .read = disk_read,
					    .write = disk_write,
					    .sync = disk_sync };

static int disk_sync_begin(void *ctx)
{
	struct disk *d = ctx;

	d->begun = -EBUSY;
	return 0;
}

static int disk_sync_result(void *ctx)
{
	struct disk *d = ctx;

	return d->begun;
}

static const struct store_device patient_device = {
	.read = disk_read,
	.write = disk_write,
	.sync = disk_sync,
	.sync_begin = disk_sync_begin,
	.sync_result = disk_sync_result,
};

static int counting_random(void *buf, size_t len)
{
	static uint8_t next;

	memset(buf, ++next, len);
	return 0;
}

static void open_with(struct store *s, const struct store_device *with, struct disk *d,
		      const uint8_t *key)
{
	assert_true(store_device_size(BLOB_MAX) <= sizeof(d->bytes));
	assert_int_equal(store_open(s, with, d, BLOB_MAX, key, counting_random), 0);
}

static void open_on(struct store *s, struct disk *d, const uint8_t *key)
{
	open_with(s, &device, d, key);
}

static void expect(struct disk *d, const uint8_t *key, long len, uint8_t fill)
{
	uint8_t buf[BLOB_MAX];
	struct store s;

	open_on(&s, d, key);
	assert_int_equal(store_load(&s, buf, sizeof(buf)), len);
	for (long i = 0; i < len; i++)
		assert_int_equal(buf[i], fill);
	store_close(&s);
}

static void save(struct store *s, uint8_t fill, size_t len)
{
	uint8_t buf[BLOB_MAX];

	memset(buf, fill, len);
	assert_int_equal(store_save(s, buf, len), 0);
}

static void power_loss(const uint8_t *key)
{
	struct disk *d = calloc(1, sizeof(*d)), *cut = calloc(1, sizeof(*d));
	uint8_t blob[BLOB_MAX];
	struct store s;
	size_t total;

	d->budget = SIZE_MAX;
	open_on(&s, d, key);
	save(&s, 1, 100);
	save(&s, 2, 200);
	store_close(&s);
	total = STORE_HEADER + 250;
	memset(blob, 3, 250);
	for (size_t n = 0; n <= total; n++) {
		uint8_t buf[BLOB_MAX];
		int err;

		*cut = *d;
		cut->budget = n;
		open_on(&s, cut, key);
		assert_int_equal(store_load(&s, buf, sizeof(buf)), 200);
		err = store_save(&s, blob, 250);
		store_close(&s);
		assert_int_equal(err, n < total ? -EIO : 0);
		/* The old one whole, or the new one whole; new only when every byte arrived. */
		cut->budget = SIZE_MAX;
		expect(cut, key, n < total ? 200 : 250, n < total ? 2 : 3);
		/* and the store goes on from there */
		open_on(&s, cut, key);
		store_load(&s, buf, sizeof(buf));
		save(&s, 4, 50);
		store_close(&s);
		expect(cut, key, 50, 4);
	}
	free(d);
	free(cut);
}

static void plain_survives_power_loss_at_every_byte(void **state)
{
	(void)state;
	power_loss(NULL);
}

static void sealed_survives_power_loss_at_every_byte(void **state)
{
	uint8_t key[STORE_KEY_SIZE] = { 5 };

	(void)state;
	power_loss(key);
}

static void a_first_save_cut_short_leaves_an_empty_store(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	uint8_t buf[BLOB_MAX];
	struct store s;

	(void)state;
	d->budget = STORE_HEADER + 3;
	memset(buf, 1, sizeof(buf));
	open_on(&s, d, NULL);
	assert_int_equal(store_load(&s, buf, sizeof(buf)), 0);
	assert_int_equal(store_save(&s, buf, 100), -EIO);
	store_close(&s);
	open_on(&s, d, NULL);
	assert_int_equal(store_load(&s, buf, sizeof(buf)), 0);
	store_close(&s);
	free(d);
}

static void damage_and_wrong_keys_are_told_apart(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	uint8_t key[STORE_KEY_SIZE] = { 5 }, other[STORE_KEY_SIZE] = { 6 }, buf[BLOB_MAX];
	struct store s;

	(void)state;
	d->budget = SIZE_MAX;
	open_on(&s, d, key);
	save(&s, 1, 100);
	save(&s, 2, 100);
	assert_int_equal(d->syncs, 2);
	store_close(&s);
	expect(d, key, 100, 2);
	expect(d, other, -EACCES, 0);
	expect(d, NULL, -EACCES, 0);
	/* a plain state must not pass where a sealed one is asked for */
	memset(d->bytes, 0, sizeof(d->bytes));
	open_on(&s, d, NULL);
	save(&s, 1, 10);
	store_close(&s);
	expect(d, key, -EACCES, 0);
	open_on(&s, d, NULL);
	store_load(&s, buf, sizeof(buf));
	save(&s, 2, 10);
	store_close(&s);
	for (size_t i = 0; i < sizeof(d->bytes); i++)
		d->bytes[i] ^= 0x10;
	expect(d, NULL, -EBADMSG, 0);
	free(d);
}

static int save_soon(struct store *s, uint8_t fill, size_t len)
{
	uint8_t buf[BLOB_MAX];

	memset(buf, fill, len);
	return store_save_soon(s, buf, len);
}

/* Whatever is written while a save is under way, and wherever the power goes, the last durable blob or a later one is there. */
static void a_save_under_way_endangers_nothing(void **state)
{
	struct disk *d = calloc(1, sizeof(*d)), *cut = calloc(1, sizeof(*d));
	uint8_t buf[BLOB_MAX];
	struct store s;

	(void)state;
	d->budget = SIZE_MAX;
	open_on(&s, d, NULL);
	save(&s, 1, 100);
	save(&s, 2, 100);
	store_close(&s);
	for (size_t n = 0; n <= 3 * (STORE_HEADER + 100); n++) {
		*cut = *d;
		cut->budget = n;
		open_with(&s, &patient_device, cut, NULL);
		assert_int_equal(store_load(&s, buf, sizeof(buf)), 100);
		if (!save_soon(&s, 3, 100)) {
			/* not durable yet: it has its slot for itself */
			assert_int_equal(save_soon(&s, 4, 100), -EBUSY);
			memset(buf, 4, 100);
			(void)store_save(&s, buf, 100);
			(void)save_soon(&s, 5, 100);
		}
		store_close(&s);
		cut->budget = SIZE_MAX;
		open_on(&s, cut, NULL);
		assert_int_equal(store_load(&s, buf, sizeof(buf)), 100);
		/* 4 was said to be durable when all of it had come */
		assert_in_range(buf[0], n < 2 * (STORE_HEADER + 100) ? 2 : 4, 5);
		store_close(&s);
	}
	free(d);
	free(cut);
}

static void saves_take_turns_once_durable(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	struct store s;

	(void)state;
	d->budget = SIZE_MAX;
	open_with(&s, &patient_device, d, NULL);
	save(&s, 1, 100);
	for (uint8_t i = 2; i < 6; i++) {
		assert_int_equal(save_soon(&s, i, 100), 0);
		expect(d, NULL, 100, i);
		d->begun = 0;
	}
	assert_int_equal(d->syncs, 1);
	/* One that fails says so to the next, and has not taken the place of the last good one. */
	d->begun = -EIO;
	assert_int_equal(save_soon(&s, 6, 100), -EIO);
	save(&s, 7, 100);
	expect(d, NULL, 100, 7);
	store_close(&s);
	/* a device that can only wait */
	open_on(&s, d, NULL);
	assert_int_equal(store_load(&s, (uint8_t[BLOB_MAX]){ 0 }, BLOB_MAX), 100);
	assert_int_equal(save_soon(&s, 8, 100), 0);
	assert_int_equal(d->syncs, 3);
	expect(d, NULL, 100, 8);
	store_close(&s);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_survives_power_loss_at_every_byte),
		cmocka_unit_test(sealed_survives_power_loss_at_every_byte),
		cmocka_unit_test(a_first_save_cut_short_leaves_an_empty_store),
		cmocka_unit_test(damage_and_wrong_keys_are_told_apart),
		cmocka_unit_test(a_save_under_way_endangers_nothing),
		cmocka_unit_test(saves_take_turns_once_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

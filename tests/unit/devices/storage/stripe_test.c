#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/disk.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "devices/storage/file_disk.h"
#include "devices/storage/stripe.h"

/*
 * Random requests over stripes of every shape, against a model of what a disk holds: the bytes. The
 * members are files, which fail on demand.
 */

#define MEMBERS_MAX 5
#define RAM_SIZE    (1u << 20)
#define MODEL_MAX   (256u << 10)

struct world {
	struct event_loop *loop;
	struct guest_memory *memory;
	uint8_t *ram;
	struct file_disk *files[MEMBERS_MAX];
	struct disk *members[MEMBERS_MAX];
	int fds[MEMBERS_MAX];
	unsigned int member_count;
	uint32_t sector_size;
	struct stripe *stripe;
	struct disk *disk;
	struct disk_info info;
	uint8_t *model;
	unsigned int seed;
};

static struct world w;

static unsigned int pick(unsigned int n)
{
	return (unsigned int)rand_r(&w.seed) % n;
}

/* Of members of `sectors`, each a few longer than the one before. */
static void build(unsigned int members, uint32_t sector_size, uint64_t sectors, uint32_t chunk)
{
	struct stripe_config config = { .members = w.members,
					.member_count = members,
					.chunk_size = chunk,
					.id = "a stripe",
					.serial = "S1" };

	w.member_count = members;
	w.sector_size = sector_size;
	for (unsigned int m = 0; m < members; m++) {
		struct file_disk_config file = { .memory = w.memory,
						 .sector_size = sector_size,
						 .physical_sector_size = sector_size };

		w.fds[m] = file.fd = memfd_create("member", 0);
		assert_true(file.fd >= 0);
		assert_int_equal(ftruncate(file.fd, (off_t)((sectors + m) * sector_size)), 0);
		w.files[m] = file_disk_create(&file);
		assert_non_null(w.files[m]);
		w.members[m] = file_disk_disk(w.files[m]);
	}
	assert_int_equal(stripe_create(&config, &w.stripe), 0);
	w.disk = stripe_disk(w.stripe);
	w.disk->ops->get_info(w.disk, &w.info);
	assert_true(w.info.sectors * sector_size <= MODEL_MAX);
	memset(w.model, 0, MODEL_MAX);
}

static void tear_down(void)
{
	stripe_destroy(w.stripe);
	for (unsigned int m = 0; m < w.member_count; m++) {
		file_disk_destroy(w.files[m]);
		close(w.fds[m]);
	}
}

static int result;
static unsigned int answers;

static void done(struct disk_request *request, int err)
{
	(void)request;
	result = err;
	answers++;
}

static int execute(struct disk_request *request)
{
	answers = 0;
	request->done = done;
	w.disk->ops->submit(w.disk, w.loop, request);
	for (unsigned int i = 0; i < 16 && !answers; i++)
		event_loop_run_once(w.loop, 1000);
	assert_int_equal(answers, 1);
	/* No second answer, nor one to what is freed. */
	while (event_loop_run_once(w.loop, 0) > 0)
		;
	assert_int_equal(answers, 1);
	return result;
}

/* Cuts `len` bytes into pieces at random places of RAM, which do not overlap. */
static unsigned int scatter(struct disk_segment *segments, uint64_t len)
{
	uint64_t gpa = 0;
	unsigned int count = 0;

	while (len) {
		uint64_t piece = 1 + pick(9000);

		if (piece > len || count == 63)
			piece = len;
		gpa += pick(300);
		segments[count++] = (struct disk_segment){ gpa, piece };
		gpa += piece;
		len -= piece;
		if (!pick(4) && count < 63)
			segments[count++] = (struct disk_segment){ gpa, 0 };
	}
	return count;
}

static void gather(const struct disk_segment *segments, unsigned int count, uint8_t *flat, bool out)
{
	for (unsigned int i = 0; i < count; i++) {
		if (out)
			memcpy(w.ram + segments[i].gpa, flat, segments[i].len);
		else
			memcpy(flat, w.ram + segments[i].gpa, segments[i].len);
		flat += segments[i].len;
	}
}

static void transfer(uint64_t sector, uint64_t count, bool write)
{
	static uint8_t flat[MODEL_MAX];
	struct disk_segment segments[64];
	uint64_t len = count * w.sector_size;
	struct disk_request request = { .operation = write ? DISK_WRITE : DISK_READ,
					.fua = pick(2),
					.sector = sector,
					.count = count,
					.segments = segments };
	uint8_t *model = w.model + sector * w.sector_size;

	request.segment_count = scatter(segments, len);
	memset(w.ram, 0xEE, RAM_SIZE);
	if (write) {
		for (uint64_t i = 0; i < len; i++)
			flat[i] = (uint8_t)pick(256);
		memcpy(model, flat, len);
		gather(segments, request.segment_count, flat, true);
	}
	assert_int_equal(execute(&request), 0);
	if (!write) {
		gather(segments, request.segment_count, flat, false);
		assert_memory_equal(flat, model, len);
	}
}

/* What is there, then with a byte of it changed. */
static void compare(uint64_t sector, uint64_t count)
{
	struct disk_segment segments[64];
	uint64_t len = count * w.sector_size;
	struct disk_request request = {
		.operation = DISK_COMPARE, .sector = sector, .count = count, .segments = segments
	};
	uint8_t *model = w.model + sector * w.sector_size;
	uint64_t wrong;

	request.segment_count = scatter(segments, len);
	gather(segments, request.segment_count, model, true);
	assert_int_equal(execute(&request), 0);
	if (!len)
		return;
	wrong = pick((unsigned int)len);
	model[wrong] ^= 1;
	gather(segments, request.segment_count, model, true);
	model[wrong] ^= 1;
	assert_int_equal(execute(&request), -EILSEQ);
	request.operation = DISK_VERIFY;
	request.segment_count = 0;
	assert_int_equal(execute(&request), 0);
}

static void zero(uint64_t sector, uint64_t count)
{
	struct disk_request request = { .operation = pick(2) ? DISK_UNMAP : DISK_WRITE_ZEROES,
					.sector = sector,
					.count = count };

	memset(w.model + sector * w.sector_size, 0, count * w.sector_size);
	assert_int_equal(execute(&request), 0);
}

static void agree(unsigned int rounds)
{
	struct disk_request flush = { .operation = DISK_FLUSH };

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t sector = pick((unsigned int)w.info.sectors);
		uint64_t count = pick((unsigned int)(w.info.sectors - sector) + 1);

		if (pick(2))
			count = count > 4 ? 4 : count;
		switch (pick(5)) {
		case 0:
			zero(sector, count);
			break;
		case 1:
			transfer(sector, count, false);
			break;
		case 2:
			compare(sector, count);
			break;
		default:
			transfer(sector, count, true);
		}
	}
	assert_int_equal(execute(&flush), 0);
	transfer(0, w.info.sectors, false);
}

static void random_requests_agree_with_the_model(void **state)
{
	static const uint32_t sizes[] = { 512, 4096 };

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		uint32_t sector = sizes[i % 2];
		unsigned int members = 1 + i % MEMBERS_MAX;
		uint64_t sectors = 3 + pick(MODEL_MAX / sector / MEMBERS_MAX - 8);
		uint32_t chunk = (1 + pick((unsigned int)sectors)) * sector;

		build(members, sector, sectors, chunk);
		if (w.info.sectors)
			agree(40);
		tear_down();
	}
}

static void chunks_lie_in_turn(void **state)
{
	uint8_t sector[512], found[512];

	(void)state;
	build(3, 512, 20, 4 * 512);
	assert_int_equal(w.info.sectors, 3 * 20);
	/* Sector 29 of the stripe: chunk 7 is the third of member 1, and 29 the second in it. */
	memset(sector, 0x5A, sizeof(sector));
	memcpy(w.ram, sector, sizeof(sector));
	struct disk_segment segment = { 0, 512 };
	struct disk_request request = { .operation = DISK_WRITE,
					.sector = 29,
					.count = 1,
					.segments = &segment,
					.segment_count = 1 };
	assert_int_equal(execute(&request), 0);
	assert_int_equal(pread(w.fds[1], found, 512, 9 * 512), 512);
	assert_memory_equal(found, sector, 512);
	tear_down();
}

static void what_no_chunk_fills_is_not_used(void **state)
{
	(void)state;
	build(4, 512, 21, 4 * 512);
	assert_int_equal(w.info.sectors, 4 * 20);
	assert_string_equal((char *)w.info.id, "a stripe");
	assert_string_equal(w.info.serial, "S1");
	tear_down();
}

static void an_error_of_any_member_is_the_requests(void **state)
{
	struct disk_segment segment = { 0, 16 * 512 };
	struct disk_request request = {
		.operation = DISK_WRITE, .count = 16, .segments = &segment, .segment_count = 1
	};
	struct disk_request flush = { .operation = DISK_FLUSH };

	(void)state;
	build(3, 512, 40, 4 * 512);
	file_disk_inject(w.files[2], -ENOSPC);
	assert_int_equal(execute(&request), -ENOSPC);
	file_disk_inject(w.files[1], -EIO);
	assert_int_equal(execute(&request), -EIO);
	file_disk_inject(w.files[1], 0);
	assert_int_equal(execute(&flush), -ENOSPC);
	/* What does not touch the member does not fail. */
	segment.len = 8 * 512;
	request.count = 8;
	assert_int_equal(execute(&request), 0);
	file_disk_inject(w.files[2], 0);
	tear_down();
}

struct counting_watcher {
	struct disk_watcher watcher;
	unsigned int count;
};

static void count_change(struct disk_watcher *watcher)
{
	((struct counting_watcher *)watcher)->count++;
}

static void members_changes_are_the_stripes(void **state)
{
	struct counting_watcher watcher = { .watcher.changed = count_change };

	(void)state;
	build(2, 512, 40, 4 * 512);
	disk_watch(w.disk, &watcher.watcher);
	assert_int_equal(ftruncate(w.fds[0], 80 * 512), 0);
	assert_int_equal(file_disk_resized(w.files[0]), 0);
	assert_int_equal(watcher.count, 1);
	w.disk->ops->get_info(w.disk, &w.info);
	assert_int_equal(w.info.sectors, 80); /* the other still has 41 */
	disk_unwatch(w.disk, &watcher.watcher);
	tear_down();
}

static void what_does_not_fit_is_refused(void **state)
{
	struct stripe_config config = { .members = w.members,
					.member_count = 2,
					.chunk_size = 700 };
	struct stripe *stripe;

	(void)state;
	build(2, 512, 40, 4 * 512);
	assert_int_equal(stripe_create(&config, &stripe), -EINVAL);
	config.chunk_size = 0;
	assert_int_equal(stripe_create(&config, &stripe), -EINVAL);
	config.chunk_size = 1024;
	config.member_count = 0;
	assert_int_equal(stripe_create(&config, &stripe), -EINVAL);
	config.member_count = STRIPE_MEMBERS_MAX + 1;
	assert_int_equal(stripe_create(&config, &stripe), -EINVAL);
	tear_down();
}

static int setup(void **state)
{
	(void)state;
	w.seed = 1;
	w.loop = event_loop_create();
	w.memory = guest_memory_create();
	w.model = malloc(MODEL_MAX);
	w.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return guest_memory_add(w.memory, 0, w.ram, RAM_SIZE);
}

static int teardown(void **state)
{
	(void)state;
	event_loop_destroy(w.loop);
	guest_memory_destroy(w.memory);
	munmap(w.ram, RAM_SIZE);
	free(w.model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_requests_agree_with_the_model),
		cmocka_unit_test(chunks_lie_in_turn),
		cmocka_unit_test(what_no_chunk_fills_is_not_used),
		cmocka_unit_test(an_error_of_any_member_is_the_requests),
		cmocka_unit_test(members_changes_are_the_stripes),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

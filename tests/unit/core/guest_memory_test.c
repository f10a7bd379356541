#include "core/guest_access.h"
#include "core/guest_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PAGE  0x1000ul
#define PAGES 4

/* RAM at 0 (4 pages), adjacent at 0x4000 (4 pages, elsewhere on the host) and at 4 GiB (1 page). */
struct fixture {
	struct guest_memory *gm;
	uint8_t *low, *next, *high;
};

static uint8_t *map(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->gm = guest_memory_create();
	f->low = map(PAGES);
	f->next = map(PAGES);
	f->high = map(1);
	assert_int_equal(guest_memory_add(f->gm, 0x100000000, f->high, PAGE), 0);
	assert_int_equal(guest_memory_add(f->gm, 0, f->low, PAGES * PAGE), 0);
	assert_int_equal(guest_memory_add(f->gm, PAGES * PAGE, f->next, PAGES * PAGE), 0);
	*state = f;
	return 0;
}

/* cmocka takes SIGSEGV for itself around each test, so ours goes on top inside it. */
static void install(void)
{
	assert_int_equal(guest_memory_install_fault_handler(), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_memory_destroy(f->gm);
	munmap(f->low, PAGES * PAGE);
	munmap(f->next, PAGES * PAGE);
	munmap(f->high, PAGE);
	free(f);
	return 0;
}

static void test_add_rejects(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_memory_add(f->gm, 0x1000, f->high, PAGE), -EEXIST);
	assert_int_equal(guest_memory_add(f->gm, 0x7000, f->high, 2 * PAGE), -EEXIST);
	assert_int_equal(guest_memory_add(f->gm, 0x10001, f->high, PAGE), -EINVAL);
	assert_int_equal(guest_memory_add(f->gm, 0x10000, f->high + 1, PAGE), -EINVAL);
	assert_int_equal(guest_memory_add(f->gm, 0x10000, f->high, 0), -EINVAL);
	assert_int_equal(guest_memory_add(f->gm, -PAGE, f->high, 2 * PAGE), -EINVAL);
	assert_int_equal(guest_memory_add(f->gm, 0x10000, NULL, PAGE), -EINVAL);

	guest_memory_destroy(f->gm);
	f->gm = guest_memory_create();
	assert_int_equal(guest_memory_add(f->gm, PAGE, f->high, PAGE), 0);
	assert_int_equal(guest_memory_add(f->gm, PAGE, f->low, PAGE), -EEXIST);
	assert_int_equal(guest_memory_add(f->gm, 0, f->low, 2 * PAGE), -EEXIST);
	assert_int_equal(guest_memory_add(f->gm, 0, f->low, PAGE), 0);
}

static void test_read_write(void **state)
{
	struct fixture *f = *state;
	char buf[16] = "";

	assert_int_equal(guest_memory_write(f->gm, 0x3ffa, "hello world", 11), 0);
	assert_memory_equal(f->low + 0x3ffa, "hello ", 6);
	assert_memory_equal(f->next, "world", 5);
	assert_int_equal(guest_memory_read(f->gm, 0x3ffa, buf, 11), 0);
	assert_string_equal(buf, "hello world");
	assert_int_equal(guest_memory_fill(f->gm, 0x3fff, 0xee, 2), 0);
	assert_int_equal(f->low[0x3fff], 0xee);
	assert_int_equal(f->next[0], 0xee);
	assert_int_equal(f->next[1], 'o');
	assert_int_equal(guest_memory_read(f->gm, 0x123456789, buf, 0), 0);
}

/* Each single-instruction size, and nothing beyond it. */
static void test_sizes(void **state)
{
	struct fixture *f = *state;
	const uint8_t pattern[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	for (size_t size = 1; size <= 8; size++) {
		uint8_t out[9] = { 0 };

		memset(f->low, 0, 16);
		assert_int_equal(guest_memory_write(f->gm, 3, pattern, size), 0);
		assert_memory_equal(f->low + 3, pattern, size);
		assert_int_equal(f->low[3 + size], 0);
		assert_int_equal(guest_memory_read(f->gm, 3, out, size), 0);
		assert_memory_equal(out, pattern, size);
		assert_int_equal(out[size], 0);
	}
}

static void test_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[0x2000];

	memset(buf, 0x77, sizeof(buf));
	assert_int_equal(guest_memory_write(f->gm, 0x7fff, buf, 2), -EFAULT);
	assert_int_equal(f->next[0x3fff], 0);
	assert_int_equal(guest_memory_fill(f->gm, 0x7fff, 1, 2), -EFAULT);
	assert_int_equal(guest_memory_read(f->gm, 0x8000, buf, 1), -EFAULT);
	assert_int_equal(guest_memory_read(f->gm, UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(guest_memory_read(f->gm, 0xfffffffff000, buf, 0x2000), -EFAULT);
	assert_int_equal(guest_memory_write(f->gm, 0x100000ffc, buf, 8), -EFAULT);
	assert_int_equal(f->high[0xffc], 0);
}

static void test_contains_and_bulk(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa, len;

	assert_true(guest_memory_contains(f->gm, 0, 0x8000));
	assert_false(guest_memory_contains(f->gm, 0, 0x8001));
	assert_false(guest_memory_contains(f->gm, 1, UINT64_MAX));
	assert_false(guest_memory_contains(f->gm, 2, UINT64_MAX));
	assert_ptr_equal(guest_memory_bulk(f->gm, 0x4010, 0x3ff0), f->next + 0x10);
	assert_null(guest_memory_bulk(f->gm, 0x3fff, 2));
	assert_null(guest_memory_bulk(f->gm, UINT64_MAX, 2));
	assert_null(guest_memory_bulk(f->gm, 0x8000, 1));
	assert_int_equal(guest_memory_range(f->gm, 1, &gpa, &len), 0);
	assert_int_equal(gpa, 0x4000);
	assert_int_equal(len, 0x4000);
	assert_int_equal(guest_memory_range(f->gm, 2, &gpa, &len), 0);
	assert_true(gpa == 0x100000000);
	assert_int_equal(guest_memory_range(f->gm, 3, &gpa, &len), -ENOENT);
}

static void test_cmpxchg(void **state)
{
	struct fixture *f = *state;

	for (unsigned int size = 1; size <= 8; size *= 2) {
		uint64_t expected = 0x1122334455667788, desired = 0x99aabbccddeeff00;
		uint64_t mask = size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;

		memset(f->low, 0xaa, 16);
		assert_int_equal(guest_memory_cmpxchg(f->gm, 8, &expected, desired, size), -EAGAIN);
		assert_true(expected == (0xaaaaaaaaaaaaaaaa & mask));
		assert_int_equal(guest_memory_cmpxchg(f->gm, 8, &expected, desired, size), 0);
		assert_true(expected == (0xaaaaaaaaaaaaaaaa & mask));
		assert_memory_equal(f->low + 8, &desired, size);
		assert_true(size == 8 || f->low[8 + size] == 0xaa);
	}
}

static void test_cmpxchg_rejects(void **state)
{
	struct fixture *f = *state;
	uint64_t expected = 0;

	assert_int_equal(guest_memory_cmpxchg(f->gm, 0, &expected, 1, 3), -EINVAL);
	assert_int_equal(guest_memory_cmpxchg(f->gm, 0, &expected, 1, 0), -EINVAL);
	assert_int_equal(guest_memory_cmpxchg(f->gm, 2, &expected, 1, 4), -EINVAL);
	assert_int_equal(guest_memory_cmpxchg(f->gm, 0x8000, &expected, 1, 4), -EFAULT);
}

static void test_access_cmpxchg_rejects(void **state)
{
	uint64_t buf[2] = { 0 }, expected = 0;

	(void)state;
	for (unsigned int size = 2; size <= 8; size *= 2)
		assert_int_equal(guest_access_cmpxchg((char *)buf + 1, &expected, 1, size),
				 -EINVAL);
	assert_int_equal(guest_access_cmpxchg(buf, &expected, 1, 16), -EINVAL);
	assert_int_equal(buf[0] | buf[1], 0);
}

static void test_protected_page(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[0x2000];
	uint64_t expected = 0;

	install();
	memset(buf, 1, sizeof(buf));
	mprotect(f->low + PAGE, PAGE, PROT_NONE);
	for (size_t size = 1; size <= 16; size++) {
		assert_int_equal(guest_memory_read(f->gm, PAGE + 8, buf, size), -EFAULT);
		assert_int_equal(guest_memory_write(f->gm, PAGE + 8, buf, size), -EFAULT);
	}
	/* Into the page from before it, in the middle of a copy. */
	assert_int_equal(guest_memory_read(f->gm, 0x800, buf, 0x1000), -EFAULT);
	assert_int_equal(guest_memory_fill(f->gm, 0x800, 0, 0x1000), -EFAULT);
	for (unsigned int size = 1; size <= 8; size *= 2)
		assert_int_equal(guest_memory_cmpxchg(f->gm, PAGE, &expected, 1, size), -EFAULT);

	mprotect(f->low + PAGE, PAGE, PROT_READ);
	assert_int_equal(guest_memory_read(f->gm, PAGE, buf, 100), 0);
	assert_int_equal(guest_memory_write(f->gm, PAGE, buf, 1), -EFAULT);
	expected = 0;
	assert_int_equal(guest_memory_cmpxchg(f->gm, PAGE, &expected, 1, 8), -EFAULT);

	mprotect(f->low + PAGE, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(guest_memory_write(f->gm, PAGE, buf, 1), 0);
}

/* Beyond the end of a file, a mapping gives SIGBUS. */
static void test_bus_error(void **state)
{
	char name[] = "/tmp/guest_memory_test.XXXXXX";
	struct fixture *f = *state;
	int fd = mkstemp(name);
	uint8_t byte;
	void *p;

	install();
	assert_true(fd >= 0);
	unlink(name);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(guest_memory_add(f->gm, 0x200000000, p, PAGE), 0);
	assert_int_equal(guest_memory_read(f->gm, 0x200000000, &byte, 1), -EFAULT);
	munmap(p, PAGE);
	close(fd);
}

/* A fault that is not ours must still end the process. */
static void test_other_faults_still_kill(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	install();
	mprotect(f->low, PAGE, PROT_NONE);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO);
		*(volatile uint8_t *)f->low = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		raise(SIGSEGV);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mprotect(f->low, PAGE, PROT_READ | PROT_WRITE);
}

/* Short copies go word by word, long ones as strings: all lengths around both, at any alignment. */
static void test_every_length(void **state)
{
	struct fixture *f = *state;
	uint8_t from[2400], to[2400];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (size_t len = 0; len < 2300; len = len == 300 ? 2000 : len + 1) {
		size_t at = 64 + len % 9, skip = len % 5;

		memset(f->low, 0xAA, 2500);
		memset(to, 0x55, sizeof(to));
		assert_int_equal(guest_memory_write(f->gm, at, from + skip, len), 0);
		assert_memory_equal(f->low + at, from + skip, len);
		assert_int_equal(f->low[at - 1], 0xAA);
		assert_int_equal(f->low[at + len], 0xAA);
		assert_int_equal(guest_memory_read(f->gm, at, to + skip, len), 0);
		assert_memory_equal(to + skip, from + skip, len);
		assert_int_equal(to[skip + len], 0x55);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_rejects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contains_and_bulk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmpxchg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmpxchg_rejects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_cmpxchg_rejects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protected_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_faults_still_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The NVMe driver with its loops on threads, random requests on both namespaces, and a controller
 * that misbehaves in every way at random times; for the thread sanitizer (make tsan) and for what only
 * happens when many things do at once. No data may be wrong, no request without an answer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/log.h"
#include "tests/unit/devices/storage/disk_suite.h"
#include "tests/unit/devices/storage/nvme_rig.h"

#define ROUNDS   4u
#define REQUESTS 100u

static struct rig rig;

static const char *const faults[] = {
	"interrupt,count=2",
	"status,status=0x4281,count=3",
	"status,status=0x006,count=4",
	"fatal,count=1",
	"stall,count=1",
	"stall,queue=admin,opcode=8,count=1",
	"bogus,count=1",
	"duplicate,count=1",
	"delay,ms=20,count=10",
};

/* The workers of one suite are those of RIG_LOOPS / 2 loops; each breaks something now and then. */
static void break_something(void *ctx, unsigned int worker, unsigned int done)
{
	unsigned int *seed = ctx;

	if (done % 50 != 25)
		return;
	if (done % 200 == 175)
		nvme_emu_clear_faults(rig.emu);
	/* No room for more faults is no failure. */
	rig_fault(
		&rig,
		faults[(unsigned int)rand_r(&seed[worker]) % (sizeof(faults) / sizeof(faults[0]))]);
}

static void run(unsigned int round, uint32_t nsid, bool broken)
{
	unsigned int seeds[RIG_LOOPS];
	struct disk *disk = nvme_namespace_disk(rig.nvme, nsid);
	struct disk_info info;
	struct disk_suite_result result;
	struct disk_suite_config config = { .disk = disk,
					    .ram = rig.ram,
					    .ram_len = RIG_RAM_SIZE,
					    .workers = RIG_LOOPS - 1,
					    .loops = rig.loops,
					    .depth = 12,
					    .requests = REQUESTS,
					    .errors_allowed = broken,
					    .seed = round * 10 + nsid };

	for (unsigned int i = 0; i < RIG_LOOPS; i++)
		seeds[i] = round * 100 + i + 1;
	if (broken) {
		config.progress = break_something;
		config.ctx = seeds;
	}
	disk->ops->get_info(disk, &info);
	config.max_sectors = (300u << 10) / info.sector_size;
	if (!disk_suite_run(&config, &result))
		fail_msg("round %u, namespace %u: %s", round, nsid, result.why);
}

static void start(unsigned int round)
{
	assert_int_equal(rig_init(&rig), 0);
	rig.config.max_queues = round % 3 == 2 ? 2 : 0;
	rig.emu_config.no_shadow_doorbells = round % 2;
}

static void stop(void)
{
	assert_int_equal(rig_stop(&rig), 0);
	rig_fini(&rig);
}

/* What is not answered is given up soon: a machine at load may then see errors, which are allowed. */
static void with_faults_nothing_is_wrong(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		start(round);
		rig.config.io_timeout_ms = 300;
		rig.config.admin_timeout_ms = 600;
		assert_int_equal(rig_start(&rig), 0);
		run(round, 1, true);
		run(round, 2, true);
		stop();
	}
}

/* Without faults there is no error, however long it takes. */
static void nothing_is_lost_or_wrong(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		start(round);
		assert_int_equal(rig_start(&rig), 0);
		run(round, 1, false);
		run(round, 2, false);
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_faults_nothing_is_wrong),
		cmocka_unit_test(nothing_is_lost_or_wrong),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "host/msr.h"
#include "host/vp.h"
#include "tests/unit/host/fake_partition.h"

#define ENABLE      1u
#define PERIODIC    2u
#define AUTO_ENABLE 8u
#define DIRECT      (0x1000u | 0xec0u)
#define MESSAGE     (2u << 16)
#define VECTOR      0xec

#define CONFIG(n)  (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define COUNT(n)   (HV_X64_MSR_STIMER0_COUNT + 2 * (n))
#define ALL_TIMERS 0xfu

#define SIMP 0x20000
#define PAST 1u /* a reference time that is over */

static struct partition *partition;
static struct vcpu *vcpu, *other;
static struct options options;

static void create(int refuses, uint64_t skew)
{
	struct sigevent nothing = { .sigev_notify = SIGEV_NONE };
	unsigned int i;

	partition = fake_partition_create(2);
	partition->options = &options;
	fake_kvm.refuses = refuses;
	fake_kvm.skew = skew;
	for (i = 0; i < 2; i++)
		assert_int_equal(timer_create(CLOCK_MONOTONIC, &nothing, &partition->vps[i].timer),
				 0);
	stimer_kvm_init(partition);
	vcpu = &partition->vps[0].vcpu[HOST_VTL0];
	other = &partition->vps[1].vcpu[HOST_VTL0];
}

static int setup(void **state)
{
	(void)state;
	create(0, 0);
	return 0;
}

static int setup_refused(void **state)
{
	(void)state;
	create(-EINVAL, 0);
	return 0;
}

static int setup_skewed(void **state)
{
	(void)state;
	create(0, 1000000000);
	return 0;
}

static int setup_late(void **state)
{
	(void)state;
	create(0, 0);
	partition->time.tsc_offset += 1u << 30; /* KVM's is */
	return 0;
}

static int setup_unwanted(void **state)
{
	(void)state;
	options.own_timers = true;
	create(0, 0);
	options.own_timers = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	timer_delete(partition->vps[0].timer);
	timer_delete(partition->vps[1].timer);
	stimer_kvm_destroy(partition);
	fake_partition_destroy(partition);
	return 0;
}

static void write_msr(struct vcpu *to, uint32_t msr, uint64_t value)
{
	assert_int_equal(msr_write_synthetic(to, msr, value), 0);
}

static uint64_t read_msr(struct vcpu *from, uint32_t msr)
{
	uint64_t value = ~0ull;

	assert_int_equal(msr_read_synthetic(from, msr, &value), 0);
	return value;
}

/* The guest's WRMSR: to KVM, whose auto-enable it is, or an exit. */
static void guest_writes_count(struct vcpu *to, unsigned int index, uint64_t value)
{
	uint64_t *msrs = fake_kvm.stimers[to->vp->index] + 2 * index;

	if (!(fake_kvm.without_exits >> index & 1)) {
		write_msr(to, COUNT(index), value);
		return;
	}
	msrs[1] = value;
	if (value && (msrs[0] & AUTO_ENABLE))
		msrs[0] |= ENABLE;
}

static unsigned int expire(struct vcpu *of)
{
	unsigned int before = fake_interrupts.count;

	stimer_service(of->vp);
	return fake_interrupts.count - before;
}

static void direct_mode_is_kvms(void **state)
{
	(void)state;
	assert_int_equal(fake_kvm.without_exits, 0);
	write_msr(vcpu, CONFIG(0), DIRECT | AUTO_ENABLE | ENABLE);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS);
	assert_int_equal(fake_kvm.stimers[0][0], DIRECT | AUTO_ENABLE | ENABLE);
	guest_writes_count(vcpu, 0, PAST);
	assert_int_equal(read_msr(vcpu, COUNT(0)), PAST);
	assert_int_equal(expire(vcpu), 0);
	/* What KVM does when the timer expires is seen. */
	fake_kvm.stimers[0][0] &= ~(uint64_t)ENABLE;
	assert_int_equal(read_msr(vcpu, CONFIG(0)), DIRECT | AUTO_ENABLE);
	assert_int_equal(fake_kvm.stimers[1][0], 0);
}

/* Registers that VTL2 writes, too, for which KVM does not do what a WRMSR does. */
static void count_enables_in_kvm(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(1), DIRECT | AUTO_ENABLE);
	write_msr(vcpu, COUNT(1), 77);
	assert_int_equal(fake_kvm.stimers[0][2], DIRECT | AUTO_ENABLE | ENABLE);
	assert_int_equal(fake_kvm.stimers[0][3], 77);
	write_msr(vcpu, COUNT(1), 0);
	assert_int_equal(fake_kvm.stimers[0][2], DIRECT | AUTO_ENABLE);
	write_msr(vcpu, CONFIG(1), DIRECT);
	write_msr(vcpu, COUNT(1), 78);
	assert_int_equal(fake_kvm.stimers[0][2], DIRECT);
}

static void message_mode_is_ours(void **state)
{
	const struct hv_message *slot;

	(void)state;
	slot = (struct hv_message *)(partition->memory.view[HOST_VIEW_VTL0] + SIMP) + 2;
	synic_write_msr(vcpu, HV_X64_MSR_SCONTROL, 1);
	synic_write_msr(vcpu, HV_X64_MSR_SIMP, SIMP | 1);
	synic_write_msr(vcpu, HV_X64_MSR_SINT0 + 2, 0x71);
	write_msr(vcpu, CONFIG(3), MESSAGE | AUTO_ENABLE);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~8u);
	guest_writes_count(vcpu, 3, PAST);
	assert_int_equal(expire(vcpu), 1);
	assert_int_equal(fake_interrupts.vector, 0x71);
	assert_int_equal(slot->header.message_type, HV_MESSAGE_TYPE_TIMER_EXPIRED);
	assert_int_equal(read_msr(vcpu, CONFIG(3)), MESSAGE | AUTO_ENABLE);
	assert_int_equal(fake_kvm.stimers[0][6], 0);
}

static void count_moves_with_the_mode(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(0), DIRECT);
	guest_writes_count(vcpu, 0, 100);
	write_msr(vcpu, CONFIG(0), MESSAGE);
	assert_int_equal(fake_kvm.stimers[0][0], 0);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~1u);
	assert_int_equal(read_msr(vcpu, COUNT(0)), 100);
	guest_writes_count(vcpu, 0, 200);
	/* Zeroes do not tell the mode. */
	write_msr(vcpu, CONFIG(0), 0);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~1u);
	write_msr(vcpu, CONFIG(0), DIRECT | ENABLE);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS);
	assert_int_equal(fake_kvm.stimers[0][0], DIRECT | ENABLE);
	assert_int_equal(fake_kvm.stimers[0][1], 200);
	assert_int_equal(expire(vcpu), 0);
	write_msr(vcpu, CONFIG(0), 0);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS);
	assert_int_equal(fake_kvm.stimers[0][0], 0);
}

/* The exits are the VM's, the mode is a VP's. */
static void modes_differ_between_vps(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(0), DIRECT | AUTO_ENABLE);
	write_msr(other, CONFIG(0), MESSAGE);
	write_msr(vcpu, CONFIG(2), MESSAGE);
	write_msr(other, CONFIG(2), MESSAGE);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~5u);
	guest_writes_count(vcpu, 0, 300);
	assert_int_equal(fake_kvm.stimers[0][0], DIRECT | AUTO_ENABLE | ENABLE);
	assert_int_equal(fake_kvm.stimers[0][1], 300);
	write_msr(vcpu, CONFIG(2), DIRECT);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~5u);
	write_msr(other, CONFIG(0), DIRECT);
	write_msr(other, CONFIG(2), DIRECT);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS);
}

/* KVM would deliver a vector that no interrupt can have. */
static void bad_vector_is_not_kvms(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(0), 0x1000u | 0xf0u | ENABLE);
	assert_int_equal(fake_kvm.stimers[0][0], 0);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS & ~1u);
	assert_int_equal(read_msr(vcpu, CONFIG(0)), 0x1000u | 0xf0u);
}

static void vtl2s_are_ours(void **state)
{
	struct vcpu *vtl2 = &vcpu->vp->vcpu[HOST_VTL2];

	(void)state;
	write_msr(vtl2, CONFIG(0), DIRECT | AUTO_ENABLE); /* says nothing of VTL0's clock */
	write_msr(vcpu, CONFIG(0), DIRECT);
	assert_int_equal(fake_kvm.without_exits, ALL_TIMERS);
	write_msr(vtl2, COUNT(0), PAST);
	assert_int_equal(fake_kvm.stimers[0][0], DIRECT);
	assert_int_equal(expire(vtl2), 1);
	assert_int_equal(fake_interrupts.vtl, HOST_VTL2);
	assert_int_equal(fake_interrupts.vector, VECTOR);
}

/* For KVMs that have no timers, or whose time is not ours. */
static void without_kvm_all_is_ours(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(0), DIRECT | AUTO_ENABLE);
	guest_writes_count(vcpu, 0, PAST);
	assert_int_equal(fake_kvm.without_exits, 0);
	assert_int_equal(fake_kvm.stimers[0][0], 0);
	assert_int_equal(read_msr(vcpu, CONFIG(0)), DIRECT | AUTO_ENABLE | ENABLE);
	assert_int_equal(expire(vcpu), 1);
	assert_int_equal(fake_interrupts.vtl, HOST_VTL0);
	assert_int_equal(fake_interrupts.vector, VECTOR);
	assert_int_equal(read_msr(vcpu, CONFIG(0)), DIRECT | AUTO_ENABLE);
	assert_int_equal(expire(vcpu), 0);
}

static void periodic_goes_on(void **state)
{
	(void)state;
	write_msr(vcpu, CONFIG(0), DIRECT | PERIODIC | AUTO_ENABLE);
	guest_writes_count(vcpu, 0, 1); /* 100 ns */
	while (!expire(vcpu))
		;
	while (!expire(vcpu))
		;
	assert_int_equal(read_msr(vcpu, CONFIG(0)), DIRECT | PERIODIC | AUTO_ENABLE | ENABLE);
	guest_writes_count(vcpu, 0, 0);
	assert_int_equal(expire(vcpu), 0);
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(direct_mode_is_kvms, setup),
		TEST(count_enables_in_kvm, setup),
		TEST(message_mode_is_ours, setup),
		TEST(count_moves_with_the_mode, setup),
		TEST(modes_differ_between_vps, setup),
		TEST(bad_vector_is_not_kvms, setup),
		TEST(vtl2s_are_ours, setup),
		TEST(without_kvm_all_is_ours, setup_refused),
		TEST(without_kvm_all_is_ours, setup_skewed),
		TEST(without_kvm_all_is_ours, setup_late),
		TEST(without_kvm_all_is_ours, setup_unwanted),
		TEST(periodic_goes_on, setup_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

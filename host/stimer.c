#include "host/stimer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "host/msr.h"
#include "host/partition.h"
#include "host/vp.h"

static bool in_kvm(const struct vcpu *vcpu, unsigned int index)
{
	return stimer_kvm_on(vcpu) && !vcpu->stimers[index].message_mode;
}

static uint64_t kvm_config(struct vcpu *vcpu, unsigned int index)
{
	uint64_t value = 0;

	msr_access_kvm(vcpu, HV_X64_MSR_STIMER0_CONFIG + 2 * index, &value, false);
	return value;
}

static uint64_t kvm_count(struct vcpu *vcpu, unsigned int index)
{
	uint64_t value = 0;

	msr_access_kvm(vcpu, HV_X64_MSR_STIMER0_COUNT + 2 * index, &value, false);
	return value;
}

static int set_kvm_config(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	return msr_access_kvm(vcpu, HV_X64_MSR_STIMER0_CONFIG + 2 * index, &value, true);
}

static int set_kvm_count(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	return msr_access_kvm(vcpu, HV_X64_MSR_STIMER0_COUNT + 2 * index, &value, true);
}

uint64_t stimer_read_config(struct vcpu *vcpu, unsigned int index)
{
	return in_kvm(vcpu, index) ? kvm_config(vcpu, index)
				   : vcpu->stimers[index].config.as_uint64;
}

uint64_t stimer_read_count(struct vcpu *vcpu, unsigned int index)
{
	return in_kvm(vcpu, index) ? kvm_count(vcpu, index) : vcpu->stimers[index].count;
}

static bool can_be_direct(union hv_stimer_config config)
{
	return config.direct_mode && config.apic_vector >= HV_SYNIC_FIRST_VALID_VECTOR;
}

/* A one-shot timer counts to a reference time, a periodic one in periods of that length. */
static void arm(struct vcpu *vcpu, struct stimer *timer)
{
	const struct reference_time *time = &vcpu->vp->partition->time;

	timer->armed = timer->config.enable && timer->count;
	if (!timer->armed)
		return;
	timer->expires =
		timer->config.periodic ? reference_time_now(time) + timer->count : timer->count;
}

/* Whether the timer needs a SynIC; zeroes only stop it, and leave it where it is. */
static bool is_message_mode(const struct stimer *timer, union hv_stimer_config config)
{
	return config.as_uint64 ? !can_be_direct(config) : timer->message_mode;
}

/* Moves a timer between KVM and this process when its mode changes; its count stays. */
static int change_mode(struct vcpu *vcpu, unsigned int index, bool message_mode)
{
	struct stimer *timer = &vcpu->stimers[index];
	int ret = 0;

	if (message_mode == timer->message_mode)
		return 0;
	if (message_mode) {
		timer->count = kvm_count(vcpu, index);
		ret = set_kvm_config(vcpu, index, 0);
	} else {
		timer->armed = false;
		ret = set_kvm_count(vcpu, index, timer->count);
	}
	if (ret)
		return ret;
	timer->message_mode = message_mode;
	return stimer_kvm_message_mode(vcpu, index, message_mode);
}

int stimer_write_config(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	struct stimer *timer = &vcpu->stimers[index];
	union hv_stimer_config config = { .as_uint64 = value };
	int ret;

	/* A message-mode timer without a SINT cannot be enabled (TLFS 12.3.2). */
	if (config.direct_mode ? !can_be_direct(config) : !config.sintx)
		config.enable = 0;
	stimer_kvm_settle(vcpu);
	if (stimer_kvm_on(vcpu)) {
		ret = change_mode(vcpu, index, is_message_mode(timer, config));
		if (ret)
			return ret;
		if (!timer->message_mode)
			return set_kvm_config(vcpu, index, config.as_uint64);
	}
	timer->config = config;
	arm(vcpu, timer);
	vcpu->vp->timers_changed = true;
	return 0;
}

/* What a write to COUNT does to CONFIG (TLFS 12.3.2). */
static void count_enables(union hv_stimer_config *config, uint64_t count)
{
	if (!count)
		config->enable = 0;
	else if (config->auto_enable)
		config->enable = 1;
}

/* For who writes without the guest's WRMSR, or while another VP's message mode makes it exit. */
static int write_kvm_count(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	union hv_stimer_config config = { .as_uint64 = kvm_config(vcpu, index) };
	int ret = set_kvm_count(vcpu, index, value);

	count_enables(&config, value);
	return ret ? ret : set_kvm_config(vcpu, index, config.as_uint64);
}

int stimer_write_count(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	struct stimer *timer = &vcpu->stimers[index];

	stimer_kvm_settle(vcpu);
	if (in_kvm(vcpu, index))
		return write_kvm_count(vcpu, index, value);
	timer->count = value;
	count_enables(&timer->config, value);
	arm(vcpu, timer);
	vcpu->vp->timers_changed = true;
	return 0;
}

/* Returns false when a message could not be placed: the timer then waits for the EOM. */
static bool deliver(struct vcpu *vcpu, unsigned int index, uint64_t now)
{
	struct stimer *timer = &vcpu->stimers[index];
	struct hv_timer_message_payload payload = {
		.timer_index = index,
		.expiration_time = timer->expires,
		.delivery_time = now,
	};

	if (timer->config.direct_mode) {
		vp_interrupt(vcpu->vp, vcpu->vtl, (uint8_t)timer->config.apic_vector);
		return true;
	}
	return synic_post(vcpu, timer->config.sintx, HV_MESSAGE_TYPE_TIMER_EXPIRED, &payload,
			  sizeof(payload)) == 0;
}

static void expire(struct vcpu *vcpu, unsigned int index, uint64_t now)
{
	struct stimer *timer = &vcpu->stimers[index];

	if (!deliver(vcpu, index, now)) {
		/* The slot is full: try again in 1 ms, which keeps the timer's promise roughly. */
		timer->expires = now + 10000;
		return;
	}
	if (!timer->config.periodic) {
		timer->config.enable = 0;
		timer->armed = false;
		return;
	}
	timer->expires += timer->count;
	if (timer->expires <= now) /* missed periods are not made up for (TLFS 12.3.1) */
		timer->expires = now + timer->count;
}

static void set_alarm(struct vp *vp, uint64_t deadline)
{
	uint64_t ns = reference_time_to_monotonic(&vp->partition->time, deadline) + 1;
	struct itimerspec alarm = {
		.it_value.tv_sec = (time_t)(ns / 1000000000u),
		.it_value.tv_nsec = (long)(ns % 1000000000u),
	};

	timer_settime(vp->timer, TIMER_ABSTIME, &alarm, NULL);
}

void stimer_service(struct vp *vp)
{
	/* Before the time is read: an alarm that goes off after this asks again. */
	bool changed = atomic_exchange(&vp->timers_changed, false);
	uint64_t now = reference_time_now(&vp->partition->time);
	uint64_t next = UINT64_MAX;
	unsigned int vtl, i;

	if (!changed && now < vp->next_deadline)
		return;
	for (vtl = 0; vtl < HOST_VTL_COUNT; vtl++) {
		struct vcpu *vcpu = &vp->vcpu[vtl];

		for (i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
			struct stimer *timer = &vcpu->stimers[i];

			if (timer->armed && timer->expires <= now)
				expire(vcpu, i, now);
			if (timer->armed && timer->expires < next)
				next = timer->expires;
		}
	}
	vp->next_deadline = next;
	if (next != UINT64_MAX) /* what the alarm was set to is over, or kicks once for nothing */
		set_alarm(vp, next);
}

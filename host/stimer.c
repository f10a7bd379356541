#include "host/stimer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "host/partition.h"
#include "host/vp.h"

uint64_t stimer_read_config(const struct vcpu *vcpu, unsigned int index)
{
	return vcpu->stimers[index].config.as_uint64;
}

uint64_t stimer_read_count(const struct vcpu *vcpu, unsigned int index)
{
	return vcpu->stimers[index].count;
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

int stimer_write_config(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	struct stimer *timer = &vcpu->stimers[index];
	union hv_stimer_config config = { .as_uint64 = value };

	/* A message-mode timer without a SINT cannot be enabled (TLFS 12.3.2). */
	if (config.direct_mode ? config.apic_vector < HV_SYNIC_FIRST_VALID_VECTOR : !config.sintx)
		config.enable = 0;
	timer->config = config;
	arm(vcpu, timer);
	vcpu->vp->timers_changed = true;
	return 0;
}

int stimer_write_count(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	struct stimer *timer = &vcpu->stimers[index];

	timer->count = value;
	if (!value)
		timer->config.enable = 0;
	else if (timer->config.auto_enable)
		timer->config.enable = 1;
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
	struct itimerspec alarm = { 0 };
	uint64_t ns;

	if (deadline != UINT64_MAX) {
		ns = reference_time_to_monotonic(&vp->partition->time, deadline) + 1;
		alarm.it_value.tv_sec = (time_t)(ns / 1000000000u);
		alarm.it_value.tv_nsec = (long)(ns % 1000000000u);
	}
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
	set_alarm(vp, next);
}

/*
 * A device that answers in place: one that is emulated sends in the doorbell, and what the other end has to say to that (TCP's
 * acknowledgements) has come when the doorbell returns. The interrupt that tells of it costs three exits: itself, and arming two queues again. So
 * when that was so several times in a row, no more interrupts are asked for: a queue is looked at when the guest sends, or gives
 * buffers back. That nothing waits for ever is a timer's part, which is always armed meanwhile. It ends this when nobody has looked
 * since the last time, and when it finds frames itself: those had waited. The next time is then later.
 */

#include "core/container_of.h"
#include "devices/net/mana_nic_internal.h"

#define IN_A_ROW   4u
#define PERIOD_NS  10000000u       /* how long frames wait; the kernel of VTL2 has no finer ticks */
#define SLACK_NS   (PERIOD_NS / 4) /* and how much longer at most */
#define LEAST_WAIT 40000000u       /* ns after frames had waited */
#define MOST_WAIT  1000000000u     /* when that happens again and again */
#define WORTH      256u /* looks that found frames, after which it is not held against the device */

/*
 * At multiples of the period, because there the kernel's own tick is (its time since the start is this clock's): of a VP that
 * runs VTL0 each interrupt of the timer costs a visit to VTL2, and a few exits.
 */
static void arm_timer(struct mana_nic_poll *poll)
{
	uint64_t latest = event_loop_now_ns() + PERIOD_NS + SLACK_NS;

	poll->looked = false;
	event_timer_arm(&poll->timer, latest - latest % PERIOD_NS);
}

static void begin(struct mana_nic_poll *poll)
{
	if (event_loop_now_ns() < poll->not_before_ns)
		return;
	poll->on = true;
	poll->found = 0;
	arm_timer(poll);
}

void mana_nic_poll_end(struct mana_nic_queue *queue)
{
	queue->poll.on = false;
	queue->poll.in_place = 0;
	event_timer_cancel(&queue->poll.timer);
}

void mana_nic_poll_looked(struct mana_nic_queue *queue, bool found)
{
	struct mana_nic_poll *poll = &queue->poll;

	poll->looked = true;
	poll->found += found;
	if (!poll->on && found && ++poll->in_place >= IN_A_ROW)
		begin(poll);
}

/* Frames had waited, for a period at most. */
static void put_off(struct mana_nic_poll *poll)
{
	if (poll->found >= WORTH || !poll->wait_ns)
		poll->wait_ns = LEAST_WAIT;
	else if (poll->wait_ns < MOST_WAIT / 2)
		poll->wait_ns *= 2;
	else
		poll->wait_ns = MOST_WAIT;
	poll->not_before_ns = event_loop_now_ns() + poll->wait_ns;
}

static void expired(struct event_timer *timer)
{
	struct mana_nic_queue *queue = container_of(timer, struct mana_nic_queue, poll.timer);
	struct mana_nic_poll *poll = &queue->poll;
	bool looked = poll->looked;

	if (!poll->on)
		return;
	if (mana_nic_look(queue))
		put_off(poll);
	else if (looked && poll->on) {
		arm_timer(poll);
		return;
	}
	mana_nic_poll_end(queue);
	mana_nic_arm(queue);
}

void mana_nic_poll_init(struct mana_nic_queue *queue)
{
	queue->poll = (struct mana_nic_poll){ 0 };
	event_timer_init(&queue->poll.timer, queue->loop, expired);
}

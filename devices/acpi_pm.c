#include "devices/acpi_pm.h"

#include "core/bytes.h"
#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"

#include <stdlib.h>

#define PM_TIMER_HZ   3579545ull /* 4.8.2.1 */
#define NS_PER_SECOND 1000000000ull

/* PM1 status and enable (4.8.3.1) */
#define PM1_TIMER        (1u << 0)
#define PM1_GLOBAL       (1u << 5)
#define PM1_POWER_BUTTON (1u << 8)
#define PM1_SLEEP_BUTTON (1u << 9)
#define PM1_RTC          (1u << 10)
#define PM1_ENABLES      (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)

/* PM1 control (4.8.3.2) */
#define PM1_SCI_EN           (1u << 0)
#define PM1_BM_RLD           (1u << 1)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE       (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE     (1u << 13) /* reads as zero */

#define STATUS_OFFSET     0x0
#define ENABLE_OFFSET     0x2
#define CONTROL_OFFSET    0x4
#define GPE_STATUS_OFFSET 0xc
#define GPE_ENABLE_OFFSET 0xe

struct acpi_pm {
	struct acpi_pm_config config;
	struct event_timer timer;
	uint64_t half_period; /* of the counter: the last whose end has shown in PM1_TIMER */
	uint16_t status, enable, control;
	uint16_t gpe_status, gpe_enable;
};

/* Ticks since the clock's origin, without losing bits: whole seconds and the rest apart. */
static uint64_t ticks_at(uint64_t ns)
{
	return ns / NS_PER_SECOND * PM_TIMER_HZ + ns % NS_PER_SECOND * PM_TIMER_HZ / NS_PER_SECOND;
}

/* The first nanosecond at which ticks_at() gives `ticks`. */
static uint64_t time_of(uint64_t ticks)
{
	uint64_t rest = ticks % PM_TIMER_HZ * NS_PER_SECOND;

	return ticks / PM_TIMER_HZ * NS_PER_SECOND + (rest + PM_TIMER_HZ - 1) / PM_TIMER_HZ;
}

static void update_sci(struct acpi_pm *pm)
{
	bool asserted = (pm->status & pm->enable) || (pm->gpe_status & pm->gpe_enable);

	irq_line_set(&pm->config.sci, asserted);
}

/* TMR_STS is set whenever the counter's highest bit changes (4.8.2.1), every ten minutes. */
static void catch_up(struct acpi_pm *pm)
{
	uint64_t half_period = ticks_at(event_loop_now_ns()) >> 31;

	if (half_period != pm->half_period)
		pm->status |= PM1_TIMER;
	pm->half_period = half_period;
	if (pm->enable & ~pm->status & PM1_TIMER)
		event_timer_arm(&pm->timer, time_of((half_period + 1) << 31));
	update_sci(pm);
}

static void timer_expired(struct event_timer *timer)
{
	struct acpi_pm *pm = container_of(timer, struct acpi_pm, timer);

	device_lock_acquire(pm->config.lock);
	catch_up(pm);
	device_lock_release(pm->config.lock);
}

static void write_control(struct acpi_pm *pm, uint16_t value)
{
	pm->control = value & (PM1_BM_RLD | PM1_SLEEP_TYPE);
	if (!(value & PM1_SLEEP_ENABLE))
		return;
	if ((value & PM1_SLEEP_TYPE) >> PM1_SLEEP_TYPE_SHIFT == ACPI_PM_SLEEP_TYPE_S5)
		pm->config.power_off(pm->config.ctx);
}

/* The block as one would find it in memory; guests read it in any size. */
static void read_block(struct acpi_pm *pm, uint8_t block[ACPI_PM_LEN])
{
	catch_up(pm);
	memset(block, 0, ACPI_PM_LEN);
	store_le16(block + STATUS_OFFSET, pm->status);
	store_le16(block + ENABLE_OFFSET, pm->enable);
	store_le16(block + CONTROL_OFFSET, pm->control | PM1_SCI_EN);
	store_le32(block + ACPI_PM_TIMER_VALUE, (uint32_t)ticks_at(event_loop_now_ns()));
	store_le16(block + GPE_STATUS_OFFSET, pm->gpe_status);
	store_le16(block + GPE_ENABLE_OFFSET, pm->gpe_enable);
}

static enum io_result port_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	uint8_t block[ACPI_PM_LEN + 8] = { 0 };

	(void)size;
	read_block(dev, block);
	*value = load_le64(block + offset);
	return IO_DONE;
}

static uint16_t keep_byte(uint16_t old, uint64_t offset, uint8_t byte)
{
	return offset & 1 ? (uint16_t)((old & 0x00ff) | byte << 8)
			  : (uint16_t)((old & 0xff00) | byte);
}

/* Status bits are cleared by writing ones. */
static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
	switch (offset & ~1ull) {
	case STATUS_OFFSET:
		pm->status &= (uint16_t)~keep_byte(0, offset, byte);
		break;
	case ENABLE_OFFSET:
		pm->enable = keep_byte(pm->enable, offset, byte) & PM1_ENABLES;
		break;
	case CONTROL_OFFSET:
		write_control(pm, keep_byte(pm->control, offset, byte));
		break;
	case GPE_STATUS_OFFSET:
		pm->gpe_status &= (uint16_t)~keep_byte(0, offset, byte);
		break;
	case GPE_ENABLE_OFFSET:
		pm->gpe_enable = keep_byte(pm->gpe_enable, offset, byte);
		break;
	default:
		break;
	}
}

static enum io_result port_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct acpi_pm *pm = dev;

	catch_up(pm);
	for (unsigned int i = 0; i < size; i++)
		write_byte(pm, offset + i, (uint8_t)(value >> (i * 8)));
	catch_up(pm);
	return IO_DONE;
}

static const struct io_region_ops port_ops = {
	.read = port_read,
	.write = port_write,
};

struct acpi_pm *acpi_pm_create(const struct acpi_pm_config *config)
{
	struct acpi_pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return NULL;
	pm->config = *config;
	pm->half_period = ticks_at(event_loop_now_ns()) >> 31;
	event_timer_init(&pm->timer, config->loop, timer_expired);
	return pm;
}

void acpi_pm_destroy(struct acpi_pm *pm)
{
	if (!pm)
		return;
	event_timer_cancel(&pm->timer);
	free(pm);
}

int acpi_pm_attach(struct acpi_pm *pm, struct io_bus *bus)
{
	const struct io_region region = {
		.name = "acpi-pm",
		.space = IO_PORT,
		.base = ACPI_PM_BASE,
		.len = ACPI_PM_LEN,
		.ops = &port_ops,
		.dev = pm,
		.lock = pm->config.lock,
	};

	return io_bus_add(bus, &region);
}

void acpi_pm_press_power_button(struct acpi_pm *pm)
{
	device_lock_acquire(pm->config.lock);
	pm->status |= PM1_POWER_BUTTON;
	update_sci(pm);
	device_lock_release(pm->config.lock);
}

void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned int gpe)
{
	if (gpe >= ACPI_PM_GPES)
		return;
	device_lock_acquire(pm->config.lock);
	pm->gpe_status |= (uint16_t)(1u << gpe);
	update_sci(pm);
	device_lock_release(pm->config.lock);
}

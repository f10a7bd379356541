#ifndef DEVICES_ACPI_PM_H
#define DEVICES_ACPI_PM_H

#include <stdint.h>

#include "core/irq.h"

/*
 * ACPI fixed hardware (ACPI 6.5, 4.8): PM1a event and control blocks, the power management timer
 * and one general-purpose event block. The machine is in ACPI mode from the start (4.8.2.5: no SMI
 * command port), so SCI_EN always reads as set.
 */

#define ACPI_PM_BASE        0x400 /* what the FADT says */
#define ACPI_PM_EVENT       0x0   /* offsets: PM1a status and enable, 2 bytes each */
#define ACPI_PM_CONTROL     0x4   /* 2 bytes */
#define ACPI_PM_TIMER_VALUE 0x8   /* 4 bytes, counts all 32 bits (FADT: TMR_VAL_EXT) */
#define ACPI_PM_GPE0        0xc   /* 2 bytes of status, 2 of enable */
#define ACPI_PM_LEN         0x10
#define ACPI_PM_GPES        16u

#define ACPI_PM_SLEEP_TYPE_S5 5 /* what the DSDT's \_S5 says */

struct acpi_pm;
struct event_loop;
struct device_lock;
struct io_bus;

struct acpi_pm_config {
	struct event_loop *loop;
	struct device_lock *lock;
	struct irq_line sci;          /* level */
	void (*power_off)(void *ctx); /* the guest entered S5; called with the lock held */
	void *ctx;
};

/* Copies *config. NULL when out of memory. */
struct acpi_pm *acpi_pm_create(const struct acpi_pm_config *config);
void acpi_pm_destroy(struct acpi_pm *pm);

/* Puts its ports at ACPI_PM_BASE. 0 or what io_bus_add() returns. */
int acpi_pm_attach(struct acpi_pm *pm, struct io_bus *bus);

/* The fixed power button is pressed: asks the guest to shut down. Any thread. */
void acpi_pm_press_power_button(struct acpi_pm *pm);

/* Sets the status of general-purpose event `gpe`, below ACPI_PM_GPES. Any thread. */
void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned int gpe);

#endif

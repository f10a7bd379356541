#ifndef PARAVISOR_BOOT_ACPI_PLATFORM_H
#define PARAVISOR_BOOT_ACPI_PLATFORM_H

#include "devices/acpi_pm.h"
#include "devices/cmos_rtc.h"
#include "devices/ioapic.h"

/* What the ACPI tables tell of the chipset and its devices' own headers do not say. */

#define ACPI_SCI           9
#define ACPI_RESET_PORT    0xcf9
#define ACPI_RESET_VALUE   6
#define ACPI_ELCR_PORT     0x4d0
#define ACPI_RTC_IRQ       8
#define ACPI_LOCAL_APIC    0xfee00000u
#define ACPI_IO_APIC_ID    0
#define ACPI_IO_APIC_TIMER 2 /* the input that ISA interrupt 0 is wired to */

/* 6.3.7: present, enabled, shown, functioning */
#define ACPI_STA_WORKING 0xf

#endif

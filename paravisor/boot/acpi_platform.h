#ifndef PARAVISOR_BOOT_ACPI_PLATFORM_H
#define PARAVISOR_BOOT_ACPI_PLATFORM_H

/* Where the chipset's devices are, as far as ACPI tables tell. */

/* Power management block (ACPI 6.5 section 4.8.3), one range of ports */
#define ACPI_PM1A_EVENT   0x400
#define ACPI_PM1A_CONTROL 0x404
#define ACPI_PM_TIMER     0x408
#define ACPI_GPE0         0x40c
#define ACPI_PM_LENGTH    0x10
#define ACPI_GPE0_LENGTH  4

#define ACPI_SCI           9
#define ACPI_SLEEP_TYPE_S5 5

#define ACPI_RESET_PORT  0xcf9
#define ACPI_RESET_VALUE 6

#define ACPI_ELCR_PORT   0x4d0
#define ACPI_RTC_PORT    0x70
#define ACPI_RTC_IRQ     8
#define ACPI_RTC_CENTURY 0x32

#define ACPI_LOCAL_APIC    0xfee00000u
#define ACPI_IO_APIC       0xfec00000u
#define ACPI_IO_APIC_ID    0
#define ACPI_IO_APIC_TIMER 2 /* the input that ISA interrupt 0 is wired to */

/* 6.3.7: present, enabled, shown, functioning */
#define ACPI_STA_WORKING 0xf

#endif

#ifndef PROTO_ACPI_H
#define PROTO_ACPI_H

#include <assert.h>
#include <stdint.h>

/*
 * ACPI 6.5: the tables that a PC-like virtual machine needs. The specification packs fields without
 * regard to alignment, hence the packed structures. Everything is little-endian.
 */

/* 5.2.5.3 */
struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved_21[3];
} __attribute__((packed));
static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 5.2.5.3");

/* 5.2.6 */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));
static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");

/* 5.2.3.2 */
struct acpi_gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));
static_assert(sizeof(struct acpi_gas) == 12, "ACPI 5.2.3.2");

#define ACPI_SPACE_IO 1

enum {
	ACPI_ACCESS_BYTE = 1,
	ACPI_ACCESS_WORD,
	ACPI_ACCESS_DWORD,
	ACPI_ACCESS_QWORD
};

/* 5.2.9 */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved_2c;
	uint8_t profile;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t s4bios_request;
	uint8_t pstate_control;
	uint32_t pm1a_event;
	uint32_t pm1b_event;
	uint32_t pm1a_control;
	uint32_t pm1b_control;
	uint32_t pm2_control;
	uint32_t pm_timer;
	uint32_t gpe0;
	uint32_t gpe1;
	uint8_t pm1_event_length;
	uint8_t pm1_control_length;
	uint8_t pm2_control_length;
	uint8_t pm_timer_length;
	uint8_t gpe0_length;
	uint8_t gpe1_length;
	uint8_t gpe1_base;
	uint8_t cst_control;
	uint16_t c2_latency; /* microseconds; above 100: no C2 */
	uint16_t c3_latency; /* microseconds; above 1000: no C3 */
	uint16_t flush_size;
	uint16_t flush_stride;
	uint8_t duty_offset;
	uint8_t duty_width;
	uint8_t day_alarm;
	uint8_t month_alarm;
	uint8_t century;
	uint16_t boot_arch;
	uint8_t reserved_6f;
	uint32_t flags;
	struct acpi_gas reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct acpi_gas x_pm1a_event;
	struct acpi_gas x_pm1b_event;
	struct acpi_gas x_pm1a_control;
	struct acpi_gas x_pm1b_control;
	struct acpi_gas x_pm2_control;
	struct acpi_gas x_pm_timer;
	struct acpi_gas x_gpe0;
	struct acpi_gas x_gpe1;
	struct acpi_gas sleep_control;
	struct acpi_gas sleep_status;
	uint64_t hypervisor_id;
} __attribute__((packed));
static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 5.2.9, FADT revision 6");

/* 5.2.9.3 */
#define ACPI_BOOT_LEGACY_DEVICES (1u << 0)
#define ACPI_BOOT_8042           (1u << 1)
#define ACPI_BOOT_NO_VGA         (1u << 2)
#define ACPI_BOOT_NO_ASPM        (1u << 4)

/* 5.2.9, table 5.10 */
#define ACPI_FADT_WBINVD      (1u << 0)
#define ACPI_FADT_PROC_C1     (1u << 2)
#define ACPI_FADT_PWR_BUTTON  (1u << 4) /* set: not a fixed-hardware feature */
#define ACPI_FADT_SLP_BUTTON  (1u << 5) /* likewise */
#define ACPI_FADT_FIX_RTC     (1u << 6) /* set: the RTC's wake status is not in PM1 */
#define ACPI_FADT_TMR_VAL_EXT (1u << 8) /* the PM timer has 32 bits, not 24 */
#define ACPI_FADT_RESET_REG   (1u << 10)
#define ACPI_FADT_HEADLESS    (1u << 12)

/* 5.2.10 */
struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved_21[3];
	uint32_t ospm_flags;
	uint8_t reserved_28[24];
} __attribute__((packed));
static_assert(sizeof(struct acpi_facs) == 64, "ACPI 5.2.10");

/* 5.2.12 and the subtables that follow it */
struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt) == 44, "ACPI 5.2.12");

#define ACPI_MADT_PCAT_COMPAT 1u

enum acpi_madt_type {
	ACPI_MADT_LOCAL_APIC = 0,
	ACPI_MADT_IO_APIC = 1,
	ACPI_MADT_INTERRUPT_OVERRIDE = 2,
	ACPI_MADT_LOCAL_APIC_NMI = 4,
	ACPI_MADT_LOCAL_X2APIC = 9,
	ACPI_MADT_LOCAL_X2APIC_NMI = 10,
};

#define ACPI_MADT_ENABLED 1u

struct acpi_madt_local_apic {
	uint8_t type;
	uint8_t length;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_local_apic) == 8, "ACPI 5.2.12.2");

struct acpi_madt_io_apic {
	uint8_t type;
	uint8_t length;
	uint8_t id;
	uint8_t reserved_03;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_io_apic) == 12, "ACPI 5.2.12.3");

struct acpi_madt_override {
	uint8_t type;
	uint8_t length;
	uint8_t bus; /* 0: ISA */
	uint8_t source;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_override) == 10, "ACPI 5.2.12.5");

/* 5.2.12.5, table 5.26: MPS INTI flags */
#define ACPI_INTI_ACTIVE_HIGH 0x1
#define ACPI_INTI_LEVEL       0xc

struct acpi_madt_local_apic_nmi {
	uint8_t type;
	uint8_t length;
	uint8_t processor_uid; /* 0xff: all */
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_local_apic_nmi) == 6, "ACPI 5.2.12.7");

struct acpi_madt_local_x2apic {
	uint8_t type;
	uint8_t length;
	uint16_t reserved_02;
	uint32_t x2apic_id;
	uint32_t flags;
	uint32_t processor_uid;
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_local_x2apic) == 16, "ACPI 5.2.12.12");

struct acpi_madt_local_x2apic_nmi {
	uint8_t type;
	uint8_t length;
	uint16_t flags;
	uint32_t processor_uid; /* 0xffffffff: all */
	uint8_t lint;
	uint8_t reserved_09[3];
} __attribute__((packed));
static_assert(sizeof(struct acpi_madt_local_x2apic_nmi) == 12, "ACPI 5.2.12.13");

/* TCG ACPI Specification 1.2, section 8 */
struct acpi_tpm2 {
	struct acpi_header header;
	uint16_t platform_class;
	uint16_t reserved_26;
	uint64_t control_area;
	uint32_t start_method;
	uint8_t start_method_parameters[12];
	uint32_t log_min_length;
	uint64_t log_address;
} __attribute__((packed));
static_assert(sizeof(struct acpi_tpm2) == 76, "TCG ACPI 8, revision 4");

#endif

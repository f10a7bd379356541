#ifndef PROTO_VPCI_H
#define PROTO_VPCI_H

#include <stdint.h>

/*
 * VPCI: a PCI Express bus over a VMBus channel. There is no public specification; the layouts are
 * those of Linux's client (drivers/pci/controller/pci-hyperv.c) and of microsoft/openvmm's
 * vpci_protocol. Messages are in-band packets; an answer is the completion of its request.
 */

/* The interface: 44c4f61d-4444-4400-9d52-802e27ede19f */
#define VPCI_INTERFACE_TYPE                                            \
	{                                                              \
		0x44c4f61d, 0x4444, 0x4400,                            \
		{                                                      \
			0x9d, 0x52, 0x80, 0x2e, 0x27, 0xed, 0xe1, 0x9f \
		}                                                      \
	}

#define VPCI_VERSION_1_1 0x00010001u
#define VPCI_VERSION_1_2 0x00010002u /* interrupts for up to 32 named processors */
#define VPCI_VERSION_1_3 0x00010003u /* bus relations with NUMA nodes */
#define VPCI_VERSION_1_4 0x00010004u /* interrupt vectors of 32 bits */

/*
 * Configuration space in memory: two pages at the address that the guest gives with D0 entry. A
 * slot number written to the first chooses the function whose 4096 bytes the second shows.
 */
#define VPCI_CONFIG_WINDOW_SIZE 0x2000u
#define VPCI_CONFIG_SLOT        0x0000u
#define VPCI_CONFIG_SPACE       0x1000u

enum vpci_message_type {
	VPCI_BUS_RELATIONS = 0x42490000, /* to the guest */
	VPCI_QUERY_BUS_RELATIONS = 0x42490001,
	VPCI_POWER_STATE_CHANGE = 0x42490004,
	VPCI_QUERY_RESOURCE_REQUIREMENTS = 0x42490005,
	VPCI_QUERY_RESOURCES = 0x42490006,
	VPCI_BUS_D0ENTRY = 0x42490007,
	VPCI_BUS_D0EXIT = 0x42490008,
	VPCI_READ_BLOCK = 0x42490009,
	VPCI_WRITE_BLOCK = 0x4249000a,
	VPCI_EJECT = 0x4249000b, /* to the guest */
	VPCI_EJECTION_COMPLETE = 0x4249000f,
	VPCI_RESOURCES_ASSIGNED = 0x42490010,
	VPCI_RESOURCES_RELEASED = 0x42490011,
	VPCI_INVALIDATE_BLOCK = 0x42490012, /* to the guest */
	VPCI_QUERY_PROTOCOL_VERSION = 0x42490013,
	VPCI_CREATE_INTERRUPT = 0x42490014,
	VPCI_DELETE_INTERRUPT = 0x42490015,
	VPCI_RESOURCES_ASSIGNED2 = 0x42490016,
	VPCI_CREATE_INTERRUPT2 = 0x42490017,
	VPCI_BUS_RELATIONS2 = 0x42490019, /* to the guest, from version 1.3 */
	VPCI_RESOURCES_ASSIGNED3 = 0x4249001a,
	VPCI_CREATE_INTERRUPT3 = 0x4249001b,
};

/* NTSTATUS values, first in every answer. The client asks for less after a revision mismatch. */
#define VPCI_STATUS_SUCCESS              0u
#define VPCI_STATUS_REVISION_MISMATCH    0xc0000059u
#define VPCI_STATUS_INSUFFICIENT         0xc000009au
#define VPCI_STATUS_NOT_SUPPORTED        0xc00000bbu
#define VPCI_STATUS_INVALID_DEVICE_STATE 0xc0000184u
#define VPCI_STATUS_BAD_DATA             0xc000090bu

/* A slot number: device in bits 4:0, function in bits 7:5. */
#define VPCI_SLOT(device, function) ((uint32_t)((device) | (function) << 5))

/* Requests that name a slot and nothing else, and VPCI_EJECT. */
struct vpci_child_message {
	uint32_t type;
	uint32_t slot;
};
_Static_assert(sizeof(struct vpci_child_message) == 8, "VPCI child message");

/* An answer that is a status. The client takes no packet as short as this one is unpadded. */
struct vpci_status_reply {
	uint32_t status;
	uint32_t reserved_4;
};
_Static_assert(sizeof(struct vpci_status_reply) == 8, "VPCI status");

struct vpci_version_request {
	uint32_t type;
	uint32_t protocol_version;
};
_Static_assert(sizeof(struct vpci_version_request) == 8, "VPCI version request");

struct vpci_version_reply {
	uint32_t status;
	uint32_t protocol_version;
};
_Static_assert(sizeof(struct vpci_version_reply) == 8, "VPCI version reply");

/* The first twelve bytes are those of configuration space, put together. */
struct vpci_function_description {
	uint16_t vendor_id;
	uint16_t device_id;
	uint8_t revision;
	uint8_t prog_if;
	uint8_t subclass;
	uint8_t base_class;
	uint32_t subsystem_id; /* vendor in the low half */
	uint32_t slot;
	uint32_t serial; /* Linux names the slot's directory in sysfs by it */
};
_Static_assert(sizeof(struct vpci_function_description) == 20, "VPCI function");

#define VPCI_FUNCTION_HAS_NUMA_NODE 1u

struct vpci_function_description2 {
	struct vpci_function_description base;
	uint32_t flags;
	uint16_t numa_node;
	uint16_t reserved_26;
};
_Static_assert(sizeof(struct vpci_function_description2) == 28, "VPCI function 2");

/* With the only function that our buses have; device_count 0 and no function: it is gone. */
struct vpci_bus_relations {
	uint32_t type;
	uint32_t device_count;
	struct vpci_function_description function;
};
_Static_assert(sizeof(struct vpci_bus_relations) == 28, "VPCI bus relations");

struct vpci_bus_relations2 {
	uint32_t type;
	uint32_t device_count;
	struct vpci_function_description2 function;
};
_Static_assert(sizeof(struct vpci_bus_relations2) == 36, "VPCI bus relations 2");

/* What each BAR reads as after all ones were written to it. */
struct vpci_resource_requirements_reply {
	uint32_t status;
	uint32_t bars[6];
};
_Static_assert(sizeof(struct vpci_resource_requirements_reply) == 28, "VPCI requirements");

struct vpci_d0_entry {
	uint32_t type;
	uint32_t reserved_4;
	uint64_t mmio_base; /* of the configuration window */
};
_Static_assert(sizeof(struct vpci_d0_entry) == 16, "VPCI D0 entry");

enum vpci_power_state {
	VPCI_POWER_D0 = 1,
	VPCI_POWER_D3 = 4,
};

struct vpci_power_change {
	uint32_t type; /* status in the answer */
	uint32_t slot;
	uint32_t state;
	uint32_t reserved_12;
};
_Static_assert(sizeof(struct vpci_power_change) == 16, "VPCI power");

/*
 * Resources that the guest has chosen. Linux leaves the memory ranges empty: the BARs say it. MSI
 * descriptors would follow; Linux has none here and asks for interrupts one by one.
 */
struct vpci_resources_assigned {
	uint32_t type; /* status in the answer */
	uint32_t slot;
	uint8_t memory_ranges[6][20];
	uint32_t msi_descriptor_count;
	uint32_t reserved_132;
};
_Static_assert(sizeof(struct vpci_resources_assigned) == 136, "VPCI resources");

#define VPCI_DELIVERY_FIXED           0u
#define VPCI_DELIVERY_LOWEST_PRIORITY 1u
#define VPCI_PROCESSORS_MAX           32u

/* Version 1.1 */
struct vpci_create_interrupt {
	uint32_t type;
	uint32_t slot;
	uint8_t vector;
	uint8_t delivery_mode;
	uint16_t vector_count;
	uint32_t reserved_12;
	uint64_t processor_mask;
};
_Static_assert(sizeof(struct vpci_create_interrupt) == 24, "VPCI create interrupt");

/* Versions 1.2 and 1.3. Linux leaves the last two bytes away. */
struct vpci_create_interrupt2 {
	uint32_t type;
	uint32_t slot;
	uint8_t vector;
	uint8_t delivery_mode;
	uint16_t vector_count;
	uint16_t processor_count;
	uint16_t processors[VPCI_PROCESSORS_MAX];
	uint16_t reserved_78;
};
_Static_assert(sizeof(struct vpci_create_interrupt2) == 80, "VPCI create interrupt 2");
#define VPCI_CREATE_INTERRUPT2_SIZE 78u

/* Version 1.4. Linux leaves the last two bytes away. */
struct vpci_create_interrupt3 {
	uint32_t type;
	uint32_t slot;
	uint32_t vector;
	uint8_t delivery_mode;
	uint8_t reserved_13;
	uint16_t vector_count;
	uint16_t processor_count;
	uint16_t processors[VPCI_PROCESSORS_MAX];
	uint16_t reserved_82;
};
_Static_assert(sizeof(struct vpci_create_interrupt3) == 84, "VPCI create interrupt 3");
#define VPCI_CREATE_INTERRUPT3_SIZE 82u

/* What the function is to write to cause the interrupt: the first message's data, then data + 1. */
struct vpci_translated_interrupt {
	uint16_t reserved_0;
	uint16_t vector_count;
	uint32_t data;
	uint64_t address;
};
_Static_assert(sizeof(struct vpci_translated_interrupt) == 16, "VPCI translated interrupt");

struct vpci_create_interrupt_reply {
	uint32_t status;
	uint32_t reserved_4;
	struct vpci_translated_interrupt interrupt;
};
_Static_assert(sizeof(struct vpci_create_interrupt_reply) == 24, "VPCI interrupt reply");

struct vpci_delete_interrupt {
	uint32_t type;
	uint32_t slot;
	struct vpci_translated_interrupt interrupt;
};
_Static_assert(sizeof(struct vpci_delete_interrupt) == 24, "VPCI delete interrupt");

struct vpci_ejection_complete {
	uint32_t type;
	uint32_t slot;
	uint32_t status;
};
_Static_assert(sizeof(struct vpci_ejection_complete) == 12, "VPCI ejection complete");

#endif

#ifndef PROTO_PCI_H
#define PROTO_PCI_H

#include <stdint.h>

/*
 * Configuration space of a PCI Express function with a type 0 header, and MSI-X: PCI 3.0 chapter 6,
 * PCI Express Base 4.0 chapter 7. All of it little-endian.
 */

#define PCI_CONFIG_SPACE_SIZE     256u
#define PCI_EXT_CONFIG_SPACE_SIZE 4096u

/* Header (PCI 3.0, 6.1). */
#define PCI_VENDOR_ID          0x00 /* 2 bytes; 0xFFFF: there is no function */
#define PCI_DEVICE_ID          0x02
#define PCI_COMMAND            0x04 /* 2 bytes */
#define PCI_STATUS             0x06 /* 2 bytes */
#define PCI_REVISION_ID        0x08
#define PCI_CLASS_PROG         0x09
#define PCI_CLASS_SUB          0x0A
#define PCI_CLASS_BASE         0x0B
#define PCI_CACHE_LINE_SIZE    0x0C
#define PCI_LATENCY_TIMER      0x0D
#define PCI_HEADER_TYPE        0x0E
#define PCI_BIST               0x0F
#define PCI_BAR(n)             (0x10 + 4 * (n)) /* 0 to 5 */
#define PCI_CARDBUS_CIS        0x28
#define PCI_SUBSYSTEM_VENDOR   0x2C
#define PCI_SUBSYSTEM_ID       0x2E
#define PCI_EXPANSION_ROM      0x30
#define PCI_CAPABILITY_POINTER 0x34
#define PCI_INTERRUPT_LINE     0x3C
#define PCI_INTERRUPT_PIN      0x3D
#define PCI_HEADER_END         0x40

#define PCI_BAR_COUNT 6u

#define PCI_COMMAND_IO           0x0001
#define PCI_COMMAND_MEMORY       0x0002
#define PCI_COMMAND_MASTER       0x0004 /* DMA and message-signalled interrupts */
#define PCI_COMMAND_PARITY       0x0040
#define PCI_COMMAND_SERR         0x0100
#define PCI_COMMAND_INTX_DISABLE 0x0400

#define PCI_STATUS_CAPABILITIES 0x0010

#define PCI_BAR_IO             0x1u
#define PCI_BAR_64BIT          0x4u
#define PCI_BAR_PREFETCHABLE   0x8u
#define PCI_BAR_ATTRIBUTE_MASK 0xFu /* of a memory BAR: not address */

/* 24 bits: base class, sub-class, programming interface. */
#define PCI_CLASS_NVME     0x010802u
#define PCI_CLASS_ETHERNET 0x020000u

/* Capabilities (PCI 3.0, 6.7): id, offset of the next, then the capability's own. */
enum pci_capability {
	PCI_CAP_POWER = 0x01,
	PCI_CAP_MSI = 0x05,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_EXPRESS = 0x10,
	PCI_CAP_MSIX = 0x11,
};

/* MSI-X capability (PCI 3.0, 6.8.2), 12 bytes. */
#define PCI_MSIX_CONTROL 0x02 /* 2 bytes */
#define PCI_MSIX_TABLE   0x04 /* 4 bytes: offset, and BAR in the low three bits */
#define PCI_MSIX_PBA     0x08 /* the same */
#define PCI_MSIX_LEN     0x0C

#define PCI_MSIX_CONTROL_SIZE_MASK 0x07FF /* vectors - 1 */
#define PCI_MSIX_CONTROL_MASK_ALL  0x4000
#define PCI_MSIX_CONTROL_ENABLE    0x8000
#define PCI_MSIX_BAR_MASK          0x7u

#define PCI_MSIX_MAX_VECTORS 2048u

/* An entry of the MSI-X table (PCI 3.0, 6.8.2.6). */
struct pci_msix_entry {
	uint32_t address_low;
	uint32_t address_high;
	uint32_t data;
	uint32_t control;
};

_Static_assert(sizeof(struct pci_msix_entry) == 16, "PCI 3.0, 6.8.2.6");

#define PCI_MSIX_ENTRY_MASKED 0x1u

/* PCI Express capability (PCI Express 4.0, 7.5.3), version 2: 60 bytes. */
#define PCI_EXPRESS_FLAGS           0x02 /* 2 bytes: version, type of port */
#define PCI_EXPRESS_DEVICE_CAP      0x04
#define PCI_EXPRESS_DEVICE_CONTROL  0x08 /* 2 bytes */
#define PCI_EXPRESS_DEVICE_STATUS   0x0A /* 2 bytes */
#define PCI_EXPRESS_LINK_CAP        0x0C
#define PCI_EXPRESS_LINK_CONTROL    0x10
#define PCI_EXPRESS_LINK_STATUS     0x12
#define PCI_EXPRESS_DEVICE_CAP2     0x24
#define PCI_EXPRESS_DEVICE_CONTROL2 0x28
#define PCI_EXPRESS_LEN             0x3C

#define PCI_EXPRESS_FLAGS_VERSION_2        0x0002
#define PCI_EXPRESS_FLAGS_ENDPOINT         0x0000 /* the type of port, in bits 7:4 */
#define PCI_EXPRESS_FLAGS_ROOT_ENDPOINT    0x0090
#define PCI_EXPRESS_DEVICE_CAP_FLR         0x10000000u
#define PCI_EXPRESS_DEVICE_CAP_ROLE_ERRORS 0x00008000u
#define PCI_EXPRESS_DEVICE_CONTROL_FLR     0x8000 /* reads as zero */
#define PCI_EXPRESS_DEVICE_STATUS_PENDING  0x0020

#endif

#ifndef PROTO_PCI_DIRECT_H
#define PROTO_PCI_DIRECT_H

/*
 * Entresol's own: a vendor-specific capability (PCI 3.0, appendix H) of functions that VTL2 relays to a less privileged VTL
 * (docs/vpci.md). Through it VTL2 tells the host where that VTL sees the function's BARs and which of its VPs an interrupt is
 * for, and the host spares VTL2 what it need not see. It is the function's first capability of that kind. Little-endian.
 */

#define PCI_DIRECT_LENGTH    0x02 /* 1 byte: PCI_DIRECT_LEN */
#define PCI_DIRECT_SIGNATURE 0x04 /* 4 bytes: PCI_DIRECT_NAME */
#define PCI_DIRECT_LOW       0x08 /* 4 bytes */
#define PCI_DIRECT_HIGH      0x0C /* 4 bytes */
#define PCI_DIRECT_SELECT    0x10 /* 4 bytes: its writing makes low and high mean something */
#define PCI_DIRECT_LEN       0x14

#define PCI_DIRECT_NAME 0x72694445u /* "EDir" */

/* What is selected. A BAR: high and low are its guest-physical address, 0: nowhere. */
#define PCI_DIRECT_BAR(n) ((n) + 0u)

/* An MSI-X vector of the function: low is the VP's index, high the vector, 0: it is VTL2's as ever. */
#define PCI_DIRECT_VECTOR(n) (0x10000u + (n))

#endif

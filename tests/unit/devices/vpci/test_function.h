#ifndef TESTS_UNIT_DEVICES_VPCI_TEST_FUNCTION_H
#define TESTS_UNIT_DEVICES_VPCI_TEST_FUNCTION_H

#include <stdatomic.h>

#include "core/pci_function.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_direct.h"

/*
 * The least PCI function that has everything VPCI handles: a 64-bit BAR 0 of 16 KiB with a scratch
 * register, a register that raises a vector of MSI-X, and one that may be a doorbell.
 */

#define TEST_FUNCTION_BAR_SIZE 0x4000u
#define TEST_FUNCTION_SCRATCH  0x00u /* 8 bytes */
#define TEST_FUNCTION_RAISE    0x08u /* written: the vector to raise */
#define TEST_FUNCTION_DOORBELL 0x10u
#define TEST_FUNCTION_TABLE    0x1000u
#define TEST_FUNCTION_PBA      0x2000u
#define TEST_FUNCTION_VECTORS  4u
#define TEST_FUNCTION_VENDOR   0x1b36u
#define TEST_FUNCTION_DEVICE   0x0005u

struct pci_msix;

struct test_function {
	struct pci_function function;
	struct pci_config_space space;
	struct pci_msix *msix;
	_Atomic uint64_t scratch;
	atomic_int doorbell_fd; /* -1: the doorbell register is none */
	atomic_uint rings;      /* writes of the doorbell that came as accesses */
	unsigned int resets;
	bool is_direct;
	struct pci_direct direct; /* if so */

	/* The last write to the BAR; and how many there were. */
	_Atomic uint64_t offset, size;
	atomic_uint writes;

	/* What the bus says: where BAR 0 is, and which VP (low half) and vector its first message is for. */
	_Atomic uint64_t base, target;
	atomic_uint moves, target_changes;
	bool *destroyed; /* set by destroy(), which frees this */
};

/* NULL when out of memory. *destroyed may be NULL. */
struct test_function *test_function_create(bool *destroyed);

/* Lets its guest give it on to another VTL (devices/pci/pci_direct.h). Before it is plugged in. */
void test_function_add_direct(struct test_function *test);

/* Makes the doorbell one, or none (-1), and tells the bus. */
void test_function_set_doorbell(struct test_function *test, int fd);

#endif

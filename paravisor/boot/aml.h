#ifndef PARAVISOR_BOOT_AML_H
#define PARAVISOR_BOOT_AML_H

#include <stddef.h>
#include <stdint.h>

#include "paravisor/boot/byte_writer.h"

/*
 * An encoder for the part of ACPI Machine Language (ACPI 6.5 chapter 20) that our descriptions need: scopes, devices,
 * named values, resource templates (6.4), and simple control methods.
 *
 * Names are one segment of at most four characters, a leading backslash aside. A scope, device or
 * template returns a mark that its end wants back; they nest. Errors show in the writer's `full`.
 */

size_t aml_scope_begin(struct byte_writer *w, const char *name);
size_t aml_device_begin(struct byte_writer *w, const char *name);
void aml_block_end(struct byte_writer *w, size_t mark);

void aml_name_number(struct byte_writer *w, const char *name, uint64_t value);
void aml_name_string(struct byte_writer *w, const char *name, const char *value);
/* id: three capital letters and four hexadecimal digits (6.1.5), as "PNP0501". */
void aml_name_eisa_id(struct byte_writer *w, const char *name, const char *id);
/* A package of numbers, at most 255. */
void aml_name_package(struct byte_writer *w, const char *name, const uint64_t *values,
		      unsigned int count);

/* Name (_CRS, ResourceTemplate () { ... }) */
size_t aml_resources_begin(struct byte_writer *w);
void aml_resources_end(struct byte_writer *w, size_t mark);

/* Ports [base, base + len), all 16 address lines decoded (6.4.2.5). */
void aml_resource_io(struct byte_writer *w, uint16_t base, uint8_t len);
/* An ISA interrupt: edge, active high, exclusive (6.4.2.1). */
void aml_resource_irq(struct byte_writer *w, unsigned int irq);
/* Memory at [base, base + len) that the device itself answers (6.4.3.4). */
void aml_resource_memory(struct byte_writer *w, uint32_t base, uint32_t len);
/* Memory that the device passes on to what sits behind it, anywhere (6.4.3.5.1). */
void aml_resource_window(struct byte_writer *w, uint64_t base, uint64_t len);

/* Registers in memory, 32 bits each, one name a register from the region's start (20.2.5.2). */
void aml_registers(struct byte_writer *w, const char *region, uint32_t base,
		   const char *const *names, unsigned int count);

/* A serialized control method; its terms follow, up to aml_block_end(). */
size_t aml_method_begin(struct byte_writer *w, const char *name, unsigned int args);
/* If: the predicate follows, then the terms, up to aml_block_end(). */
size_t aml_if_begin(struct byte_writer *w);

/* Operators, whose operands are the terms that follow (20.2.5.4), and the simplest terms. */
enum aml_op {
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,  /* ARG0 + n */
	AML_STORE = 0x70, /* source, target */
	AML_DEREF = 0x83,
	AML_SIZEOF = 0x87,
	AML_INDEX = 0x88, /* package, index, target */
	AML_EQUAL = 0x93,
	AML_GREATER = 0x94,
	AML_RETURN = 0xa4,
};
void aml_op(struct byte_writer *w, unsigned int op);
void aml_integer(struct byte_writer *w, uint64_t value);
void aml_string(struct byte_writer *w, const char *value);
void aml_reference(struct byte_writer *w, const char *name);
/* Its bytes are those given. */
void aml_buffer(struct byte_writer *w, const void *bytes, size_t len);
void aml_package(struct byte_writer *w, const uint64_t *values, unsigned int count);

#endif

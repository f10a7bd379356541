#include "paravisor/boot/acpi.h"

#include "paravisor/boot/aml.h"
#include "proto/ppi.h"

/* 3DDDFAA6-361B-4EB4-A424-8D10089D1653 as a buffer has it (ACPI 6.5, 19.6.142 ToUUID) */
static const uint8_t ppi_uuid[16] = { 0xa6, 0xfa, 0xdd, 0x3d, 0x1b, 0x36, 0xb4, 0x4e,
				      0xa4, 0x24, 0x8d, 0x10, 0x08, 0x9d, 0x16, 0x53 };

enum {
	UUID = AML_ARG0,
	FUNCTION = AML_ARG0 + 2,
	ARGUMENTS = AML_ARG0 + 3,
};

/* In the registers' order (proto/ppi.h). */
static const char *const registers[PPI_REGISTERS] = { "PREQ", "PPAR", "PRES", "PLST",
						      "PRSP", "POPR", "PSTA" };

/* If (argument == value) { */
static size_t if_function(struct byte_writer *w, unsigned int number)
{
	size_t block = aml_if_begin(w);

	aml_op(w, AML_EQUAL);
	aml_op(w, FUNCTION);
	aml_integer(w, number);
	return block;
}

static void return_integer(struct byte_writer *w, uint64_t value)
{
	aml_op(w, AML_RETURN);
	aml_integer(w, value);
}

static void return_register(struct byte_writer *w, const char *name)
{
	aml_op(w, AML_RETURN);
	aml_reference(w, name);
}

/* register = ARGUMENTS[n] */
static void store_argument(struct byte_writer *w, unsigned int n, const char *name)
{
	aml_op(w, AML_STORE);
	aml_op(w, AML_DEREF);
	aml_op(w, AML_INDEX);
	aml_op(w, ARGUMENTS);
	aml_integer(w, n);
	aml_integer(w, 0); /* the index has no other target */
	aml_reference(w, name);
}

/* Return (Package () { 0, first, second }): what is no constant is stored into it. */
static void return_package(struct byte_writer *w, const char *first, const char *second)
{
	static const uint64_t zeros[3];
	const char *const names[] = { first, second };

	aml_op(w, AML_STORE);
	aml_package(w, zeros, 3);
	aml_op(w, AML_LOCAL0);
	for (unsigned int i = 0; i < 2; i++) {
		aml_op(w, AML_STORE);
		aml_reference(w, names[i]);
		aml_op(w, AML_INDEX);
		aml_op(w, AML_LOCAL0);
		aml_integer(w, i + 1);
		aml_integer(w, 0);
	}
	aml_op(w, AML_RETURN);
	aml_op(w, AML_LOCAL0);
}

/* Functions 2 and 7: a package of the operation and, since revision 2, its parameter. */
static void put_submit(struct byte_writer *w, unsigned int function)
{
	size_t block = if_function(w, function), parameter;

	aml_op(w, AML_STORE);
	aml_integer(w, 0);
	aml_reference(w, "PPAR");
	parameter = aml_if_begin(w);
	aml_op(w, AML_GREATER);
	aml_op(w, AML_SIZEOF);
	aml_op(w, ARGUMENTS);
	aml_integer(w, 1);
	store_argument(w, 1, "PPAR");
	aml_block_end(w, parameter);
	store_argument(w, 0, "PREQ");
	return_register(w, "PRES");
	aml_block_end(w, block);
}

/* Functions 1, 3 to 6 and 8. */
static void put_queries(struct byte_writer *w)
{
	size_t block = if_function(w, 1);

	aml_op(w, AML_RETURN);
	aml_string(w, "1.3");
	aml_block_end(w, block);
	block = if_function(w, 3);
	return_package(w, "PREQ", "PPAR");
	aml_block_end(w, block);
	block = if_function(w, 4);
	return_integer(w, 2); /* a reboot is what carries an operation out */
	aml_block_end(w, block);
	block = if_function(w, 5);
	return_package(w, "PLST", "PRSP");
	aml_block_end(w, block);
	block = if_function(w, 6);
	return_integer(w, 3); /* preferred language: not implemented */
	aml_block_end(w, block);
	block = if_function(w, 8);
	store_argument(w, 0, "POPR");
	return_register(w, "PSTA");
	aml_block_end(w, block);
}

void acpi_put_ppi(struct byte_writer *w, uint32_t base)
{
	static const uint8_t functions[] = { 0xff, 0x01 }, none[] = { 0 }; /* 0 to 8 */
	size_t method, interface, block;

	aml_registers(w, "PPIR", base, registers, PPI_REGISTERS);
	method = aml_method_begin(w, "_DSM", 4);
	interface = aml_if_begin(w);
	aml_op(w, AML_EQUAL);
	aml_op(w, UUID);
	aml_buffer(w, ppi_uuid, sizeof(ppi_uuid));
	block = if_function(w, 0);
	aml_op(w, AML_RETURN);
	aml_buffer(w, functions, sizeof(functions));
	aml_block_end(w, block);
	put_submit(w, 2);
	put_submit(w, 7);
	put_queries(w);
	aml_block_end(w, interface);
	aml_op(w, AML_RETURN);
	aml_buffer(w, none, sizeof(none));
	aml_block_end(w, method);
}

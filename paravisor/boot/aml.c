#include "paravisor/boot/aml.h"

#include <string.h>

/* ACPI 6.5 table 20.3 */
enum {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_QWORD = 0x0e,
	AML_METHOD = 0x14,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_IF = 0xa0,
	AML_EXTENDED = 0x5b,
	AML_EXT_REGION = 0x80,
	AML_EXT_FIELD = 0x81,
	AML_EXT_DEVICE = 0x82,
};

/* 6.4.2, 6.4.3: small tags carry their length in the low three bits */
enum {
	RESOURCE_IRQ = 0x20,
	RESOURCE_IO = 0x40,
	RESOURCE_END = 0x78,
	RESOURCE_MEMORY_32 = 0x86,
	RESOURCE_QWORD_ADDRESS = 0x8a,
};

/* 20.2.2: padded with underscores to four characters */
static void put_name(struct byte_writer *w, const char *name)
{
	unsigned int i;

	if (*name == '\\')
		byte_writer_u8(w, (uint8_t)*name++);
	for (i = 0; i < 4; i++)
		byte_writer_u8(w, *name ? (uint8_t)*name++ : '_');
}

/*
 * 20.2.4: a package length counts itself and what follows. Known only at the end, it is inserted
 * then, in its shortest form.
 */
void aml_block_end(struct byte_writer *w, size_t mark)
{
	size_t body = w->len - mark, total;
	uint8_t bytes[4];
	unsigned int size, i;

	if (w->full)
		return;
	if (body + 1 < 1u << 6) {
		bytes[0] = (uint8_t)(body + 1);
		byte_writer_insert(w, mark, bytes, 1);
		return;
	}
	for (size = 2; body + size >= 1u << (4 + 8 * (size - 1)); size++)
		if (size == 4) {
			w->full = true;
			return;
		}
	total = body + size;
	bytes[0] = (uint8_t)((size - 1) << 6 | (total & 0xf));
	for (i = 1; i < size; i++)
		bytes[i] = (uint8_t)(total >> (8 * i - 4));
	byte_writer_insert(w, mark, bytes, size);
}

size_t aml_scope_begin(struct byte_writer *w, const char *name)
{
	size_t mark;

	byte_writer_u8(w, AML_SCOPE);
	mark = w->len;
	put_name(w, name);
	return mark;
}

size_t aml_device_begin(struct byte_writer *w, const char *name)
{
	size_t mark;

	byte_writer_u8(w, AML_EXTENDED);
	byte_writer_u8(w, AML_EXT_DEVICE);
	mark = w->len;
	put_name(w, name);
	return mark;
}

void aml_integer(struct byte_writer *w, uint64_t value)
{
	if (value <= 1) {
		byte_writer_u8(w, value ? AML_ONE : AML_ZERO);
	} else if (value <= UINT8_MAX) {
		byte_writer_u8(w, AML_BYTE);
		byte_writer_number(w, value, 1);
	} else if (value <= UINT16_MAX) {
		byte_writer_u8(w, AML_WORD);
		byte_writer_number(w, value, 2);
	} else if (value <= UINT32_MAX) {
		byte_writer_u8(w, AML_DWORD);
		byte_writer_number(w, value, 4);
	} else {
		byte_writer_u8(w, AML_QWORD);
		byte_writer_number(w, value, 8);
	}
}

void aml_string(struct byte_writer *w, const char *value)
{
	byte_writer_u8(w, AML_STRING);
	byte_writer_put(w, value, strlen(value) + 1);
}

void aml_package(struct byte_writer *w, const uint64_t *values, unsigned int count)
{
	size_t mark;

	byte_writer_u8(w, AML_PACKAGE);
	mark = w->len;
	byte_writer_u8(w, (uint8_t)count);
	for (unsigned int i = 0; i < count; i++)
		aml_integer(w, values[i]);
	aml_block_end(w, mark);
}

static void put_named(struct byte_writer *w, const char *name)
{
	byte_writer_u8(w, AML_NAME);
	put_name(w, name);
}

void aml_name_number(struct byte_writer *w, const char *name, uint64_t value)
{
	put_named(w, name);
	aml_integer(w, value);
}

void aml_name_string(struct byte_writer *w, const char *name, const char *value)
{
	put_named(w, name);
	aml_string(w, value);
}

static unsigned int hex_digit(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') : (unsigned int)(c - 'A') + 10;
}

/* 6.1.5 and 19.3.4: five bits a letter, four a digit, the number's bytes in big-endian order */
void aml_name_eisa_id(struct byte_writer *w, const char *name, const char *id)
{
	uint32_t value = 0;
	unsigned int i;

	for (i = 0; i < 3; i++)
		value = value << 5 | ((unsigned int)id[i] - 0x40);
	for (; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	put_named(w, name);
	byte_writer_u8(w, AML_DWORD);
	byte_writer_number(w, __builtin_bswap32(value), 4);
}

void aml_name_package(struct byte_writer *w, const char *name, const uint64_t *values,
		      unsigned int count)
{
	put_named(w, name);
	aml_package(w, values, count);
}

size_t aml_resources_begin(struct byte_writer *w)
{
	put_named(w, "_CRS");
	byte_writer_u8(w, AML_BUFFER);
	return w->len;
}

/* 20.2.5.4: a buffer is its size, as an integer, and its bytes. 6.4.2.9: checksum 0 is allowed. */
void aml_resources_end(struct byte_writer *w, size_t mark)
{
	uint8_t integer[3];
	size_t size;

	byte_writer_u8(w, RESOURCE_END | 1);
	byte_writer_u8(w, 0);
	if (w->full)
		return;
	size = w->len - mark;
	integer[0] = size <= UINT8_MAX ? AML_BYTE : AML_WORD;
	integer[1] = (uint8_t)size;
	integer[2] = (uint8_t)(size >> 8);
	byte_writer_insert(w, mark, integer, size <= UINT8_MAX ? 2 : 3);
	aml_block_end(w, mark);
}

void aml_resource_io(struct byte_writer *w, uint16_t base, uint8_t len)
{
	byte_writer_u8(w, RESOURCE_IO | 7);
	byte_writer_u8(w, 1); /* 16 address lines */
	byte_writer_number(w, base, 2);
	byte_writer_number(w, base, 2);
	byte_writer_u8(w, 1); /* alignment */
	byte_writer_u8(w, len);
}

void aml_resource_irq(struct byte_writer *w, unsigned int irq)
{
	byte_writer_u8(w, RESOURCE_IRQ | 2);
	byte_writer_number(w, 1u << irq, 2);
}

void aml_resource_memory(struct byte_writer *w, uint32_t base, uint32_t len)
{
	byte_writer_u8(w, RESOURCE_MEMORY_32);
	byte_writer_number(w, 9, 2);
	byte_writer_u8(w, 1); /* writable */
	byte_writer_number(w, base, 4);
	byte_writer_number(w, len, 4);
}

void aml_resource_window(struct byte_writer *w, uint64_t base, uint64_t len)
{
	byte_writer_u8(w, RESOURCE_QWORD_ADDRESS);
	byte_writer_number(w, 43, 2);
	byte_writer_u8(w, 0);    /* memory */
	byte_writer_u8(w, 0x0c); /* a producer; both ends fixed */
	byte_writer_u8(w, 0x03); /* cacheable as its user likes, writable */
	byte_writer_number(w, 0, 8);
	byte_writer_number(w, base, 8);
	byte_writer_number(w, base + len - 1, 8);
	byte_writer_number(w, 0, 8);
	byte_writer_number(w, len, 8);
}

void aml_registers(struct byte_writer *w, const char *region, uint32_t base,
		   const char *const *names, unsigned int count)
{
	size_t mark;

	byte_writer_u8(w, AML_EXTENDED);
	byte_writer_u8(w, AML_EXT_REGION);
	put_name(w, region);
	byte_writer_u8(w, 0); /* in memory */
	aml_integer(w, base);
	aml_integer(w, 4 * count);
	byte_writer_u8(w, AML_EXTENDED);
	byte_writer_u8(w, AML_EXT_FIELD);
	mark = w->len;
	put_name(w, region);
	byte_writer_u8(w, 3); /* accesses of 32 bits, without the global lock */
	for (unsigned int i = 0; i < count; i++) {
		put_name(w, names[i]);
		byte_writer_u8(w, 32); /* bits */
	}
	aml_block_end(w, mark);
}

size_t aml_method_begin(struct byte_writer *w, const char *name, unsigned int args)
{
	size_t mark;

	byte_writer_u8(w, AML_METHOD);
	mark = w->len;
	put_name(w, name);
	byte_writer_u8(w, (uint8_t)(args | 1u << 3));
	return mark;
}

size_t aml_if_begin(struct byte_writer *w)
{
	byte_writer_u8(w, AML_IF);
	return w->len;
}

void aml_op(struct byte_writer *w, unsigned int op)
{
	byte_writer_u8(w, (uint8_t)op);
}

void aml_reference(struct byte_writer *w, const char *name)
{
	put_name(w, name);
}

void aml_buffer(struct byte_writer *w, const void *bytes, size_t len)
{
	size_t mark;

	byte_writer_u8(w, AML_BUFFER);
	mark = w->len;
	aml_integer(w, len);
	byte_writer_put(w, bytes, len);
	aml_block_end(w, mark);
}

#include "host/vtl2_uart.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/log.h"

#define BASE 0x2F8

/* Registers of a 16550 and the bits used here (National Semiconductor PC16550D, 8). */
enum {
	DATA_REG,
	IER_REG,
	IIR_REG,
	LCR_REG,
	MCR_REG,
	LSR_REG,
	MSR_REG,
	SCR_REG,
	REG_COUNT
};
#define IIR_NONE_PENDING 0x01
#define LCR_DLAB         0x80
#define LSR_EMPTY        0x60 /* THRE and TEMT */
#define MSR_READY        0xb0 /* DCD, DSR, CTS */

struct vtl2_uart {
	pthread_mutex_t lock;
	uint8_t registers[REG_COUNT];
	unsigned int length;
	char line[240];
};

struct vtl2_uart *vtl2_uart_create(void)
{
	struct vtl2_uart *uart = calloc(1, sizeof(*uart));

	if (uart)
		pthread_mutex_init(&uart->lock, NULL);
	return uart;
}

static void flush(struct vtl2_uart *uart)
{
	if (uart->length)
		log_info("vtl2: %.*s", (int)uart->length, uart->line);
	uart->length = 0;
}

void vtl2_uart_destroy(struct vtl2_uart *uart)
{
	if (!uart)
		return;
	flush(uart);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

bool vtl2_uart_covers(uint16_t port)
{
	return port >= BASE && port < BASE + REG_COUNT;
}

static void transmit(struct vtl2_uart *uart, char byte)
{
	if (byte == '\r')
		return;
	if (byte == '\n' || uart->length == sizeof(uart->line))
		flush(uart);
	if (byte != '\n')
		uart->line[uart->length++] = byte;
}

static uint8_t read_register(const struct vtl2_uart *uart, unsigned int reg)
{
	switch (reg) {
	case DATA_REG:
		return 0;
	case IIR_REG:
		return IIR_NONE_PENDING;
	case LSR_REG:
		return LSR_EMPTY;
	case MSR_REG:
		return MSR_READY;
	default:
		return uart->registers[reg];
	}
}

void vtl2_uart_access(struct vtl2_uart *uart, uint16_t port, uint8_t *data, bool write)
{
	unsigned int reg = port - BASE;

	pthread_mutex_lock(&uart->lock);
	if (!write)
		*data = read_register(uart, reg);
	else if (reg == DATA_REG && !(uart->registers[LCR_REG] & LCR_DLAB))
		transmit(uart, (char)*data);
	else
		uart->registers[reg] = *data;
	pthread_mutex_unlock(&uart->lock);
}

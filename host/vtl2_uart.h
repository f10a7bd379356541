#ifndef HOST_VTL2_UART_H
#define HOST_VTL2_UART_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The console of VTL2's kernel: a 16550 at COM2's ports, transmitter only, always ready, without
 * interrupts. What it receives goes to the log by lines. Any VP thread.
 */
struct vtl2_uart;

struct vtl2_uart *vtl2_uart_create(void);
void vtl2_uart_destroy(struct vtl2_uart *uart); /* flushes a last line */

bool vtl2_uart_covers(uint16_t port);
void vtl2_uart_access(struct vtl2_uart *uart, uint16_t port, uint8_t *data, bool write);

#endif

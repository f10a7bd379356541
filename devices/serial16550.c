#include "devices/serial16550.h"

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"

#include <stdlib.h>
#include <string.h>

/* Registers (data sheet, table II); the first two change their meaning with LCR_DLAB. */
enum {
	REG_DATA = 0, /* RBR, THR; divisor latch, low */
	REG_IER = 1,  /* divisor latch, high */
	REG_IIR = 2,  /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
	REG_COUNT = 8
};

#define IER_RDA  0x01 /* received data available */
#define IER_THRE 0x02
#define IER_RLS  0x04 /* receiver line status */
#define IER_MS   0x08 /* modem status */
#define IER_MASK 0x0f

#define IIR_MS      0x00
#define IIR_NONE    0x01
#define IIR_THRE    0x02
#define IIR_RDA     0x04
#define IIR_RLS     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_RESET_RX 0x02
#define FCR_RESET_TX 0x04

#define LCR_BREAK 0x40
#define LCR_DLAB  0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR         0x01
#define LSR_OE         0x02
#define LSR_FE         0x08
#define LSR_BI         0x10
#define LSR_THRE       0x20
#define LSR_TEMT       0x40
#define LSR_FIFO_ERROR 0x80
#define LSR_CAUSES     (LSR_OE | LSR_FE | LSR_BI)

#define MSR_DELTA_CTS 0x01
#define MSR_TERI      0x04 /* RI went off */
#define MSR_CTS       0x10
#define MSR_DSR       0x20
#define MSR_RI        0x40
#define MSR_DCD       0x80

#define FIFO_LEN        16
#define BATCH_LEN       240
#define BATCH_PERIOD_NS 20000000ull

struct received {
	uint8_t byte;
	uint8_t status; /* LSR bits that came with it */
};

struct serial16550 {
	struct serial16550_config config;
	struct event_timer batch_timer;

	uint8_t ier, lcr, mcr, scr;
	uint8_t lsr_errors; /* LSR_CAUSES that nobody has read */
	uint8_t modem;      /* MSR bits 4-7: the inputs */
	uint8_t modem_delta;
	uint8_t divisor_low, divisor_high;
	uint8_t trigger; /* receive FIFO level */
	bool fifos;
	bool thre_pending;
	unsigned int written; /* bytes written since the guest last looked for an interrupt */

	struct received rx[FIFO_LEN];
	unsigned int rx_first, rx_count;
	bool rx_refused; /* the backend has more */

	uint8_t batch[BATCH_LEN];
	size_t batch_len;
};

static unsigned int rx_capacity(const struct serial16550 *s)
{
	return s->fifos ? FIFO_LEN : 1;
}

/* The highest-priority interrupt (data sheet, table IV). */
static uint8_t pending_interrupt(const struct serial16550 *s)
{
	if ((s->ier & IER_RLS) && s->lsr_errors)
		return IIR_RLS;
	if ((s->ier & IER_RDA) && s->rx_count > 0)
		/* Fewer than the trigger level, and the line is idle: the timeout's condition. */
		return s->rx_count >= s->trigger ? IIR_RDA : IIR_TIMEOUT;
	if ((s->ier & IER_THRE) && s->thre_pending)
		return IIR_THRE;
	if ((s->ier & IER_MS) && s->modem_delta)
		return IIR_MS;
	return IIR_NONE;
}

/* On a PC OUT2 gates the wire, and the loopback disconnects OUT2. */
static void update_irq(struct serial16550 *s)
{
	bool wired = (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	irq_line_set(&s->config.irq, wired && pending_interrupt(s) != IIR_NONE);
}

/* Flags of a byte show, and interrupt, when it reaches the top of the FIFO. */
static void expose_top(struct serial16550 *s)
{
	struct received *top = &s->rx[s->rx_first];

	if (s->rx_count == 0)
		return;
	s->lsr_errors |= top->status;
	top->status = 0;
}

static void rx_push(struct serial16550 *s, uint8_t byte, uint8_t status)
{
	if (s->rx_count == rx_capacity(s)) {
		s->lsr_errors |= LSR_OE;
		/* Without FIFOs the new byte destroys the old, with them it is the one lost. */
		if (!s->fifos)
			s->rx[s->rx_first] = (struct received){ byte, status };
	} else {
		s->rx[(s->rx_first + s->rx_count) % FIFO_LEN] = (struct received){ byte, status };
		s->rx_count++;
	}
	expose_top(s);
}

static void rx_reset(struct serial16550 *s)
{
	s->rx_first = 0;
	s->rx_count = 0;
}

/* Last in a handler: the backend may call serial16550_receive() from inside. */
static void tell_room(struct serial16550 *s)
{
	if (!s->rx_refused || s->rx_count == rx_capacity(s) || (s->mcr & MCR_LOOP))
		return;
	s->rx_refused = false;
	if (s->config.backend.receive_ready)
		s->config.backend.receive_ready(s->config.backend.ctx);
}

static void flush(struct serial16550 *s)
{
	size_t len = s->batch_len;

	event_timer_cancel(&s->batch_timer);
	s->batch_len = 0;
	if (len > 0 && s->config.backend.transmit)
		s->config.backend.transmit(s->config.backend.ctx, s->batch, len);
}

static void batch_expired(struct event_timer *timer)
{
	struct serial16550 *s = container_of(timer, struct serial16550, batch_timer);

	device_lock_acquire(s->config.lock);
	flush(s);
	device_lock_release(s->config.lock);
}

static void transmit(struct serial16550 *s, uint8_t byte)
{
	s->batch[s->batch_len++] = byte;
	if (byte == '\n' || s->batch_len == BATCH_LEN)
		flush(s);
	else if (s->batch_len == 1)
		event_timer_arm(&s->batch_timer, event_loop_now_ns() + BATCH_PERIOD_NS);
}

/*
 * The byte is gone as soon as it is written. In theory that drops and raises the interrupt each
 * time; a guest filling what it takes for a FIFO gets one edge a FIFO instead, as from a real one.
 */
static void write_data(struct serial16550 *s, uint8_t byte)
{
	unsigned int burst = s->fifos ? FIFO_LEN : 1;

	if (s->written++ % burst == 0) {
		s->thre_pending = false;
		update_irq(s);
	}
	if (s->mcr & MCR_LOOP)
		rx_push(s, byte, 0);
	else
		transmit(s, byte);
	s->thre_pending = true;
	update_irq(s);
}

static uint8_t read_data(struct serial16550 *s)
{
	uint8_t byte = s->rx[s->rx_first].byte;

	if (s->rx_count == 0)
		return 0;
	s->rx_first = (s->rx_first + 1) % FIFO_LEN;
	s->rx_count--;
	expose_top(s);
	update_irq(s);
	tell_room(s);
	return byte;
}

static void write_ier(struct serial16550 *s, uint8_t value)
{
	/* Enabling it finds the transmitter empty, which is an event of its own. */
	if ((value & IER_THRE) && !(s->ier & IER_THRE))
		s->thre_pending = true;
	s->ier = value & IER_MASK;
	update_irq(s);
}

/* Reading clears the transmitter's interrupt if that is the one reported. */
static uint8_t read_iir(struct serial16550 *s)
{
	uint8_t iir = pending_interrupt(s);

	if (iir == IIR_THRE) {
		s->thre_pending = false;
		s->written = 0;
		update_irq(s);
	}
	return iir | (s->fifos ? IIR_FIFOS : 0);
}

static void write_fcr(struct serial16550 *s, uint8_t value)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	bool enable = value & FCR_ENABLE;

	if (enable != s->fifos || (value & FCR_RESET_RX))
		rx_reset(s);
	s->fifos = enable;
	/* The other bits are not looked at while this one is off. */
	s->trigger = enable ? triggers[value >> 6] : 1;
	update_irq(s);
	tell_room(s);
}

static void write_lcr(struct serial16550 *s, uint8_t value)
{
	bool begins = (value & ~s->lcr) & LCR_BREAK;

	s->lcr = value;
	if (begins && (s->mcr & MCR_LOOP)) {
		rx_push(s, 0, LSR_BI | LSR_FE);
		update_irq(s);
	}
}

/* The modem inputs: the cable's, or in loopback the outputs (data sheet, 8.6.4). */
static uint8_t modem_inputs(uint8_t mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial16550 *s, uint8_t value)
{
	uint8_t inputs, changed;

	s->mcr = value & MCR_MASK;
	inputs = modem_inputs(s->mcr);
	changed = inputs ^ s->modem;
	/* RI tells only of its end. */
	if (inputs & MSR_RI)
		changed &= (uint8_t)~MSR_RI;
	s->modem_delta |= changed >> 4;
	s->modem = inputs;
	update_irq(s);
	tell_room(s);
}

static uint8_t read_lsr(struct serial16550 *s)
{
	uint8_t lsr = LSR_THRE | LSR_TEMT | s->lsr_errors;
	bool errors = s->lsr_errors & (LSR_BI | LSR_FE);

	if (s->rx_count > 0)
		lsr |= LSR_DR;
	for (unsigned int i = 0; i < s->rx_count; i++)
		errors |= s->rx[(s->rx_first + i) % FIFO_LEN].status != 0;
	if (s->fifos && errors)
		lsr |= LSR_FIFO_ERROR;
	s->lsr_errors = 0;
	update_irq(s);
	return lsr;
}

static uint8_t read_msr(struct serial16550 *s)
{
	uint8_t msr = s->modem | s->modem_delta;

	s->modem_delta = 0;
	update_irq(s);
	return msr;
}

static uint8_t read_register(struct serial16550 *s, uint64_t reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? s->divisor_low : read_data(s);
	case REG_IER:
		return dlab ? s->divisor_high : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static void write_register(struct serial16550 *s, uint64_t reg, uint8_t value)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			s->divisor_low = value;
		else
			write_data(s, value);
		break;
	case REG_IER:
		if (dlab)
			s->divisor_high = value;
		else
			write_ier(s, value);
		break;
	case REG_IIR:
		write_fcr(s, value);
		break;
	case REG_LCR:
		write_lcr(s, value);
		break;
	case REG_MCR:
		write_mcr(s, value);
		break;
	case REG_SCR:
		s->scr = value;
		break;
	default: /* LSR and MSR: writing is for factory tests */
		break;
	}
}

static enum io_result port_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	(void)size;
	*value = read_register(dev, offset);
	return IO_DONE;
}

static enum io_result port_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)size;
	write_register(dev, offset, (uint8_t)value);
	return IO_DONE;
}

static const struct io_region_ops port_ops = {
	.read = port_read,
	.write = port_write,
};

struct serial16550 *serial16550_create(const struct serial16550_config *config)
{
	struct serial16550 *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	s->trigger = 1;
	s->divisor_low = 1; /* 115,200 baud */
	s->modem = modem_inputs(0);
	event_timer_init(&s->batch_timer, config->loop, batch_expired);
	return s;
}

void serial16550_destroy(struct serial16550 *s)
{
	if (!s)
		return;
	event_timer_cancel(&s->batch_timer);
	free(s);
}

int serial16550_attach(struct serial16550 *s, struct io_bus *bus, uint16_t base)
{
	const struct io_region region = {
		.name = "serial",
		.space = IO_PORT,
		.base = base,
		.len = REG_COUNT,
		.ops = &port_ops,
		.dev = s,
		.lock = s->config.lock,
		.max_size = 1,
	};

	return io_bus_add(bus, &region);
}

/* In loopback the receiver's input is disconnected: the sender waits. */
size_t serial16550_receive(struct serial16550 *s, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;

	device_lock_acquire(s->config.lock);
	if (!(s->mcr & MCR_LOOP)) {
		while (taken < len && s->rx_count < rx_capacity(s))
			rx_push(s, bytes[taken++], 0);
	}
	s->rx_refused = taken < len;
	update_irq(s);
	device_lock_release(s->config.lock);
	return taken;
}

void serial16550_receive_break(struct serial16550 *s)
{
	device_lock_acquire(s->config.lock);
	if (!(s->mcr & MCR_LOOP)) {
		rx_push(s, 0, LSR_BI | LSR_FE);
		update_irq(s);
	}
	device_lock_release(s->config.lock);
}

void serial16550_flush(struct serial16550 *s)
{
	device_lock_acquire(s->config.lock);
	flush(s);
	device_lock_release(s->config.lock);
}

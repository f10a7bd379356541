#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <stdbool.h>

/* An interrupt wire from a device to a controller. Copied by value; the controller outlives it. */
struct irq_line {
	void (*set)(void *ctx, unsigned int pin, bool level);
	void *ctx;
	unsigned int pin;
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->ctx, line->pin, level);
}

#endif

#ifndef HOST_LEVEL_ROUTES_H
#define HOST_LEVEL_ROUTES_H

#include <stdint.h>

/*
 * KVM with a split irqchip exits at the EOI of a vector only when an IOAPIC pin in its routing
 * table delivers that vector level-triggered. VTL2's HvCallAssertVirtualInterrupt names vectors,
 * not pins; so the first level-triggered one of a vector adds a route for it. Any thread.
 */
struct level_routes;

struct level_routes *level_routes_create(void);
void level_routes_destroy(struct level_routes *routes);

/* 0, or -errno when KVM refuses the table. */
int level_routes_add(struct level_routes *routes, int vm, uint8_t vector);

#endif

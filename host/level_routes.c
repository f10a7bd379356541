#include "host/level_routes.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/kvm.h"
#include "host/memory.h"

#define EVERYBODY (0xffu << 12) /* physical destination 255: any LAPIC may see the EOI */
#define LEVEL     (1u << 15)

struct level_routes {
	pthread_mutex_t lock;
	bool known[256];
	struct kvm_irq_routing *table; /* KVM_LEVEL_PINS entries */
};

struct level_routes *level_routes_create(void)
{
	struct level_routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return NULL;
	routes->table = calloc(1, sizeof(*routes->table) +
					  KVM_LEVEL_PINS * sizeof(routes->table->entries[0]));
	if (!routes->table) {
		free(routes);
		return NULL;
	}
	pthread_mutex_init(&routes->lock, NULL);
	return routes;
}

void level_routes_destroy(struct level_routes *routes)
{
	if (!routes)
		return;
	pthread_mutex_destroy(&routes->lock);
	free(routes->table);
	free(routes);
}

int level_routes_add(struct level_routes *routes, int vm, uint8_t vector)
{
	uint32_t n;
	int ret = 0;

	pthread_mutex_lock(&routes->lock);
	n = routes->table->nr;
	if (!routes->known[vector] && n >= KVM_LEVEL_PINS) {
		ret = -ENOSPC;
	} else if (!routes->known[vector]) {
		routes->table->entries[n] = (struct kvm_irq_routing_entry){
			.gsi = n,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi.address_lo = HOST_LAPIC_BASE | EVERYBODY,
			.u.msi.data = vector | LEVEL,
		};
		routes->table->nr = n + 1;
		ret = kvm_ioctl(vm, KVM_SET_GSI_ROUTING, routes->table);
		if (ret)
			routes->table->nr = n;
		else
			routes->known[vector] = true;
	}
	pthread_mutex_unlock(&routes->lock);
	return ret;
}

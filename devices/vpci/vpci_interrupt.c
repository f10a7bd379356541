/*
 * Interrupts of a function. The guest asks for one by vector and VP and gets an address and data to
 * program into the function; both are ours to choose, so the data is an index here.
 */

#include <errno.h>

#include "devices/vpci/vpci_internal.h"

/* An address like those of the architecture (SDM vol. 3, 11.11.1). */
#define MSI_ADDRESS 0xfee00000ull

#define FIRST_VECTOR 16u
#define LAST_VECTOR  255u
#define MAX_COUNT    32u

/*
 * An entry. One that the guest deletes keeps delivering until it is taken anew, and the search for
 * a free one begins after the last taken: Linux moves an interrupt by deleting it and creating
 * another before it masks the function's, and what comes in between must not be lost.
 */
#define ENTRY_TAKEN       (1ull << 63)
#define ENTRY_DELIVERS    (1ull << 62)
#define ENTRY_VECTOR(e)   ((uint8_t)(e))
#define ENTRY_VP(e)       ((uint32_t)((e) >> 8))
#define ENTRY(vp, vector) (ENTRY_TAKEN | ENTRY_DELIVERS | (uint64_t)(vp) << 8 | (vector))

static bool is_taken(struct vpci *vpci, unsigned int index)
{
	return atomic_load_explicit(&vpci->interrupts[index], memory_order_relaxed) & ENTRY_TAKEN;
}

static bool all_free(struct vpci *vpci, unsigned int first, unsigned int count)
{
	while (count--)
		if (is_taken(vpci, first + count))
			return false;
	return true;
}

/* The first of `count` free entries, aligned to that: a function with MSI adds to the data. */
static int find_free(struct vpci *vpci, unsigned int count)
{
	unsigned int first = (vpci->next_interrupt + count - 1) & ~(count - 1), i;

	for (i = 0; i < VPCI_INTERRUPTS_MAX; i += count, first += count) {
		first %= VPCI_INTERRUPTS_MAX;
		if (all_free(vpci, first, count))
			return (int)first;
	}
	return -ENOSPC;
}

/* With the lock, so that what the function does about it is done in the same order. */
static void tell_function(struct vpci *vpci)
{
	if (vpci->function->ops->targets_changed)
		vpci->function->ops->targets_changed(vpci->function);
}

int vpci_interrupt_create(struct vpci *vpci, uint32_t vp, uint32_t vector, uint16_t count,
			  struct vpci_translated_interrupt *interrupt)
{
	int first;
	unsigned int i;

	if (!count || count > MAX_COUNT || count & (count - 1) || vector < FIRST_VECTOR ||
	    vector > LAST_VECTOR || count > LAST_VECTOR - vector + 1 || vp >= vpci->config.vp_count)
		return -EINVAL;
	pthread_mutex_lock(&vpci->lock);
	first = find_free(vpci, count);
	for (i = 0; first >= 0 && i < count; i++)
		atomic_store(&vpci->interrupts[(unsigned int)first + i], ENTRY(vp, vector + i));
	if (first >= 0)
		vpci->next_interrupt = ((unsigned int)first + count) % VPCI_INTERRUPTS_MAX;
	tell_function(vpci);
	pthread_mutex_unlock(&vpci->lock);
	if (first < 0)
		return first;
	*interrupt = (struct vpci_translated_interrupt){
		.vector_count = count,
		.data = (uint32_t)first,
		.address = MSI_ADDRESS,
	};
	return 0;
}

void vpci_interrupt_delete(struct vpci *vpci, const struct vpci_translated_interrupt *interrupt)
{
	unsigned int i;

	if (interrupt->address != MSI_ADDRESS || interrupt->vector_count > MAX_COUNT ||
	    interrupt->data >= VPCI_INTERRUPTS_MAX ||
	    interrupt->vector_count > VPCI_INTERRUPTS_MAX - interrupt->data)
		return;
	pthread_mutex_lock(&vpci->lock);
	for (i = 0; i < interrupt->vector_count; i++)
		atomic_fetch_and(&vpci->interrupts[interrupt->data + i], ~ENTRY_TAKEN);
	pthread_mutex_unlock(&vpci->lock);
}

void vpci_interrupt_delete_all(struct vpci *vpci)
{
	unsigned int i;

	for (i = 0; i < VPCI_INTERRUPTS_MAX; i++)
		atomic_store(&vpci->interrupts[i], 0);
	vpci->next_interrupt = 0;
}

bool vpci_interrupt_target(void *ctx, uint64_t address, uint32_t data, uint32_t *vp,
			   uint8_t *vector)
{
	struct vpci *vpci = ctx;
	uint64_t entry;

	if (address != MSI_ADDRESS || data >= VPCI_INTERRUPTS_MAX)
		return false;
	entry = atomic_load(&vpci->interrupts[data]);
	*vp = ENTRY_VP(entry);
	*vector = ENTRY_VECTOR(entry);
	return entry & ENTRY_DELIVERS;
}

void vpci_interrupt_raise(struct vpci *vpci, uint64_t address, uint32_t data)
{
	uint32_t vp;
	uint8_t vector;

	if (vpci_interrupt_target(vpci, address, data, &vp, &vector))
		vpci->config.ops->interrupt(vpci->config.ctx, vp, vector);
}

int vpci_retarget(struct vpci *vpci, uint64_t address, uint32_t data, uint32_t vp, uint32_t vector)
{
	int ret = 0;

	if (address != MSI_ADDRESS || data >= VPCI_INTERRUPTS_MAX)
		return -ENOENT;
	if (vector < FIRST_VECTOR || vector > LAST_VECTOR || vp >= vpci->config.vp_count)
		return -EINVAL;
	pthread_mutex_lock(&vpci->lock);
	if (is_taken(vpci, data))
		atomic_store(&vpci->interrupts[data], ENTRY(vp, vector));
	else
		ret = -ENOENT;
	tell_function(vpci);
	pthread_mutex_unlock(&vpci->lock);
	return ret;
}

#include "devices/vmbus/vmbus_gpadl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(size_t word_count)
{
	return sizeof(struct vmbus_gpadl) + word_count * 8;
}

struct vmbus_gpadl *vmbus_gpadl_find(const struct vmbus_gpadl_set *set, uint32_t id)
{
	for (struct vmbus_gpadl *gpadl = set->head; gpadl; gpadl = gpadl->next)
		if (gpadl->id == id && gpadl->state != VMBUS_GPADL_ORPHANED)
			return gpadl;
	return NULL;
}

/* Takes what fits; the last words make the GPADL READY when they complete valid ranges. */
static int append(struct vmbus_gpadl *gpadl, const void *data, size_t have)
{
	size_t words = have / 8;

	if (gpadl->state != VMBUS_GPADL_BUILDING)
		return -EINVAL;
	if (words > gpadl->word_count - gpadl->filled)
		words = gpadl->word_count - gpadl->filled;
	memcpy(&gpadl->words[gpadl->filled], data, words * 8);
	gpadl->filled += words;
	if (gpadl->filled < gpadl->word_count)
		return 0;
	gpadl->state = VMBUS_GPADL_READY;
	return vmbus_gpa_list_init(&gpadl->list, gpadl->words, gpadl->word_count,
				   gpadl->range_count);
}

struct vmbus_gpadl *vmbus_gpadl_add(struct vmbus_gpadl_set *set, uint32_t id, uint32_t range_count,
				    size_t len, const void *data, size_t have, int *err)
{
	size_t words = len / 8;
	struct vmbus_gpadl *gpadl;

	*err = -EINVAL;
	if (!range_count || !words || words < range_count)
		return NULL;
	*err = -EEXIST;
	if (vmbus_gpadl_find(set, id))
		return NULL;
	*err = -ENOMEM;
	if (*set->bytes_used > VMBUS_GPADL_BYTES_MAX - size_of(words))
		return NULL;
	gpadl = calloc(1, size_of(words));
	if (!gpadl)
		return NULL;
	gpadl->id = id;
	gpadl->state = VMBUS_GPADL_BUILDING;
	gpadl->range_count = range_count;
	gpadl->word_count = words;
	gpadl->next = set->head;
	set->head = gpadl;
	*set->bytes_used += size_of(words);

	*err = append(gpadl, data, have);
	if (*err) {
		vmbus_gpadl_remove(set, gpadl);
		return NULL;
	}
	return gpadl;
}

int vmbus_gpadl_extend(struct vmbus_gpadl_set *set, struct vmbus_gpadl *gpadl, const void *data,
		       size_t have)
{
	int err = append(gpadl, data, have);

	if (err)
		vmbus_gpadl_remove(set, gpadl);
	return err;
}

void vmbus_gpadl_remove(struct vmbus_gpadl_set *set, struct vmbus_gpadl *gpadl)
{
	struct vmbus_gpadl **link = &set->head;

	while (*link != gpadl)
		link = &(*link)->next;
	*link = gpadl->next;
	*set->bytes_used -= size_of(gpadl->word_count);
	free(gpadl);
}

void vmbus_gpadl_abandon(struct vmbus_gpadl_set *set)
{
	struct vmbus_gpadl *gpadl = set->head;

	while (gpadl) {
		struct vmbus_gpadl *next = gpadl->next;

		if (gpadl->references)
			gpadl->state = VMBUS_GPADL_ORPHANED;
		else
			vmbus_gpadl_remove(set, gpadl);
		gpadl = next;
	}
}

#include "devices/nvme/nvme_emu_fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/nvme/nvme_emu_internal.h"

int nvme_emu_inject(struct nvme_emu *emu, const struct nvme_emu_fault *fault)
{
	int err = -ENOSPC;

	pthread_mutex_lock(&emu->lock);
	if (emu->fault_count < NVME_EMU_MAX_FAULTS) {
		emu->faults[emu->fault_count++] = *fault;
		__atomic_store_n(&emu->faulty, true, __ATOMIC_RELAXED);
		err = 0;
	}
	pthread_mutex_unlock(&emu->lock);
	return err;
}

void nvme_emu_clear_faults(struct nvme_emu *emu)
{
	pthread_mutex_lock(&emu->lock);
	emu->fault_count = 0;
	__atomic_store_n(&emu->faulty, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&emu->lock);
}

uint64_t nvme_emu_fault_hits(struct nvme_emu *emu)
{
	uint64_t hits;

	pthread_mutex_lock(&emu->lock);
	hits = emu->fault_hits;
	pthread_mutex_unlock(&emu->lock);
	return hits;
}

static bool concerns(const struct nvme_emu_fault *fault, const struct nvme_emu_sq *sq,
		     const struct nvme_sqe *sqe)
{
	if (fault->opcode >= 0 && fault->opcode != sqe->opcode)
		return false;
	return fault->queue == NVME_EMU_FAULT_ANY ||
	       (fault->queue == NVME_EMU_FAULT_ADMIN) == (sq->id == 0);
}

/* With the lock. A fault that has done its number is taken off the list. */
static bool is_due(struct nvme_emu *emu, unsigned int index, struct nvme_emu_fault *out)
{
	struct nvme_emu_fault *fault = &emu->faults[index];

	if (fault->after) {
		fault->after--;
		return false;
	}
	*out = *fault;
	if (fault->count && !--fault->count) {
		memmove(fault, fault + 1, (--emu->fault_count - index) * sizeof(*fault));
		__atomic_store_n(&emu->faulty, emu->fault_count != 0, __ATOMIC_RELAXED);
	}
	emu->fault_hits++;
	return true;
}

bool nvme_emu_fault_hit(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe,
			struct nvme_emu_fault *out)
{
	struct nvme_emu *emu = sq->emu;
	bool hit = false;

	pthread_mutex_lock(&emu->lock);
	for (unsigned int i = 0; i < emu->fault_count && !hit; i++)
		hit = concerns(&emu->faults[i], sq, sqe) && is_due(emu, i, out);
	pthread_mutex_unlock(&emu->lock);
	return hit;
}

/* --- Text */

#define SEPARATORS ",:"

static int find_name(const char *const *names, unsigned int count, const char *text, size_t len)
{
	for (unsigned int i = 0; i < count; i++) {
		if (strlen(names[i]) == len && !strncmp(names[i], text, len))
			return (int)i;
	}
	return -EINVAL;
}

static const char *const kinds[] = {
	[NVME_EMU_FAULT_STALL] = "stall",         [NVME_EMU_FAULT_FATAL] = "fatal",
	[NVME_EMU_FAULT_INTERRUPT] = "interrupt", [NVME_EMU_FAULT_STATUS] = "status",
	[NVME_EMU_FAULT_DELAY] = "delay",         [NVME_EMU_FAULT_BOGUS] = "bogus",
	[NVME_EMU_FAULT_DUPLICATE] = "duplicate", [NVME_EMU_FAULT_REMOVE] = "remove",
	[NVME_EMU_FAULT_RESIZE] = "resize",
};

static const char *const queues[] = {
	[NVME_EMU_FAULT_IO] = "io",
	[NVME_EMU_FAULT_ADMIN] = "admin",
	[NVME_EMU_FAULT_ANY] = "any",
};

enum key {
	KEY_QUEUE,
	KEY_OPCODE,
	KEY_AFTER,
	KEY_COUNT,
	KEY_STATUS,
	KEY_MS,
	KEY_NSID,
	KEY_BYTES,
};

static const char *const keys[] = {
	[KEY_QUEUE] = "queue", [KEY_OPCODE] = "opcode", [KEY_AFTER] = "after",
	[KEY_COUNT] = "count", [KEY_STATUS] = "status", [KEY_MS] = "ms",
	[KEY_NSID] = "nsid",   [KEY_BYTES] = "bytes",
};

static const uint64_t largest[] = {
	[KEY_OPCODE] = UINT8_MAX, [KEY_AFTER] = UINT64_MAX, [KEY_COUNT] = UINT64_MAX,
	[KEY_STATUS] = 0x7FFF,    [KEY_MS] = 3600000,       [KEY_NSID] = NVME_EMU_MAX_NAMESPACES,
	[KEY_BYTES] = INT64_MAX,
};

static void set_number(struct nvme_emu_fault *fault, enum key key, uint64_t value)
{
	switch (key) {
	case KEY_OPCODE:
		fault->opcode = (int)value;
		break;
	case KEY_AFTER:
		fault->after = value;
		break;
	case KEY_COUNT:
		fault->count = value;
		break;
	case KEY_STATUS:
		fault->status = (uint16_t)value;
		break;
	case KEY_MS:
		fault->delay_ms = (uint32_t)value;
		break;
	case KEY_NSID:
		fault->nsid = (uint32_t)value;
		break;
	case KEY_BYTES:
		fault->bytes = value;
		break;
	case KEY_QUEUE:
		break;
	}
}

/* KEY=VALUE in [text, text + len). */
static int parse_setting(const char *text, size_t len, struct nvme_emu_fault *fault)
{
	const char *equals = memchr(text, '=', len);
	unsigned long long number;
	const char *value;
	char *end;
	int key, queue;

	if (!equals)
		return -EINVAL;
	value = equals + 1;
	key = find_name(keys, sizeof(keys) / sizeof(keys[0]), text, (size_t)(equals - text));
	if (key < 0)
		return key;
	if (key == KEY_QUEUE) {
		queue = find_name(queues, sizeof(queues) / sizeof(queues[0]), value,
				  (size_t)(text + len - value));
		fault->queue = queue < 0 ? fault->queue : (enum nvme_emu_fault_queue)queue;
		return queue < 0 ? queue : 0;
	}
	errno = 0;
	number = strtoull(value, &end, 0);
	if (errno || end == value || end != text + len || *value == '-' || number > largest[key])
		return -EINVAL;
	set_number(fault, (enum key)key, number);
	return 0;
}

int nvme_emu_fault_parse(const char *text, struct nvme_emu_fault *fault)
{
	size_t len = strcspn(text, SEPARATORS);
	int kind = find_name(kinds, sizeof(kinds) / sizeof(kinds[0]), text, len);

	if (kind < 0)
		return -EINVAL;
	*fault = (struct nvme_emu_fault){
		.kind = (enum nvme_emu_fault_kind)kind,
		.opcode = -1,
		.nsid = 1,
		.status = NVME_SC_INTERNAL,
	};
	for (text += len; *text; text += len) {
		text++;
		len = strcspn(text, SEPARATORS);
		if (parse_setting(text, len, fault))
			return -EINVAL;
	}
	return 0;
}

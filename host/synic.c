#include "host/synic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/partition.h"
#include "host/vp.h"

#define QUEUE_MAX 64

struct synic_queued {
	struct synic_queued *next;
	struct hv_message message;
};

void synic_init(struct synic *synic)
{
	unsigned int i;

	memset(synic, 0, sizeof(*synic));
	pthread_mutex_init(&synic->lock, NULL);
	for (i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		synic->sint[i].masked = 1;
		synic->tail[i] = &synic->queue[i];
	}
}

void synic_destroy(struct synic *synic)
{
	unsigned int i;

	for (i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		while (synic->queue[i]) {
			struct synic_queued *entry = synic->queue[i];

			synic->queue[i] = entry->next;
			free(entry);
		}
	}
	pthread_mutex_destroy(&synic->lock);
}

/* The page that SIMP or SIEFP names, or NULL when it is disabled or no memory of this VTL. */
static void *page_of(struct vcpu *vcpu, uint64_t msr)
{
	const struct host_memory *memory = &vcpu->vp->partition->memory;
	uint64_t gpa = msr & HV_X64_MSR_PAGE_MASK;

	if (!(msr & HV_X64_MSR_PAGE_ENABLE) || !(vcpu->synic.scontrol & HV_SYNIC_SCONTROL_ENABLE))
		return NULL;
	if (!host_memory_allows(memory, vcpu->view, gpa, HV_PAGE_SIZE, HOST_READ | HOST_WRITE))
		return NULL;
	return host_memory_pointer(memory, gpa, HV_PAGE_SIZE);
}

static void raise_sint(struct vcpu *vcpu, unsigned int sint)
{
	union hv_synic_sint s = vcpu->synic.sint[sint];

	if (!s.masked && !s.polling)
		vp_interrupt(vcpu->vp, vcpu->vtl, (uint8_t)s.vector);
}

/*
 * The guest frees a slot by writing HV_MESSAGE_TYPE_NONE to its type, and looks at the pending flag
 * after that; so the flag is set before the type is looked at again (TLFS 11.6).
 */
static bool is_free(struct hv_message *slot)
{
	if (!__atomic_load_n(&slot->header.message_type, __ATOMIC_ACQUIRE))
		return true;
	__atomic_fetch_or(&slot->header.message_flags, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&slot->header.message_type, __ATOMIC_SEQ_CST);
}

static bool place(struct vcpu *vcpu, struct hv_message_page *page, unsigned int sint,
		  const struct hv_message *message, bool more)
{
	struct hv_message *slot = &page->sint_message[sint];

	if (!is_free(slot))
		return false;
	memcpy(slot->payload, message->payload, message->header.payload_size);
	slot->header.payload_size = message->header.payload_size;
	slot->header.message_flags = more ? HV_MESSAGE_FLAG_PENDING : 0;
	slot->header.reserved = 0;
	slot->header.sender = message->header.sender;
	__atomic_store_n(&slot->header.message_type, message->header.message_type,
			 __ATOMIC_RELEASE);
	raise_sint(vcpu, sint);
	return true;
}

static void drain(struct vcpu *vcpu, unsigned int sint)
{
	struct synic *synic = &vcpu->synic;
	struct hv_message_page *page = page_of(vcpu, synic->simp);
	struct synic_queued *entry = synic->queue[sint];

	if (!page || !entry || !place(vcpu, page, sint, &entry->message, entry->next != NULL))
		return;
	synic->queue[sint] = entry->next;
	if (!entry->next)
		synic->tail[sint] = &synic->queue[sint];
	synic->queued[sint]--;
	free(entry);
}

static int enqueue(struct synic *synic, unsigned int sint, const struct hv_message *message)
{
	struct synic_queued *entry;

	if (synic->queued[sint] >= QUEUE_MAX)
		return -EAGAIN;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -EAGAIN;
	entry->next = NULL;
	entry->message = *message;
	*synic->tail[sint] = entry;
	synic->tail[sint] = &entry->next;
	synic->queued[sint]++;
	return 0;
}

static int make_message(struct hv_message *message, unsigned int sint, uint32_t type,
			const void *payload, size_t len)
{
	if (sint >= HV_SYNIC_SINT_COUNT || !type || len > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return -EINVAL;
	*message = (struct hv_message){
		.header = { .message_type = type, .payload_size = (uint8_t)len },
	};
	memcpy(message->payload, payload, len);
	return 0;
}

int synic_post(struct vcpu *vcpu, unsigned int sint, uint32_t type, const void *payload, size_t len)
{
	struct synic *synic = &vcpu->synic;
	struct hv_message message;
	int ret = make_message(&message, sint, type, payload, len);

	if (ret)
		return ret;
	pthread_mutex_lock(&synic->lock);
	if (!page_of(vcpu, synic->simp)) {
		ret = -ENODEV;
	} else {
		ret = enqueue(synic, sint, &message);
		drain(vcpu, sint);
	}
	pthread_mutex_unlock(&synic->lock);
	return ret;
}

int synic_post_direct(struct vcpu *vcpu, unsigned int sint, uint32_t type, const void *payload,
		      size_t len)
{
	struct synic *synic = &vcpu->synic;
	struct hv_message_page *page;
	struct hv_message message;
	int ret = make_message(&message, sint, type, payload, len);

	if (ret)
		return ret;
	pthread_mutex_lock(&synic->lock);
	page = page_of(vcpu, synic->simp);
	if (!page)
		ret = -ENODEV;
	else if (synic->queue[sint] || !place(vcpu, page, sint, &message, false))
		ret = -EAGAIN;
	pthread_mutex_unlock(&synic->lock);
	return ret;
}

void synic_want(struct vcpu *vcpu, uint16_t sints)
{
	atomic_store(&vcpu->synic.wanted, sints);
}

uint16_t synic_deliverable(struct vcpu *vcpu)
{
	struct synic *synic = &vcpu->synic;
	struct hv_message_page *page;
	uint16_t wanted, found = 0;
	unsigned int i;

	if (!atomic_load_explicit(&synic->wanted, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&synic->lock);
	page = page_of(vcpu, synic->simp);
	wanted = atomic_load(&synic->wanted);
	for (i = 0; i < HV_SYNIC_SINT_COUNT; i++)
		if (wanted >> i & 1 &&
		    (!page || (!synic->queue[i] && is_free(&page->sint_message[i]))))
			found |= (uint16_t)(1u << i);
	atomic_fetch_and(&synic->wanted, (uint16_t)~found);
	pthread_mutex_unlock(&synic->lock);
	return found;
}

bool synic_listening(struct vcpu *vcpu, unsigned int sint)
{
	struct synic *synic = &vcpu->synic;
	bool listening;

	pthread_mutex_lock(&synic->lock);
	listening = page_of(vcpu, synic->simp) && !synic->sint[sint].masked;
	pthread_mutex_unlock(&synic->lock);
	return listening;
}

int synic_signal(struct vcpu *vcpu, unsigned int sint, unsigned int flag)
{
	struct synic *synic = &vcpu->synic;
	struct hv_synic_event_flags_page *page;
	uint8_t bit = (uint8_t)(1u << (flag % 8)), old;
	int ret = -ENODEV;

	if (sint >= HV_SYNIC_SINT_COUNT || flag >= HV_EVENT_FLAGS_COUNT)
		return -EINVAL;
	pthread_mutex_lock(&synic->lock);
	page = page_of(vcpu, synic->siefp);
	if (page) {
		old = __atomic_fetch_or(&page->event_flags[sint][flag / 8], bit, __ATOMIC_SEQ_CST);
		ret = !(old & bit);
		if (ret)
			raise_sint(vcpu, sint);
	}
	pthread_mutex_unlock(&synic->lock);
	return ret;
}

int synic_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct synic *synic = &vcpu->synic;
	int ret = 0;

	pthread_mutex_lock(&synic->lock);
	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		*value = synic->scontrol;
		break;
	case HV_X64_MSR_SVERSION:
		*value = HV_SYNIC_VERSION_1;
		break;
	case HV_X64_MSR_SIEFP:
		*value = synic->siefp;
		break;
	case HV_X64_MSR_SIMP:
		*value = synic->simp;
		break;
	case HV_X64_MSR_EOM:
		*value = 0;
		break;
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		*value = synic->sint[msr - HV_X64_MSR_SINT0].as_uint64;
		break;
	default:
		ret = -EINVAL;
	}
	pthread_mutex_unlock(&synic->lock);
	return ret;
}

/* Hyper-V starts both pages zeroed when they are enabled. */
static void enable_page(struct vcpu *vcpu, uint64_t *msr, uint64_t value)
{
	bool enabled = !(*msr & HV_X64_MSR_PAGE_ENABLE) && (value & HV_X64_MSR_PAGE_ENABLE);
	uint64_t gpa = value & HV_X64_MSR_PAGE_MASK;
	static const uint8_t zeroes[HV_PAGE_SIZE];

	*msr = value;
	if (enabled)
		host_memory_write(&vcpu->vp->partition->memory, vcpu->view, gpa, zeroes,
				  sizeof(zeroes));
}

static int write_sint(struct synic *synic, unsigned int sint, uint64_t value)
{
	union hv_synic_sint s = { .as_uint64 = value };

	if (!s.masked && s.vector < HV_SYNIC_FIRST_VALID_VECTOR)
		return -EINVAL;
	synic->sint[sint] = s;
	return 0;
}

int synic_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct synic *synic = &vcpu->synic;
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&synic->lock);
	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		synic->scontrol = value;
		break;
	case HV_X64_MSR_SIEFP:
		enable_page(vcpu, &synic->siefp, value);
		break;
	case HV_X64_MSR_SIMP:
		enable_page(vcpu, &synic->simp, value);
		break;
	case HV_X64_MSR_EOM:
		for (i = 0; i < HV_SYNIC_SINT_COUNT; i++)
			drain(vcpu, i);
		break;
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		ret = write_sint(synic, msr - HV_X64_MSR_SINT0, value);
		break;
	default: /* SVERSION is read-only */
		ret = -EINVAL;
	}
	pthread_mutex_unlock(&synic->lock);
	return ret;
}

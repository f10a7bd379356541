/* The channel of a VPCI bus: messages in, answers out. proto/vpci.h has the layouts. */
#include "devices/vpci/vpci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_server.h"
#include "devices/vpci/vpci_internal.h"

/* Of the guest's packets: more than its longest message, the resources it has chosen. */
#define MAX_PACKET 512u

/* Configuration space (PCI Local Bus Specification 3.0, 6.1). */
#define CONFIG_VENDOR_ID 0x00
#define CONFIG_CLASS     0x08
#define CONFIG_BAR(n)    ((uint16_t)(0x10 + 4 * (n)))
#define CONFIG_SUBSYSTEM 0x2c
#define BAR_FLAGS        0xfu

/* A request, copied: longer ones are cut, shorter ones end in zeroes. */
struct request {
	uint64_t trans_id;
	bool wants_completion;
	size_t len;
	union {
		uint32_t type;
		uint8_t bytes[sizeof(struct vpci_resources_assigned)];
		struct vpci_child_message child;
		struct vpci_version_request version;
		struct vpci_d0_entry d0_entry;
		struct vpci_power_change power;
		struct vpci_resources_assigned resources;
		struct vpci_create_interrupt create;
		struct vpci_create_interrupt2 create2;
		struct vpci_create_interrupt3 create3;
		struct vpci_delete_interrupt delete;
	};
};

/* --- sending --- */

static int send_now(struct vpci *vpci, const struct vpci_unsent *packet)
{
	return packet->completion
		       ? vmbus_channel_complete(vpci->channel, packet->trans_id, packet->bytes,
						packet->len)
		       : vmbus_channel_send(vpci->channel, false, 0, packet->bytes, packet->len);
}

/*
 * A packet that finds the ring full waits, and no request is taken until it is gone: each request
 * causes at most one packet, so there is never a second one.
 */
static void send_packet(struct vpci *vpci, bool completion, uint64_t trans_id, const void *bytes,
			size_t len)
{
	struct vpci_unsent *packet = &vpci->unsent;

	*packet =
		(struct vpci_unsent){ .completion = completion, .trans_id = trans_id, .len = len };
	memcpy(packet->bytes, bytes, len);
	if (send_now(vpci, packet) != -EAGAIN)
		return;
	packet->pending = true;
	vmbus_channel_pause(vpci->channel);
}

static bool flush_unsent(struct vpci *vpci)
{
	if (!vpci->unsent.pending)
		return true;
	if (send_now(vpci, &vpci->unsent) == -EAGAIN)
		return false;
	vpci->unsent.pending = false;
	vmbus_channel_resume(vpci->channel);
	return true;
}

static void answer(struct vpci *vpci, const struct request *request, const void *reply, size_t len)
{
	if (request->wants_completion)
		send_packet(vpci, true, request->trans_id, reply, len);
}

static void answer_status(struct vpci *vpci, const struct request *request, uint32_t status)
{
	struct vpci_status_reply reply = { .status = status };

	answer(vpci, request, &reply, sizeof(reply));
}

/* --- what is on the bus --- */

static struct vpci_function_description describe(struct vpci *vpci)
{
	uint32_t ids = vpci_config_read(vpci, CONFIG_VENDOR_ID, 4);
	uint32_t class = vpci_config_read(vpci, CONFIG_CLASS, 4);

	return (struct vpci_function_description){
		.vendor_id = (uint16_t)ids,
		.device_id = (uint16_t)(ids >> 16),
		.revision = (uint8_t) class,
		.prog_if = (uint8_t)(class >> 8),
		.subclass = (uint8_t)(class >> 16),
		.base_class = (uint8_t)(class >> 24),
		.subsystem_id = vpci_config_read(vpci, CONFIG_SUBSYSTEM, 4),
		.slot = VPCI_SLOT(0, 0),
		.serial = vpci->config.serial,
	};
}

static void send_relations(struct vpci *vpci)
{
	struct vpci_bus_relations2 two = {
		.type = VPCI_BUS_RELATIONS2,
		.device_count = 1,
		.function.base = describe(vpci),
	};
	struct vpci_bus_relations one = {
		.type = VPCI_BUS_RELATIONS,
		.device_count = 1,
		.function = two.function.base,
	};

	if (vpci->version >= VPCI_VERSION_1_3)
		send_packet(vpci, false, 0, &two, sizeof(two));
	else
		send_packet(vpci, false, 0, &one, sizeof(one));
}

static void answer_requirements(struct vpci *vpci, const struct request *request)
{
	struct vpci_resource_requirements_reply reply = { .status = VPCI_STATUS_SUCCESS };
	unsigned int i;

	for (i = 0; i < VPCI_BARS; i++) {
		const struct vpci_bar *bar = &vpci->bars[i];
		uint64_t mask = ~(bar->size - 1);

		if (!bar->size)
			continue;
		reply.bars[i] =
			(uint32_t)mask | (vpci_config_read(vpci, CONFIG_BAR(i), 4) & BAR_FLAGS);
		if (bar->is_64bit)
			reply.bars[++i] = (uint32_t)(mask >> 32);
	}
	answer(vpci, request, &reply, sizeof(reply));
}

/* --- requests --- */

static void query_version(struct vpci *vpci, const struct request *request)
{
	uint32_t version = request->version.protocol_version;
	bool known = version >= VPCI_VERSION_1_1 && version <= VPCI_VERSION_1_4;
	struct vpci_version_reply reply = {
		.status = known ? VPCI_STATUS_SUCCESS : VPCI_STATUS_REVISION_MISMATCH,
		.protocol_version = known ? version : VPCI_VERSION_1_4,
	};

	if (known)
		vpci->version = version;
	answer(vpci, request, &reply, sizeof(reply));
}

static void enter_d0(struct vpci *vpci, const struct request *request)
{
	uint32_t status = VPCI_STATUS_SUCCESS;

	if (vpci->in_d0)
		status = VPCI_STATUS_INVALID_DEVICE_STATE;
	else if (!request->d0_entry.mmio_base ||
		 vpci_mmio_set_window(vpci, request->d0_entry.mmio_base))
		status = VPCI_STATUS_BAD_DATA;
	else
		vpci->in_d0 = true;
	answer_status(vpci, request, status);
}

/*
 * What the guest has of the bus is gone: nothing of the function reaches it after this. The window goes first: through it another
 * VP could still configure what has been reset.
 */
static void power_down(struct vpci *vpci)
{
	vpci_mmio_set_window(vpci, 0);
	vpci_reset_function(vpci);
	vpci->in_d0 = false;
}

static void change_power(struct vpci *vpci, const struct request *request)
{
	struct vpci_power_change reply = request->power;

	reply.type = VPCI_STATUS_SUCCESS;
	answer(vpci, request, &reply, sizeof(reply));
}

static void assign_resources(struct vpci *vpci, const struct request *request)
{
	struct vpci_resources_assigned reply = request->resources;

	/* Interrupts that Windows assigns here: docs/vpci.md. */
	reply.type = !vpci->in_d0                              ? VPCI_STATUS_INVALID_DEVICE_STATE
		     : request->resources.msi_descriptor_count ? VPCI_STATUS_NOT_SUPPORTED
							       : VPCI_STATUS_SUCCESS;
	answer(vpci, request, &reply, sizeof(reply));
}

static void create_interrupt(struct vpci *vpci, const struct request *request, uint32_t vp,
			     uint32_t vector, uint16_t count)
{
	struct vpci_create_interrupt_reply reply = { .status = VPCI_STATUS_SUCCESS };
	int err = vpci_interrupt_create(vpci, vp, vector, count, &reply.interrupt);

	if (err)
		reply.status = err == -ENOSPC ? VPCI_STATUS_INSUFFICIENT : VPCI_STATUS_BAD_DATA;
	answer(vpci, request, &reply, sizeof(reply));
}

static bool delivery_known(uint8_t mode)
{
	return mode == VPCI_DELIVERY_FIXED || mode == VPCI_DELIVERY_LOWEST_PRIORITY;
}

/* One of the VPs that the guest names, the first: any will do by the protocol. */
static void create_interrupt1(struct vpci *vpci, const struct request *request)
{
	const struct vpci_create_interrupt *in = &request->create;

	if (!in->processor_mask || !delivery_known(in->delivery_mode)) {
		answer_status(vpci, request, VPCI_STATUS_BAD_DATA);
		return;
	}
	create_interrupt(vpci, request, (uint32_t)__builtin_ctzll(in->processor_mask), in->vector,
			 in->vector_count);
}

static void create_interrupt2(struct vpci *vpci, const struct request *request)
{
	const struct vpci_create_interrupt2 *in = &request->create2;

	if (!in->processor_count || in->processor_count > VPCI_PROCESSORS_MAX ||
	    !delivery_known(in->delivery_mode)) {
		answer_status(vpci, request, VPCI_STATUS_BAD_DATA);
		return;
	}
	create_interrupt(vpci, request, in->processors[0], in->vector, in->vector_count);
}

static void create_interrupt3(struct vpci *vpci, const struct request *request)
{
	const struct vpci_create_interrupt3 *in = &request->create3;

	if (!in->processor_count || in->processor_count > VPCI_PROCESSORS_MAX ||
	    !delivery_known(in->delivery_mode)) {
		answer_status(vpci, request, VPCI_STATUS_BAD_DATA);
		return;
	}
	create_interrupt(vpci, request, in->processors[0], in->vector, in->vector_count);
}

static void complete_ejection(struct vpci *vpci, const struct request *request)
{
	if (vpci->ejecting && vpci->config.ops->ejected)
		vpci->config.ops->ejected(vpci->config.ctx);
	vpci->ejecting = false;
	answer_status(vpci, request, VPCI_STATUS_SUCCESS);
}

/* --- dispatch --- */

static void release_resources(struct vpci *vpci, const struct request *request)
{
	vpci_reset_function(vpci);
	answer_status(vpci, request, VPCI_STATUS_SUCCESS);
}

static void leave_d0(struct vpci *vpci, const struct request *request)
{
	power_down(vpci);
	answer_status(vpci, request, VPCI_STATUS_SUCCESS);
}

static void query_relations(struct vpci *vpci, const struct request *request)
{
	(void)request; /* it has no completion */
	send_relations(vpci);
}

static void delete_interrupt(struct vpci *vpci, const struct request *request)
{
	vpci_interrupt_delete(vpci, &request->delete.interrupt);
	answer_status(vpci, request, VPCI_STATUS_SUCCESS);
}

static const struct message {
	uint32_t type;
	uint16_t min_len; /* bytes that a client sends at least */
	bool names_slot;
	void (*handle)(struct vpci *vpci, const struct request *request);
} messages[] = {
	{ VPCI_QUERY_PROTOCOL_VERSION, 8, false, query_version },
	{ VPCI_QUERY_BUS_RELATIONS, 4, false, query_relations },
	{ VPCI_QUERY_RESOURCE_REQUIREMENTS, 8, true, answer_requirements },
	{ VPCI_BUS_D0ENTRY, 16, false, enter_d0 },
	{ VPCI_BUS_D0EXIT, 4, false, leave_d0 },
	{ VPCI_POWER_STATE_CHANGE, 12, true, change_power },
	{ VPCI_RESOURCES_ASSIGNED, 132, true, assign_resources },
	{ VPCI_RESOURCES_ASSIGNED2, 132, true, assign_resources },
	{ VPCI_RESOURCES_ASSIGNED3, 132, true, assign_resources },
	{ VPCI_RESOURCES_RELEASED, 8, true, release_resources },
	{ VPCI_CREATE_INTERRUPT, sizeof(struct vpci_create_interrupt), true, create_interrupt1 },
	{ VPCI_CREATE_INTERRUPT2, VPCI_CREATE_INTERRUPT2_SIZE, true, create_interrupt2 },
	{ VPCI_CREATE_INTERRUPT3, VPCI_CREATE_INTERRUPT3_SIZE, true, create_interrupt3 },
	{ VPCI_DELETE_INTERRUPT, sizeof(struct vpci_delete_interrupt), true, delete_interrupt },
	{ VPCI_EJECTION_COMPLETE, 8, true, complete_ejection },
};

static const struct message *find(uint32_t type)
{
	size_t i;

	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].type == type)
			return &messages[i];
	return NULL;
}

/* Before the version is agreed on, nothing else has a meaning. */
static uint32_t check(const struct vpci *vpci, const struct message *message,
		      const struct request *request)
{
	if (!message)
		return VPCI_STATUS_NOT_SUPPORTED;
	if (request->len < message->min_len)
		return VPCI_STATUS_BAD_DATA;
	if (message->names_slot && request->child.slot != VPCI_SLOT(0, 0))
		return VPCI_STATUS_BAD_DATA;
	if (!vpci->version && message->type != VPCI_QUERY_PROTOCOL_VERSION)
		return VPCI_STATUS_INVALID_DEVICE_STATE;
	return VPCI_STATUS_SUCCESS;
}

static void take(struct vpci *vpci, const struct vmbus_packet *packet)
{
	struct request request = {
		.trans_id = packet->trans_id,
		.wants_completion = packet->wants_completion,
		.len = packet->payload_len,
	};
	const struct message *message;
	uint32_t status;

	if (packet->type != VM_PKT_DATA_INBAND)
		return; /* we ask for no completions */
	memcpy(request.bytes, packet->payload,
	       request.len < sizeof(request.bytes) ? request.len : sizeof(request.bytes));
	message = find(request.type);
	status = check(vpci, message, &request);
	if (status) {
		log_limited(LOG_DEBUG, "vpci: request %#x of %zu bytes refused: %#x", request.type,
			    request.len, status);
		answer_status(vpci, &request, status);
		return;
	}
	message->handle(vpci, &request);
}

/* --- the channel --- */

static int on_open(void *dev, struct vmbus_channel *channel, const uint8_t *user_data)
{
	struct vpci *vpci = dev;

	(void)user_data;
	vpci->channel = channel;
	vpci->version = 0;
	vpci->in_d0 = vpci->ejecting = false;
	vpci->unsent.pending = false;
	atomic_store(&vpci->open, true);
	return 0;
}

static void on_close(void *dev, struct vmbus_channel *channel)
{
	struct vpci *vpci = dev;

	atomic_store(&vpci->open, false);
	power_down(vpci);
	vmbus_channel_closed(channel);
}

static void send_eject(struct vpci *vpci)
{
	struct vpci_child_message eject = { .type = VPCI_EJECT, .slot = VPCI_SLOT(0, 0) };

	vpci->ejecting = true;
	send_packet(vpci, false, 0, &eject, sizeof(eject));
}

static void on_ready(void *dev, struct vmbus_channel *channel)
{
	struct vpci *vpci = dev;
	struct vmbus_packet packet;

	if (!flush_unsent(vpci))
		return;
	if (vpci->version && atomic_exchange(&vpci->eject_wanted, false))
		send_eject(vpci);
	while (!vpci->unsent.pending && !vmbus_channel_receive(channel, &packet))
		take(vpci, &packet);
}

static void on_gone(void *dev, struct vmbus_channel *channel)
{
	struct vpci *vpci = dev;

	(void)channel;
	if (vpci->config.ops->gone)
		vpci->config.ops->gone(vpci->config.ctx);
}

static const struct vmbus_channel_ops channel_ops = {
	.name = "vpci",
	.max_packet = MAX_PACKET,
	.open = on_open,
	.close = on_close,
	.ready = on_ready,
	.gone = on_gone,
};

/* --- the function's bus --- */

static void raise(void *ctx, uint64_t address, uint32_t data)
{
	vpci_interrupt_raise(ctx, address, data);
}

static void direct_interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	const struct vpci *vpci = ctx;

	if (vpci->config.ops->direct_interrupt)
		vpci->config.ops->direct_interrupt(vpci->config.ctx, vp, vector);
}

static const struct pci_bus_ops bus_ops = {
	.msi = raise,
	.msi_target = vpci_interrupt_target,
	.direct_bar = vpci_direct_bar,
	.direct_interrupt = direct_interrupt,
};

static void doorbells_changed(struct pci_function *function, void *ctx)
{
	(void)function;
	vpci_sync_doorbells(ctx);
}

static void plug_in(struct vpci *vpci)
{
	struct pci_function *function = vpci->function;

	function->bus.ops = &bus_ops;
	function->bus.ctx = vpci;
	function->bus.memory = vpci->config.memory;
	function->doorbells_changed = doorbells_changed;
	function->doorbells_ctx = vpci;
}

int vpci_create(const struct vpci_config *config, struct pci_function *function, struct vpci **out)
{
	struct vmbus_offer offer = {
		.interface = VPCI_INTERFACE_TYPE,
		.instance = config->instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
	};
	struct vpci *vpci = calloc(1, sizeof(*vpci));
	int ret;

	if (!vpci)
		return -ENOMEM;
	vpci->config = *config;
	vpci->function = function;
	pthread_mutex_init(&vpci->lock, NULL);
	pthread_mutex_init(&vpci->doorbell_lock, NULL);
	plug_in(vpci);
	vpci_mmio_init(vpci);
	*out = vpci;
	ret = vmbus_server_offer(config->server, &offer, &channel_ops, vpci, &vpci->channel);
	if (ret)
		goto free_vpci;
	return 0;

free_vpci:
	*out = NULL;
	pthread_mutex_destroy(&vpci->doorbell_lock);
	pthread_mutex_destroy(&vpci->lock);
	free(vpci);
	return ret;
}

void vpci_destroy(struct vpci *vpci)
{
	if (!vpci)
		return;
	vpci_reset_function(vpci);
	vpci->function->ops->destroy(vpci->function);
	pthread_mutex_destroy(&vpci->doorbell_lock);
	pthread_mutex_destroy(&vpci->lock);
	free(vpci);
}

/* As Linux's client puts the instance's bytes together; it also names the PCI domain by data2. */
uint32_t vpci_device_id(const struct vpci *vpci)
{
	const struct guid *instance = &vpci->config.instance;

	return (uint32_t)instance->data2 << 16 | (instance->data3 & 0xff00u) |
	       (instance->data3 & 0xf8u);
}

bool vpci_eject(struct vpci *vpci)
{
	if (!atomic_load(&vpci->open))
		return false;
	atomic_store(&vpci->eject_wanted, true);
	vmbus_channel_wake(vpci->channel);
	return true;
}

void vpci_rescind(struct vpci *vpci)
{
	vmbus_channel_rescind(vpci->channel);
}

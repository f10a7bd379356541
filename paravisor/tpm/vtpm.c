#include "paravisor/tpm/vtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "paravisor/tpm/link.h"
#include "paravisor/tpm/state.h"
#include "proto/tpm.h"
#include "tpm/crb.h"
#include "tpm/tis.h"

/* Nothing at start takes that long, on whatever machine: an RSA key is not made then. */
#define START_TIMEOUT_MS 60000

#define HEADER 10 /* bytes of a response that is only a return code */

enum power {
	POWER_STARTING, /* asked for */
	POWER_ON,
	POWER_GONE, /* for good */
};

/* All under `lock`. */
struct vtpm {
	struct device_lock lock;
	bool fifo;
	union {
		struct crb crb;
		struct tis tis;
	};
	struct vtpm_link *link;
	struct vtpm_state *state;
	struct event_loop *loop;
	enum power power;
	bool reset_established; /* with the next command */
	bool sealed;
	bool kept; /* the state: beyond this paravisor */
	uint8_t key[32];
	struct vtpm_request power_on, guest;
};

/* --- answers --- */

static void complete(struct vtpm *vtpm, const uint8_t *rsp, size_t len)
{
	if (vtpm->fifo)
		tis_complete(&vtpm->tis, rsp, len);
	else
		crb_complete(&vtpm->crb, rsp, len);
}

/* One that the TPM did not give. */
static void complete_with(struct vtpm *vtpm, uint32_t code)
{
	const uint8_t rsp[HEADER] = {
		0x80, 0x01, 0, 0, 0, HEADER, 0, 0, (uint8_t)(code >> 8), (uint8_t)code
	};

	complete(vtpm, rsp, sizeof(rsp));
}

/* --- power --- */

static void powered_on(struct vtpm_request *request, int error, const uint8_t *payload, size_t len)
{
	struct vtpm *vtpm = container_of(request, struct vtpm, power_on);

	(void)payload;
	(void)len;
	if (!error) {
		vtpm->power = POWER_ON;
	} else if (error != -EPIPE) { /* a death is followed by another start */
		log_error("vTPM: it does not start: errno %d", -error);
		vtpm->power = POWER_GONE;
	}
}

static int switch_on(struct vtpm *vtpm, uint32_t flags)
{
	struct vtpm_link_power_on message = {
		.header.type = VTPM_LINK_POWER_ON,
		.flags = flags | VTPM_LINK_STARTUP | (vtpm->sealed ? VTPM_LINK_SEALED : 0) |
			 (vtpm->kept ? VTPM_LINK_KEPT : 0),
	};
	int ret;

	memcpy(message.key, vtpm->key, sizeof(message.key));
	vtpm->power = POWER_STARTING;
	ret = vtpm_link_send(vtpm->link, &message.header, sizeof(message), NULL, 0,
			     &vtpm->power_on);
	explicit_bzero(&message, sizeof(message));
	if (ret)
		vtpm->power = POWER_GONE;
	return ret;
}

static void died(void *ctx, bool again)
{
	struct vtpm *vtpm = ctx;

	if (!again) {
		log_error("vTPM: it died too often and stays off");
		vtpm->power = POWER_GONE;
		return;
	}
	log_warn("vTPM: it died and is started again; PCRs are capped");
	if (switch_on(vtpm, VTPM_LINK_CAP))
		log_error("vTPM: it cannot be switched on");
}

/* --- VTL0's commands --- */

static void guest_done(struct vtpm_request *request, int error, const uint8_t *payload, size_t len)
{
	struct vtpm *vtpm = container_of(request, struct vtpm, guest);

	if (error)
		complete_with(vtpm, TPM_RC_FAILURE);
	else
		complete(vtpm, payload, len);
}

static int submit(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len)
{
	struct vtpm *vtpm = ctx;
	struct vtpm_link_execute message = {
		.header.type = VTPM_LINK_EXECUTE,
		.locality = locality,
		.flags = vtpm->reset_established ? VTPM_LINK_RESET_ESTABLISHED : 0,
	};
	int ret;

	if (vtpm->power == POWER_GONE)
		return -EIO;
	if (vtpm->power == POWER_STARTING) {
		complete_with(vtpm, TPM_RC_RETRY);
		return 0;
	}
	ret = vtpm_link_send(vtpm->link, &message.header, sizeof(message), cmd, len, &vtpm->guest);
	if (!ret)
		vtpm->reset_established = false;
	return ret;
}

static bool established(void *ctx)
{
	struct vtpm *vtpm = ctx;

	return vtpm_link_established(vtpm->link) && !vtpm->reset_established;
}

static void reset_established(void *ctx)
{
	struct vtpm *vtpm = ctx;

	vtpm->reset_established = true;
}

static const struct interface_ops interface_ops = {
	.submit = submit,
	.established = established,
	.reset_established = reset_established,
};

bool vtpm_is_fifo(const struct vtpm *vtpm)
{
	return vtpm->fifo;
}

/* --- the paravisor's own requests --- */

struct call {
	struct vtpm_request request;
	bool done;
	int error;
	uint8_t *out;
	size_t len; /* in: room; out: bytes */
};

static void call_done(struct vtpm_request *request, int error, const uint8_t *payload, size_t len)
{
	struct call *call = container_of(request, struct call, request);

	call->done = true;
	call->error = error ? error : len > call->len ? -EMSGSIZE : 0;
	if (call->error)
		return;
	if (len)
		memcpy(call->out, payload, len);
	call->len = len;
}

/* Runs the loop until *done, which a handler sets. */
static int wait_for(struct vtpm *vtpm, const bool *done)
{
	uint64_t end = event_loop_now_ns() + START_TIMEOUT_MS * 1000000ull;

	while (!*done) {
		int ret = event_loop_run_once(vtpm->loop, 1000);

		if (ret < 0)
			return ret;
		if (event_loop_now_ns() > end)
			return -ETIMEDOUT;
	}
	return 0;
}

/* A call that times out is fatal to VTL0's start, so that its struct is not used after its end. */
static int call(struct vtpm *vtpm, struct vtpm_link_header *header, size_t header_len,
		const void *payload, size_t payload_len, void *out, size_t *len)
{
	struct call call = { .request = { call_done }, .out = out, .len = *len };
	int ret;

	device_lock_acquire(&vtpm->lock);
	ret = vtpm_link_send(vtpm->link, header, header_len, payload, payload_len, &call.request);
	device_lock_release(&vtpm->lock);
	if (!ret)
		ret = wait_for(vtpm, &call.done);
	if (!ret)
		ret = call.error;
	*len = ret ? 0 : call.len;
	return ret;
}

int vtpm_execute(struct vtpm *vtpm, const uint8_t *cmd, size_t cmd_len, uint8_t *rsp, size_t *len)
{
	struct vtpm_link_execute message = { .header.type = VTPM_LINK_EXECUTE,
					     .flags = VTPM_LINK_PRESENCE };
	int ret = call(vtpm, &message.header, sizeof(message), cmd, cmd_len, rsp, len);

	if (ret)
		return ret;
	if (*len < HEADER)
		return -EPROTO;
	return (int)(((uint32_t)rsp[8] << 8 | rsp[9]) & 0xFFF);
}

int vtpm_reset(struct vtpm *vtpm)
{
	struct vtpm_link_header header = { .type = VTPM_LINK_RESET };
	size_t len = 0;

	return call(vtpm, &header, sizeof(header), NULL, 0, NULL, &len);
}

void *vtpm_note(struct vtpm *vtpm)
{
	return vtpm_state_note(vtpm->state);
}

static void write_note(void *ctx)
{
	struct vtpm *vtpm = ctx;

	device_lock_acquire(&vtpm->lock);
	vtpm_state_note_changed(vtpm->state);
	device_lock_release(&vtpm->lock);
}

int vtpm_note_changed(struct vtpm *vtpm)
{
	return event_loop_post(vtpm->loop, write_note, vtpm);
}

/* --- creation --- */

static int connect_link(struct vtpm *vtpm, const struct vtpm_config *config)
{
	const struct vtpm_link_config link = {
		.loop = config->loop,
		.lock = &vtpm->lock,
		.from = config->from,
		.to = config->to,
		.state = vtpm->state,
		.patience_ms = config->patience_ms,
		.died = died,
		.ctx = vtpm,
	};

	return vtpm_link_create(&vtpm->link, &link);
}

/* The first process that starts, starts the machine: one that died has left no PCRs to be capped, but is no good sign. */
static int wait_for_power(struct vtpm *vtpm)
{
	uint64_t end = event_loop_now_ns() + START_TIMEOUT_MS * 1000000ull;

	while (vtpm->power == POWER_STARTING && event_loop_now_ns() < end) {
		int ret = event_loop_run_once(vtpm->loop, 1000);

		if (ret < 0)
			return ret;
	}
	return vtpm->power == POWER_ON ? 0 : -EIO;
}

static int add_region(struct vtpm *vtpm, struct io_bus *bus)
{
	const struct io_region region = {
		.name = "TPM",
		.space = IO_MEMORY,
		.base = INTERFACE_BASE,
		.len = INTERFACE_SIZE,
		.ops = vtpm->fifo ? &tis_region_ops : &crb_region_ops,
		.dev = vtpm->fifo ? (void *)&vtpm->tis : &vtpm->crb,
		.lock = &vtpm->lock,
	};

	return io_bus_add(bus, &region);
}

static int create_state(struct vtpm *vtpm, const struct vtpm_config *config)
{
	vtpm->state = vtpm_state_create(config->backing, config->backing_ctx);
	if (!vtpm->state)
		return -ENOMEM;
	if (config->state_len > vtpm_state_size())
		return -EBADMSG;
	if (config->state_len)
		memcpy(vtpm_state_image(vtpm->state), config->state, config->state_len);
	return 0;
}

int vtpm_create(struct vtpm **out, const struct vtpm_config *config)
{
	struct vtpm *vtpm;
	int ret;

	if (fcntl(config->from, F_GETFD) < 0 || fcntl(config->to, F_GETFD) < 0)
		return -ENODEV;
	vtpm = calloc(1, sizeof(*vtpm));
	if (!vtpm)
		return -ENOMEM;
	ret = device_lock_init(&vtpm->lock);
	if (ret) {
		free(vtpm);
		return ret;
	}
	vtpm->loop = config->loop;
	vtpm->power_on.done = powered_on;
	vtpm->guest.done = guest_done;
	vtpm->sealed = config->key;
	vtpm->kept = config->backing;
	if (config->key)
		memcpy(vtpm->key, config->key, sizeof(vtpm->key));
	vtpm->fifo = config->fifo;
	if (vtpm->fifo)
		tis_init(&vtpm->tis, &interface_ops, vtpm);
	else
		crb_init(&vtpm->crb, &interface_ops, vtpm);
	ret = create_state(vtpm, config);
	if (!ret)
		ret = connect_link(vtpm, config);
	if (!ret)
		ret = switch_on(vtpm, 0);
	if (!ret)
		ret = wait_for_power(vtpm);
	if (!ret)
		ret = add_region(vtpm, config->bus);
	if (ret) {
		vtpm_destroy(vtpm);
		return ret;
	}
	*out = vtpm;
	return 0;
}

void vtpm_destroy(struct vtpm *vtpm)
{
	if (!vtpm)
		return;
	vtpm_link_destroy(vtpm->link);
	vtpm_state_destroy(vtpm->state);
	device_lock_destroy(&vtpm->lock);
	explicit_bzero(vtpm, sizeof(*vtpm));
	free(vtpm);
}

// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/engine/modules.h"
#include "tpm/instance.h"
#include "tpm/link.h"
#include "tpm/setup/ek.h"
#include "tpm/setup/exchange.h"
#include "tpm/vtpm_serve.h"

/* The PCRs that a boot is measured into, and that nothing but a boot may reset (PC Client profile, 4.6). */
#define BOOT_PCRS 16

struct vtpm {
	struct link link;
	struct instance instance;
	unsigned long executed;
	struct vtpm_test test;
};

static int answer(struct vtpm *v, uint32_t id, int error, const void *payload, size_t len)
{
	struct vtpm_link_done done = {
		.header = { VTPM_LINK_DONE, id },
		.error = error,
		.established = v->instance.tpm && tpm_established(v->instance.tpm),
	};

	return link_send(&v->link, &done, sizeof(done), payload, len);
}

/* --- power --- */

static uint32_t run(struct vtpm *v, const uint8_t *cmd, size_t len)
{
	uint8_t rsp[TPM_MAX_COMMAND];

	v->instance.locality = 0;
	instance_execute(&v->instance, cmd, len, rsp);
	return (uint32_t)rsp[6] << 24 | rsp[7] << 16 | rsp[8] << 8 | rsp[9];
}

static int startup(struct vtpm *v)
{
	static const uint8_t cmd[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0 };

	return run(v, cmd, sizeof(cmd)) ? -EIO : 0;
}

/*
 * TPM2_PCR_Event with a text that no boot measures, for each PCR of the boot: after the loss of their values a guest
 * could otherwise extend them again, with whatever it likes, from zero.
 */
static int cap(struct vtpm *v)
{
	static const char text[] = "vTPM restarted";
	uint8_t cmd[27 + 2 + sizeof(text) - 1] = { 0x80, 0x02,
						   0,    0,
						   0,    sizeof(cmd),
						   0,    0,
						   0x01, 0x3C, /* TPM2_PCR_Event */
						   0,    0,
						   0,    0, /* the PCR */
						   0,    0,
						   0,    9,
						   0x40, 0,
						   0,    0x09,
						   0,    0,
						   0,    0,
						   0, /* an empty password */
						   0,    sizeof(text) - 1 };

	memcpy(cmd + sizeof(cmd) - (sizeof(text) - 1), text, sizeof(text) - 1);
	for (uint8_t pcr = 0; pcr < BOOT_PCRS; pcr++) {
		cmd[13] = pcr;
		if (run(v, cmd, sizeof(cmd)))
			return -EIO;
	}
	return 0;
}

/*
 * A new TPM measures by SHA-256 alone, as most are set up. Each bank is another hash of all that is loaded; whoever wants
 * it can have it from the TPM.
 */
static int allocate(struct exchange *x)
{
	bool done;
	uint32_t rc = exchange_allocate(x, (uint8_t)(1u << hash_index(TPM_ALG_SHA256)), &done);

	return rc || !done ? -EIO : 0;
}

/*
 * RSA 2048, P-256 and P-384 by TCG's templates. They come from the seeds, so that one which is lost, to a death of this
 * process meanwhile or to TPM2_Clear, can be made again by anybody.
 */
static int make_endorsement_keys(struct exchange *x)
{
	static const char *const names[] = { "rsa2048", "p256", "p384" };
	struct public_area template, pub;
	uint32_t rc = 0;

	for (size_t i = 0; !rc && i < sizeof(names) / sizeof(*names); i++) {
		const struct ek *ek = ek_find(names[i]);

		ek_template(ek, &template);
		rc = exchange_primary(x, TPM_RH_ENDORSEMENT, ek->handle, &template, &pub);
	}
	return rc ? -EIO : 0;
}

/* Of a new TPM: what its maker would have done. */
static int manufacture(struct vtpm *v, bool kept)
{
	struct exchange *x = calloc(1, sizeof(*x));
	int ret;

	if (!x)
		return -ENOMEM;
	x->in = &v->instance;
	ret = startup(v);
	if (!ret)
		ret = allocate(x);
	if (!ret && kept)
		ret = make_endorsement_keys(x);
	free(x);
	/* Banks take effect at the next _TPM_Init. */
	return ret ? ret : instance_init(&v->instance, false);
}

static int power_on(struct vtpm *v)
{
	uint32_t flags = v->link.power_on.flags, id = v->link.header.id;
	uint8_t key[STORE_KEY_SIZE];
	int ret;

	if (v->link.len != sizeof(v->link.power_on) || v->instance.tpm)
		return answer(v, id, -EINVAL, NULL, 0);
	memcpy(key, v->link.power_on.key, sizeof(key));
	mbedtls_platform_zeroize(&v->link.power_on, sizeof(v->link.power_on));
	ret = store_open(&v->instance.permanent, &link_store_device, &v->link, TPM_MAX_BLOB,
			 flags & VTPM_LINK_SEALED ? key : NULL, instance_random);
	mbedtls_platform_zeroize(key, sizeof(key));
	if (!ret)
		ret = instance_open(&v->instance);
	if (!ret)
		ret = instance_init(&v->instance, false);
	if (!ret && v->instance.is_new)
		ret = manufacture(v, flags & VTPM_LINK_KEPT);
	if (!ret && flags & VTPM_LINK_STARTUP)
		ret = startup(v);
	if (!ret && flags & VTPM_LINK_CAP)
		ret = cap(v);
	return answer(v, id, ret, NULL, 0);
}

static int reset(struct vtpm *v)
{
	static const uint8_t shutdown[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0 };
	uint32_t id = v->link.header.id; /* the packet is used for the store, too */
	int ret = v->instance.tpm ? 0 : -EINVAL;

	if (!ret && run(v, shutdown, sizeof(shutdown)))
		ret = -EIO;
	if (!ret)
		ret = instance_init(&v->instance, false);
	if (!ret)
		ret = startup(v);
	return answer(v, id, ret, NULL, 0);
}

/* --- commands --- */

/*
 * Seconds of processor time, after which a command hangs: several times what the slowest machine that we know of (a
 * processor that QEMU emulates) takes for it. Linux gives up after 300 for those that make RSA keys.
 */
#define BOUND         60
#define BOUND_NEW_KEY 300

static unsigned long bound(const struct vtpm *v, const uint8_t *cmd, size_t len)
{
	uint32_t code = len < 10 ? 0 : (uint32_t)cmd[6] << 24 | cmd[7] << 16 | cmd[8] << 8 | cmd[9];

	if (v->test.bound)
		return v->test.bound;
	switch (code) {
	case TPM_CC_CreatePrimary:
	case TPM_CC_Create:
	case TPM_CC_CreateLoaded:
		return BOUND_NEW_KEY;
	default:
		return BOUND;
	}
}

/*
 * Has SIGPROF end the process after that time, which /init sees as a death; 0: no more. What the host takes to keep the
 * state does not count: only the processor's time does.
 */
static void watch(unsigned long seconds)
{
	const struct itimerval timer = { .it_value.tv_sec = (time_t)seconds };

	(void)setitimer(ITIMER_PROF, &timer, NULL);
}

/* A call that the filter does not know is how a test has the process killed. */
static void test_failures(struct vtpm *v)
{
	v->executed++;
	if (v->executed == v->test.die_at)
		syscall(SYS_getppid);
	while (v->executed == v->test.hang_at)
		__asm__ volatile("pause");
}

static int execute(struct vtpm *v)
{
	uint8_t cmd[VTPM_LINK_PACKET], rsp[TPM_MAX_COMMAND];
	const struct vtpm_link_execute request = v->link.execute;
	size_t len;

	if (v->link.len < sizeof(request))
		return -EBADMSG;
	len = v->link.len - sizeof(request);
	memcpy(cmd, v->link.packet + sizeof(request), len);
	watch(bound(v, cmd, len));
	test_failures(v);
	if (v->instance.tpm && request.flags & VTPM_LINK_RESET_ESTABLISHED)
		tpm_reset_established(v->instance.tpm);
	v->instance.locality = (uint8_t)request.locality;
	v->instance.physical_presence = request.flags & VTPM_LINK_PRESENCE;
	len = instance_execute(&v->instance, cmd, len, rsp);
	watch(0);
	mbedtls_platform_zeroize(cmd, sizeof(cmd));
	/* A response that does not fit the guest's buffer does not fit the packet; none is that long. */
	if (answer(v, request.header.id, 0, rsp, len) == -EMSGSIZE)
		return answer(v, request.header.id, -EMSGSIZE, NULL, 0);
	mbedtls_platform_zeroize(rsp, len);
	return 0;
}

/* --- */

static int dispatch(struct vtpm *v)
{
	switch (v->link.header.type) {
	case VTPM_LINK_POWER_ON:
		return power_on(v);
	case VTPM_LINK_EXECUTE:
		return execute(v);
	case VTPM_LINK_RESET:
		return reset(v);
	case VTPM_LINK_STORE_DONE:
		link_store_done(&v->link);
		return 0;
	default:
		return -EBADMSG;
	}
}

int vtpm_serve(int in, int out, const struct vtpm_test *test)
{
	struct vtpm *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return -ENOMEM;
	v->link.in = in;
	v->link.out = out;
	if (test)
		v->test = *test;
	do
		ret = link_receive(&v->link);
	while (!ret && !(ret = dispatch(v)));
	instance_close(&v->instance);
	mbedtls_platform_zeroize(v, sizeof(*v));
	free(v);
	return ret;
}

#include "paravisor/tpm/ppi.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/device_lock.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "paravisor/tpm/state.h"
#include "paravisor/tpm/vtpm.h"
#include "proto/ppi.h"
#include "proto/tpm.h"

#define BANKS 4 /* bits of the parameter of PPI_SET_PCR_BANKS */

/* What is kept with the TPM's state. */
struct note {
	uint8_t magic[4];
	uint32_t request, parameter; /* for the next start */
	uint32_t last, response;     /* of the last one */
};
static_assert(sizeof(struct note) <= VTPM_STATE_NOTE, "there is room");

static const uint8_t magic[4] = { 'P', 'P', 'I', '1' };

/* Under `lock`. */
struct ppi {
	struct device_lock lock;
	struct vtpm *vtpm;
	struct note note;
	uint32_t parameter; /* of a submission that is to come */
	uint32_t result;    /* of the last one */
	uint32_t operation; /* whose status is asked for */
};

static bool implemented(uint32_t operation)
{
	switch (operation) {
	case PPI_NO_OPERATION:
	case PPI_CLEAR:
	case PPI_ENABLE_CLEAR:
	case PPI_ENABLE_CLEAR_2:
	case PPI_ENABLE_CLEAR_3:
	case PPI_SET_PCR_BANKS:
	case PPI_CHANGE_EPS:
		return true;
	default:
		return false;
	}
}

static int keep(struct ppi *ppi)
{
	memcpy(vtpm_note(ppi->vtpm), &ppi->note, sizeof(ppi->note));
	return vtpm_note_changed(ppi->vtpm);
}

/* --- what a start does --- */

/* A command that the platform authorises, with its empty password. Leaves the response's parameters to look at. */
static uint32_t platform_command(struct ppi *ppi, uint16_t code, const uint8_t *params, size_t len,
				 uint8_t *out, size_t out_len)
{
	uint8_t cmd[128] = {
		0x80, 0x02, 0, 0,    0,    0, 0, 0,   (uint8_t)(code >> 8), (uint8_t)code,
		0x40, 0,    0, 0x0C, /* TPM_RH_PLATFORM */
		0,    0,    0, 9,    0x40, 0, 0, 0x09
	};
	const size_t head = 27,
		     before = 14; /* bytes up to the parameters, of the response up to its own */
	uint8_t rsp[256];
	size_t rsp_len = sizeof(rsp);
	int ret;

	cmd[5] = (uint8_t)(head + len);
	if (len)
		memcpy(cmd + head, params, len);
	ret = vtpm_execute(ppi->vtpm, cmd, head + len, rsp, &rsp_len);
	if (!ret && out_len && rsp_len < before + out_len)
		ret = -EPROTO;
	if (!ret && out_len)
		memcpy(out, rsp + before, out_len);
	return ret < 0 ? PPI_FAILURE : (uint32_t)ret;
}

static uint32_t clear(struct ppi *ppi)
{
	static const uint8_t no[] = { 0 };
	uint32_t rc = platform_command(ppi, TPM_CC_ClearControl & 0xFFFF, no, sizeof(no), NULL, 0);

	return rc ? rc : platform_command(ppi, TPM_CC_Clear & 0xFFFF, NULL, 0, NULL, 0);
}

static uint32_t set_banks(struct ppi *ppi, uint32_t banks)
{
	static const uint16_t algorithms[BANKS] = { TPM_ALG_SHA1, TPM_ALG_SHA256, TPM_ALG_SHA384,
						    TPM_ALG_SHA512 };
	uint8_t params[4 + BANKS * 6] = { 0, 0, 0, BANKS }, done;
	uint32_t rc;

	if (!banks || banks >> BANKS)
		return PPI_FAILURE;
	for (unsigned int i = 0; i < BANKS; i++) {
		uint8_t *p = params + 4 + 6 * i;

		p[0] = (uint8_t)(algorithms[i] >> 8);
		p[1] = (uint8_t)algorithms[i];
		p[2] = 3; /* bytes for 24 PCRs */
		memset(p + 3, banks >> i & 1 ? 0xFF : 0, 3);
	}
	rc = platform_command(ppi, TPM_CC_PCR_Allocate & 0xFFFF, params, sizeof(params), &done, 1);
	if (rc)
		return rc;
	/* The new banks are there after a reset. */
	return !done || vtpm_reset(ppi->vtpm) ? PPI_FAILURE : 0;
}

static uint32_t carry_out(struct ppi *ppi, uint32_t operation, uint32_t parameter)
{
	switch (operation) {
	case PPI_CLEAR:
	case PPI_ENABLE_CLEAR:
	case PPI_ENABLE_CLEAR_2:
	case PPI_ENABLE_CLEAR_3:
		return clear(ppi);
	case PPI_SET_PCR_BANKS:
		return set_banks(ppi, parameter);
	case PPI_CHANGE_EPS:
		return platform_command(ppi, TPM_CC_ChangeEPS & 0xFFFF, NULL, 0, NULL, 0);
	default:
		return PPI_FAILURE;
	}
}

/* The request is taken back first, so that one that is the machine's end is not so for ever. */
static int serve_pending(struct ppi *ppi)
{
	struct note *note = &ppi->note;
	uint32_t request = note->request, parameter = note->parameter;

	if (!request)
		return 0;
	note->request = note->parameter = 0;
	note->last = request;
	note->response = PPI_FAILURE;
	(void)keep(ppi);
	note->response = carry_out(ppi, request, parameter);
	log_info("vTPM: physical presence operation %u: 0x%x", request, note->response);
	return keep(ppi);
}

/* --- registers --- */

static uint32_t submit(struct ppi *ppi, uint32_t operation)
{
	struct note *note = &ppi->note;

	if (!implemented(operation))
		return PPI_SUBMIT_NOT_IMPLEMENTED;
	if (operation == PPI_SET_PCR_BANKS && (!ppi->parameter || ppi->parameter >> BANKS))
		return PPI_SUBMIT_FAILURE;
	note->request = operation;
	note->parameter = operation == PPI_SET_PCR_BANKS ? ppi->parameter : 0;
	return keep(ppi) ? PPI_SUBMIT_FAILURE : PPI_SUBMIT_GOOD;
}

static enum io_result read_register(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	const struct ppi *ppi = dev;
	const uint32_t registers[PPI_REGISTERS] = {
		[PPI_REQUEST / 4] = ppi->note.request,
		[PPI_PARAMETER / 4] = ppi->note.parameter,
		[PPI_RESULT / 4] = ppi->result,
		[PPI_LAST / 4] = ppi->note.last,
		[PPI_RESPONSE / 4] = ppi->note.response,
		[PPI_OPERATION / 4] = ppi->operation,
		[PPI_STATUS / 4] = implemented(ppi->operation) ? PPI_OPERATION_ALLOWED
							       : PPI_OPERATION_NOT_IMPLEMENTED,
	};

	if (size != 4 || offset % 4 || offset / 4 >= PPI_REGISTERS)
		return IO_FAULT;
	*value = registers[offset / 4];
	return IO_DONE;
}

static enum io_result write_register(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct ppi *ppi = dev;

	if (size != 4)
		return IO_FAULT;
	switch (offset) {
	case PPI_REQUEST:
		ppi->result = submit(ppi, (uint32_t)value);
		return IO_DONE;
	case PPI_PARAMETER:
		ppi->parameter = (uint32_t)value;
		return IO_DONE;
	case PPI_OPERATION:
		ppi->operation = (uint32_t)value;
		return IO_DONE;
	default:
		return IO_FAULT;
	}
}

static const struct io_region_ops region_ops = {
	.read = read_register,
	.write = write_register,
};

/* --- */

int ppi_start(struct ppi **out, struct vtpm *vtpm, struct io_bus *bus)
{
	struct ppi *ppi = calloc(1, sizeof(*ppi));
	struct io_region region = {
		.name = "TPM PPI",
		.space = IO_MEMORY,
		.base = PPI_BASE,
		.len = PPI_SIZE,
		.ops = &region_ops,
		.dev = ppi,
	};
	int ret;

	if (!ppi)
		return -ENOMEM;
	ret = device_lock_init(&ppi->lock);
	if (ret) {
		free(ppi);
		return ret;
	}
	region.lock = &ppi->lock;
	ppi->vtpm = vtpm;
	memcpy(&ppi->note, vtpm_note(vtpm), sizeof(ppi->note));
	if (memcmp(ppi->note.magic, magic, sizeof(magic)) || !implemented(ppi->note.request))
		memset(&ppi->note, 0, sizeof(ppi->note));
	memcpy(ppi->note.magic, magic, sizeof(magic));
	ret = serve_pending(ppi);
	if (!ret)
		ret = io_bus_add(bus, &region);
	if (ret)
		ppi_destroy(ppi);
	else
		*out = ppi;
	return ret;
}

void ppi_destroy(struct ppi *ppi)
{
	if (!ppi)
		return;
	device_lock_destroy(&ppi->lock);
	free(ppi);
}

// SPDX-License-Identifier: MIT
/* Platform configuration registers: attributes, banks, digests (Part 1, clause 17; PC Client profile, 4.6). */
#include <string.h>
#include "tpm/engine/modules.h"

#define HCRTM_PCR 0

/* Bit n of a mask: locality n may. */
struct pcr_attributes {
	bool saved; /* across Shutdown(STATE) and Startup(STATE) */
	uint8_t reset, extend;
};

static struct pcr_attributes attributes_of(unsigned int pcr)
{
	static const struct pcr_attributes upper[] = {
		[16 - 16] = { false, 0x0F, 0x1F }, /* debug */
		[17 - 16] = { false, 0x10, 0x1C }, /* 17 to 22: dynamic root of trust */
		[18 - 16] = { false, 0x10, 0x1C },
		[19 - 16] = { false, 0x10, 0x0C },
		[20 - 16] = { false, 0x14, 0x0E },
		[21 - 16] = { false, 0x14, 0x04 },
		[22 - 16] = { false, 0x14, 0x04 },
		[23 - 16] = { false, 0x0F, 0x1F }, /* application */
	};

	return pcr < 16 ? (struct pcr_attributes){ true, 0, 0x1F } : upper[pcr - 16];
}

uint8_t pcr_property_locality(unsigned int pcr, bool reset)
{
	return reset ? attributes_of(pcr).reset : attributes_of(pcr).extend;
}

bool pcr_state_saved(unsigned int pcr)
{
	return attributes_of(pcr).saved;
}

bool pcr_in_policy_group(unsigned int pcr)
{
	return pcr >= 20 && pcr <= 22;
}

bool pcr_in_auth_group(unsigned int pcr)
{
	return pcr >= 20 && pcr <= 22;
}

/* Changes of these do not invalidate policies (TPM_PT_PCR_NO_INCREMENT, PC Client profile). */
bool pcr_no_increment(unsigned int pcr)
{
	return pcr == 16 || (pcr >= 21 && pcr <= 23);
}

bool pcr_extend_allowed(struct tpm *t, unsigned int pcr)
{
	return t->locality < 5 && attributes_of(pcr).extend >> t->locality & 1;
}

bool pcr_reset_allowed(struct tpm *t, unsigned int pcr)
{
	return t->locality < 5 && attributes_of(pcr).reset >> t->locality & 1;
}

unsigned int hash_index(uint16_t alg)
{
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		if (hash_by_index(i) == alg)
			return i;
	return 0;
}

bool pcr_allocated(const struct tpm *t, uint16_t alg, unsigned int pcr)
{
	return hash_size(alg) && t->p.pcr_allocated[hash_index(alg)][pcr / 8] >> (pcr % 8) & 1;
}

void pcr_default_allocation(struct tpm *t)
{
	memset(t->p.pcr_allocated, 0xFF, sizeof(t->p.pcr_allocated));
}

void pcr_current_allocation(struct tpm *t, struct pcr_selections *sel)
{
	sel->count = HASH_COUNT;
	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		sel->list[i].hash = hash_by_index(i);
		sel->list[i].size = PCR_SELECT_SIZE;
		memcpy(sel->list[i].bits, t->p.pcr_allocated[i], PCR_SELECT_SIZE);
	}
}

void pcr_changed(struct tpm *t, unsigned int pcr)
{
	if (!pcr_no_increment(pcr))
		t->r.pcr_counter++;
}

void pcr_startup(struct tpm *t, bool clear, uint8_t locality)
{
	for (unsigned int pcr = 0; pcr < PCR_COUNT; pcr++) {
		struct pcr_attributes a = attributes_of(pcr);

		if (!clear && a.saved)
			continue;
		pcr_changed(t, pcr);
		if (pcr == HCRTM_PCR && clear && t->drtm_pending)
			continue;
		for (unsigned int i = 0; i < HASH_COUNT; i++) {
			unsigned int size = hash_size(hash_by_index(i));

			memset(t->c.pcr[i][pcr], a.reset & 0x10 ? 0xFF : 0, size);
			if (pcr == HCRTM_PCR)
				t->c.pcr[i][pcr][size - 1] = locality;
		}
	}
}

void pcr_extend(struct tpm *t, unsigned int pcr, uint16_t alg, const uint8_t *digest)
{
	uint8_t *value = t->c.pcr[hash_index(alg)][pcr];
	struct hash_ctx ctx;

	if (!pcr_allocated(t, alg, pcr))
		return;
	hash_start(&ctx, alg);
	hash_update(&ctx, value, hash_size(alg));
	hash_update(&ctx, digest, hash_size(alg));
	hash_finish(&ctx, value);
	pcr_changed(t, pcr);
}

void pcr_filter(struct tpm *t, struct pcr_selections *sel)
{
	for (uint32_t i = 0; i < sel->count; i++)
		for (unsigned int b = 0; b < PCR_SELECT_SIZE; b++)
			sel->list[i].bits[b] &=
				t->p.pcr_allocated[hash_index(sel->list[i].hash)][b];
}

void pcr_digest(struct tpm *t, struct pcr_selections *sel, uint16_t alg, struct digest *out)
{
	struct hash_ctx ctx;

	pcr_filter(t, sel);
	hash_start(&ctx, alg);
	for (uint32_t i = 0; i < sel->count; i++) {
		unsigned int bank = hash_index(sel->list[i].hash);

		for (unsigned int pcr = 0; pcr < PCR_COUNT; pcr++)
			if (sel->list[i].bits[pcr / 8] >> (pcr % 8) & 1)
				hash_update(&ctx, t->c.pcr[bank][pcr],
					    hash_size(sel->list[i].hash));
	}
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* PCRs that only a dynamic launch resets go to zero when one begins. */
void pcr_drtm(struct tpm *t)
{
	for (unsigned int pcr = 0; pcr < PCR_COUNT; pcr++) {
		if (!(attributes_of(pcr).reset & 0x10))
			continue;
		for (unsigned int i = 0; i < HASH_COUNT; i++)
			memset(t->c.pcr[i][pcr], 0, HASH_MAX_SIZE);
		pcr_changed(t, pcr);
	}
}

/* PCR[0] after an H-CRTM: starts at 4, the locality of the measurement (Part 1, 34.2). */
void pcr_hcrtm(struct tpm *t, const uint8_t digests[HASH_COUNT][HASH_MAX_SIZE])
{
	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		uint16_t alg = hash_by_index(i);

		memset(t->c.pcr[i][HCRTM_PCR], 0, HASH_MAX_SIZE);
		t->c.pcr[i][HCRTM_PCR][hash_size(alg) - 1] = 4;
		pcr_extend(t, HCRTM_PCR, alg, digests[i]);
	}
}

#define DRTM_PCR 17

void tpm_hash_start(struct tpm *t)
{
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		hash_start(&t->drtm_hash[i], hash_by_index(i));
	t->hash_running = true;
	t->established = true;
	if (t->started)
		pcr_drtm(t);
}

void tpm_hash_data(struct tpm *t, const uint8_t *data, size_t len)
{
	for (unsigned int i = 0; t->hash_running && i < HASH_COUNT; i++)
		hash_update(&t->drtm_hash[i], data, len);
}

void tpm_hash_end(struct tpm *t)
{
	uint8_t digests[HASH_COUNT][HASH_MAX_SIZE];

	if (!t->hash_running)
		return;
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		hash_finish(&t->drtm_hash[i], digests[i]);
	t->hash_running = false;
	if (!t->started) {
		pcr_hcrtm(t, digests);
		t->drtm_pending = true;
		return;
	}
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		pcr_extend(t, DRTM_PCR, hash_by_index(i), digests[i]);
}

bool tpm_established(const struct tpm *t)
{
	return t->established;
}

void tpm_reset_established(struct tpm *t)
{
	t->established = false;
}

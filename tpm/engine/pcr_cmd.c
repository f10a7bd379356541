// SPDX-License-Identifier: MIT
/* PCR commands (Part 3, clause 22). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* 22.2 */
HANDLER(pcr_extend)
{
	struct digest_values digests;
	uint32_t rc;

	arg_with(c, read_digest_values(&c->in, &digests));
	rc = args_end(c);
	if (rc || c->handles[0] == TPM_RH_NULL)
		return rc;
	if (!pcr_extend_allowed(t, c->handles[0]))
		return TPM_RC_LOCALITY;
	for (uint32_t i = 0; i < digests.count; i++)
		pcr_extend(t, c->handles[0], digests.list[i].alg, digests.list[i].bytes);
	return 0;
}

/* 22.3 */
HANDLER(pcr_event)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct span data;
	uint32_t rc;

	arg_2b(c, MAX_DIGEST_BUFFER, &data);
	rc = args_end(c);
	if (rc)
		return rc;
	if (c->handles[0] != TPM_RH_NULL && !pcr_extend_allowed(t, c->handles[0]))
		return TPM_RC_LOCALITY;
	write_u32(&c->out, HASH_COUNT);
	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		uint16_t alg = hash_by_index(i);
		unsigned int size = hash_buf(alg, data.data, data.len, digest);

		if (c->handles[0] != TPM_RH_NULL)
			pcr_extend(t, c->handles[0], alg, digest);
		write_u16(&c->out, alg);
		write_bytes(&c->out, digest, size);
	}
	return 0;
}

/* 22.4: as many values as a TPML_DIGEST holds; the selection returned says which. */
HANDLER(pcr_read)
{
	struct pcr_selections sel, done;
	const uint8_t *values[8];
	uint8_t sizes[8];
	uint32_t rc, count = 0;

	arg_with(c, read_pcr_selections(&c->in, &sel));
	rc = args_end(c);
	if (rc)
		return rc;
	pcr_filter(t, &sel);
	done = sel;
	for (uint32_t i = 0; i < sel.count; i++) {
		memset(done.list[i].bits, 0, PCR_SELECT_SIZE);
		for (unsigned int pcr = 0; pcr < PCR_COUNT && count < 8; pcr++) {
			if (!(sel.list[i].bits[pcr / 8] >> (pcr % 8) & 1))
				continue;
			done.list[i].bits[pcr / 8] |= (uint8_t)(1u << (pcr % 8));
			sizes[count] = (uint8_t)hash_size(sel.list[i].hash);
			values[count++] = t->c.pcr[hash_index(sel.list[i].hash)][pcr];
		}
	}
	write_u32(&c->out, t->r.pcr_counter);
	write_pcr_selections(&c->out, &done);
	write_u32(&c->out, count);
	for (uint32_t i = 0; i < count; i++)
		write_2b(&c->out, values[i], sizes[i]);
	return 0;
}

/* Can PCR[0] and the DRTM register be measured into with this allocation (Part 1, 17.8)? */
static bool allocation_usable(uint8_t banks[HASH_COUNT][PCR_SELECT_SIZE])
{
	uint8_t hcrtm = 0, drtm = 0;

	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		hcrtm |= banks[i][0] & 1;
		drtm |= banks[i][2] & 2;
	}
	return hcrtm && drtm;
}

/* 22.5 */
HANDLER(pcr_allocate)
{
	uint8_t banks[HASH_COUNT][PCR_SELECT_SIZE];
	struct pcr_selections sel;
	uint32_t rc, needed = 0, bank_size = 0;

	arg_with(c, read_pcr_selections(&c->in, &sel));
	rc = args_end(c);
	if (rc)
		return rc;
	memcpy(banks, t->p.pcr_allocated, sizeof(banks));
	for (uint32_t i = 0; i < sel.count; i++)
		memcpy(banks[hash_index(sel.list[i].hash)], sel.list[i].bits, PCR_SELECT_SIZE);
	if (!allocation_usable(banks))
		return TPM_RC_PCR;
	for (unsigned int i = 0; i < HASH_COUNT; i++) {
		unsigned int size = hash_size(hash_by_index(i));

		bank_size += size * PCR_COUNT;
		for (unsigned int pcr = 0; pcr < PCR_COUNT; pcr++)
			needed += banks[i][pcr / 8] >> (pcr % 8) & 1 ? size : 0;
	}
	/* Takes effect at the next TPM Reset. */
	t->p.pcr_reconfig = true;
	memcpy(t->p.pcr_next, banks, sizeof(banks));
	tpm_dirty(t);
	write_u8(&c->out, 1);
	write_u32(&c->out, PCR_COUNT);
	write_u32(&c->out, needed);
	write_u32(&c->out, bank_size);
	return 0;
}

/* 22.6 */
HANDLER(pcr_set_auth_policy)
{
	struct digest policy;
	uint16_t alg;
	uint32_t pcr, rc;

	arg_digest(c, &policy);
	arg_hash(c, NULL_OK, &alg);
	arg_handle(c, H_PCR, &pcr);
	rc = args_end(c);
	if (rc)
		return rc;
	if (policy.len != hash_size(alg))
		return rc_param(TPM_RC_SIZE, 1);
	if (!pcr_in_policy_group(pcr))
		return rc_param(TPM_RC_VALUE, 3);
	t->p.pcr_policy.alg = alg;
	t->p.pcr_policy.digest = policy;
	tpm_dirty(t);
	return 0;
}

/* 22.7 */
HANDLER(pcr_set_auth_value)
{
	struct digest auth;
	uint32_t rc;

	arg_digest(c, &auth);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!pcr_in_auth_group(c->handles[0]))
		return TPM_RC_VALUE;
	t->c.pcr_auth = auth;
	return 0;
}

/* 22.8 */
HANDLER(pcr_reset)
{
	uint32_t rc = args_end(c), pcr = c->handles[0];

	if (rc)
		return rc;
	if (!pcr_reset_allowed(t, pcr))
		return TPM_RC_LOCALITY;
	for (unsigned int i = 0; i < HASH_COUNT; i++)
		memset(t->c.pcr[i][pcr], 0, HASH_MAX_SIZE);
	pcr_changed(t, pcr);
	return 0;
}

// SPDX-License-Identifier: MIT
#include "tpm/interface.h"

void localities_reset(struct localities *l)
{
	l->active = -1;
	l->requested = l->seized = 0;
}

static void grant_next(struct localities *l)
{
	l->active = -1;
	for (int i = LOCALITIES - 1; i >= 0; i--)
		if (l->requested >> i & 1) {
			l->active = i;
			l->requested &= (uint8_t) ~(1u << i);
			return;
		}
}

void localities_request(struct localities *l, int locality)
{
	if (locality == l->active)
		return;
	l->requested |= (uint8_t)(1u << locality);
	if (l->active < 0)
		grant_next(l);
}

bool localities_seize(struct localities *l, int locality)
{
	if (locality <= l->active)
		return false;
	if (l->active >= 0)
		l->seized |= (uint8_t)(1u << l->active);
	l->seized &= (uint8_t) ~(1u << locality);
	l->requested &= (uint8_t) ~(1u << locality);
	l->active = locality;
	return true;
}

void localities_relinquish(struct localities *l, int locality)
{
	l->requested &= (uint8_t) ~(1u << locality);
	if (locality == l->active)
		grant_next(l);
}

// SPDX-License-Identifier: MIT
/* Anything that has a handle: is it there, its name, its authorisation value and policy. */
#include <string.h>
#include "tpm/engine/modules.h"

static uint32_t check_object(struct tpm *t, uint32_t handle, bool persistent)
{
	struct object *o = object_get(t, handle);

	if (!o)
		return persistent ? TPM_RC_HANDLE : TPM_RC_REFERENCE_H0;
	if (persistent &&
	    !hierarchy_enabled(t, handle >= PLATFORM_PERSISTENT ? TPM_RH_PLATFORM : o->hierarchy))
		return TPM_RC_HANDLE;
	return 0;
}

static uint32_t check_one(struct tpm *t, const struct cmd *c, uint32_t handle)
{
	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_TRANSIENT:
		return check_object(t, handle, false);
	case TPM_HT_PERSISTENT:
		/* EvictControl works on what a disabled hierarchy keeps too, and says HIERARCHY itself */
		return check_object(t, handle, true);
	case TPM_HT_PERMANENT:
		if (handle == TPM_RH_LOCKOUT || handle == TPM_RH_NULL || act_exists(handle))
			return 0;
		if (handle >= TPM_RH_ACT_0 && handle <= TPM_RH_ACT_F)
			return TPM_RC_VALUE;
		/* the enables are what HierarchyControl is about, but it needs its own hierarchy too */
		return hierarchy_enabled(t, handle) ? 0 : TPM_RC_HIERARCHY;
	case TPM_HT_HMAC_SESSION:
	case TPM_HT_POLICY_SESSION:
		return session_check_handle(t, handle);
	case TPM_HT_NV_INDEX:
		(void)c;
		return nv_accessible(t, handle);
	case TPM_HT_AC: /* no component is attached */
		return TPM_RC_HANDLE;
	default:
		return 0;
	}
}

uint32_t entity_check_loaded(struct tpm *t, struct cmd *c)
{
	for (unsigned int i = 0; i < command_handle_count(c->def); i++) {
		uint32_t rc = check_one(t, c, c->handles[i]);

		if (rc == TPM_RC_REFERENCE_H0)
			return rc + i;
		if (rc)
			return rc & RC_FMT1 ? rc_handle(rc, i + 1) : rc;
	}
	return 0;
}

void entity_name(struct tpm *t, uint32_t handle, struct name *name)
{
	struct object *o;
	struct nv_index *index;

	name->len = 0;
	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_TRANSIENT:
	case TPM_HT_PERSISTENT:
		o = object_get(t, handle);
		if (o && o->kind == OBJECT_KEY)
			*name = o->name;
		break;
	case TPM_HT_NV_INDEX:
		index = nv_find(t, handle);
		if (index)
			nv_name(index, name);
		break;
	default:
		name->len = 4;
		for (int i = 0; i < 4; i++)
			name->bytes[i] = (uint8_t)(handle >> (24 - 8 * i));
	}
}

struct digest *permanent_auth(struct tpm *t, uint32_t handle)
{
	switch (handle) {
	case TPM_RH_OWNER:
		return &t->p.owner_auth;
	case TPM_RH_ENDORSEMENT:
		return &t->p.endorsement_auth;
	case TPM_RH_PLATFORM:
		return &t->c.platform_auth;
	case TPM_RH_LOCKOUT:
		return &t->p.lockout_auth;
	default:
		return NULL;
	}
}

void entity_auth(struct tpm *t, uint32_t handle, struct digest *auth)
{
	const struct digest *from = NULL;
	struct object *o;
	struct nv_index *index;

	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_PERMANENT:
		/* a timer is the platform's (Part 1, clause 40) */
		from = permanent_auth(t, act_exists(handle) ? TPM_RH_PLATFORM : handle);
		break;
	case TPM_HT_TRANSIENT:
	case TPM_HT_PERSISTENT:
		o = object_get(t, handle);
		from = o ? &o->sens.auth : NULL;
		break;
	case TPM_HT_NV_INDEX:
		index = nv_find(t, handle);
		from = index ? &index->auth : NULL;
		break;
	case TPM_HT_PCR:
		from = pcr_in_auth_group(handle) ? &t->c.pcr_auth : NULL;
		break;
	default:
		break;
	}
	auth->len = 0;
	if (from)
		*auth = *from;
	auth_trim(auth);
}

struct policy *permanent_policy(struct tpm *t, uint32_t handle)
{
	switch (handle) {
	case TPM_RH_OWNER:
		return &t->p.owner_policy;
	case TPM_RH_ENDORSEMENT:
		return &t->p.endorsement_policy;
	case TPM_RH_PLATFORM:
		return &t->c.platform_policy;
	case TPM_RH_LOCKOUT:
		return &t->p.lockout_policy;
	default:
		return act_policy(t, handle);
	}
}

uint16_t entity_policy(struct tpm *t, uint32_t handle, struct digest *digest)
{
	const struct policy *policy = NULL;
	struct object *o;
	struct nv_index *index;

	digest->len = 0;
	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_PERMANENT:
		policy = permanent_policy(t, handle);
		break;
	case TPM_HT_TRANSIENT:
	case TPM_HT_PERSISTENT:
		o = object_get(t, handle);
		if (!o || o->kind != OBJECT_KEY)
			break;
		*digest = o->pub.policy;
		return o->pub.name_alg;
	case TPM_HT_NV_INDEX:
		index = nv_find(t, handle);
		if (!index)
			break;
		*digest = index->pub.policy;
		return index->pub.name_alg;
	case TPM_HT_PCR:
		policy = pcr_in_policy_group(handle) ? &t->p.pcr_policy : NULL;
		break;
	default:
		break;
	}
	if (!policy)
		return TPM_ALG_NULL;
	*digest = policy->digest;
	return policy->alg;
}

uint32_t entity_hierarchy(struct tpm *t, uint32_t handle)
{
	struct object *o;
	struct nv_index *index;

	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_PERMANENT:
		/* Lockout belongs to the owner */
		return handle == TPM_RH_LOCKOUT ? TPM_RH_OWNER : handle;
	case TPM_HT_NV_INDEX:
		index = nv_find(t, handle);
		return index && index->pub.attributes & TPMA_NV_PLATFORMCREATE ? TPM_RH_PLATFORM
									       : TPM_RH_OWNER;
	case TPM_HT_TRANSIENT:
	case TPM_HT_PERSISTENT:
		o = object_get(t, handle);
		return o ? o->hierarchy : TPM_RH_NULL;
	case TPM_HT_PCR:
		return TPM_RH_OWNER;
	default:
		return TPM_RH_NULL;
	}
}

bool entity_da_exempt(struct tpm *t, uint32_t handle)
{
	struct object *o;
	struct nv_index *index;

	switch (TPM_HANDLE_TYPE(handle)) {
	case TPM_HT_PERMANENT:
		return handle != TPM_RH_LOCKOUT;
	case TPM_HT_TRANSIENT:
	case TPM_HT_PERSISTENT:
		o = object_get(t, handle);
		return o && o->pub.attributes & TPMA_OBJECT_noDA;
	case TPM_HT_NV_INDEX:
		index = nv_find(t, handle);
		return index && index->pub.attributes & TPMA_NV_NO_DA;
	default:
		return TPM_HANDLE_TYPE(handle) == TPM_HT_PCR;
	}
}

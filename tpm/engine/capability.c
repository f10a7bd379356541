// SPDX-License-Identifier: MIT
/* Capabilities (Part 3, clause 30; Part 2, 6.12 to 6.14). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define MAX_CAP_DATA       (1024 - 4 - 4)
#define MAX_CAP_HANDLES    (MAX_CAP_DATA / 4)
#define MAX_CAP_ALGS       (MAX_CAP_DATA / 6)
#define MAX_CAP_CC         256
#define MAX_PROPERTIES     (MAX_CAP_DATA / 8)
#define MAX_PCR_PROPERTIES (MAX_CAP_DATA / 8)

/* A list under construction: its count is patched in at the end, and `more` tells of entries left out. */
struct list {
	struct writer *w;
	size_t count_at;
	uint32_t count, wanted, from;
	bool more;
};

static struct list list_begin(struct writer *w, uint32_t from, uint32_t wanted, uint32_t max)
{
	struct list l = {
		.w = w, .count_at = w->len, .from = from, .wanted = wanted < max ? wanted : max
	};

	write_u32(w, 0);
	return l;
}

/* May an entry with this key go in? Entries come in rising order. */
static bool list_takes(struct list *l, uint32_t key)
{
	if (key < l->from)
		return false;
	if (l->count == l->wanted) {
		l->more = true;
		return false;
	}
	l->count++;
	return true;
}

static void list_end(struct list *l)
{
	struct writer patch = { .buf = l->w->buf + l->count_at, .max = 4 };

	write_u32(&patch, l->count);
}

#define ASYM (TPMA_ALGORITHM_asymmetric)
#define SYM  (TPMA_ALGORITHM_symmetric)
#define HASH (TPMA_ALGORITHM_hash)
#define OBJ  (TPMA_ALGORITHM_object)
#define SIGN (TPMA_ALGORITHM_signing)
#define ENC  (TPMA_ALGORITHM_encrypting)
#define METH (TPMA_ALGORITHM_method)

static const struct {
	uint16_t alg, attributes;
} algorithms[] = {
	{ TPM_ALG_RSA, ASYM | OBJ },
	{ TPM_ALG_SHA1, HASH },
	{ TPM_ALG_HMAC, HASH | SIGN },
	{ TPM_ALG_AES, SYM },
	{ TPM_ALG_MGF1, HASH | METH },
	{ TPM_ALG_KEYEDHASH, HASH | OBJ | SIGN | ENC },
	{ TPM_ALG_XOR, HASH | SYM },
	{ TPM_ALG_SHA256, HASH },
	{ TPM_ALG_SHA384, HASH },
	{ TPM_ALG_SHA512, HASH },
	{ TPM_ALG_RSASSA, ASYM | SIGN },
	{ TPM_ALG_RSAES, ASYM | ENC },
	{ TPM_ALG_RSAPSS, ASYM | SIGN },
	{ TPM_ALG_OAEP, ASYM | ENC },
	{ TPM_ALG_ECDSA, ASYM | SIGN | METH },
	{ TPM_ALG_ECDH, ASYM | METH },
	{ TPM_ALG_ECDAA, ASYM | SIGN },
	{ TPM_ALG_ECSCHNORR, ASYM | SIGN },
	{ TPM_ALG_KDF1_SP800_56A, HASH | METH },
	{ TPM_ALG_KDF2, HASH | METH },
	{ TPM_ALG_KDF1_SP800_108, HASH | METH },
	{ TPM_ALG_ECC, ASYM | OBJ },
	{ TPM_ALG_SYMCIPHER, OBJ },
	{ TPM_ALG_CAMELLIA, SYM },
	{ TPM_ALG_CMAC, SYM | SIGN },
	{ TPM_ALG_CTR, SYM | ENC },
	{ TPM_ALG_OFB, SYM | ENC },
	{ TPM_ALG_CBC, SYM | ENC },
	{ TPM_ALG_CFB, SYM | ENC },
	{ TPM_ALG_ECB, SYM | ENC },
};

#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

bool algorithm_known(uint16_t alg)
{
	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		if (algorithms[i].alg == alg)
			return true;
	return false;
}

static bool cap_algorithms(struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_ALGS);

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		if (list_takes(&l, algorithms[i].alg)) {
			write_u16(w, algorithms[i].alg);
			write_u32(w, algorithms[i].attributes);
		}
	list_end(&l);
	return l.more;
}

/* The next handle of this type at or above `from`, or 0xFFFFFFFF. */
static uint32_t next_handle(struct tpm *t, uint8_t type, uint32_t from)
{
	static const uint32_t permanent[] = { TPM_RH_OWNER,       TPM_RH_NULL,
					      TPM_RS_PW,          TPM_RH_LOCKOUT,
					      TPM_RH_ENDORSEMENT, TPM_RH_PLATFORM,
					      TPM_RH_PLATFORM_NV };
	uint32_t best = 0xFFFFFFFF;

#define CONSIDER(h)                            \
	do {                                   \
		if ((h) >= from && (h) < best) \
			best = (h);            \
	} while (0)
	switch (type) {
	case TPM_HT_PCR:
		for (uint32_t i = 0; i < PCR_COUNT; i++)
			CONSIDER(i);
		break;
	case TPM_HT_NV_INDEX:
		for (int i = 0; i < MAX_NV_INDICES; i++)
			if (t->p.nv[i])
				CONSIDER(t->p.nv[i]->pub.index);
		break;
	case TPM_HT_HMAC_SESSION: /* loaded sessions, of both kinds */
		for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
			if (t->sessions[i].used)
				CONSIDER((t->sessions[i].handle & 0xFFFFFF) | HMAC_SESSION_FIRST);
		break;
	case TPM_HT_POLICY_SESSION: /* saved sessions */
		for (uint32_t i = 0; i < MAX_ACTIVE_SESSIONS; i++)
			if (t->r.contexts[i] > MAX_LOADED_SESSIONS)
				CONSIDER(POLICY_SESSION_FIRST + i);
		break;
	case TPM_HT_PERMANENT:
		for (size_t i = 0; i < sizeof(permanent) / sizeof(permanent[0]); i++)
			CONSIDER(permanent[i]);
		for (unsigned int i = 0; i < ACT_COUNT; i++)
			CONSIDER(act_handle(i));
		break;
	case TPM_HT_AC: /* none is attached */
		break;
	case TPM_HT_TRANSIENT:
		for (uint32_t i = 0; i < MAX_LOADED_OBJECTS; i++)
			if (t->objects[i].kind != OBJECT_FREE)
				CONSIDER(TRANSIENT_FIRST + i);
		break;
	default:
		for (int i = 0; i < MAX_PERSISTENT; i++)
			if (t->p.persistent[i])
				CONSIDER(t->p.persistent[i]->evict_handle);
		break;
	}
#undef CONSIDER
	return best;
}

/* What to report for a loaded session: the handle as the caller knows it. */
static uint32_t session_handle(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
		if (t->sessions[i].used &&
		    (t->sessions[i].handle & 0xFFFFFF) == (handle & 0xFFFFFF))
			return t->sessions[i].handle;
	return handle;
}

static uint32_t cap_handles(struct tpm *t, struct writer *w, uint32_t from, uint32_t wanted,
			    bool *more)
{
	uint8_t type = TPM_HANDLE_TYPE(from);
	struct list l = list_begin(w, 0, wanted, MAX_CAP_HANDLES);
	uint32_t handle;

	if (type > TPM_HT_POLICY_SESSION && type != TPM_HT_PERMANENT && type != TPM_HT_TRANSIENT &&
	    type != TPM_HT_PERSISTENT && type != TPM_HT_AC)
		return rc_param(TPM_RC_HANDLE, 2);
	for (handle = next_handle(t, type, from); handle != 0xFFFFFFFF;
	     handle = next_handle(t, type, handle + 1)) {
		if (!list_takes(&l, handle))
			break;
		write_u32(w, type == TPM_HT_HMAC_SESSION ? session_handle(t, handle) : handle);
	}
	list_end(&l);
	*more = l.more;
	return 0;
}

static bool cap_commands(struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_CC);
	const struct command *def;

	for (def = command_next(from); def; def = command_next(def->code + 1))
		if (list_takes(&l, def->code))
			write_u32(w, command_attributes(def));
	list_end(&l);
	return l.more;
}

static bool cap_command_set(struct writer *w, const uint8_t *set, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_CC);

	for (uint32_t code = TPM_CC_FIRST; code <= TPM_CC_LAST; code++)
		if (bitmap_get(set, code) && list_takes(&l, code))
			write_u32(w, code);
	list_end(&l);
	return l.more;
}

static uint32_t permanent_attributes(struct tpm *t)
{
	uint32_t v = 0;

	v |= t->p.owner_auth.len ? TPMA_PERMANENT_ownerAuthSet : 0;
	v |= t->p.endorsement_auth.len ? TPMA_PERMANENT_endorsementAuthSet : 0;
	v |= t->p.lockout_auth.len ? TPMA_PERMANENT_lockoutAuthSet : 0;
	v |= t->p.disable_clear ? TPMA_PERMANENT_disableClear : 0;
	v |= t->p.failed_tries >= t->p.max_tries ? TPMA_PERMANENT_inLockout : 0;
	return v | TPMA_PERMANENT_tpmGeneratedEPS;
}

static uint32_t startup_attributes(struct tpm *t)
{
	uint32_t v = 0;

	v |= t->ph_enable ? TPMA_STARTUP_CLEAR_phEnable : 0;
	v |= t->c.sh_enable ? TPMA_STARTUP_CLEAR_shEnable : 0;
	v |= t->c.eh_enable ? TPMA_STARTUP_CLEAR_ehEnable : 0;
	v |= t->c.ph_enable_nv ? TPMA_STARTUP_CLEAR_phEnableNV : 0;
	return v | (t->was_orderly ? TPMA_STARTUP_CLEAR_orderly : 0);
}

static uint32_t fixed_property(uint32_t p, bool *known)
{
	*known = true;
	switch (p) {
	case TPM_PT_FAMILY_INDICATOR:
	case TPM_PT_PS_FAMILY_INDICATOR:
		return p == TPM_PT_FAMILY_INDICATOR ? 0x322E3000 : 1; /* "2.0"; PC Client */
	case TPM_PT_LEVEL:
	case TPM_PT_PS_LEVEL:
		return 0;
	case TPM_PT_REVISION:
		return 159;
	case TPM_PT_DAY_OF_YEAR:
		return 312; /* 8 November 2019 */
	case TPM_PT_YEAR:
		return 2019;
	case TPM_PT_MANUFACTURER:
		return 0x454E5452; /* "ENTR" */
	case TPM_PT_VENDOR_STRING_1:
		return 0x456E7472; /* "Entr" */
	case TPM_PT_VENDOR_STRING_2:
		return 0x65736F6C; /* "esol" */
	case TPM_PT_VENDOR_STRING_3:
	case TPM_PT_VENDOR_STRING_4:
		return 0;
	case TPM_PT_VENDOR_TPM_TYPE:
		return 1;
	case TPM_PT_FIRMWARE_VERSION_1:
		return (uint32_t)(clock_firmware_version() >> 32);
	case TPM_PT_FIRMWARE_VERSION_2:
		return (uint32_t)clock_firmware_version();
	case TPM_PT_INPUT_BUFFER:
		return MAX_DIGEST_BUFFER;
	case TPM_PT_HR_TRANSIENT_MIN:
		return MAX_LOADED_OBJECTS;
	case TPM_PT_HR_PERSISTENT_MIN:
		return 7;
	case TPM_PT_HR_LOADED_MIN:
		return MAX_LOADED_SESSIONS;
	case TPM_PT_ACTIVE_SESSIONS_MAX:
		return MAX_ACTIVE_SESSIONS;
	case TPM_PT_PCR_COUNT:
		return PCR_COUNT;
	case TPM_PT_PCR_SELECT_MIN:
		return PCR_SELECT_SIZE;
	case TPM_PT_CONTEXT_GAP_MAX:
		return 0xFFFF;
	case TPM_PT_NV_COUNTERS_MAX:
		return 0; /* no limit but the space */
	case TPM_PT_NV_INDEX_MAX:
		return MAX_NV_INDEX_SIZE;
	case TPM_PT_MEMORY:
		return TPMA_MEMORY_sharedNV;
	case TPM_PT_CLOCK_UPDATE:
		return CLOCK_UPDATE_MS;
	case TPM_PT_CONTEXT_HASH:
		return TPM_ALG_SHA512;
	case TPM_PT_CONTEXT_SYM:
		return TPM_ALG_AES;
	case TPM_PT_CONTEXT_SYM_SIZE:
		return 256;
	case TPM_PT_ORDERLY_COUNT:
		return MAX_ORDERLY_COUNT;
	case TPM_PT_MAX_COMMAND_SIZE:
	case TPM_PT_MAX_RESPONSE_SIZE:
		return TPM_MAX_COMMAND;
	case TPM_PT_MAX_DIGEST:
		return HASH_MAX_SIZE;
	case TPM_PT_MAX_OBJECT_CONTEXT:
		return 2600 + 2 + HASH_MAX_SIZE;
	case TPM_PT_MAX_SESSION_CONTEXT:
		return 600;
	case TPM_PT_PS_REVISION:
		return 0x00000105; /* PC Client platform profile 1.05 */
	case TPM_PT_PS_DAY_OF_YEAR:
		return 247;
	case TPM_PT_PS_YEAR:
		return 2020;
	case TPM_PT_SPLIT_MAX:
		return 0x80;
	case TPM_PT_TOTAL_COMMANDS:
	case TPM_PT_LIBRARY_COMMANDS:
		return command_count();
	case TPM_PT_VENDOR_COMMANDS:
		return 0;
	case TPM_PT_NV_BUFFER_MAX:
		return MAX_NV_BUFFER;
	case TPM_PT_MODES:
		return 0;
	case TPM_PT_MAX_CAP_BUFFER:
		return 1024;
	default:
		*known = false;
		return 0;
	}
}

static uint32_t count_handles(struct tpm *t, uint8_t type)
{
	uint32_t n = 0, h = next_handle(t, type, 0);

	for (; h != 0xFFFFFFFF; h = next_handle(t, type, h + 1))
		n++;
	return n;
}

static uint32_t count_counters(struct tpm *t)
{
	uint32_t n = 0;

	for (int i = 0; i < MAX_NV_INDICES; i++)
		n += t->p.nv[i] && nv_type(t->p.nv[i]) == TPM_NT_COUNTER;
	return n;
}

static uint32_t count_curves(void)
{
	uint32_t n = 0;

	while (ecc_curve_by_index(n) != TPM_ECC_NONE)
		n++;
	return n;
}

static uint32_t active_sessions(const struct tpm *t)
{
	uint32_t n = 0;

	for (int i = 0; i < MAX_ACTIVE_SESSIONS; i++)
		n += t->r.contexts[i] != 0;
	return n;
}

static uint32_t variable_property(struct tpm *t, uint32_t p, bool *known)
{
	*known = true;
	switch (p) {
	case TPM_PT_PERMANENT:
		return permanent_attributes(t);
	case TPM_PT_STARTUP_CLEAR:
		return startup_attributes(t);
	case TPM_PT_HR_NV_INDEX:
		return count_handles(t, TPM_HT_NV_INDEX);
	case TPM_PT_HR_LOADED:
		return count_handles(t, TPM_HT_HMAC_SESSION);
	case TPM_PT_HR_LOADED_AVAIL:
		return MAX_LOADED_SESSIONS - count_handles(t, TPM_HT_HMAC_SESSION);
	case TPM_PT_HR_ACTIVE:
		return active_sessions(t);
	case TPM_PT_HR_ACTIVE_AVAIL:
		return MAX_ACTIVE_SESSIONS - active_sessions(t);
	case TPM_PT_HR_TRANSIENT_AVAIL:
		return MAX_LOADED_OBJECTS - count_handles(t, TPM_HT_TRANSIENT);
	case TPM_PT_HR_PERSISTENT:
		return count_handles(t, TPM_HT_PERSISTENT);
	case TPM_PT_HR_PERSISTENT_AVAIL:
		return MAX_PERSISTENT - count_handles(t, TPM_HT_PERSISTENT);
	case TPM_PT_NV_COUNTERS:
		return count_counters(t);
	case TPM_PT_NV_COUNTERS_AVAIL:
		return (uint32_t)(nv_space_left(t) / (sizeof(struct nv_index) + 8));
	case TPM_PT_ALGORITHM_SET:
		return t->p.algorithm_set;
	case TPM_PT_LOADED_CURVES:
		return count_curves();
	case TPM_PT_LOCKOUT_COUNTER:
		return t->p.failed_tries;
	case TPM_PT_MAX_AUTH_FAIL:
		return t->p.max_tries;
	case TPM_PT_LOCKOUT_INTERVAL:
		return t->p.recovery_time;
	case TPM_PT_LOCKOUT_RECOVERY:
		return t->p.lockout_recovery;
	case TPM_PT_NV_WRITE_RECOVERY:
		return 0;
	case TPM_PT_AUDIT_COUNTER_0:
		return (uint32_t)(t->p.audit_counter >> 32);
	case TPM_PT_AUDIT_COUNTER_1:
		return (uint32_t)t->p.audit_counter;
	default:
		*known = false;
		return 0;
	}
}

/* Those of the group of 100h that `from` is in; below the first group, of that one (30.2; Part 2, 6.13). */
static bool cap_properties(struct tpm *t, struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_PROPERTIES);
	uint32_t first = from < TPM_PT_FAMILY_INDICATOR ? TPM_PT_FAMILY_INDICATOR : from;

	for (uint32_t p = first; p <= (first | 0xFF) && p <= TPM_PT_AUDIT_COUNTER_1; p++) {
		bool known;
		uint32_t v = p < TPM_PT_PERMANENT ? fixed_property(p, &known)
						  : variable_property(t, p, &known);

		if (!known || !list_takes(&l, p))
			continue;
		write_u32(w, p);
		write_u32(w, v);
	}
	list_end(&l);
	return l.more;
}

static bool pcr_has(unsigned int pcr, uint32_t property)
{
	switch (property) {
	case TPM_PT_PCR_SAVE:
		return pcr_state_saved(pcr);
	case TPM_PT_PCR_NO_INCREMENT:
		return pcr_no_increment(pcr);
	case TPM_PT_PCR_DRTM_RESET:
		return pcr_property_locality(pcr, true) & 0x10;
	case TPM_PT_PCR_POLICY:
		return pcr_in_policy_group(pcr);
	case TPM_PT_PCR_AUTH:
		return pcr_in_auth_group(pcr);
	default: /* EXTEND_L0, RESET_L0, EXTEND_L1, ... alternate */
		return pcr_property_locality(pcr, !(property & 1)) >> (property - 1) / 2 & 1;
	}
}

static bool pcr_property_known(uint32_t p)
{
	return p <= TPM_PT_PCR_RESET_L4 || (p >= TPM_PT_PCR_NO_INCREMENT && p <= TPM_PT_PCR_AUTH);
}

static bool cap_pcr_properties(struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_PCR_PROPERTIES);

	for (uint32_t p = 0; p <= TPM_PT_PCR_AUTH; p++) {
		uint8_t bits[PCR_SELECT_SIZE] = { 0 };

		if (!pcr_property_known(p) || !list_takes(&l, p))
			continue;
		for (unsigned int pcr = 0; pcr < PCR_COUNT; pcr++)
			if (pcr_has(pcr, p))
				bits[pcr / 8] |= (uint8_t)(1u << (pcr % 8));
		write_u32(w, p);
		write_u8(w, PCR_SELECT_SIZE);
		write_bytes(w, bits, PCR_SELECT_SIZE);
	}
	list_end(&l);
	return l.more;
}

static bool cap_curves(struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_DATA / 2);

	for (unsigned int i = 0; ecc_curve_by_index(i) != TPM_ECC_NONE; i++)
		if (list_takes(&l, ecc_curve_by_index(i)))
			write_u16(w, ecc_curve_by_index(i));
	list_end(&l);
	return l.more;
}

/* TPML_TAGGED_POLICY: the hierarchies' policies and the timers' */
static bool cap_policies(struct tpm *t, struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_DATA / 70);
	uint32_t h = next_handle(t, TPM_HT_PERMANENT, from);

	for (; h != 0xFFFFFFFF; h = next_handle(t, TPM_HT_PERMANENT, h + 1)) {
		struct digest digest;
		uint16_t alg;

		if (!permanent_policy(t, h) || !list_takes(&l, h))
			continue;
		alg = entity_policy(t, h, &digest);
		write_u32(w, h);
		write_u16(w, alg);
		write_bytes(w, digest.bytes, hash_size(alg));
	}
	list_end(&l);
	return l.more;
}

/* TPML_ACT_DATA */
static bool cap_timers(struct tpm *t, struct writer *w, uint32_t from, uint32_t wanted)
{
	struct list l = list_begin(w, from, wanted, MAX_CAP_DATA / 12);

	for (unsigned int i = 0; i < ACT_COUNT; i++)
		if (list_takes(&l, act_handle(i)))
			act_write(t, i, w);
	list_end(&l);
	return l.more;
}

static uint32_t write_capability(struct tpm *t, struct writer *w, uint32_t cap, uint32_t property,
				 uint32_t count, bool *more)
{
	struct pcr_selections allocation;

	switch (cap) {
	case TPM_CAP_ALGS:
		*more = cap_algorithms(w, property, count);
		return 0;
	case TPM_CAP_HANDLES:
		return cap_handles(t, w, property, count, more);
	case TPM_CAP_COMMANDS:
		*more = cap_commands(w, property, count);
		return 0;
	case TPM_CAP_PP_COMMANDS:
		*more = cap_command_set(w, t->p.pp_commands, property, count);
		return 0;
	case TPM_CAP_AUDIT_COMMANDS:
		*more = cap_command_set(w, t->p.audit_commands, property, count);
		return 0;
	case TPM_CAP_PCRS:
		if (property)
			return rc_param(TPM_RC_VALUE, 2);
		pcr_current_allocation(t, &allocation);
		write_pcr_selections(w, &allocation);
		return 0;
	case TPM_CAP_TPM_PROPERTIES:
		*more = cap_properties(t, w, property, count);
		return 0;
	case TPM_CAP_PCR_PROPERTIES:
		*more = cap_pcr_properties(w, property, count);
		return 0;
	case TPM_CAP_ECC_CURVES:
		*more = cap_curves(w, property, count);
		return 0;
	case TPM_CAP_ACT:
		if (property < TPM_RH_ACT_0 || property > TPM_RH_ACT_F)
			return rc_param(TPM_RC_VALUE, 2);
		*more = cap_timers(t, w, property, count);
		return 0;
	case TPM_CAP_AUTH_POLICIES:
		if (TPM_HANDLE_TYPE(property) != TPM_HT_PERMANENT)
			return rc_param(TPM_RC_VALUE, 2);
		*more = cap_policies(t, w, property, count);
		return 0;
	default:
		return rc_param(TPM_RC_VALUE, 1);
	}
}

/* 30.2 */
HANDLER(get_capability)
{
	uint32_t cap = 0, property, count, rc;
	bool more = false;

	arg_with(c, !read_u32(&c->in, &cap) ? TPM_RC_INSUFFICIENT
		    : cap > TPM_CAP_ACT     ? TPM_RC_VALUE
					    : 0);
	arg_u32(c, &property);
	arg_u32(c, &count);
	rc = args_end(c);
	if (rc)
		return rc;
	write_u8(&c->out, 0);
	write_u32(&c->out, cap);
	rc = write_capability(t, &c->out, cap, property, count, &more);
	if (!rc)
		c->out.buf[0] = more;
	return rc;
}

/* 32.2, 32.3: no component is attached, so their handle is refused before this (entity.c). */
HANDLER(no_component)
{
	(void)t;
	(void)c;
	return TPM_RC_HANDLE;
}

/* 30.3: reading the parameters is the test */
HANDLER(test_parms)
{
	struct public_area pub;

	arg_with(c, read_public_parms(&c->in, &pub));
	(void)t;
	return args_end(c);
}

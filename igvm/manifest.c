#include "igvm/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/igvm.h"
#include "proto/sev_snp.h"

#define MIB (1ull << 20)

static const char *const isolations[] = { "none", "vbs", "snp", "tdx" };

const char *manifest_isolation_name(uint32_t isolation)
{
	return isolation < sizeof(isolations) / sizeof(isolations[0]) ? isolations[isolation] : "?";
}

/* --- values --- */

static int parse_number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		return -EINVAL;
	switch (*end) {
	case 'G':
		*value *= 1024; /* fall through */
	case 'M':
		*value *= 1024; /* fall through */
	case 'K':
		*value *= 1024;
		end++;
		break;
	default:
		break;
	}
	return *end ? -EINVAL : 0;
}

static int parse_isolation(const char *text, uint32_t *value)
{
	for (*value = 0; *value < sizeof(isolations) / sizeof(isolations[0]); (*value)++)
		if (!strcmp(text, isolations[*value]))
			return 0;
	return -EINVAL;
}

/* --- keys --- */

enum kind {
	KIND_TEXT,
	KIND_SIZE,
	KIND_NUMBER, /* 32 bits */
	KIND_YES,    /* a bool: yes or no */
	KIND_ISOLATION
};

#define AT(field) offsetof(struct manifest, field)

static const struct key {
	const char *name;
	enum kind kind;
	size_t at;
} keys[] = {
	{ "isolation", KIND_ISOLATION, AT(isolation) },
	{ "format", KIND_NUMBER, AT(format) },
	{ "svn", KIND_NUMBER, AT(svn) },
	{ "base", KIND_SIZE, AT(base) },
	{ "memory", KIND_SIZE, AT(memory) },
	{ "policy", KIND_SIZE, AT(policy) },
	{ "sev-features", KIND_SIZE, AT(sev_features) },
	{ "shared-gpa-boundary", KIND_SIZE, AT(shared_gpa_boundary) },
	{ "debug", KIND_YES, AT(debug) },
	{ "shim", KIND_TEXT, AT(shim) },
	{ "kernel", KIND_TEXT, AT(kernel) },
	{ "initrd", KIND_TEXT, AT(initrd) },
	{ "cmdline", KIND_TEXT, AT(command_line) },
	{ "reset-vector", KIND_TEXT, AT(reset_vector) },
	{ "vtl0-from-host", KIND_YES, AT(host_payload) },
	{ "vtl0-base", KIND_SIZE, AT(vtl0_base) },
	{ "vtl0-top", KIND_SIZE, AT(vtl0_top) },
	{ "vtl0-kernel", KIND_TEXT, AT(payload[SHIM_PAYLOAD_KERNEL]) },
	{ "vtl0-initrd", KIND_TEXT, AT(payload[SHIM_PAYLOAD_INITRD]) },
	{ "vtl0-cmdline", KIND_TEXT, AT(payload[SHIM_PAYLOAD_CMDLINE]) },
	{ "vtl0-firmware", KIND_TEXT, AT(payload[SHIM_PAYLOAD_FIRMWARE]) },
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static int set_value(struct manifest *manifest, const struct key *key, const char *text)
{
	void *field = (char *)manifest + key->at;
	uint64_t number;
	int ret;

	switch (key->kind) {
	case KIND_TEXT:
		*(const char **)field = text;
		return 0;
	case KIND_SIZE:
		return parse_number(text, field);
	case KIND_NUMBER:
		ret = parse_number(text, &number);
		if (ret || number > UINT32_MAX)
			return -EINVAL;
		*(uint32_t *)field = (uint32_t)number;
		return 0;
	case KIND_YES:
		*(bool *)field = !strcmp(text, "yes");
		return *(bool *)field || !strcmp(text, "no") ? 0 : -EINVAL;
	case KIND_ISOLATION:
		return parse_isolation(text, field);
	}
	return -EINVAL;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int parse_line(struct manifest *manifest, char *line, uint32_t *seen, const char **reason)
{
	char *value;
	size_t i;

	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	value = line + strcspn(line, " \t");
	if (*value)
		*value++ = 0;
	value = trim(value);
	for (i = 0; i < KEY_COUNT && strcmp(line, keys[i].name); i++)
		;
	*reason = i == KEY_COUNT ? "unknown key" : *seen >> i & 1 ? "key comes twice" : NULL;
	if (*reason)
		return -EINVAL;
	*seen |= 1u << i;
	*reason = "bad value";
	return !*value || set_value(manifest, &keys[i], value) ? -EINVAL : 0;
}

/* --- what must fit together --- */

static bool any_payload(const struct manifest *manifest)
{
	unsigned int i;

	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++)
		if (manifest->payload[i])
			return true;
	return false;
}

static const char *problem(const struct manifest *m)
{
	if (!m->shim || !m->kernel)
		return "no shim or no kernel given";
	if (m->format != IGVM_FORMAT_VERSION_1 && m->format != IGVM_FORMAT_VERSION_2)
		return "format is neither 1 nor 2";
	if (m->base % (2 * MIB) || m->memory % (2 * MIB) || m->base >> 46 || m->memory >> 40)
		return "base or memory is not a multiple of 2 MiB, or too large";
	if (m->vtl0_base % 4096 || m->vtl0_top % 4096 || m->vtl0_base >> 46 || m->vtl0_top >> 46)
		return "vtl0-base or vtl0-top is not a multiple of 4 KiB, or too large";
	if (m->vtl0_base && m->vtl0_top)
		return "vtl0-base and vtl0-top exclude each other";
	if (m->host_payload && any_payload(m))
		return "a payload is given and left to the host";
	if (!m->host_payload && !m->payload[SHIM_PAYLOAD_KERNEL] &&
	    (m->payload[SHIM_PAYLOAD_INITRD] || m->payload[SHIM_PAYLOAD_CMDLINE]))
		return "vtl0-initrd or vtl0-cmdline without vtl0-kernel";
	if (m->payload[SHIM_PAYLOAD_KERNEL] && m->payload[SHIM_PAYLOAD_FIRMWARE])
		return "vtl0-firmware and vtl0-kernel exclude each other";
	if (m->payload[SHIM_PAYLOAD_FIRMWARE] && m->isolation == SHIM_ISOLATION_TDX)
		return "vtl0-firmware is not for tdx, whose own reset vector lies in its place";
	if ((m->isolation == SHIM_ISOLATION_TDX) != (m->reset_vector != NULL))
		return "reset-vector is for tdx, which needs it";
	if (m->isolation == SHIM_ISOLATION_TDX && m->base >> 32)
		return "base is above 4 GiB, out of a TDX reset vector's reach";
	return NULL;
}

/* VTOM, as Hyper-V has it: private below, shared above. Intel's is at the top of 48 bits. */
static void set_isolation_defaults(struct manifest *manifest, bool policy_given)
{
	bool snp = manifest->isolation == SHIM_ISOLATION_SNP;
	bool tdx = manifest->isolation == SHIM_ISOLATION_TDX;

	if (!manifest->shared_gpa_boundary && (snp || tdx))
		manifest->shared_gpa_boundary = snp ? 1ull << 46 : 1ull << 47;
	if (!policy_given && snp)
		manifest->policy = IGVM_SNP_POLICY_MUST_BE_ONE | IGVM_SNP_POLICY_SMT |
				   (manifest->debug ? IGVM_SNP_POLICY_DEBUG : 0);
	if (!policy_given && tdx)
		manifest->policy = IGVM_TDX_POLICY_SEPT_VE_DISABLE |
				   (manifest->debug ? IGVM_TDX_POLICY_DEBUG : 0);
}

int manifest_parse(struct manifest *manifest, char *text, const char **reason)
{
	uint32_t seen = 0;
	char *line, *next;

	*manifest = (struct manifest){
		.text = text,
		.format = IGVM_FORMAT_VERSION_1,
		.base = 128 * MIB,
		.policy = UINT64_MAX,
		.sev_features = SEV_FEATURE_SNP | SEV_FEATURE_VTOM | SEV_FEATURE_RESTRICT_INJECTION,
	};
	for (line = text; line; line = next) {
		manifest->line++;
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (parse_line(manifest, line, &seen, reason))
			return -EINVAL;
	}
	*reason = problem(manifest);
	if (*reason)
		return -EINVAL;
	if (!manifest->vtl0_base && !manifest->vtl0_top)
		manifest->vtl0_base = 256 * MIB;
	set_isolation_defaults(manifest, manifest->policy != UINT64_MAX);
	return 0;
}

void manifest_free(struct manifest *manifest)
{
	free(manifest->text);
	manifest->text = NULL;
}

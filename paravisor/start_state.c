#include "paravisor/start_state.h"

#include <stddef.h>

#include "paravisor/boot/boot_state.h"
#include "vtl/vtl.h"

static int set_segments(struct vtl_vp *vp, const struct boot_vp_state *state)
{
	const struct {
		uint32_t name;
		const struct boot_segment *segment;
	} segments[] = {
		{ HV_X64_REGISTER_CS, &state->cs }, { HV_X64_REGISTER_DS, &state->ds },
		{ HV_X64_REGISTER_ES, &state->es }, { HV_X64_REGISTER_FS, &state->fs },
		{ HV_X64_REGISTER_GS, &state->gs }, { HV_X64_REGISTER_SS, &state->ss },
		{ HV_X64_REGISTER_TR, &state->tr }, { HV_X64_REGISTER_LDTR, &state->ldtr },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(segments) / sizeof(*segments); i++) {
		const struct boot_segment *s = segments[i].segment;
		union hv_register_value value = {
			.segment = { s->base, s->limit, s->selector, s->attributes },
		};

		ret = vtl_vp_set_value(vp, segments[i].name, &value);
	}
	return ret;
}

static int set_table(struct vtl_vp *vp, uint32_t name, const struct boot_table_register *table)
{
	union hv_register_value value = { .table = { .limit = table->limit, .base = table->base } };

	return vtl_vp_set_value(vp, name, &value);
}

/* EFER and CR4 before CR0: some hypervisors check each write against the state that it leads to. */
static int set_control(struct vtl_vp *vp, const struct boot_vp_state *state)
{
	const struct {
		uint32_t name;
		uint64_t value;
	} registers[] = {
		{ HV_X64_REGISTER_PAT, state->pat },
		{ HV_X64_REGISTER_CR3, state->cr3 },
		{ HV_X64_REGISTER_CR4, state->cr4 },
		{ HV_X64_REGISTER_EFER, state->efer },
		{ HV_X64_REGISTER_CR0, state->cr0 },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(registers) / sizeof(*registers); i++)
		ret = vtl_vp_set(vp, registers[i].name, registers[i].value);
	return ret;
}

int start_state_set_memory_type(struct vtl_vp *vp, uint64_t mtrr_def_type)
{
	return vtl_vp_set(vp, HV_X64_REGISTER_MSR_MTRR_DEF_TYPE, mtrr_def_type);
}

int start_state_set(struct vtl_vp *vp, const struct boot_vp_state *state)
{
	int ret = set_control(vp, state);

	if (!ret)
		ret = start_state_set_memory_type(vp, state->mtrr_def_type);
	if (!ret)
		ret = set_segments(vp, state);
	if (!ret)
		ret = set_table(vp, HV_X64_REGISTER_GDTR, &state->gdtr);
	if (!ret)
		ret = set_table(vp, HV_X64_REGISTER_IDTR, &state->idtr);
	for (unsigned int i = 0; !ret && i < BOOT_GPR_COUNT; i++)
		ret = vtl_vp_set(vp, HV_X64_REGISTER_RAX + i, state->gpr[i]);
	if (!ret)
		ret = vtl_vp_set(vp, HV_X64_REGISTER_RIP, state->rip);
	if (!ret)
		ret = vtl_vp_set(vp, HV_X64_REGISTER_RFLAGS, state->rflags);
	return ret;
}

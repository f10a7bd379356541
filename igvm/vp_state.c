#include "igvm/vp_state.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/hv_register.h"

#define CR0    0x80010031ull /* PG, WP, NE, ET, PE */
#define CR4    0x20ull       /* PAE */
#define EFER   0x500ull      /* LME, LMA */
#define RFLAGS 0x2ull
#define PAT    0x0007040600070406ull /* as after reset */

#define MIB2 0x200000ull

static const struct hv_x64_segment_register code = {
	.limit = 0xffffffff,
	.selector = 0x08,
	.attributes = 0xb | HV_X64_SEGMENT_NON_SYSTEM | HV_X64_SEGMENT_PRESENT |
		      HV_X64_SEGMENT_LONG | HV_X64_SEGMENT_GRANULARITY,
};
static const struct hv_x64_segment_register data = {
	.limit = 0xffffffff,
	.selector = 0x10,
	.attributes = 0x3 | HV_X64_SEGMENT_NON_SYSTEM | HV_X64_SEGMENT_PRESENT |
		      HV_X64_SEGMENT_DEFAULT | HV_X64_SEGMENT_GRANULARITY,
};
/* VM entry wants a busy task state segment, used or not. */
static const struct hv_x64_segment_register task = {
	.limit = 0xffff,
	.selector = 0x18,
	.attributes = 0xb | HV_X64_SEGMENT_PRESENT,
};

/* --- registers by name --- */

static void add(struct vp_state_registers *context, uint32_t name, const void *value, size_t len)
{
	struct igvm_vbs_vp_context_register *reg =
		&context->registers[context->header.register_count++];

	reg->vtl = 2;
	reg->register_name = name;
	memcpy(reg->register_value, value, len);
}

static void add64(struct vp_state_registers *context, uint32_t name, uint64_t value)
{
	add(context, name, &value, sizeof(value));
}

static void add_segment(struct vp_state_registers *context, uint32_t name,
			const struct hv_x64_segment_register *value)
{
	add(context, name, value, sizeof(*value));
}

void vp_state_registers(struct vp_state_registers *context, uint64_t rip, uint64_t cr3)
{
	memset(context, 0, sizeof(*context));
	add64(context, HV_X64_REGISTER_CR0, CR0);
	add64(context, HV_X64_REGISTER_CR3, cr3);
	add64(context, HV_X64_REGISTER_CR4, CR4);
	add64(context, HV_X64_REGISTER_EFER, EFER);
	add64(context, HV_X64_REGISTER_PAT, PAT);
	add_segment(context, HV_X64_REGISTER_CS, &code);
	add_segment(context, HV_X64_REGISTER_DS, &data);
	add_segment(context, HV_X64_REGISTER_ES, &data);
	add_segment(context, HV_X64_REGISTER_FS, &data);
	add_segment(context, HV_X64_REGISTER_GS, &data);
	add_segment(context, HV_X64_REGISTER_SS, &data);
	add_segment(context, HV_X64_REGISTER_TR, &task);
	add64(context, HV_X64_REGISTER_RFLAGS, RFLAGS);
	add64(context, HV_X64_REGISTER_RIP, rip);
	assert(context->header.register_count == VP_STATE_REGISTERS);
}

/* --- the save area --- */

static struct sev_selector selector(const struct hv_x64_segment_register *segment)
{
	return (struct sev_selector){ .selector = segment->selector,
				      .attrib = (uint16_t)((segment->attributes & 0xff) |
							   (segment->attributes >> 4 & 0xf00)),
				      .limit = segment->limit,
				      .base = segment->base };
}

void vp_state_vmsa(struct sev_vmsa *vmsa, uint64_t rip, uint64_t cr3, uint64_t sev_features,
		   uint64_t vtom)
{
	memset(vmsa, 0, sizeof(*vmsa));
	vmsa->cs = selector(&code);
	vmsa->ds = vmsa->es = vmsa->ss = vmsa->fs = vmsa->gs = selector(&data);
	vmsa->tr = selector(&task);
	vmsa->cr0 = CR0;
	vmsa->cr3 = cr3;
	vmsa->cr4 = CR4;
	vmsa->efer = EFER | SEV_EFER_SVME;
	vmsa->pat = PAT;
	vmsa->rflags = RFLAGS;
	vmsa->rip = rip;
	vmsa->dr6 = 0xffff0ff0;
	vmsa->dr7 = 0x400;
	vmsa->xcr0 = 1;
	vmsa->mxcsr = 0x1f80;
	vmsa->x87_fcw = 0x37f;
	vmsa->sev_features = sev_features;
	vmsa->virtual_tom = sev_features & SEV_FEATURE_VTOM ? vtom : 0;
}

/* --- page tables --- */

struct tables {
	uint64_t (*tables)[512];
	unsigned int used, limit;
	uint64_t at;
};

static uint64_t *table_below(struct tables *t, uint64_t *table, unsigned int index)
{
	if (!table[index]) {
		if (t->used == t->limit)
			return NULL;
		table[index] = (t->at + t->used++ * IGVM_PAGE_SIZE) | 3; /* present, writable */
	}
	return t->tables[((table[index] & ~0xfffull) - t->at) / IGVM_PAGE_SIZE];
}

static bool map_large(struct tables *t, uint64_t gpa)
{
	uint64_t *pdpt = table_below(t, t->tables[0], gpa >> 39 & 511);
	uint64_t *pd = pdpt ? table_below(t, pdpt, gpa >> 30 & 511) : NULL;

	if (pd)
		pd[gpa >> 21 & 511] = gpa | 0x83; /* present, writable, large */
	return pd;
}

unsigned int vp_state_tables(uint64_t (*tables)[512], unsigned int pages, uint64_t at, uint64_t gpa,
			     uint64_t len, uint64_t also)
{
	struct tables t = { tables, 1, pages, at };
	uint64_t end = gpa + len;

	memset(tables, 0, pages * sizeof(*tables));
	for (; gpa < end; gpa += MIB2)
		if (!map_large(&t, gpa))
			return 0;
	if (also && !map_large(&t, also))
		return 0;
	return t.used;
}

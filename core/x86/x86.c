// SPDX-License-Identifier: MIT
#include "core/x86/x86.h"

static uint8_t code_bits(const struct x86_cpu *cpu, const struct x86_cpu_mode *mode)
{
	uint16_t attributes = cpu->segment[X86_CS].attributes;

	/* Real-mode code runs with 32-bit defaults after a return from protected mode that kept D. */
	if (mode->vm86)
		return 16;
	if (mode->long_mode && (attributes & X86_SEGMENT_LONG))
		return 64;
	return attributes & X86_SEGMENT_DEFAULT ? 32 : 16;
}

void x86_cpu_mode(struct x86_cpu_mode *mode, const struct x86_cpu *cpu)
{
	uint16_t ss = cpu->segment[X86_SS].attributes;

	mode->real = !(cpu->cr0 & X86_CR0_PE);
	mode->long_mode = !mode->real && (cpu->efer & X86_EFER_LMA);
	mode->vm86 = !mode->real && !mode->long_mode && (cpu->rflags & X86_RFLAGS_VM);
	mode->code_bits = code_bits(cpu, mode);
	if (mode->code_bits == 64)
		mode->stack_bits = 64;
	else
		mode->stack_bits = ss & X86_SEGMENT_DEFAULT ? 32 : 16;
	mode->linear_bits = cpu->cr4 & X86_CR4_LA57 ? 57 : 48;
	if (mode->real)
		mode->cpl = 0;
	else if (mode->vm86)
		mode->cpl = 3;
	else
		mode->cpl = (ss >> X86_SEGMENT_DPL_SHIFT) & 3;
}

static bool canonical(const struct x86_cpu_mode *mode, uint64_t linear)
{
	unsigned int shift = 64 - mode->linear_bits;

	return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

/* SDM vol. 3, 5.5: what each segment type allows. */
static bool type_allows(const struct x86_segment *segment, uint32_t access)
{
	uint16_t attributes = segment->attributes;

	if (!(attributes & X86_SEGMENT_PRESENT) || !(attributes & X86_SEGMENT_NONSYSTEM))
		return false;
	if (attributes & X86_SEGMENT_CODE) {
		if (access & X86_ACCESS_WRITE)
			return false;
		return !(access & X86_ACCESS_READ) || (attributes & X86_SEGMENT_READABLE);
	}
	return !(access & X86_ACCESS_WRITE) || (attributes & X86_SEGMENT_WRITABLE);
}

static bool within_limit(const struct x86_segment *segment, uint64_t offset, uint32_t size)
{
	uint16_t type = segment->attributes & (X86_SEGMENT_CODE | X86_SEGMENT_EXPAND_DOWN);
	uint64_t last = offset + size - 1;

	if (type != X86_SEGMENT_EXPAND_DOWN)
		return last <= segment->limit;
	if (offset <= segment->limit)
		return false;
	return last <= (segment->attributes & X86_SEGMENT_DEFAULT ? UINT32_MAX : UINT16_MAX);
}

static int linear_64(const struct x86_cpu *cpu, const struct x86_cpu_mode *mode,
		     enum x86_segment_reg segment, uint64_t offset, uint32_t size, uint64_t *linear)
{
	*linear = offset;
	if (segment == X86_FS || segment == X86_GS)
		*linear += cpu->segment[segment].base;
	if (canonical(mode, *linear) && canonical(mode, *linear + size - 1))
		return 0;
	return segment == X86_SS ? X86_VECTOR_SS : X86_VECTOR_GP;
}

int x86_linear_address(const struct x86_cpu *cpu, const struct x86_cpu_mode *mode,
		       enum x86_segment_reg segment, uint64_t offset, uint32_t size,
		       uint32_t access, uint64_t *linear)
{
	const struct x86_segment *descriptor = &cpu->segment[segment];

	if (mode->code_bits == 64)
		return linear_64(cpu, mode, segment, offset, size, linear);

	offset = (uint32_t)offset;
	*linear = (uint32_t)(descriptor->base + offset);
	/* Segment types mean nothing in real mode: code segments are written through CS there. */
	if (!mode->real && !mode->vm86 && !type_allows(descriptor, access))
		return segment == X86_SS ? X86_VECTOR_SS : X86_VECTOR_GP;
	if (!within_limit(descriptor, offset, size))
		return segment == X86_SS ? X86_VECTOR_SS : X86_VECTOR_GP;
	return 0;
}

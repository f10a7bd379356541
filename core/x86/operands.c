// SPDX-License-Identifier: MIT
/* Which memory an instruction is about to access. */
#include "core/x86/opcodes.h"

#include <errno.h>

struct operand_list {
	const struct x86_insn *insn;
	const struct x86_cpu *cpu;
	struct x86_cpu_mode mode;
	struct x86_memory_operand *operands;
	int count;
};

uint64_t x86_effective_offset(const struct x86_insn *insn, const struct x86_cpu *cpu)
{
	const struct x86_address *address = &insn->address;
	uint64_t offset = address->displacement;

	if (address->base == X86_ADDRESS_RIP)
		offset += cpu->rip + insn->length;
	else if (address->base != X86_ADDRESS_NO_REG)
		offset += cpu->gpr[address->base];
	if (address->index != X86_ADDRESS_NO_REG)
		offset += cpu->gpr[address->index] * address->scale;
	return x86_truncate(offset, insn->address_size);
}

/* SDM vol. 2, BT: the register bit offset of a memory operand is signed and not bounded. */
static int64_t bit_offset_bytes(const struct x86_insn *insn, const struct x86_cpu *cpu)
{
	int64_t bit = x86_sign_extend(cpu->gpr[insn->reg], insn->operand_size);

	return (bit >> (insn->operand_size == 8   ? 6
			: insn->operand_size == 4 ? 5
						  : 4)) *
	       insn->operand_size;
}

static bool is_bit_string(const struct x86_insn *insn)
{
	const struct x86_opcode *info = insn->opcode_info;

	return info->operation >= X86_OP_BT && info->operation <= X86_OP_BTC &&
	       info->operand[1].kind == X86_KIND_G;
}

uint64_t x86_memory_offset(const struct x86_insn *insn, const struct x86_cpu *cpu)
{
	uint64_t offset = x86_effective_offset(insn, cpu);

	if (is_bit_string(insn))
		offset = x86_truncate(offset + bit_offset_bytes(insn, cpu), insn->address_size);
	return offset;
}

static unsigned int element_size(const struct operand_list *list)
{
	return x86_size_in_bytes(list->insn, &list->mode, list->insn->opcode_info->operand[0].size);
}

static struct x86_memory_operand *add(struct operand_list *list, uint8_t segment, uint64_t offset,
				      uint32_t size, uint32_t access)
{
	struct x86_memory_operand *operand = &list->operands[list->count++];

	*operand = (struct x86_memory_operand){
		.size = size,
		.access = access,
		.count = 1,
	};
	if (list->mode.cpl == 3)
		operand->access |= X86_ACCESS_USER;
	if (list->insn->lock || list->insn->opcode_info->operation == X86_OP_XCHG)
		operand->access |= X86_ACCESS_LOCKED;
	operand->fault = x86_linear_address(list->cpu, &list->mode, segment, offset,
					    size ? size : 1, access, &operand->linear);
	return operand;
}

static void add_modrm(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;

	if (insn->has_memory && insn->memory_access)
		add(list, insn->address.segment, x86_memory_offset(insn, list->cpu),
		    insn->memory_size, insn->memory_access);
}

/* String operands: SDM vol. 1, 7.3.9.1; the destination's segment cannot be overridden. */
static void add_string(struct operand_list *list, enum x86_reg reg, uint32_t access)
{
	const struct x86_insn *insn = list->insn;
	uint64_t offset = x86_truncate(list->cpu->gpr[reg], insn->address_size);
	uint8_t segment = reg == X86_RDI ? X86_ES : insn->address.segment;
	struct x86_memory_operand *operand = add(list, segment, offset, element_size(list), access);

	if (insn->rep || insn->repne)
		operand->count = x86_truncate(list->cpu->gpr[X86_RCX], insn->address_size);
	operand->backward = list->cpu->rflags & X86_RFLAGS_DF;
}

static uint64_t stack_offset(const struct operand_list *list, int64_t displacement)
{
	return x86_truncate(list->cpu->gpr[X86_RSP] + displacement, list->mode.stack_bits / 8);
}

static void add_stack(struct operand_list *list, int64_t displacement, uint32_t size,
		      uint32_t access)
{
	add(list, X86_SS, stack_offset(list, displacement), size, access)->stack = true;
}

/* POP computes its destination's address with the stack pointer already raised (SDM, POP). */
static void add_pop_destination(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;
	uint64_t offset = x86_effective_offset(insn, list->cpu);

	if (!insn->has_memory)
		return;
	if (insn->address.base == X86_RSP)
		offset = x86_truncate(offset + insn->operand_size, insn->address_size);
	add(list, insn->address.segment, offset, insn->operand_size, X86_ACCESS_WRITE);
}

/* ENTER: the frame pointers of the levels above are not told apart from the frame's own push. */
static void add_enter(struct operand_list *list)
{
	uint32_t size = list->insn->operand_size;
	uint32_t level = list->insn->immediate2 & 31;
	uint64_t frame = x86_truncate(list->cpu->gpr[X86_RBP], list->mode.stack_bits / 8);

	if (level > 1)
		add(list, X86_SS,
		    x86_truncate(frame - (uint64_t)size * (level - 1), list->mode.stack_bits / 8),
		    size * (level - 1), X86_ACCESS_READ)
			->stack = true;
	add_stack(list, -(int64_t)(size * (level + 1)), size * (level + 1), X86_ACCESS_WRITE);
}

/* IRET in 64-bit mode always takes five values; SS:RSP of an inner-level return elsewhere not. */
static uint32_t iret_values(const struct operand_list *list)
{
	return list->mode.code_bits == 64 ? 5 : 3;
}

static void add_xlat(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;
	uint64_t offset = list->cpu->gpr[X86_RBX] + (uint8_t)list->cpu->gpr[X86_RAX];

	add(list, insn->address.segment, x86_truncate(offset, insn->address_size), 1,
	    X86_ACCESS_READ);
}

static void add_leave(struct operand_list *list)
{
	uint64_t frame = x86_truncate(list->cpu->gpr[X86_RBP], list->mode.stack_bits / 8);

	add(list, X86_SS, frame, list->insn->operand_size, X86_ACCESS_READ)->stack = true;
}

/* MOVDIR64B and ENQCMD store to ES:[reg] what they load from the ModRM operand. */
static void add_movdir64b(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;

	add_modrm(list);
	add(list, X86_ES, x86_truncate(list->cpu->gpr[insn->reg], insn->address_size), 64,
	    X86_ACCESS_WRITE);
}

/* MASKMOVQ and MASKMOVDQU store to DS:rDI, up to as many bytes as the register has. */
static bool is_maskmov(const struct x86_insn *insn)
{
	return insn->opcode_info->operation == X86_OP_VECTOR && insn->map == X86_MAP_0F &&
	       insn->opcode == 0xf7;
}

static void add_vector(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;
	uint64_t offset = x86_truncate(list->cpu->gpr[X86_RDI], insn->address_size);

	if (is_maskmov(insn))
		add(list, insn->address.segment, offset, insn->simd_prefix == X86_SIMD_66 ? 16 : 8,
		    X86_ACCESS_WRITE);
	else
		add_modrm(list);
}

/* CLZERO clears the cache line that rAX points into (APM vol. 3). */
static bool is_clzero(const struct x86_insn *insn)
{
	return insn->opcode_info->operation == X86_OP_OTHER && insn->map == X86_MAP_0F &&
	       insn->opcode == 0x01 && insn->modrm == 0xfc;
}

static void add_other(struct operand_list *list)
{
	const struct x86_insn *insn = list->insn;
	uint64_t offset = x86_truncate(list->cpu->gpr[X86_RAX], insn->address_size);

	if (is_clzero(insn))
		add(list, insn->address.segment, offset & ~63UL, 64, X86_ACCESS_WRITE);
	else
		add_modrm(list);
}

static void add_stack_operation(struct operand_list *list)
{
	uint32_t size = list->insn->operand_size;

	switch (list->insn->opcode_info->operation) {
	case X86_OP_CALL_FAR:
		add_modrm(list);
		add_stack(list, -2 * (int64_t)size, 2 * size, X86_ACCESS_WRITE);
		break;
	case X86_OP_PUSH:
	case X86_OP_PUSHF:
	case X86_OP_CALL:
		add_modrm(list);
		add_stack(list, -(int64_t)size, size, X86_ACCESS_WRITE);
		break;
	case X86_OP_POP:
		add_stack(list, 0, size, X86_ACCESS_READ);
		add_pop_destination(list);
		break;
	case X86_OP_RET:
	case X86_OP_POPF:
	case X86_OP_POP_SEGMENT:
		add_stack(list, 0, size, X86_ACCESS_READ);
		break;
	case X86_OP_RET_FAR:
		add_stack(list, 0, 2 * size, X86_ACCESS_READ);
		break;
	case X86_OP_IRET:
		add_stack(list, 0, iret_values(list) * size, X86_ACCESS_READ);
		break;
	case X86_OP_PUSHA:
		add_stack(list, -8 * (int64_t)size, 8 * size, X86_ACCESS_WRITE);
		break;
	case X86_OP_POPA:
		add_stack(list, 0, 8 * size, X86_ACCESS_READ);
		break;
	case X86_OP_ENTER:
		add_enter(list);
		break;
	case X86_OP_LEAVE:
		add_leave(list);
		break;
	default:
		add_other(list);
	}
}

static void add_operands(struct operand_list *list)
{
	switch (list->insn->opcode_info->operation) {
	case X86_OP_MOVS:
		add_string(list, X86_RSI, X86_ACCESS_READ);
		add_string(list, X86_RDI, X86_ACCESS_WRITE);
		break;
	case X86_OP_CMPS:
		add_string(list, X86_RSI, X86_ACCESS_READ);
		add_string(list, X86_RDI, X86_ACCESS_READ);
		break;
	case X86_OP_LODS:
	case X86_OP_OUTS:
		add_string(list, X86_RSI, X86_ACCESS_READ);
		break;
	case X86_OP_SCAS:
		add_string(list, X86_RDI, X86_ACCESS_READ);
		break;
	case X86_OP_STOS:
	case X86_OP_INS:
		add_string(list, X86_RDI, X86_ACCESS_WRITE);
		break;
	case X86_OP_XLAT:
		add_xlat(list);
		break;
	case X86_OP_MOVDIR64B:
		add_movdir64b(list);
		break;
	case X86_OP_VECTOR:
		add_vector(list);
		break;
	default:
		add_stack_operation(list);
	}
}

int x86_memory_operands(const struct x86_insn *insn, const struct x86_cpu *cpu,
			struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX])
{
	struct operand_list list = {
		.insn = insn,
		.cpu = cpu,
		.operands = operands,
	};

	if (!insn->opcode_info || insn->address.vector_index)
		return -EOPNOTSUPP;
	x86_cpu_mode(&list.mode, cpu);
	add_operands(&list);
	return list.count;
}

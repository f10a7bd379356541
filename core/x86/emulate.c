// SPDX-License-Identifier: MIT
/* Fetches, decodes, dispatches and retires one instruction. */
#include "core/x86/execution.h"

#include <errno.h>

#define PAGE_SIZE          4096
#define DEFAULT_ITERATIONS 4096

static x86_handler_fn *const handlers[X86_OP_COUNT] = {
	[X86_OP_ADD] = x86_emulate_alu,
	[X86_OP_OR] = x86_emulate_alu,
	[X86_OP_ADC] = x86_emulate_alu,
	[X86_OP_SBB] = x86_emulate_alu,
	[X86_OP_AND] = x86_emulate_alu,
	[X86_OP_SUB] = x86_emulate_alu,
	[X86_OP_XOR] = x86_emulate_alu,
	[X86_OP_CMP] = x86_emulate_alu,
	[X86_OP_ROL] = x86_emulate_shift,
	[X86_OP_ROR] = x86_emulate_shift,
	[X86_OP_RCL] = x86_emulate_shift,
	[X86_OP_RCR] = x86_emulate_shift,
	[X86_OP_SHL] = x86_emulate_shift,
	[X86_OP_SHR] = x86_emulate_shift,
	[X86_OP_SAL] = x86_emulate_shift,
	[X86_OP_SAR] = x86_emulate_shift,
	[X86_OP_TEST] = x86_emulate_test,
	[X86_OP_NOT] = x86_emulate_unary,
	[X86_OP_NEG] = x86_emulate_unary,
	[X86_OP_MUL] = x86_emulate_multiply,
	[X86_OP_IMUL_WIDE] = x86_emulate_multiply,
	[X86_OP_DIV] = x86_emulate_divide,
	[X86_OP_IDIV] = x86_emulate_divide,
	[X86_OP_INC] = x86_emulate_unary,
	[X86_OP_DEC] = x86_emulate_unary,
	[X86_OP_IMUL] = x86_emulate_imul,
	[X86_OP_SHLD] = x86_emulate_shift_double,
	[X86_OP_SHRD] = x86_emulate_shift_double,
	[X86_OP_MOV] = x86_emulate_mov,
	[X86_OP_MOVSX] = x86_emulate_movsx,
	[X86_OP_MOVZX] = x86_emulate_mov,
	[X86_OP_MOVBE] = x86_emulate_movbe,
	[X86_OP_BSWAP] = x86_emulate_bswap,
	[X86_OP_LEA] = x86_emulate_lea,
	[X86_OP_XCHG] = x86_emulate_xchg,
	[X86_OP_XADD] = x86_emulate_xadd,
	[X86_OP_CMPXCHG] = x86_emulate_cmpxchg,
	[X86_OP_CMPXCHG8B] = x86_emulate_cmpxchg8b,
	[X86_OP_BT] = x86_emulate_bit,
	[X86_OP_BTS] = x86_emulate_bit,
	[X86_OP_BTR] = x86_emulate_bit,
	[X86_OP_BTC] = x86_emulate_bit,
	[X86_OP_BSF] = x86_emulate_bit_scan,
	[X86_OP_BSR] = x86_emulate_bit_scan,
	[X86_OP_POPCNT] = x86_emulate_popcnt,
	[X86_OP_SETCC] = x86_emulate_setcc,
	[X86_OP_CMOVCC] = x86_emulate_cmovcc,
	[X86_OP_CBW] = x86_emulate_sign_extend_a,
	[X86_OP_CWD] = x86_emulate_sign_extend_a,
	[X86_OP_XLAT] = x86_emulate_xlat,
	[X86_OP_PUSH] = x86_emulate_push,
	[X86_OP_POP] = x86_emulate_pop,
	[X86_OP_PUSHF] = x86_emulate_pushf,
	[X86_OP_LEAVE] = x86_emulate_leave,
	[X86_OP_JCC] = x86_emulate_jcc,
	[X86_OP_JMP] = x86_emulate_jmp,
	[X86_OP_CALL] = x86_emulate_call,
	[X86_OP_RET] = x86_emulate_ret,
	[X86_OP_LOOP] = x86_emulate_loop,
	[X86_OP_LAHF] = x86_emulate_lahf,
	[X86_OP_SAHF] = x86_emulate_sahf,
	[X86_OP_FLAG] = x86_emulate_flag,
	[X86_OP_NOP] = x86_emulate_nop,
	[X86_OP_MOVS] = x86_emulate_string,
	[X86_OP_CMPS] = x86_emulate_string,
	[X86_OP_STOS] = x86_emulate_string,
	[X86_OP_LODS] = x86_emulate_string,
	[X86_OP_SCAS] = x86_emulate_string,
	[X86_OP_INS] = x86_emulate_string,
	[X86_OP_OUTS] = x86_emulate_string,
	[X86_OP_IN] = x86_emulate_in,
	[X86_OP_OUT] = x86_emulate_out,
	[X86_OP_VECTOR] = x86_emulate_vector,
};

/* The rest of the page, or less at the end of the instruction or of the code segment. */
static size_t fetch_length(const struct x86_execution *x, uint64_t offset, uint64_t linear)
{
	size_t len = X86_INSN_MAX_LENGTH - x->emulator->byte_count;
	size_t page = PAGE_SIZE - linear % PAGE_SIZE;
	uint64_t segment = x->cpu.segment[X86_CS].limit - offset;

	if (len > page)
		len = page;
	if (x->mode.code_bits != 64 && len - 1 > segment)
		len = segment + 1;
	return len;
}

static int fetch_more(struct x86_execution *x)
{
	struct x86_emulator *emulator = x->emulator;
	uint64_t offset = x->cpu.rip + emulator->byte_count;
	uint64_t linear;
	size_t len;
	int ret;

	if (x->mode.code_bits != 64)
		offset = (uint32_t)offset;
	if (x86_linear_address(&x->cpu, &x->mode, X86_CS, offset, 1, X86_ACCESS_FETCH, &linear))
		return x86_raise(x, X86_VECTOR_GP);
	if (!x->ops->fetch)
		return -EOPNOTSUPP;
	len = fetch_length(x, offset, linear);
	ret = x->ops->fetch(x->ctx, linear, emulator->bytes + emulator->byte_count, len,
			    &emulator->exception);
	if (!ret)
		emulator->byte_count += len;
	return ret == -EFAULT ? X86_EMULATE_EXCEPTION : ret;
}

static int decode(struct x86_execution *x)
{
	struct x86_emulator *emulator = x->emulator;
	int ret;

	if (emulator->byte_count > X86_INSN_MAX_LENGTH)
		return -EINVAL;
	for (;;) {
		ret = x86_decode(&emulator->insn, &x->mode, emulator->bytes, emulator->byte_count);
		if (ret != -ENODATA)
			break;
		ret = fetch_more(x);
		if (ret)
			return ret;
	}
	if (ret == -EINVAL)
		return x86_raise(x, X86_VECTOR_UD);
	if (ret == -E2BIG)
		return x86_raise(x, X86_VECTOR_GP);
	return ret;
}

/* After a MORE, RIP stays, and so does RF; see SDM vol. 3, 17.3.1.1. */
static void retire(struct x86_execution *x, int result)
{
	if (result == X86_EMULATE_DONE) {
		x->cpu.rip = x->next_rip;
		x->cpu.rflags &= ~X86_RFLAGS_RF;
	}
	x->emulator->single_step = x->emulator->cpu.rflags & X86_RFLAGS_TF;
	x->emulator->cpu = x->cpu;
}

static int execute(struct x86_execution *x, x86_handler_fn *handler)
{
	struct x86_vector_write *write = &x->vector_write;
	int ret = handler(x);

	if ((ret == X86_EMULATE_DONE || ret == X86_EMULATE_MORE) && write->pending) {
		int error = x->ops->set_vector ? x->ops->set_vector(x->ctx, write->reg, write->data,
								    write->len, write->zero_upper)
					       : -EOPNOTSUPP;

		if (error)
			return error;
	}
	if (ret == X86_EMULATE_DONE || ret == X86_EMULATE_MORE)
		retire(x, ret);
	return ret;
}

/* A trap is due after every iteration of a REP instruction. */
static uint32_t allowed_iterations(const struct x86_emulator *emulator)
{
	if (emulator->cpu.rflags & X86_RFLAGS_TF)
		return 1;
	return emulator->max_iterations ? emulator->max_iterations : DEFAULT_ITERATIONS;
}

int x86_emulate(struct x86_emulator *emulator, const struct x86_emulator_ops *ops, void *ctx)
{
	struct x86_execution x = {
		.emulator = emulator,
		.ops = ops,
		.ctx = ctx,
		.insn = &emulator->insn,
		.cpu = emulator->cpu,
		.iterations = allowed_iterations(emulator),
	};
	int ret;

	emulator->single_step = false;
	emulator->interrupt_shadow = false;
	x86_cpu_mode(&x.mode, &emulator->cpu);
	ret = decode(&x);
	if (ret)
		return ret;
	x.operation = emulator->insn.opcode_info->operation;
	if (!handlers[x.operation])
		return -EOPNOTSUPP;
	x.next_rip = emulator->cpu.rip + emulator->insn.length;
	if (x.mode.code_bits != 64)
		x.next_rip = (uint32_t)x.next_rip;
	x86_operands_resolve(&x);
	return execute(&x, handlers[x.operation]);
}

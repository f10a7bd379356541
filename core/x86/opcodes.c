// SPDX-License-Identifier: MIT
/* The general-purpose, system and x87 opcode maps: SDM vol. 2, appendix A; APM vol. 3, appendix A. */
#include "core/x86/opcodes.h"

#define SPEC(kind_, size_)                                         \
	{                                                          \
		.kind = X86_KIND_##kind_, .size = X86_SIZE_##size_ \
	}
#define Eb  SPEC(E, B)
#define Ew  SPEC(E, W)
#define Ed  SPEC(E, D)
#define Ev  SPEC(E, V)
#define Ey  SPEC(E, Y)
#define Ez  SPEC(E, Z)
#define Mb  SPEC(M, NONE)
#define Md  SPEC(M, D)
#define Mq  SPEC(M, Q)
#define Mp  SPEC(M, P)
#define Ms  SPEC(M, S)
#define My  SPEC(M, Y)
#define Mv  SPEC(M, V)
#define Rv  SPEC(R, V)
#define Gb  SPEC(G, B)
#define Gw  SPEC(G, W)
#define Gv  SPEC(G, V)
#define Gy  SPEC(G, Y)
#define By  SPEC(B, Y)
#define Sw  SPEC(S, W)
#define Zb  SPEC(Z, B)
#define Zv  SPEC(Z, V)
#define Zy  SPEC(Z, Y)
#define Ib  SPEC(I, B)
#define Iw  SPEC(I, W)
#define Iz  SPEC(I, Z)
#define Iv  SPEC(I, V)
#define Jb  SPEC(J, B)
#define Jz  SPEC(J, Z)
#define Ob  SPEC(O, B)
#define Ov  SPEC(O, V)
#define Ap  SPEC(P, P)
#define AL  SPEC(A, B)
#define AX  SPEC(A, V)
#define AZ  SPEC(A, Z)
#define CL  SPEC(C, B)
#define DX  SPEC(D, W)
#define ONE SPEC(1, B)
/* The size of a string element or of a stack slot, where no operand says it. */
#define ELEMENT_B SPEC(NONE, B)
#define ELEMENT_V SPEC(NONE, V)
#define ELEMENT_Z SPEC(NONE, Z)

#define RD X86_ACCESS_READ
#define WR X86_ACCESS_WRITE
#define RW (X86_ACCESS_READ | X86_ACCESS_WRITE)

/* An instruction, how it accesses its memory operand, its flags, and its operands. */
#define OP(operation_, access_, flags_, ...)                                              \
	{                                                                                 \
		.operation = X86_OP_##operation_, .access = (access_), .flags = (flags_), \
		.operand = {                                                              \
			__VA_ARGS__                                                       \
		}                                                                         \
	}
#define OTHER(access_, ...) OP(OTHER, access_, 0, __VA_ARGS__)
#define SELECT(by, table)                                  \
	{                                                  \
		.select = X86_SELECT_##by, .next = (table) \
	}
#define INVALID                             \
	{                                   \
		.operation = X86_OP_INVALID \
	}

#define LOCK      X86_FLAG_LOCK
#define NOT_64    X86_FLAG_NOT_64
#define DEFAULT64 X86_FLAG_DEFAULT64
#define FORCE64   X86_FLAG_FORCE64
#define MODRM     X86_FLAG_MODRM

#define ALU_ROW(base, name, access, flags)                                                      \
	[(base)] = OP(name, access, flags, Eb, Gb),                                             \
	[(base) + 1] = OP(name, access, flags, Ev, Gv), [(base) + 2] = OP(name, RD, 0, Gb, Eb), \
	[(base) + 3] = OP(name, RD, 0, Gv, Ev), [(base) + 4] = OP(name, 0, 0, AL, Ib),          \
	[(base) + 5] = OP(name, 0, 0, AX, Iz)

#define REPEAT8(base, ...)                                                                  \
	[(base)] = __VA_ARGS__, [(base) + 1] = __VA_ARGS__, [(base) + 2] = __VA_ARGS__,     \
	[(base) + 3] = __VA_ARGS__, [(base) + 4] = __VA_ARGS__, [(base) + 5] = __VA_ARGS__, \
	[(base) + 6] = __VA_ARGS__, [(base) + 7] = __VA_ARGS__
#define REPEAT16(base, ...) REPEAT8(base, __VA_ARGS__), REPEAT8((base) + 8, __VA_ARGS__)

#define GROUP1(...)                                                                     \
	{                                                                               \
		OP(ADD, RW, LOCK, __VA_ARGS__), OP(OR, RW, LOCK, __VA_ARGS__),          \
			OP(ADC, RW, LOCK, __VA_ARGS__), OP(SBB, RW, LOCK, __VA_ARGS__), \
			OP(AND, RW, LOCK, __VA_ARGS__), OP(SUB, RW, LOCK, __VA_ARGS__), \
			OP(XOR, RW, LOCK, __VA_ARGS__), OP(CMP, RD, 0, __VA_ARGS__)     \
	}
static const struct x86_opcode group_1_b[8] = GROUP1(Eb, Ib);
static const struct x86_opcode group_1_z[8] = GROUP1(Ev, Iz);
static const struct x86_opcode group_1_v[8] = GROUP1(Ev, Ib);

#define GROUP2(...)                                                               \
	{                                                                         \
		OP(ROL, RW, 0, __VA_ARGS__), OP(ROR, RW, 0, __VA_ARGS__),         \
			OP(RCL, RW, 0, __VA_ARGS__), OP(RCR, RW, 0, __VA_ARGS__), \
			OP(SHL, RW, 0, __VA_ARGS__), OP(SHR, RW, 0, __VA_ARGS__), \
			OP(SAL, RW, 0, __VA_ARGS__), OP(SAR, RW, 0, __VA_ARGS__)  \
	}
static const struct x86_opcode group_2_b_imm[8] = GROUP2(Eb, Ib);
static const struct x86_opcode group_2_v_imm[8] = GROUP2(Ev, Ib);
static const struct x86_opcode group_2_b_one[8] = GROUP2(Eb, ONE);
static const struct x86_opcode group_2_v_one[8] = GROUP2(Ev, ONE);
static const struct x86_opcode group_2_b_cl[8] = GROUP2(Eb, CL);
static const struct x86_opcode group_2_v_cl[8] = GROUP2(Ev, CL);

#define GROUP3(operand_, imm)                                                     \
	{                                                                         \
		OP(TEST, RD, 0, operand_, imm), OP(TEST, RD, 0, operand_, imm),   \
			OP(NOT, RW, LOCK, operand_), OP(NEG, RW, LOCK, operand_), \
			OP(MUL, RD, 0, operand_), OP(IMUL_WIDE, RD, 0, operand_), \
			OP(DIV, RD, 0, operand_), OP(IDIV, RD, 0, operand_)       \
	}
static const struct x86_opcode group_3_b[8] = GROUP3(Eb, Ib);
static const struct x86_opcode group_3_v[8] = GROUP3(Ev, Iz);

static const struct x86_opcode group_4[8] = {
	OP(INC, RW, LOCK, Eb),
	OP(DEC, RW, LOCK, Eb),
};

static const struct x86_opcode group_5[8] = {
	OP(INC, RW, LOCK, Ev),       OP(DEC, RW, LOCK, Ev),
	OP(CALL, RD, FORCE64, Ev),   OP(CALL_FAR, RD, 0, Mp),
	OP(JMP, RD, FORCE64, Ev),    OTHER(RD, Mp),
	OP(PUSH, RD, DEFAULT64, Ev), INVALID,
};

static const struct x86_opcode group_1a[8] = { OP(POP, WR, DEFAULT64, Ev) };
static const struct x86_opcode group_11_b[8] = { OP(MOV, WR, 0, Eb, Ib) };
static const struct x86_opcode group_11_v[8] = { OP(MOV, WR, 0, Ev, Iz) };

static const struct x86_opcode alias_82[2] = { SELECT(REG, group_1_b), INVALID };

/* The stores of system registers write two bytes to memory, but a whole register. */
static const struct x86_opcode mov_from_segment[2] = { OP(MOV, WR, 0, Ew, Sw),
						       OP(MOV, 0, 0, Ev, Sw) };
static const struct x86_opcode store_selector[2] = { OTHER(WR, Ew), OTHER(0, Ev) };
static const struct x86_opcode arpl_movsxd[2] = { OTHER(RW, Ew, Gw), OP(MOVSX, RD, 0, Gv, Ez) };

#define FPU_MEMORY(name, a, b, c, d, e, f, g, h)                                      \
	static const struct x86_opcode name##_memory[8] = { a, b, c, d, e, f, g, h }; \
	static const struct x86_opcode name[2] = {                                    \
		SELECT(REG, name##_memory),                                           \
		OTHER(0),                                                             \
	}
#define FPU(access, size_) OTHER(access, SPEC(M, size_))
FPU_MEMORY(fpu_d8, FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D),
	   FPU(RD, D), FPU(RD, D));
FPU_MEMORY(fpu_d9, FPU(RD, D), INVALID, FPU(WR, D), FPU(WR, D), FPU(RD, FPU_ENV), FPU(RD, W),
	   FPU(WR, FPU_ENV), FPU(WR, W));
FPU_MEMORY(fpu_da, FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D), FPU(RD, D),
	   FPU(RD, D), FPU(RD, D));
FPU_MEMORY(fpu_db, FPU(RD, D), FPU(WR, D), FPU(WR, D), FPU(WR, D), INVALID, FPU(RD, T), INVALID,
	   FPU(WR, T));
FPU_MEMORY(fpu_dc, FPU(RD, Q), FPU(RD, Q), FPU(RD, Q), FPU(RD, Q), FPU(RD, Q), FPU(RD, Q),
	   FPU(RD, Q), FPU(RD, Q));
FPU_MEMORY(fpu_dd, FPU(RD, Q), FPU(WR, Q), FPU(WR, Q), FPU(WR, Q), FPU(RD, FPU_ALL), INVALID,
	   FPU(WR, FPU_ALL), FPU(WR, W));
FPU_MEMORY(fpu_de, FPU(RD, W), FPU(RD, W), FPU(RD, W), FPU(RD, W), FPU(RD, W), FPU(RD, W),
	   FPU(RD, W), FPU(RD, W));
FPU_MEMORY(fpu_df, FPU(RD, W), FPU(WR, W), FPU(WR, W), FPU(WR, W), FPU(RD, T), FPU(RD, Q),
	   FPU(WR, T), FPU(WR, Q));

static const struct x86_opcode one_byte[256] = {
	ALU_ROW(0x00, ADD, RW, LOCK),
	[0x06] = OP(PUSH, 0, NOT_64, ELEMENT_V),
	[0x07] = OP(POP_SEGMENT, 0, NOT_64, ELEMENT_V),
	ALU_ROW(0x08, OR, RW, LOCK),
	[0x0e] = OP(PUSH, 0, NOT_64, ELEMENT_V),
	ALU_ROW(0x10, ADC, RW, LOCK),
	[0x16] = OP(PUSH, 0, NOT_64, ELEMENT_V),
	[0x17] = OP(POP_SEGMENT, 0, NOT_64, ELEMENT_V),
	ALU_ROW(0x18, SBB, RW, LOCK),
	[0x1e] = OP(PUSH, 0, NOT_64, ELEMENT_V),
	[0x1f] = OP(POP_SEGMENT, 0, NOT_64, ELEMENT_V),
	ALU_ROW(0x20, AND, RW, LOCK),
	[0x27] = OP(OTHER, 0, NOT_64),
	ALU_ROW(0x28, SUB, RW, LOCK),
	[0x2f] = OP(OTHER, 0, NOT_64),
	ALU_ROW(0x30, XOR, RW, LOCK),
	[0x37] = OP(OTHER, 0, NOT_64),
	ALU_ROW(0x38, CMP, RD, 0),
	[0x3f] = OP(OTHER, 0, NOT_64),
	REPEAT8(0x40, OP(INC, 0, NOT_64, Zv)),
	REPEAT8(0x48, OP(DEC, 0, NOT_64, Zv)),
	REPEAT8(0x50, OP(PUSH, 0, DEFAULT64, Zv)),
	REPEAT8(0x58, OP(POP, 0, DEFAULT64, Zv)),
	[0x60] = OP(PUSHA, 0, NOT_64, ELEMENT_V),
	[0x61] = OP(POPA, 0, NOT_64, ELEMENT_V),
	[0x62] = OP(OTHER, RD, NOT_64, Gv, SPEC(M, VV)),
	[0x63] = SELECT(MODE, arpl_movsxd),
	[0x68] = OP(PUSH, 0, DEFAULT64, Iz),
	[0x69] = OP(IMUL, RD, 0, Gv, Ev, Iz),
	[0x6a] = OP(PUSH, 0, DEFAULT64, Ib),
	[0x6b] = OP(IMUL, RD, 0, Gv, Ev, Ib),
	[0x6c] = OP(INS, 0, 0, ELEMENT_B),
	[0x6d] = OP(INS, 0, 0, ELEMENT_Z),
	[0x6e] = OP(OUTS, 0, 0, ELEMENT_B),
	[0x6f] = OP(OUTS, 0, 0, ELEMENT_Z),
	REPEAT16(0x70, OP(JCC, 0, FORCE64, Jb)),
	[0x80] = SELECT(REG, group_1_b),
	[0x81] = SELECT(REG, group_1_z),
	[0x82] = SELECT(MODE, alias_82),
	[0x83] = SELECT(REG, group_1_v),
	[0x84] = OP(TEST, RD, 0, Eb, Gb),
	[0x85] = OP(TEST, RD, 0, Ev, Gv),
	[0x86] = OP(XCHG, RW, LOCK, Eb, Gb),
	[0x87] = OP(XCHG, RW, LOCK, Ev, Gv),
	[0x88] = OP(MOV, WR, 0, Eb, Gb),
	[0x89] = OP(MOV, WR, 0, Ev, Gv),
	[0x8a] = OP(MOV, RD, 0, Gb, Eb),
	[0x8b] = OP(MOV, RD, 0, Gv, Ev),
	[0x8c] = SELECT(MOD, mov_from_segment),
	[0x8d] = OP(LEA, 0, 0, Gv, Mb),
	[0x8e] = OP(MOV, RD, 0, Sw, Ew),
	[0x8f] = SELECT(REG, group_1a),
	REPEAT8(0x90, OP(XCHG, 0, 0, Zv, AX)), /* 90 with rAX exchanges nothing: NOP, PAUSE */
	[0x98] = OP(CBW, 0, 0),
	[0x99] = OP(CWD, 0, 0),
	[0x9a] = OP(CALL_FAR, 0, NOT_64, Ap),
	[0x9b] = OTHER(0),
	[0x9c] = OP(PUSHF, 0, DEFAULT64, ELEMENT_V),
	[0x9d] = OP(POPF, 0, DEFAULT64, ELEMENT_V),
	[0x9e] = OP(SAHF, 0, 0),
	[0x9f] = OP(LAHF, 0, 0),
	[0xa0] = OP(MOV, RD, 0, AL, Ob),
	[0xa1] = OP(MOV, RD, 0, AX, Ov),
	[0xa2] = OP(MOV, WR, 0, Ob, AL),
	[0xa3] = OP(MOV, WR, 0, Ov, AX),
	[0xa4] = OP(MOVS, 0, 0, ELEMENT_B),
	[0xa5] = OP(MOVS, 0, 0, ELEMENT_V),
	[0xa6] = OP(CMPS, 0, 0, ELEMENT_B),
	[0xa7] = OP(CMPS, 0, 0, ELEMENT_V),
	[0xa8] = OP(TEST, 0, 0, AL, Ib),
	[0xa9] = OP(TEST, 0, 0, AX, Iz),
	[0xaa] = OP(STOS, 0, 0, ELEMENT_B),
	[0xab] = OP(STOS, 0, 0, ELEMENT_V),
	[0xac] = OP(LODS, 0, 0, ELEMENT_B),
	[0xad] = OP(LODS, 0, 0, ELEMENT_V),
	[0xae] = OP(SCAS, 0, 0, ELEMENT_B),
	[0xaf] = OP(SCAS, 0, 0, ELEMENT_V),
	REPEAT8(0xb0, OP(MOV, 0, 0, Zb, Ib)),
	REPEAT8(0xb8, OP(MOV, 0, 0, Zv, Iv)),
	[0xc0] = SELECT(REG, group_2_b_imm),
	[0xc1] = SELECT(REG, group_2_v_imm),
	[0xc2] = OP(RET, 0, FORCE64, Iw),
	[0xc3] = OP(RET, 0, FORCE64),
	[0xc4] = OP(OTHER, RD, NOT_64, Gv, Mp),
	[0xc5] = OP(OTHER, RD, NOT_64, Gv, Mp),
	[0xc6] = SELECT(REG, group_11_b),
	[0xc7] = SELECT(REG, group_11_v),
	[0xc8] = OP(ENTER, 0, DEFAULT64, Iw, Ib),
	[0xc9] = OP(LEAVE, 0, DEFAULT64, ELEMENT_V),
	[0xca] = OP(RET_FAR, 0, 0, Iw),
	[0xcb] = OP(RET_FAR, 0, 0),
	[0xcc] = OTHER(0),
	[0xcd] = OTHER(0, Ib),
	[0xce] = OP(OTHER, 0, NOT_64),
	[0xcf] = OP(IRET, 0, 0, ELEMENT_V),
	[0xd0] = SELECT(REG, group_2_b_one),
	[0xd1] = SELECT(REG, group_2_v_one),
	[0xd2] = SELECT(REG, group_2_b_cl),
	[0xd3] = SELECT(REG, group_2_v_cl),
	[0xd4] = OP(OTHER, 0, NOT_64, Ib),
	[0xd5] = OP(OTHER, 0, NOT_64, Ib),
	[0xd6] = OP(OTHER, 0, NOT_64),
	[0xd7] = OP(XLAT, 0, 0, ELEMENT_B),
	[0xd8] = SELECT(MOD, fpu_d8),
	[0xd9] = SELECT(MOD, fpu_d9),
	[0xda] = SELECT(MOD, fpu_da),
	[0xdb] = SELECT(MOD, fpu_db),
	[0xdc] = SELECT(MOD, fpu_dc),
	[0xdd] = SELECT(MOD, fpu_dd),
	[0xde] = SELECT(MOD, fpu_de),
	[0xdf] = SELECT(MOD, fpu_df),
	[0xe0] = OP(LOOP, 0, FORCE64, Jb),
	[0xe1] = OP(LOOP, 0, FORCE64, Jb),
	[0xe2] = OP(LOOP, 0, FORCE64, Jb),
	[0xe3] = OP(LOOP, 0, FORCE64, Jb),
	[0xe4] = OP(IN, 0, 0, AL, Ib),
	[0xe5] = OP(IN, 0, 0, AZ, Ib),
	[0xe6] = OP(OUT, 0, 0, Ib, AL),
	[0xe7] = OP(OUT, 0, 0, Ib, AZ),
	[0xe8] = OP(CALL, 0, FORCE64, Jz),
	[0xe9] = OP(JMP, 0, FORCE64, Jz),
	[0xea] = OP(OTHER, 0, NOT_64, Ap),
	[0xeb] = OP(JMP, 0, FORCE64, Jb),
	[0xec] = OP(IN, 0, 0, AL, DX),
	[0xed] = OP(IN, 0, 0, AZ, DX),
	[0xee] = OP(OUT, 0, 0, DX, AL),
	[0xef] = OP(OUT, 0, 0, DX, AZ),
	[0xf1] = OTHER(0),
	[0xf4] = OTHER(0),
	[0xf5] = OP(FLAG, 0, 0),
	[0xf6] = SELECT(REG, group_3_b),
	[0xf7] = SELECT(REG, group_3_v),
	[0xf8] = OP(FLAG, 0, 0),
	[0xf9] = OP(FLAG, 0, 0),
	[0xfa] = OTHER(0),
	[0xfb] = OTHER(0),
	[0xfc] = OP(FLAG, 0, 0),
	[0xfd] = OP(FLAG, 0, 0),
	[0xfe] = SELECT(REG, group_4),
	[0xff] = SELECT(REG, group_5),
};

static const struct x86_opcode group_6[8] = {
	SELECT(MOD, store_selector),
	SELECT(MOD, store_selector),
	OTHER(RD, Ew),
	OTHER(RD, Ew),
	OTHER(RD, Ew),
	OTHER(RD, Ew),
};

static const struct x86_opcode group_7_memory[8] = {
	OTHER(WR, Ms), OTHER(WR, Ms), OTHER(RD, Ms), OTHER(RD, Ms),
	OTHER(WR, Ew), OTHER(RW, Mq), OTHER(RD, Ew), OTHER(0, Mb),
};
/* VMCALL, MONITOR, XGETBV, VMRUN, SWAPGS, RDTSCP and the like: the whole byte is the opcode. */
static const struct x86_opcode group_7[2] = { SELECT(REG, group_7_memory), OP(OTHER, 0, MODRM) };

#define NOP_E(size) OP(NOP, 0, 0, SPEC(E, size))
static const struct x86_opcode prefetch[2] = { OP(NOP, 0, 0, Mb), INVALID };
static const struct x86_opcode group_16[8] = {
	NOP_E(NONE), NOP_E(NONE), NOP_E(NONE), NOP_E(NONE),
	NOP_E(NONE), NOP_E(NONE), NOP_E(NONE), NOP_E(NONE),
};

static const struct x86_opcode group_8[8] = {
	INVALID,
	INVALID,
	INVALID,
	INVALID,
	OP(BT, RD, 0, Ev, Ib),
	OP(BTS, RW, LOCK, Ev, Ib),
	OP(BTR, RW, LOCK, Ev, Ib),
	OP(BTC, RW, LOCK, Ev, Ib),
};

static const struct x86_opcode vmx_pointer[4] = {
	OTHER(RD, Mq), /* VMPTRLD */
	OTHER(WR, Mq), /* VMCLEAR */
	OTHER(RD, Mq), /* VMXON */
	INVALID,
};
static const struct x86_opcode group_9_memory[8] = {
	INVALID,
	OP(CMPXCHG8B, RW, LOCK, SPEC(M, YY)),
	INVALID,
	OTHER(RD, Mb), /* XRSTORS */
	OTHER(WR, Mb), /* XSAVEC */
	OTHER(WR, Mb), /* XSAVES */
	SELECT(PREFIX, vmx_pointer),
	OTHER(WR, Mq), /* VMPTRST */
};
static const struct x86_opcode group_9_register[8] = {
	INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, OTHER(0, Rv), OTHER(0, Rv),
};
static const struct x86_opcode group_9[2] = { SELECT(REG, group_9_memory),
					      SELECT(REG, group_9_register) };

static const struct x86_opcode xsave_ptwrite[4] = {
	OTHER(WR, Mb),
	INVALID,
	OTHER(RD, Ey),
	INVALID,
};
/* The flushes are loads of a byte to protection checks, and nothing to the emulator. */
#define FLUSH OP(NOP, RD, 0, SPEC(M, B))
static const struct x86_opcode xsaveopt_clwb[4] = {
	OTHER(WR, Mb),
	FLUSH,
	OTHER(RW, Mq), /* CLRSSBSY */
	INVALID,
};
static const struct x86_opcode clflush[4] = {
	FLUSH,
	FLUSH,
	INVALID,
	INVALID,
};
static const struct x86_opcode group_15_memory[8] = {
	OTHER(WR, SPEC(M, 512)),       OTHER(RD, SPEC(M, 512)), OTHER(RD, Md), OTHER(WR, Md),
	SELECT(PREFIX, xsave_ptwrite), OTHER(RD, Mb), /* XRSTOR */
	SELECT(PREFIX, xsaveopt_clwb), SELECT(PREFIX, clflush),
};
static const struct x86_opcode fs_gs_base[4] = { INVALID, INVALID, OTHER(0, Ey), INVALID };
/* LFENCE, MFENCE and SFENCE order nothing here. With prefixes: INCSSP; UMONITOR, UMWAIT, TPAUSE. */
static const struct x86_opcode lfence[4] = { OP(NOP, 0, 0, Ey), INVALID, OTHER(0, Ey), INVALID };
static const struct x86_opcode mfence[4] = {
	OP(NOP, 0, 0, Ey),
	OTHER(0, Ey),
	OTHER(0, Ey),
	OTHER(0, Ey),
};
static const struct x86_opcode sfence[4] = { OP(NOP, 0, 0, Ey), INVALID, INVALID, INVALID };
static const struct x86_opcode group_15_register[8] = {
	SELECT(PREFIX, fs_gs_base), SELECT(PREFIX, fs_gs_base), SELECT(PREFIX, fs_gs_base),
	SELECT(PREFIX, fs_gs_base), SELECT(PREFIX, fs_gs_base), SELECT(PREFIX, lfence),
	SELECT(PREFIX, mfence),     SELECT(PREFIX, sfence),
};
static const struct x86_opcode group_15[2] = { SELECT(REG, group_15_memory),
					       SELECT(REG, group_15_register) };

/* Their operands have the mode's size, whatever the prefixes say. */
static const struct x86_opcode vmread[2] = { OTHER(WR, Ed, SPEC(G, D)),
					     OTHER(WR, SPEC(E, Q), SPEC(G, Q)) };
static const struct x86_opcode vmwrite[2] = { OTHER(RD, SPEC(G, D), Ed),
					      OTHER(RD, SPEC(G, Q), SPEC(E, Q)) };
static const struct x86_opcode vmread_sse4a[4] = {
	SELECT(MODE, vmread), OTHER(0, SPEC(R, NONE), Ib, Ib), /* EXTRQ */
	INVALID, OTHER(0, SPEC(R, NONE), Ib, Ib),              /* INSERTQ */
};
static const struct x86_opcode vmwrite_sse4a[4] = {
	SELECT(MODE, vmwrite),
	OTHER(0, SPEC(R, NONE)),
	INVALID,
	OTHER(0, SPEC(R, NONE)),
};

static const struct x86_opcode movnti[4] = { OP(MOV, WR, 0, My, Gy) };
static const struct x86_opcode popcnt[4] = { INVALID, INVALID, OP(POPCNT, RD, 0, Gv, Ev), INVALID };
static const struct x86_opcode vector = { .operation = X86_OP_VECTOR };

static const struct x86_opcode map_0f[256] = {
	[0x00] = SELECT(REG, group_6),
	[0x01] = SELECT(MOD, group_7),
	[0x02] = OTHER(RD, Gv, Ew),
	[0x03] = OTHER(RD, Gv, Ew),
	[0x05] = OTHER(0),
	[0x06] = OTHER(0),
	[0x07] = OTHER(0),
	[0x08] = OTHER(0),
	[0x09] = OTHER(0),
	[0x0d] = SELECT(MOD, prefetch),
	[0x0e] = OTHER(0),
	[0x0f] = OTHER(RD, SPEC(E, Q), Ib), /* 3DNow!: the immediate is the opcode */
	[0x18] = SELECT(REG, group_16),
	[0x19] = NOP_E(NONE),
	[0x1a] = NOP_E(NONE),
	[0x1b] = NOP_E(NONE),
	[0x1c] = NOP_E(NONE),
	[0x1d] = NOP_E(NONE),
	[0x1e] = NOP_E(NONE),
	[0x1f] = NOP_E(NONE),
	[0x20] = OP(OTHER, 0, MODRM), /* MOV of control and debug registers: mod is ignored */
	[0x21] = OP(OTHER, 0, MODRM),
	[0x22] = OP(OTHER, 0, MODRM),
	[0x23] = OP(OTHER, 0, MODRM),
	[0x30] = OTHER(0),
	[0x31] = OTHER(0),
	[0x32] = OTHER(0),
	[0x33] = OTHER(0),
	[0x34] = OTHER(0),
	[0x35] = OTHER(0),
	[0x37] = OTHER(0),
	REPEAT16(0x40, OP(CMOVCC, RD, 0, Gv, Ev)),
	[0x77] = OTHER(0), /* EMMS */
	[0x78] = SELECT(PREFIX, vmread_sse4a),
	[0x79] = SELECT(PREFIX, vmwrite_sse4a),
	REPEAT16(0x80, OP(JCC, 0, FORCE64, Jz)),
	REPEAT16(0x90, OP(SETCC, WR, 0, Eb)),
	[0xa0] = OP(PUSH, 0, DEFAULT64, ELEMENT_V),
	[0xa1] = OP(POP_SEGMENT, 0, DEFAULT64, ELEMENT_V),
	[0xa2] = OTHER(0),
	[0xa3] = OP(BT, RD, 0, Ev, Gv),
	[0xa4] = OP(SHLD, RW, 0, Ev, Gv, Ib),
	[0xa5] = OP(SHLD, RW, 0, Ev, Gv, CL),
	[0xa8] = OP(PUSH, 0, DEFAULT64, ELEMENT_V),
	[0xa9] = OP(POP_SEGMENT, 0, DEFAULT64, ELEMENT_V),
	[0xaa] = OTHER(0),
	[0xab] = OP(BTS, RW, LOCK, Ev, Gv),
	[0xac] = OP(SHRD, RW, 0, Ev, Gv, Ib),
	[0xad] = OP(SHRD, RW, 0, Ev, Gv, CL),
	[0xae] = SELECT(MOD, group_15),
	[0xaf] = OP(IMUL, RD, 0, Gv, Ev),
	[0xb0] = OP(CMPXCHG, RW, LOCK, Eb, Gb),
	[0xb1] = OP(CMPXCHG, RW, LOCK, Ev, Gv),
	[0xb2] = OTHER(RD, Gv, Mp),
	[0xb3] = OP(BTR, RW, LOCK, Ev, Gv),
	[0xb4] = OTHER(RD, Gv, Mp),
	[0xb5] = OTHER(RD, Gv, Mp),
	[0xb6] = OP(MOVZX, RD, 0, Gv, Eb),
	[0xb7] = OP(MOVZX, RD, 0, Gv, Ew),
	[0xb8] = SELECT(PREFIX, popcnt),
	[0xba] = SELECT(REG, group_8),
	[0xbb] = OP(BTC, RW, LOCK, Ev, Gv),
	[0xbc] = OP(BSF, RD, 0, Gv, Ev),
	[0xbd] = OP(BSR, RD, 0, Gv, Ev),
	[0xbe] = OP(MOVSX, RD, 0, Gv, Eb),
	[0xbf] = OP(MOVSX, RD, 0, Gv, Ew),
	[0xc0] = OP(XADD, RW, LOCK, Eb, Gb),
	[0xc1] = OP(XADD, RW, LOCK, Ev, Gv),
	[0xc3] = SELECT(PREFIX, movnti),
	[0xc7] = SELECT(MOD, group_9),
	REPEAT8(0xc8, OP(BSWAP, 0, 0, Zv)),
};

static const struct x86_opcode movbe_load[4] = {
	OP(MOVBE, RD, 0, Gv, Mv), OP(MOVBE, RD, 0, Gv, Mv), INVALID, OTHER(RD, Gy, Eb), /* CRC32 */
};
static const struct x86_opcode movbe_store[4] = {
	OP(MOVBE, WR, 0, Mv, Gv), OP(MOVBE, WR, 0, Mv, Gv), INVALID, OTHER(RD, Gy, Ev), /* CRC32 */
};
static const struct x86_opcode wruss[4] = { INVALID, OTHER(WR, My, Gy), INVALID, INVALID };
static const struct x86_opcode wrss_adx[4] = {
	OTHER(WR, My, Gy),
	OTHER(RD, Gy, Ey),
	OTHER(RD, Gy, Ey),
	INVALID,
};
static const struct x86_opcode movdir64b[4] = {
	INVALID, OP(MOVDIR64B, RD, 0, Gv, SPEC(M, 64)),
	OP(MOVDIR64B, RD, 0, Gv, SPEC(M, 64)), /* ENQCMDS */
	OP(MOVDIR64B, RD, 0, Gv, SPEC(M, 64)), /* ENQCMD */
};
static const struct x86_opcode movdiri[4] = { OTHER(WR, My, Gy) };
static const struct x86_opcode invalidate[4] = {
	INVALID,
	OTHER(RD, Gv, SPEC(M, DQ)),
	INVALID,
	INVALID,
};

/* Beside vector instructions. */
static const struct x86_opcode map_0f38[256] = {
	[0x80] = SELECT(PREFIX, invalidate), /* INVEPT */
	[0x81] = SELECT(PREFIX, invalidate), /* INVVPID */
	[0x82] = SELECT(PREFIX, invalidate), /* INVPCID */
	[0xf0] = SELECT(PREFIX, movbe_load), [0xf1] = SELECT(PREFIX, movbe_store),
	[0xf5] = SELECT(PREFIX, wruss),      [0xf6] = SELECT(PREFIX, wrss_adx),
	[0xf8] = SELECT(PREFIX, movdir64b),  [0xf9] = SELECT(PREFIX, movdiri),
	[0xfc] = OTHER(RW, My, Gy), /* AADD, AAND, AOR, AXOR */
};

static const struct x86_opcode invalid = INVALID;

/* VEX encodings of general registers (BMI1, BMI2) are decoded as vector instructions. */
const struct x86_opcode *x86_opcode_lookup(enum x86_opcode_map map, uint8_t opcode)
{
	const struct x86_opcode *entry = &invalid;

	switch (map) {
	case X86_MAP_ONE_BYTE:
		return &one_byte[opcode];
	case X86_MAP_0F:
		entry = &map_0f[opcode];
		break;
	case X86_MAP_0F38:
		entry = &map_0f38[opcode];
		break;
	case X86_MAP_0F3A:
		break;
	}
	if (entry->operation == X86_OP_INVALID && !entry->next &&
	    x86_vector_form(map, opcode, false, X86_SIMD_NONE))
		return &vector;
	return entry;
}

// SPDX-License-Identifier: MIT
/*
 * Memory forms of the MMX, SSE, AVX, FMA and BMI instructions: SDM vol. 2, appendix A, tables A-3
 * to A-5. One row an opcode, one column a mandatory prefix: none, 66, F3, F2.
 */
#include "core/x86/opcodes.h"

#define FORM(size_, access_, flags_)                                             \
	{                                                                        \
		.size = X86_SIZE_##size_, .access = (access_), .flags = (flags_) \
	}
#define R(size)  FORM(size, X86_ACCESS_READ, 0)
#define W(size)  FORM(size, X86_ACCESS_WRITE, 0)
#define RM(size) FORM(size, X86_ACCESS_READ, X86_VECTOR_MEMORY)
#define WM(size) FORM(size, X86_ACCESS_WRITE, X86_VECTOR_MEMORY)
/* MMX and other instructions that VEX does not encode. */
#define RL(size) FORM(size, X86_ACCESS_READ, X86_VECTOR_LEGACY)
#define WL(size) FORM(size, X86_ACCESS_WRITE, X86_VECTOR_LEGACY)
/* Instructions that only VEX encodes; E: EVEX encodes the same. */
#define RV(size)   FORM(size, X86_ACCESS_READ, X86_VECTOR_VEX)
#define WV(size)   FORM(size, X86_ACCESS_WRITE, X86_VECTOR_VEX)
#define RWV(size)  FORM(size, X86_ACCESS_READ | X86_ACCESS_WRITE, X86_VECTOR_VEX)
#define RE(size)   FORM(size, X86_ACCESS_READ, X86_VECTOR_EVEX)
#define RVE(size)  FORM(size, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_EVEX)
#define SCALAR     FORM(D, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_SCALAR_W | X86_VECTOR_EVEX)
#define GATHER     FORM(D, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_SCALAR_W | X86_VECTOR_VSIB)
#define REGISTER   FORM(NONE, X86_ACCESS_READ, X86_VECTOR_REGISTER)
#define REGISTER_L FORM(NONE, X86_ACCESS_READ, X86_VECTOR_REGISTER | X86_VECTOR_LEGACY)
#define REGISTER_V FORM(NONE, X86_ACCESS_READ, X86_VECTOR_REGISTER | X86_VECTOR_VEX)
#define NA      FORM(NONE, 0, 0)

#define PACKED                                 \
	{                                      \
		{                              \
			R(X), R(X), NA, NA \
		}                              \
	}
#define PACKED_ALL                             \
	{                                      \
		{                              \
			R(X), R(X), R(D), R(Q) \
		}                              \
	}
#define INTEGER                                 \
	{                                       \
		{                               \
			RL(Q), R(X), NA, NA \
		}                               \
	}
#define INTEGER_LOW                             \
	{                                       \
		{                               \
			RL(D), R(X), NA, NA \
		}                               \
	}
#define SHIFT                                    \
	{                                        \
		{                                \
			RL(Q), R(DQ), NA, NA \
		}                                \
	}
#define ONLY_66(...)                                  \
	{                                             \
		{                                     \
			NA, __VA_ARGS__, NA, NA \
		}                                     \
	}
#define ONLY_NP(...)                                  \
	{                                             \
		{                                     \
			__VA_ARGS__, NA, NA, NA \
		}                                     \
	}

struct vector_row {
	struct x86_vector_form form[4];
};

static const struct vector_row vector_0f[256] = {
	[0x10] = { { R(X), R(X), R(D), R(Q) } },
	[0x11] = { { W(X), W(X), W(D), W(Q) } },
	[0x12] = { { R(Q), RM(Q), R(X), R(DUP) } },
	[0x13] = { { WM(Q), WM(Q), NA, NA } },
	[0x14] = PACKED,
	[0x15] = PACKED,
	[0x16] = { { R(Q), RM(Q), R(X), NA } },
	[0x17] = { { WM(Q), WM(Q), NA, NA } },
	[0x28] = PACKED,
	[0x29] = { { W(X), W(X), NA, NA } },
	[0x2a] = { { RL(Q), RL(Q), R(Y), R(Y) } },
	[0x2b] = { { WM(X), WM(X), WL(D), WL(Q) } },
	[0x2c] = { { RL(Q), RL(DQ), R(D), R(Q) } },
	[0x2d] = { { RL(Q), RL(DQ), R(D), R(Q) } },
	[0x2e] = { { R(D), R(Q), NA, NA } },
	[0x2f] = { { R(D), R(Q), NA, NA } },
	[0x50] = { { REGISTER, REGISTER, NA, NA } },
	[0x51] = PACKED_ALL,
	[0x52] = { { R(X), NA, R(D), NA } },
	[0x53] = { { R(X), NA, R(D), NA } },
	[0x54] = PACKED,
	[0x55] = PACKED,
	[0x56] = PACKED,
	[0x57] = PACKED,
	[0x58] = PACKED_ALL,
	[0x59] = PACKED_ALL,
	[0x5a] = { { R(XH), R(X), R(D), R(Q) } },
	[0x5b] = { { R(X), R(X), R(X), NA } },
	[0x5c] = PACKED_ALL,
	[0x5d] = PACKED_ALL,
	[0x5e] = PACKED_ALL,
	[0x5f] = PACKED_ALL,
	[0x60] = INTEGER_LOW,
	[0x61] = INTEGER_LOW,
	[0x62] = INTEGER_LOW,
	[0x63] = INTEGER,
	[0x64] = INTEGER,
	[0x65] = INTEGER,
	[0x66] = INTEGER,
	[0x67] = INTEGER,
	[0x68] = INTEGER,
	[0x69] = INTEGER,
	[0x6a] = INTEGER,
	[0x6b] = INTEGER,
	[0x6c] = ONLY_66(R(X)),
	[0x6d] = ONLY_66(R(X)),
	[0x6e] = { { RL(Y), R(Y), NA, NA } },
	[0x6f] = { { RL(Q), R(X), R(X), NA } },
	[0x70] = { { RL(Q), R(X), R(X), R(X) } },
	[0x71] = { { REGISTER_L, REGISTER, NA, NA } },
	[0x72] = { { REGISTER_L, REGISTER, NA, NA } },
	[0x73] = { { REGISTER_L, REGISTER, NA, NA } },
	[0x74] = INTEGER,
	[0x75] = INTEGER,
	[0x76] = INTEGER,
	[0x7c] = { { NA, R(X), NA, R(X) } },
	[0x7d] = { { NA, R(X), NA, R(X) } },
	[0x7e] = { { WL(Y), W(Y), R(Q), NA } },
	[0x7f] = { { WL(Q), W(X), W(X), NA } },
	[0xc2] = PACKED_ALL,
	[0xc4] = { { RL(W), R(W), NA, NA } },
	[0xc5] = { { REGISTER_L, REGISTER, NA, NA } },
	[0xc6] = PACKED,
	[0xd0] = { { NA, R(X), NA, R(X) } },
	[0xd1] = SHIFT,
	[0xd2] = SHIFT,
	[0xd3] = SHIFT,
	[0xd4] = INTEGER,
	[0xd5] = INTEGER,
	[0xd6] = { { NA, W(Q), REGISTER_L, REGISTER_L } },
	[0xd7] = { { REGISTER_L, REGISTER, NA, NA } },
	[0xd8] = INTEGER,
	[0xd9] = INTEGER,
	[0xda] = INTEGER,
	[0xdb] = INTEGER,
	[0xdc] = INTEGER,
	[0xdd] = INTEGER,
	[0xde] = INTEGER,
	[0xdf] = INTEGER,
	[0xe0] = INTEGER,
	[0xe1] = SHIFT,
	[0xe2] = SHIFT,
	[0xe3] = INTEGER,
	[0xe4] = INTEGER,
	[0xe5] = INTEGER,
	[0xe6] = { { NA, R(X), R(XH), R(X) } },
	[0xe7] = { { FORM(Q, X86_ACCESS_WRITE, X86_VECTOR_MEMORY | X86_VECTOR_LEGACY), WM(X), NA,
		     NA } },
	[0xe8] = INTEGER,
	[0xe9] = INTEGER,
	[0xea] = INTEGER,
	[0xeb] = INTEGER,
	[0xec] = INTEGER,
	[0xed] = INTEGER,
	[0xee] = INTEGER,
	[0xef] = INTEGER,
	[0xf0] = { { NA, NA, NA, RM(X) } },
	[0xf1] = SHIFT,
	[0xf2] = SHIFT,
	[0xf3] = SHIFT,
	[0xf4] = INTEGER,
	[0xf5] = INTEGER,
	[0xf6] = INTEGER,
	[0xf7] = { { REGISTER_L, REGISTER, NA, NA } },
	[0xf8] = INTEGER,
	[0xf9] = INTEGER,
	[0xfa] = INTEGER,
	[0xfb] = INTEGER,
	[0xfc] = INTEGER,
	[0xfd] = INTEGER,
	[0xfe] = INTEGER,
};

/* What VEX makes of 0F opcodes that are something else without it. */
static const struct vector_row vex_0f[256] = {
	[0x41] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x42] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x44] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x45] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x46] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x47] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x4a] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x4b] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x77] = ONLY_NP(FORM(NONE, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_NO_MODRM)),
	[0x90] = { { RV(K), RV(K), NA, NA } },
	[0x91] = { { FORM(K, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY),
		     FORM(K, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY), NA, NA } },
	[0x92] = { { REGISTER_V, REGISTER_V, NA, REGISTER_V } },
	[0x93] = { { REGISTER_V, REGISTER_V, NA, REGISTER_V } },
	[0x98] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0x99] = { { REGISTER_V, REGISTER_V, NA, NA } },
	[0xae] = ONLY_NP(FORM(D, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
};

#define FMA_ROW(base)                                                               \
	[(base) + 6] = ONLY_66(RVE(X)), [(base) + 7] = ONLY_66(RVE(X)),             \
		  [(base) + 8] = ONLY_66(RVE(X)), [(base) + 9] = ONLY_66(SCALAR),   \
		  [(base) + 10] = ONLY_66(RVE(X)), [(base) + 11] = ONLY_66(SCALAR), \
		  [(base) + 12] = ONLY_66(RVE(X)), [(base) + 13] = ONLY_66(SCALAR), \
		  [(base) + 14] = ONLY_66(RVE(X)), [(base) + 15] = ONLY_66(SCALAR)

#define CMPCCXADD \
	ONLY_66(FORM(Y, X86_ACCESS_READ | X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY))

static const struct vector_row vector_0f38[256] = {
	[0x00] = INTEGER,
	[0x01] = INTEGER,
	[0x02] = INTEGER,
	[0x03] = INTEGER,
	[0x04] = INTEGER,
	[0x05] = INTEGER,
	[0x06] = INTEGER,
	[0x07] = INTEGER,
	[0x08] = INTEGER,
	[0x09] = INTEGER,
	[0x0a] = INTEGER,
	[0x0b] = INTEGER,
	[0x0c] = ONLY_66(RVE(X)),
	[0x0d] = ONLY_66(RVE(X)),
	[0x0e] = ONLY_66(RV(X)),
	[0x0f] = ONLY_66(RV(X)),
	[0x10] = ONLY_66(RL(X)),
	[0x13] = ONLY_66(RVE(XH)),
	[0x14] = ONLY_66(RL(X)),
	[0x15] = ONLY_66(RL(X)),
	[0x16] = ONLY_66(RVE(X)),
	[0x17] = ONLY_66(R(X)),
	[0x18] = ONLY_66(RVE(D)),
	[0x19] = ONLY_66(RVE(Q)),
	[0x1a] = ONLY_66(
		FORM(DQ, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY | X86_VECTOR_EVEX)),
	[0x1c] = INTEGER,
	[0x1d] = INTEGER,
	[0x1e] = INTEGER,
	[0x20] = ONLY_66(RE(XH)),
	[0x21] = ONLY_66(RE(XQ)),
	[0x22] = ONLY_66(RE(XE)),
	[0x23] = ONLY_66(RE(XH)),
	[0x24] = ONLY_66(RE(XQ)),
	[0x25] = ONLY_66(RE(XH)),
	[0x28] = ONLY_66(RE(X)),
	[0x29] = ONLY_66(RE(X)),
	[0x2a] = ONLY_66(FORM(X, X86_ACCESS_READ, X86_VECTOR_MEMORY | X86_VECTOR_EVEX)),
	[0x2b] = ONLY_66(RE(X)),
	[0x2c] = ONLY_66(FORM(X, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x2d] = ONLY_66(FORM(X, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x2e] = ONLY_66(FORM(X, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x2f] = ONLY_66(FORM(X, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x30] = ONLY_66(RE(XH)),
	[0x31] = ONLY_66(RE(XQ)),
	[0x32] = ONLY_66(RE(XE)),
	[0x33] = ONLY_66(RE(XH)),
	[0x34] = ONLY_66(RE(XQ)),
	[0x35] = ONLY_66(RE(XH)),
	[0x36] = ONLY_66(RVE(X)),
	[0x37] = ONLY_66(RE(X)),
	[0x38] = ONLY_66(RE(X)),
	[0x39] = ONLY_66(RE(X)),
	[0x3a] = ONLY_66(RE(X)),
	[0x3b] = ONLY_66(RE(X)),
	[0x3c] = ONLY_66(RE(X)),
	[0x3d] = ONLY_66(RE(X)),
	[0x3e] = ONLY_66(RE(X)),
	[0x3f] = ONLY_66(RE(X)),
	[0x40] = ONLY_66(RE(X)),
	[0x41] = ONLY_66(R(X)),
	[0x45] = ONLY_66(RVE(X)),
	[0x46] = ONLY_66(RVE(X)),
	[0x47] = ONLY_66(RVE(X)),
	[0x50] = { { RV(X), RVE(X), RV(X), RV(X) } },
	[0x51] = { { RV(X), RVE(X), RV(X), RV(X) } },
	[0x52] = ONLY_66(RVE(X)),
	[0x53] = ONLY_66(RVE(X)),
	[0x58] = ONLY_66(RVE(D)),
	[0x59] = ONLY_66(RVE(Q)),
	[0x5a] = ONLY_66(
		FORM(DQ, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY | X86_VECTOR_EVEX)),
	[0x78] = ONLY_66(RVE(B)),
	[0x79] = ONLY_66(RVE(W)),
	[0x8c] = ONLY_66(FORM(X, X86_ACCESS_READ, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x8e] = ONLY_66(FORM(X, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_MEMORY)),
	[0x90] = ONLY_66(GATHER),
	[0x91] = ONLY_66(GATHER),
	[0x92] = ONLY_66(GATHER),
	[0x93] = ONLY_66(GATHER),
	FMA_ROW(0x90),
	FMA_ROW(0xa0),
	FMA_ROW(0xb0),
	[0xb0] = { { RV(X), RV(X), RV(X), RV(X) } }, /* VCVTNEPS: half of the elements, all bytes */
	[0xb4] = ONLY_66(RVE(X)),
	[0xb5] = ONLY_66(RVE(X)),
	[0xc8] = ONLY_NP(RL(X)), /* SHA */
	[0xc9] = ONLY_NP(RL(X)),
	[0xca] = ONLY_NP(RL(X)),
	[0xcb] = ONLY_NP(RL(X)),
	[0xcc] = ONLY_NP(RL(X)),
	[0xcd] = ONLY_NP(RL(X)),
	[0xcf] = ONLY_66(RE(X)),
	[0xdb] = ONLY_66(R(X)),
	[0xdc] = ONLY_66(RE(X)),
	[0xdd] = ONLY_66(RE(X)),
	[0xde] = ONLY_66(RE(X)),
	[0xdf] = ONLY_66(RE(X)),
	[0xe0] = CMPCCXADD,
	[0xe1] = CMPCCXADD,
	[0xe2] = CMPCCXADD,
	[0xe3] = CMPCCXADD,
	[0xe4] = CMPCCXADD,
	[0xe5] = CMPCCXADD,
	[0xe6] = CMPCCXADD,
	[0xe7] = CMPCCXADD,
	[0xe8] = CMPCCXADD,
	[0xe9] = CMPCCXADD,
	[0xea] = CMPCCXADD,
	[0xeb] = CMPCCXADD,
	[0xec] = CMPCCXADD,
	[0xed] = CMPCCXADD,
	[0xee] = CMPCCXADD,
	[0xef] = CMPCCXADD,
	[0xf2] = ONLY_NP(RV(Y)),                     /* ANDN */
	[0xf3] = ONLY_NP(RV(Y)),                     /* BLSR, BLSMSK, BLSI */
	[0xf5] = { { RV(Y), NA, RV(Y), RV(Y) } },  /* BZHI, PEXT, PDEP */
	[0xf6] = { { NA, NA, NA, RV(Y) } },    /* MULX */
	[0xf7] = { { RV(Y), RV(Y), RV(Y), RV(Y) } }, /* BEXTR, SHLX, SARX, SHRX */
};

#define FMA4_ROW(base)                                                          \
	[(base) + 0] = ONLY_66(RV(X)), [(base) + 1] = ONLY_66(RV(X)),           \
		  [(base) + 2] = ONLY_66(RV(D)), [(base) + 3] = ONLY_66(RV(Q)), \
		  [(base) + 4] = ONLY_66(RV(X)), [(base) + 5] = ONLY_66(RV(X)), \
		  [(base) + 6] = ONLY_66(RV(D)), [(base) + 7] = ONLY_66(RV(Q))

static const struct vector_row vector_0f3a[256] = {
	[0x00] = ONLY_66(RVE(X)),
	[0x01] = ONLY_66(RVE(X)),
	[0x02] = ONLY_66(RV(X)),
	[0x04] = ONLY_66(RVE(X)),
	[0x05] = ONLY_66(RVE(X)),
	[0x06] = ONLY_66(RV(X)),
	[0x08] = ONLY_66(RE(X)),
	[0x09] = ONLY_66(RE(X)),
	[0x0a] = ONLY_66(RE(D)),
	[0x0b] = ONLY_66(RE(Q)),
	[0x0c] = ONLY_66(R(X)),
	[0x0d] = ONLY_66(R(X)),
	[0x0e] = ONLY_66(R(X)),
	[0x0f] = { { RL(Q), RE(X), NA, NA } },
	[0x14] = ONLY_66(FORM(B, X86_ACCESS_WRITE, X86_VECTOR_EVEX)),
	[0x15] = ONLY_66(FORM(W, X86_ACCESS_WRITE, X86_VECTOR_EVEX)),
	[0x16] = ONLY_66(FORM(Y, X86_ACCESS_WRITE, X86_VECTOR_EVEX)),
	[0x17] = ONLY_66(FORM(D, X86_ACCESS_WRITE, X86_VECTOR_EVEX)),
	[0x18] = ONLY_66(RVE(DQ)),
	[0x19] = ONLY_66(FORM(DQ, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_EVEX)),
	[0x1d] = ONLY_66(FORM(XH, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_EVEX)),
	[0x20] = ONLY_66(RE(B)),
	[0x21] = ONLY_66(RE(D)),
	[0x22] = ONLY_66(RE(Y)),
	[0x30] = ONLY_66(REGISTER_V),
	[0x31] = ONLY_66(REGISTER_V),
	[0x32] = ONLY_66(REGISTER_V),
	[0x33] = ONLY_66(REGISTER_V),
	[0x38] = ONLY_66(RVE(DQ)),
	[0x39] = ONLY_66(FORM(DQ, X86_ACCESS_WRITE, X86_VECTOR_VEX | X86_VECTOR_EVEX)),
	[0x40] = ONLY_66(R(X)),
	[0x41] = ONLY_66(R(DQ)),
	[0x42] = ONLY_66(R(X)),
	[0x44] = ONLY_66(RE(X)),
	[0x46] = ONLY_66(RV(X)),
	[0x48] = ONLY_66(RV(X)), /* XOP and FMA4 under VEX: APM vol. 4 */
	[0x49] = ONLY_66(RV(X)),
	[0x4a] = ONLY_66(RV(X)),
	[0x4b] = ONLY_66(RV(X)),
	[0x4c] = ONLY_66(RV(X)),
	[0x5c] = ONLY_66(RV(X)),
	[0x5d] = ONLY_66(RV(X)),
	[0x5e] = ONLY_66(RV(X)),
	[0x5f] = ONLY_66(RV(X)),
	[0x60] = ONLY_66(R(DQ)),
	[0x61] = ONLY_66(R(DQ)),
	[0x62] = ONLY_66(R(DQ)),
	[0x63] = ONLY_66(R(DQ)),
	FMA4_ROW(0x68),
	FMA4_ROW(0x78),
	[0xcc] = ONLY_NP(RL(X)), /* SHA1RNDS4 */
	[0xce] = ONLY_66(RE(X)),
	[0xcf] = ONLY_66(RE(X)),
	[0xdf] = ONLY_66(R(DQ)),
	[0xf0] = { { NA, NA, NA, RV(Y) } }, /* RORX */
};

static const struct vector_row *lookup_row(enum x86_opcode_map map, uint8_t opcode)
{
	switch (map) {
	case X86_MAP_0F:
		return &vector_0f[opcode];
	case X86_MAP_0F38:
		return &vector_0f38[opcode];
	case X86_MAP_0F3A:
		return &vector_0f3a[opcode];
	case X86_MAP_ONE_BYTE:
		break;
	}
	return NULL;
}

static bool row_used(const struct vector_row *row)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (row->form[i].access)
			return true;
	}
	return false;
}

const struct x86_vector_form *x86_vector_form(enum x86_opcode_map map, uint8_t opcode, bool vex,
					      enum x86_simd_prefix prefix)
{
	const struct vector_row *row = lookup_row(map, opcode);

	if (vex && map == X86_MAP_0F && row_used(&vex_0f[opcode]))
		row = &vex_0f[opcode];
	return row && row_used(row) ? &row->form[prefix] : NULL;
}

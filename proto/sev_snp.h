#ifndef PROTO_SEV_SNP_H
#define PROTO_SEV_SNP_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* AMD SEV-SNP: the state save area (APM volume 2, table B-4) and what the firmware measures. */

struct sev_selector {
	uint16_t selector;
	uint16_t attrib; /* a descriptor's bits 47:40 and 55:52, without the gap */
	uint32_t limit;
	uint64_t base;
};
static_assert(sizeof(struct sev_selector) == 16, "APM 2, table B-1");

#define SEV_FEATURE_SNP                 (1ull << 0)
#define SEV_FEATURE_VTOM                (1ull << 1)
#define SEV_FEATURE_REFLECT_VC          (1ull << 2)
#define SEV_FEATURE_RESTRICT_INJECTION  (1ull << 3)
#define SEV_FEATURE_ALTERNATE_INJECTION (1ull << 4)
#define SEV_FEATURE_DEBUG_SWAP          (1ull << 5)

#define SEV_EFER_SVME (1ull << 12) /* must be set in a VMSA */

struct sev_vmsa {
	struct sev_selector es, cs, ss, ds, fs, gs;
	struct sev_selector gdtr, ldtr, idtr, tr;
	uint64_t pl_ssp[4];
	uint64_t u_cet;
	uint8_t reserved_0c8[2];
	uint8_t vmpl;
	uint8_t cpl;
	uint32_t reserved_0cc;
	uint64_t efer;
	uint32_t reserved_0d8[26];
	uint64_t xss, cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint64_t dr[4], dr_addr_mask[4];
	uint64_t reserved_1c0[3];
	uint64_t rsp, s_cet, ssp, isst_addr, rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	uint64_t reserved_248[4];
	uint64_t pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint64_t reserved_298[9];
	uint64_t spec_ctrl;
	uint32_t reserved_2e8[8];
	uint64_t rcx, rdx, rbx, reserved_320, rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t reserved_380[2];
	uint64_t exit_info1, exit_info2, exit_int_info, next_rip;
	uint64_t sev_features, v_intr_ctrl, guest_error_code, virtual_tom;
	uint64_t tlb_id, pcpu_id, event_inject, xcr0;
	uint8_t xsave_valid_bitmap[16];
	uint64_t x87_dp;
	uint32_t mxcsr;
	uint16_t x87_ftw, x87_fsw, x87_fcw, x87_op, x87_ds, x87_cs;
	uint64_t x87_rip;
	uint8_t x87_registers[80];
	uint8_t xmm_registers[256];
	uint8_t ymm_high_registers[256];
	uint8_t reserved_670[2448];
};
static_assert(offsetof(struct sev_vmsa, efer) == 0x0d0, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, cr4) == 0x148, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, rip) == 0x178, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, pat) == 0x268, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, rcx) == 0x308, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, sev_features) == 0x3b0, "APM 2, table B-4");
static_assert(offsetof(struct sev_vmsa, x87_fcw) == 0x410, "APM 2, table B-4");
static_assert(sizeof(struct sev_vmsa) == 4096, "APM 2, table B-4");

/* SEV-SNP firmware ABI, section 8.17.2, table 67: PAGE_INFO, hashed into the launch digest. */
enum snp_page_type {
	SNP_PAGE_TYPE_NORMAL = 1,
	SNP_PAGE_TYPE_VMSA = 2,
	SNP_PAGE_TYPE_ZERO = 3,
	SNP_PAGE_TYPE_UNMEASURED = 4,
	SNP_PAGE_TYPE_SECRETS = 5,
	SNP_PAGE_TYPE_CPUID = 6,
};

struct snp_page_info {
	uint8_t digest_cur[48];
	uint8_t contents[48]; /* SHA-384 of the page; zeros if not measured */
	uint16_t length;      /* of this structure */
	uint8_t page_type;
	uint8_t imi_page;
	uint8_t vmpl3_perms, vmpl2_perms, vmpl1_perms;
	uint8_t reserved_67;
	uint64_t gpa;
};
static_assert(sizeof(struct snp_page_info) == 112, "SNP ABI, PAGE_INFO");

/* SEV-SNP firmware ABI, section 8.18: ID_BLOCK, over which the ID key signs. */
struct snp_id_block {
	uint8_t ld[48];
	uint8_t family_id[16];
	uint8_t image_id[16];
	uint32_t version;
	uint32_t guest_svn;
	uint64_t policy;
};
static_assert(sizeof(struct snp_id_block) == 96, "SNP ABI, ID_BLOCK");

#define SNP_ID_BLOCK_VERSION 1

/* ECDSA public key in an ID authentication block: what the author key signs and digests cover. */
struct snp_ecdsa_public_key {
	uint32_t curve;
	uint8_t qx[72];
	uint8_t qy[72];
	uint8_t reserved_94[880];
};
static_assert(sizeof(struct snp_ecdsa_public_key) == 1028, "SNP ABI, table 138");

#endif

#ifndef PROTO_IGVM_H
#define PROTO_IGVM_H

#include <assert.h>
#include <stdint.h>

/*
 * The Independent Guest Virtual Machine file format, versions 1 and 2, with the names of its
 * specification (the documentation of the igvm_defs crate, 0.4). A file is a fixed header, a list of
 * variable headers, each aligned to 8 bytes and padded with zeros, and file data, to which headers
 * refer by offset from the start of the file. All of it is little-endian.
 */

/* --- fixed header --- */

#define IGVM_MAGIC_VALUE      0x4d564749u /* "IGVM" */
#define IGVM_FORMAT_VERSION_1 1
#define IGVM_FORMAT_VERSION_2 2
#define IGVM_PAGE_SIZE        4096u
#define IGVM_LARGE_PAGE_SIZE  0x200000u

struct igvm_fixed_header {
	uint32_t magic;
	uint32_t format_version;
	uint32_t variable_header_offset; /* of 8 */
	uint32_t variable_header_size;
	uint32_t total_file_size;
	uint32_t checksum; /* CRC-32 of fixed and variable headers, with this field 0 */
};
static_assert(sizeof(struct igvm_fixed_header) == 24, "IGVM_FIXED_HEADER");

enum igvm_architecture {
	IGVM_ARCHITECTURE_X64 = 0,
	IGVM_ARCHITECTURE_AARCH64 = 1,
};

struct igvm_fixed_header_v2 {
	struct igvm_fixed_header v1;
	uint32_t architecture;
	uint32_t page_size; /* in bytes */
};
static_assert(sizeof(struct igvm_fixed_header_v2) == 32, "IGVM_FIXED_HEADER_V2");

/* --- variable headers --- */

struct igvm_vhs_variable_header {
	uint32_t type;
	uint32_t length; /* of what follows, without padding */
};
static_assert(sizeof(struct igvm_vhs_variable_header) == 8, "IGVM_VHS_VARIABLE_HEADER");

#define IGVM_VHT_OPTIONAL (1u << 31) /* a loader that does not know the type skips it */

/* Types come in this order of ranges. */
#define IGVM_VHT_PLATFORM_FIRST  0x001u
#define IGVM_VHT_PLATFORM_LAST   0x100u
#define IGVM_VHT_INIT_FIRST      0x101u
#define IGVM_VHT_INIT_LAST       0x200u
#define IGVM_VHT_DIRECTIVE_FIRST 0x301u
#define IGVM_VHT_DIRECTIVE_LAST  0x400u

enum igvm_vht {
	IGVM_VHT_SUPPORTED_PLATFORM = 0x001,

	IGVM_VHT_GUEST_POLICY = 0x101,
	IGVM_VHT_RELOCATABLE_REGION = 0x102,
	IGVM_VHT_PAGE_TABLE_RELOCATION_REGION = 0x103,
	IGVM_VHT_CORIM_DOCUMENT = 0x104,
	IGVM_VHT_CORIM_SIGNATURE = 0x105,
	IGVM_VHT_CCA_POLICY = 0x106,

	IGVM_VHT_PARAMETER_AREA = 0x301,
	IGVM_VHT_PAGE_DATA = 0x302,
	IGVM_VHT_PARAMETER_INSERT = 0x303,
	IGVM_VHT_VP_CONTEXT = 0x304,
	IGVM_VHT_REQUIRED_MEMORY = 0x305,
	/* What goes into a parameter area: all of these have a struct igvm_vhs_parameter. */
	IGVM_VHT_VP_COUNT_PARAMETER = 0x307, /* uint32_t */
	IGVM_VHT_SRAT = 0x308,               /* ACPI table */
	IGVM_VHT_MADT = 0x309,               /* ACPI table */
	IGVM_VHT_MMIO_RANGES = 0x30a,        /* struct igvm_vhs_mmio_ranges */
	IGVM_VHT_SNP_ID_BLOCK = 0x30b,
	IGVM_VHT_MEMORY_MAP = 0x30c, /* struct igvm_vhs_memory_map_entry, the last one empty */
	IGVM_VHT_ERROR_RANGE = 0x30d,
	IGVM_VHT_COMMAND_LINE = 0x30e, /* ASCII, ends with 0 */
	IGVM_VHT_SLIT = 0x30f,         /* ACPI table */
	IGVM_VHT_PPTT = 0x310,         /* ACPI table */
	IGVM_VHT_VBS_MEASUREMENT = 0x311,
	IGVM_VHT_DEVICE_TREE = 0x312,                /* flattened device tree */
	IGVM_VHT_ENVIRONMENT_INFO_PARAMETER = 0x313, /* uint32_t: IGVM_ENVIRONMENT_ */
};

#define IGVM_ENVIRONMENT_MEMORY_IS_SHARED (1u << 0)

/* --- platforms --- */

enum igvm_platform_type {
	IGVM_PLATFORM_NATIVE = 0,
	IGVM_PLATFORM_VSM_ISOLATION = 1,
	IGVM_PLATFORM_SEV_SNP = 2,
	IGVM_PLATFORM_TDX = 3,
	IGVM_PLATFORM_SEV = 4,
	IGVM_PLATFORM_SEV_ES = 5,
	IGVM_PLATFORM_CCA = 6,
};

#define IGVM_PLATFORM_VERSION 1 /* of every platform so far */

struct igvm_vhs_supported_platform {
	uint32_t compatibility_mask; /* one bit, which other headers refer to */
	uint8_t highest_vtl;         /* 0 or 2 */
	uint8_t platform_type;
	uint16_t platform_version;
	uint64_t shared_gpa_boundary; /* GPAs from here on are the host's to see; 0: none */
};
static_assert(sizeof(struct igvm_vhs_supported_platform) == 16, "IGVM_VHS_SUPPORTED_PLATFORM");

/* --- initialization --- */

struct igvm_vhs_guest_policy {
	uint64_t policy; /* IGVM_SNP_POLICY_ or IGVM_TDX_POLICY_ */
	uint32_t compatibility_mask;
	uint32_t reserved_0c;
};
static_assert(sizeof(struct igvm_vhs_guest_policy) == 16, "IGVM_VHS_GUEST_POLICY");

/* SEV-SNP firmware ABI, section 4.3: bits 7:0 ABI minor version, 15:8 major. */
#define IGVM_SNP_POLICY_SMT           (1ull << 16)
#define IGVM_SNP_POLICY_MUST_BE_ONE   (1ull << 17)
#define IGVM_SNP_POLICY_MIGRATE_MA    (1ull << 18)
#define IGVM_SNP_POLICY_DEBUG         (1ull << 19)
#define IGVM_SNP_POLICY_SINGLE_SOCKET (1ull << 20)

#define IGVM_TDX_POLICY_DEBUG           (1ull << 0)
#define IGVM_TDX_POLICY_SEPT_VE_DISABLE (1ull << 1)
#define IGVM_TDX_POLICY_MIGRATABLE      (1ull << 2)
#define IGVM_TDX_POLICY_ALL             7ull

#define IGVM_RELOCATABLE_REGION_IS_VTL2    0x1u
#define IGVM_RELOCATABLE_REGION_APPLY_PC   0x2u
#define IGVM_RELOCATABLE_REGION_APPLY_GDTR 0x4u

struct igvm_vhs_relocatable_region {
	uint32_t compatibility_mask;
	uint16_t vp_index; /* whose registers APPLY_ is about, */
	uint8_t vtl;       /* at this VTL */
	uint8_t flags;
	uint64_t relocation_alignment;
	uint64_t relocation_region_gpa;
	uint64_t relocation_region_size;
	uint64_t minimum_relocation_gpa;
	uint64_t maximum_relocation_gpa; /* the relocated region ends here at the latest */
};
static_assert(sizeof(struct igvm_vhs_relocatable_region) == 48, "IGVM_VHS_RELOCATABLE_REGION");

struct igvm_vhs_page_table_relocation {
	uint32_t compatibility_mask;
	uint16_t vp_index;
	uint8_t vtl;
	uint8_t reserved_07;
	uint64_t gpa;
	uint64_t size;      /* bytes, spare pages for the loader included */
	uint64_t used_size; /* bytes from gpa on */
};
static_assert(sizeof(struct igvm_vhs_page_table_relocation) == 32,
	      "IGVM_VHS_PAGE_TABLE_RELOCATION");

struct igvm_vhs_corim_data {
	uint32_t compatibility_mask;
	uint32_t file_offset;
	uint32_t size_bytes;
	uint32_t reserved_0c;
};
static_assert(sizeof(struct igvm_vhs_corim_data) == 16, "IGVM_VHS_CORIM_DATA");

struct igvm_vhs_cca_policy {
	uint32_t compatibility_mask;
	uint32_t reserved_04;
	uint64_t attributes_required_zeroes;
	uint64_t attributes_required_ones;
	uint8_t hash_algorithm;
	uint8_t lfa_policy;
	uint8_t reserved_1a[6];
};
static_assert(sizeof(struct igvm_vhs_cca_policy) == 32, "IGVM_VHS_CCA_POLICY");

/* --- directives --- */

struct igvm_vhs_parameter_area {
	uint64_t number_of_bytes; /* whole pages */
	uint32_t parameter_area_index;
	uint32_t file_offset; /* initial contents; 0: zeros */
};
static_assert(sizeof(struct igvm_vhs_parameter_area) == 16, "IGVM_VHS_PARAMETER_AREA");

struct igvm_vhs_parameter {
	uint32_t parameter_area_index;
	uint32_t byte_offset;
};
static_assert(sizeof(struct igvm_vhs_parameter) == 8, "IGVM_VHS_PARAMETER");

struct igvm_vhs_parameter_insert {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t parameter_area_index;
};
static_assert(sizeof(struct igvm_vhs_parameter_insert) == 16, "IGVM_VHS_PARAMETER_INSERT");

enum igvm_page_data_type {
	IGVM_PAGE_DATA_NORMAL = 0,
	IGVM_PAGE_DATA_SECRETS = 1,
	IGVM_PAGE_DATA_CPUID_DATA = 2,
	IGVM_PAGE_DATA_CPUID_XF = 3,
};

#define IGVM_PAGE_DATA_IS_2MB_PAGE 0x1u
#define IGVM_PAGE_DATA_UNMEASURED  0x2u
#define IGVM_PAGE_DATA_SHARED      0x4u /* host visible, not measured */

struct igvm_vhs_page_data {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t file_offset; /* 0: a page of zeros */
	uint32_t flags;
	uint16_t data_type;
	uint16_t reserved_16;
};
static_assert(sizeof(struct igvm_vhs_page_data) == 24, "IGVM_VHS_PAGE_DATA");

/* Its 20 bytes make a multiple of 4 only, hence packed. */
struct igvm_vhs_vp_context {
	uint64_t gpa; /* SNP, SEV-ES: of the VMSA; else 0 */
	uint32_t compatibility_mask;
	uint32_t file_offset;
	uint16_t vp_index;
	uint16_t reserved_12;
} __attribute__((packed, aligned(4)));
static_assert(sizeof(struct igvm_vhs_vp_context) == 20, "IGVM_VHS_VP_CONTEXT");

/* VP context of VSM_ISOLATION: the header, then this many registers, not aligned. */
struct igvm_vbs_vp_context_header {
	uint32_t register_count;
};
static_assert(sizeof(struct igvm_vbs_vp_context_header) == 4, "VbsVpContextHeader");

struct igvm_vbs_vp_context_register {
	uint8_t vtl;
	uint32_t register_name; /* TLFS: HV_REGISTER_NAME */
	uint8_t reserved_05[11];
	uint8_t register_value[16];
} __attribute__((packed));
static_assert(sizeof(struct igvm_vbs_vp_context_register) == 32, "VbsVpContextRegister");

/* VP context of NATIVE and SEV on x64, version 2 files: this, and zeros up to a page. */
struct igvm_native_vp_context_x64 {
	uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t idtr_base;
	uint16_t idtr_limit;
	uint16_t reserved_9a[2];
	uint16_t gdtr_limit;
	uint64_t gdtr_base;
	uint16_t code_selector, code_attributes;
	uint32_t code_base, code_limit;
	uint16_t data_selector, data_attributes; /* of all the others */
	uint32_t data_base, data_limit;
	uint64_t gs_base;
	uint64_t cr0, cr3, cr4, efer;
};
static_assert(sizeof(struct igvm_native_vp_context_x64) == 232, "IgvmNativeVpContextX64");

#define IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE 0x1u

struct igvm_vhs_required_memory {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t number_of_bytes;
	uint32_t flags;
	uint32_t reserved_14;
};
static_assert(sizeof(struct igvm_vhs_required_memory) == 24, "IGVM_VHS_REQUIRED_MEMORY");

struct igvm_vhs_error_range {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t size_bytes;
};
static_assert(sizeof(struct igvm_vhs_error_range) == 16, "IGVM_VHS_ERROR_RANGE");

#define IGVM_SNP_ECDSA_P384_SHA384 1u
#define IGVM_SNP_CURVE_P384        2u

/* SEV-SNP firmware ABI, chapter 10: numbers are little-endian, 72 bytes each. */
struct igvm_snp_signature {
	uint8_t r_comp[72];
	uint8_t s_comp[72];
};
static_assert(sizeof(struct igvm_snp_signature) == 144, "IGVM_VHS_SNP_ID_BLOCK_SIGNATURE");

struct igvm_snp_public_key {
	uint32_t curve;
	uint32_t reserved_04;
	uint8_t qx[72];
	uint8_t qy[72];
};
static_assert(sizeof(struct igvm_snp_public_key) == 152, "IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY");

struct igvm_vhs_snp_id_block {
	uint32_t compatibility_mask;
	uint8_t author_key_enabled;
	uint8_t reserved_05[3];
	uint8_t ld[48];
	uint8_t family_id[16];
	uint8_t image_id[16];
	uint32_t version;
	uint32_t guest_svn;
	uint32_t id_key_algorithm;
	uint32_t author_key_algorithm;
	struct igvm_snp_signature id_key_signature;
	struct igvm_snp_public_key id_public_key;
	struct igvm_snp_signature author_key_signature;
	struct igvm_snp_public_key author_public_key;
};
static_assert(sizeof(struct igvm_vhs_snp_id_block) == 696, "IGVM_VHS_SNP_ID_BLOCK");

#define IGVM_VBS_DIGEST_SHA256      1u
#define IGVM_VBS_SIGNING_ECDSA_P384 1u

struct igvm_vhs_vbs_measurement {
	uint32_t compatibility_mask;
	uint32_t version;
	uint32_t product_id;
	uint32_t module_id;
	uint32_t security_version;
	uint32_t policy_flags;
	uint32_t boot_digest_algo;
	uint32_t signing_algo;
	uint8_t boot_measurement_digest[64];
	uint8_t signature[256];
	uint8_t public_key[512];
};
static_assert(sizeof(struct igvm_vhs_vbs_measurement) == 864, "IGVM_VHS_VBS_MEASUREMENT");

/* --- what the loader puts into parameter areas --- */

struct igvm_vhs_memory_range {
	uint64_t starting_gpa_page_number;
	uint64_t number_of_pages;
};
static_assert(sizeof(struct igvm_vhs_memory_range) == 16, "IGVM_VHS_MEMORY_RANGE");

struct igvm_vhs_mmio_ranges {
	struct igvm_vhs_memory_range mmio_ranges[2];
};
static_assert(sizeof(struct igvm_vhs_mmio_ranges) == 32, "IGVM_VHS_MMIO_RANGES");

enum igvm_memory_map_entry_type {
	IGVM_MEMORY_MAP_MEMORY = 0,
	IGVM_MEMORY_MAP_PLATFORM_RESERVED = 1,
	IGVM_MEMORY_MAP_PERSISTENT = 2,
	IGVM_MEMORY_MAP_VTL2_PROTECTABLE = 3,
	IGVM_MEMORY_MAP_SPECIFIC_PURPOSE = 4,
	IGVM_MEMORY_MAP_HIDDEN = 5,
};

struct igvm_vhs_memory_map_entry {
	uint64_t starting_gpa_page_number;
	uint64_t number_of_pages; /* 0: the entry behind the last one */
	uint16_t entry_type;
	uint16_t flags;
	uint32_t reserved_14;
};
static_assert(sizeof(struct igvm_vhs_memory_map_entry) == 24, "IGVM_VHS_MEMORY_MAP_ENTRY");

/* Properties of nodes in the host's device tree, both one cell. */
#define IGVM_DT_IGVM_TYPE "microsoft,igvm-type" /* of memory: enum igvm_memory_map_entry_type */
#define IGVM_DT_VTL       "microsoft,vtl"       /* of a VMBus root: whose it is */

#endif

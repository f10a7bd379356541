#ifndef IGVM_SHIM_SHIM_H
#define IGVM_SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/shim.h"

/*
 * The boot shim: from what the host placed beside the measured image to the state in which VTL2's
 * kernel starts. docs/shim.md
 *
 * Everything declared here is plain C that also builds for the host, where tests and fuzz targets
 * give it a region of their own; what needs the machine is in main.c and entry.S. One thread, no
 * allocation; functions return 0 or -errno, and who returns an error first has logged the reason by
 * shim_stop().
 */

#define SHIM_PAGE_SIZE   4096ull
#define SHIM_2M          0x200000ull
#define SHIM_ADDRESS_END (1ull << 52) /* beyond every GPA (SDM vol. 3, 4.1.4) */

#define SHIM_MAX_VPS    256 /* the kernel's NR_CPUS, and what the paravisor takes */
#define SHIM_MAX_RANGES 32
#define SHIM_MAX_MMIO   8

/* The local APICs' page, where RAM would not be seen. */
#define SHIM_LAPIC_BASE 0xfee00000ull

/* [gpa, gpa + len), len not 0, no wrap. */
struct shim_span {
	uint64_t gpa;
	uint64_t len;
};

struct shim_ram {
	struct shim_span span;
	uint16_t type; /* enum igvm_memory_map_entry_type */
};

struct shim_spans {
	unsigned int count;
	struct shim_span span[SHIM_MAX_MMIO];
};

/* What the host says of the machine, after validation. */
struct shim_machine {
	unsigned int vp_count;
	uint32_t apic_ids[SHIM_MAX_VPS]; /* by VP index */
	unsigned int ram_count;
	struct shim_ram ram[SHIM_MAX_RANGES]; /* sorted, without overlaps */
	struct shim_spans vtl2_mmio;
	struct shim_spans vtl0_mmio;
	struct shim_payload payload[SHIM_PAYLOAD_COUNT]; /* the host's, where the image lets it */
};

struct shim {
	struct shim_params params; /* a copy, validated by shim_params_check() */
	uint8_t *region;
	uint64_t region_gpa;
	struct shim_span self; /* the shim's own memory, as offset in the region */
	struct shim_log *log;
	uint64_t log_gpa;
	uint64_t work_used;
	struct shim_machine machine;
};

/* How to enter the kernel (Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol"). */
struct shim_start {
	uint64_t rip;
	uint64_t rsi; /* boot_params */
	uint64_t cr3;
};

/*
 * All of it: reads the parameters at the region's start, takes the host's, builds what the kernel
 * needs in the work area and wipes what the host placed. region, region_gpa, self, log and log_gpa
 * are set. A region of fewer bytes than its params say must not be given.
 */
int shim_prepare(struct shim *shim, struct shim_start *start);

/* --- the parts, each in the file of its name --- */

/* The image's own word, measured: a mistake is the builder's, found before it does harm. */
int shim_params_check(struct shim *shim);

/* Memory map and VP count from their parameter areas into shim->machine. */
int shim_machine_read(struct shim *shim);

/* After the tree: nothing lies on anything else, the region is VTL2's, payloads are in VTL0's RAM. */
int shim_machine_check(struct shim *shim);

/* The host's device tree into shim->machine; it must agree with memory map and VP count. */
int shim_host_tree_read(struct shim *shim);

/*
 * The kernel's command line into `line`, terminated: the measured words, those of the host's that pass the
 * filter, what follows from the machine; then "--" and the paravisor's.
 */
int shim_command_line_build(struct shim *shim, char *line, size_t size);

/* VTL2's device tree into buf. Returns its length or -errno. */
int shim_linux_tree_build(struct shim *shim, void *buf, size_t size);

/* An identity map of the region, in the work area. */
int shim_page_tables_build(struct shim *shim, uint64_t *root);

/* Makes memory usable that the isolation architecture hands over unaccepted. */
int shim_isolation_accept(struct shim *shim);

/* --- helpers --- */

/* Zeroed pages of the work area, or NULL and a line in the log. *gpa is where they are. */
void *shim_work_take(struct shim *shim, uint64_t len, uint64_t *gpa);

static inline uint8_t *shim_pointer(const struct shim *shim, uint64_t offset)
{
	return shim->region + offset;
}

static inline bool shim_spans_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Whether [gpa, gpa + len) is a range of whole addresses below SHIM_ADDRESS_END. */
static inline bool shim_span_valid(uint64_t gpa, uint64_t len)
{
	return len && gpa < SHIM_ADDRESS_END && len <= SHIM_ADDRESS_END - gpa;
}

/* VTL0's payload, wherever it comes from. */
static inline const struct shim_payload *shim_payloads(const struct shim *shim)
{
	return shim->params.flags & SHIM_HOST_PAYLOAD ? shim->machine.payload
						      : shim->params.payload;
}

#endif

#ifndef IGVM_VP_STATE_H
#define IGVM_VP_STATE_H

#include <stdint.h>

#include "proto/igvm.h"
#include "proto/sev_snp.h"

/* VP 0 as the boot shim wants it (proto/shim.h): long mode, paging on, flat segments. */

#define VP_STATE_REGISTERS 14

struct vp_state_registers {
	struct igvm_vbs_vp_context_header header;
	struct igvm_vbs_vp_context_register registers[VP_STATE_REGISTERS];
} __attribute__((packed));

/* At VTL2, with `rip` and the page tables at `cr3` (GPAs). */
void vp_state_registers(struct vp_state_registers *context, uint64_t rip, uint64_t cr3);

/* The same as an SEV-SNP save area; `vtom`: first GPA that is shared, 0 for none. */
void vp_state_vmsa(struct sev_vmsa *vmsa, uint64_t rip, uint64_t cr3, uint64_t sev_features,
		   uint64_t vtom);

/*
 * Page tables that map [gpa, gpa + len), both of 2 MiB, at its own addresses by 2 MiB pages, all
 * writable and executable, and the 2 MiB at `also` unless it is 0. They are to lie at `at` and take `pages` pages at most. Returns how many
 * they take, or 0 if these are too few. `tables` is zeroed before.
 */
unsigned int vp_state_tables(uint64_t (*tables)[512], unsigned int pages, uint64_t at, uint64_t gpa,
			     uint64_t len, uint64_t also);

#endif

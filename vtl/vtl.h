#ifndef VTL_VTL_H
#define VTL_VTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/x86/x86.h"
#include "proto/hv_hypercall.h"
#include "vtl/vp_exit.h"

/*
 * How VTL0 is run and isolated. One implementation per way: vtl/mshv.c where a hypervisor enforces
 * the VTLs; hardware isolation (SEV-SNP, TDX) implements the same interface and emulates VTL0's
 * APIC, SynIC and hypercalls itself behind it.
 *
 * A struct vtl_vp belongs to one thread, pinned to its processor: everything about it, creation
 * included, happens there. What takes a struct vtl may be called from any thread.
 */

struct vtl;
struct vtl_vp;
struct guest_memory;

/*
 * Registers that exit handling and instruction emulation work on. They are fetched by class when
 * first needed after an exit, and written back before VTL0 runs again.
 */
#define VTL_CLASS_GPR      0x01u /* cpu.gpr, RSP among them, and cr2 */
#define VTL_CLASS_IP       0x02u /* cpu.rip */
#define VTL_CLASS_FLAGS    0x04u /* cpu.rflags */
#define VTL_CLASS_SEGMENTS 0x08u /* cpu.segment */
#define VTL_CLASS_CONTROL  0x10u /* cpu.cr0, cr4, efer and cr3: read-only here */
#define VTL_CLASS_ALL      0x1fu

struct vtl_registers {
	struct x86_cpu cpu;
	uint64_t cr2, cr3;
};

/* An exception to raise in VTL0 before its next instruction. */
struct vtl_exception {
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t address; /* CR2, for a page fault */
};

/* An interrupt for VTL0's local APICs. */
struct vtl_interrupt {
	enum hv_interrupt_type type;
	uint32_t destination; /* APIC id, or logical destination */
	bool logical;
	bool level_triggered; /* its EOI comes back as VP_EXIT_EOI */
	uint8_t vector;
};

struct vtl_ops {
	/* --- The VP's own thread. */

	/*
	 * Runs VTL0 until it exits, or the poll descriptor became readable since the last
	 * clear_wake(): VP_EXIT_WAKE. 0 with *exit filled in, or -errno when VTL0 cannot be run.
	 */
	int (*run)(struct vtl_vp *vp, struct vp_exit *exit);

	/*
	 * Before the caller looks for itself at what the poll descriptor tells of: run() ends only for
	 * what comes later. True: there was something. A full memory barrier.
	 */
	bool (*clear_wake)(struct vtl_vp *vp);

	/* Move classes between the processor and vp->registers. 0 or -errno. */
	int (*load)(struct vtl_vp *vp, uint32_t classes);
	int (*store)(struct vtl_vp *vp, uint32_t classes);

	/* One register by Hyper-V's name, for state outside the classes. 0 or -errno. */
	int (*get_register)(struct vtl_vp *vp, uint32_t name, union hv_register_value *value);
	int (*set_register)(struct vtl_vp *vp, uint32_t name, const union hv_register_value *value);

	/* The low 16 bytes of XMM register reg (0 to 15). 0 or -errno. */
	int (*get_xmm)(struct vtl_vp *vp, uint8_t reg, void *data);
	int (*set_xmm)(struct vtl_vp *vp, uint8_t reg, const void *data);

	/* fd: run() is to end with VP_EXIT_WAKE when this descriptor becomes readable. */
	int (*set_poll_fd)(struct vtl_vp *vp, int fd);

	void (*vp_destroy)(struct vtl_vp *vp);

	/* --- Any thread. 0 or -errno. */

	int (*vp_create)(struct vtl *vtl, unsigned int index, struct vtl_vp **vp);

	int (*assert_interrupt)(struct vtl *vtl, const struct vtl_interrupt *interrupt);

	/*
	 * A SynIC message for VTL0. -EAGAIN: the slot of that SINT is taken; whoever sets the SINT's bit in
	 * HV_REGISTER_DELIVERABILITY_NOTIFICATIONS of that VP gets one VP_EXIT_SLOT_FREE there.
	 */
	int (*post_message)(struct vtl *vtl, uint32_t vp, uint8_t sint, uint32_t type,
			    const void *payload, size_t len);
	int (*signal_event)(struct vtl *vtl, uint32_t vp, uint8_t sint, uint16_t flag);

	/* What VTL0 may do to [gpa, gpa + len): HV_MAP_GPA_*. Whole pages. */
	int (*protect)(struct vtl *vtl, uint64_t gpa, uint64_t len, uint32_t access);

	/* Maps VTL0's RAM at [gpa, gpa + len) into this process for its lifetime. */
	int (*map_memory)(struct vtl *vtl, uint64_t gpa, uint64_t len, void **address);

	/* After the last vp_destroy. */
	void (*destroy)(struct vtl *vtl);
};

/* The common heads of what implementations create. */
struct vtl {
	const struct vtl_ops *ops;
};

struct vtl_vp {
	const struct vtl_ops *ops;
	struct vtl *vtl;
	unsigned int index;
	struct vtl_registers registers;
	uint32_t valid; /* classes of `registers` that are as the processor's, or newer */
	uint32_t dirty; /* classes that are newer */
};

/*
 * Stores what is dirty, runs VTL0 and forgets the registers. 0 or -errno.
 */
int vtl_vp_run(struct vtl_vp *vp, struct vp_exit *exit);

/* Fetches those of the classes that are not there yet. 0 or -errno. */
int vtl_vp_need(struct vtl_vp *vp, uint32_t classes);

/* The caller changed these classes of vp->registers, which it fetched or filled wholly before. */
void vtl_vp_changed(struct vtl_vp *vp, uint32_t classes);

/*
 * A register by name, in order with the classes: get sees what was changed, set is not undone by
 * an older change. 64-bit values. 0 or -errno.
 */
int vtl_vp_get(struct vtl_vp *vp, uint32_t name, uint64_t *value);
int vtl_vp_set(struct vtl_vp *vp, uint32_t name, uint64_t value);
int vtl_vp_set_value(struct vtl_vp *vp, uint32_t name, const union hv_register_value *value);

/*
 * The instruction of `exit` is done: moves RIP past it (by `length`, or when that is 0 by what the
 * exit says) and ends an interrupt shadow. -EINVAL when neither knows the length.
 */
int vtl_vp_skip(struct vtl_vp *vp, const struct vp_exit *exit, unsigned int length);

/*
 * The same for who has moved RIP already. shadow: the instruction itself casts an interrupt shadow.
 */
int vtl_vp_retired(struct vtl_vp *vp, const struct vp_exit *exit, bool shadow);

/* Raises an exception before VTL0's next instruction. 0 or -errno. */
int vtl_vp_inject(struct vtl_vp *vp, const struct vtl_exception *exception);

/*
 * Linear to physical address by VTL0's page tables, with the rights that `access` (X86_ACCESS_*)
 * needs. 0; -EFAULT with *exception to raise; or another -errno.
 */
int vtl_vp_translate(struct vtl_vp *vp, const struct guest_memory *memory, uint64_t linear,
		     uint32_t access, uint64_t *gpa, struct vtl_exception *exception);

#endif

#ifndef VTL_MSHV_PRIVATE_H
#define VTL_MSHV_PRIVATE_H

#include <stdbool.h>

#include "vtl/mshv_uapi.h"
#include "vtl/vtl.h"

/* Between the files of vtl/mshv*.c. */

struct mshv {
	struct vtl vtl;
	int vtl_fd;       /* MSHV_CREATE_VTL: run VTL0, its registers */
	int hypercall_fd; /* /dev/mshv_hvcall */
	int memory_fd;    /* /dev/mshv_vtl_low */
	bool register_page;
	bool return_actions;
};

struct mshv_vp {
	struct vtl_vp vp;
	struct mshv *mshv;
	struct mshv_run_page *run;
	struct hv_vp_register_page *page; /* NULL: the hypervisor has none */
	unsigned int cpu;                 /* Linux's number for the processor of this VP */
	uint64_t loaded_rsp;
};

/*
 * A hypercall of VTL2. `code` with a repeat count; lengths up to one page. Returns HV_STATUS_*
 * (0 or positive), or -errno when the call could not be made. *completed (may be NULL): repetitions
 * done. Any thread.
 */
int mshv_hypercall(const struct mshv *mshv, uint16_t code, unsigned int reps, const void *input,
		   size_t input_len, void *output, size_t output_len, unsigned int *completed);

/* -errno for the result of mshv_hypercall(). */
int mshv_status_to_errno(int status);

/* Sets what mshv_hypercall() may call; the kernel refuses the rest, for good. 0 or -errno. */
int mshv_hypercall_setup(const struct mshv *mshv);

/* ops, in mshv_hypercall.c */
int mshv_assert_interrupt(struct vtl *vtl, const struct vtl_interrupt *interrupt);
int mshv_post_message(struct vtl *vtl, uint32_t vp, uint8_t sint, uint32_t type,
		      const void *payload, size_t len);
int mshv_signal_event(struct vtl *vtl, uint32_t vp, uint8_t sint, uint16_t flag);
int mshv_protect(struct vtl *vtl, uint64_t gpa, uint64_t len, uint32_t access);

/* ops, in mshv_vp.c */
int mshv_vp_create(struct vtl *vtl, unsigned int index, struct vtl_vp **vp);
void mshv_vp_destroy(struct vtl_vp *vp);
int mshv_vp_run(struct vtl_vp *vp, struct vp_exit *exit);
bool mshv_vp_clear_wake(struct vtl_vp *vp);
int mshv_vp_set_poll_fd(struct vtl_vp *vp, int fd);

/*
 * The event as an action of the VTL return that the calling thread makes next, if it is that VP's:
 * VTL0 could not see it earlier. False: it needs a hypercall.
 */
bool mshv_vp_signal_at_return(const struct mshv *mshv, uint32_t vp, uint8_t sint, uint16_t flag);

/* ops, in mshv_registers.c */
int mshv_load(struct vtl_vp *vp, uint32_t classes);
int mshv_store(struct vtl_vp *vp, uint32_t classes);
int mshv_get_register(struct vtl_vp *vp, uint32_t name, union hv_register_value *value);
int mshv_set_register(struct vtl_vp *vp, uint32_t name, const union hv_register_value *value);
int mshv_get_xmm(struct vtl_vp *vp, uint8_t reg, void *data);
int mshv_set_xmm(struct vtl_vp *vp, uint8_t reg, const void *data);

#endif

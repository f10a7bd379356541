#include <string.h>

#include "host/hypercall_internal.h"
#include "host/translate.h"

/* VTL2 protects its own memory from VTL0 from the start; here it changes that page by page. */
uint16_t hypercall_modify_vtl_protection_mask(struct hypercall *call)
{
	struct partition *partition = call->vcpu->vp->partition;
	uint32_t flags = call->in.protect.map_flags;
	enum host_access access = 0;
	unsigned int i = call->control.rep_start;
	enum host_vtl vtl;
	uint64_t page;
	int ret = 0;

	if (!hypercall_self(call->in.protect.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (hypercall_input_vtl(call, call->in.protect.input_vtl, &vtl) || vtl != HOST_VTL0)
		return HV_STATUS_ACCESS_DENIED;
	if (flags & ~HV_MAP_GPA_PERMISSIONS_MASK)
		return HV_STATUS_INVALID_PARAMETER;
	access |= flags & HV_MAP_GPA_READABLE ? HOST_READ : 0;
	access |= flags & HV_MAP_GPA_WRITABLE ? HOST_WRITE : 0;
	access |= flags & (HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE) ? HOST_EXECUTE
										      : 0;
	pthread_mutex_lock(&partition->lock);
	for (; i < call->control.rep_count && !ret; i++) {
		memcpy(&page, hypercall_element(call, i), sizeof(page));
		ret = page >> 52 ? -EFAULT
				 : host_memory_protect(&partition->memory, page * HV_PAGE_SIZE,
						       HV_PAGE_SIZE, access);
		call->reps_done = ret ? i : i + 1;
	}
	pthread_mutex_unlock(&partition->lock);
	return ret ? HV_STATUS_OPERATION_DENIED : HV_STATUS_SUCCESS;
}

static int translate(struct vp *vp, void *arg)
{
	struct hypercall *call = arg;

	translate_gva(&vp->vcpu[HOST_VTL0], &call->in.translate, &call->out.translate);
	return HV_STATUS_SUCCESS;
}

uint16_t hypercall_translate_virtual_address(struct hypercall *call)
{
	struct vp *vp = hypercall_input_vp(call, call->in.translate.vp_index);
	enum host_vtl vtl;

	if (!hypercall_self(call->in.translate.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (hypercall_input_vtl(call, (uint8_t)(call->in.translate.control_flags >> 56), &vtl) ||
	    vtl != HOST_VTL0)
		return HV_STATUS_ACCESS_DENIED;
	return vp_call(vp, translate, call) ? HV_STATUS_OPERATION_FAILED : HV_STATUS_SUCCESS;
}

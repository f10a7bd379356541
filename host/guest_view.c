#include "host/guest_view.h"

#include "core/guest_memory.h"

int guest_view_fill(struct guest_memory *guest, const struct host_memory *memory,
		    enum host_view view)
{
	int ret = 0;

	for (unsigned int i = 0; i < memory->range_count && !ret; i++) {
		const struct host_range *range = &memory->ranges[i];

		if (view == HOST_VIEW_VTL2 || !range->vtl2)
			ret = guest_memory_add(guest, range->gpa, memory->view[view] + range->gpa,
					       range->len);
	}
	return ret;
}

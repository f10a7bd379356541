#include <errno.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"

/*
 * Where hardware isolates, pages that the image does not hold come unaccepted and must be
 * validated (SNP: PVALIDATE) or accepted (TDX: TDG.MEM.PAGE.ACCEPT) before their first use: the work area first of
 * all. Without isolation, and under VBS, the hypervisor has done what there is to do.
 */
int shim_isolation_accept(struct shim *shim)
{
	if (shim->params.isolation == SHIM_ISOLATION_SNP ||
	    shim->params.isolation == SHIM_ISOLATION_TDX)
		return shim_stop(shim, "isolation type %u: accepting memory is not there yet",
				 shim->params.isolation);
	return 0;
}

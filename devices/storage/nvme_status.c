#include <errno.h>

#include "devices/storage/nvme_internal.h"

/* Status codes of NVMe 1.4, 4.6.1.2, of which few say more than that the command failed. */

#define TYPE_GENERIC 0
#define TYPE_PATH    3

#define PATH_ABORTED_BY_HOST 0x371

static int generic_errno(uint16_t code)
{
	switch (code) {
	case NVME_SC_SUCCESS:
		return 0;
	case NVME_SC_INVALID_OPCODE:
		return -EOPNOTSUPP;
	case NVME_SC_INVALID_FIELD:
		return -EINVAL;
	case NVME_SC_POWER_LOSS:
	case NVME_SC_ABORT_REQUESTED:
	case NVME_SC_ABORT_SQ_DELETED:
	case NVME_SC_NS_NOT_READY:
		return -ECANCELED;
	case NVME_SC_INVALID_NS:
		return -ENODEV;
	case NVME_SC_NS_WRITE_PROTECTED:
		return -EROFS;
	case NVME_SC_CAPACITY_EXCEEDED:
		return -ENOSPC;
	case NVME_SC_RESERVATION_CONFLICT:
		return -EBADE;
	default:
		return -EIO;
	}
}

int nvme_status_errno(uint16_t status)
{
	uint16_t code = NVME_STATUS_CODE(status);

	if (NVME_STATUS_TYPE(status) == TYPE_GENERIC)
		return generic_errno(code);
	if (NVME_STATUS_TYPE(status) == TYPE_PATH)
		return -ECANCELED;
	if (code == NVME_SC_COMPARE_FAILED)
		return -EILSEQ;
	return code == NVME_SC_READ_ONLY_RANGE ? -EROFS : -EIO;
}

bool nvme_status_passing(uint16_t status)
{
	uint16_t code = NVME_STATUS_CODE(status);

	if (status & NVME_STATUS_DNR)
		return false;
	if (NVME_STATUS_TYPE(status) == TYPE_PATH)
		return code != PATH_ABORTED_BY_HOST;
	return code == NVME_SC_INTERNAL || code == NVME_SC_ABORT_REQUESTED ||
	       code == NVME_SC_DATA_TRANSFER_ERROR;
}

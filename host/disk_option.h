#ifndef HOST_DISK_OPTION_H
#define HOST_DISK_OPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/nvme/nvme_emu_fault.h"

/*
 * One --nvme option: an NVMe controller with one namespace, and its place among the guest's LUNs.
 * Disks of the same LUN are striped, in the order of the command line.
 */

#define HOST_MAX_DISKS 64
#define HOST_LUNS      64 /* of a SCSI controller in the VTL2 settings */
#define HOST_MAX_LUNS  (4 * HOST_LUNS)

struct disk_option {
	const char *path; /* into the command line; NULL: memory, or nothing */
	bool empty;       /* a drive with nothing in it, behind which there is no controller */
	uint64_t size;    /* bytes; 0: as large as the file is */
	unsigned int lun; /* LUN % HOST_LUNS of controller LUN / HOST_LUNS */
	unsigned int chunk_kib; /* of a stripe: the first disk's counts */
	unsigned int sector_size;
	unsigned int
		physical_size; /* of a sector, as the guest is told; 0: as the namespace says */
	bool read_only, dvd;
	struct nvme_emu_fault faults[NVME_EMU_MAX_FAULTS]; /* for tests */
	unsigned int fault_count;
	bool removed; /* during the run: there is none any more */
};

/*
 * Takes "FILE|memory|none[,ro][,dvd][,size=SIZE][,lun=N][,chunk=KIB][,sector=512|4096][,physical=512|4096]
 * [,fault=KIND[:KEY=VALUE]...]", which it cuts apart in
 * place, and appends it to disks[0..*count). On a mistake prints one line and returns -EINVAL.
 */
int disk_option_parse(char *text, struct disk_option *disks, unsigned int *count);

#endif

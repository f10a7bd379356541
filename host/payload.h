#ifndef HOST_PAYLOAD_H
#define HOST_PAYLOAD_H

#include <stdint.h>

struct partition;

/* Files for VTL0 that are not in the image: --kernel, --initrd, --append. */

enum {
	HOST_PAYLOAD_KERNEL,
	HOST_PAYLOAD_INITRD,
	HOST_PAYLOAD_CMDLINE,
	HOST_PAYLOAD_COUNT
};

/* Where they lie in VTL0's memory; length 0: not given. */
struct host_payloads {
	struct {
		uint64_t gpa, len;
	} file[HOST_PAYLOAD_COUNT];
};

/*
 * Places them as they are, as high as possible below `top` in VTL0's low RAM: initramfs on top, kernel and
 * command line below it. On failure logs one line. 0 or -errno.
 */
int host_payload_place(struct partition *partition, uint64_t top, struct host_payloads *payloads);

#endif

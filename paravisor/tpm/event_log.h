#ifndef PARAVISOR_TPM_EVENT_LOG_H
#define PARAVISOR_TPM_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * A boot's event log in the crypto-agile format: TCG PC Client Platform Firmware Profile 1.05, clause 10.2. Pure: bytes
 * into a buffer. Numbers are little-endian.
 */

#define EVENT_DIGESTS_MAX 5
#define EVENT_DIGEST_SIZE 64

/* One digest for each bank that is in use, all of the same bytes. */
struct event_digests {
	unsigned int count;
	struct {
		uint16_t algorithm; /* TPM_ALG_ID */
		uint8_t bytes[EVENT_DIGEST_SIZE];
	} digest[EVENT_DIGESTS_MAX];
};

/* Event types: clause 10.4.1, table 27 */
#define EV_NO_ACTION             0x03
#define EV_SEPARATOR             0x04
#define EV_S_CRTM_VERSION        0x08
#define EV_PLATFORM_CONFIG_FLAGS 0x0A
#define EV_IPL                   0x0D

struct event_log {
	uint8_t *
		buf; /* the caller's, zeros; what is behind `len` stays so, which is how readers find the end */
	size_t cap, len;
};

/* Bytes of a digest of that algorithm, 0 for one that has no place in a log. */
size_t event_digest_size(uint16_t algorithm);

/* The log's first event, which tells readers the algorithms (10.4.5.1). 0, -EINVAL, -ENOSPC */
int event_log_begin(struct event_log *log, void *buf, size_t cap, const uint16_t *algorithms,
		    unsigned int count);

/* A TCG_PCR_EVENT2 (10.2.2) with `data` of `len` bytes to go with it. 0, -EINVAL, or -ENOSPC: nothing was added. */
int event_log_add(struct event_log *log, uint32_t pcr, uint32_t type,
		  const struct event_digests *digests, const void *data, size_t len);

#endif

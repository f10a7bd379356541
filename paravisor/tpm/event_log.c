#include "paravisor/tpm/event_log.h"

#include <errno.h>
#include <string.h>

#include "paravisor/boot/byte_writer.h"
#include "proto/tpm.h"

#define SHA1_SIZE 20

/* 10.4.5.1: the profile's version and errata that the log follows, and uint64_t as the native integer */
#define SPEC_MINOR  0
#define SPEC_MAJOR  2
#define SPEC_ERRATA 106
#define UINTN_64    2

size_t event_digest_size(uint16_t algorithm)
{
	switch (algorithm) {
	case TPM_ALG_SHA1:
		return SHA1_SIZE;
	case TPM_ALG_SHA256:
		return 32;
	case TPM_ALG_SHA384:
		return 48;
	case TPM_ALG_SHA512:
		return 64;
	default:
		return 0;
	}
}

static struct byte_writer writer(struct event_log *log)
{
	return byte_writer_over(log->buf + log->len, log->cap - log->len);
}

static int commit(struct event_log *log, const struct byte_writer *w)
{
	if (w->full) {
		memset(log->buf + log->len, 0, log->cap - log->len);
		return -ENOSPC;
	}
	log->len += w->len;
	return 0;
}

static int put_spec_id(struct byte_writer *w, const uint16_t *algorithms, unsigned int count)
{
	static const char signature[16] = "Spec ID Event03";

	byte_writer_put(w, signature, sizeof(signature));
	byte_writer_number(w, 0, 4); /* platform class: client */
	byte_writer_u8(w, SPEC_MINOR);
	byte_writer_u8(w, SPEC_MAJOR);
	byte_writer_u8(w, SPEC_ERRATA);
	byte_writer_u8(w, UINTN_64);
	byte_writer_number(w, count, 4);
	for (unsigned int i = 0; i < count; i++) {
		size_t size = event_digest_size(algorithms[i]);

		if (!size)
			return -EINVAL;
		byte_writer_number(w, algorithms[i], 2);
		byte_writer_number(w, size, 2);
	}
	byte_writer_u8(w, 0); /* no vendor information */
	return 0;
}

int event_log_begin(struct event_log *log, void *buf, size_t cap, const uint16_t *algorithms,
		    unsigned int count)
{
	static const uint8_t no_digest[SHA1_SIZE];
	uint8_t event[64];
	struct byte_writer w = byte_writer_over(event, sizeof(event)), out;

	if (!count || count > EVENT_DIGESTS_MAX || put_spec_id(&w, algorithms, count))
		return -EINVAL;
	*log = (struct event_log){ .buf = buf, .cap = cap };
	/* In the format of TPM 1.2, so that its readers too can tell what they look at (10.2.1). */
	out = writer(log);
	byte_writer_number(&out, 0, 4);
	byte_writer_number(&out, EV_NO_ACTION, 4);
	byte_writer_put(&out, no_digest, sizeof(no_digest));
	byte_writer_number(&out, w.len, 4);
	byte_writer_put(&out, event, w.len);
	return commit(log, &out);
}

int event_log_add(struct event_log *log, uint32_t pcr, uint32_t type,
		  const struct event_digests *digests, const void *data, size_t len)
{
	struct byte_writer out = writer(log);

	if (digests->count > EVENT_DIGESTS_MAX || len > UINT32_MAX)
		return -EINVAL;
	byte_writer_number(&out, pcr, 4);
	byte_writer_number(&out, type, 4);
	byte_writer_number(&out, digests->count, 4);
	for (unsigned int i = 0; i < digests->count; i++) {
		byte_writer_number(&out, digests->digest[i].algorithm, 2);
		byte_writer_put(&out, digests->digest[i].bytes,
				event_digest_size(digests->digest[i].algorithm));
	}
	byte_writer_number(&out, len, 4);
	byte_writer_put(&out, data, len);
	return commit(log, &out);
}

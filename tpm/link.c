// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "tpm/link.h"

int link_receive(struct link *link)
{
	ssize_t n;

	do
		n = read(link->in, link->packet, sizeof(link->packet));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	link->len = (size_t)n;
	if (!n)
		return -EPIPE;
	return link->len < sizeof(link->header) ? -EBADMSG : 0;
}

int link_send(struct link *link, const void *header, size_t header_len, const void *payload,
	      size_t len)
{
	uint8_t packet[VTPM_LINK_PACKET];
	ssize_t n;

	if (header_len > sizeof(packet) || len > sizeof(packet) - header_len)
		return -EMSGSIZE;
	memcpy(packet, header, header_len);
	if (len)
		memcpy(packet + header_len, payload, len);
	do
		n = write(link->out, packet, header_len + len);
	while (n < 0 && errno == EINTR);
	mbedtls_platform_zeroize(packet, header_len + len);
	return n < 0 ? -errno : 0;
}

void link_store_done(struct link *link)
{
	if (link->len < sizeof(link->store_done) || !link->sync_id ||
	    link->header.id != link->sync_id)
		return;
	link->sync_id = 0;
	link->sync_error = link->store_done.error;
}

static int request(struct link *link, enum vtpm_link_type type, uint64_t offset, const void *data,
		   size_t len)
{
	struct vtpm_link_store packet = { .header = { type, ++link->id },
					  .offset = offset,
					  .len = (uint32_t)len };

	return link_send(link, &packet, sizeof(packet), data, data ? len : 0);
}

/* A sync that was begun may end before our answer comes. */
static int receive_answer(struct link *link)
{
	int ret = link_receive(link);

	while (!ret && link->sync_id && link->header.type == VTPM_LINK_STORE_DONE &&
	       link->header.id == link->sync_id) {
		link_store_done(link);
		ret = link_receive(link);
	}
	return ret;
}

/* Asks for the store and waits for the answer, which is in link->packet then. */
static int ask(struct link *link, enum vtpm_link_type type, uint64_t offset, const void *data,
	       size_t len)
{
	int ret = request(link, type, offset, data, len);

	if (!ret)
		ret = receive_answer(link);
	if (ret)
		return ret;
	if (link->header.type != VTPM_LINK_STORE_DONE || link->header.id != link->id ||
	    link->len < sizeof(link->store_done))
		return -EPROTO;
	return link->store_done.error;
}

static int store_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct link *link = ctx;
	uint8_t *p = buf;

	while (len) {
		size_t n = len < VTPM_LINK_STORE_MAX ? len : VTPM_LINK_STORE_MAX;
		int ret = ask(link, VTPM_LINK_STORE_READ, offset, NULL, n);

		if (ret)
			return ret;
		if (link->len != sizeof(link->store_done) + n)
			return -EPROTO;
		memcpy(p, link->packet + sizeof(link->store_done), n);
		p += n;
		offset += n;
		len -= n;
	}
	mbedtls_platform_zeroize(link->packet, sizeof(link->packet));
	return 0;
}

static int store_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct link *link = ctx;
	const uint8_t *p = buf;

	while (len) {
		size_t n = len < VTPM_LINK_STORE_MAX ? len : VTPM_LINK_STORE_MAX;
		int ret = ask(link, VTPM_LINK_STORE_WRITE, offset, p, n);

		if (ret)
			return ret;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* There is one sync at a time: this one takes the place of one that was begun, which then has no answer. */
static int store_sync(void *ctx)
{
	struct link *link = ctx;
	int ret = ask(link, VTPM_LINK_STORE_SYNC, 0, NULL, 0);

	link->sync_id = 0;
	return ret;
}

static int store_sync_begin(void *ctx)
{
	struct link *link = ctx;
	int ret = request(link, VTPM_LINK_STORE_SYNC, 0, NULL, 0);

	link->sync_id = ret ? 0 : link->id;
	return ret;
}

static int store_sync_result(void *ctx)
{
	struct link *link = ctx;

	return link->sync_id ? -EBUSY : link->sync_error;
}

const struct store_device link_store_device = {
	.read = store_read,
	.write = store_write,
	.sync = store_sync,
	.sync_begin = store_sync_begin,
	.sync_result = store_sync_result,
};

#include <errno.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"

#define REGION_MAX (64ull << 30)

/* A range of the region that the params name; what they may lie on is nothing but free memory. */
struct piece {
	char name[16];
	struct shim_range range;
};

static int check_piece(struct shim *shim, const struct piece *piece)
{
	const struct shim_range *r = &piece->range;
	uint64_t region_len = shim->params.region_len;

	if (!r->len || r->offset % SHIM_PAGE_SIZE || r->offset >= region_len ||
	    r->len > region_len - r->offset)
		return shim_stop(shim, "image: %s (%llx, %llx) is not in its region", piece->name,
				 (unsigned long long)r->offset, (unsigned long long)r->len);
	return 0;
}

static int check_pieces(struct shim *shim, const struct piece *pieces, unsigned int count)
{
	unsigned int i, j;
	int ret;

	for (i = 0; i < count; i++) {
		ret = check_piece(shim, &pieces[i]);
		if (ret)
			return ret;
		for (j = 0; j < i; j++)
			if (shim_spans_overlap(pieces[i].range.offset, pieces[i].range.len,
					       pieces[j].range.offset, pieces[j].range.len))
				return shim_stop(shim, "image: %s lies on %s", pieces[i].name,
						 pieces[j].name);
	}
	return 0;
}

static int check_layout(struct shim *shim)
{
	const struct shim_params *p = &shim->params;
	const struct piece pieces[] = {
		{ "parameters", { 0, SHIM_PAGE_SIZE } },
		{ "shim", { shim->self.gpa, shim->self.len } },
		{ "VP count", p->vp_count },
		{ "memory map", p->memory_map },
		{ "device tree", p->device_tree },
		{ "host words", p->host_command_line },
		{ "page tables", p->entry_tables },
		{ "work area", p->work },
		{ "kernel", p->kernel },
		{ "command line", p->command_line },
		{ "initramfs", p->initrd },
	};
	unsigned int count = sizeof(pieces) / sizeof(*pieces);

	if (!p->initrd.len)
		count--;
	if (p->kernel.offset % SHIM_2M || p->kernel_entry < p->kernel.offset ||
	    p->kernel_entry - p->kernel.offset >= p->kernel.len)
		return shim_stop(shim, "image: the kernel's place or entry is wrong");
	if (p->work.len < SHIM_WORK_MIN)
		return shim_stop(shim, "image: the work area is too small");
	return check_pieces(shim, pieces, count);
}

static int check_payload(struct shim *shim)
{
	const struct shim_params *p = &shim->params;
	bool any = false;
	unsigned int i;

	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++) {
		if (!p->payload[i].len)
			continue;
		any = true;
		if (!shim_span_valid(p->payload[i].gpa, p->payload[i].len))
			return shim_stop(shim, "image: a payload is at no address");
	}
	if (any == !!(p->flags & SHIM_HOST_PAYLOAD))
		return shim_stop(shim, "image: %s",
				 any ? "a payload inside and leave for another" : "no payload");
	return 0;
}

static int check_flags(struct shim *shim)
{
	const struct shim_params *p = &shim->params;

	if (p->flags & ~SHIM_FLAGS_KNOWN || p->isolation > SHIM_ISOLATION_TDX)
		return shim_stop(shim, "image: unknown flags %x or isolation %u", p->flags,
				 p->isolation);
	if (p->isolation != SHIM_ISOLATION_NONE && !(p->flags & SHIM_CONFIDENTIAL))
		return shim_stop(shim, "image: isolated but not confidential");
	if (p->flags & SHIM_CONFIDENTIAL && p->flags & (SHIM_HOST_PAYLOAD | SHIM_DEBUG))
		return shim_stop(shim, "image: confidential, but trusts the host");
	return 0;
}

int shim_params_check(struct shim *shim)
{
	struct shim_params *p = &shim->params;
	int ret;

	memcpy(p, shim->region, sizeof(*p));
	if (p->magic != SHIM_PARAMS_MAGIC || p->version != SHIM_PARAMS_VERSION)
		return shim_stop(shim, "image: no parameters of version %u", SHIM_PARAMS_VERSION);
	if (!p->region_len || p->region_len % SHIM_2M || p->region_len > REGION_MAX ||
	    !shim_span_valid(shim->region_gpa, p->region_len) || shim->region_gpa % SHIM_2M)
		return shim_stop(shim, "image: no region of %llx bytes at %llx",
				 (unsigned long long)p->region_len,
				 (unsigned long long)shim->region_gpa);
	ret = check_flags(shim);
	if (!ret)
		ret = check_layout(shim);
	if (!ret)
		ret = check_payload(shim);
	return ret;
}

#include <stdlib.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "paravisor/topology.h"
#include "proto/linux_boot.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/igvm/shim/shim_region.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * A host that says anything: VP count, command line, memory map and device tree, each valid or
 * the fuzzer's. The shim stops with a reason, or what it builds is sound.
 */
enum {
	FUZZ_MAP = 1,
	FUZZ_TREE = 2,
	FUZZ_WORDS = 4,
	FUZZ_VPS = 8,
	HOST_PAYLOAD = 16,
	CONFIDENTIAL = 32
};

static void take_area(struct fuzz_input *in, const struct region *region,
		      const struct shim_range *area, size_t len)
{
	uint8_t *at = region->bytes + area->offset;

	memset(at, 0, area->len);
	fuzz_take_bytes(in, at, len < area->len ? len : area->len);
}

static void take_host(struct fuzz_input *in, struct region *region, unsigned int what)
{
	const struct shim_params *p = &region->params;

	if (what & FUZZ_VPS)
		take_area(in, region, &p->vp_count, 4);
	if (what & FUZZ_WORDS)
		take_area(in, region, &p->host_command_line, fuzz_take(in, 2));
	if (what & FUZZ_MAP)
		take_area(in, region, &p->memory_map, fuzz_take(in, 1) * 24);
	if (what & FUZZ_TREE)
		take_area(in, region, &p->device_tree, in->size);
}

static void check_tree(const void *fdt, uint32_t len)
{
	static struct topology topology;
	char error[160];

	if (topology_parse(&topology, fdt, len, error, sizeof(error)))
		abort();
}

static void check_built(struct region *region)
{
	struct linux_boot_params *params = region_at(region, region->start.rsi);
	struct linux_setup_data *tree = region_at(region, params->hdr.setup_data);
	const char *line = region_at(region, params->hdr.cmd_line_ptr |
						     (uint64_t)params->ext_cmd_line_ptr << 32);

	if (!memchr(line, 0, 2048) || !strstr(line, "--"))
		abort();
	if (region->params.flags & SHIM_CONFIDENTIAL && strstr(line, "loglevel"))
		abort();
	check_tree(tree + 1, tree->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int what = (unsigned int)fuzz_take(&in, 1);
	static struct region pristine;
	struct region region;

	if (!pristine.bytes)
		region_init(&pristine);
	region = pristine; /* with the same bytes: what matters of them is written below */
	if (what & HOST_PAYLOAD) {
		memset(region.params.payload, 0, sizeof(region.params.payload));
		region.params.flags = SHIM_HOST_PAYLOAD;
	} else if (what & CONFIDENTIAL) {
		region.params.flags = SHIM_CONFIDENTIAL;
	}
	region_fill(&region);
	take_host(&in, &region, what);
	if (!shim_prepare(&region.shim, &region.start))
		check_built(&region);
	else if (region.log.stage != SHIM_STAGE_STOPPED)
		abort(); /* no reason given */
	return 0;
}

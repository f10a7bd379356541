#include "paravisor/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDT_MAX_SIZE (256u << 10)

struct parser {
	const void *fdt;
	struct topology *topology;
	char *error;
	size_t error_len;
};

static int fail(const struct parser *p, const char *why)
{
	snprintf(p->error, p->error_len, "device tree: %s", why);
	return -EINVAL;
}

static bool is_device_type(const struct parser *p, int node, const char *type)
{
	int len;
	const char *value = fdt_getprop(p->fdt, node, "device_type", &len);

	return value && len == (int)strlen(type) + 1 && !memcmp(value, type, len);
}

/* A big-endian 64-bit number of two cells, wherever it lies. */
static uint64_t cells64(const uint8_t *cells)
{
	return fdt64_ld((const fdt64_t *)(const void *)cells);
}

static int parse_cpus(const struct parser *p)
{
	struct topology *t = p->topology;
	int cpus = fdt_path_offset(p->fdt, "/cpus"), node;

	if (cpus < 0)
		return fail(p, "no /cpus");
	fdt_for_each_subnode(node, p->fdt, cpus)
	{
		int len;
		const void *reg = fdt_getprop(p->fdt, node, "reg", &len);

		if (!is_device_type(p, node, "cpu"))
			continue;
		if (!reg || len != 4)
			return fail(p, "a cpu without a reg of one cell");
		if (t->vp_count == TOPOLOGY_MAX_VPS)
			return fail(p, "too many cpus");
		t->apic_ids[t->vp_count++] = fdt32_ld(reg);
	}
	return t->vp_count ? 0 : fail(p, "no cpus");
}

/* (address, length) pairs of two cells each into `ranges`. */
static int parse_ranges(const struct parser *p, const uint8_t *cells, int len,
			struct boot_range *ranges, unsigned int *count, unsigned int max)
{
	if (len <= 0 || len % 16)
		return fail(p, "a list of ranges is not one");
	for (; len; cells += 16, len -= 16) {
		struct boot_range range = { cells64(cells), cells64(cells + 8) };

		if (!range.len || range.gpa + range.len < range.gpa)
			return fail(p, "a range is empty or wraps");
		if (*count == max)
			return fail(p, "too many ranges");
		ranges[(*count)++] = range;
	}
	return 0;
}

static int parse_memory(const struct parser *p, int node)
{
	struct topology *t = p->topology;
	int len, vtl_len;
	const uint8_t *reg = fdt_getprop(p->fdt, node, "reg", &len);
	const void *vtl = fdt_getprop(p->fdt, node, "entresol,vtl", &vtl_len);
	uint32_t owner;

	if (!reg || !vtl || vtl_len != 4)
		return fail(p, "memory without reg or entresol,vtl");
	owner = fdt32_ld(vtl);
	if (owner == 0)
		return parse_ranges(p, reg, len, t->vtl0, &t->vtl0_count, TOPOLOGY_MAX_MEMORY);
	if (owner == 2)
		return parse_ranges(p, reg, len, t->vtl2, &t->vtl2_count, TOPOLOGY_MAX_MEMORY);
	return fail(p, "memory of an unknown VTL");
}

static int parse_memories(const struct parser *p)
{
	int node, ret;

	fdt_for_each_subnode(node, p->fdt, 0)
	{
		if (!is_device_type(p, node, "memory"))
			continue;
		ret = parse_memory(p, node);
		if (ret)
			return ret;
	}
	return p->topology->vtl0_count ? 0 : fail(p, "no memory for VTL0");
}

static void copy_shim_log(const struct parser *p, int node)
{
	struct topology *t = p->topology;
	int len;
	const char *text = fdt_getprop(p->fdt, node, "shim-log-text", &len);

	if (!text || len <= 0)
		return;
	t->shim_log_len = (size_t)len < sizeof(t->shim_log) ? (size_t)len : sizeof(t->shim_log);
	memcpy(t->shim_log, text + len - t->shim_log_len, t->shim_log_len);
}

static int parse_entresol(const struct parser *p)
{
	struct topology *t = p->topology;
	int node = fdt_node_offset_by_compatible(p->fdt, -1, "entresol,paravisor"), len;
	const uint8_t *ranges;

	if (node < 0)
		return fail(p, "no node compatible with entresol,paravisor");
	copy_shim_log(p, node);
	ranges = fdt_getprop(p->fdt, node, "vtl0-mmio", &len);
	if (!ranges)
		return 0;
	return parse_ranges(p, ranges, len, t->mmio, &t->mmio_count, TOPOLOGY_MAX_MMIO);
}

static int by_address(const void *a, const void *b)
{
	const struct boot_range *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

int topology_parse(struct topology *topology, const void *fdt, size_t len, char *error,
		   size_t error_len)
{
	struct parser p = { fdt, topology, error, error_len };
	int ret;

	*topology = (struct topology){ 0 };
	if (len > FDT_MAX_SIZE || fdt_check_full(fdt, len))
		return fail(&p, "not a sound flattened tree");
	ret = parse_cpus(&p);
	if (!ret)
		ret = parse_memories(&p);
	if (!ret)
		ret = parse_entresol(&p);
	qsort(topology->vtl0, topology->vtl0_count, sizeof(*topology->vtl0), by_address);
	return ret;
}

static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, (char *)buf + done, size - done)) > 0)
		done += n;
	close(fd);
	return n < 0 ? -EIO : (ssize_t)done;
}

int topology_read(struct topology *topology, char *error, size_t error_len)
{
	void *fdt = malloc(FDT_MAX_SIZE);
	ssize_t len;
	int ret;

	if (!fdt)
		return -ENOMEM;
	len = read_file("/sys/firmware/fdt", fdt, FDT_MAX_SIZE);
	if (len < 0) {
		snprintf(error, error_len, "cannot read /sys/firmware/fdt: errno %d", (int)-len);
		ret = len;
	} else {
		ret = topology_parse(topology, fdt, len, error, error_len);
	}
	free(fdt);
	return ret;
}

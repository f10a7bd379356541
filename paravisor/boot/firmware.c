#include "paravisor/boot/firmware.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_image.h"
#include "paravisor/boot/boot_state.h"
#include "proto/shim.h"

#define PAGE 4096u

/* What a PC shows of its firmware in the first MiB: real mode reaches no further than that. */
#define ALIAS_MAX 0x20000u

/* Intel SDM volume 3, table 10-1 */
#define CR0_RESET    0x60000010u /* CD, NW, ET */
#define RFLAGS_RESET 2
#define RIP_RESET    0xfff0
#define CS_RESET     0xf000
#define CS_BASE      0xffff0000u
#define PAT_RESET    0x0007040600070406ull

#define REAL_MODE_LIMIT 0xffff

enum {
	CODE_READ = 0xb, /* with the accessed bit; a processor's check on entry wants code here */
	DATA_WRITE = 0x3,
	LDT = 0x2,
	TASK_BUSY = 0xb
};

static int check(const struct guest_memory *gm, struct boot_range firmware,
		 struct boot_error *error)
{
	if (!firmware.len || firmware.len % PAGE)
		return boot_fail(error, -EINVAL, "firmware: %llu bytes are not whole pages",
				 (unsigned long long)firmware.len);
	if (firmware.len > SHIM_FIRMWARE_MAX)
		return boot_fail(error, -EINVAL, "firmware: %llu bytes, more than %u MiB",
				 (unsigned long long)firmware.len, SHIM_FIRMWARE_MAX >> 20);
	if (firmware.gpa != SHIM_FIRMWARE_END - firmware.len)
		return boot_fail(error, -EINVAL, "firmware: at 0x%llx it does not end at 4 GiB",
				 (unsigned long long)firmware.gpa);
	if (!guest_memory_contains(gm, firmware.gpa, firmware.len))
		return boot_fail(error, -EFAULT, "firmware: no memory at 0x%llx",
				 (unsigned long long)firmware.gpa);
	return 0;
}

/* A far jump out of the reset vector lands there. */
static int write_alias(struct guest_memory *gm, struct boot_range firmware)
{
	uint64_t len = firmware.len < ALIAS_MAX ? firmware.len : ALIAS_MAX;
	uint8_t page[PAGE];
	int ret = 0;

	for (uint64_t back = len; back && !ret; back -= PAGE) {
		ret = guest_memory_read(gm, SHIM_FIRMWARE_END - back, page, PAGE);
		if (!ret)
			ret = guest_memory_write(gm, MEMORY_MAP_HIGH - back, page, PAGE);
	}
	return ret;
}

static struct boot_segment segment(unsigned int attributes)
{
	return (struct boot_segment){
		.limit = REAL_MODE_LIMIT,
		.attributes = (uint16_t)(attributes | BOOT_SEGMENT_PRESENT),
	};
}

/* The processor's family, model and stepping, which software finds in EDX. */
static uint64_t signature(void)
{
	unsigned int a = 0, b, c, d;

	__get_cpuid(1, &a, &b, &c, &d);
	return a;
}

static void set_reset_state(struct boot_vp_state *state)
{
	const struct boot_segment data = segment(BOOT_SEGMENT_CODE_DATA | DATA_WRITE);

	memset(state, 0, sizeof(*state));
	state->rip = RIP_RESET;
	state->rflags = RFLAGS_RESET;
	state->cr0 = CR0_RESET;
	state->pat = PAT_RESET;
	state->gpr[BOOT_RDX] = signature();
	state->cs = segment(BOOT_SEGMENT_CODE_DATA | CODE_READ);
	state->cs.selector = CS_RESET;
	state->cs.base = CS_BASE;
	state->ds = state->es = state->fs = state->gs = state->ss = data;
	state->tr = segment(TASK_BUSY);
	state->ldtr = segment(LDT);
	state->gdtr = state->idtr = (struct boot_table_register){ .limit = REAL_MODE_LIMIT };
}

int firmware_load(struct guest_memory *gm, struct boot_range firmware, struct boot_vp_state *bsp,
		  struct boot_error *error)
{
	int ret = check(gm, firmware, error);

	if (ret)
		return ret;
	ret = write_alias(gm, firmware);
	if (ret)
		return boot_fail(error, ret, "firmware: no memory in the first MiB");
	set_reset_state(bsp);
	return 0;
}

/* The end of the RAM that begins at gpa, or gpa: there is none. */
static uint64_t ram_end(const struct guest_memory *gm, uint64_t gpa)
{
	uint64_t start, len, end = gpa;

	for (unsigned int i = 0; !guest_memory_range(gm, i, &start, &len); i++)
		if (start == end)
			end += len;
	return end;
}

/* How many whole units lie in [from, end), as far as 16 or 24 bits can say. */
static uint32_t units(uint64_t from, uint64_t end, uint64_t unit, uint32_t max)
{
	uint64_t n = end > from ? (end - from) / unit : 0;

	return n < max ? (uint32_t)n : max;
}

void firmware_describe_memory(const struct guest_memory *gm,
			      struct firmware_cmos_byte bytes[FIRMWARE_CMOS_BYTES])
{
	uint64_t low = ram_end(gm, 0), high = ram_end(gm, SHIM_FIRMWARE_END);
	uint32_t base = 640;
	uint32_t extended = units(MEMORY_MAP_HIGH, low, 1024, UINT16_MAX);
	uint32_t above_16m = units(16u << 20, low, 65536, UINT16_MAX);
	uint32_t above_4g = units(SHIM_FIRMWARE_END, high, 65536, 0xffffff);
	const struct firmware_cmos_byte all[FIRMWARE_CMOS_BYTES] = {
		{ 0x15, (uint8_t)base },
		{ 0x16, (uint8_t)(base >> 8) },
		{ 0x17, (uint8_t)extended },
		{ 0x18, (uint8_t)(extended >> 8) },
		{ 0x30, (uint8_t)extended },
		{ 0x31, (uint8_t)(extended >> 8) },
		{ 0x34, (uint8_t)above_16m },
		{ 0x35, (uint8_t)(above_16m >> 8) },
		{ 0x5b, (uint8_t)above_4g },
		{ 0x5c, (uint8_t)(above_4g >> 8) },
		{ 0x5d, (uint8_t)(above_4g >> 16) },
	};

	memcpy(bytes, all, sizeof(all));
}

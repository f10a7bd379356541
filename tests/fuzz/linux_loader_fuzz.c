#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_state.h"
#include "paravisor/boot/linux_boot.h"
#include "proto/linux_boot.h"

/*
 * Any bytes as kernel, initrd and command line, anywhere in a small guest's memory. Beside what the
 * sanitizers see: a load that succeeds starts inside RAM, and the initrd is still what it was.
 */

#define PAGE     4096u
#define RAM      (24u << 20)
#define RAM_HIGH (1u << 20)

struct input {
	uint16_t kernel_page, initrd_page, cmdline_page;
	uint16_t kernel_offset;
	uint32_t kernel_more; /* claimed length beyond the bytes given */
	uint32_t initrd_len;
	uint16_t cmdline_len;
	uint16_t vp_count;
};

static uint8_t *low, *high;
static struct guest_memory *gm;

static uint8_t *ram(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	low = ram(RAM);
	high = ram(RAM_HIGH);
	gm = guest_memory_create();
	if (!low || !high || !gm || guest_memory_add(gm, 0, low, RAM) ||
	    guest_memory_add(gm, 1ull << 32, high, RAM_HIGH))
		abort();
	return 0;
}

static uint64_t digest(uint64_t gpa, uint64_t len)
{
	const uint8_t *p = guest_memory_bulk(gm, gpa, len);
	uint64_t sum = len, i;

	for (i = 0; p && i < len; i++)
		sum = sum * 31 + p[i];
	return sum;
}

static bool disjoint(struct boot_range a, struct boot_range b)
{
	return a.gpa + a.len <= b.gpa || b.gpa + b.len <= a.gpa;
}

/* Where the initrd went, by whichever protocol. */
static struct boot_range final_initrd(const struct boot_vp_state *state)
{
	if (state->gpr[BOOT_RSI]) {
		const struct linux_boot_params *p = (const void *)(low + state->gpr[BOOT_RSI]);

		return (struct boot_range){ p->hdr.ramdisk_image | (uint64_t)p->ext_ramdisk_image
									   << 32,
					    p->hdr.ramdisk_size | (uint64_t)p->ext_ramdisk_size
									  << 32 };
	} else {
		const struct pvh_start_info *info = (const void *)(low + state->gpr[BOOT_RBX]);
		const struct pvh_module *module = (const void *)(low + info->modlist);

		return (struct boot_range){ module->addr, module->size };
	}
}

static void load(const struct linux_boot_config *config)
{
	struct boot_range initrd = config->initrd;
	struct boot_vp_state state;
	struct boot_error error;
	uint64_t before = 0;

	if (initrd.len && guest_memory_contains(gm, initrd.gpa, initrd.len))
		before = digest(initrd.gpa, initrd.len);
	if (linux_boot_load(gm, config, &state, &error)) {
		if (!error.text[0] || strchr(error.text, '\n'))
			abort();
		return;
	}
	if (!guest_memory_contains(gm, state.rip, 1))
		abort();
	if (initrd.len && disjoint(initrd, config->kernel)) {
		initrd = final_initrd(&state);
		if (initrd.len != config->initrd.len || digest(initrd.gpa, initrd.len) != before)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t apic_ids[UINT16_MAX + 1];
	struct linux_boot_config config = { .apic_ids = apic_ids };
	struct input in;
	uint64_t at;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	at = (uint64_t)in.kernel_page * PAGE + in.kernel_offset;
	if (at + size <= RAM)
		memcpy(low + at, data, size);
	config.kernel = (struct boot_range){ at, size + in.kernel_more };
	config.initrd = (struct boot_range){ (uint64_t)in.initrd_page * PAGE, in.initrd_len };
	config.cmdline = (struct boot_range){ (uint64_t)in.cmdline_page * PAGE, in.cmdline_len };
	config.vp_count = in.vp_count;
	load(&config);
	/* every run starts with memory of zeros */
	if (madvise(low, RAM, MADV_DONTNEED) || madvise(high, RAM_HIGH, MADV_DONTNEED))
		abort();
	return 0;
}

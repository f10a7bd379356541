#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "vtl/mshv_private.h"

/* The driver by --wrap=ioctl: registers by name, as the hypervisor has them. */
static struct {
	uint32_t name;
	union hv_register_value value;
} registers[32];
static unsigned int register_count, gets, sets;

static union hv_register_value *find(uint32_t name)
{
	for (unsigned int i = 0; i < register_count; i++)
		if (registers[i].name == name)
			return &registers[i].value;
	assert_in_range(register_count, 0, 31);
	registers[register_count].name = name;
	return &registers[register_count++].value;
}

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const struct mshv_vp_registers *args;
	struct hv_register_assoc *assoc;
	va_list list;

	va_start(list, request);
	args = va_arg(list, void *);
	va_end(list);
	assert_int_equal(fd, 7);
	assert_int_equal(args->count, 1);
	assoc = (void *)(uintptr_t)args->regs_ptr;
	if (request == MSHV_GET_VP_REGISTERS) {
		gets++;
		assoc->value = *find(assoc->name);
	} else {
		assert_int_equal(request, MSHV_SET_VP_REGISTERS);
		sets++;
		*find(assoc->name) = assoc->value;
	}
	return 0;
}

static struct mshv mshv;
static struct mshv_run_page run;
static struct hv_vp_register_page page;
static struct mshv_vp mvp;
static struct vtl_vp *const vp = &mvp.vp;

static int setup(void **state)
{
	(void)state;
	memset(&run, 0, sizeof(run));
	memset(&page, 0, sizeof(page));
	memset(registers, 0, sizeof(registers));
	register_count = gets = sets = 0;
	mshv = (struct mshv){ .vtl_fd = 7, .register_page = true };
	mvp = (struct mshv_vp){ .mshv = &mshv, .run = &run, .page = &page };
	page.isvalid = 1;
	for (unsigned int i = 0; i < 16; i++) {
		run.context.gp_registers[i] = 0x100 + i;
		page.gp_registers[i] = 0x200 + i; /* stale, but for RSP */
	}
	page.rip = 0x1000;
	page.rflags = 0x202;
	page.cr0 = 1;
	page.cr3 = 3;
	page.cr4 = 4;
	page.efer = 5;
	page.segment_registers[X86_SS] = (struct hv_x64_segment_register){ 1, 2, 3, 0xc093 };
	return 0;
}

static void test_load_needs_no_call(void **state)
{
	const struct x86_cpu *cpu = &vp->registers.cpu;

	(void)state;
	assert_int_equal(mshv_load(vp, VTL_CLASS_ALL), 0);
	assert_int_equal(gets, 0);
	assert_int_equal(cpu->gpr[X86_RAX], 0x100);
	assert_int_equal(cpu->gpr[X86_R15], 0x10f);
	assert_int_equal(cpu->gpr[X86_RSP], 0x204); /* its place in the run page is CR2's */
	assert_int_equal(vp->registers.cr2, 0x104);
	assert_int_equal(cpu->rip, 0x1000);
	assert_int_equal(cpu->rflags, 0x202);
	assert_int_equal(cpu->cr0, 1);
	assert_int_equal(vp->registers.cr3, 3);
	assert_int_equal(cpu->cr4, 4);
	assert_int_equal(cpu->efer, 5);
	assert_int_equal(cpu->segment[X86_SS].selector, 3);
	assert_int_equal(cpu->segment[X86_SS].attributes, 0xc093);
}

static void test_store_marks_what_changed(void **state)
{
	(void)state;
	assert_int_equal(mshv_load(vp, VTL_CLASS_ALL), 0);
	vp->registers.cpu.gpr[X86_RAX] = 0xaa;
	vp->registers.cr2 = 0xbb;
	assert_int_equal(mshv_store(vp, VTL_CLASS_GPR), 0);
	assert_int_equal(run.context.gp_registers[0], 0xaa);
	assert_int_equal(run.context.gp_registers[MSHV_CONTEXT_CR2], 0xbb);
	assert_int_equal(page.dirty, 0); /* RSP is as it was */
	vp->registers.cpu.gpr[X86_RSP] = 0xcc;
	assert_int_equal(mshv_store(vp, VTL_CLASS_GPR), 0);
	assert_int_equal(page.gp_registers[X86_RSP], 0xcc);
	assert_int_equal(page.dirty, 1 << HV_X64_REGISTER_CLASS_GENERAL);
	vp->registers.cpu.rip = 0x2000;
	assert_int_equal(mshv_store(vp, VTL_CLASS_IP), 0);
	assert_int_equal(page.rip, 0x2000);
	vp->registers.cpu.rflags = 2;
	assert_int_equal(mshv_store(vp, VTL_CLASS_FLAGS), 0);
	assert_int_equal(page.rflags, 2);
	assert_int_equal(page.dirty, 1 << HV_X64_REGISTER_CLASS_GENERAL |
					     1 << HV_X64_REGISTER_CLASS_IP |
					     1 << HV_X64_REGISTER_CLASS_FLAGS);
	vp->registers.cpu.segment[X86_GS].base = 0x77;
	assert_int_equal(mshv_store(vp, VTL_CLASS_SEGMENTS), 0);
	assert_int_equal(page.segment_registers[X86_GS].base, 0x77);
	assert_true(page.dirty & 1 << HV_X64_REGISTER_CLASS_SEGMENT);
	assert_int_equal(sets, 0);
}

/* VTL2 was entered by an interrupt: what the page shows is old. */
static void test_page_not_valid(void **state)
{
	(void)state;
	page.isvalid = 0;
	find(HV_X64_REGISTER_RSP)->reg64 = 0x300;
	find(HV_X64_REGISTER_RIP)->reg64 = 0x4000;
	find(HV_X64_REGISTER_CR3)->reg64 = 0x5000;
	find(HV_X64_REGISTER_CS)->segment.selector = 0x33;
	assert_int_equal(mshv_load(vp, VTL_CLASS_ALL), 0);
	assert_int_equal(gets, 1 + 1 + 1 + 6 + 4);
	assert_int_equal(vp->registers.cpu.gpr[X86_RSP], 0x300);
	assert_int_equal(vp->registers.cpu.rip, 0x4000);
	assert_int_equal(vp->registers.cr3, 0x5000);
	assert_int_equal(vp->registers.cpu.segment[X86_CS].selector, 0x33);
	vp->registers.cpu.rip = 0x4002;
	vp->registers.cpu.gpr[X86_RSP] = 0x308;
	assert_int_equal(mshv_store(vp, VTL_CLASS_GPR | VTL_CLASS_IP), 0);
	assert_int_equal(find(HV_X64_REGISTER_RIP)->reg64, 0x4002);
	assert_int_equal(find(HV_X64_REGISTER_RSP)->reg64, 0x308);
	assert_int_equal(page.dirty, 0);
	assert_int_equal(sets, 2);
}

static void test_no_page(void **state)
{
	(void)state;
	mvp.page = NULL;
	find(HV_X64_REGISTER_RFLAGS)->reg64 = 0x46;
	assert_int_equal(mshv_load(vp, VTL_CLASS_FLAGS), 0);
	assert_int_equal(vp->registers.cpu.rflags, 0x46);
	assert_int_equal(mshv_store(vp, VTL_CLASS_FLAGS), 0);
	assert_int_equal(sets, 1);
}

static void test_control_is_read_only(void **state)
{
	(void)state;
	assert_int_equal(mshv_store(vp, VTL_CLASS_CONTROL), -EINVAL);
}

static void test_vectors(void **state)
{
	uint8_t value[16], other[16];

	(void)state;
	memset(value, 0x5c, sizeof(value));
	assert_int_equal(mshv_set_xmm(vp, 15, value), 0);
	assert_int_equal(mshv_get_xmm(vp, 15, other), 0);
	assert_memory_equal(value, other, 16);
	/* XMM15 ends 416 bytes into FXSAVE's area. */
	assert_memory_equal((uint8_t *)&run.context.fx + 400, value, 16);
	assert_int_equal(mshv_set_xmm(vp, 16, value), -EINVAL);
	assert_int_equal(mshv_get_xmm(vp, 16, value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_load_needs_no_call, setup),
		cmocka_unit_test_setup(test_store_marks_what_changed, setup),
		cmocka_unit_test_setup(test_page_not_valid, setup),
		cmocka_unit_test_setup(test_no_page, setup),
		cmocka_unit_test_setup(test_control_is_read_only, setup),
		cmocka_unit_test_setup(test_vectors, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
#include "tests/unit/core/x86/native.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Linux's selectors of user mode. */
#define SELECTOR_CODE_64 0x33
#define SELECTOR_CODE_32 0x23
#define SELECTOR_DATA    0x2b
/* Entries 0 and 1 of the local descriptor table, at privilege level 3. */
#define SELECTOR_LDT_CODE 0x07
#define SELECTOR_LDT_DATA 0x0f

/* Where in native_code 32 and 16-bit code lands when it is back in 64-bit mode. */
#define LANDING_NEXT  1024
#define LANDING_TAKEN 1056

uint8_t *native_data;
uint8_t *native_code;
bool native_has_avx;
int native_signal;
uint8_t native_vector;
uint32_t native_error_code;
uint64_t native_fault_address;
struct native_mode native_mode;

struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed)); /* as LJMP wants it */

/* Used by the assembly below, by absolute names, as no register is free there. */
extern struct native_state native_regs;
extern uint64_t native_host_rsp, native_target;
extern uint8_t native_outcome_byte, native_avx_byte, native_far_byte;
extern uint16_t native_data_selector;
extern struct far_pointer native_far_target;
struct native_state native_regs;
uint64_t native_host_rsp, native_target;
uint8_t native_outcome_byte, native_avx_byte, native_far_byte;
uint16_t native_data_selector;
struct far_pointer native_far_target;

void native_trampoline(void);
void native_return_next(void);
void native_return_taken(void);
void native_return_fault(void);

/* The order of struct native_state.gpr is that of the encoding. */
#define FOR_EACH_GPR(M) \
	M("rax", "0")   \
	M("rcx", "8")   \
	M("rdx", "16")  \
	M("rbx", "24")  \
	M("rbp", "40")  \
	M("rsi", "48")  \
	M("rdi", "56")  \
	M("r8", "64")   \
	M("r9", "72")   \
	M("r10", "80")  \
	M("r11", "88")  \
	M("r12", "96")  \
	M("r13", "104") \
	M("r14", "112") \
	M("r15", "120")
#define LOAD(reg, at) "mov native_regs+" at "(%rip), %" reg "\n"
#define SAVE(reg, at) "mov %" reg ", native_regs+" at "(%rip)\n"

__asm__(".text\n"
	".globl native_trampoline, native_return_next, native_return_taken, native_return_fault\n"
	"native_trampoline:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"cmpb $0, native_avx_byte(%rip)\n"
	"je 1f\n"
	".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"vmovdqu native_regs+136+32*\\n(%rip), %ymm\\n\n"
	".endr\n"
	"jmp 2f\n"
	"1:\n"
	".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movdqu native_regs+136+32*\\n(%rip), %xmm\\n\n"
	".endr\n"
	"2:\n"
	"mov %rsp, native_host_rsp(%rip)\n"
	"mov native_data_selector(%rip), %ds\n"
	"mov native_data_selector(%rip), %es\n"
	"cmpb $0, native_far_byte(%rip)\n"
	"jne 3f\n"
	"pushq native_regs+128(%rip)\n"
	"popfq\n" FOR_EACH_GPR(LOAD)
		LOAD("rsp",
		     "32") "jmp *native_target(%rip)\n"
			   "3:\n"
			   "pushq native_regs+128(%rip)\n"
			   "popfq\n"
			   "mov native_data_selector(%rip), %ss\n" FOR_EACH_GPR(LOAD) LOAD(
				   "rsp",
				   "32") "ljmp *native_far_target(%rip)\n"

					 "native_return_taken:\n"
					 "movb $1, native_outcome_byte(%rip)\n"
					 "jmp 4f\n"
					 "native_return_fault:\n"
					 "movb $2, native_outcome_byte(%rip)\n"
					 "jmp 4f\n"
					 "native_return_next:\n"
					 "movb $0, native_outcome_byte(%rip)\n"
					 "4:\n" SAVE("rsp",
						     "32") "mov native_host_rsp(%rip), "
							   "%rsp\n" FOR_EACH_GPR(
								   SAVE) "pushfq\n"
									 "popq "
									 "native_regs+128(%rip)\n"
									 "cld\n"
									 "mov $0x2b, %eax\n"
									 "mov %eax, %ss\n"
									 "cmpb $0, "
									 "native_avx_byte(%rip)\n"
									 "je 5f\n"
									 ".irp n, "
									 "0,1,2,3,4,5,6,7,8,9,10,"
									 "11,12,13,14,15\n"
									 "vmovdqu %ymm\\n, "
									 "native_regs+136+32*\\n("
									 "%rip)\n"
									 ".endr\n"
									 "vzeroupper\n"
									 "jmp 6f\n"
									 "5:\n"
									 ".irp n, "
									 "0,1,2,3,4,5,6,7,8,9,10,"
									 "11,12,13,14,15\n"
									 "movdqu %xmm\\n, "
									 "native_regs+136+32*\\n("
									 "%rip)\n"
									 ".endr\n"
									 "6:\n"
									 "pop %r15; pop %r14; "
									 "pop %r13; pop %r12; "
									 "pop %rbp; pop %rbx\n"
									 "ret\n");

/* REG_CSGSFS: CS, GS, FS and SS, 16 bits each. */
static void return_to_fault(ucontext_t *ucontext)
{
	greg_t *selectors = &ucontext->uc_mcontext.gregs[REG_CSGSFS];
	uint64_t others = (uint64_t)*selectors & 0x0000ffffffff0000;

	*selectors = (greg_t)(others | SELECTOR_CODE_64 | (uint64_t)SELECTOR_DATA << 48);
	ucontext->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)native_return_fault;
}

static void handle_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *ucontext = context;
	uint64_t rip = ucontext->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if ((ucontext->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == SELECTOR_LDT_CODE)
		rip += (uintptr_t)native_code;
	if (rip - (uintptr_t)native_code >= NATIVE_CODE_SIZE) {
		struct sigaction fallback = { .sa_handler = SIG_DFL };

		sigaction(signal, &fallback, NULL);
		return;
	}
	native_signal = signal;
	native_vector = ucontext->uc_mcontext.gregs[REG_TRAPNO];
	native_error_code = ucontext->uc_mcontext.gregs[REG_ERR];
	native_fault_address = ucontext->uc_mcontext.gregs[REG_CR2];
	return_to_fault(ucontext);
}

void native_catch_signals(void)
{
	static uint8_t stack[65536];
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = {
		.sa_sigaction = handle_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (sigaltstack(&alternative, NULL))
		abort();
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], &action, NULL))
			abort();
	}
}

static uint8_t *map_low(size_t len, int protection)
{
	void *memory = mmap(NULL, len, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void native_setup(void)
{
	native_code = map_low(NATIVE_CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	native_data = map_low(NATIVE_DATA_SIZE + 2 * NATIVE_GUARD_SIZE, PROT_NONE);
	native_data += NATIVE_GUARD_SIZE;
	native_protect_data(false);
	native_has_avx = __builtin_cpu_supports("avx");
	native_avx_byte = native_has_avx;
	/* libc does not use GS on x86-64. */
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE))
		abort();
}

void native_protect_data(bool inaccessible)
{
	int protection = inaccessible ? PROT_NONE : PROT_READ | PROT_WRITE;

	if (mprotect(native_data, NATIVE_DATA_SIZE, protection))
		abort();
}

static bool write_ldt(unsigned int entry, const uint8_t *base, uint32_t limit,
		      unsigned int contents, bool is_32bit)
{
	struct user_desc descriptor = {
		.entry_number = entry,
		.base_addr = (unsigned int)(uintptr_t)base,
		.limit = limit,
		.seg_32bit = is_32bit,
		.contents = contents,
		.useable = 1,
	};

	return !syscall(SYS_modify_ldt, 0x11, &descriptor, sizeof(descriptor));
}

/* 16-bit code, and data that ends with the buffer on a stack with a 32-bit pointer. */
static bool set_mode_16(void)
{
	native_mode = (struct native_mode){
		.bits = 16,
		.cs = SELECTOR_LDT_CODE,
		.ds = SELECTOR_LDT_DATA,
		.code_base = (uintptr_t)native_code,
		.data_base = (uintptr_t)native_data,
		.code_limit = NATIVE_CODE_SIZE - 1,
		.data_limit = NATIVE_DATA_SIZE - 1,
	};
	return write_ldt(0, native_code, native_mode.code_limit, MODIFY_LDT_CONTENTS_CODE, false) &&
	       write_ldt(1, native_data, native_mode.data_limit, MODIFY_LDT_CONTENTS_DATA, true);
}

bool native_set_mode(unsigned int bits)
{
	if (bits == 16)
		return set_mode_16();
	native_mode = (struct native_mode){
		.bits = bits,
		.cs = bits == 64 ? SELECTOR_CODE_64 : SELECTOR_CODE_32,
		.ds = SELECTOR_DATA,
		.code_limit = UINT32_MAX,
		.data_limit = UINT32_MAX,
	};
	return true;
}

/* jmp *0(%rip) and the address. */
static void put_jump(uint8_t *at, void (*to)(void))
{
	uintptr_t address = (uintptr_t)to;

	memcpy(at, "\xff\x25\0\0\0\0", 6);
	memcpy(at + 6, &address, sizeof(address));
}

/* ljmp $0x33, $landing; with 66 in 16-bit code. */
static void put_far_jump(uint8_t *at, const uint8_t *landing)
{
	struct far_pointer target = { (uint32_t)(uintptr_t)landing, SELECTOR_CODE_64 };

	if (native_mode.bits == 16)
		*at++ = 0x66;
	*at++ = 0xea;
	memcpy(at, &target, sizeof(target));
}

static void put_exits(uint8_t *next, uint8_t *taken)
{
	if (native_mode.bits == 64) {
		put_jump(next, native_return_next);
		put_jump(taken, native_return_taken);
		return;
	}
	put_far_jump(next, native_code + LANDING_NEXT);
	put_far_jump(taken, native_code + LANDING_TAKEN);
	put_jump(native_code + LANDING_NEXT, native_return_next);
	put_jump(native_code + LANDING_TAKEN, native_return_taken);
}

enum native_outcome native_run(struct native_state *state, const uint8_t *insn, size_t len)
{
	memcpy(native_code, insn, len);
	put_exits(native_code + len, native_code + len + NATIVE_TAKEN_DISTANCE);
	native_target = (uintptr_t)native_code;
	native_far_byte = native_mode.bits != 64;
	native_far_target.offset = (uintptr_t)native_code - native_mode.code_base;
	native_far_target.selector = native_mode.cs;
	native_data_selector = native_mode.ds;
	native_regs = *state;
	native_trampoline();
	*state = native_regs;
	return native_outcome_byte;
}

// SPDX-License-Identifier: MIT
#include "tests/unit/core/x86/native.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

uint8_t *native_data;
uint8_t *native_code;
bool native_has_avx;
int native_signal;

/* Used by the assembly below, by absolute names, as no register is free there. */
extern struct native_state native_regs;
extern uint64_t native_host_rsp, native_target;
extern uint8_t native_outcome_byte, native_avx_byte;
struct native_state native_regs;
uint64_t native_host_rsp, native_target;
uint8_t native_outcome_byte, native_avx_byte;

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
	"pushq native_regs+128(%rip)\n"
	"popfq\n" FOR_EACH_GPR(LOAD) LOAD(
		"rsp",
		"32") "jmp *native_target(%rip)\n"

		      "native_return_taken:\n"
		      "movb $1, native_outcome_byte(%rip)\n"
		      "jmp 3f\n"
		      "native_return_fault:\n"
		      "movb $2, native_outcome_byte(%rip)\n"
		      "jmp 3f\n"
		      "native_return_next:\n"
		      "movb $0, native_outcome_byte(%rip)\n"
		      "3:\n" SAVE("rsp", "32") "mov native_host_rsp(%rip), %rsp\n" FOR_EACH_GPR(
			      SAVE) "pushfq\n"
				    "popq native_regs+128(%rip)\n"
				    "cld\n"
				    "cmpb $0, native_avx_byte(%rip)\n"
				    "je 4f\n"
				    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
				    "vmovdqu %ymm\\n, native_regs+136+32*\\n(%rip)\n"
				    ".endr\n"
				    "vzeroupper\n"
				    "jmp 5f\n"
				    "4:\n"
				    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
				    "movdqu %xmm\\n, native_regs+136+32*\\n(%rip)\n"
				    ".endr\n"
				    "5:\n"
				    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
				    "ret\n");

static void handle_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *ucontext = context;
	uint64_t rip = ucontext->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (rip - (uintptr_t)native_code >= 4096) {
		struct sigaction fallback = { .sa_handler = SIG_DFL };

		sigaction(signal, &fallback, NULL);
		return;
	}
	native_signal = signal;
	ucontext->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)native_return_fault;
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
	native_code = map_low(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	native_data = map_low(NATIVE_DATA_SIZE + 2 * NATIVE_GUARD_SIZE, PROT_NONE);
	native_data += NATIVE_GUARD_SIZE;
	if (mprotect(native_data, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE))
		abort();
	native_has_avx = __builtin_cpu_supports("avx");
	native_avx_byte = native_has_avx;
	/* libc does not use GS on x86-64. */
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE))
		abort();
}

/* jmp *0(%rip) and the address. */
static void put_jump(uint8_t *at, void (*to)(void))
{
	uintptr_t address = (uintptr_t)to;

	memcpy(at, "\xff\x25\0\0\0\0", 6);
	memcpy(at + 6, &address, sizeof(address));
}

enum native_outcome native_run(struct native_state *state, const uint8_t *insn, size_t len)
{
	memcpy(native_code, insn, len);
	put_jump(native_code + len, native_return_next);
	put_jump(native_code + len + NATIVE_TAKEN_DISTANCE, native_return_taken);
	native_target = (uintptr_t)native_code;
	native_regs = *state;
	native_trampoline();
	*state = native_regs;
	return native_outcome_byte;
}

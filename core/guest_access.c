#include "core/guest_access.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ucontext.h>

/*
 * Every instruction between guest_access_text and guest_access_text_end may fault. They form leaf
 * functions that never move the stack pointer, so one recovery serves them all: return -EFAULT to
 * the caller. That spares the table of instructions and recoveries that a kernel would have.
 */
int guest_access_copy_bytes(void *dst, const void *src, size_t len);
int guest_access_copy_1(void *dst, const void *src);
int guest_access_copy_2(void *dst, const void *src);
int guest_access_copy_4(void *dst, const void *src);
int guest_access_copy_8(void *dst, const void *src);
int guest_access_fill_bytes(void *dst, int byte, size_t len);
int guest_access_cmpxchg_1(void *dst, uint64_t *expected, uint64_t desired);
int guest_access_cmpxchg_2(void *dst, uint64_t *expected, uint64_t desired);
int guest_access_cmpxchg_4(void *dst, uint64_t *expected, uint64_t desired);
int guest_access_cmpxchg_8(void *dst, uint64_t *expected, uint64_t desired);
extern const char guest_access_text[], guest_access_text_end[], guest_access_fault[];

#define FUNCTION(name, body)                     \
	".globl " name "\n"                      \
	".type " name ", @function\n" name ":\n" \
	".cfi_startproc\n" body "ret\n"          \
	".cfi_endproc\n"                         \
	".size " name ", . - " name "\n"

#define COPY(size, load, store) \
	FUNCTION("guest_access_copy_" size, load "\n" store "\nxor %eax, %eax\n")

/* rdi: guest memory, rsi: *expected, rdx: desired. */
#define CMPXCHG(size, cmpxchg)                                            \
	FUNCTION("guest_access_cmpxchg_" size,                            \
		 "mov (%rsi), %rax\nlock " cmpxchg "\nmov %rax, (%rsi)\n" \
		 "setne %al\nmovzbl %al, %eax\n")

/*
 * Most copies are headers of a few words, which cost less in pieces of 16 bytes than `rep movs` takes to begin. So do
 * frames that are aligned differently here and there: that makes `rep movs` two to four times slower, and by single
 * bytes twenty times. An emulated processor does an element at a time. The last piece may overlap the one before:
 * bytes that change meanwhile are copied as they were at some time, as always.
 * rdi: to, rsi: from, rdx: bytes.
 */
#define COPY_BYTES                          \
	"cmp $16, %rdx\n"                   \
	"jb 3f\n"                           \
	"cmp $256, %rdx\n"                  \
	"ja 2f\n"                           \
	"9: movups -16(%rsi,%rdx), %xmm1\n" \
	"lea -16(%rdx), %rcx\n"             \
	"xor %eax, %eax\n"                  \
	"cmp $64, %rdx\n"                   \
	"jb 5f\n"                           \
	"sub $48, %rcx\n"                   \
	"1: movups (%rsi,%rax), %xmm0\n"    \
	"movups 16(%rsi,%rax), %xmm2\n"     \
	"movups 32(%rsi,%rax), %xmm3\n"     \
	"movups 48(%rsi,%rax), %xmm4\n"     \
	"movups %xmm0, (%rdi,%rax)\n"       \
	"movups %xmm2, 16(%rdi,%rax)\n"     \
	"movups %xmm3, 32(%rdi,%rax)\n"     \
	"movups %xmm4, 48(%rdi,%rax)\n"     \
	"add $64, %rax\n"                   \
	"cmp %rcx, %rax\n"                  \
	"jbe 1b\n"                          \
	"add $48, %rcx\n"                   \
	"5: cmp %rcx, %rax\n"               \
	"jae 6f\n"                          \
	"movups (%rsi,%rax), %xmm0\n"       \
	"movups %xmm0, (%rdi,%rax)\n"       \
	"add $16, %rax\n"                   \
	"jmp 5b\n"                          \
	"6: movups %xmm1, (%rdi,%rcx)\n"    \
	"xor %eax, %eax\n"                  \
	"ret\n"                             \
	"2: mov %edi, %ecx\n"               \
	"xor %esi, %ecx\n"                  \
	"test $7, %cl\n"                    \
	"jz 8f\n"                           \
	"cmp $2048, %rdx\n"                 \
	"jbe 9b\n"                          \
	"8: movq -8(%rsi,%rdx), %rax\n"     \
	"movq %rax, -8(%rdi,%rdx)\n"        \
	"lea -1(%rdx), %rcx\n"              \
	"shr $3, %rcx\n"                    \
	"rep movsq\n"                       \
	"xor %eax, %eax\n"                  \
	"ret\n"                             \
	"3: cmp $8, %rdx\n"                 \
	"jb 4f\n"                           \
	"movq (%rsi), %rax\n"               \
	"movq -8(%rsi,%rdx), %rcx\n"        \
	"movq %rax, (%rdi)\n"               \
	"movq %rcx, -8(%rdi,%rdx)\n"        \
	"xor %eax, %eax\n"                  \
	"ret\n"                             \
	"4: test %rdx, %rdx\n"              \
	"jz 7f\n"                           \
	"0: movb -1(%rsi,%rdx), %al\n"      \
	"movb %al, -1(%rdi,%rdx)\n"         \
	"dec %rdx\n"                        \
	"jnz 0b\n"                          \
	"7: xor %eax, %eax\n"

__asm__(".pushsection .text.guest_access, \"ax\", @progbits\n"
	".balign 16\n"
	"guest_access_text:\n" FUNCTION("guest_access_copy_bytes", COPY_BYTES) COPY(
		"1", "movb (%rsi), %al",
		"movb %al, (%rdi)") COPY("2", "movw (%rsi), %ax",
					 "movw %ax, (%rdi)") COPY("4", "movl (%rsi), %eax",
								  "movl %eax, (%rdi)")
		COPY("8", "movq (%rsi), %rax", "movq %rax, (%rdi)") FUNCTION(
			"guest_access_fill_bytes",
			"mov %esi, %eax\nmov %rdx, %rcx\nrep "
			"stosb\nxor %eax, %eax\n") CMPXCHG("1", "cmpxchgb %dl, (%rdi)")
			CMPXCHG("2", "cmpxchgw %dx, (%rdi)") CMPXCHG("4", "cmpxchgl %edx, (%rdi)")
				CMPXCHG("8", "cmpxchgq %rdx, (%rdi)") "guest_access_text_end:"
								      "\n" FUNCTION("guest_access_"
										    "fault",
										    "mov $-14, "
										    "%eax\n") ".pop"
											      "sect"
											      "ion"
											      "\n");
_Static_assert(EFAULT == 14, "the number in guest_access_fault");

static struct sigaction previous_segv, previous_bus;

/*
 * Hands a fault that is not ours to what handled it before: the faulting instruction runs again
 * under the old handler. A signal that somebody sent would not come again by itself.
 */
static void pass_on(int signal, const siginfo_t *info)
{
	sigaction(signal, signal == SIGBUS ? &previous_bus : &previous_segv, NULL);
	if (info->si_code <= 0)
		raise(signal);
}

static void recover(int signal, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	int saved_errno = errno;

	if ((uintptr_t)*rip >= (uintptr_t)guest_access_text &&
	    (uintptr_t)*rip < (uintptr_t)guest_access_text_end && info->si_code > 0)
		*rip = (greg_t)(uintptr_t)guest_access_fault;
	else
		pass_on(signal, info);
	errno = saved_errno;
}

int guest_access_install_fault_handler(void)
{
	struct sigaction action = { .sa_sigaction = recover, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGSEGV, &action, &previous_segv))
		return -errno;
	if (sigaction(SIGBUS, &action, &previous_bus)) {
		int err = -errno;

		sigaction(SIGSEGV, &previous_segv, NULL);
		return err;
	}
	return 0;
}

int guest_access_copy(void *dst, const void *src, size_t len)
{
	if (len > 8)
		return guest_access_copy_bytes(dst, src, len);
	switch (len) {
	case 1:
		return guest_access_copy_1(dst, src);
	case 2:
		return guest_access_copy_2(dst, src);
	case 4:
		return guest_access_copy_4(dst, src);
	case 8:
		return guest_access_copy_8(dst, src);
	default:
		return guest_access_copy_bytes(dst, src, len);
	}
}

int guest_access_fill(void *dst, uint8_t byte, size_t len)
{
	return guest_access_fill_bytes(dst, byte, len);
}

int guest_access_cmpxchg(void *dst, uint64_t *expected, uint64_t desired, unsigned int size)
{
	int ret;

	if ((uintptr_t)dst & (size - 1))
		return -EINVAL;
	switch (size) {
	case 1:
		*expected &= UINT8_MAX;
		ret = guest_access_cmpxchg_1(dst, expected, desired);
		break;
	case 2:
		*expected &= UINT16_MAX;
		ret = guest_access_cmpxchg_2(dst, expected, desired);
		break;
	case 4:
		*expected &= UINT32_MAX;
		ret = guest_access_cmpxchg_4(dst, expected, desired);
		break;
	case 8:
		ret = guest_access_cmpxchg_8(dst, expected, desired);
		break;
	default:
		return -EINVAL;
	}
	return ret == 1 ? -EAGAIN : ret;
}

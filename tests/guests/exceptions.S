/*
 * Exceptions and interrupts of the test guests. Exceptions, interrupts and NMIs each have a stack of their own, so a
 * test may break any register. The CPU's number comes from TR, which no test can lose.
 */
#include "tests/guests/guest_limits.h"

	.text
	.code64

/* 256 entries of 16 bytes: the vector, and 0 where the processor pushes no error code. */
	.align 16
	.globl guest_vectors
guest_vectors:
	vector = 0
	.rept 256
	.align 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	.if vector >= 32
	jmp interrupt
	.elseif vector == 2
	jmp nmi
	.else
	jmp exception
	.endif
	vector = vector + 1
	.endr

/* RAX = this CPU's struct guest_cpu. */
	.macro find_cpu
	str %eax
	sub $GUEST_FIRST_TSS, %eax
	shr $4, %eax
	imul $CPU_SIZE, %rax, %rax
	add $guest_cpus, %rax
	.endm

/* 0: vector, 8: error code, 16: RIP, CS, RFLAGS, RSP, SS */
exception:
	cld
	find_cpu
	pop CPU_VECTOR(%rax)
	pop CPU_ERROR(%rax)
	mov (%rsp), %rcx
	mov %rcx, CPU_RIP(%rax)
	mov %cr2, %rcx
	mov %rcx, CPU_CR2(%rax)
	mov CPU_RECOVERY(%rax), %rsp
	test %rsp, %rsp
	jz lost_exception
	movq $0, CPU_RECOVERY(%rax)
	mov CPU_VECTOR(%rax), %eax
	inc %eax
	jmp leave_try
lost_exception:
	mov %rax, %rdi
	str %eax
	sub $GUEST_FIRST_TSS - 16, %eax
	shr $4, %eax
	imul $GUEST_STACK_SIZE, %eax, %eax
	lea guest_stacks(%rax), %rsp
	call guest_lost
	jmp .

/* One interrupt at most for each time that interrupts are let in: a line that stays up is no storm. */
interrupt:
	push %rax
	find_cpu
	push %rcx
	mov 16(%rsp), %rcx
	mov %rcx, CPU_ERROR(%rax)
	pop %rcx
	incq CPU_INTERRUPTS(%rax)
	andq $~0x200, 40(%rsp)
	mov $GUEST_LAPIC_EOI, %eax
	movl $0, (%rax)
	pop %rax
nmi:	add $16, %rsp
	iretq

/* int guest_try(void (*fn)(void *), void *arg): 0, or 1 + the vector of what fn raised. */
	.globl guest_try
guest_try:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	find_cpu
	mov %rsp, CPU_RECOVERY(%rax)
	mov %rdi, %rdx
	mov %rsi, %rdi
	call *%rdx
	cld
	find_cpu
	movq $0, CPU_RECOVERY(%rax)
	xor %eax, %eax
leave_try:
	cli
	mov $16, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %ss
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

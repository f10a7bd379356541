/*
 * The image's entry at VTL2: long mode, paging on, the region mapped at its own addresses, and nothing else
 * to rely on (proto/shim.h). One processor; interrupts stay off, and an exception is the end: main.c
 * reports it.
 */
	.set	LINK_OFFSET, 0x80000		/* SHIM_LINK_OFFSET */

	.section .entry, "ax"
	.globl	_start
_start:
	cli
	cld
	leaq	shim_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	rdtsc
	shlq	$32, %rdx
	leaq	(%rax,%rdx), %rsi
	leaq	gdt(%rip), %rax			/* exceptions load CS from it, as the kernel may */
	movq	%rax, gdt_base(%rip)
	lgdt	gdt_limit(%rip)
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	pushq	$0x10
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:
	leaq	_start(%rip), %rdi
	subq	$LINK_OFFSET, %rdi		/* the region's first byte */
	call	shim_main
	ud2

/* shim_enter(rip, rsi, cr3): to the kernel, with no register that says anything but what it asks for */
	.text
	.globl	shim_enter
shim_enter:
	movq	%rdx, %cr3
	movl	$0x80050033, %eax		/* PG, AM, WP, NE, ET, MP, PE */
	movq	%rax, %cr0
	movl	$0x220, %eax			/* PAE, OSFXSR */
	movq	%rax, %cr4
	lidt	no_idt(%rip)
	pushq	%rdi
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	ret

/* One stub of 16 bytes for each exception; those that come without an error code get one. */
	.globl	shim_vectors
	.balign	16
shim_vectors:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	!((0x60227d00 >> vector) & 1)	/* SDM vol. 3, table 6-1: 8, 10 to 14, 17, 21, 29, 30 */
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception
	.set	vector, vector + 1
	.endr
exception:
	movq	(%rsp), %rdi
	movq	16(%rsp), %rsi
	movq	%cr2, %rdx
	andq	$-16, %rsp
	call	shim_exception
	ud2

/* Linux, Documentation/arch/x86/boot.rst: __BOOT_CS 10h, __BOOT_DS 18h, flat */
	.section .data
	.balign	8
gdt:	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_limit:
	.word	31
gdt_base:
	.quad	0
no_idt:	.word	0
	.quad	0

	.section .bss
	.balign	16
	.skip	0x4000
shim_stack_end:
	.section .note.GNU-stack, "", @progbits

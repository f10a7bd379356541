/*
 * The page at FFFF_F000h of a TDX image. TDX gives VPs no start state of ours: they begin at 4 GiB - 16
 * in 32-bit protected mode with flat segments, paging off, EFER.LME set and kept so by the TDX
 * module, and their index in ESI (TDX module base specification, "Initial State of TD VCPU").
 * VP 0 goes on in long mode where the builder says; the others wait for somebody to need them.
 */
	.section .page, "ax"
	.globl reset_start
	.code32

/* Set by igvmtool: GPAs of the shim's entry and of the page tables (below 4 GiB). */
entry:	.quad 0
tables:	.quad 0

gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 08h: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10h: data */
gdt_end:
gdtr:	.word gdt_end - gdt - 1
	.long gdt

	.balign 16
reset_start:
	testl %esi, %esi
	jnz park
	lgdt gdtr
	movl tables, %eax
	movl %eax, %cr3
	movl %cr4, %eax			/* CR4.MCE is TDX's and stays */
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl %cr0, %eax
	orl $0x80010000, %eax		/* PG, WP */
	movl %eax, %cr0
	ljmp $0x08, $long_mode
park:
	pause
	jmp park

	.code64
long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	jmpq *entry(%rip)

	.section .reset, "ax"
	.code32
	jmp reset_start
	.balign 16, 0x90

	.section .note.GNU-stack, "", @progbits

/*
 * A ROM of 64 KiB around the reset vector's page: starts as any processor does, brings it to the state
 * in which TDX starts a VP, and goes on in the page. What comes out in long mode checks that and ends QEMU through
 * isa-debug-exit with 11h (exit status 35); anything else is a triple fault or a time-out.
 */
#define TABLE 0x23			/* present, writable, accessed: the ROM takes no such writes */

	.section .rom, "ax"
pml4:	.quad (0xffff1000 + TABLE)
	.fill 511, 8, 0
pdpt:	.fill 3, 8, 0
	.quad (0xffff2000 + TABLE)	/* GiB 3 */
	.fill 508, 8, 0
pd:	.fill 511, 8, 0
	.quad 0xffe000e3		/* the last 2 MiB below 4 GiB, large, dirty */

	.globl rom_entry
	.code64
rom_entry:				/* 3000h */
	movl $0xc0000080, %ecx
	rdmsr
	testl $0x400, %eax		/* EFER.LMA: we are in long mode, */
	jz bad
	movl %cs, %eax
	cmpl $0x08, %eax		/* with the page's own segments, */
	jne bad
	movl %ss, %eax
	cmpl $0x10, %eax
	jne bad
	movq %cr4, %rax
	testl $0x40, %eax		/* and CR4.MCE as it was */
	jz bad
	movl $0x11, %eax
	jmp end
bad:	movl $0x22, %eax
end:	outl %eax, $0xf4
	hlt				/* QEMU may end a little later */
	jmp end

	.code16
rom_start:
	cli
	lgdtl %cs:(rom_gdtr - 0xffff0000)
	movl $0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x40, %eax		/* CR4.MCE */
	movl %eax, %cr4
	movl $0x11, %eax		/* ET, PE */
	movl %eax, %cr0
	ljmpl $0x18, $flat
	.code32
flat:	movl $0x20, %eax
	movl %eax, %ds
	movl %eax, %ss
	xorl %esi, %esi
	jmp reset_start

	.balign 8
rom_gdt:
	.fill 3, 8, 0
	.quad 0x00cf9b000000ffff	/* 18h: other selectors than the page's */
	.quad 0x00cf93000000ffff
rom_gdt_end:
rom_gdtr:
	.word rom_gdt_end - rom_gdt - 1
	.long rom_gdt

	.section .rom_reset, "ax"
	.code16
	.byte 0xe9			/* jmp: within the segment's 64 KiB */
	.word (rom_start - 0xffff0000) - 0xfff3
	.balign 16, 0x90

	.section .note.GNU-stack, "", @progbits

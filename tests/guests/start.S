/*
 * Entry of the test guests: PVH (32-bit, paging off, EBX = start info), then long mode with the
 * first GUEST_MAPPED_GIB of physical memory at its own address; later APs come the same way from
 * real mode.
 */
#include "tests/guests/guest_limits.h"

#define CR0_ON  0x80000033 /* PG, NE, ET, MP, PE */
#define CR4_ON  0x620      /* OSXMMEXCPT, OSFXSR, PAE */
#define EFER    0xc0000080
#define EFER_ON 0x900      /* NXE, LME */

	.section .note.Xen, "a", @note
	.align 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long guest_entry32

	.text
	.code32
	.globl guest_entry32
guest_entry32:
	cli
	cld
	mov $guest_stacks + GUEST_STACK_SIZE, %esp
	mov %ebx, guest_start_info
	xor %ebp, %ebp

	/* Page directories: 2 MiB pages one after the other. */
	mov $guest_page_directories, %edi
	xor %eax, %eax /* address, low */
	xor %edx, %edx
	mov $GUEST_MAPPED_GIB * 512, %ecx
1:	mov %eax, (%edi)
	orl $0x83, (%edi) /* present, writable, large */
	mov %edx, 4(%edi)
	add $8, %edi
	add $0x200000, %eax
	adc $0, %edx
	loop 1b

	mov $guest_pdpt, %edi
	mov $guest_page_directories + 3, %eax
	mov $GUEST_MAPPED_GIB, %ecx
2:	mov %eax, (%edi)
	add $8, %edi
	add $0x1000, %eax
	loop 2b
	movl $guest_pdpt + 3, guest_pml4
	xor %edi, %edi /* CPU 0 */

/* EDI: CPU number, ESP: its stack. */
enter_long_mode:
	mov $CR4_ON, %eax
	mov %eax, %cr4
	mov $guest_pml4, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	or $EFER_ON, %eax
	wrmsr
	mov $CR0_ON, %eax
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $3f

	.code64
3:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	fninit
	ldmxcsr mxcsr
	call guest_start_cpu /* (cpu number) */
4:	cli
	hlt
	jmp 4b

/* Copied to GUEST_AP_PAGE; runs there in real mode. The number is drawn by whoever comes. */
	.code16
	.globl guest_ap_start, guest_ap_end
guest_ap_start:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_gdt_pointer - guest_ap_start
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $24, $5f
	.align 4
ap_gdt_pointer:
	.word guest_gdt_end - guest_gdt - 1
	.long guest_gdt
guest_ap_end:

	.code32
5:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %edi
	lock xadd %edi, guest_next_cpu
	mov %edi, %esp
	inc %esp
	imul $GUEST_STACK_SIZE, %esp
	add $guest_stacks, %esp
	jmp enter_long_mode

	.data
	.align 8
gdt_pointer:
	.word guest_gdt_end - guest_gdt - 1
	.quad guest_gdt
mxcsr:
	.long 0x1f80
	.globl guest_next_cpu
guest_next_cpu:
	.long 1
	.align 16
	.globl guest_gdt
guest_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 08: 64-bit code */
	.quad 0x00cf93000000ffff /* 10: data */
	.quad 0x00cf9b000000ffff /* 18: 32-bit code */
	.fill 2 * GUEST_MAX_CPUS, 8, 0 /* 20: a task segment a CPU */
guest_gdt_end:

	.bss
	.align 4096
	.globl guest_pml4, guest_pdpt, guest_page_directories, guest_stacks
guest_pml4:
	.skip 4096
guest_pdpt:
	.skip 4096
guest_page_directories:
	.skip GUEST_MAPPED_GIB * 4096
guest_stacks:
	.skip GUEST_MAX_CPUS * GUEST_STACK_SIZE
	.globl guest_start_info
guest_start_info:
	.long 0

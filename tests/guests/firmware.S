/*
 * A firmware that tests how firmware is started: 64 KiB that end at 4 GiB, entered in real mode by the reset vector.
 * Prints PASS and FAIL lines on COM1 as the other guests do, and powers off. Expects 128 MiB of memory.
 */

#define TOP    0xffff0000 /* where the image lies; CS's base at the reset */
#define ALIAS  0xf0000    /* where it lies once more */
#define COM1   0x3f8
#define PM1    0x404
#define PM1_OFF 0x3400 /* SLP_EN, sleep type 5 */
#define IOAPIC 0xfec00000
#define STACK  0x7000

/* Linked at 0: a label is the offset in a segment with either base. */

	.macro check name, condition
	mov $\name, %si
	\condition 1f
	call fail
	jmp 2f
1:	call pass
2:
	.endm

	.text
	.code16
start:
	mov $STACK, %esp
	pushfl
	mov %edx, %ebp
	mov %ds, %ax
	mov %es, %bx
	or %bx, %ax
	mov %fs, %bx
	or %bx, %ax
	mov %gs, %bx
	or %bx, %ax
	mov %ss, %bx
	or %bx, %ax
	mov %ax, %di /* 0: all of them are */
	call console_init

	check name_segments, "test %di, %di; jz"
	mov %cs, %ax
	check name_code, "cmp $0xf000, %ax; je"
	smsw %eax
	check name_mode, "test $0x80000001, %eax; jz" /* neither paging nor protection */
	popl %eax
	check name_flags, "cmp $2, %eax; je"
	mov $1, %eax
	cpuid
	check name_signature, "cmp %eax, %ebp; je"

	/* A word is changed in the first MiB; code sees it only once it runs there. */
	mov $ALIAS >> 4, %ax
	mov %ax, %ds
	movw $0x5678, word
	check name_top, "cmpw $0x1234, %cs:word; je"
	ljmp $ALIAS >> 4, $low
low:	check name_alias, "cmpw $0x5678, %cs:word; je"

	/* An exception by the first MiB's vectors. */
	xor %ax, %ax
	mov %ax, %ds
	movw $invalid_opcode, 6 * 4
	movw $ALIAS >> 4, 6 * 4 + 2
	xor %bx, %bx
	ud2
	check name_exception, "cmp $0x600d, %bx; je"

	/* In protected mode: memory above 1 MiB, all of the alias, a device in memory. */
	lgdtl %cs:gdt_pointer
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $8, $ALIAS + protected

	.code32
protected:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	movw $0x1234, ALIAS + word
	mov $TOP, %esi
	mov $ALIAS, %edi
	mov $0x4000, %ecx
	repe cmpsl
	setnz %bl
	movl $0x12345678, 0x123450
	notl 0x123450
	cmpl $0xedcba987, 0x123450
	setne %bh
	movl $1, IOAPIC /* version, number of inputs less one */
	mov IOAPIC + 0x10, %edx
	mov %cr0, %eax
	ljmp $24, $leave

	.code16
leave:
	and $~1, %eax
	mov %eax, %cr0
	ljmp $ALIAS >> 4, $real
real:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	check name_copy, "test %bl, %bl; jz"
	check name_memory, "test %bh, %bh; jz"
	shr $16, %edx
	check name_device, "cmp $23, %dx; je"

	/* 128 MiB, less 16, in units of 64 KiB. */
	mov $0x34, %al
	out %al, $0x70
	in $0x71, %al
	mov %al, %bl
	mov $0x35, %al
	out %al, $0x70
	in $0x71, %al
	mov %al, %bh
	sub $1728, %bx /* 128 MiB, less what the paravisor keeps for devices, at most 4 MiB */
	check name_size, "cmp $64, %bx; jbe"

	mov passed, %al
	call put_number
	mov $text_passed, %si
	call put
	mov failed, %al
	call put_number
	mov $text_failed, %si
	call put
1:	mov $COM1 + 5, %dx
	in %dx, %al
	test $0x40, %al /* all sent */
	jz 1b
	mov $PM1, %dx
	mov $PM1_OFF, %ax
	out %ax, %dx
3:	hlt
	jmp 3b

invalid_opcode:
	push %bp
	mov %sp, %bp
	addw $2, 2(%bp)
	pop %bp
	mov $0x600d, %bx
	iretw

/* --- console; keep all but AX and SI. Counts are bytes in the first page behind the vectors. --- */

	passed = 0x500
	failed = 0x501

console_init:
	push %dx
	movw $0, passed
	mov $COM1 + 3, %dx
	mov $3, %al /* 8N1 */
	out %al, %dx
	pop %dx
	ret

pass:	incb %ss:passed
	push %si
	mov $text_pass, %si
	jmp 1f
fail:	incb %ss:failed
	push %si
	mov $text_fail, %si
1:	call put
	pop %si
	call put
	mov $'\n', %al
	jmp put_byte

/* Of one or two digits. */
put_number:
	aam
	mov %al, %bl
	mov %ah, %al
	test %al, %al
	jz 1f
	add $'0', %al
	call put_byte
1:	mov %bl, %al
	add $'0', %al
	jmp put_byte

put:	lodsb %cs:(%si), %al
	test %al, %al
	jz 1f
	call put_byte
	jmp put
1:	ret

put_byte:
	push %dx
	push %ax
	mov $COM1 + 5, %dx
1:	in %dx, %al
	test $0x20, %al /* room for a byte */
	jz 1b
	mov $COM1, %dx
	pop %ax
	out %al, %dx
	pop %dx
	ret

text_pass:      .asciz "PASS "
text_fail:      .asciz "FAIL "
text_passed:    .asciz " passed, "
text_failed:    .asciz " failed\n"
name_segments:  .asciz "segments at the reset"
name_code:      .asciz "code segment"
name_mode:      .asciz "real mode"
name_flags:     .asciz "flags"
name_signature: .asciz "processor's signature"
name_top:       .asciz "runs below 4 GiB"
name_alias:     .asciz "runs below 1 MiB"
name_exception: .asciz "exception in real mode"
name_copy:      .asciz "both copies are the same"
name_memory:    .asciz "memory above 1 MiB"
name_device:    .asciz "device in memory"
name_size:      .asciz "CMOS tells the size of memory"

	.align 4
word:	.word 0x1234

	.align 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff /* 8: code, 32 bits, flat */
	.quad 0x00cf93000000ffff /* 16: data, flat */
	.quad 0x00009b0f0000ffff /* 24: code, 16 bits, the alias */
gdt_pointer:
	.word . - gdt - 1
	.long ALIAS + gdt

	.org 0xfff0
	.globl reset
reset:	jmp start
	.org 0x10000

#ifndef PARAVISOR_BOOT_LOW_MEMORY_H
#define PARAVISOR_BOOT_LOW_MEMORY_H

/*
 * What the loader leaves below 640 KiB. All of it is the kernel's once it has read it; E820 calls
 * it RAM. Page 0 has the BIOS data area.
 */
#define LOW_BDA         0x400
#define LOW_GDT         0x1000
#define LOW_ZERO_PAGE   0x2000
#define LOW_PAGE_TABLES 0x3000 /* PML4, PDPT, and a page directory for each of 4 GiB */
#define LOW_START_INFO  0xa000 /* PVH: start info, modules and memory map, up to 0xc000 */
#define LOW_E820_EXT    0xc000 /* the entries that the zero page has no room for */
#define LOW_STACK_TOP   0x10000
#define LOW_CMDLINE     0x20000
#define LOW_CMDLINE_MAX 0x10000 /* with the final zero */

#endif

#include "core/io_bus.h"
#include "core/log.h"
#include "paravisor/exit.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

/* IN writes AL or AX and leaves the rest; EAX zero-extends (SDM vol. 1, 3.4.1.1). */
static uint64_t merge_rax(uint64_t rax, uint32_t value, unsigned int size)
{
	uint64_t mask = (1ull << (8 * size)) - 1;

	return size == 4 ? value : (rax & ~mask) | (value & mask);
}

static int port_in(struct vp *vp, const struct vp_exit_pio *pio)
{
	uint64_t value, *rax = &vp->vtl->registers.cpu.gpr[X86_RAX];
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_GPR);

	if (ret)
		return ret;
	if (io_bus_read(vp->machine->bus, IO_PORT, pio->port, pio->size, &value) == IO_FAULT)
		log_debug("nobody at port %#x read", pio->port);
	*rax = merge_rax(*rax, value, pio->size);
	vtl_vp_changed(vp->vtl, VTL_CLASS_GPR);
	return 0;
}

int exit_pio(struct vp *vp, const struct vp_exit *exit)
{
	const struct vp_exit_pio *pio = &exit->pio;

	if (pio->string || !exit->instruction_length)
		return exit_emulate(vp, exit);
	if (!pio->write) {
		int ret = port_in(vp, pio);

		if (ret)
			return ret;
	} else if (io_bus_write(vp->machine->bus, IO_PORT, pio->port, pio->size, pio->value) ==
		   IO_FAULT) {
		log_debug("nobody at port %#x written", pio->port);
	}
	return vtl_vp_skip(vp->vtl, exit, 0);
}

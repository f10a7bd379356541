#include "paravisor/exit.h"

#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "core/x86/x86_emulate.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

#define PAGE_MASK 4095ull

/* RAM is what guest_memory holds; everything else is the bus's to answer. */
struct emulation {
	struct vp *vp;
	const struct vp_exit *exit;
	bool unbacked; /* an access went to nobody */
};

/* An access that may lie in two pages. */
struct span {
	uint64_t gpa[2];
	size_t len[2];
};

static bool exit_knows(const struct vp_exit *exit, uint64_t linear)
{
	return exit->kind == VP_EXIT_MEMORY && exit->memory.gva_valid &&
	       ((exit->memory.gva ^ linear) & ~PAGE_MASK) == 0;
}

/* The processor has walked the tables for the access that led here: no need to do it again. */
static int translate(struct emulation *e, uint64_t linear, uint32_t access, uint64_t *gpa,
		     struct x86_exception *exception)
{
	struct vtl_exception raised;
	int ret;

	if (exit_knows(e->exit, linear)) {
		*gpa = (e->exit->memory.gpa & ~PAGE_MASK) | (linear & PAGE_MASK);
		return 0;
	}
	ret = vtl_vp_translate(e->vp->vtl, e->vp->machine->memory, linear, access, gpa, &raised);
	if (ret == -EFAULT)
		*exception = (struct x86_exception){
			.vector = raised.vector,
			.has_error_code = raised.has_error_code,
			.error_code = raised.error_code,
			.address = raised.address,
		};
	return ret;
}

static int translate_span(struct emulation *e, uint64_t linear, size_t len, uint32_t access,
			  struct span *span, struct x86_exception *exception)
{
	size_t in_page = 4096 - (linear & PAGE_MASK);
	int ret;

	span->len[0] = len < in_page ? len : in_page;
	span->len[1] = len - span->len[0];
	ret = translate(e, linear, access, &span->gpa[0], exception);
	if (!ret && span->len[1])
		ret = translate(e, linear + span->len[0], access, &span->gpa[1], exception);
	return ret;
}

/* The largest access that a bus can do at gpa with len bytes to go. */
static unsigned int bus_size(uint64_t gpa, size_t len)
{
	unsigned int size = 8;

	while (size > len || (gpa & (size - 1) && size > 1))
		size /= 2;
	return size;
}

static void read_physical(struct emulation *e, uint64_t gpa, uint8_t *data, size_t len)
{
	struct machine *m = e->vp->machine;

	if (!guest_memory_read(m->memory, gpa, data, len))
		return;
	while (len) {
		/* Devices see an access as the guest made it, aligned or not, where it has a size. */
		unsigned int size =
			len == 1 || len == 2 || len == 4 || len == 8 ? len : bus_size(gpa, len);
		uint64_t value;

		if (io_bus_read(m->bus, IO_MEMORY, gpa, size, &value) == IO_FAULT)
			e->unbacked = true;
		memcpy(data, &value, size);
		data += size;
		gpa += size;
		len -= size;
	}
}

static void write_physical(struct emulation *e, uint64_t gpa, const uint8_t *data, size_t len)
{
	struct machine *m = e->vp->machine;

	if (!guest_memory_write(m->memory, gpa, data, len))
		return;
	while (len) {
		unsigned int size =
			len == 1 || len == 2 || len == 4 || len == 8 ? len : bus_size(gpa, len);
		uint64_t value = 0;

		memcpy(&value, data, size);
		if (io_bus_write(m->bus, IO_MEMORY, gpa, size, value) == IO_FAULT)
			e->unbacked = true;
		data += size;
		gpa += size;
		len -= size;
	}
}

static int read_memory(void *ctx, uint64_t linear, void *data, size_t len, uint32_t access,
		       struct x86_exception *exception)
{
	struct emulation *e = ctx;
	struct span span;
	int ret = translate_span(e, linear, len, access, &span, exception);

	if (ret)
		return ret;
	read_physical(e, span.gpa[0], data, span.len[0]);
	if (span.len[1])
		read_physical(e, span.gpa[1], (uint8_t *)data + span.len[0], span.len[1]);
	return 0;
}

static int write_memory(void *ctx, uint64_t linear, const void *data, size_t len, uint32_t access,
			struct x86_exception *exception)
{
	struct emulation *e = ctx;
	struct span span;
	int ret = translate_span(e, linear, len, access, &span, exception);

	if (ret)
		return ret;
	write_physical(e, span.gpa[0], data, span.len[0]);
	if (span.len[1])
		write_physical(e, span.gpa[1], (const uint8_t *)data + span.len[0], span.len[1]);
	return 0;
}

static int fetch(void *ctx, uint64_t linear, void *data, size_t len,
		 struct x86_exception *exception)
{
	struct emulation *e = ctx;
	uint32_t access = X86_ACCESS_FETCH | (e->exit->cpl == 3 ? X86_ACCESS_USER : 0);
	struct vtl_exception raised;
	uint64_t gpa;
	int ret =
		vtl_vp_translate(e->vp->vtl, e->vp->machine->memory, linear, access, &gpa, &raised);

	if (ret == -EFAULT)
		*exception = (struct x86_exception){
			.vector = raised.vector,
			.has_error_code = raised.has_error_code,
			.error_code = raised.error_code,
			.address = raised.address,
		};
	if (!ret && guest_memory_read(e->vp->machine->memory, gpa, data, len))
		memset(data, 0xff, len);
	return ret;
}

static int read_io(void *ctx, uint16_t port, void *data, size_t len,
		   struct x86_exception *exception)
{
	struct emulation *e = ctx;
	uint64_t value;

	(void)exception;
	io_bus_read(e->vp->machine->bus, IO_PORT, port, len, &value);
	memcpy(data, &value, len);
	return 0;
}

static int write_io(void *ctx, uint16_t port, const void *data, size_t len,
		    struct x86_exception *exception)
{
	struct emulation *e = ctx;
	uint64_t value = 0;

	(void)exception;
	memcpy(&value, data, len);
	io_bus_write(e->vp->machine->bus, IO_PORT, port, len, value);
	return 0;
}

/* The upper halves of YMM registers are private to VTL0 and out of reach. */
static int get_vector(void *ctx, uint8_t reg, void *data, size_t len)
{
	struct emulation *e = ctx;

	return len == 16 ? e->vp->vtl->ops->get_xmm(e->vp->vtl, reg, data) : -EOPNOTSUPP;
}

static int set_vector(void *ctx, uint8_t reg, const void *data, size_t len, bool zero_upper)
{
	struct emulation *e = ctx;

	if (len != 16 || zero_upper)
		return -EOPNOTSUPP;
	return e->vp->vtl->ops->set_xmm(e->vp->vtl, reg, data);
}

/* No cmpxchg_memory: what is emulated is device memory, where a read and a write are what happens. */
static const struct x86_emulator_ops emulator_ops = {
	.read_memory = read_memory,
	.write_memory = write_memory,
	.fetch = fetch,
	.read_io = read_io,
	.write_io = write_io,
	.get_vector = get_vector,
	.set_vector = set_vector,
};

static void log_bytes(const struct vp *vp, const struct vp_exit *exit,
		      const struct x86_emulator *emulator)
{
	const uint8_t *b = emulator->bytes;

	log_limited(LOG_WARN,
		    "VP %u: cannot emulate %02x %02x %02x %02x %02x %02x %02x %02x at RIP %#llx",
		    vp->index, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
		    (unsigned long long)exit->rip);
}

/* Registers as the emulator leaves them; unless the instruction retired only general ones differ. */
static int take_registers(struct vp *vp, const struct vp_exit *exit,
			  const struct x86_emulator *emulator, bool retired)
{
	vp->vtl->registers.cpu = emulator->cpu;
	vtl_vp_changed(vp->vtl, VTL_CLASS_GPR | VTL_CLASS_IP | VTL_CLASS_FLAGS);
	if (!retired)
		return 0;
	return vtl_vp_retired(vp->vtl, exit, emulator->interrupt_shadow);
}

static int raise(struct vp *vp, const struct x86_exception *exception)
{
	struct vtl_exception e = {
		.vector = exception->vector,
		.has_error_code = exception->has_error_code,
		.error_code = exception->error_code,
		.address = exception->address,
	};

	return vtl_vp_inject(vp->vtl, &e);
}

#define DR6_SINGLE_STEP (1ull << 14)

int exit_emulate(struct vp *vp, const struct vp_exit *exit)
{
	struct x86_emulator emulator = { .byte_count = exit->instruction_byte_count };
	struct emulation e = { .vp = vp, .exit = exit };
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_ALL);

	if (ret)
		return ret;
	memcpy(emulator.bytes, exit->instruction_bytes, emulator.byte_count);
	emulator.cpu = vp->vtl->registers.cpu;
	ret = x86_emulate(&emulator, &emulator_ops, &e);
	if (e.unbacked)
		log_debug("VP %u: nobody at %#llx", vp->index,
			  (unsigned long long)exit->memory.gpa);
	switch (ret) {
	case X86_EMULATE_DONE:
		ret = take_registers(vp, exit, &emulator, true);
		if (!ret && emulator.single_step)
			ret = raise(vp, &(struct x86_exception){ .vector = X86_VECTOR_DB,
								 .address = DR6_SINGLE_STEP });
		return ret;
	case X86_EMULATE_MORE:
		return take_registers(vp, exit, &emulator, false);
	case X86_EMULATE_EXCEPTION:
		ret = take_registers(vp, exit, &emulator, false);
		return ret ? ret : raise(vp, &emulator.exception);
	case -EAGAIN: /* the guest changes its tables: let it */
		return 0;
	}
	log_bytes(vp, exit, &emulator);
	return exit_raise(vp, X86_VECTOR_UD);
}

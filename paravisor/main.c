#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/device_lock.h"
#include "core/guest_access.h"
#include "core/io_bus.h"
#include "core/log.h"
#include "devices/chipset.h"
#include "paravisor/boot/boot_state.h"
#include "paravisor/boot/firmware.h"
#include "paravisor/boot/linux_boot.h"
#include "paravisor/get.h"
#include "paravisor/guest_ram.h"
#include "paravisor/host_port.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/network.h"
#include "paravisor/opener.h"
#include "paravisor/sandbox.h"
#include "paravisor/settings.h"
#include "paravisor/shim_log.h"
#include "paravisor/start_state.h"
#include "paravisor/storage.h"
#include "paravisor/tpm/guest_state.h"
#include "paravisor/tpm/measured_boot.h"
#include "paravisor/tpm/ppi.h"
#include "paravisor/tpm/vtpm.h"
#include "paravisor/vmbus.h"
#include "paravisor/vp.h"
#include "proto/vtpm_link.h"
#include "vtl/mshv.h"
#include "vtl/vtl.h"

/*
 * The paravisor's process: brings VTL0's machine together in one order, becomes VP 0's thread, and
 * after the run waits for the host to end or restart the machine. Nothing is taken down: without
 * this process there is no VTL0, and the host frees it all at once.
 */

/* Says why the machine could not be made. The first reason counts. */
static int fail(struct machine *m, const char *what, int err)
{
	machine_end(m, HOST_PORT_FAILURE, "%s: errno %d", what, -err);
	return err;
}

static int read_configuration(struct machine *m, int argc, char *argv[])
{
	char why[160] = "";
	int ret = options_parse(&m->options, argc, argv, why, sizeof(why));

	if (!ret) {
		log_set_level(m->options.log_level);
		ret = topology_read(&m->topology, why, sizeof(why));
	}
	if (ret)
		machine_end(m, HOST_PORT_FAILURE, "%s", why[0] ? why : "out of memory");
	else
		shim_log_print(m->topology.shim_log, m->topology.shim_log_len);
	return ret;
}

/* VTL2's RAM is VTL2's: VTL0 may neither read, write nor execute it. */
static int protect_vtl2(struct machine *m)
{
	for (unsigned int i = 0; i < m->topology.vtl2_count; i++) {
		int ret = m->vtl->ops->protect(m->vtl, m->topology.vtl2[i].gpa,
					       m->topology.vtl2[i].len, 0);

		if (ret)
			return fail(m, "cannot protect VTL2's memory", ret);
	}
	return 0;
}

/* What the host says VTL0's devices are to be. Without GET there are none. */
static int read_settings(struct machine *m)
{
	char why[160] = "", *text;
	size_t len;
	int ret = get_create(&m->get);

	if (ret == -ENOENT) {
		log_warn("the host offers no GET: VTL0 gets no devices of VTL2's");
		return 0;
	}
	if (!ret)
		ret = get_platform_settings(m->get, &text, &len);
	if (ret)
		return fail(m, "GET", ret);
	m->settings = calloc(1, sizeof(*m->settings));
	if (m->settings)
		ret = settings_parse_platform(m->settings, text, len, why, sizeof(why));
	else
		ret = -ENOMEM;
	explicit_bzero(text, len); /* a key may be in it */
	free(text);
	if (ret)
		machine_end(m, HOST_PORT_FAILURE, "the host's settings: %s",
			    why[0] ? why : "out of memory");
	return ret;
}

/* VTL0's RAM, and what needs it or VTL2's kernel: the sandbox takes the latter away. */
static int open_memory(struct machine *m)
{
	uint64_t pool_size = 0;
	int ret;

	if (m->settings)
		pool_size = storage_pool_size(m->settings, m->topology.vp_count) +
			    network_pool_size(m->settings, m->topology.vp_count);
	ret = guest_ram_map(m, pool_size, &m->pool);
	if (!ret && m->settings)
		ret = network_open(m, m->settings, m->pool, &m->network);
	return ret;
}

static int create_vps(struct machine *m)
{
	m->vps = calloc(m->topology.vp_count, sizeof(*m->vps));
	if (!m->vps)
		return fail(m, "VPs", -ENOMEM);
	for (unsigned int i = 0; i < m->topology.vp_count; i++) {
		int ret = vp_init(&m->vps[i], m, i);

		if (ret)
			return fail(m, "event loop", ret);
	}
	return 0;
}

static void power_off(void *ctx)
{
	machine_end(ctx, HOST_PORT_POWER_OFF, "power off");
}

static void reset(void *ctx)
{
	machine_end(ctx, HOST_PORT_RESET, "reset");
}

static int create_devices(struct machine *m)
{
	static struct device_lock lock;
	struct chipset_config config = {
		.loop = m->vps[0].loop,
		.lock = &lock,
		.serial[CHIPSET_COM1] = { host_port_transmit, host_port_receive_ready,
					  m->host_port },
		.ioapic = { interrupt_from_ioapic, m },
		.pic = { interrupt_from_pic, m },
		.power_off = power_off,
		.reset = reset,
		.ctx = m,
		.wall_clock = m->options.wall_clock ? m->options.wall_clock : time(NULL),
	};
	int ret = device_lock_init(&lock);

	if (ret)
		return fail(m, "chipset", ret);
	config.bus = m->bus = io_bus_create();
	if (!m->bus)
		return fail(m, "bus", -ENOMEM);
	m->chipset = chipset_create(&config);
	if (!m->chipset)
		return fail(m, "chipset", -errno);
	return 0;
}

/* The host keeps the TPM's state, if it has a place for it that is ours. */
static int read_vtpm_state(struct machine *m, struct vtpm_config *config, void **state)
{
	struct guest_state *guest_state;
	int ret = m->get ? guest_state_open(&guest_state, m->get, state, &config->state_len)
			 : -ENODEV;

	if (ret == -ENODEV || ret == -EEXIST) {
		log_info("vTPM: a new one, its state is not kept: %s",
			 ret == -ENODEV ? "the host keeps none"
					: "the host's holds something else");
		return 0;
	}
	if (ret)
		return ret;
	config->backing = &guest_state_backing;
	config->backing_ctx = guest_state;
	config->state = *state;
	return 0;
}

/* A paravisor that runs without a vTPM's process, or is told to by the host, gives VTL0 no TPM. */
static int start_vtpm(struct machine *m)
{
	struct vtpm_config config = {
		.loop = m->vps[0].loop,
		.bus = m->bus,
		.from = VTPM_LINK_FROM_VTPM,
		.to = VTPM_LINK_TO_VTPM,
		.fifo = m->options.tpm_fifo,
	};
	void *state = NULL;
	int ret;

	if (m->options.no_tpm || (m->settings && !m->settings->tpm))
		return 0;
	if (m->settings && m->settings->has_tpm_key)
		config.key = m->settings->tpm_key;
	ret = read_vtpm_state(m, &config, &state);
	if (!ret)
		ret = vtpm_create(&m->vtpm, &config);
	free(state);
	if (m->settings)
		explicit_bzero(m->settings->tpm_key, sizeof(m->settings->tpm_key));
	if (!ret)
		ret = ppi_start(&m->ppi, m->vtpm, m->bus);
	return ret && ret != -ENODEV ? fail(m, "cannot start the vTPM", ret) : 0;
}

/* Copies VTL0's kernel to its place, with measurements before and after if there is a TPM. */
static int load_kernel(struct machine *m, struct linux_boot_config config,
		       struct boot_vp_state *state)
{
	struct measured_boot measured;
	struct boot_error error = { "" };
	int ret;

	if (m->vtpm) {
		ret = measured_boot_begin(&measured, m->vtpm, m->memory, &config);
		if (ret)
			return fail(m, "cannot measure VTL0's kernel", ret);
		config.tpm = &measured.acpi;
		config.reserved = &measured.region;
		config.reserved_count = 1;
	}
	ret = linux_boot_load(m->memory, &config, state, &error);
	if (ret) {
		machine_end(m, HOST_PORT_FAILURE, "%s", error.text);
		return ret;
	}
	ret = m->vtpm ? measured_boot_finish(&measured) : 0;
	return ret ? fail(m, "cannot write the event log", ret) : 0;
}

static int load_linux(struct machine *m, struct boot_vp_state *state)
{
	struct linux_boot_config config = {
		.kernel = m->options.kernel,
		.initrd = m->options.initrd,
		.cmdline = m->options.cmdline,
		.apic_ids = m->topology.apic_ids,
		.vp_count = m->topology.vp_count,
		.mmio = m->topology.mmio,
		.mmio_count = m->topology.mmio_count,
	};

	return load_kernel(m, config, state);
}

/* Firmware measures for itself: docs/measured-boot.md */
static int load_firmware(struct machine *m, struct boot_vp_state *state)
{
	struct firmware_cmos_byte bytes[FIRMWARE_CMOS_BYTES];
	struct boot_error error = { "" };
	int ret = firmware_load(m->memory, m->options.firmware, state, &error);

	if (ret) {
		machine_end(m, HOST_PORT_FAILURE, "%s", error.text);
		return ret;
	}
	firmware_describe_memory(m->memory, bytes);
	for (unsigned int i = 0; i < FIRMWARE_CMOS_BYTES; i++)
		chipset_set_cmos(m->chipset, bytes[i].index, bytes[i].value);
	return 0;
}

/* The hypervisor's VP 0 and this thread become one; what VTL0 starts with goes to its place. */
static int load_guest(struct machine *m)
{
	struct boot_vp_state state;
	int ret = m->options.firmware.len ? load_firmware(m, &state) : load_linux(m, &state);

	if (ret)
		return ret;
	ret = vp_enter(&m->vps[0]);
	if (ret)
		return fail(m, "cannot enter VP 0", ret);
	m->mtrr_def_type = state.mtrr_def_type;
	ret = start_state_set(m->vps[0].vtl, &state);
	return ret ? fail(m, "cannot set VTL0's start state", ret) : 0;
}

static int start_vmbus(struct machine *m)
{
	int ret = vmbus_start(m);

	return ret ? fail(m, "VMBus server", ret) : 0;
}

/* --- new settings while VTL0 runs */

static void settings_modified(void *ctx, const struct settings *settings, const char *why)
{
	struct machine *m = ctx;

	if (settings)
		network_update(m->network, settings);
	get_settings_modified(m->get, why);
}

static void modify_settings(void *ctx, char *text, size_t len)
{
	struct machine *m = ctx;
	int ret = storage_modify(m->storage, text, len, settings_modified, m);

	if (ret)
		get_settings_modified(m->get, ret == -EBUSY ? "too many changes at a time"
							    : "out of memory");
}

static int start_devices(struct machine *m)
{
	const struct get_handler handler = { modify_settings, m };
	int ret = 0;

	if (m->settings)
		ret = storage_start(m, m->settings, m->opener, m->pool, &m->storage);
	if (!ret && m->network)
		ret = network_start(m->network, m->settings, m->vmbus);
	if (ret || !m->get)
		return ret;
	ret = get_start(m->get, m->vps[0].loop, &handler);
	if (ret)
		return fail(m, "GET", ret);
	get_vtl0_started(m->get, true, NULL);
	return 0;
}

static int start_vps(struct machine *m)
{
	for (unsigned int i = 1; i < m->topology.vp_count; i++) {
		int ret = vp_start(&m->vps[i]);

		if (ret)
			return fail(m, "cannot start a VP's thread", ret);
	}
	return 0;
}

static int assemble(struct machine *m, int argc, char *argv[])
{
	int ret = read_configuration(m, argc, argv);

	if (ret)
		return ret;
	ret = opener_start(&m->opener);
	if (ret)
		return fail(m, "opener of functions", ret);
	ret = guest_access_install_fault_handler();
	if (ret)
		return fail(m, "fault handler", ret);
	ret = mshv_create(&m->vtl);
	if (ret)
		return fail(m, "cannot use the mshv_vtl driver", ret);
	ret = protect_vtl2(m);
	if (!ret)
		ret = read_settings(m);
	if (!ret)
		ret = open_memory(m);
	if (!ret)
		ret = create_vps(m);
	if (!ret)
		ret = create_devices(m);
	if (!ret)
		ret = start_vtpm(m);
	if (!ret)
		ret = start_vmbus(m);
	if (!ret)
		ret = load_guest(m);
	if (!ret)
		ret = host_port_start_input(m->host_port, m);
	if (ret)
		return ret;
	ret = sandbox_enter();
	if (ret)
		return fail(m, "cannot give up privileges", ret);
	ret = start_devices(m);
	return ret ? ret : start_vps(m);
}

/*
 * The host hears it by GET, as from any paravisor; by its message port, too, it hears why, and sooner, for what
 * comes by GET has a thread to wait for: the first of the two counts. After VTL0's own report of a crash the port
 * says nothing: VTL0's last words are worth more. A host that lets VTL0 go on after such a report hears of its
 * end by GET.
 */
static void tell_host(struct machine *m)
{
	if (!crash_flush(m))
		host_port_send_outcome(m->host_port, &m->outcome);
	switch (m->outcome.result) {
	case HOST_PORT_POWER_OFF:
		get_power_off(m->get);
		break;
	case HOST_PORT_RESET:
		get_reset(m->get);
		break;
	case HOST_PORT_FAILURE:
		get_vtl0_started(m->get, false, m->outcome.reason);
		break;
	default: /* a crash */
		get_triple_fault(m->get, __atomic_load_n(&m->crashed_vp, __ATOMIC_RELAXED));
		break;
	}
}

static void report(struct machine *m)
{
	if (m->chipset)
		chipset_serial_flush(m->chipset);
	if (m->vps)
		host_port_send_counters(m->host_port, m);
	/* A guest that powers off has no request under way. */
	if (m->storage && m->outcome.result == HOST_PORT_POWER_OFF)
		storage_shut_down(m->storage);
	tell_host(m);
}

int main(int argc, char *argv[])
{
	static struct machine machine = { .end_lock = PTHREAD_MUTEX_INITIALIZER };
	int ret = host_port_create(&machine.host_port);

	signal(SIGPIPE, SIG_IGN); /* a vTPM that is gone is an error of write() */
	if (ret) {
		log_error("no message port to the host: errno %d", -ret);
		return EXIT_FAILURE;
	}
	if (!assemble(&machine, argc, argv)) {
		log_info("VTL0 starts: %u VPs", machine.topology.vp_count);
		vp_run(&machine.vps[0]);
	}
	report(&machine);
	for (;;)
		pause();
}

# Entresol: one Makefile, no configure step.  `make help` lists the targets; docs/building.md has
# the recipes for adding a source file, a unit test, a fuzz target or a program.
#
# Everything is built out of the tree, once a flavour:
#   build/rel/   what runs: static, musl, hardened
#   build/san/   unit tests: glibc, AddressSanitizer + UndefinedBehaviorSanitizer
#   build/fuzz/  fuzz targets: clang, libFuzzer + both sanitizers
#   build/cov/   both again, counting the lines that they reach: `make coverage`

# ---------------------------------------------------------------------------------------------
# Object lists: a line (or a few) a directory, named from the tree's root.
# Unit tests:   tests/unit/DIR/NAME_test-objs := what tests/unit/DIR/NAME_test.c links
# Fuzz targets: tests/fuzz/NAME_fuzz-objs     := what tests/fuzz/NAME_fuzz.c links

# --- proto/: wire layouts (mostly headers)
proto-objs :=

# --- core/: interfaces and plumbing
core-objs := core/call_filter.o core/device_lock.o core/event_loop.o core/guest_access.o core/guest_memory.o \
	core/io_bus.o core/key_file.o core/log.o core/json.o core/base64.o core/guid.o core/retarget.o
core-objs += core/x86/paging.o
tests/unit/core/x86/paging_test-objs := core/x86/paging.o
x86-objs := $(addprefix core/x86/,x86.o decode.o decode_address.o decode_opcode.o decode_vector.o \
	opcodes.o vector.o operands.o alu.o emulate.o emulate_arithmetic.o emulate_branch.o \
	emulate_data.o emulate_string.o emulate_vector.o execution.o)
core-objs += $(x86-objs)
x86-native-objs := $(addprefix tests/unit/core/x86/,native.o generate.o) $(x86-objs)
tests/unit/core/x86/x86_native_test-objs := $(x86-native-objs)
tests/unit/core/x86/x86_operands_test-objs := $(x86-native-objs)
tests/unit/core/x86/x86_decode_test-objs := $(x86-objs)
tests/unit/core/x86/x86_emulate_test-objs := $(x86-objs)
tests/unit/core/x86/x86_objdump_test-objs := $(x86-objs)
tests/fuzz/x86_decode_fuzz-objs := $(x86-objs)
tests/fuzz/x86_emulate_fuzz-objs := $(x86-objs)
tests/unit/core/call_filter_test-objs := core/call_filter.o
tests/unit/core/event_loop_test-objs := core/event_loop.o
tests/unit/core/guest_memory_test-objs := core/guest_memory.o core/guest_access.o
tests/unit/core/io_bus_test-objs := core/io_bus.o core/device_lock.o
tests/unit/core/log_test-objs := core/log.o
tests/unit/core/json_test-objs := core/json.o
tests/unit/core/key_file_test-objs := core/key_file.o
tests/unit/core/base64_test-objs := core/base64.o
tests/unit/core/guid_test-objs := core/guid.o
tests/fuzz/json_fuzz-objs := core/json.o

# --- vtl/: how VTL0 is run and isolated
vtl-objs := $(addprefix vtl/,vtl.o translate.o mshv.o mshv_decode.o mshv_hypercall.o mshv_registers.o \
	mshv_vp.o host_message.o)
tests/unit/vtl/vtl_test-objs := vtl/vtl.o tests/unit/fake/fake_vtl.o
tests/unit/vtl/mshv_decode_test-objs := vtl/mshv_decode.o
tests/unit/vtl/mshv_registers_test-objs := vtl/mshv_registers.o
ldflags-tests/unit/vtl/mshv_registers_test := -Wl,--wrap=ioctl
tests/unit/vtl/mshv_vp_test-objs := vtl/mshv_vp.o vtl/mshv_registers.o vtl/mshv_decode.o
ldflags-tests/unit/vtl/mshv_vp_test := -Wl,--wrap=ioctl
tests/unit/vtl/mshv_hypercall_test-objs := vtl/mshv_hypercall.o core/log.o
ldflags-tests/unit/vtl/mshv_hypercall_test := -Wl,--wrap=ioctl

# --- devices/: guest-facing devices
chipset-objs := devices/acpi_pm.o devices/chipset.o devices/cmos_rtc.o devices/ioapic.o \
	devices/legacy_ports.o devices/pci_config.o devices/pic8259.o devices/pit8254.o \
	devices/rtc_time.o devices/serial16550.o
devices-objs := $(chipset-objs)

# Devices are tested on a real bus, with a clock that the test moves.
device-test-objs := core/device_lock.o core/io_bus.o tests/unit/fake/event_loop.o
tests/unit/devices/acpi_pm_test-objs := devices/acpi_pm.o $(device-test-objs)
tests/unit/devices/cmos_rtc_test-objs := devices/cmos_rtc.o devices/rtc_time.o $(device-test-objs)
tests/unit/devices/ioapic_test-objs := devices/ioapic.o $(device-test-objs)
tests/unit/devices/pci_config_test-objs := devices/pci_config.o $(device-test-objs)
tests/unit/devices/pic8259_test-objs := devices/pic8259.o $(device-test-objs)
tests/unit/devices/pit8254_test-objs := devices/pit8254.o $(device-test-objs)
tests/unit/devices/serial16550_test-objs := devices/serial16550.o $(device-test-objs)
tests/fuzz/chipset_fuzz-objs := $(chipset-objs) $(device-test-objs)
tests/unit/devices/chipset_test-objs := $(chipset-objs) $(device-test-objs)

# --- devices/vmbus/: VMBus server, shared with vtlhost
vmbus-objs := $(addprefix devices/vmbus/,vmbus_server.o vmbus_control.o vmbus_control_gpadl.o \
	vmbus_channel.o vmbus_gpadl.o vmbus_gpa.o vmbus_packet.o vmbus_ring.o vmbus_outbox.o)
devices-objs += $(vmbus-objs)
vmbus-client-objs := tests/unit/devices/vmbus/vmbus_client.o core/log.o
vmbus-test-objs := $(vmbus-objs) core/event_loop.o core/guest_memory.o core/guest_access.o
tests/unit/devices/vmbus/vmbus_server_test-objs := $(vmbus-test-objs)
tests/unit/devices/vmbus/vmbus_channel_test-objs := $(vmbus-test-objs) $(vmbus-client-objs)
tests/unit/devices/vmbus/vmbus_ring_test-objs := devices/vmbus/vmbus_ring.o
tests/unit/devices/vmbus/vmbus_stress_test-objs := $(vmbus-test-objs) $(vmbus-client-objs)
tests/fuzz/vmbus_fuzz-objs := $(vmbus-test-objs) $(vmbus-client-objs) tests/fuzz/restless_memory.o
ldflags-tests/fuzz/vmbus_fuzz := -Wl,--wrap=guest_access_copy

# --- devices/pci/: what emulated functions are made of, and a driver's view of one in its own process
dma-pool-objs := devices/pci/dma_pool.o
pci-objs := $(addprefix devices/pci/,pci_config_space.o pci_msix.o pci_direct.o pci_inproc.o) $(dma-pool-objs)
relay-objs := devices/pci/pci_relay.o devices/pci/pci_relay_direct.o
vfio-objs := $(addprefix devices/pci/,vfio.o vfio_dma.o vfio_irq.o vfio_sysfs.o)
devices-objs += $(pci-objs) $(relay-objs) $(vfio-objs)
tests/unit/devices/pci/dma_pool_test-objs := $(dma-pool-objs)
pci-test-objs := $(pci-objs) core/event_loop.o core/guest_memory.o core/guest_access.o
tests/unit/devices/pci/pci_function_test-objs := $(pci-test-objs)
tests/unit/devices/pci/pci_direct_test-objs := $(addprefix devices/pci/,pci_config_space.o pci_msix.o pci_direct.o)
relay-test-objs := $(relay-objs) devices/pci/pci_config_space.o devices/pci/pci_msix.o core/log.o \
	tests/unit/devices/pci/fake_device.o
tests/unit/devices/pci/pci_relay_test-objs := $(relay-test-objs)
tests/unit/devices/pci/pci_relay_direct_test-objs := $(relay-test-objs)
tests/unit/devices/pci/pci_relay_stress_test-objs := $(relay-test-objs)
tests/fuzz/pci_relay_fuzz-objs := $(relay-test-objs)

# --- devices/vpci/: a PCI bus on VMBus, with one function
vpci-objs := $(addprefix devices/vpci/,vpci.o vpci_mmio.o vpci_interrupt.o vpci_set.o)
devices-objs += $(vpci-objs)
vpci-test-objs := $(vpci-objs) $(pci-objs) $(vmbus-test-objs) $(vmbus-client-objs) \
	$(addprefix tests/unit/devices/vpci/,test_function.o vpci_bus.o)
tests/unit/devices/vpci/vpci_test-objs := $(vpci-test-objs)
tests/unit/devices/vpci/vpci_set_test-objs := $(vpci-test-objs)
tests/unit/devices/vpci/vpci_stress_test-objs := $(vpci-test-objs)
tests/fuzz/vpci_fuzz-objs := $(vpci-test-objs)

# --- devices/nvme/: NVM Express controller for vtlhost's guests and for tests of drivers
nvme-emu-objs := $(addprefix devices/nvme/,nvme_emu.o nvme_emu_admin.o nvme_emu_backing.o \
	nvme_emu_command.o nvme_emu_data.o nvme_emu_fault.o nvme_emu_features.o nvme_emu_flush.o nvme_emu_identify.o nvme_emu_io.o \
	nvme_emu_lane.o nvme_emu_logs.o nvme_emu_namespace.o nvme_emu_queues.o nvme_emu_registers.o \
	nvme_emu_reservation.o nvme_emu_ring.o)
devices-objs += $(nvme-emu-objs)
nvme-emu-test-objs := $(nvme-emu-objs) $(pci-test-objs) tests/unit/devices/nvme/raw_driver.o
tests/unit/devices/nvme/nvme_emu_test-objs := $(nvme-emu-test-objs)
tests/unit/devices/nvme/nvme_emu_stress_test-objs := $(nvme-emu-test-objs)
tests/fuzz/nvme_emu_fuzz-objs := $(nvme-emu-test-objs) core/log.o

# --- devices/storage/: SCSI controller on VMBus, SCSI target, disks
scsi-objs := $(addprefix devices/storage/,scsi_lun.o scsi_block.o scsi_same.o scsi_inquiry.o \
	scsi_reserve.o scsi_dvd.o)
nvme-objs := $(addprefix devices/storage/,nvme.o nvme_admin.o nvme_controller.o nvme_issue.o \
	nvme_namespace.o nvme_prp.o nvme_queue.o nvme_reservation.o nvme_ring.o nvme_status.o)
storage-objs := $(scsi-objs) $(nvme-objs) $(addprefix devices/storage/,storvsp.o stripe.o disc_tray.o)
devices-objs += $(storage-objs)
core-objs += core/disk.o
storage-test-objs := $(storage-objs) core/disk.o devices/storage/file_disk.o $(vmbus-test-objs) \
	$(vmbus-client-objs)
tests/unit/devices/storage/storvsp_test-objs := $(storage-test-objs)
tests/unit/devices/storage/storvsp_stress_test-objs := $(storage-test-objs)
tests/fuzz/storvsp_fuzz-objs := $(storage-test-objs) tests/fuzz/restless_memory.o
ldflags-tests/fuzz/storvsp_fuzz := -Wl,--wrap=guest_access_copy
nvme-test-objs := $(addprefix tests/unit/devices/storage/,nvme_rig.o disk_suite.o) $(nvme-objs) $(nvme-emu-test-objs) \
	core/disk.o core/log.o
tests/fuzz/nvme_fuzz-objs := $(nvme-objs) core/disk.o core/event_loop.o core/guest_memory.o core/guest_access.o core/log.o
tests/unit/devices/storage/nvme_test-objs := $(nvme-test-objs)
tests/unit/devices/storage/nvme_stress_test-objs := $(nvme-test-objs)
tests/unit/devices/storage/stripe_test-objs := devices/storage/stripe.o devices/storage/file_disk.o core/disk.o \
	core/event_loop.o core/guest_memory.o core/guest_access.o

# --- devices/net/: network card on VMBus
netvsp-objs := $(addprefix devices/net/,netvsp.o netvsp_nvsp.o netvsp_rndis.o netvsp_oid.o netvsp_tx.o \
	netvsp_rx.o netvsp_rsc.o netvsp_queue.o netvsp_buffer.o rndis_packet.o)
devices-objs += $(netvsp-objs)
net-test-objs := $(netvsp-objs) core/net_frame.o core/tcp_unit.o devices/net/loopback_nic.o tests/unit/devices/net/netvsc.o \
	$(vmbus-test-objs) $(vmbus-client-objs)
net-card-test-objs := $(net-test-objs) tests/unit/devices/net/netvsp_card.o
tests/unit/devices/net/netvsp_test-objs := $(net-card-test-objs)
tests/unit/devices/net/netvsp_nvsp_test-objs := $(net-card-test-objs)
tests/unit/devices/net/netvsp_stress_test-objs := $(net-card-test-objs)
tests/unit/devices/net/netvsp_rsc_test-objs := $(net-card-test-objs) tests/unit/devices/net/tcp_frame.o
tests/unit/devices/net/rndis_packet_test-objs := devices/net/rndis_packet.o
tests/unit/core/tcp_unit_test-objs := core/tcp_unit.o core/net_frame.o tests/unit/devices/net/tcp_frame.o
tests/fuzz/netvsp_fuzz-objs := $(net-test-objs) tests/unit/devices/net/tcp_frame.o
tests/fuzz/tcp_unit_fuzz-objs := core/tcp_unit.o core/net_frame.o tests/unit/devices/net/tcp_frame.o

# --- devices/mana/: Microsoft Azure Network Adapter function, emulated
mana-function-objs := $(addprefix devices/mana/,mana_function.o mana_hwc.o mana_command.o mana_ring.o \
	mana_backlog.o mana_frames.o mana_uncut.o)
devices-objs += $(mana-function-objs)
core-objs += core/net_frame.o core/tcp_unit.o
tests/unit/core/net_frame_test-objs := core/net_frame.o

# --- devices/net/mana_nic*: the driver of such a function
mana-nic-objs := $(addprefix devices/net/,mana_nic.o mana_nic_setup.o mana_nic_hwc.o mana_nic_queue.o \
	mana_nic_data.o mana_nic_uncut.o mana_nic_poll.o mana_nic_ring.o)
devices-objs += $(mana-nic-objs)
mana-test-objs := $(sort $(mana-nic-objs) $(mana-function-objs) $(pci-objs) $(relay-objs) core/net_frame.o core/tcp_unit.o \
	$(addprefix tests/unit/devices/net/,memory_backend.o mana_machine.o) $(net-test-objs))
tests/unit/devices/net/mana_nic_test-objs := $(mana-test-objs)
tests/unit/devices/net/mana_liar_test-objs := $(mana-test-objs)
tests/unit/devices/net/mana_poll_test-objs := $(mana-test-objs)
tests/unit/devices/net/mana_uncut_test-objs := $(sort $(mana-test-objs) tests/unit/devices/net/tcp_frame.o)
ldflags-tests/unit/devices/net/mana_uncut_test := -Wl,--wrap=mana_command
ldflags-tests/unit/devices/net/mana_poll_test := -Wl,--wrap=event_loop_now_ns
tests/unit/devices/net/mana_stress_test-objs := $(sort $(mana-test-objs) tests/unit/devices/net/tcp_frame.o)
tests/fuzz/mana_nic_fuzz-objs := $(sort $(mana-test-objs) tests/unit/devices/net/tcp_frame.o)
mana-function-test-objs := $(sort $(mana-function-objs) $(pci-objs) core/net_frame.o core/tcp_unit.o core/log.o core/event_loop.o \
	core/guest_memory.o core/guest_access.o tests/unit/devices/net/memory_backend.o tests/unit/devices/mana/mana_driver.o)
tests/unit/devices/mana/mana_function_test-objs := $(mana-function-test-objs)
tests/unit/devices/mana/mana_uncut_test-objs := $(mana-function-test-objs) tests/unit/devices/net/tcp_frame.o
tests/unit/devices/mana/mana_direct_test-objs := $(mana-function-test-objs)
tests/fuzz/mana_function_fuzz-objs := $(mana-function-test-objs) tests/unit/devices/net/tcp_frame.o

# --- paravisor/: main, configuration, wiring, VP loop
paravisor-objs := $(addprefix paravisor/,main.o options.o topology.o vmbus.o machine.o vp.o crash.o exit.o exit_pio.o \
	exit_memory.o exit_emulate.o exit_msr.o exit_cpuid.o exit_hypercall.o hypercall.o \
	interrupt.o host_port.o counters.o sandbox.o start_state.o settings.o shim_log.o \
	get.o vmbus_uio.o guest_ram.o opener.o network.o relay.o)
paravisor-storage-objs := $(addprefix paravisor/,storage.o storage_change.o storage_function.o storage_unit.o)
paravisor-objs += $(paravisor-storage-objs)
paravisor-tpm-objs := $(addprefix paravisor/tpm/,event_log.o guest_state.o link.o measured_boot.o ppi.o state.o vtpm.o)
vtpm-interface-objs := tpm/interface.o tpm/crb.o tpm/tis.o
paravisor-objs += $(paravisor-tpm-objs) $(vtpm-interface-objs) tpm/store.o tpm/crypto/hash.o
tests/unit/paravisor/tpm/event_log_test-objs := paravisor/tpm/event_log.o paravisor/boot/byte_writer.o
tests/unit/paravisor/tpm/measured_boot_test-objs := paravisor/tpm/measured_boot.o paravisor/tpm/event_log.o \
	paravisor/boot/byte_writer.o tpm/crypto/hash.o core/guest_memory.o core/guest_access.o
exit-objs := $(addprefix paravisor/,exit.o exit_pio.o exit_memory.o exit_emulate.o exit_msr.o exit_cpuid.o \
	exit_hypercall.o hypercall.o machine.o crash.o) core/retarget.o core/event_loop.o vtl/vtl.o vtl/translate.o tests/unit/fake/fake_vtl.o \
	$(x86-objs) $(addprefix core/,guest_memory.o guest_access.o io_bus.o device_lock.o log.o x86/paging.o)
tests/unit/paravisor/exit_test-objs := $(exit-objs)
tests/unit/paravisor/hypercall_test-objs := paravisor/hypercall.o core/guest_memory.o core/guest_access.o core/retarget.o
tests/unit/paravisor/vp_test-objs := paravisor/vp.o core/event_loop.o core/log.o vtl/vtl.o tests/unit/fake/fake_vtl.o
tests/unit/paravisor/interrupt_test-objs := paravisor/interrupt.o vtl/vtl.o tests/unit/fake/fake_vtl.o \
	core/event_loop.o core/log.o
tests/unit/paravisor/relay_test-objs := $(sort paravisor/relay.o $(vpci-objs) $(relay-test-objs) $(vmbus-test-objs) \
	$(vmbus-client-objs) core/io_bus.o core/device_lock.o)
settings-objs := paravisor/settings.o core/json.o core/base64.o core/guid.o
tests/unit/paravisor/network_test-objs := $(sort paravisor/network.o paravisor/relay.o $(settings-objs) $(vpci-objs) \
	$(relay-test-objs) $(mana-test-objs) core/io_bus.o core/device_lock.o)
tests/unit/paravisor/vmbus_test-objs := paravisor/vmbus.o paravisor/interrupt.o vtl/vtl.o tests/unit/fake/fake_vtl.o \
	core/event_loop.o core/log.o
tests/unit/paravisor/host_port_test-objs := paravisor/host_port.o core/event_loop.o core/log.o
tests/unit/paravisor/options_test-objs := paravisor/options.o
tests/unit/paravisor/topology_test-objs := paravisor/topology.o
tests/unit/paravisor/shim_log_test-objs := paravisor/shim_log.o core/log.o
tests/unit/paravisor/settings_test-objs := $(settings-objs)
tests/fuzz/settings_fuzz-objs := $(settings-objs)
get-client-objs := paravisor/get.o tests/unit/paravisor/fake_uio.o core/event_loop.o core/log.o
tests/unit/paravisor/get_test-objs := $(get-client-objs)
tests/fuzz/get_client_fuzz-objs := $(get-client-objs)
tests/unit/paravisor/storage_test-objs := $(sort $(paravisor-storage-objs) $(settings-objs) $(storage-objs) core/disk.o \
	$(nvme-emu-objs) $(pci-objs) $(vmbus-test-objs) $(vmbus-client-objs))
tests/unit/paravisor/guest_ram_test-objs := paravisor/guest_ram.o core/guest_memory.o core/guest_access.o
tests/fuzz/intercept_message_fuzz-objs := $(exit-objs) vtl/mshv_decode.o
tests/fuzz/hypercall_fuzz-objs := paravisor/hypercall.o core/guest_memory.o core/guest_access.o core/retarget.o
tests/fuzz/topology_fuzz-objs := paravisor/topology.o

# --- paravisor/boot/: memory map, firmware tables and kernel loader for VTL0
boot-objs := $(addprefix paravisor/boot/,memory_map.o byte_writer.o aml.o acpi.o acpi_namespace.o acpi_ppi.o \
	smbios.o bzimage.o elf_image.o image_load.o entry_state.o boot_params.o firmware_tables.o \
	linux_boot.o firmware.o)
guest-memory-objs := core/guest_memory.o core/guest_access.o
boot-test-objs := tests/unit/paravisor/boot/boot_guest.o $(guest-memory-objs)
tests/unit/paravisor/boot/memory_map_test-objs := paravisor/boot/memory_map.o $(guest-memory-objs)
tests/unit/paravisor/boot/aml_test-objs := paravisor/boot/aml.o paravisor/boot/byte_writer.o
tests/unit/paravisor/boot/acpi_test-objs := $(addprefix paravisor/boot/,acpi.o acpi_namespace.o acpi_ppi.o \
	aml.o byte_writer.o)
tests/unit/paravisor/boot/smbios_test-objs := paravisor/boot/smbios.o paravisor/boot/byte_writer.o
tests/unit/paravisor/boot/linux_boot_test-objs := $(boot-objs) $(boot-test-objs)
tests/unit/paravisor/boot/image_load_test-objs := $(boot-objs) $(boot-test-objs)
tests/unit/paravisor/boot/firmware_test-objs := $(boot-objs) $(boot-test-objs)
tests/fuzz/linux_loader_fuzz-objs := $(boot-objs) $(guest-memory-objs)

# --- tpm/: TPM engine, interfaces, stand-alone server (vtpmd-objs has its main)
tests/unit/core/sha256_block_test-objs := core/sha256_block.o
tpm-crypto-objs := tpm/crypto/cmac.o tpm/crypto/der.o tpm/crypto/drbg.o tpm/crypto/ecc.o tpm/crypto/fermat.o tpm/crypto/hash.o \
	tpm/crypto/kdf.o tpm/crypto/mont8.o tpm/crypto/prime.o tpm/crypto/rsa.o tpm/crypto/sym.o
tpm-engine-objs := tpm/engine/act.o tpm/engine/attest.o tpm/engine/audit.o tpm/engine/buf.o tpm/engine/capability.o \
	tpm/engine/clock.o tpm/engine/command.o tpm/engine/command_table.o tpm/engine/context.o \
	tpm/engine/crypto_cmd.o tpm/engine/da.o tpm/engine/duplicate_cmd.o tpm/engine/ecc_cmd.o tpm/engine/entity.o \
	tpm/engine/execute.o tpm/engine/hash_cmd.o tpm/engine/hierarchy.o tpm/engine/nv.o \
	tpm/engine/nv_cmd.o tpm/engine/object.o tpm/engine/object_check.o tpm/engine/object_cmd.o \
	tpm/engine/object_create.o tpm/engine/pcr.o tpm/engine/pcr_cmd.o tpm/engine/persist.o \
	tpm/engine/policy.o tpm/engine/policy_auth.o tpm/engine/policy_nv.o tpm/engine/protect.o \
	tpm/engine/selftest.o tpm/engine/session.o tpm/engine/session_auth.o tpm/engine/sign.o \
	tpm/engine/startup.o tpm/engine/types.o tpm/engine/types_write.o tpm/engine/x509.o
tpm-objs := $(tpm-crypto-objs) $(tpm-engine-objs) tpm/store.o
vtpmd-objs := tpm/vtpmd.o tpm/vtpmd_options.o tpm/option_value.o tpm/server.o tpm/instance.o tpm/mssim.o tpm/store_file.o \
	tpm/swtpm_ctrl.o
# What makes a TPM's state before its first use.
vtpm-setup-parts := $(addprefix tpm/setup/,ek.o ek_cert.o exchange.o issuer.o manufacture.o options.o)
vtpm-setup-objs := tpm/setup/vtpm_setup.o $(vtpm-setup-parts) tpm/option_value.o tpm/instance.o tpm/store_file.o
# The vTPM's process in VTL2.
vtpm-objs := tpm/vtpm.o tpm/vtpm_serve.o tpm/link.o tpm/confine.o tpm/instance.o tpm/setup/ek.o tpm/setup/exchange.o
tests/fuzz/vtpm_link_fuzz-objs := paravisor/tpm/link.o paravisor/tpm/state.o tpm/store.o \
	core/device_lock.o core/event_loop.o core/log.o
tests/unit/paravisor/tpm/guest_state_test-objs := paravisor/tpm/guest_state.o paravisor/tpm/state.o tpm/store.o
tests/unit/paravisor/tpm/vtpm_test-objs := $(addprefix paravisor/tpm/,link.o ppi.o state.o vtpm.o) $(vtpm-interface-objs) \
	tpm/vtpm_serve.o tpm/link.o tpm/instance.o tpm/store.o tpm/setup/ek.o tpm/setup/exchange.o \
	$(tpm-crypto-objs) $(tpm-engine-objs) $(addprefix core/,device_lock.o event_loop.o io_bus.o log.o)
tests/unit/tpm/crypto_test-objs := $(tpm-crypto-objs)
tests/unit/tpm/der_test-objs := tpm/crypto/der.o
tests/unit/tpm/engine_test-objs := $(tpm-crypto-objs) $(tpm-engine-objs)
tests/unit/tpm/act_test-objs := $(tpm-crypto-objs) $(tpm-engine-objs)
tests/unit/tpm/kat_test-objs := $(tpm-crypto-objs) $(tpm-engine-objs)
tests/unit/tpm/x509_test-objs := $(tpm-crypto-objs) $(tpm-engine-objs)
tests/unit/tpm/store_test-objs := tpm/store.o
vtpmd-test-objs := tpm/swtpm_ctrl.o tpm/mssim.o tpm/instance.o tpm/store.o $(tpm-crypto-objs) $(tpm-engine-objs)
tests/unit/tpm/swtpm_ctrl_test-objs := $(vtpmd-test-objs)
tests/unit/tpm/server_test-objs := tpm/server.o $(vtpmd-test-objs)
tests/unit/tpm/vtpmd_options_test-objs := tpm/vtpmd_options.o tpm/option_value.o
tests/fuzz/vtpmd_fuzz-objs := $(vtpmd-test-objs)
tests/unit/tpm/crb_test-objs := tpm/crb.o tpm/interface.o
tests/unit/tpm/tis_test-objs := tpm/tis.o tpm/interface.o
tests/fuzz/tpm_registers_fuzz-objs := $(vtpm-interface-objs)
tests/fuzz/tpm_command_fuzz-objs := tests/fuzz/tpm_grammar.o $(tpm-crypto-objs) $(tpm-engine-objs)
tests/fuzz/tpm_state_fuzz-objs := $(tpm-crypto-objs) $(tpm-engine-objs)

# --- igvm/: image format and builder
igvm-reader-objs := igvm/reader.o igvm/reader_check.o igvm/layout.o igvm/crc32.o
igvm-objs := $(igvm-reader-objs) $(addprefix igvm/,writer.o measure.o content.o elf_file.o region.o \
	vp_state.o image.o manifest.o sign.o)
igvmtool-objs := $(addprefix igvm/,igvmtool.o tool.o tool_build.o tool_diff.o tool_dump.o \
	tool_extract.o tool_measure.o tool_sign.o)
tests/unit/igvm/igvm_file_test-objs := $(igvm-reader-objs) igvm/writer.o
tests/fuzz/igvm_image_fuzz-objs := $(igvm-objs)
tests/fuzz/igvm_fuzz-objs := $(igvm-reader-objs) igvm/measure.o igvm/content.o

# --- igvm/shim/: boot shim, the image's entry point. Its parts that need no machine are tested on the host.
shim-common-objs := $(addprefix igvm/shim/,command_line.o host_tree.o isolation.o linux_tree.o log.o \
	machine.o page_tables.o params.o prepare.o)
shim-objs := igvm/shim/entry.o $(shim-common-objs) igvm/shim/main.o igvm/shim/string.o
shim-libfdt := fdt.o fdt_addresses.o fdt_check.o fdt_ro.o fdt_sw.o
shim-test-objs := $(shim-common-objs) tests/unit/igvm/shim/shim_region.o paravisor/topology.o
tests/unit/igvm/shim/shim_test-objs := $(shim-test-objs)
tests/fuzz/shim_fuzz-objs := $(shim-test-objs)

# --- host/: vtlhost, VSM on Linux/KVM
host-objs := host/main.o host/options.o host/option_value.o host/disk_option.o host/console.o host/kvm.o host/memory.o \
	host/partition.o host/vp.o host/vtl_switch.o host/registers.o host/msr.o host/cpuid.o \
	host/synic.o host/stimer.o host/stimer_kvm.o host/reference_time.o host/hypercall.o \
	host/hypercall_vp.o host/hypercall_memory.o host/hypercall_signal.o host/level_routes.o \
	host/translate.o host/fault.o host/direct.o host/intercept.o host/exit.o host/vtl2_uart.o \
	host/host_port.o host/vmbus.o host/vpci.o host/device_tree.o
host-objs += host/file_map.o host/payload.o host/igvm_loader.o host/igvm_parameters.o host/igvm_tables.o \
	host/shim_log.o
host-objs += host/crash.o host/devices.o host/monitor.o host/disks.o host/get.o host/vmgs.o host/settings.o host/net.o host/net_backend.o \
	host/net_offload.o host/net_open.o host/net_option.o host/net_split.o host/guest_view.o
host-test-objs := tests/unit/host/fake_partition.o host/shim_log.o host/hypercall.o host/hypercall_vp.o \
	host/hypercall_memory.o host/hypercall_signal.o host/registers.o host/msr.o host/crash.o \
	host/synic.o host/stimer.o host/stimer_kvm.o host/reference_time.o host/memory.o host/translate.o \
	host/level_routes.o core/x86/x86.o core/x86/paging.o core/log.o core/retarget.o
tests/unit/host/hypercall_test-objs := $(host-test-objs)
tests/unit/host/synic_test-objs := $(host-test-objs)
tests/unit/host/stimer_test-objs := $(host-test-objs)
tests/unit/host/direct_test-objs := $(sort $(host-test-objs) host/direct.o $(x86-objs))
tests/unit/host/igvm_loader_test-objs := $(host-test-objs) host/igvm_loader.o host/igvm_parameters.o \
	host/igvm_tables.o host/payload.o host/file_map.o host/device_tree.o $(igvm-reader-objs) igvm/writer.o \
	$(shim-common-objs) tests/unit/igvm/shim/shim_region.o
tests/unit/host/options_test-objs := core/key_file.o host/options.o host/option_value.o host/disk_option.o host/net_option.o \
	devices/nvme/nvme_emu_fault.o
tests/unit/host/net_split_test-objs := host/net_split.o
tests/unit/host/net_offload_test-objs := host/net_offload.o core/net_frame.o core/log.o
tests/unit/host/guest_view_test-objs := host/guest_view.o host/memory.o core/guest_memory.o core/guest_access.o
tests/unit/host/net_backend_test-objs := host/net_backend.o host/net_offload.o host/net_open.o host/net_option.o host/option_value.o \
	core/event_loop.o core/log.o core/net_frame.o
get-test-objs := host/get.o host/vmgs.o $(vmbus-test-objs) $(vmbus-client-objs)
tests/unit/host/get_test-objs := $(get-test-objs)
tests/unit/host/monitor_test-objs := host/monitor.o host/option_value.o host/disk_option.o devices/nvme/nvme_emu_fault.o
tests/unit/host/settings_test-objs := host/settings.o $(settings-objs)
tests/fuzz/get_fuzz-objs := $(get-test-objs)
tests/fuzz/host_hypercall_fuzz-objs := $(host-test-objs)

# --- host/tcg-init.c: PID 1 of the outer machine when KVM runs inside QEMU TCG
tcg-init-objs := $(patsubst %.c,%.o,$(wildcard host/tcg-init.c))

# --- host/tsc-khz.c: what the front end tells that machine's kernel
tsc-khz-objs := host/tsc-khz.o

# --- initrd/: PID 1 of VTL2; mkcpio packs initramfs images
init-objs := $(patsubst %.c,%.o,$(wildcard initrd/init.c))
mkcpio-objs := $(patsubst %.c,%.o,$(wildcard initrd/mkcpio.c))

# --- tests/guests/: freestanding guests that end-to-end tests boot, each NAME.c and the runtime
guests := end exits fuzz isolation timers
guest-runtime := start.S exceptions.S runtime.c

# ---------------------------------------------------------------------------------------------
# Programs: build/rel/NAME from NAME-link.  A program whose own list is empty is not built.

paravisor-link := $(if $(paravisor-objs),$(paravisor-objs) $(boot-objs) $(vtl-objs) $(devices-objs) \
	$(core-objs) $(proto-objs))
vtlhost-link   := $(if $(host-objs),$(host-objs) $(igvm-reader-objs) $(vmbus-objs) $(vpci-objs) $(pci-objs) $(nvme-emu-objs) $(mana-function-objs) $(core-objs) $(proto-objs))
vtpmd-link     := $(if $(vtpmd-objs),$(vtpmd-objs) $(tpm-objs) $(core-objs) $(proto-objs))
vtpm-setup-link := $(vtpm-setup-objs) $(tpm-objs) core/key_file.o
igvmtool-link  := $(igvmtool-objs) $(igvm-objs)
vtpm-link      := $(if $(vtpm-objs),$(vtpm-objs) $(tpm-objs) $(core-objs))
init-link      := $(init-objs)
tcg-init-link  := $(tcg-init-objs)
mkcpio-link    := $(mkcpio-objs)
tsc-khz-link   := $(tsc-khz-objs)
plain_kvm-link := tests/bench/plain_kvm.o
tpm_latency-link := tests/bench/tpm_latency.o
ldflags-storage_iops := -Wl,--wrap=malloc,--wrap=free
storage_iops-link := tests/bench/storage_iops.o $(storage-objs) $(nvme-emu-objs) $(pci-objs) $(vmbus-objs) $(core-objs)
net_rate-link := tests/bench/net_rate.o $(addprefix tests/unit/devices/,net/mana_machine.o net/netvsc.o \
	net/memory_backend.o net/tcp_frame.o vmbus/vmbus_client.o) $(netvsp-objs) $(mana-nic-objs) $(mana-function-objs) $(pci-objs) $(relay-objs) \
	$(vmbus-objs) $(core-objs)
nvme_vfio-link := tests/vfio/nvme_vfio.o tests/unit/devices/storage/disk_suite.o $(nvme-objs) $(vfio-objs) $(dma-pool-objs) \
	$(core-objs)

programs := paravisor vtlhost vtpm vtpmd vtpm-setup init tcg-init mkcpio tsc-khz plain_kvm tpm_latency storage_iops net_rate nvme_vfio
programs += igvmtool

# --- tests/e2e/nvme_init.c: PID 1 of a VTL2 with Linux's own NVMe driver
nvme-init-link := tests/e2e/nvme_init.o
programs += nvme-init

# --- tests/e2e/kexec.c: in a guest
kexec-link := tests/e2e/kexec.o
programs += kexec

shim_count-link := tests/bench/shim_count.o $(host-test-objs) host/igvm_loader.o host/igvm_parameters.o \
	host/igvm_tables.o host/payload.o host/file_map.o host/device_tree.o $(igvm-reader-objs)
programs += shim_count

# ---------------------------------------------------------------------------------------------
# Tools and flags.

ENTRESOL_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/entresol
export ENTRESOL_CACHE

B  := build
TP := $(B)/third-party

first-tool = $(or $(firstword $(foreach t,$1,$(shell command -v $(t) 2>/dev/null))),$(firstword $1))
MUSL_CC := musl-gcc
SAN_CC  := gcc
FUZZ_CC := $(call first-tool,clang-14 clang-19 clang-18 clang-17 clang-16 clang-15 clang)
TIDY    := $(call first-tool,clang-tidy-14 clang-tidy-19 clang-tidy)
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' $1 $2)

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wwrite-strings -Wundef -Wformat=2 -Werror
common := -std=gnu11 -g $(warnings) -D_GNU_SOURCE -I. -ffile-prefix-map=$(CURDIR)=. \
	-fno-strict-aliasing -pthread

rel-cflags := -O2 -ffunction-sections -fdata-sections -fno-plt -fno-pie \
	-fstack-protector-strong -ftrivial-auto-var-init=zero -fcf-protection=none \
	-isystem $(TP)/musl/include -isystem $(TP)/uapi/include
rel-ldflags := -static -no-pie -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=none
rel-libs := -L$(TP)/musl/lib -lfdt -lmbedx509 -lmbedcrypto

san-flags := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
san-cflags := -O1 $(san-flags) -isystem $(TP)/glibc/include -isystem $(TP)/uapi/include -DENTRESOL_SAN
san-libs := -L$(TP)/glibc/lib -lfdt -lmbedx509 -lmbedcrypto -lcmocka

# Unit tests with threads of their own run under ThreadSanitizer too: add them to tsan-tests.
tsan-tests := tests/unit/devices/vmbus/vmbus_stress_test tests/unit/devices/vpci/vpci_stress_test \
	tests/unit/devices/pci/pci_relay_stress_test tests/unit/devices/nvme/nvme_emu_stress_test \
	tests/unit/devices/storage/storvsp_stress_test tests/unit/devices/net/netvsp_stress_test tests/unit/devices/net/mana_stress_test \
	tests/unit/devices/storage/nvme_stress_test tests/unit/paravisor/storage_test tests/unit/host/get_test
# It does not model fences. Those here order accesses to a device's or guest's memory, which it does not see.
tsan-flags := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
tsan-cflags := -O1 $(tsan-flags) -isystem $(TP)/glibc/include -isystem $(TP)/uapi/include
tsan-bins := $(addprefix $(B)/tsan/,$(tsan-tests))
tsan-objs = $(sort $(foreach t,$(tsan-tests),$(t).o $($(t)-objs)))

fuzz-flags := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz-cflags := -O1 $(fuzz-flags) -fsanitize=fuzzer-no-link -isystem $(TP)/glibc/include \
	-isystem $(TP)/uapi/include -DENTRESOL_FUZZ
fuzz-libs := -L$(TP)/glibc/lib -lfdt -lmbedcrypto

# Unit tests and fuzz targets that count which lines they reach.
cov-flags := -fprofile-instr-generate -fcoverage-mapping
cov-cflags := -O1 $(cov-flags) -mllvm -runtime-counter-relocation -isystem $(TP)/glibc/include -isystem $(TP)/uapi/include

# ---------------------------------------------------------------------------------------------
# What there is to build.

unit-tests   := $(sort $(patsubst %.c,%,$(wildcard tests/unit/*/*/*_test.c \
	tests/unit/*/*_test.c tests/unit/*_test.c)))
fuzz-targets := $(sort $(patsubst %.c,%,$(wildcard tests/fuzz/*_fuzz.c)))
unit-bins    := $(addprefix $(B)/san/,$(unit-tests))
fuzz-bins    := $(addprefix $(B)/fuzz/,$(fuzz-targets))
# A program named like a folder gets .elf: the folder's objects are where it would be.
program-file  = $(B)/rel/$1$(if $(wildcard $1/),.elf)
rel-bins     := $(foreach p,$(programs),$(if $($(p)-link),$(call program-file,$(p))))

rel-objs  := $(sort $(foreach p,$(programs),$($(p)-link)) $(proto-objs) $(core-objs) $(vtl-objs) \
	$(devices-objs) $(paravisor-objs) $(boot-objs) $(tpm-objs) $(igvm-objs) $(igvmtool-objs))
san-objs  := $(sort $(foreach t,$(unit-tests),$(t).o $($(t)-objs)) $(igvmtool-link) $(vtpm-setup-link))
fuzz-objs := $(sort $(foreach t,$(fuzz-targets),$(t).o $($(t)-objs)))
sources   := $(patsubst %.o,%.c,$(sort $(rel-objs) $(filter-out tests/%,$(san-objs) $(fuzz-objs))))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

## help: this list
help:
	@sed -n 's/^## /  make /p' $(MAKEFILE_LIST)
.PHONY: help

# ---------------------------------------------------------------------------------------------
# What comes from elsewhere: packages, third-party sources, the VTL2 kernel.

## setup: install packages, fetch and build third-party code and the VTL2 kernel (all cached)
setup: $(B)/.packages $(TP)/.complete $(B)/rel/vtl2/vmlinux
.PHONY: setup

$(B)/.packages: host/setup/packages
	@mkdir -p $(@D)
	@host/setup/packages
	@touch $@

# In the cache, through a link: a deleted cache is noticed.
$(TP)/.complete: host/setup/third-party | $(B)/.packages
	@host/setup/third-party
	@touch $@

$(B)/rel/vtl2/vmlinux: kernel-config/vtl2.config kernel-config/build | $(B)/.packages
	@kernel-config/build $(@D)

# ---------------------------------------------------------------------------------------------
# Compiling.  A change of flags rebuilds a flavour; a change of a list does not.

define flavour-rules
$(B)/$1/.flags: FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$2 $(common) $($1-cflags)' | cmp -s - $$@ || \
		printf '%s\n' '$2 $(common) $($1-cflags)' > $$@

$(B)/$1/%.o: %.c $(B)/$1/.flags | $(TP)/.complete
	$$(call say,CC-$1,$$<)
	@mkdir -p $$(@D)
	$$(Q)$2 $$(common) $$($1-cflags) $$(cflags-$$<) -MMD -MP -c -o $$@ $$<

# What mbedTLS is built to find outside itself.
$(B)/$1/mbed-parts.a: $(B)/$1/core/sha256_block.o
	$$(Q)rm -f $$@ && ar rcsD $$@ $$^
endef
FORCE:

$(eval $(call flavour-rules,rel,$(MUSL_CC)))
$(eval $(call flavour-rules,san,$(SAN_CC)))
$(eval $(call flavour-rules,fuzz,$(FUZZ_CC)))
$(eval $(call flavour-rules,tsan,$(SAN_CC)))
$(eval $(call flavour-rules,cov,$(FUZZ_CC)))

$(foreach f,rel san fuzz tsan cov,$(eval -include $(B)/$f/core/sha256_block.d))
-include $(patsubst %.o,$(B)/rel/%.d,$(rel-objs))
-include $(patsubst %.o,$(B)/san/%.d,$(san-objs))
-include $(patsubst %.o,$(B)/fuzz/%.d,$(fuzz-objs))
-include $(patsubst %.o,$(B)/tsan/%.d,$(tsan-objs))

define program-rule
$(call program-file,$1): $(addprefix $(B)/rel/,$($1-link) mbed-parts.a)
	$$(call say,LD,$$@)
	$$(Q)$(MUSL_CC) $$(common) $$(rel-ldflags) $$(ldflags-$1) -o $$@ $$(filter %.o,$$^) $$(rel-libs) $$(filter %.a,$$^)
endef
$(foreach p,$(programs),$(if $($(p)-link),$(eval $(call program-rule,$(p)))))

define unit-rule
$(B)/san/$1: $(addprefix $(B)/san/,$1.o $($1-objs) mbed-parts.a)
	$$(call say,LD-san,$$@)
	$$(Q)$(SAN_CC) $$(common) $$(san-flags) -o $$@ $$(filter %.o,$$^) $$(ldflags-$1) $$(san-libs) $$(filter %.a,$$^)
endef
$(foreach t,$(unit-tests),$(eval $(call unit-rule,$(t))))

define tsan-rule
$(B)/tsan/$1: $(addprefix $(B)/tsan/,$1.o $($1-objs) mbed-parts.a)
	$$(call say,LD-tsan,$$@)
	$$(Q)$(SAN_CC) $$(common) $$(tsan-flags) -o $$@ $$(filter %.o,$$^) $$(san-libs) $$(filter %.a,$$^)
endef
$(foreach t,$(tsan-tests),$(eval $(call tsan-rule,$(t))))

define fuzz-rule
$(B)/fuzz/$1: $(addprefix $(B)/fuzz/,$1.o $($1-objs) mbed-parts.a)
	$$(call say,LD-fuzz,$$@)
	$$(Q)$(FUZZ_CC) $$(common) $$(fuzz-flags) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) $$(ldflags-$1) $$(fuzz-libs) $$(filter %.a,$$^)
endef
$(foreach t,$(fuzz-targets),$(eval $(call fuzz-rule,$(t))))

define cov-rule
$(B)/cov/$1: $(addprefix $(B)/cov/,$1.o $($1-objs) mbed-parts.a)
	$$(call say,LD-cov,$$@)
	$$(Q)$(FUZZ_CC) $$(common) $$(cov-flags) $2 -o $$@ $$(filter %.o,$$^) $$(ldflags-$1) $$(san-libs) $$(filter %.a,$$^)
endef
$(foreach t,$(unit-tests),$(eval $(call cov-rule,$(t),)))
$(foreach t,$(fuzz-targets),$(eval $(call cov-rule,$(t),-fsanitize=fuzzer)))

guest-cflags := -std=gnu11 -g -O2 $(filter-out -Wpointer-arith,$(warnings)) -I. -ffile-prefix-map=$(CURDIR)=. -ffreestanding \
	-fno-builtin -nostdlib -static -fno-pic -no-pie -fcf-protection=none -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -mno-red-zone -mgeneral-regs-only \
	-Wl,-T,tests/guests/guest.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments

guest-c-bins := $(addprefix $(B)/rel/tests/guests/,$(guests))
guest-bins := $(guest-c-bins) $(B)/rel/tests/guests/firmware
$(guest-c-bins): $(B)/rel/tests/guests/%: tests/guests/%.c $(addprefix tests/guests/,$(guest-runtime)) \
		$(wildcard tests/guests/*.h proto/*.h) tests/guests/guest.ld
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) $(guest-cflags) -o $@ $(addprefix tests/guests/,$(guest-runtime)) $<

# A flat image that ends at 4 GiB.
$(B)/rel/tests/guests/firmware: tests/guests/firmware.S
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-Ttext=0,-e,reset \
		-Wl,--oformat=binary -o $@ $<

# The boot shim: no C library, no relocations, general registers only (SSE is not on yet).
shim-cflags := -std=gnu11 -g -Os $(warnings) -D_GNU_SOURCE -I. -ffile-prefix-map=$(CURDIR)=. -ffreestanding \
	-fno-builtin -fpie -fvisibility=hidden -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-jump-tables \
	-fno-tree-loop-distribute-patterns -ffunction-sections -ftrivial-auto-var-init=zero \
	-isystem $(TP)/libfdt
shim-dir := $(B)/rel/shim

$(shim-dir)/.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(shim-cflags)' | cmp -s - $@ || printf '%s\n' '$(shim-cflags)' > $@

$(shim-dir)/%.o: %.c $(shim-dir)/.flags | $(TP)/.complete
	$(call say,CC-shim,$<)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) $(shim-cflags) -MMD -MP -c -o $@ $<

$(shim-dir)/%.o: %.S $(shim-dir)/.flags
	$(call say,AS-shim,$<)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) $(shim-cflags) -c -o $@ $<

$(addprefix $(shim-dir)/libfdt/,$(shim-libfdt)): $(shim-dir)/libfdt/%.o: $(shim-dir)/.flags | $(TP)/.complete
	$(call say,CC-shim,libfdt/$*.c)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) $(filter-out $(warnings),$(shim-cflags)) -c -o $@ $(TP)/libfdt/$*.c

-include $(patsubst %.o,$(shim-dir)/%.d,$(shim-objs))

# Nobody applies relocations: an absolute address in what is loaded fails the build.
$(B)/rel/igvm/shim.elf: $(addprefix $(shim-dir)/,$(shim-objs) $(addprefix libfdt/,$(shim-libfdt))) igvm/shim/shim.ld
	$(call say,LD-shim,$@)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) -nostdlib -static -no-pie -Wl,-T,igvm/shim/shim.ld -Wl,--gc-sections,--emit-relocs \
		-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments -o $@.relocs $(filter %.o,$^)
	$(Q)! readelf -rW $@.relocs | sed '/debug/,/^$$/d' | grep -E 'R_X86_64_(64|32S?|16|8) ' || \
		{ echo "the shim has absolute addresses" >&2; false; }
	$(Q)objcopy --strip-debug --remove-relocations='*' $@.relocs $@

# What VTL2 boots: programs without symbols in a reproducible initramfs. (The same binary with
# symbols is in build/rel/.)
$(B)/rel/vtl2/init: $(call program-file,init)
$(B)/rel/vtl2/paravisor: $(call program-file,paravisor)
$(B)/rel/vtl2/vtpm: $(call program-file,vtpm)
$(B)/rel/vtl2/init $(B)/rel/vtl2/paravisor $(B)/rel/vtl2/vtpm:
	@mkdir -p $(@D)
	$(Q)strip -s -o $@ $<

$(B)/rel/vtl2/initrd.cpio: initrd/initrd.manifest $(B)/rel/mkcpio \
		$(addprefix $(B)/rel/vtl2/,init paravisor vtpm)
	$(call say,CPIO,$@)
	$(Q)$(B)/rel/mkcpio $< $@

vtl2-files := $(B)/rel/vtl2/vmlinux $(if $(paravisor-objs),$(B)/rel/vtl2/initrd.cpio)

# The page at which TDX's VPs start.
$(B)/rel/igvm/reset_vector.o: igvm/reset_vector.S
	$(call say,AS-rel,$<)
	@mkdir -p $(@D)
	$(Q)$(SAN_CC) -c -o $@ $<

$(B)/rel/igvm/reset_vector.bin: $(B)/rel/igvm/reset_vector.o
	$(call say,LD,$@)
	$(Q)ld --section-start=.page=0xfffff000 --section-start=.reset=0xfffffff0 -e reset_start -o $@.elf $<
	$(Q)objcopy -O binary -j .page -j .reset --gap-fill 0 $@.elf $@

# The image that a host loads; its measurement is printed and kept in the side-car beside it.
$(B)/rel/paravisor.igvm: igvm/paravisor.manifest $(B)/rel/igvmtool $(B)/rel/igvm/shim.elf $(vtl2-files)
	$(call say,IGVM,$@)
	$(Q)$(B)/rel/igvmtool build $< $@

## build: build everything, run nothing
build: $(rel-bins) $(vtl2-files) $(B)/rel/paravisor.igvm $(B)/rel/igvm/shim.elf $(guest-bins) $(unit-bins) $(fuzz-bins) $(addprefix $(B)/rel/,$(rel-objs))
.PHONY: build

# ---------------------------------------------------------------------------------------------
# Running.

## runtime: build what ./entresol run needs, and no tests
runtime: $(addprefix $(B)/rel/,vtlhost igvmtool tcg-init mkcpio tsc-khz igvm/shim.elf) $(vtl2-files)
.PHONY: runtime

## run: boot a guest at VTL0, with a network (NET=); DISK= (several, by blanks) FRESH=1 GUEST= KERNEL= INITRD= APPEND= CPUS= MEMORY= TIMEOUT= LOG= (see ./entresol help)
run: export NET := $(or $(NET),auto)
run: runtime
	@set --; \
	$(foreach o,GUEST KERNEL INITRD APPEND CPUS MEMORY TIMEOUT NET LOG,$(run-option)) \
	for disk in $$DISK; do set -- "$$@" --disk "$$disk"; done; \
	[ -z "$$FRESH" ] || set -- "$$@" --fresh; \
	exec ./entresol run "$$@"
.PHONY: run

# Through the environment, where make puts what is set on its command line: no quoting to get wrong.
run-option = [ -z "$${$o+set}" ] || set -- "$$@" --$(shell echo $o | tr A-Z a-z) "$$$o";

# ---------------------------------------------------------------------------------------------
# Testing.

# What a target with ONLY=PATTERN works on.
pick = $(if $(ONLY),$(foreach n,$1,$(if $(findstring $(ONLY),$n),$n)),$1)

## test: what must pass at every landing (unit, tsan, igvm-test, tpm-setup-test, fuzz-smoke, e2e)
test: unit tsan igvm-test tpm-setup-test fuzz-smoke e2e
.PHONY: test

## unit: every unit test under ASan + UBSan (ONLY=PATTERN picks some)
unit: $(call pick,$(unit-bins))
	@tests/run-unit $(call pick,$(unit-bins))
.PHONY: unit

## tsan: unit tests with threads under ThreadSanitizer (whose memory layout ASLR can upset)
tsan: $(call pick,$(tsan-bins))
	@setarch -R tests/run-unit $(call pick,$(tsan-bins))
.PHONY: tsan

# igvmtool under the sanitizers, for its tests.
$(B)/san/igvmtool: $(addprefix $(B)/san/,$(igvmtool-link) mbed-parts.a)
	$(call say,LD-san,$@)
	$(Q)$(SAN_CC) $(common) $(san-flags) -o $@ $(filter %.o,$^) $(san-libs) $(filter %.a,$^)

## igvm-test: igvmtool against a second implementation of the format and of what platforms measure
igvm-test: $(B)/san/igvmtool $(B)/rel/paravisor.igvm $(B)/rel/igvm/reset_vector.bin
	@tests/igvm/test_igvmtool.py $(B)/san/igvmtool $(B)/rel/paravisor.igvm
	@tests/igvm/reset-vector $(B)/rel/igvm/reset_vector.o $(B)/rel/igvm/reset-test
	@igvm/check-size $(B)/rel
.PHONY: igvm-test

FUZZ_SMOKE_SECONDS ?= 5
FUZZ_SECONDS ?= 600

## fuzz-smoke: each fuzz target over its corpus, then FUZZ_SMOKE_SECONDS (5) of fuzzing
fuzz-smoke: $(call pick,$(fuzz-bins))
	@FUZZ_SEED=1 tests/run-fuzz $(FUZZ_SMOKE_SECONDS) $(call pick,$(fuzz-bins))
.PHONY: fuzz-smoke

## fuzz: FUZZ_SECONDS (600) of each fuzz target (ONLY=PATTERN picks some)
fuzz: $(call pick,$(fuzz-bins))
	@tests/run-fuzz $(FUZZ_SECONDS) $(call pick,$(fuzz-bins))
.PHONY: fuzz

## coverage: lines of FOLDER (tpm) that its unit tests and its fuzz targets' corpora reach
FOLDER ?= tpm
cov-bins = $(addprefix $(B)/cov/,$(foreach t,$(unit-tests) $(fuzz-targets),\
	$(if $(filter $(FOLDER)/%,$($(t)-objs)),$t)))
coverage: $(cov-bins)
	@host/setup/packages coverage
	@tests/coverage $(FOLDER) $(cov-bins)
.PHONY: coverage

run-if-there = @if [ -x $1 ]; then exec $1; else echo "$1 is not there: skipped"; fi

## e2e: boot real guests and check what they print
e2e: build
	$(call run-if-there,tests/e2e/run)
.PHONY: e2e

## nvme-linux-test: Linux's own NVMe driver on the emulated controller (builds a kernel that has it)
nvme-linux-test: $(addprefix $(B)/rel/,vtlhost igvmtool igvm/shim.elf tcg-init mkcpio tsc-khz nvme-init) $(guest-bins)
	@tests/e2e/nvme-linux
.PHONY: nvme-linux-test

# vtpm-setup under the sanitizers, for its tests.
$(B)/san/vtpm-setup: $(addprefix $(B)/san/,$(vtpm-setup-link) mbed-parts.a)
	$(call say,LD-san,$@)
	$(Q)$(SAN_CC) $(common) $(san-flags) -o $@ $(filter %.o,$^) $(san-libs) $(filter %.a,$^)

## tpm-setup-test: vtpm-setup's states and certificates, by OpenSSL, vtpmd and (where installed) tpm2-tools
tpm-setup-test: $(B)/san/vtpm-setup $(B)/rel/vtpmd
	@tests/tpm/setup-test $(B)/san/vtpm-setup $(B)/rel/vtpmd
.PHONY: tpm-setup-test

## tpm-tools-test: tpm2-tools' integration scripts against vtpmd (TPM2_TOOLS=its source tree, which Debian does not carry)
tpm-tools-test: $(B)/rel/vtpmd
	@tests/tpm/run-tpm2-tools "$(TPM2_TOOLS)" $(ONLY)
.PHONY: tpm-tools-test

## tpm-tss-test: tpm2-tss's integration tests against vtpmd (fetches and builds Debian's source, or TPM2_TSS=built tree)
tpm-tss-test: $(B)/rel/vtpmd
	@tests/tpm/run-tpm2-tss $(if $(TPM2_TSS),--build "$(TPM2_TSS)") $(ONLY)
.PHONY: tpm-tss-test

## tpm-go-test: go-tpm's own tests against vtpmd (fetches Go and go-tpm)
tpm-go-test: $(B)/rel/vtpmd
	@tests/tpm/run-go-tpm $(ONLY)
.PHONY: tpm-go-test

## tpm-kernel-test: the kernel's own TPM 2.0 self tests against vtpmd
tpm-kernel-test: $(B)/rel/vtpmd
	@tests/tpm/run-kernel-selftests $(ONLY)
.PHONY: tpm-kernel-test

## tpm-ovmf-test: QEMU with OVMF and vtpmd as its TPM: firmware, kernel and event log are content; as with swtpm where installed
tpm-ovmf-test: $(B)/rel/vtpmd $(B)/rel/mkcpio
	@tests/tpm/run-ovmf $(ONLY)
.PHONY: tpm-ovmf-test

## soak: long runs of guests, fuzzed guests among them
soak: build
	$(call run-if-there,tests/e2e/soak)
.PHONY: soak

## bench: exit cost, memory, boot time, as ratios to a named peer in the same run
bench: build
	$(call run-if-there,tests/bench/run)
	@host/setup/packages bench
	$(call run-if-there,tests/bench/tpm)
	@$(B)/rel/storage_iops
	@$(B)/rel/net_rate
.PHONY: bench

# ---------------------------------------------------------------------------------------------
# Looking at it.

# What is off, and why, is in docs/building.md.
analyzer-off := -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value
cppcheck-off := $(addprefix --suppress=,missingIncludeSystem uninitvar autoVariables \
	preprocessorErrorDirective)

$(B)/lint/%.analyzer: %.c $(B)/rel/%.o
	$(call say,ANALYZE,$<)
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(common) $(rel-cflags) -fanalyzer $(analyzer-off) -c -o /dev/null $<
	@touch $@

$(B)/lint/%.tidy: %.c .clang-tidy $(B)/rel/%.o
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)$(TIDY) --quiet $< -- $(common) -nostdlibinc -isystem /usr/include/x86_64-linux-musl \
		-isystem $(TP)/musl/include -isystem $(TP)/uapi/include 2>$@.log || { cat $@.log >&2; false; }
	@touch $@

$(B)/lint/cppcheck: $(sources)
	$(call say,CPPCHK,"$(words $(sources)) files")
	@mkdir -p $(@D)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr \
		$(cppcheck-off) --error-exitcode=1 -D__x86_64__ -D__GNUC__ -I. $(sources)
	@touch $@

## lint: gcc -fanalyzer, clang-tidy, cppcheck (ONLY=PATTERN picks some)
lint: lint-tools $(patsubst %.c,$(B)/lint/%.analyzer,$(call pick,$(sources))) \
      $(patsubst %.c,$(B)/lint/%.tidy,$(call pick,$(sources))) $(B)/lint/cppcheck
.PHONY: lint

lint-tools:
	@host/setup/packages lint
.PHONY: lint-tools

## size: the image and its parts against their budgets (fails above), sections and largest symbols of programs
size: $(rel-bins) $(B)/rel/paravisor.igvm
	@size $(rel-bins)
	@for p in $(rel-bins); do echo "$$p:"; nm -S --size-sort -r $$p | head -n 8; done
	@igvm/check-size $(B)/rel
.PHONY: size

## reproduce: build the image again elsewhere, as somebody else, third-party code and kernel included; compare
reproduce: $(B)/rel/paravisor.igvm
	@tests/reproduce
.PHONY: reproduce

## clean: remove what the compiler made
clean:
	rm -rf $(B)/rel $(B)/san $(B)/fuzz $(B)/cov $(B)/lint
.PHONY: clean

## distclean: remove build/; what was fetched stays in ENTRESOL_CACHE
distclean:
	rm -rf $(B)
.PHONY: distclean

# shellcheck shell=sh
# The guest's TPM. Sourced by run and soak; tests/tpm/run-ovmf uses show_tpm.

# What a guest's kernel makes of it: the event log, and the values of its PCRs.
show_tpm() {
	tr -d '\n' <<-'END'
		readlink /sys/class/tpm/tpm0/device/driver; mount -t securityfs s /sys/kernel/security;
		od -An -v -tx1 /sys/kernel/security/tpm0/binary_bios_measurements | sed s/^/log:/;
		for f in /sys/class/tpm/tpm0/pcr-sha256/*; do echo pcr ${f##*/}: $(cat $f); done
	END
}

# tpm GUEST DRIVER [OPTION...]: the driver is content, the log is there and replays to the PCRs.
tpm() {
	guest=$1 driver=$2
	shift 2
	boot 180 --guest "$guest" --memory 512M "$@" --append "console=ttyS0 quiet entresol.run=\"$(echo "${MORE:-}" | tr -d '\n')$(show_tpm)\""
	expect_power_off
	expect "/drivers/$driver\$"
	expect '^pcr 0: [0-9A-F]{64}'
	expect_not "$OURS"
	"$TOP/tests/tpm/replay" "$WORK/out" --save "$WORK/eventlog" >"$WORK/replay" ||
		fail "$(tail -n 1 "$WORK/replay")"
	! command -v tpm2_eventlog >/dev/null || tpm2_eventlog "$WORK/eventlog" >"$WORK/eventlog.yaml" ||
		fail "tpm2_eventlog cannot read the log"
}

# The log, and physical presence: what the guest asks for by ACPI, the next start does. The state is sealed.
test_tpm_crb() {
	printf '%064x\n' 4711 >"$WORK/key"
	MORE='cd /sys/class/tpm/tpm0/ppi; echo 23 3 >request; for f in version request transition_action; do echo $f: $(cat $f); done;
		sed s/^/operation:/ tcg_operations; ' tpm debian12 tpm_crb --tpm-state "$WORK/state" --tpm-key "$WORK/key"
	grep -q 'kernel_cmdline: console=ttyS0 quiet' "$WORK/replay" || fail "no command line in the log"
	grep -q "initrd" "$WORK/replay" || fail "no initrd in the log"
	expect '^version: 1.3'
	expect '^request: 23 3'
	expect '^transition_action: 2: Reboot'
	expect '^operation:5 4: User not required'
	boot 180 --guest debian12 --memory 512M --cpus 1 --tpm-state "$WORK/state" --tpm-key "$WORK/key" --append \
		'console=ttyS0 quiet entresol.run="cd /sys/class/tpm/tpm0; for f in ppi/request ppi/response pcr-sha1/0; do echo $f: $(cat $f); done"'
	expect_power_off
	expect '^ppi/request: 0'
	expect '^ppi/response: 23 0: Success'
	expect '^pcr-sha1/0: [0-9A-F]{40}'
	# The blob begins with "EPV1", in the clear.
	! grep -q EPV1 "$WORK/state" || fail "the state is not sealed"
	printf '%064x\n' 4712 >"$WORK/key"
	boot 60 --guest debian12 --memory 512M --cpus 1 --tpm-state "$WORK/state" --tpm-key "$WORK/key"
	expect_status 1
	expect '^entresol: failed \(.*vTPM'
}

test_tpm_6_12() {
	tpm debian13 tpm_tis --vtl2-append --tpm=tis
}

test_tpm_7() {
	tpm debian-7 tpm_crb_acpi # as 7.x calls it
}

# seal ARGUMENT...: a boot that seals or unseals a secret, by tpm2-tools.
seal() {
	boot 200 --kernel "$(stock debian12 1)" --initrd "$WORK/initrd" --memory 512M --cpus 1 --tpm-state "$WORK/state" \
		--append "console=ttyS0 quiet $* entresol.run=/tpm-seal"
	expect_power_off
	expect '^entresol-run: status 0'
}

# What is sealed to a boot's PCRs can be had in that boot and in the next, by the state that the host keeps, and not in
# a boot with another command line.
test_tpm_tools() {
	"$TOP/tests/e2e/tpm-guest" "$(stock debian12 2)" "$WORK/initrd" || fail "no initramfs with tpm2-tools"
	seal
	expect '^sealed: now'
	expect '^unsealed: open sesame'
	seal
	expect '^sealed: before'
	expect '^unsealed: open sesame'
	seal other=word
	expect '^sealed: before'
	expect '^unsealed: *$'
	expect 'policy check failed'
}

# The vTPM's process dies of a system call that it may not make: one command fails, another process takes over, and no
# PCR has its value any more.
test_tpm_dies() {
	boot 180 --guest debian12 --memory 512M --vtl2-append --vtpm=--die-at=40 --append \
		"console=ttyS0 quiet entresol.run=\"cat /sys/class/tpm/tpm0/pcr-sha256/*; $(show_tpm)\""
	expect_status 0
	expect '^pcr 0: [0-9A-F]{64}'
	grep -q 'vTPM: it died and is started again' "$WORK/log" || fail "the vTPM did not die"
	! "$TOP/tests/tpm/replay" "$WORK/out" >"$WORK/replay" || fail "PCRs are as if nothing had happened"
	grep -q '^replay: PCR' "$WORK/replay" || fail "$(tail -n 1 "$WORK/replay")"
}

# put_on_disk NAME FILE: a program, into DISK's root file system.
put_on_disk() {
	printf 'write %s %s\nset_inode_field %s mode 0100755\n' "$(realpath "$2")" "$1" "$1" >"$WORK/put"
	debugfs -w -f "$WORK/put" "$(root_of "$DISK")" >"$WORK/put.log" 2>&1
	grep -q '^Allocated inode' "$WORK/put.log" || fail "cannot put $1 on the disk"
}

# luks [WORD...]: starts the installed Debian with tests/e2e/tpm-luks as its first process.
luks() {
	rm -f "$WORK/ima"
	truncate -s 4M "$WORK/ima"
	boot 400 --disk "$DISK" --disk "$WORK/volume.raw" --disk "$WORK/ima" --memory 1G --cpus 1 --tpm-state "$WORK/state" \
		--append "console=ttyS0 quiet ima_policy=tcb init=/tpm-luks${*:+ $*}"
	expect_power_off
	expect '^tpm-luks: done'
	"$TOP/tests/tpm/replay-ima" "$WORK/out" "$WORK/ima" >"$WORK/ima.list" || fail "$(tail -n 1 "$WORK/ima.list")"
	grep -q "^sha256:$(sha256sum <"$TOP/tests/e2e/tpm-luks" | cut -c 1-64) /tpm-luks\$" "$WORK/ima.list" ||
		fail "IMA has not measured the first process"
}

# systemd-cryptenroll's volume: the TPM has its key, for the kernel, the command line and the initramfs that it was enrolled
# with. IMA's measurements of three boots.
test_tpm_luks() {
	installed debian12
	put_on_disk /tpm-luks "$TOP/tests/e2e/tpm-luks"
	"$TOP/tests/e2e/package-file" bookworm cryptsetup-bin '*/sbin/cryptsetup' "$WORK/cryptsetup" || fail "no cryptsetup"
	"$TOP/tests/e2e/package-file" bookworm libpopt0 '*/libpopt.so.0*' "$WORK/libpopt" || fail "no libpopt"
	put_on_disk /usr/sbin/cryptsetup "$WORK/cryptsetup"
	put_on_disk /usr/lib/x86_64-linux-gnu/libpopt.so.0 "$WORK/libpopt"
	truncate -s 64M "$WORK/volume.raw"
	luks
	expect '^New TPM2 token enrolled'
	expect '^volume: made'
	expect '^unlocked: open sesame'
	luks
	expect_not '^volume: made'
	expect '^unlocked: open sesame'
	expect '^unlocked by token: open sesame'
	luks other=word
	expect '^unlock: refused'
	expect_not '^unlocked'
	rm "$DISK"
}

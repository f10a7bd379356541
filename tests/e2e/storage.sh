# shellcheck shell=sh
# Guests with disks. Sourced by run and soak.

# installed NAME: a copy of the cached image of an installed Debian, to be written to: sets DISK.
installed() {
	image=$("$TOP/host/setup/disk" "$1") || fail "no disk image of $1"
	DISK=$WORK/disk.raw
	cp --reflink=auto --sparse=always "$image" "$DISK"
}

# root_of DISK: its root file system, as e2fsprogs' tools want it.
root_of() {
	echo "$1?offset=$((512 * $(sfdisk -d "$1" | sed -n 's/.*start= *\([0-9]*\),.*name="root"/\1/p')))"
}

# clean: the root file system on DISK is as a shut-down leaves it.
clean() {
	e2fsck -fn "$(root_of "$DISK")" >"$WORK/fsck" 2>&1 || fail "file system: $(tail -n 1 "$WORK/fsck")"
	rm -f "$DISK" # passed: only its size is of interest
}

# login_and TEXT: types root at the login, and TEXT at the shell.
login_and() {
	type_at 'debian login: ' 'root\n' 'root@debian:~# ' "$1"
}

# checked CPUS: the system that is installed on a disk, and everything that looks at a disk.
checked() {
	installed debian12
	mkdir "$WORK/files"
	cp "$TOP/tests/e2e/disk-checks" "$WORK/files/"
	mke2fs -q -F -t ext4 -L checks -d "$WORK/files" "$WORK/checks.raw" 8M
	truncate -s 256M "$WORK/scratch.raw"
	login_and 'nproc; mount -r LABEL=checks /mnt && sh /mnt/disk-checks; umount /mnt; poweroff\n'
	boot 900 --disk "$DISK" --disk "$WORK/checks.raw,ro" --disk "$WORK/scratch.raw" --cpus "$1" \
		--append "console=ttyS0 quiet"
	expect_power_off
	expect "^$1\$"
	expect '^disk-checks: [1-9][0-9]* passed, 0 failed'
	expect_not '^FAIL '
	expect_not "$OURS"
	clean
}

test_disk_login_1() {
	checked 1
}

test_disk_login_2() {
	checked 2
}

test_disk_login_4() {
	checked 4
}

# A reboot as users do it: the same disk in a second life of the machine, with what the first wrote.
test_disk_reboot() {
	installed debian12
	type_at 'debian login: ' 'root\n' 'root@debian:~# ' 'echo kept >before; reboot\n' \
		'debian login: ' 'root\n' 'root@debian:~# ' 'cat before; poweroff\n'
	boot 960 --disk "$DISK" --cpus 2 --append "console=ttyS0 quiet"
	expect_power_off
	expect '^kept$'
	clean
}

# In a stock guest's initramfs, which does not wait for disks.
AWAIT='modprobe sd_mod; until [ -b /dev/sda ]; do sleep 1; done'

# Reset: the second life finds the disk, and the TPM what it was asked for, as the first left them.
test_disk_reset() {
	truncate -s 16M "$WORK/reset.raw"
	# shellcheck disable=SC2016 # the guest's shell expands it
	words='p=/sys/class/tpm/tpm0/ppi; echo asked=$(cat $p/response); echo 5 >$p/request'
	# shellcheck disable=SC2016
	words="$words; $AWAIT; "'x=$(head -c 4 /dev/sda | tr -cd a-z); echo found=$x; echo kept >/dev/sda; sync; [ $x ] && poweroff -f'
	boot 480 --guest debian12 --disk "$WORK/reset.raw" --cpus 2 --memory 512M \
		--append "console=ttyS0 quiet entresol.run=\"$words\" entresol.end=reboot"
	expect_power_off
	expect '^found=$'
	expect '^found=kept'
	expect '^asked=5 0: Success'
}

# kexec_line LIFE NEXT: a command line for that life of the guest of kexec-guest.
kexec_line() {
	printf '%s' "console=ttyS0 quiet $2 entresol.run=\"$AWAIT; dd if=/dev/sda bs=1M skip=1 2>/dev/null | tar x -C /tmp; sh /tmp/kexec-guest $1\""
}

# A kernel starts another by kexec while it writes, with the disk that stays; that one crashes, and its crash kernel, too, finds
# VMBus as if nobody had been connected, and dumps to the disk.
test_disk_kexec() {
	mkdir "$WORK/files"
	cp "$(stock debian12 1)" "$WORK/files/kernel"
	cp "$(stock debian12 2)" "$WORK/files/initrd"
	cp "$REL/kexec" "$TOP/tests/e2e/kexec-guest" "$WORK/files/"
	kexec_line first crashkernel=256M >"$WORK/first"
	kexec_line second crashkernel=256M >"$WORK/files/second"
	kexec_line crash "nr_cpus=1 reset_devices" >"$WORK/files/crash"
	tar -C "$WORK/files" -cf "$WORK/files.tar" .
	truncate -s 64M "$WORK/kexec.raw"
	dd if="$WORK/files.tar" of="$WORK/kexec.raw" bs=1M seek=1 conv=notrunc status=none
	[ "$(stat -c %s "$WORK/files.tar")" -lt $((19 << 20)) ] || fail "the archive is where the guest writes"
	boot 480 --guest debian12 --disk "$WORK/kexec.raw" --cpus 2 --memory 1G --on-crash continue --append "$(cat "$WORK/first")"
	expect_power_off
	expect '^life first: , 2 processors'
	expect '^life second: second-is-next, 2 processors'
	expect '^crash kernel: 1'
	expect '^life crash: crashes, 1 processors'
	expect '^ELF is what the crashed kernel left: [1-9][0-9]{2} MiB'
	expect '^dumped'
	expect_not 'a read is wrong'
	[ "$(head -n 1 "$WORK/kexec.raw" | tr -d '\0')" = survived ] || fail "the crash kernel's last write is not there"
	head -c $(((40 << 20) + 4)) "$WORK/kexec.raw" | tail -c 3 | grep -q ELF || fail "no dump on the disk"
	[ "$(plain | grep -a '^life .*sum' | cut -d ' ' -f 4 | sort -u | wc -l)" -eq 1 ] || fail "reads of three lives differ"
	rm -rf "$WORK/files"*
}

# A disk comes, shrinks, grows and goes while the guest writes to it, by the monitor's commands; another goes on all the
# while. Then a disc is mounted, taken out and exchanged.
test_disk_hotplug() {
	disc=$(dirname "$(stock memtest 1)")/disc.iso
	truncate -s 16M "$WORK/stays.raw"
	# shellcheck disable=SC2016 # the guest's shell expands it
	script='(while dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; echo sda-failed) & reader=$!; echo ready;
		until [ -b /dev/sdb ]; do sleep 1; done; echo come; size() { [ $(cat /sys/block/$1/size) = $2 ]; };
		until size sdb 32768; do sleep 1; done; echo shrunk; until size sdb 65536; do sleep 1; done; echo grown;
		(while yes | dd of=/dev/sdb bs=64k count=100 conv=fsync 2>/dev/null; do :; done; echo writer-ended) & writer=$!;
		sleep 1; echo busy; while [ -e /sys/block/sdb ]; do sleep 1; done; wait $writer; echo gone;
		until [ -b /dev/sdb ]; do sleep 1; done; size sdb 16384 && echo again;
		modprobe sr_mod; mkdir /m; mount -t iso9660 -o ro /dev/sr0 /m && ls -R /m; umount /m; echo mounted;
		disc() { dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>/dev/null; }; while disc; do sleep 1; done; echo taken;
		until disc; do sleep 1; done; size sr0 8192 && echo exchanged; kill $reader; md5sum /dev/sda; dmesg | grep sda.*error'
	type_at '^ready' '\0001cadd memory,size=32M\n' \
		'^come' '\0001cresize 2 16M\n' '^shrunk' '\0001cresize 2 32M\n' \
		'^busy' '\0001cremove 2\n' '^gone' '\0001cadd memory,size=8M\n' \
		'^mounted' '\0001ceject 1\n' '^taken' '\0001cinsert 1 memory,size=4M\n'
	ENTRESOL_ESCAPES=1 boot 300 --guest debian12 --disk "$WORK/stays.raw" --dvd "$disc" --cpus 2 --memory 512M --append \
		"console=ttyS0 quiet entresol.run=\"$AWAIT; $(echo "$script" | tr -d '\n\t')\""
	expect_power_off
	for line in come shrunk grown writer-ended gone again mounted taken exchanged \
		"$(head -c 16M /dev/zero | md5sum | cut -c 1-32)"; do
		expect "^$line"
	done
	expect '/m/boot'
	expect_not 'sda-failed|sda.*error'
	expect_not '(add|remove|resize|eject|insert): [^d]'
}

# with_script NAME: $WORK/initrd is a stock guest's with that file of this folder at its top.
with_script() {
	printf '%s\n' "file /$1 755 $TOP/tests/e2e/$1" >"$WORK/manifest"
	"$REL/mkcpio" "$WORK/manifest" "$WORK/added"
	cat "$(stock debian12 2)" "$WORK/added" >"$WORK/initrd"
}

# Sectors of both sizes, a disk that is read-only, a stripe, a qcow2 image; three SCSI controllers.
test_disk_kinds() {
	for size in 16 20 24; do
		truncate -s ${size}M "$WORK/$size.raw"
	done
	cp "$WORK/16.raw" "$WORK/other.raw"
	head -c 12M /dev/urandom >"$WORK/12.raw"
	head -c 5M /dev/urandom >"$WORK/8.raw"
	truncate -s 8M "$WORK/8.raw"
	qemu-img convert -f raw -O qcow2 "$WORK/8.raw" "$WORK/8.qcow2"
	with_script disk-kinds
	ENTRESOL_STATE=$WORK/state boot 300 --kernel "$(stock debian12 1)" --initrd "$WORK/initrd" --cpus 2 --memory 512M \
		--disk "$WORK/20.raw,physical=4096" --disk "$WORK/24.raw,sector=4096,lun=64" --disk "$WORK/12.raw,ro,lun=191" \
		--disk "$WORK/16.raw,lun=128,chunk=4" --disk "$WORK/other.raw,lun=128" --disk "$WORK/8.qcow2,ro" \
		--append "console=ttyS0 quiet entresol.run=\"/disk-kinds 3 20:512:4096:0:- 24:4096:4096:0:- 32:512:512:0:- \
12:512:512:1:$(md5sum "$WORK/12.raw" | cut -c 1-32) 8:512:512:1:$(md5sum "$WORK/8.raw" | cut -c 1-32)\""
	expect_power_off
	expect_not '^FAIL '
	expect '^disk-kinds: 26 passed, 0 failed'
	expect_not "$OURS"
	rm -rf "$WORK/initrd" "$WORK/added" "$WORK/state"
}

# faulty SECONDS BLOCKS DISK...: disk-faults on these, the first of which is well and must be so to the end.
faulty() {
	seconds=$1 blocks=$2
	shift 2
	with_script disk-faults
	luns=$#
	for disk; do
		set -- "$@" --disk "$disk"
		shift
	done
	boot "$seconds" --kernel "$(stock debian12 1)" --initrd "$WORK/initrd" --cpus 2 --memory 512M \
		--append "console=ttyS0 quiet entresol.run=\"/disk-faults $luns $blocks\"" "$@"
	expect_end
	expect '^disk-faults: done'
	expect_count '^lun 0: 0 failed, 0 unread, 0 wrong' 2
	expect_count '^lun [0-9]*: .* 0 wrong$' $((luns + 1))
	expect_not "$OURS"
	rm -f "$WORK/initrd" "$WORK/added"
}

# disk_with NAME [FAULT]...: makes a disk's file and prints it with these words.
disk_with() {
	truncate -s 16M "$WORK/$1.raw"
	printf %s "$WORK/$1.raw"
	shift
	[ $# -eq 0 ] || printf ',fault=%s' "$@"
}

# What a controller may do wrong, most of it after some writes, which nobody but the test does: the guest waits, or gets
# an error; what was durable is there. Linux tries a write six times, a read that met a bad sector once.
test_disk_faults() {
	faulty 600 40 "$(disk_with well)" \
		"$(disk_with stall stall:opcode=1:after=20:count=1)" \
		"$(disk_with fatal fatal:opcode=1:after=20:count=1)" \
		"$(disk_with interrupt interrupt:opcode=1:after=20:count=3)" \
		"$(disk_with status status:status=0x4280:opcode=1:after=20:count=6 \
			status:status=0x4281:opcode=2:after=40:count=1)" \
		"$(disk_with remove remove:opcode=1:after=20:count=1)" \
		"$(disk_with dead stall:queue=any:after=80)" \
		"$(disk_with twice bogus:opcode=1:after=10:count=1 duplicate:opcode=1:after=20:count=1)" \
		"$(disk_with late delay:opcode=0:ms=2000:after=10:count=3)"
	for lun in 1 2 3 7 8; do
		expect "^lun $lun: 0 failed, 0 unread"
	done
	expect '^lun 4: 1 failed, 1 unread'
	expect '^lun 5: [1-9][0-9]* failed, [1-9][0-9]* unread'
	expect '^lun 6: [1-9][0-9]* failed'
	for line in 'reports a fatal error: resetting it' 'done without an interrupt' 'has timed out: aborting it' \
		'completes commands that it does not have'; do
		grep -q "$line" "$WORK/log" || fail "'$line' is not in the log"
	done
}

# The host's disk is full: what could not be kept is an error at the next flush, at the latest.
test_disk_full() {
	mkdir "$WORK/small"
	mount -t tmpfs -o size=2M tmpfs "$WORK/small" 2>/dev/null || {
		echo "skipped: no tmpfs can be mounted" >"$WORK/why"
		return 0
	}
	trap 'umount "$WORK/small"' EXIT
	truncate -s 16M "$WORK/small/full.raw"
	faulty 300 150 "$(disk_with well)" "$WORK/small/full.raw"
	expect '^lun 1: [1-9][0-9]* failed'
}

test_bad_disks() {
	: >"$WORK/empty"
	head -c 3000000 /dev/urandom >"$WORK/random"
	head -c 1000 /dev/urandom >"$WORK/small"
	image=$("$TOP/host/setup/disk" debian12) || fail "no disk image"
	head -c 100000000 "$image" >"$WORK/truncated"
	refused --disk "$WORK/missing"
	refused --disk "$WORK/empty"
	refused --disk "$WORK/small"
	refused --disk "$WORK"
	refused --disk ""
	refused --disk
	refused --disk "$WORK/random"
	refused --disk "$WORK/truncated"
	expect truncated
	refused --disk /dev/null
	qemu-img convert -f raw -O qcow2 "$WORK/random" "$WORK/good.qcow2"
	head -c 1000000 "$WORK/good.qcow2" >"$WORK/cut.qcow2"
	refused --disk "$WORK/cut.qcow2"
	expect 'is a damaged qcow2 image'
	(printf 'QFI\373' && cat "$WORK/random") >"$WORK/noise.qcow2"
	refused --disk "$WORK/noise.qcow2"
	expect 'is a damaged qcow2 image'
	qemu-img create -q -f qcow2 -F raw -b "$WORK/small" "$WORK/backed.qcow2"
	rm "$WORK/small"
	refused --disk "$WORK/backed.qcow2"
	expect 'is a damaged qcow2 image'
	refused --dvd "$WORK/missing"
	refused --dvd "$WORK/empty"
	refused --dvd "$WORK"
	refused --dvd ""
	refused --dvd
	rm -f "$WORK/truncated"
}

# --------------------------------------------------------------------------------------------
# What the guest was told is durable survives whatever kills the machine under it.

# The process that holds the disks: killing it loses all that it had not written.
kill_machine() {
	pkill -KILL -f "^[^ ]*(vtlhost|qemu-system-x86_64) .*$WORK/log" || fail "nothing to kill"
}

# kill_round SEED BLOCKS: a guest writes blocks of 64 KiB, each with the round in it, and says of each when it is
# durable; after BLOCKS of them it is killed, somewhere in the next ones. Then the disk's file is looked at.
kill_round() {
	truncate -s 64M "$WORK/kill.raw"
	# shellcheck disable=SC2016 # the guest's shell expands it
	write="$AWAIT; "'i=0; while [ $i -lt 1000 ]; do yes round '$1' block $i | head -c 65536 >/tmp/b'
	# shellcheck disable=SC2016
	write="$write; "'dd if=/tmp/b of=/dev/sda bs=65536 seek=$i conv=notrunc,fsync 2>/dev/null && echo durable $i'
	# shellcheck disable=SC2016
	write="$write; "'i=$((i + 1)); done'
	: >"$WORK/out"
	STATUS=0
	"$TOP/entresol" run --guest debian12 --disk "$WORK/kill.raw" --cpus 2 --memory 512M \
		--timeout "$(scaled 180)" --log "$WORK/log" \
		--append "console=ttyS0 quiet entresol.run=\"$write\"" \
		</dev/null >"$WORK/out" 2>&1 &
	child=$!
	until seen "^durable $2\$"; do
		kill -0 $child 2>/dev/null || fail "the guest ended before it wrote $2 blocks; $(summary)"
		sleep 0.2
	done
	kill_machine
	wait $child || true
	last=$(plain | sed -n 's/^durable \([0-9]*\)$/\1/p' | tail -n 1)
	for block in $(seq 0 "$last"); do
		yes round "$1" block "$block" | head -c 65536 |
			cmp -s - "$WORK/kill.raw" -i "0:$((block * 65536))" -n 65536 ||
			fail "round $1: block $block of $last was durable and is not there"
	done
}

test_disk_kill() {
	kill_round "$(date +%s)" 25
}

# shellcheck shell=sh
# Guests with disks. Sourced by run and soak.

# installed NAME: a copy of the cached image of an installed Debian, to be written to: sets DISK.
installed() {
	image=$("$TOP/host/setup/disk" "$1") || fail "no disk image of $1"
	DISK=$WORK/disk.raw
	cp --reflink=auto --sparse=always "$image" "$DISK"
}

# clean: the root file system on DISK is as a shut-down leaves it.
clean() {
	start=$(sfdisk -d "$DISK" | sed -n 's/.*start= *\([0-9]*\),.*name="root"/\1/p')
	e2fsck -fn "$DISK?offset=$((start * 512))" >"$WORK/fsck" 2>&1 || fail "file system: $(tail -n 1 "$WORK/fsck")"
	rm -f "$DISK" # passed: only its size is of interest
}

# login_and TEXT: types root at the login, and TEXT at the shell.
login_and() {
	type_at 'debian login: ' 'root\n' 'root@debian:~# ' "$1"
}

# The system that is installed on a disk, and everything that looks at a disk.
test_disk_login_2() {
	installed debian12
	mkdir "$WORK/files"
	cp "$TOP/tests/e2e/disk-checks" "$WORK/files/"
	mke2fs -q -F -t ext4 -L checks -d "$WORK/files" "$WORK/checks.raw" 8M
	truncate -s 256M "$WORK/scratch.raw"
	login_and 'mount -r LABEL=checks /mnt && sh /mnt/disk-checks; umount /mnt; poweroff\n'
	boot 480 --disk "$DISK" --disk "$WORK/checks.raw,ro" --disk "$WORK/scratch.raw" --cpus 2 \
		--append "console=ttyS0 quiet"
	expect_power_off
	expect '^disk-checks: [1-9][0-9]* passed, 0 failed'
	expect_not '^FAIL '
	expect_not "$OURS"
	clean
}

test_disk_login_1() {
	installed debian12
	login_and 'nproc; poweroff\n'
	boot 480 --disk "$DISK" --cpus 1 --memory 512M --append "console=ttyS0 quiet"
	expect_power_off
	expect '^1$'
	clean
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

test_disk_login_4() {
	installed debian12
	login_and 'nproc; poweroff\n'
	boot 480 --disk "$DISK" --cpus 4 --append "console=ttyS0 quiet"
	expect_power_off
	expect '^4$'
	clean
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

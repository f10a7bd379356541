/*
 * The shim of an image, counted: loads the image as vtlhost does, then runs its code in a process of
 * its own up to the change of page tables just before the kernel: once freely, for the time, and
 * once stepped, for the number of instructions.
 *   shim_count IMAGE VPS MEMORY-MIB
 * What differs from a VP: what is not for user mode before that (CLI, LGDT, LIDT, segments) is skipped
 * and counted; the last 30 instructions (entry.S, shim_enter) are not.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/igvm_loader.h"
#include "host/vp.h"
#include "proto/shim.h"
#include "tests/unit/host/fake_partition.h"

#define VTL2_MEMORY (64ull << 20)

struct count {
	unsigned long long instructions; /* a string instruction is one */
	unsigned long long repetitions;  /* of string instructions */
};

static void die(const char *what)
{
	fprintf(stderr, "shim_count: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct partition *load(struct options *options)
{
	struct partition *partition = fake_partition_create(options->cpus);

	host_memory_destroy(&partition->memory);
	if (host_memory_init(&partition->memory, options->memory, VTL2_MEMORY))
		die("memory");
	partition->options = options;
	if (igvm_loader_load(partition))
		exit(1);
	return partition;
}

/* VTL2's memory at its own address, private: every run finds what the loader left. */
static void map_vtl2(const struct host_memory *memory)
{
	void *at = mmap((void *)(uintptr_t)memory->vtl2_base, VTL2_MEMORY,
			PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != (void *)(uintptr_t)memory->vtl2_base)
		die("cannot map VTL2's memory at its address");
	memcpy(at, memory->view[HOST_VIEW_VTL2] + memory->vtl2_base, VTL2_MEMORY);
}

/* A stopped child at the shim's entry. */
static pid_t start(const struct partition *partition)
{
	struct user_regs_struct regs;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		map_vtl2(&partition->memory);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		die("cannot start");
	regs.rip = vcpu_regs(&partition->vps[0].vcpu[HOST_VTL2])->rip;
	regs.rsp = 0;
	regs.orig_rax = -1;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs))
		die("cannot set registers");
	return pid;
}

/* Goes past an instruction that only a kernel may execute; false for one that is not known. */
static bool skip(pid_t pid, struct user_regs_struct *regs)
{
	static const struct {
		uint64_t bytes, mask;
		unsigned int len;
	} known[] = {
		{ 0xfa, 0xff, 1 },         /* cli */
		{ 0x15010f, 0xffffff, 7 }, /* lgdt disp(%rip) */
		{ 0x18010f, 0xffffff, 3 }, /* lidt (%rax) */
		{ 0xd88e, 0xffff, 2 },     /* mov %eax, %ds, */
		{ 0xc08e, 0xffff, 2 },     /* %es, */
		{ 0xd08e, 0xffff, 2 },     /* %ss */
	};
	uint64_t at = (uint64_t)ptrace(PTRACE_PEEKTEXT, pid, (void *)regs->rip, NULL);
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if ((at & known[i].mask) == known[i].bytes) {
			regs->rip += known[i].len;
			return true;
		}
	}
	if ((at & 0xffff) != 0xcb48) /* lretq */
		return false;
	regs->rip = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)regs->rsp, NULL);
	regs->rsp += 16;
	return true;
}

/* Until an instruction that user mode must not execute and that is not to be skipped. */
static void run(pid_t pid, struct count *count)
{
	struct user_regs_struct regs;
	uint64_t last = 0;
	int status;

	for (;;) {
		if (ptrace(count ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, NULL) ||
		    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
		    ptrace(PTRACE_GETREGS, pid, NULL, &regs))
			die("the shim got away");
		if (WSTOPSIG(status) == SIGTRAP && count) {
			if (regs.rip == last)
				count->repetitions++;
			else
				count->instructions++;
			last = regs.rip;
			continue;
		}
		if (!skip(pid, &regs))
			return;
		if (count)
			count->instructions++;
		ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	}
}

/* The log is found by its magic, as vtlhost finds it. */
static void read_log(pid_t pid, uint64_t base, struct shim_log *log)
{
	uint64_t at, *words = (uint64_t *)log;
	size_t i;

	for (at = base; at < base + 0x200000; at += 4096)
		if ((uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL) == SHIM_LOG_MAGIC)
			break;
	for (i = 0; i < sizeof(*log) / 8; i++)
		words[i] = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)(at + i * 8), NULL);
	if (log->stage != SHIM_STAGE_LEFT) {
		fprintf(stderr, "shim_count: the shim did not come to its end: %.*s\n",
			(int)log->written, log->text);
		exit(1);
	}
}

static uint64_t cycles(const struct partition *partition)
{
	struct shim_log log;
	pid_t pid = start(partition);

	run(pid, NULL);
	read_log(pid, partition->memory.vtl2_base, &log);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return log.tsc_end - log.tsc_start;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The TSC against the clock, for 50 ms. */
static double tsc_mhz(void)
{
	uint64_t ns = now_ns(), tsc = __builtin_ia32_rdtsc(), end;

	do {
		end = now_ns();
	} while (end - ns < 50000000);
	return (double)(__builtin_ia32_rdtsc() - tsc) * 1000 / (double)(end - ns);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct partition *partition;
	struct count count = { 0 };
	uint64_t least = UINT64_MAX, now;
	struct shim_log log;
	unsigned int i;
	pid_t pid;

	if (argc != 4) {
		fprintf(stderr, "usage: shim_count IMAGE VPS MEMORY-MIB\n");
		return 2;
	}
	options.igvm = argv[1];
	options.cpus = (unsigned int)atoi(argv[2]);
	options.memory = strtoull(argv[3], NULL, 10) << 20;
	partition = load(&options);
	pid = start(partition);
	run(pid, &count);
	read_log(pid, partition->memory.vtl2_base, &log);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (i = 0; i < 20; i++) {
		now = cycles(partition);
		if (now < least)
			least = now;
	}
	printf("shim, %u VPs: %llu instructions and %llu repetitions of string instructions; %.0f "
	       "us at "
	       "best on this processor\n",
	       options.cpus, count.instructions, count.repetitions, (double)least / tsc_mhz());
	fake_partition_destroy(partition);
	return 0;
}

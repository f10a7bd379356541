#include "core/call_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Calls of the x32 ABI come under the same architecture with this bit. */
#define X32_BIT 0x40000000u

#define PROLOGUE_MAX 6
#define RULE_MAX     6

struct program {
	struct sock_filter *code;
	unsigned short len;
};

static void put(struct program *p, struct sock_filter instruction)
{
	p->code[p->len++] = instruction;
}

static void put_load(struct program *p, size_t offset)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void put_return(struct program *p, uint32_t action)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void put_prologue(struct program *p, uint32_t denied)
{
	put_load(p, offsetof(struct seccomp_data, arch));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	put_return(p, denied);
	put_load(p, offsetof(struct seccomp_data, nr));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	put_return(p, denied);
}

/*
 * The number stays in the accumulator from rule to rule. A rule without a mask looks at nothing else: for such calls
 * the kernel finds the answer once and does not run the program any more.
 */
static void put_rule(struct program *p, const struct call_rule *rule)
{
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->number, 0,
					    rule->mask ? 5 : 1));
	if (!rule->mask) {
		put_return(p, SECCOMP_RET_ALLOW);
		return;
	}
	put_load(p, offsetof(struct seccomp_data, args) + rule->arg * sizeof(uint64_t));
	put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1));
	put_return(p, SECCOMP_RET_ALLOW);
	put_load(p, offsetof(struct seccomp_data, nr));
}

int call_filter_install(const struct call_rule *rules, size_t count, enum call_denied denied)
{
	uint32_t action = denied == CALL_DENIED_KILLS ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP;
	size_t max = PROLOGUE_MAX + RULE_MAX * count + 1;
	static struct sock_filter code[BPF_MAXINSNS]; /* giving back heap may be a call */
	struct program p = { .code = code };
	struct sock_fprog prog;

	if (max > BPF_MAXINSNS)
		return -EINVAL;
	put_prologue(&p, action);
	for (size_t i = 0; i < count; i++)
		put_rule(&p, &rules[i]);
	put_return(&p, action);
	prog = (struct sock_fprog){ p.len, p.code };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) ? -errno : 0;
}

static void (*report_call)(int number);

/* si_syscall is the number; what is in RAX when the handler returns is the call's result. */
static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signal;
	report_call(info->si_syscall);
	uc->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

int call_filter_report(void (*report)(int number))
{
	struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	report_call = report;
	return sigaction(SIGSYS, &action, NULL) ? -errno : 0;
}

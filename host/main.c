/* vtlhost: Hyper-V's Virtual Secure Mode on Linux/KVM, for one guest. docs/vtlhost.md */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/event_loop.h"
#include "core/guest_access.h"
#include "core/log.h"
#include "host/console.h"
#include "host/devices.h"
#include "host/host_port.h"
#include "host/monitor.h"
#include "host/net_open.h"
#include "host/options.h"
#include "host/partition.h"
#include "host/vmbus.h"
#include "host/vpci.h"

#define EXIT_NO_KVM   2
#define LAST_WORDS_NS 500000000u

struct run {
	struct options options;
	struct kvm kvm;
	struct partition partition;
	struct event_loop *loop;
	struct console *console;
	struct event_watch ended, signals;
	pthread_t signal_thread;
	int signal; /* the one that came; signal_thread writes it before it makes signals.fd readable */
	struct event_timer timeout;
	struct host_port_counters counters;
	uint64_t started_ns;
	bool quit, timed_out;
	char state[32]; /* a path, for as long as the run lasts */
	FILE *log;
};

#define RUN_OF(ptr, member) ((struct run *)((char *)(ptr)-offsetof(struct run, member)))

/* --- the log --- */

/* Not by stdio: a VP thread's kick ends a write to a terminal, and stdio would drop the line. */
static void write_whole(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* Errors are for the user; everything is for --log. */
static void write_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	struct run *run = ctx;
	struct timespec now;
	char text[600];
	int n;

	if (level == LOG_ERROR)
		fprintf(stderr, "vtlhost: %.*s\r\n", (int)len, line);
	if (!run->log)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	n = snprintf(text, sizeof(text), "[%5lld.%03ld] %.*s\n", (long long)now.tv_sec,
		     now.tv_nsec / 1000000, (int)len, line);
	write_whole(fileno(run->log), text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text));
}

static int open_log(struct run *run)
{
	struct log_sink sink = { write_line, run };
	const char *path = run->options.log;

	if (path) {
		run->log = strcmp(path, "-") ? fopen(path, "we") : stderr;
		if (!run->log) {
			fprintf(stderr, "vtlhost: cannot write the log '%s': %s\n", path,
				strerror(errno));
			return -errno;
		}
		log_set_level(LOG_DEBUG);
	}
	log_set_sink(&sink);
	return 0;
}

/* --- events of the main loop --- */

static void on_quit(void *ctx)
{
	struct run *run = ctx;

	run->quit = true;
	partition_end(&run->partition, RUN_QUIT, "stopped by the user");
}

static void on_command(void *ctx, char *line)
{
	struct run *run = ctx;
	char answer[200];

	monitor_command(&run->options, &run->partition, line, answer, sizeof(answer));
	fprintf(stderr, "vtlhost: %s\r\n", answer);
}

static void on_signal(struct event_watch *watch, uint32_t events)
{
	struct run *run = RUN_OF(watch, signals);
	eventfd_t count;

	(void)events;
	if (eventfd_read(watch->fd, &count))
		return;
	run->quit = true;
	partition_end(&run->partition, RUN_QUIT, "stopped by signal %d", run->signal);
}

/* A last chance to say what it did; VTL2 may be past answering. */
static void on_timeout(struct event_timer *timer)
{
	struct run *run = RUN_OF(timer, timeout);

	if (!run->timed_out && run->partition.port) {
		run->timed_out = true;
		host_port_request_counters(run->partition.port);
		event_timer_arm(timer, event_loop_now_ns() + LAST_WORDS_NS);
		return;
	}
	partition_end(&run->partition, RUN_TIMEOUT, "the guest did not finish within %u seconds",
		      run->options.timeout);
}

static void on_ended(struct event_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events; /* the loop's condition looks at the partition */
}

static sigset_t end_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

static void *await_signal(void *arg)
{
	struct run *run = arg;
	sigset_t set = end_signals();

	if (!sigwait(&set, &run->signal))
		eventfd_write(run->signals.fd, 1);
	return NULL;
}

/*
 * Signals are for the main loop; VP threads inherit the mask. Not by signalfd: each signal to any
 * thread, hence each kick of a VP, would wake the loop to look whether it is one of them.
 */
static int watch_signals(struct run *run)
{
	sigset_t set = end_signals();
	int ret;

	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	run->signals.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (run->signals.fd < 0)
		return -errno;
	run->signals.ready = on_signal;
	ret = event_loop_add(run->loop, &run->signals, EPOLLIN);
	if (ret)
		return ret;
	return -pthread_create(&run->signal_thread, NULL, await_signal, run);
}

/* --- one life of the guest, from power-on to its end --- */

static int attach(struct run *run)
{
	struct partition *partition = &run->partition;
	int ret;

	run->ended.fd = partition->ended_fd;
	run->ended.ready = on_ended;
	partition->port = host_port_create(partition, STDOUT_FILENO);
	partition->vmbus = host_vmbus_create(partition);
	if (!partition->port || !partition->vmbus)
		return -ENOMEM;
	partition->vpci = host_vpci_create(partition);
	if (!partition->vpci)
		return -ENOMEM;
	ret = host_devices_create(partition, &partition->devices);
	if (ret)
		return ret;
	console_attach(run->console, partition->port);
	return event_loop_add(run->loop, &run->ended, EPOLLIN);
}

static void detach(struct run *run)
{
	struct partition *partition = &run->partition;

	console_attach(run->console, NULL);
	event_loop_remove(run->loop, &run->ended);
	if (partition->port)
		host_port_counters(partition->port, &run->counters);
}

/* VP threads use all of it and have ended; the threads of it use the VPs and end here. */
static void free_attached(struct partition *partition)
{
	host_vmbus_stop(partition->vmbus);
	host_devices_stop(partition->devices);
	host_vpci_destroy(partition->vpci);
	host_devices_destroy(partition->devices);
	host_vmbus_destroy(partition->vmbus);
	host_port_destroy(partition->port);
}

static enum run_outcome run_once(struct run *run, char *reason, size_t len)
{
	struct partition *partition = &run->partition;
	enum run_outcome outcome;
	int ret;

	if (partition_create(partition, &run->kvm, &run->options))
		return RUN_FAILURE;
	ret = attach(run);
	if (ret)
		partition_end(partition, RUN_FAILURE, "cannot set up the devices: %s",
			      strerror(-ret));
	else
		partition_start(partition);
	while (!partition_ended(partition))
		event_loop_run_once(run->loop, -1);
	detach(run);
	outcome = (enum run_outcome)atomic_load(&partition->outcome);
	snprintf(reason, len, "%s", partition->reason);
	partition_stop(partition);
	free_attached(partition);
	partition_destroy(partition);
	return outcome;
}

static enum run_outcome run_until_over(struct run *run, char *reason, size_t len)
{
	enum run_outcome outcome;

	for (;;) {
		outcome = run_once(run, reason, len);
		if (outcome != RUN_RESET || run->options.no_reboot || run->quit)
			return outcome;
		log_info("the guest was reset: %s", reason);
	}
}

/* --- the end --- */

static const char *describe(enum run_outcome outcome)
{
	switch (outcome) {
	case RUN_POWER_OFF:
		return "guest powered off";
	case RUN_RESET:
		return "guest reset";
	case RUN_GUEST_CRASH:
		return "guest crashed";
	case RUN_VTL2_CRASH:
		return "VTL2 crashed";
	case RUN_TIMEOUT:
		return "timeout";
	case RUN_QUIT:
		return "stopped";
	default:
		return "failed";
	}
}

static void print_summary(const struct run *run, enum run_outcome outcome, const char *reason)
{
	static const char *const kinds[HOST_PORT_COUNTER_COUNT] = {
		[HOST_PORT_EXITS_PIO] = "pio",
		[HOST_PORT_EXITS_MMIO] = "mmio",
		[HOST_PORT_EXITS_MSR] = "msr",
		[HOST_PORT_EXITS_CPUID] = "cpuid",
		[HOST_PORT_EXITS_HYPERCALL] = "hypercall",
		[HOST_PORT_EXITS_HALT] = "halt",
		[HOST_PORT_EXITS_EOI] = "eoi",
		[HOST_PORT_EXITS_WAKE] = "wake",
		[HOST_PORT_EXITS_OTHER] = "other",
	};
	const struct host_port_counters *c = &run->counters;
	unsigned int i;

	fprintf(stderr, "entresol: %s%s%s%s; %.1f s; VTL2 memory %.1f of %.1f MiB; exits",
		describe(outcome), *reason ? " (" : "", reason, *reason ? ")" : "",
		(double)(event_loop_now_ns() - run->started_ns) / 1e9,
		(double)c->vtl2_memory_used / 1048576, (double)c->vtl2_memory_total / 1048576);
	for (i = 0; i < HOST_PORT_COUNTER_COUNT; i++)
		fprintf(stderr, " %s %llu", kinds[i], (unsigned long long)c->exits[i]);
	fprintf(stderr, "\n");
}

static int exit_status(enum run_outcome outcome)
{
	switch (outcome) {
	case RUN_POWER_OFF:
		return 0;
	case RUN_TIMEOUT:
		return 124; /* as timeout(1) */
	case RUN_QUIT:
		return 130;
	default:
		return 1;
	}
}

/* Without a file for it, what the guest keeps (its TPM's memory) outlives its resets, but not the run. */
static int keep_state(struct run *run)
{
	int fd;

	if (run->options.guest_state)
		return 0;
	fd = memfd_create("guest-state", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(run->state, sizeof(run->state), "/proc/self/fd/%d", fd);
	run->options.guest_state = run->state;
	return 0;
}

static int run_guest(struct run *run)
{
	struct console_handler handler = { on_quit, on_command, run };
	enum run_outcome outcome = RUN_FAILURE;
	char reason[240] = "";

	run->loop = event_loop_create();
	if (!run->loop || watch_signals(run) || keep_state(run)) {
		log_error("cannot set up the main loop: %s", strerror(errno));
		return 1;
	}
	run->console = console_create(run->loop, &handler);
	event_timer_init(&run->timeout, run->loop, on_timeout);
	run->started_ns = event_loop_now_ns();
	if (run->options.timeout)
		event_timer_arm(&run->timeout,
				run->started_ns + run->options.timeout * 1000000000ull);
	if (run->console)
		outcome = run_until_over(run, reason, sizeof(reason));
	event_timer_cancel(&run->timeout);
	pthread_cancel(run->signal_thread);
	pthread_join(run->signal_thread, NULL);
	console_destroy(run->console);
	print_summary(run, outcome, reason);
	return exit_status(outcome);
}

static int probe(struct run *run)
{
	const char *why;

	if (kvm_open(&run->kvm, &why))
		goto unusable;
	if (kvm_probe(&run->kvm, &why))
		goto close_kvm;
	kvm_close(&run->kvm);
	printf("KVM runs guests here\n");
	return 0;

close_kvm:
	kvm_close(&run->kvm);
unusable:
	printf("KVM cannot be used: %s\n", why);
	return EXIT_NO_KVM;
}

int main(int argc, char **argv)
{
	static struct run run;
	const char *why;
	int ret = options_parse(&run.options, argc, argv);

	if (ret)
		return ret < 0 ? 1 : 0;
	if (net_check(&run.options.net))
		return 1;
	if (run.options.check)
		return 0;
	if (run.options.probe)
		return probe(&run);
	if (open_log(&run))
		return 1;
	if (guest_access_install_fault_handler()) {
		log_error("no handler for faults");
		return 1;
	}
	if (kvm_open(&run.kvm, &why)) {
		log_error("%s", why);
		return EXIT_NO_KVM;
	}
	ret = run_guest(&run);
	kvm_close(&run.kvm);
	return ret;
}

/*
 * PID 1 of VTL2: mounts what the paravisor needs, starts /paravisor with the words that follow
 * "--" on the kernel command line (the kernel passes them to us), reaps, and turns the paravisor's
 * end into something the host sees. VTL2 never ends silently and never hangs: a failure ends in a
 * kernel panic, which reaches the host as Hyper-V's crash report (TLFS 2.4.5, crash MSRs), an orderly
 * exit in a reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARAVISOR "/paravisor"

/* Syslog levels that the kernel takes in front of a line written to /dev/kmsg. */
enum level {
	LEVEL_EMERGENCY = 0,
	LEVEL_ERROR = 3,
	LEVEL_INFO = 6
};

static int kmsg = -1;

static void say(enum level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One write is one record in the kernel's log. */
static void say(enum level level, const char *fmt, ...)
{
	char line[256];
	size_t used;
	va_list args;

	used = (size_t)snprintf(line, sizeof(line), "<%d>init: ", level);
	va_start(args, fmt);
	vsnprintf(line + used, sizeof(line) - used, fmt, args);
	va_end(args);
	if (write(kmsg, line, strlen(line)) < 0)
		return; /* nowhere left to say so */
}

/*
 * The kernel panics when PID 1 exits, and VTL2's kernel is configured to reset at once after a
 * panic: the host gets the reason by our line in its log, and the fact by the crash MSRs.
 */
static void __attribute__((noreturn)) give_up(void)
{
	_exit(EXIT_FAILURE);
}

static void make_mount(const char *type, const char *where)
{
	if (mkdir(where, 0755) && errno != EEXIST)
		say(LEVEL_ERROR, "cannot make %s: %s", where, strerror(errno));
	if (mount(type, where, type, MS_NOSUID | MS_NOEXEC, NULL))
		say(LEVEL_ERROR, "cannot mount %s: %s", where, strerror(errno));
}

/* Everything the paravisor writes to its standard streams becomes a record of the kernel's log. */
static void open_streams(void)
{
	int null = open("/dev/null", O_RDWR);

	kmsg = open("/dev/kmsg", O_WRONLY);
	if (null < 0 || kmsg < 0)
		give_up();
	dup2(null, STDIN_FILENO);
	dup2(kmsg, STDOUT_FILENO);
	dup2(kmsg, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
	if (kmsg > STDERR_FILENO)
		close(kmsg);
	kmsg = STDERR_FILENO;
}

/* By default the kernel drops lines of a process that logs much; its log is all we have. */
static void unlimit_log(void)
{
	static const char on[] = "on\n";
	int fd = open("/proc/sys/kernel/printk_devkmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, on, sizeof(on) - 1) < 0)
		say(LEVEL_INFO, "the log stays rate-limited: %s", strerror(errno));
	close(fd);
}

/*
 * The kernel hands us the words behind "--", but before them every word of its own line that it does
 * not know (noxsave is one: it is looked for without being registered). Ours begin with "--".
 */
static void drop_foreign_words(char *argv[])
{
	char **to = argv + 1, **from;

	for (from = argv + 1; *from; from++)
		if (!strncmp(*from, "--", 2))
			*to++ = *from;
	*to = NULL;
}

static pid_t start_paravisor(char *argv[])
{
	static char *const environment[] = { NULL };
	pid_t pid = fork();

	if (pid < 0) {
		say(LEVEL_EMERGENCY, "cannot start a process: %s", strerror(errno));
		give_up();
	}
	if (pid == 0) {
		argv[0] = (char[]){ PARAVISOR };
		setsid();
		execve(PARAVISOR, argv, environment);
		say(LEVEL_EMERGENCY, "cannot run " PARAVISOR ": %s", strerror(errno));
		_exit(127);
	}
	return pid;
}

/* Reaps whatever ends until the paravisor does. Returns its wait status. */
static int wait_for(pid_t paravisor)
{
	int status;
	pid_t pid;

	do {
		pid = wait(&status);
	} while (pid != paravisor && (pid >= 0 || errno == EINTR));
	if (pid < 0) {
		say(LEVEL_EMERGENCY, "cannot wait for the paravisor: %s", strerror(errno));
		give_up();
	}
	return status;
}

int main(int argc, char *argv[])
{
	int status;

	(void)argc;
	drop_foreign_words(argv);
	make_mount("devtmpfs", "/dev");
	open_streams();
	make_mount("proc", "/proc");
	make_mount("sysfs", "/sys");
	make_mount("tmpfs", "/tmp");
	unlimit_log();

	status = wait_for(start_paravisor(argv));
	if (WIFSIGNALED(status)) {
		say(LEVEL_EMERGENCY, "the paravisor was killed by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
		give_up();
	}
	if (WEXITSTATUS(status)) {
		say(LEVEL_EMERGENCY, "the paravisor failed with status %d", WEXITSTATUS(status));
		give_up();
	}
	say(LEVEL_ERROR, "the paravisor ended by itself: resetting VTL2");
	sync();
	reboot(RB_AUTOBOOT);
	give_up();
}

/*
 * PID 1 of VTL2: mounts what the paravisor needs, starts /vtpm and /paravisor, the latter with the words that follow
 * "--" on the kernel command line (the kernel passes them to us), reaps, and turns the paravisor's
 * end into something the host sees. A vTPM that dies is started again: its pipes are ours, and who holds the VM's
 * memory, the paravisor, need not be able to start a process for it. VTL2 never ends silently and never hangs: a failure ends in a
 * kernel panic, which reaches the host as Hyper-V's crash report (TLFS 2.4.5, crash MSRs), an orderly
 * exit in a reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/vtpm_link.h"

#define PARAVISOR "/paravisor"
#define VTPM      "/vtpm"

/* Of the paravisor; the kernel hands on fewer. */
#define WORDS_MAX 64

/* What follows is the vTPM's own word: for tests. */
#define VTPM_WORD "--vtpm="

/* More deaths than that have a reason that another start does not remove. */
#define VTPM_STARTS 8

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

static void set_parameter(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		say(LEVEL_INFO, "%s stays as it is: %s", path, strerror(errno));
	close(fd);
}

/*
 * By default the kernel drops lines of a process that logs much; its log is all we have. And it allows as many threads
 * as it thinks good for so little memory: too few for its own and one a VP.
 */
static void set_parameters(void)
{
	set_parameter("/proc/sys/kernel/printk_devkmsg", "on\n");
	set_parameter("/proc/sys/kernel/threads-max", "4096\n");
}

static char *const environment[] = { NULL };

/* The vTPM, and the two pipes to and from it, of which we keep all four ends. pid 0: not running. */
static struct {
	pid_t pid;
	unsigned int starts;
	int to[2], from[2];
	char *argv[3];
} vtpm;

/*
 * The kernel hands us the words behind "--", but before them every word of its own line that it does
 * not know (noxsave is one: it is looked for without being registered), and those with a "=" as our environment. Ours
 * begin with "--".
 */
static void take_word(char **words, size_t *count, char *word)
{
	if (!strncmp(word, VTPM_WORD, sizeof(VTPM_WORD) - 1))
		vtpm.argv[1] = word + sizeof(VTPM_WORD) - 1;
	else if (!strncmp(word, "--", 2) && *count < WORDS_MAX)
		words[(*count)++] = word;
}

static void take_words(char **words, char *argv[])
{
	size_t count = 1; /* the first is the program's name */

	for (char **word = environ; *word; word++)
		take_word(words, &count, *word);
	for (char **word = argv + 1; *word; word++)
		take_word(words, &count, *word);
	words[count] = NULL;
}

static void start_vtpm(void)
{
	vtpm.pid = fork();
	if (vtpm.pid < 0) {
		say(LEVEL_ERROR, "cannot start the vTPM: %s", strerror(errno));
		vtpm.pid = 0;
		return;
	}
	if (vtpm.pid == 0) {
		setsid();
		if (dup2(vtpm.to[0], STDIN_FILENO) >= 0 && dup2(vtpm.from[1], STDOUT_FILENO) >= 0)
			execve(VTPM, vtpm.argv, environment);
		_exit(127);
	}
	vtpm.starts++;
}

/* Packet mode: what the vTPM writes before it dies, and what we say of it, are whole and in order. */
static bool make_vtpm_pipes(void)
{
	return !pipe2(vtpm.to, O_DIRECT | O_CLOEXEC) && !pipe2(vtpm.from, O_DIRECT | O_CLOEXEC);
}

/* A request that the dead one has not taken must not reach the next one as its first. */
static void drain_requests(void)
{
	char packet[PIPE_BUF];

	fcntl(vtpm.to[0], F_SETFL, O_DIRECT | O_NONBLOCK);
	while (read(vtpm.to[0], packet, sizeof(packet)) > 0)
		;
	fcntl(vtpm.to[0], F_SETFL, O_DIRECT);
}

static void vtpm_died(int status)
{
	struct vtpm_link_header message = { .type = VTPM_LINK_DIED };

	if (WIFSIGNALED(status))
		say(LEVEL_ERROR, "the vTPM was killed by signal %d", WTERMSIG(status));
	else
		say(LEVEL_ERROR, "the vTPM ended with status %d", WEXITSTATUS(status));
	vtpm.pid = 0;
	drain_requests();
	if (vtpm.starts < VTPM_STARTS)
		start_vtpm();
	if (!vtpm.pid)
		message.type = VTPM_LINK_GONE;
	if (write(vtpm.from[1], &message, sizeof(message)) < 0)
		say(LEVEL_ERROR, "nobody hears that the vTPM is gone: %s", strerror(errno));
}

/* Our own numbers may be those, in any order: by way of numbers that are not. */
static void give_vtpm_ends(void)
{
	int from = fcntl(vtpm.from[0], F_DUPFD_CLOEXEC, 16),
	    to = fcntl(vtpm.to[1], F_DUPFD_CLOEXEC, 16);

	if (dup2(from, VTPM_LINK_FROM_VTPM) < 0 || dup2(to, VTPM_LINK_TO_VTPM) < 0)
		_exit(126);
}

static pid_t start_paravisor(char *argv[])
{
	pid_t pid = fork();

	if (pid < 0) {
		say(LEVEL_EMERGENCY, "cannot start a process: %s", strerror(errno));
		give_up();
	}
	if (pid == 0) {
		argv[0] = (char[]){ PARAVISOR };
		setsid();
		if (vtpm.starts)
			give_vtpm_ends();
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
		if (pid > 0 && pid == vtpm.pid)
			vtpm_died(status);
	} while (pid != paravisor && (pid >= 0 || errno == EINTR));
	if (pid < 0) {
		say(LEVEL_EMERGENCY, "cannot wait for the paravisor: %s", strerror(errno));
		give_up();
	}
	return status;
}

int main(int argc, char *argv[])
{
	char *words[WORDS_MAX + 1];
	int status;

	(void)argc;
	take_words(words, argv);
	make_mount("devtmpfs", "/dev");
	open_streams();
	make_mount("proc", "/proc");
	make_mount("sysfs", "/sys");
	make_mount("tmpfs", "/tmp");
	set_parameters();
	vtpm.argv[0] = (char[]){ VTPM };
	if (!access(VTPM, X_OK) && make_vtpm_pipes())
		start_vtpm();

	status = wait_for(start_paravisor(words));
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

/*
 * PID 1 of the outer machine when KVM is emulated: loads KVM's modules into Debian's stock kernel,
 * runs /vtlhost with the arguments in /args (one a line) on the first serial port, its log on the
 * second, and writes "exit N" to the third. Then it powers the machine off.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARGS_MAX 64

static int status_fd = -1;

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	if (status_fd >= 0)
		tcdrain(status_fd);
	tcdrain(STDOUT_FILENO);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) finish(int status)
{
	dprintf(status_fd, "exit %d\n", status);
	power_off();
}

static void __attribute__((noreturn)) fail(const char *what, const char *name)
{
	dprintf(STDERR_FILENO, "tcg-init: %s %s: %s\n", what, name, strerror(errno));
	finish(1);
}

/* Nobody counts a guest's performance events here, and KVM would look for somebody at each exit. */
static const char *parameters_of(const char *module)
{
	const char *name = strrchr(module, '/');

	return name && !strcmp(name, "/kvm.ko") ? "enable_pmu=0" : "";
}

/* /modules lists files in the order to load them. One that is built in or not for us is skipped. */
static void load_modules(void)
{
	FILE *list = fopen("/modules", "re");
	char line[256];
	int fd;

	if (!list)
		fail("no list of modules", "/modules");
	while (fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = 0;
		if (!line[0])
			continue;
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fail("cannot open", line);
		if (syscall(SYS_finit_module, fd, parameters_of(line), 0) && errno != EEXIST &&
		    errno != ENODEV && errno != EOPNOTSUPP)
			fail("cannot load", line);
		close(fd);
	}
	fclose(list);
}

static int open_serial(const char *path)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY);

	if (fd < 0)
		fail("cannot open", path);
	if (tcgetattr(fd, &raw) == 0) {
		cfmakeraw(&raw);
		cfsetspeed(&raw, B115200);
		tcsetattr(fd, TCSANOW, &raw);
	}
	return fd;
}

/*
 * Interrupts (64 a second, where Linux makes the clock's of the HPET, else one) from a device that nothing else
 * depends on, for as long as the machine runs.
 *
 * QEMU (7.2 at least) changes the bit for a virtual interrupt in the processor's set of requests at every
 * VMRUN and #VMEXIT without a lock and without an atomic operation, while its main thread adds "look at the
 * local APIC". Now and then that is lost. The interrupt stays pending in the APIC, but the processor looks only
 * after the next one; when the lost one was the one-shot timer, there is no next one, and a guest that spins
 * keeps the machine for good. With this, for milliseconds.
 */
static void start_heartbeat(void)
{
	int clock = open("/dev/rtc0", O_RDONLY);

	if (clock < 0 || ioctl(clock, RTC_UIE_ON, 0))
		dprintf(STDERR_FILENO, "tcg-init: no heartbeat from the clock: %s\n",
			strerror(errno));
}

/* Guests' memory is a memfd, for which a kernel takes 2 MiB pages only when it is told to (docs/vtlhost.md). */
static void allow_huge_pages(void)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_WRONLY);

	if (fd < 0 || write(fd, "advise", 6) < 0)
		dprintf(STDERR_FILENO, "tcg-init: guests get small pages: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void read_args(char *argv[ARGS_MAX])
{
	FILE *file = fopen("/args", "re");
	char *line = NULL;
	size_t size = 0;
	int n = 1;

	if (!file)
		fail("no", "/args");
	argv[0] = strdup("/vtlhost");
	while (n < ARGS_MAX - 1 && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		argv[n++] = strdup(line);
	}
	argv[n] = NULL;
	free(line);
	fclose(file);
}

int main(void)
{
	char *argv[ARGS_MAX];
	int console, status;
	pid_t child;

	mkdir("/dev", 0755);
	mkdir("/proc", 0555);
	mkdir("/sys", 0555);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	console = open_serial("/dev/ttyS0");
	status_fd = open_serial("/dev/ttyS2");
	dup2(console, STDIN_FILENO);
	dup2(console, STDOUT_FILENO);
	dup2(console, STDERR_FILENO);
	load_modules();
	start_heartbeat();
	allow_huge_pages();
	read_args(argv);
	child = fork();
	if (child < 0)
		fail("cannot", "fork");
	if (!child) {
		execv(argv[0], argv);
		fail("cannot run", argv[0]);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		dprintf(STDERR_FILENO, "tcg-init: vtlhost died of signal %d\n", WTERMSIG(status));
	finish(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

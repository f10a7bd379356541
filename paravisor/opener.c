#include "paravisor/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/pci/vfio.h"
#include "paravisor/sandbox.h"

/* Beyond the time that the caller gives the function to come: binding and opening it. */
#define ANSWER_MS 10000

struct request {
	struct guid instance;
	uint32_t timeout_ms;
};

struct answer {
	int32_t device; /* descriptor, or -errno */
	char address[16];
};

struct opener {
	int to, from; /* pipes */
	bool silent;  /* it missed an answer's time: what comes now would answer an older request */
};

/* --- its own process */

static int open_function(const struct request *request, char address[16])
{
	int ret = vfio_find_vpci(&request->instance, request->timeout_ms, address);

	if (!ret)
		ret = vfio_bind(address, false);
	return ret ? ret : vfio_open_device(address);
}

/* Its descriptors being the paravisor's, it hears by a signal, not by a pipe, that the latter is no more. */
static void run(int from, int to)
{
	struct request request;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || sandbox_enter_opener())
		_exit(EXIT_FAILURE);
	while (read(from, &request, sizeof(request)) == sizeof(request)) {
		struct answer answer = { 0 };

		answer.device = open_function(&request, answer.address);
		if (write(to, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(EXIT_SUCCESS);
}

/* --- the paravisor's side */

static void close_both(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

int opener_start(struct opener **result)
{
	struct opener *opener = calloc(1, sizeof(*opener));
	int requests[2], answers[2], ret = -ENOMEM;
	long pid;

	if (!opener)
		return ret;
	if (pipe2(requests, O_CLOEXEC)) {
		ret = -errno;
		goto free_opener;
	}
	if (pipe2(answers, O_CLOEXEC)) {
		ret = -errno;
		goto close_requests;
	}
	/* A fork() but for the descriptors, which stay shared. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid)
		run(requests[0], answers[1]);
	if (pid < 0) {
		ret = -errno;
		goto close_answers;
	}
	opener->to = requests[1];
	opener->from = answers[0];
	*result = opener;
	return 0;

close_answers:
	close_both(answers);
close_requests:
	close_both(requests);
free_opener:
	free(opener);
	return ret;
}

int opener_open(struct opener *opener, const struct guid *instance, unsigned int timeout_ms,
		char address[16], int *device)
{
	const struct request request = { *instance, timeout_ms };
	struct pollfd readable = { .fd = opener->from, .events = POLLIN };
	struct answer answer;

	if (opener->silent)
		return -ETIMEDOUT;
	if (write(opener->to, &request, sizeof(request)) != sizeof(request))
		return -EPIPE;
	if (poll(&readable, 1, (int)timeout_ms + ANSWER_MS) <= 0) {
		opener->silent = true;
		return -ETIMEDOUT;
	}
	if (read(opener->from, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	if (answer.device < 0)
		return answer.device;
	memcpy(address, answer.address, sizeof(answer.address));
	address[sizeof(answer.address) - 1] = 0;
	*device = answer.device;
	return 0;
}

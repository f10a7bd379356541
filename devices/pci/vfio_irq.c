/*
 * MSI-X by VFIO: an eventfd a vector. All are made and enabled when the function is opened: kernels
 * before 6.5 cannot add vectors later without losing interrupts of those in use, and later on nothing
 * may be opened any more.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/container_of.h"
#include "devices/pci/vfio_internal.h"

#define VECTORS_MAX 257u

static void vector_ready(struct event_watch *watch, uint32_t epoll_events)
{
	struct vfio_vector *vector = container_of(watch, struct vfio_vector, watch);

	(void)epoll_events;
	vector->interrupt->raised(vector->interrupt);
}

/* count 0 turns MSI-X off. */
static int set_irqs(struct vfio_function *function, unsigned int count)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + count * sizeof(int32_t));
	int err;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)(sizeof(*set) + count * sizeof(int32_t));
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		     (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = VFIO_PCI_MSIX_IRQ_INDEX;
	set->count = count;
	for (unsigned int i = 0; i < count; i++)
		memcpy(set->data + i * sizeof(int32_t), &function->vectors[i].watch.fd,
		       sizeof(int32_t));
	err = ioctl(function->fd, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
	free(set);
	return err;
}

/* /proc/interrupts has a line "NN: ... vfio-msix[I](ADDRESS)" for each vector. */
static void open_affinity(struct vfio_function *function)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char *line = NULL, path[64];
	size_t size = 0;

	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		char *name = strstr(line, "vfio-msix["), address[16];
		unsigned int irq, vector;

		if (!name || sscanf(line, " %u:", &irq) != 1 ||
		    sscanf(name, "vfio-msix[%u](%15[^)])", &vector, address) != 2 ||
		    strcmp(address, function->address) || vector >= function->vector_count ||
		    function->vectors[vector].affinity_fd >= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
		function->vectors[vector].affinity_fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	free(line);
	fclose(file);
}

int vfio_vectors_open(struct vfio_function *function, unsigned int max)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	int err = 0;

	if (ioctl(function->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return -errno;
	if (!max || max > VECTORS_MAX)
		max = VECTORS_MAX;
	function->vectors = calloc(max, sizeof(*function->vectors));
	if (!function->vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < info.count && i < max && !err; i++) {
		struct vfio_vector *vector = &function->vectors[i];

		vector->affinity_fd = -1;
		vector->watch.ready = vector_ready;
		vector->watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (vector->watch.fd < 0)
			err = -errno;
		else
			function->vector_count++;
	}
	if (!err && function->vector_count)
		err = set_irqs(function, function->vector_count);
	if (!err)
		open_affinity(function);
	return err;
}

void vfio_vectors_close(struct vfio_function *function)
{
	if (function->vector_count)
		set_irqs(function, 0);
	for (unsigned int i = 0; i < function->vector_count; i++) {
		if (function->vectors[i].affinity_fd >= 0)
			close(function->vectors[i].affinity_fd);
		close(function->vectors[i].watch.fd);
	}
	free(function->vectors);
}

unsigned int vfio_vector_count(struct pci_device_access *pci)
{
	return container_of(pci, struct vfio_function, device)->vector_count;
}

/* Only for a thread that stays on one processor. That it fails costs time, not interrupts. */
static void follow_thread(struct vfio_vector *vector)
{
	cpu_set_t set;
	char text[16];
	int len;

	if (vector->affinity_fd < 0 || sched_getaffinity(0, sizeof(set), &set) ||
	    CPU_COUNT(&set) != 1)
		return;
	len = snprintf(text, sizeof(text), "%d", sched_getcpu());
	if (write(vector->affinity_fd, text, (size_t)len) < 0)
		return;
}

int vfio_vector_bind(struct pci_device_access *pci, unsigned int index, struct event_loop *loop,
		     struct pci_interrupt *interrupt)
{
	struct vfio_function *function = container_of(pci, struct vfio_function, device);
	struct vfio_vector *vector;
	int err;

	if (index >= function->vector_count)
		return -EINVAL;
	vector = &function->vectors[index];
	if (vector->loop)
		return -EBUSY;
	vector->interrupt = interrupt;
	follow_thread(vector);
	/* By edges, of which every interrupt is one: its count need not be read. */
	err = event_loop_add(loop, &vector->watch, EPOLLIN | EPOLLET);
	if (!err)
		vector->loop = loop;
	return err;
}

void vfio_vector_unbind(struct pci_device_access *pci, unsigned int index)
{
	struct vfio_function *function = container_of(pci, struct vfio_function, device);

	if (index >= function->vector_count || !function->vectors[index].loop)
		return;
	event_loop_remove(function->vectors[index].loop, &function->vectors[index].watch);
	function->vectors[index].loop = NULL;
}

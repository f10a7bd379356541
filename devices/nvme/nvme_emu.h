#ifndef DEVICES_NVME_NVME_EMU_H
#define DEVICES_NVME_NVME_EMU_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An emulated NVM Express 1.4 controller as a PCI function, and the namespaces behind it. In vtlhost
 * it sits on VPCI, in driver tests on devices/pci/pci_inproc.h. docs/nvme.md has the design.
 */

struct nvme_emu;
struct nvme_emu_namespace;
struct pci_function;

#define NVME_EMU_MAX_IO_QUEUES  64u
#define NVME_EMU_MAX_NAMESPACES 64u
#define NVME_EMU_MAX_WORKERS    64u

/* --- Namespaces: one each a disk; several controllers may have the same one */

struct nvme_emu_namespace_config {
	int fd;              /* a file or block device, the caller's, kept open; -1: memory */
	uint64_t memory_len; /* bytes, with fd -1: zeroes at first, gone in the end */
	uint32_t block_size; /* 512 or 4096; the size is cut to whole blocks */
	bool read_only;      /* every write fails: namespace is write protected */
	bool shared;         /* says of itself that several controllers may have it */
	uint8_t nguid[16];   /* globally unique; zeroes: it says that it has none */
	uint8_t eui64[8];    /* the same */
};

/* With one reference, the caller's; NULL with errno set. */
struct nvme_emu_namespace *nvme_emu_namespace_create(
	const struct nvme_emu_namespace_config *config);
void nvme_emu_namespace_put(struct nvme_emu_namespace *ns);

/*
 * The namespace now ends after so many bytes: for a file after it was truncated or grown, for memory
 * at most what it was made with. Its controllers tell their drivers. Any thread. 0, -EINVAL.
 */
int nvme_emu_namespace_resize(struct nvme_emu_namespace *ns, uint64_t bytes);

/* The size of the file or device now. 0 or -errno. */
int nvme_emu_namespace_resized(struct nvme_emu_namespace *ns);

/* --- Controllers */

struct nvme_emu_config {
	char serial[21]; /* of the subsystem: the same for controllers that share namespaces */
	uint16_t controller_id; /* unique in the subsystem */
	bool shared;            /* there are several controllers in the subsystem */
	unsigned int
		io_queues; /* pairs, 1 to 64; each has an MSI-X vector, and the admin queue one */
	/*
	 * Threads for the I/O queues (1 to 64); the admin queue has one of its own. Queues with the
	 * same completion queue are on one thread. 0: no threads, a command is executed by the
	 * thread that rings the doorbell, before bar_write() returns: for memory namespaces, and for
	 * tests that want to know when. Delays of faults need threads.
	 */
	unsigned int workers;
	bool no_shadow_doorbells; /* does not offer Doorbell Buffer Config */
};

/* NULL with errno set. The function is not plugged in and the controller disabled. */
struct nvme_emu *nvme_emu_create(const struct nvme_emu_config *config);

/* What the bus gets. Its destroy(), after its reset(), ends the controller. */
struct pci_function *nvme_emu_function(struct nvme_emu *emu);

/*
 * Gives the controller a namespace (nsid 1 to 64), with a reference of its own, or takes it away;
 * a running driver gets a notice. When detach returns no command uses the namespace. Any thread
 * that is not in a call of the function. 0, -EINVAL, -EEXIST, -ENOENT, -ENOSPC (a namespace has at
 * most 8 controllers).
 */
int nvme_emu_attach(struct nvme_emu *emu, uint32_t nsid, struct nvme_emu_namespace *ns);
int nvme_emu_detach(struct nvme_emu *emu, uint32_t nsid);

#endif

#ifndef HOST_SETTINGS_H
#define HOST_SETTINGS_H

#include <stddef.h>

/*
 * What GET tells VTL2, made from the command line (proto/get.h has the schema): JSON, which the
 * caller frees. NULL when out of memory.
 */

struct disk_option;
struct guid;
struct options;

/* Device platform settings, with the VTL2 settings in them. */
char *host_settings_platform(const struct options *options, size_t *len);

/* The VTL2 settings alone. */
char *host_settings_vtl2(const struct options *options, size_t *len);

/* The VPCI instance of the NVMe controller of options->disks[index]: always the same. */
void host_settings_disk_instance(unsigned int index, struct guid *instance);

/* The VPCI instances of the network card and of the function that VTL0 has for itself; their address. */
void host_settings_nic_instance(struct guid *instance);
void host_settings_vf_instance(struct guid *instance);
#define HOST_NET_MAC                               \
	{                                          \
		0x02, 0x45, 0x4E, 0x54, 0x52, 0x01 \
	}

/* What identifies a disk towards the guest: the same after a restart, another for any other disk. */
void host_settings_disk_id(const struct disk_option *disk, struct guid *id);

#endif

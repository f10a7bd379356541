#ifndef PARAVISOR_SETTINGS_H
#define PARAVISOR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * What the host wants VTL0's devices to be: the VTL2 settings, JSON inside the device platform settings
 * that GET delivers, themselves JSON (proto/get.h has the schema). All of it is the host's: checked
 * here, and nothing else looks at the text.
 */

#define SETTINGS_CONTROLLERS_MAX 4
#define SETTINGS_LUNS_MAX        64 /* of a controller */
#define SETTINGS_DEVICES_MAX     256
#define SETTINGS_STRIPE_MAX      64
#define SETTINGS_NICS_MAX        8
#define SETTINGS_TPM_KEY         32 /* bytes */

/* A namespace of an NVMe controller that the host assigns to VTL2. */
struct settings_device {
	struct guid instance; /* of its VPCI bus */
	uint32_t nsid;
};

struct settings_lun {
	uint8_t controller; /* index */
	uint8_t location;
	bool dvd;
	bool no_unmap, no_fua, no_write_cache;
	struct guid device_id; /* zeroes when the host gives none */
	char vendor[9], product[17], revision[5], serial[21];
	uint64_t size;                 /* bytes to show, 0: all */
	uint32_t physical_sector_size; /* bytes, 0: the device's own */
	uint32_t max_transfer;         /* bytes, 0: not said */
	uint32_t rotation_rate;        /* as in SCSI, at most 65534; 0: not said */
	uint32_t chunk_size;           /* bytes, of a stripe */
	uint16_t first_device; /* index; several devices are a stripe, none an empty drive */
	uint16_t device_count;
};

/* A network card of VTL0's. */
struct settings_nic {
	struct guid instance;  /* on VTL0's VMBus; also of the function's VPCI bus on VTL2's */
	uint32_t sub_channels; /* at most; UINT32_MAX: not said */
	bool has_vf;
	struct guid vf_instance; /* of the VPCI bus of a function that is for VTL0 itself */
};

struct settings {
	bool tpm;                          /* VTL0 is to have a TPM */
	bool has_tpm_key;                  /* which seals what it keeps */
	uint8_t tpm_key[SETTINGS_TPM_KEY]; /* whoever has used it wipes it */
	uint32_t sub_channels;             /* of a SCSI controller, at most; UINT32_MAX: not said */
	unsigned int controller_count, lun_count, device_count, nic_count;
	struct guid controllers[SETTINGS_CONTROLLERS_MAX]; /* instances on VTL0's VMBus */
	struct settings_lun luns[SETTINGS_CONTROLLERS_MAX * SETTINGS_LUNS_MAX];
	struct settings_device devices[SETTINGS_DEVICES_MAX];
	struct settings_nic nics[SETTINGS_NICS_MAX];
};

/*
 * Device platform settings: fills *settings, with nothing in it when they have no VTL2 settings.
 * 0, or -EINVAL, -E2BIG, -ENOMEM and the reason in `error`.
 */
int settings_parse_platform(struct settings *settings, const char *text, size_t len, char *error,
			    size_t error_len);

/* VTL2 settings by themselves, as a modification brings them. Likewise. */
int settings_parse(struct settings *settings, const char *text, size_t len, char *error,
		   size_t error_len);

#endif

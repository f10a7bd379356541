#ifndef PROTO_GET_H
#define PROTO_GET_H

#include <stdint.h>

#include "proto/guid.h"

/*
 * GET, the guest emulation transport: how a paravisor gets its configuration from the host and tells
 * it about power states, crashes and events. The layouts are those of microsoft/openvmm's
 * get_protocol, which is what OpenHCL speaks on Hyper-V; docs/get.md has the order of messages.
 *
 * It is a VMBus channel in pipe mode (VMBUS_OFFER_NAMED_PIPE_MODE, VMBUS_PIPE_TYPE_MESSAGE): each
 * message is one in-band packet without completion whose payload is a struct vmbus_pipe_header and
 * then the message. Fields are little-endian.
 */

/* 8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0, the interface */
#define GET_INTERFACE_TYPE                                             \
	{                                                              \
		0x8dedd1aa, 0x9056, 0x49e4,                            \
		{                                                      \
			0xbf, 0xd6, 0x1b, 0xf9, 0x0d, 0xc3, 0x8e, 0xf0 \
		}                                                      \
	}

/* d3e4454d-62af-44ec-b851-3170915e5f56, the only instance */
#define GET_INTERFACE_INSTANCE                                         \
	{                                                              \
		0xd3e4454d, 0x62af, 0x44ec,                            \
		{                                                      \
			0xb8, 0x51, 0x31, 0x70, 0x91, 0x5e, 0x5f, 0x56 \
		}                                                      \
	}

struct vmbus_pipe_header {
	uint32_t packet_type; /* VMBUS_PIPE_PACKET_DATA; others are a reader's own notes */
	uint32_t len;         /* bytes that follow; the packet may be padded beyond */
};
_Static_assert(sizeof(struct vmbus_pipe_header) == 8, "pipe header");
#define VMBUS_PIPE_PACKET_DATA 1u
#define VMBUS_PIPE_PACKET_MAX  16384u

#define GET_MESSAGE_MAX 12288u /* of any message, headers included */
#define GET_PAYLOAD_MAX 8192u  /* of the variable part of one message */

enum get_version {
	GET_VERSION_RS5 = 0x00010000,
	GET_VERSION_IRON = 0x00030000,
	GET_VERSION_NICKEL_REV2 = 0x00040002, /* the one that VTL2 asks for */
};

#define GET_HEADER_VERSION_1 1u

enum get_message_type {
	GET_HOST_NOTIFICATION = 1,  /* from VTL2, unanswered */
	GET_HOST_REQUEST = 2,       /* from VTL2 */
	GET_HOST_RESPONSE = 3,      /* to VTL2; the id is the request's */
	GET_GUEST_NOTIFICATION = 4, /* to VTL2, unanswered */
};

struct get_header {
	uint8_t message_version; /* GET_HEADER_VERSION_1 */
	uint8_t message_type;
	uint16_t message_id; /* of the enumeration that message_type selects */
};
_Static_assert(sizeof(struct get_header) == 4, "GET header");

enum get_guest_notification {
	GET_UPDATE_GENERATION_ID = 1,
	GET_SAVE_GUEST_VTL2_STATE_NOTIFICATION = 2,
	GET_VPCI_DEVICE_NOTIFICATION = 4,
	GET_MODIFY_VTL2_SETTINGS = 5,      /* struct get_modify_vtl2_settings */
	GET_MODIFY_VTL2_SETTINGS_REV1 = 6, /* struct get_modify_vtl2_settings_rev1 */
	GET_BATTERY_STATUS = 7,
	GET_INJECT_DEBUG_INTERRUPT = 8,
	GET_NOTIFY_POST_LIVE_MIGRATION = 9,
};

enum get_host_notification {
	GET_POWER_OFF = 1, /* struct get_power_off */
	GET_RESET = 2,     /* a header */
	GET_EVENT_LOG = 3, /* struct get_event_log */
	GET_LOG_TRACE = 4,
	GET_RESTORE_GUEST_VTL2_STATE_COMPLETED = 5,
	GET_MODIFY_VTL2_SETTINGS_COMPLETED = 6, /* struct get_result */
	GET_START_VTL0_COMPLETED = 7,           /* struct get_result */
	GET_VTL_CRASH = 8,                      /* struct get_vtl_crash */
	GET_TRIPLE_FAULT = 9,                   /* struct get_triple_fault */
};

enum get_host_request {
	GET_VERSION = 1,              /* struct get_version_request, _response */
	GET_TIME = 2,                 /* a header; struct get_time_response */
	GET_BIOS_BOOT_FINALIZE = 3,   /* struct get_bios_boot_finalize; a header */
	GET_VMGS_GET_DEVICE_INFO = 4, /* a header; struct get_vmgs_device_info */
	GET_VMGS_READ = 5,            /* struct get_vmgs_io; get_vmgs_response and the bytes */
	GET_VMGS_WRITE = 6,           /* struct get_vmgs_io and the bytes; get_vmgs_response */
	GET_VMGS_FLUSH = 7,           /* a header; struct get_vmgs_response */
	GET_IGVM_ATTEST = 8,
	GET_GUEST_STATE_PROTECTION_BY_ID = 9,
	GET_GUEST_STATE_PROTECTION = 17,
	GET_DEVICE_PLATFORM_SETTINGS_V2 = 18, /* a header */
	GET_VPCI_DEVICE_CONTROL = 19,         /* struct get_vpci_control, _response */
	GET_SAVE_GUEST_VTL2_STATE = 20,
	GET_RESTORE_GUEST_VTL2_STATE = 21,
	GET_VPCI_DEVICE_BINDING_CHANGE = 22, /* struct get_vpci_binding, _response */
	/* Only a response: to GET_DEVICE_PLATFORM_SETTINGS_V2. */
	GET_DEVICE_PLATFORM_SETTINGS_V2_REV1 = 27,
	GET_CREATE_RAM_GPA_RANGE = 28,
	GET_RESET_RAM_GPA_RANGE = 29,
	GET_LOAD_FIRMWARE = 30,
};

/* The first request. VTL2 tries versions, newest first, until one is accepted. */
struct get_version_request {
	struct get_header header;
	uint32_t version;
};
_Static_assert(sizeof(struct get_version_request) == 8, "GET version request");

struct get_version_response {
	struct get_header header;
	uint8_t version_accepted;
	uint8_t reserved_5;
};
_Static_assert(sizeof(struct get_version_response) == 6, "GET version response");

struct get_time_response {
	struct get_header header;
	uint32_t reserved_4;
	uint64_t vm_reference_time;
	int64_t utc;       /* units of 100 ns since 1601-01-01 */
	int16_t time_zone; /* minutes from UTC to local time */
	uint8_t daylight_savings;
	uint8_t reserved_27[5];
};
_Static_assert(sizeof(struct get_time_response) == 32, "GET time");

struct get_bios_boot_finalize {
	struct get_header header;
	uint8_t value;
	uint8_t reserved_5;
};
_Static_assert(sizeof(struct get_bios_boot_finalize) == 6, "GET BIOS boot finalize");

struct get_power_off {
	struct get_header header;
	uint8_t hibernate;
	uint8_t reserved_5;
};
_Static_assert(sizeof(struct get_power_off) == 6, "GET power off");

enum get_event_log_id {
	GET_EVENT_BOOT_SUCCESS = 1,
	GET_EVENT_BOOT_SUCCESS_SECURE_BOOT_FAILED = 2,
	GET_EVENT_BOOT_FAILURE = 3,
	GET_EVENT_BOOT_FAILURE_SECURE_BOOT_FAILED = 4,
	GET_EVENT_NO_BOOT_DEVICE = 5,
	GET_EVENT_ATTESTATION_FAILED = 6,
	GET_EVENT_VMGS_FILE_CLEAR = 7,
	GET_EVENT_VMGS_INIT_FAILED = 8,
	GET_EVENT_VMGS_INVALID_FORMAT = 9,
	GET_EVENT_VMGS_CORRUPT_FORMAT = 10,
	GET_EVENT_KEY_NOT_RELEASED = 11,
	GET_EVENT_DEK_DECRYPTION_FAILED = 12,
	GET_EVENT_WATCHDOG_TIMEOUT_RESET = 13,
	GET_EVENT_BOOT_ATTEMPT = 14,
	GET_EVENT_VMGS_ACCESS_FAILED = 15,
	GET_EVENT_TPM_INVALID_STATE = 17,
	GET_EVENT_TPM_IDENTITY_CHANGE_FAILED = 18,
};

struct get_event_log {
	struct get_header header;
	uint32_t event_log_id;
};
_Static_assert(sizeof(struct get_event_log) == 8, "GET event log");

/* What a guest wrote to its crash MSRs (TLFS, HV_X64_MSR_CRASH_CTL and P0 to P4). */
struct get_vtl_crash {
	struct get_header header;
	uint32_t vp_index;
	uint8_t last_vtl;
	uint8_t reserved_9[7];
	uint64_t control;
	uint64_t parameters[5];
};
_Static_assert(sizeof(struct get_vtl_crash) == 64, "GET crash");

struct get_register_state {
	uint32_t name; /* HV_REGISTER_NAME */
	uint8_t value[16];
};
_Static_assert(sizeof(struct get_register_state) == 20, "GET register");

#define GET_TRIPLE_FAULT_UNRECOVERABLE_EXCEPTION 1u

/* Followed by register_count struct get_register_state. */
struct get_triple_fault {
	struct get_header header;
	uint32_t vp_index;
	uint32_t fault_type;
	uint32_t register_count;
};
_Static_assert(sizeof(struct get_triple_fault) == 16, "GET triple fault");

/*
 * How something that the host started has ended: GET_START_VTL0_COMPLETED, and
 * GET_MODIFY_VTL2_SETTINGS_COMPLETED. A text that says why follows, UTF-8, not terminated. A VTL0
 * that could not be started ends the run.
 */
#define GET_RESULT_SUCCESS 0u
#define GET_RESULT_FAILURE 1u

struct get_result {
	struct get_header header;
	uint32_t status;
	uint32_t result_document_size;
};
_Static_assert(sizeof(struct get_result) == 12, "GET result");

/* --- device platform settings --- */

enum get_large_payload_state {
	GET_PAYLOAD_END = 0,
	GET_PAYLOAD_MORE = 1, /* another message with more of it follows */
};

/* The answer to GET_DEVICE_PLATFORM_SETTINGS_V2, as often as the text needs; size bytes follow. */
struct get_device_platform_settings_rev1 {
	struct get_header header; /* id GET_DEVICE_PLATFORM_SETTINGS_V2_REV1 */
	uint32_t size;
	uint32_t payload_state;
};
_Static_assert(sizeof(struct get_device_platform_settings_rev1) == 12, "GET settings");

/* New VTL2 settings: size bytes follow. Answered by GET_MODIFY_VTL2_SETTINGS_COMPLETED. */
struct get_modify_vtl2_settings {
	struct get_header header;
	uint32_t size;
};
_Static_assert(sizeof(struct get_modify_vtl2_settings) == 8, "GET modify settings");

struct get_modify_vtl2_settings_rev1 {
	struct get_header header;
	uint32_t size;
	uint32_t payload_state;
};
_Static_assert(sizeof(struct get_modify_vtl2_settings_rev1) == 12, "GET modify settings");

/*
 * The platform settings are a JSON object (openvmm: get_protocol's dps_json). What we read, among
 * much that is for firmware:
 *
 *   { "V1": { "EnableTpm": true, "SecureBootEnabled": false, "BiosGuid": "<GUID>",
 *             "Com1": { "EnablePort": true, ... }, ... },
 *     "V2": { "Static": { "Vtl2Settings": "<base64 of the VTL2 settings>", ... },
 *             "Dynamic": { "GenerationIdLow": 1, "GenerationIdHigh": 2, ... } } }
 *
 * "Vtl2Settings" may be absent or null: no devices. Any field may be absent; unknown ones are
 * skipped.
 *
 * The VTL2 settings are JSON again (openvmm: vtl2_settings_proto; the same schema exists as
 * protobuf, which does not begin with "{" and which we do not read):
 *
 *   { "version": "V1",
 *     "fixed": { "scsi_sub_channels": 3 },
 *     "dynamic": { "storage_controllers": [
 *       { "instance_id": "<GUID of the SCSI controller on VTL0's VMBus>",
 *         "protocol": "SCSI",
 *         "luns": [
 *           { "location": 0,
 *             "device_id": "<GUID: VPD page 83h>",
 *             "vendor_id": "Entresol", "product_id": "Virtual Disk",
 *             "product_revision_level": "1.0", "serial_number": "0", "model_number": "...",
 *             "physical_devices": {
 *               "type": "single",
 *               "device": { "device_type": "nvme",
 *                           "device_path": "<instance GUID of the VPCI bus>",
 *                           "sub_device_path": <namespace id> } } },
 *           { "location": 1, "chunk_size_in_kb": 128, ...
 *             "physical_devices": { "type": "striped",
 *               "devices": [ { "device_type": "nvme", ... }, ... two or more ] } },
 *           { "location": 2, "is_dvd": true, ... } ] } ],
 *       "nic_devices": [
 *         { "instance_id": "<GUID of the card on VTL0's VMBus, and of the VPCI bus of the MANA
 *                           function behind it on VTL2's>",
 *           "max_sub_channels": 3,
 *           "subordinate_instance_id": "<GUID of the VPCI bus, on VTL2's VMBus, of a function that is
 *                                       for VTL0 itself; missing or zeroes: there is none>" } ] } }
 *
 * or { "namespace_settings": [ { "namespace": "Base", "settings": "<base64 of the above>" } ] }.
 * vtlhost sends the first form; a reader takes both. In both the enumerations' names exist in
 * several spellings: "SCSI" or "scsi", "NVME", "NVMe" or "nvme", "SINGLE" or "single", "STRIPED",
 * "striped" or "striping"; a reader compares without case. GUIDs are 8-4-4-4-12, any case.
 *
 * Optional in a LUN: "scsi_disk_size_in_bytes" (show fewer bytes), "physical_sector_size", "fua",
 * "write_cache", "disable_thin_provisioning" (true: no UNMAP), "medium_rotation_rate",
 * "max_transfer_length". A DVD without physical_devices is an empty drive.
 *
 * No field says read-only: the backing says it. An NVMe namespace does so by bit 0 of NSATTR
 * (NVM Command Set, Identify Namespace byte 99, currently write protected).
 *
 * At most 4 SCSI controllers of 64 LUNs (location 0 to 63, no two the same).
 */

/* --- VMGS: a block device for the guest's state, vTPM's included --- */

enum get_vmgs_status {
	GET_VMGS_SUCCESS = 0,
	GET_VMGS_INVALID_COMMAND = 1,
	GET_VMGS_DEVICE_ERROR = 2, /* also: there is no such device */
	GET_VMGS_RETRY = 3,
};

struct get_vmgs_device_info {
	struct get_header header;
	uint32_t status;
	uint64_t capacity; /* logical sectors */
	uint16_t bytes_per_logical_sector;
	uint16_t bytes_per_physical_sector;
	uint32_t maximum_transfer_size_bytes;
};
_Static_assert(sizeof(struct get_vmgs_device_info) == 24, "GET VMGS device info");

#define GET_VMGS_WRITE_THROUGH 1u

struct get_vmgs_io {
	struct get_header header;
	uint32_t flags;         /* of a write: GET_VMGS_WRITE_THROUGH */
	uint64_t sector_offset; /* logical sectors */
	uint32_t sector_count;
	uint32_t reserved_20;
};
_Static_assert(sizeof(struct get_vmgs_io) == 24, "GET VMGS I/O");

struct get_vmgs_response {
	struct get_header header;
	uint32_t status;
};
_Static_assert(sizeof(struct get_vmgs_response) == 8, "GET VMGS response");

/* --- VPCI functions that VTL2 assigns or gives back --- */

enum get_vpci_control_code {
	GET_VPCI_OFFER = 1,
	GET_VPCI_REVOKE = 2,
	GET_VPCI_RESET = 3,
};

enum get_vpci_status {
	GET_VPCI_SUCCESS = 0,
	GET_VPCI_INVALID_REQUEST = 1,
	GET_VPCI_DEVICE_NOT_FOUND = 2,
	GET_VPCI_INVALID_DEVICE_STATE = 3,
	GET_VPCI_GENERIC_FAILURE = 4,
};

struct get_vpci_control {
	struct get_header header;
	uint32_t code;
	struct guid bus_instance_id;
};
_Static_assert(sizeof(struct get_vpci_control) == 24, "GET VPCI control");

struct get_vpci_control_response {
	struct get_header header;
	uint32_t status;
};
_Static_assert(sizeof(struct get_vpci_control_response) == 8, "GET VPCI control response");

/* 21 bytes on the wire: the compiler pads the struct. */
#define GET_VPCI_BINDING_SIZE 21u

struct get_vpci_binding {
	struct get_header header;
	struct guid bus_instance_id;
	uint8_t binding_state;
};

struct get_vpci_binding_response {
	struct get_header header;
	struct guid bus_instance_id;
	uint32_t status;
};
_Static_assert(sizeof(struct get_vpci_binding_response) == 24, "GET VPCI binding response");

#endif

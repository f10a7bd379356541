#ifndef PROTO_STORVSP_H
#define PROTO_STORVSP_H

#include <stdint.h>

#include "proto/guid.h"

/*
 * The storage protocol over VMBus: packets of struct vstor_packet, both ways, in-band or GPA-direct
 * with the data buffer. As Linux's drivers/scsi/storvsc_drv.c and openvmm's storvsp_protocol have it.
 */

/* ba6163d9-04a1-4d29-b605-72e2ffb1dc7f: the interface of SCSI controllers. */
#define STORVSP_SCSI_INTERFACE                                         \
	{                                                              \
		0xba6163d9, 0x04a1, 0x4d29,                            \
		{                                                      \
			0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f \
		}                                                      \
	}

#define VMSTOR_PROTO_VERSION(major, minor) (((major) << 8) | (minor))
#define VMSTOR_PROTO_VERSION_WIN6          VMSTOR_PROTO_VERSION(2, 0)
#define VMSTOR_PROTO_VERSION_WIN7          VMSTOR_PROTO_VERSION(4, 2)
#define VMSTOR_PROTO_VERSION_WIN8          VMSTOR_PROTO_VERSION(5, 1)
#define VMSTOR_PROTO_VERSION_BLUE          VMSTOR_PROTO_VERSION(6, 0)
#define VMSTOR_PROTO_VERSION_WIN10         VMSTOR_PROTO_VERSION(6, 2)

enum vstor_packet_operation {
	VSTOR_OPERATION_COMPLETE_IO = 1,
	VSTOR_OPERATION_REMOVE_DEVICE = 2,
	VSTOR_OPERATION_EXECUTE_SRB = 3,
	VSTOR_OPERATION_RESET_LUN = 4,
	VSTOR_OPERATION_RESET_ADAPTER = 5,
	VSTOR_OPERATION_RESET_BUS = 6,
	VSTOR_OPERATION_BEGIN_INITIALIZATION = 7,
	VSTOR_OPERATION_END_INITIALIZATION = 8,
	VSTOR_OPERATION_QUERY_PROTOCOL_VERSION = 9,
	VSTOR_OPERATION_QUERY_PROPERTIES = 10,
	VSTOR_OPERATION_ENUMERATE_BUS = 11, /* to the guest: look again at what is there */
	VSTOR_OPERATION_FCHBA_DATA = 12,
	VSTOR_OPERATION_CREATE_SUB_CHANNELS = 13,
};

/* NTSTATUS values of vstor_packet.status. */
enum vstor_status {
	VSTOR_STATUS_SUCCESS = 0,
	VSTOR_STATUS_DEVICE_BUSY = (int)0x80000011,
	VSTOR_STATUS_INVALID_PARAMETER = (int)0xC000000D,
	VSTOR_STATUS_REVISION_MISMATCH = (int)0xC0000059,
	VSTOR_STATUS_DEVICE_DOES_NOT_EXIST = (int)0xC00000C0,
	VSTOR_STATUS_INVALID_DEVICE_STATE = (int)0xC0000184,
	VSTOR_STATUS_IO_DEVICE_ERROR = (int)0xC0000185,
};

#define VMSCSI_CDB_SIZE   16u
#define VMSCSI_SENSE_SIZE 20u

enum vmscsi_data_direction {
	VMSCSI_DATA_OUT = 0,
	VMSCSI_DATA_IN = 1,
	VMSCSI_DATA_NONE = 2,
};

enum srb_status {
	SRB_STATUS_SUCCESS = 0x01,
	SRB_STATUS_ABORTED = 0x02,
	SRB_STATUS_ERROR = 0x04,
	SRB_STATUS_BUSY = 0x05,
	SRB_STATUS_INVALID_REQUEST = 0x06,
	SRB_STATUS_TIMEOUT = 0x09,
	SRB_STATUS_DATA_OVERRUN = 0x12,
	SRB_STATUS_INVALID_LUN = 0x20,
	SRB_STATUS_AUTOSENSE_VALID = 0x80, /* a flag */
};

struct vmscsi_request {
	uint16_t length;
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port_number;
	uint8_t path_id;
	uint8_t target_id;
	uint8_t lun;
	uint8_t cdb_length;
	uint8_t sense_info_length;
	uint8_t data_in; /* enum vmscsi_data_direction */
	uint8_t reserved_11;
	uint32_t data_transfer_length;
	uint8_t cdb_or_sense[20]; /* a CDB in a request, sense data in a completion */
	/* From 5.1 on: */
	uint16_t reserve;
	uint8_t queue_tag;
	uint8_t queue_action;
	uint32_t srb_flags;
	uint32_t time_out_value;
	uint32_t queue_sort_key;
};
_Static_assert(sizeof(struct vmscsi_request) == 0x34, "request");
#define VMSCSI_REQUEST_SIZE_BEFORE_WIN8 0x24u

#define STORAGE_CHANNEL_SUPPORTS_MULTI_CHANNEL 1u

struct vmstorage_channel_properties {
	uint32_t reserved_0;
	uint16_t max_channel_cnt; /* sub-channels */
	uint16_t reserved_6;
	uint32_t flags;
	uint32_t max_transfer_bytes;
	uint32_t reserved_16[2];
};
_Static_assert(sizeof(struct vmstorage_channel_properties) == 24, "properties");

struct vmstorage_protocol_version {
	uint16_t major_minor;
	uint16_t revision;
};
_Static_assert(sizeof(struct vmstorage_protocol_version) == 4, "version");

struct vstor_packet {
	uint32_t operation; /* enum vstor_packet_operation */
	uint32_t flags;
	uint32_t status; /* enum vstor_status */
	union {
		struct vmscsi_request vm_srb;
		struct vmstorage_channel_properties properties;
		struct vmstorage_protocol_version version;
		uint16_t sub_channel_count;
	};
};
_Static_assert(sizeof(struct vstor_packet) == 64, "packet");
#define VSTOR_PACKET_HEADER_SIZE      12u
#define VSTOR_PACKET_SIZE_BEFORE_WIN8 (VSTOR_PACKET_HEADER_SIZE + VMSCSI_REQUEST_SIZE_BEFORE_WIN8)

#endif

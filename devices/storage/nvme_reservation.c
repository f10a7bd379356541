/* Reservations: NVMe 1.4, 6.10 to 6.13 and 8.8. */

#include <string.h>

#include "devices/storage/nvme_internal.h"

#define HOLDS 0x01 /* of struct nvme_registered_controller.rcsts */

/* --- Commands */

static const struct {
	uint8_t opcode, action;
} commands[] = {
	[DISK_RESERVATION_REGISTER] = { NVME_IO_RESERVATION_REGISTER, NVME_RREGA_REGISTER },
	[DISK_RESERVATION_UNREGISTER] = { NVME_IO_RESERVATION_REGISTER, NVME_RREGA_UNREGISTER },
	[DISK_RESERVATION_REPLACE] = { NVME_IO_RESERVATION_REGISTER, NVME_RREGA_REPLACE },
	[DISK_RESERVATION_ACQUIRE] = { NVME_IO_RESERVATION_ACQUIRE, NVME_RACQA_ACQUIRE },
	[DISK_RESERVATION_PREEMPT] = { NVME_IO_RESERVATION_ACQUIRE, NVME_RACQA_PREEMPT },
	[DISK_RESERVATION_PREEMPT_ABORT] = { NVME_IO_RESERVATION_ACQUIRE,
					     NVME_RACQA_PREEMPT_ABORT },
	[DISK_RESERVATION_RELEASE] = { NVME_IO_RESERVATION_RELEASE, NVME_RRELA_RELEASE },
	[DISK_RESERVATION_CLEAR] = { NVME_IO_RESERVATION_RELEASE, NVME_RRELA_CLEAR },
	[DISK_RESERVATION_REPORT] = { NVME_IO_RESERVATION_REPORT, 0 },
};

void nvme_reservation_command(const struct disk_reservation *reservation, struct nvme_sqe *sqe,
			      void *data)
{
	struct nvme_reservation_keys keys = { reservation->key, reservation->other_key };

	sqe->opcode = commands[reservation->action].opcode;
	memset(data, 0, NVME_CHUNK_SIZE);
	if (reservation->action == DISK_RESERVATION_REPORT) {
		sqe->cdw10 = NVME_CHUNK_SIZE / 4 - 1;
		return;
	}
	sqe->cdw10 = commands[reservation->action].action |
		     (reservation->ignore_key ? NVME_RESERVATION_IEKEY : 0) |
		     (uint32_t)reservation->type << NVME_RESERVATION_TYPE_SHIFT;
	memcpy(data, &keys, sizeof(keys));
}

/* --- The report: a copy of what the controller wrote, of NVME_CHUNK_SIZE bytes */

void nvme_reservation_report(const void *data, struct disk_reservation *reservation)
{
	struct nvme_reservation_status status;
	struct nvme_registered_controller controller;
	const uint8_t *at = (const uint8_t *)data + sizeof(status);
	unsigned int count;

	memcpy(&status, data, sizeof(status));
	count = status.regctl[0] | (unsigned int)status.regctl[1] << 8;
	if (count > DISK_REGISTRANTS_MAX)
		count = DISK_REGISTRANTS_MAX;
	reservation->generation = status.gen;
	reservation->type = status.rtype <= DISK_RESERVED_EXCLUSIVE_ALL
				    ? (enum disk_reservation_type)status.rtype
				    : DISK_NOT_RESERVED;
	reservation->registrant_count = count;
	for (unsigned int i = 0; i < count; i++, at += sizeof(controller)) {
		memcpy(&controller, at, sizeof(controller));
		reservation->registrants[i] = (struct disk_registrant){
			.key = controller.rkey,
			.port = controller.cntlid,
			.holds = controller.rcsts & HOLDS,
		};
	}
}

_Static_assert(sizeof(struct nvme_reservation_status) +
			       DISK_REGISTRANTS_MAX * sizeof(struct nvme_registered_controller) <=
		       NVME_CHUNK_SIZE,
	       "a report in a slot's piece of memory");

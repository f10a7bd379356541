/*
 * Persistent reservations (SPC-5 5.13, 6.16, 6.17). A disk that has its own gets ours: other machines are other initiators.
 * Else there is one initiator, so a reservation keeps nobody out; what counts is that clustering software finds the
 * state that it set up.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/big_endian.h"
#include "core/container_of.h"
#include "devices/storage/scsi_internal.h"

enum reserve_in_action {
	READ_KEYS,
	READ_RESERVATION,
	REPORT_CAPABILITIES,
	READ_FULL_STATUS
};

enum reserve_out_action {
	REGISTER,
	RESERVE,
	RELEASE,
	CLEAR,
	PREEMPT,
	PREEMPT_AND_ABORT,
	REGISTER_AND_IGNORE_EXISTING_KEY,
};

#define TYPE_MASK 0x01EAu /* bit n: type n is known: 1, 3, 5, 6, 7 and 8 */

static bool type_known(uint8_t type)
{
	return type < 16 && (TYPE_MASK >> type & 1);
}

/* Actions whose CDB names a scope, which must be the logical unit, and a type. */
static bool has_type(uint8_t action)
{
	return action == RESERVE || action == RELEASE || action == PREEMPT ||
	       action == PREEMPT_AND_ABORT;
}

/* --- Those of the disk */

/* By the numbers of SPC-5 table 73. */
static const enum disk_reservation_type disk_types[] = {
	[1] = DISK_RESERVED_WRITE,
	[3] = DISK_RESERVED_EXCLUSIVE,
	[5] = DISK_RESERVED_WRITE_REGISTRANTS,
	[6] = DISK_RESERVED_EXCLUSIVE_REGISTRANTS,
	[7] = DISK_RESERVED_WRITE_ALL,
	[8] = DISK_RESERVED_EXCLUSIVE_ALL,
};

static uint8_t scsi_type(enum disk_reservation_type type)
{
	uint8_t number = sizeof(disk_types) / sizeof(disk_types[0]) - 1;

	while (number && (!type || disk_types[number] != type))
		number--;
	return number;
}

/* Of the command's, which scsi_finish() frees with it. */
static struct disk_reservation *reservation_of(struct scsi_command *command)
{
	return (struct disk_reservation *)(void *)command->parameters;
}

static void ask_disk(struct scsi_lun *lun, struct scsi_command *command,
		     const struct disk_reservation *what,
		     void (*done)(struct disk_request *request, int err))
{
	struct disk_reservation *reservation = malloc(sizeof(*reservation));
	struct disk *disk = lun->config.disk;

	if (!reservation) {
		scsi_fail_errno(command, -ENOMEM);
		return;
	}
	*reservation = *what;
	command->parameters = (uint8_t *)reservation;
	command->disk = (struct disk_request){
		.operation = DISK_RESERVATION,
		.reservation = reservation,
		.done = done,
		.disk = disk,
	};
	disk->ops->submit(disk, command->loop, &command->disk);
}

static uint32_t disk_keys(const struct disk_reservation *r, uint8_t *data)
{
	store_be32(data + 4, 8 * r->registrant_count);
	for (unsigned int i = 0; i < r->registrant_count; i++)
		store_be64(data + 8 + 8 * i, r->registrants[i].key);
	return 8 + 8 * r->registrant_count;
}

/* Of the types for all registrants, nobody in particular is the holder. */
static uint32_t disk_holder(const struct disk_reservation *r, uint8_t *data)
{
	if (!scsi_type(r->type))
		return 8;
	store_be32(data + 4, 16);
	for (unsigned int i = 0; i < r->registrant_count; i++)
		if (r->registrants[i].holds && r->type < DISK_RESERVED_WRITE_ALL)
			store_be64(data + 8, r->registrants[i].key);
	data[21] = scsi_type(r->type);
	return 24;
}

static uint32_t disk_full_status(const struct disk_reservation *r, uint8_t *data)
{
	uint8_t *at = data + 8;

	store_be32(data + 4, 24 * r->registrant_count);
	for (unsigned int i = 0; i < r->registrant_count; i++, at += 24) {
		store_be64(at, r->registrants[i].key);
		at[12] = r->registrants[i].holds;
		at[13] = r->registrants[i].holds ? scsi_type(r->type) : 0;
		store_be16(at + 18, (uint16_t)(r->registrants[i].port + 1)); /* 0 is reserved */
	}
	return 8 + 24 * r->registrant_count;
}

static void report_done(struct disk_request *request, int err)
{
	struct scsi_command *command = container_of(request, struct scsi_command, disk);
	const struct disk_reservation *r = reservation_of(command);
	uint8_t data[8 + 24 * DISK_REGISTRANTS_MAX] = { 0 };
	uint8_t action = command->cdb[1] & 0x1F;
	uint32_t len;

	if (err) {
		scsi_fail_errno(command, err);
		return;
	}
	store_be32(data, r->generation);
	len = action == READ_KEYS          ? disk_keys(r, data)
	      : action == READ_RESERVATION ? disk_holder(r, data)
					   : disk_full_status(r, data);
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

static void disk_out_done(struct disk_request *request, int err)
{
	struct scsi_command *command = container_of(request, struct scsi_command, disk);
	const struct disk_reservation *r = reservation_of(command);

	/* Who is not registered need not be unregistered. */
	if (!err || (err == -EBADE && r->action == DISK_RESERVATION_UNREGISTER && r->ignore_key))
		scsi_finish(command, SCSI_GOOD);
	else if (err == -EINVAL && r->action == DISK_RESERVATION_RELEASE)
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_RELEASE);
	else if (err == -EINVAL)
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST,
			  SCSI_ASC_INVALID_FIELD_IN_PARAMETERS);
	else
		scsi_fail_errno(command, err);
}

static enum disk_reservation_action register_action(uint64_t key, uint64_t new_key, bool ignore_key)
{
	if (!new_key)
		return DISK_RESERVATION_UNREGISTER;
	return key || ignore_key ? DISK_RESERVATION_REPLACE : DISK_RESERVATION_REGISTER;
}

static void disk_out(struct scsi_lun *lun, struct scsi_command *command, const uint8_t *parameters)
{
	static const enum disk_reservation_action actions[] = {
		[RESERVE] = DISK_RESERVATION_ACQUIRE,
		[RELEASE] = DISK_RESERVATION_RELEASE,
		[CLEAR] = DISK_RESERVATION_CLEAR,
		[PREEMPT] = DISK_RESERVATION_PREEMPT,
		[PREEMPT_AND_ABORT] = DISK_RESERVATION_PREEMPT_ABORT,
	};
	uint8_t action = command->cdb[1] & 0x1F;
	struct disk_reservation what = {
		.key = load_be64(parameters),
		.other_key = load_be64(parameters + 8),
		.ignore_key = action == REGISTER_AND_IGNORE_EXISTING_KEY,
	};

	if (action == REGISTER || action == REGISTER_AND_IGNORE_EXISTING_KEY) {
		what.action = register_action(what.key, what.other_key, what.ignore_key);
	} else {
		what.action = actions[action];
		what.type = has_type(action) ? disk_types[command->cdb[2]] : DISK_NOT_RESERVED;
	}
	/* Nobody's key for none: nothing is asked for (SPC-5 table 74). */
	if (action == REGISTER && !what.key && !what.other_key)
		scsi_finish(command, SCSI_GOOD);
	else
		ask_disk(lun, command, &what, disk_out_done);
}

/* --- PERSISTENT RESERVE IN */

static uint32_t read_keys(const struct scsi_reservation *reservation, uint8_t *data)
{
	store_be32(data, reservation->generation);
	store_be32(data + 4, reservation->key ? 8 : 0);
	store_be64(data + 8, reservation->key);
	return reservation->key ? 16 : 8;
}

static uint32_t read_reservation(const struct scsi_reservation *reservation, uint8_t *data)
{
	store_be32(data, reservation->generation);
	store_be32(data + 4, reservation->held ? 16 : 0);
	if (!reservation->held)
		return 8;
	/* Of the types for all registrants, nobody in particular is the holder. */
	store_be64(data + 8, reservation->type >= 7 ? 0 : reservation->key);
	data[21] = reservation->type;
	return 24;
}

static uint32_t report_capabilities(uint8_t *data)
{
	store_be16(data, 8);
	data[3] = 0x80; /* the type mask is valid */
	data[4] = 0xEA; /* types 7, 6, 5, 3, 1 */
	data[5] = 0x01; /* type 8 */
	return 8;
}

static uint32_t read_full_status(const struct scsi_reservation *reservation, uint8_t *data)
{
	store_be32(data, reservation->generation);
	store_be32(data + 4, reservation->key ? 24 : 0);
	if (!reservation->key)
		return 8;
	store_be64(data + 8, reservation->key);
	data[20] = reservation->held ? 0x01 : 0;
	data[21] = reservation->held ? reservation->type : 0;
	store_be16(data + 26, 1); /* relative target port */
	return 32;
}

void scsi_reserve_in(struct scsi_lun *lun, struct scsi_command *command)
{
	uint32_t allocation = load_be16(&command->cdb[7]), len;
	const struct disk_reservation report = { .action = DISK_RESERVATION_REPORT };
	struct scsi_reservation reservation;
	uint8_t action = command->cdb[1] & 0x1F;
	uint8_t data[32] = { 0 };

	if (action <= READ_FULL_STATUS && action != REPORT_CAPABILITIES &&
	    scsi_lun_info(lun).can_reserve) {
		ask_disk(lun, command, &report, report_done);
		return;
	}
	pthread_mutex_lock(&lun->lock);
	reservation = lun->reservation;
	pthread_mutex_unlock(&lun->lock);
	switch (action) {
	case READ_KEYS:
		len = read_keys(&reservation, data);
		break;
	case READ_RESERVATION:
		len = read_reservation(&reservation, data);
		break;
	case REPORT_CAPABILITIES:
		len = report_capabilities(data);
		break;
	case READ_FULL_STATUS:
		len = read_full_status(&reservation, data);
		break;
	default:
		scsi_fail_field(command);
		return;
	}
	scsi_finish_with(command, data, len, allocation);
}

/* --- PERSISTENT RESERVE OUT: 0, -EBADE for a conflict, or a sense code. */

static int do_register(struct scsi_reservation *reservation, uint64_t key, uint64_t new_key,
		       bool ignore_key)
{
	if (!ignore_key && key != reservation->key)
		return -EBADE;
	if (!new_key)
		reservation->held = false;
	reservation->key = new_key;
	reservation->generation++;
	return 0;
}

static int do_reserve(struct scsi_reservation *reservation, uint8_t type)
{
	if (reservation->held)
		return reservation->type == type ? 0 : -EBADE;
	reservation->held = true;
	reservation->type = type;
	return 0;
}

static int do_release(struct scsi_reservation *reservation, uint8_t type)
{
	if (!reservation->held)
		return 0;
	if (reservation->type != type)
		return SCSI_ASC_INVALID_RELEASE;
	reservation->held = false;
	return 0;
}

/* The only key to preempt is the initiator's own, or 0 for all registrants' reservations. */
static int do_preempt(struct scsi_reservation *reservation, uint64_t victim, uint8_t type)
{
	bool all_registrants = reservation->held && reservation->type >= 7;

	if (!victim && !all_registrants)
		return SCSI_ASC_INVALID_FIELD_IN_PARAMETERS;
	if (victim && victim != reservation->key)
		return -EBADE;
	if (reservation->held)
		reservation->type = type;
	reservation->generation++;
	return 0;
}

static int reserve_out(struct scsi_reservation *reservation, const uint8_t *cdb,
		       const uint8_t *parameters)
{
	uint64_t key = load_be64(parameters), action_key = load_be64(parameters + 8);
	uint8_t type = cdb[2] & 0x0F;
	uint8_t action = cdb[1] & 0x1F;

	if (action == REGISTER || action == REGISTER_AND_IGNORE_EXISTING_KEY)
		return do_register(reservation, key, action_key, action != REGISTER);
	if (!reservation->key || key != reservation->key)
		return -EBADE;
	switch (action) {
	case RESERVE:
		return do_reserve(reservation, type);
	case RELEASE:
		return do_release(reservation, type);
	case CLEAR:
		*reservation = (struct scsi_reservation){
			.generation = reservation->generation + 1,
		};
		return 0;
	default:
		return do_preempt(reservation, action_key, type);
	}
}

void scsi_reserve_out(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t action = command->cdb[1] & 0x1F;
	uint8_t parameters[24];
	int ret;

	if (action > REGISTER_AND_IGNORE_EXISTING_KEY ||
	    (has_type(action) && !type_known(command->cdb[2]))) {
		scsi_fail_field(command);
		return;
	}
	if (load_be32(&command->cdb[5]) != sizeof(parameters)) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH);
		return;
	}
	ret = scsi_command_take(command, parameters, sizeof(parameters));
	if (ret) {
		scsi_fail_errno(command, ret);
		return;
	}
	/* Other initiators' ports, and persistence through power loss: neither is here. */
	if (parameters[20] & 0x0D) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST,
			  SCSI_ASC_INVALID_FIELD_IN_PARAMETERS);
		return;
	}
	if (scsi_lun_info(lun).can_reserve) {
		disk_out(lun, command, parameters);
		return;
	}
	pthread_mutex_lock(&lun->lock);
	ret = reserve_out(&lun->reservation, command->cdb, parameters);
	pthread_mutex_unlock(&lun->lock);
	if (ret > 0)
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, (enum scsi_additional_sense)ret);
	else if (ret)
		scsi_fail_errno(command, ret);
	else
		scsi_finish(command, SCSI_GOOD);
}

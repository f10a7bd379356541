/* What a unit says of itself: INQUIRY, MODE SENSE, READ CAPACITY. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/big_endian.h"
#include "devices/storage/scsi_internal.h"

#define VENDOR       "ENTRESOL"
#define PRODUCT_DISK "Virtual Disk"
#define PRODUCT_DVD  "Virtual DVD-ROM"
#define REVISION     "1.0"

/* --- INQUIRY (SPC-5 6.6) and its pages (SPC-5 7.7, SBC-4 6.6) */

/* Left-aligned ASCII, padded with spaces (SPC-5 4.3.1). */
static void store_text(uint8_t *field, size_t len, const char *text)
{
	for (size_t i = 0; i < len; i++)
		field[i] = *text ? (uint8_t)*text++ : ' ';
}

static void standard_inquiry(struct scsi_lun *lun, struct scsi_command *command)
{
	const struct scsi_identity *identity = &lun->config.identity;
	bool dvd = lun->config.dvd;
	uint8_t data[74] = {
		[0] = dvd ? SCSI_TYPE_DVD : SCSI_TYPE_DISK,
		[1] = dvd ? 0x80 : 0, /* removable medium */
		[2] = 0x06,           /* SPC-4 */
		[3] = 0x12,           /* response format 2, hierarchical */
		[4] = sizeof(data) - 5,
		[7] = 0x02, /* command queuing */
	};

	store_text(&data[8], 8, identity->vendor[0] ? identity->vendor : VENDOR);
	store_text(&data[16], 16,
		   identity->product[0] ? identity->product
		   : dvd                ? PRODUCT_DVD
					: PRODUCT_DISK);
	store_text(&data[32], 4, identity->revision[0] ? identity->revision : REVISION);
	store_be16(&data[58], 0x0460);                /* SPC-4 */
	store_be16(&data[60], dvd ? 0x0540 : 0x0600); /* MMC-6, SBC-4 */
	scsi_finish_with(command, data, sizeof(data), load_be16(&command->cdb[3]));
}

struct page {
	uint8_t data[64];
	uint32_t len; /* after the 4-byte header */
};

static void page_supported(struct scsi_lun *lun, const struct disk_info *info, struct page *page)
{
	static const uint8_t disk[] = { 0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2 };

	(void)info;
	page->len = lun->config.dvd ? 3 : sizeof(disk);
	memcpy(&page->data[4], disk, page->len);
}

static void page_serial(struct scsi_lun *lun, const struct disk_info *info, struct page *page)
{
	(void)lun;
	page->len = (uint32_t)strnlen(info->serial, sizeof(info->serial) - 1);
	memcpy(&page->data[4], info->serial, page->len);
}

/* A locally assigned NAA name (SPC-5 7.7.6.6.4): binary, of the logical unit. */
static void page_identification(struct scsi_lun *lun, const struct disk_info *info,
				struct page *page)
{
	uint8_t *designator = &page->data[4];

	(void)lun;
	designator[0] = 0x01;
	designator[1] = 0x03;
	designator[3] = 8;
	memcpy(&designator[4], info->id, 8);
	for (int i = 0; i < 8; i++)
		designator[4 + i] ^= info->id[8 + i];
	designator[4] = 0x30 | (designator[4] & 0x0F);
	page->len = 12;
}

static void page_block_limits(struct scsi_lun *lun, const struct disk_info *info, struct page *page)
{
	uint8_t *data = page->data;
	uint32_t granularity = info->physical_sector_size / info->sector_size;
	uint32_t transfer = lun->config.max_transfer;

	if (!transfer || transfer > SCSI_MAX_TRANSFER)
		transfer = SCSI_MAX_TRANSFER;
	page->len = 0x3C;
	data[4] = 0x01; /* WRITE SAME needs a length */
	store_be16(&data[6], (uint16_t)granularity);
	store_be32(&data[8], transfer < info->sector_size ? 1 : transfer / info->sector_size);
	if (info->can_unmap) {
		store_be32(&data[20], SCSI_MAX_UNMAP_SECTORS);
		store_be32(&data[24], SCSI_MAX_UNMAP_DESCRIPTORS);
		store_be32(&data[28],
			   info->unmap_granularity ? info->unmap_granularity : granularity);
		store_be32(&data[32], 0x80000000u | info->unmap_alignment);
	}
	if (info->can_write_zeroes)
		store_be64(&data[36], SCSI_MAX_WRITE_SAME_SECTORS);
}

static void page_characteristics(struct scsi_lun *lun, const struct disk_info *info,
				 struct page *page)
{
	(void)info;
	page->len = 0x3C;
	store_be16(&page->data[4], lun->config.rotation_rate ? lun->config.rotation_rate : 1);
}

static void page_provisioning(struct scsi_lun *lun, const struct disk_info *info, struct page *page)
{
	(void)lun;
	page->len = 4;
	if (info->can_unmap)
		page->data[5] |= 0x80; /* UNMAP */
	if (info->can_write_zeroes)
		page->data[5] |= 0x60; /* WRITE SAME (16) and (10) with its UNMAP bit */
	if (info->unmap_reads_zero)
		page->data[5] |= 0x04;
	page->data[6] = info->can_unmap ? 2 : 0; /* thin */
}

static const struct {
	uint8_t code;
	bool disk_only;
	void (*fill)(struct scsi_lun *lun, const struct disk_info *info, struct page *page);
} pages[] = {
	{ 0x00, false, page_supported },      { 0x80, false, page_serial },
	{ 0x83, false, page_identification }, { 0xB0, true, page_block_limits },
	{ 0xB1, true, page_characteristics }, { 0xB2, true, page_provisioning },
};

void scsi_inquiry(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	struct page page = { .len = 0 };

	if (!(command->cdb[1] & 1)) {
		if (command->cdb[2])
			scsi_fail_field(command);
		else
			standard_inquiry(lun, command);
		return;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (pages[i].code != command->cdb[2] || (pages[i].disk_only && lun->config.dvd))
			continue;
		pages[i].fill(lun, &info, &page);
		page.data[0] = lun->config.dvd ? SCSI_TYPE_DVD : SCSI_TYPE_DISK;
		page.data[1] = pages[i].code;
		store_be16(&page.data[2], (uint16_t)page.len);
		scsi_finish_with(command, page.data, page.len + 4, load_be16(&command->cdb[3]));
		return;
	}
	scsi_fail_field(command);
}

/* --- MODE SENSE (SPC-5 6.14, 6.15) */

#define MODE_CACHING      0x08
#define MODE_CONTROL      0x0A
#define MODE_EXCEPTIONS   0x1C
#define MODE_CAPABILITIES 0x2A
#define MODE_ALL          0x3F

/* Current values; nothing can be changed, so changeable values are zeroes. */
static uint32_t mode_page(uint8_t code, bool changeable, uint8_t *data)
{
	static const struct {
		uint8_t code, len;
		uint8_t byte, value;
		uint8_t byte_2, value_2; /* byte_2 0: none */
	} known[] = {
		/* writes are cached until SYNCHRONIZE CACHE or FUA */
		{ MODE_CACHING, 18, 2, 0x04, 0, 0 },
		/* commands may be reordered */
		{ MODE_CONTROL, 10, 3, 0x10, 0, 0 },
		/* none are reported */
		{ MODE_EXCEPTIONS, 10, 2, 0x08, 0, 0 },
		/* reads every kind of disc; a tray that locks and ejects */
		{ MODE_CAPABILITIES, 18, 2, 0x3F, 6, 0x29 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].code != code)
			continue;
		memset(data, 0, known[i].len + 2u);
		data[0] = code;
		data[1] = known[i].len;
		if (!changeable)
			data[known[i].byte] = known[i].value;
		if (!changeable && known[i].byte_2)
			data[known[i].byte_2] = known[i].value_2;
		return known[i].len + 2u;
	}
	return 0;
}

static uint32_t mode_pages(const struct scsi_lun *lun, uint8_t wanted, bool changeable,
			   uint8_t *data)
{
	static const uint8_t disk[] = { MODE_CACHING, MODE_CONTROL, MODE_EXCEPTIONS, 0 };
	static const uint8_t optical[] = { MODE_EXCEPTIONS, MODE_CAPABILITIES, 0 };
	uint32_t len = 0;

	for (const uint8_t *code = lun->config.dvd ? optical : disk; *code; code++) {
		uint8_t *page = data + len;

		if (wanted != MODE_ALL && wanted != *code)
			continue;
		len += mode_page(*code, changeable, page);
		if (*code == MODE_CACHING && lun->config.no_write_cache)
			page[2] = 0;
	}
	return len;
}

/* One block descriptor in the short form (SBC-4 6.5.2). */
static uint32_t block_descriptor(const struct disk_info *info, uint8_t *data)
{
	memset(data, 0, 8);
	store_be32(data, info->sectors > UINT32_MAX ? UINT32_MAX : (uint32_t)info->sectors);
	store_be32(data + 4, info->sector_size & 0xFFFFFF);
	return 8;
}

void scsi_mode_sense(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	bool ten = command->cdb[0] == SCSI_MODE_SENSE_10;
	uint8_t control = command->cdb[2] >> 6;
	uint32_t header = ten ? 8 : 4, descriptor = 0, len;
	uint8_t specific = (uint8_t)((info.read_only ? 0x80 : 0) | (lun->config.no_fua ? 0 : 0x10));
	uint8_t data[128] = { 0 };

	if (control == 3) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_SAVING_NOT_SUPPORTED);
		return;
	}
	if (!(command->cdb[1] & 0x08) && !lun->config.dvd)
		descriptor = block_descriptor(&info, data + header);
	len = mode_pages(lun, command->cdb[2] & 0x3F, control == 1, data + header + descriptor);
	if (!len || (command->cdb[3] && command->cdb[3] != 0xFF)) {
		scsi_fail_field(command);
		return;
	}
	len += header + descriptor;
	if (ten) {
		store_be16(data, (uint16_t)(len - 2));
		data[3] = specific;
		store_be16(data + 6, (uint16_t)descriptor);
	} else {
		data[0] = (uint8_t)(len - 1);
		data[2] = specific;
		data[3] = (uint8_t)descriptor;
	}
	scsi_finish_with(command, data, len, ten ? load_be16(&command->cdb[7]) : command->cdb[4]);
}

/* --- READ CAPACITY (SBC-4 5.20, 5.21) */

void scsi_read_capacity_10(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	uint64_t last = info.sectors - 1;
	uint8_t data[8];

	if (!info.sectors) {
		scsi_fail_not_present(command);
		return;
	}
	store_be32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	store_be32(data + 4, info.sector_size);
	scsi_finish_with(command, data, sizeof(data), sizeof(data));
}

void scsi_read_capacity_16(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	uint32_t ratio = info.physical_sector_size / info.sector_size;
	uint8_t data[32] = { 0 };

	if (!info.sectors) {
		scsi_fail_not_present(command);
		return;
	}
	store_be64(data, info.sectors - 1);
	store_be32(data + 8, info.sector_size);
	data[13] = ratio > 1 ? (uint8_t)__builtin_ctz(ratio) : 0;
	if (info.can_unmap)
		data[14] |= 0x80;
	if (info.can_unmap && info.unmap_reads_zero)
		data[14] |= 0x40;
	scsi_finish_with(command, data, sizeof(data), load_be32(&command->cdb[10]));
}

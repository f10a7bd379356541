#include <errno.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"
#include "proto/igvm.h"

/* --- reading --- */

static int read_vp_count(struct shim *shim)
{
	uint32_t count;

	memcpy(&count, shim_pointer(shim, shim->params.vp_count.offset), sizeof(count));
	if (!count || count > SHIM_MAX_VPS)
		return shim_stop(shim, "host: %u virtual processors, not 1 to %u", count,
				 SHIM_MAX_VPS);
	shim->machine.vp_count = count;
	return 0;
}

static bool known_type(uint16_t type)
{
	return type == IGVM_MEMORY_MAP_MEMORY || type == IGVM_MEMORY_MAP_PLATFORM_RESERVED ||
	       type == IGVM_MEMORY_MAP_VTL2_PROTECTABLE;
}

/* Keeps the list sorted. Overlaps are refused at once, so that order says everything. */
static int add_ram(struct shim *shim, const struct igvm_vhs_memory_map_entry *entry)
{
	struct shim_machine *m = &shim->machine;
	struct shim_ram ram = { .type = entry->entry_type };
	unsigned int at = m->ram_count;

	if (entry->starting_gpa_page_number >= SHIM_ADDRESS_END / SHIM_PAGE_SIZE ||
	    entry->number_of_pages >
		    SHIM_ADDRESS_END / SHIM_PAGE_SIZE - entry->starting_gpa_page_number)
		return shim_stop(shim, "host: memory map: %llx pages at page %llx are no memory",
				 (unsigned long long)entry->number_of_pages,
				 (unsigned long long)entry->starting_gpa_page_number);
	if (!known_type(entry->entry_type) || entry->flags || entry->reserved_14)
		return shim_stop(shim, "host: memory map: unknown type %u or flags",
				 entry->entry_type);
	if (at == SHIM_MAX_RANGES)
		return shim_stop(shim, "host: memory map: more than %u ranges", SHIM_MAX_RANGES);
	ram.span.gpa = entry->starting_gpa_page_number * SHIM_PAGE_SIZE;
	ram.span.len = entry->number_of_pages * SHIM_PAGE_SIZE;
	while (at && m->ram[at - 1].span.gpa > ram.span.gpa) {
		m->ram[at] = m->ram[at - 1];
		at--;
	}
	m->ram[at] = ram;
	m->ram_count++;
	return 0;
}

static int check_overlaps(struct shim *shim)
{
	const struct shim_machine *m = &shim->machine;
	unsigned int i;

	for (i = 1; i < m->ram_count; i++)
		if (m->ram[i - 1].span.len > m->ram[i].span.gpa - m->ram[i - 1].span.gpa)
			return shim_stop(shim, "host: memory map: ranges overlap at %llx",
					 (unsigned long long)m->ram[i].span.gpa);
	return 0;
}

int shim_machine_read(struct shim *shim)
{
	const struct shim_range *area = &shim->params.memory_map;
	struct igvm_vhs_memory_map_entry entry;
	uint64_t at;
	int ret;

	memset(&shim->machine, 0, sizeof(shim->machine));
	ret = read_vp_count(shim);
	for (at = 0; !ret && area->len - at >= sizeof(entry); at += sizeof(entry)) {
		memcpy(&entry, shim_pointer(shim, area->offset + at), sizeof(entry));
		if (!entry.number_of_pages)
			break;
		ret = add_ram(shim, &entry);
	}
	return ret ? ret : check_overlaps(shim);
}

/* --- checking --- */

/* Whether [gpa, gpa + len) is RAM of this type, neighbours joined. */
static bool is_ram(const struct shim_machine *m, uint64_t gpa, uint64_t len, uint16_t type)
{
	unsigned int i;

	for (i = 0; i < m->ram_count && len; i++) {
		const struct shim_span *span = &m->ram[i].span;
		uint64_t step;

		if (m->ram[i].type != type || gpa < span->gpa || gpa - span->gpa >= span->len)
			continue;
		step = span->len - (gpa - span->gpa);
		if (step > len)
			step = len;
		gpa += step;
		len -= step;
	}
	return !len;
}

static bool overlaps_ram(const struct shim_machine *m, const struct shim_span *span)
{
	unsigned int i;

	for (i = 0; i < m->ram_count; i++)
		if (shim_spans_overlap(span->gpa, span->len, m->ram[i].span.gpa,
				       m->ram[i].span.len))
			return true;
	return false;
}

static bool overlaps_any(const struct shim_spans *spans, unsigned int count,
			 const struct shim_span *span)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (shim_spans_overlap(span->gpa, span->len, spans->span[i].gpa,
				       spans->span[i].len))
			return true;
	return false;
}

static int check_mmio(struct shim *shim)
{
	const struct shim_machine *m = &shim->machine;
	const struct shim_span lapic = { SHIM_LAPIC_BASE, SHIM_PAGE_SIZE };
	const struct shim_spans *lists[2] = { &m->vtl0_mmio, &m->vtl2_mmio };
	unsigned int l, i;

	if (overlaps_ram(m, &lapic))
		return shim_stop(shim, "host: memory lies on the local APICs");
	for (l = 0; l < 2; l++) {
		for (i = 0; i < lists[l]->count; i++) {
			const struct shim_span *span = &lists[l]->span[i];

			if (overlaps_ram(m, span) || overlaps_any(lists[l], i, span) ||
			    (l && overlaps_any(lists[0], lists[0]->count, span)))
				return shim_stop(shim,
						 "host: the MMIO window at %llx lies on memory or "
						 "on another",
						 (unsigned long long)span->gpa);
		}
	}
	return 0;
}

static int check_payloads(struct shim *shim)
{
	const struct shim_payload *payloads = shim_payloads(shim);
	unsigned int i, j;

	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++) {
		if (!payloads[i].len)
			continue;
		if (!is_ram(&shim->machine, payloads[i].gpa, payloads[i].len,
			    IGVM_MEMORY_MAP_MEMORY))
			return shim_stop(shim, "VTL0's payload at %llx is not in VTL0's memory",
					 (unsigned long long)payloads[i].gpa);
		for (j = 0; j < i; j++)
			if (payloads[j].len && shim_spans_overlap(payloads[i].gpa, payloads[i].len,
								  payloads[j].gpa, payloads[j].len))
				return shim_stop(shim, "VTL0's payloads overlap at %llx",
						 (unsigned long long)payloads[i].gpa);
	}
	if (!payloads[SHIM_PAYLOAD_KERNEL].len && !payloads[SHIM_PAYLOAD_FIRMWARE].len)
		return shim_stop(shim, "VTL0 is given neither kernel nor firmware");
	return 0;
}

int shim_machine_check(struct shim *shim)
{
	const struct shim_machine *m = &shim->machine;
	int ret;

	if (!is_ram(m, shim->region_gpa, shim->params.region_len, IGVM_MEMORY_MAP_VTL2_PROTECTABLE))
		return shim_stop(shim, "host: the image at %llx is not in memory for VTL2",
				 (unsigned long long)shim->region_gpa);
	ret = check_mmio(shim);
	return ret ? ret : check_payloads(shim);
}

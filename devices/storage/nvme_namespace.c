/* Namespaces as disks: NVMe 1.4, 5.15.2. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/log.h"
#include "devices/storage/nvme_internal.h"

#define SECTOR_SHIFT_MIN  9u
#define SECTOR_SHIFT_MAX  12u
#define PHYSICAL_SIZE_MAX 4096u

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct nvme_namespace *ns = container_of(disk, struct nvme_namespace, disk);

	pthread_mutex_lock(&ns->nvme->lock);
	*info = ns->info;
	pthread_mutex_unlock(&ns->nvme->lock);
}

static void submit(struct disk *disk, struct event_loop *loop, struct disk_request *request)
{
	struct nvme_namespace *ns = container_of(disk, struct nvme_namespace, disk);
	struct nvme_queue *queue = nvme_queue_of(ns->nvme, loop);

	request->disk = disk;
	if (queue)
		nvme_queue_submit(queue, request);
	else
		request->done(request, -ENOMEM);
}

static const struct disk_ops namespace_ops = { .get_info = get_info, .submit = submit };

/* --- Identity: what the namespace has of its own, else what the controller and its number give */

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len--)
		if (*p++)
			return false;
	return true;
}

/* FNV-1a, 64 bits, of the controller's texts and the namespace's number. */
static uint64_t fingerprint(const struct nvme *nvme, uint32_t nsid, uint64_t basis)
{
	uint8_t bytes[sizeof(nvme->serial) + sizeof(nvme->model) + sizeof(nsid)];
	uint64_t hash = basis;

	memcpy(bytes, nvme->serial, sizeof(nvme->serial));
	memcpy(bytes + sizeof(nvme->serial), nvme->model, sizeof(nvme->model));
	memcpy(bytes + sizeof(bytes) - sizeof(nsid), &nsid, sizeof(nsid));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = (hash ^ bytes[i]) * 0x100000001B3ull;
	return hash;
}

static void make_id(const struct nvme *nvme, uint32_t nsid, const struct nvme_id_ns *id,
		    uint8_t out[16])
{
	uint64_t high = fingerprint(nvme, nsid, 0xCBF29CE484222325ull);
	uint64_t low = fingerprint(nvme, nsid, high);

	if (!all_zero(id->nguid, sizeof(id->nguid))) {
		memcpy(out, id->nguid, sizeof(id->nguid));
		return;
	}
	if (!all_zero(id->eui64, sizeof(id->eui64)))
		memcpy(&high, id->eui64, sizeof(id->eui64));
	memcpy(out, &high, sizeof(high));
	memcpy(out + sizeof(high), &low, sizeof(low));
}

/* --- What the controller says about one */

/* Sectors that a power failure does not tear, and that are best written together. */
static uint32_t physical_size(const struct nvme *nvme, const struct nvme_id_ns *id, uint32_t size)
{
	uint32_t atomic = nvme->awupf, optimal = 0, sectors, physical = size;

	if (id->nsfeat & NVME_NSFEAT_ATOMICS)
		atomic = id->nawupf;
	if (id->nsfeat & NVME_NSFEAT_OPTIMAL)
		optimal = id->npwg;
	sectors = (atomic < optimal ? atomic : optimal) + 1;
	while (physical < PHYSICAL_SIZE_MAX && physical / size * 2 <= sectors)
		physical *= 2;
	return physical;
}

static void fill_info(const struct nvme *nvme, uint32_t nsid, const struct nvme_id_ns *id,
		      unsigned int shift, struct disk_info *info)
{
	*info = (struct disk_info){
		.sectors = id->nsze,
		.sector_size = 1u << shift,
		.physical_sector_size = physical_size(nvme, id, 1u << shift),
		.read_only = id->nsattr & NVME_NSATTR_READ_ONLY,
		.can_unmap = nvme->oncs & NVME_ONCS_DSM,
		.can_write_zeroes = nvme->oncs & NVME_ONCS_WRITE_ZEROES,
		.can_compare = nvme->oncs & NVME_ONCS_COMPARE,
		.can_verify = nvme->oncs & NVME_ONCS_VERIFY,
		.can_reserve = nvme->host_known && id->rescap & NVME_RESCAP_ALL_TYPES,
		.emulated = nvme->oacs & NVME_OACS_DOORBELL_BUFFER, /* only those have them: 5.7 */
		.unmap_reads_zero = (id->dlfeat & NVME_DLFEAT_READS_MASK) == NVME_DLFEAT_READS_ZERO,
	};
	if (id->nsfeat & NVME_NSFEAT_OPTIMAL)
		info->unmap_granularity = (uint32_t)id->npdg + 1;
	make_id(nvme, nsid, id, info->id);
	memcpy(info->serial, nvme->serial, sizeof(info->serial));
}

/*
 * 0 and *info; sectors is 0 for a namespace that is not there. -ENOTSUP: not one that we can use.
 * The answer is copied first: the controller may write to the page at any time.
 */
static int identify(struct nvme *nvme, uint32_t nsid, struct disk_info *info)
{
	struct nvme_id_ns id;
	struct nvme_lba_format format;
	int err = nvme_admin_identify(nvme, NVME_CNS_NAMESPACE, nsid);

	if (err)
		return err;
	memcpy(&id, nvme->data, sizeof(id));
	*info = (struct disk_info){ 0 };
	if (!id.nsze)
		return 0;
	format = id.lbaf[NVME_FLBAS_FORMAT(id.flbas)];
	if (format.lbads < SECTOR_SHIFT_MIN || format.lbads > SECTOR_SHIFT_MAX || format.ms ||
	    id.nsze > UINT64_MAX >> format.lbads) {
		log_warn("%s: namespace %u has %u-byte metadata or sectors of 2^%u bytes: not used",
			 nvme->name, nsid, format.ms, format.lbads);
		return -ENOTSUP;
	}
	fill_info(nvme, nsid, &id, format.lbads, info);
	return 0;
}

/* --- Scanning */

static struct nvme_namespace *find(struct nvme *nvme, uint32_t nsid)
{
	for (struct nvme_namespace *ns = nvme->namespaces; ns; ns = ns->next)
		if (ns->nsid == nsid)
			return ns;
	return NULL;
}

/* In ascending order of nsid. */
static struct nvme_namespace *add(struct nvme *nvme, uint32_t nsid)
{
	struct nvme_namespace *ns = calloc(1, sizeof(*ns)), **at = &nvme->namespaces;

	if (!ns)
		return NULL;
	disk_init(&ns->disk, &namespace_ops);
	ns->nvme = nvme;
	ns->nsid = nsid;
	ns->gone = -ENODEV;
	pthread_mutex_lock(&nvme->lock);
	while (*at && (*at)->nsid < nsid)
		at = &(*at)->next;
	ns->next = *at;
	*at = ns;
	pthread_mutex_unlock(&nvme->lock);
	return ns;
}

static bool same_info(const struct disk_info *a, const struct disk_info *b)
{
	return a->sectors == b->sectors && a->sector_size == b->sector_size &&
	       a->read_only == b->read_only && !memcmp(a->id, b->id, sizeof(a->id));
}

/*
 * What readers on the fast path see: while the size of sectors changes, none of the old requests may
 * be taken for one of the new, so the disk is gone until it is told.
 */
static bool update(struct nvme_namespace *ns, const struct disk_info *info, int gone)
{
	uint32_t shift = info->sectors ? (uint32_t)__builtin_ctz(info->sector_size) : 0;
	bool same;

	pthread_mutex_lock(&ns->nvme->lock);
	same = ns->gone == gone && same_info(&ns->info, info);
	if (!same && ns->sector_shift && shift && shift != ns->sector_shift)
		gone = -ENODEV;
	if (!same) {
		ns->info = *info;
		__atomic_store_n(&ns->sectors, info->sectors, __ATOMIC_RELAXED);
		if (shift && !ns->sector_shift)
			__atomic_store_n(&ns->sector_shift, shift, __ATOMIC_RELAXED);
		__atomic_store_n(&ns->gone, gone, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&ns->nvme->lock);
	if (!same)
		disk_changed(&ns->disk);
	return !same;
}

/* It keeps the size of its sectors: users count in it. */
static bool take_away(struct nvme_namespace *ns)
{
	struct disk_info info = ns->info; /* only this thread writes it */

	info.sectors = 0;
	return update(ns, &info, -ENODEV);
}

static int look_at(struct nvme *nvme, uint32_t nsid, bool *changed)
{
	struct nvme_namespace *ns = find(nvme, nsid);
	struct disk_info info;
	int err = identify(nvme, nsid, &info);

	/* One that cannot be used or that has just gone: the others can. */
	if (err == -ENOTSUP || err == -EIO)
		return 0;
	if (err)
		return err;
	if (!info.sectors && !ns)
		return 0;
	if (!ns)
		ns = add(nvme, nsid);
	if (!ns)
		return -ENOMEM;
	*changed |= info.sectors ? update(ns, &info, 0) : take_away(ns);
	return 0;
}

/* Namespaces that exist: a list since 1.1, all numbers up to NN before that. Returns how many. */
static int list(struct nvme *nvme, uint32_t nsids[NVME_NAMESPACES_MAX])
{
	int count = 0, err;

	if (nvme->version < 0x10100) {
		while (count < (int)NVME_NAMESPACES_MAX && (uint32_t)count < nvme->nn) {
			nsids[count] = (uint32_t)count + 1;
			count++;
		}
		return count;
	}
	err = nvme_admin_identify(nvme, NVME_CNS_ACTIVE_LIST, 0);
	if (err)
		return err;
	memcpy(nsids, nvme->data, NVME_NAMESPACES_MAX * sizeof(*nsids));
	while (count < (int)NVME_NAMESPACES_MAX && nsids[count])
		count++;
	return count;
}

static bool listed(const uint32_t *nsids, int count, uint32_t nsid)
{
	for (int i = 0; i < count; i++)
		if (nsids[i] == nsid)
			return true;
	return false;
}

int nvme_namespaces_scan(struct nvme *nvme, bool *changed)
{
	uint32_t nsids[NVME_NAMESPACES_MAX];
	int count = list(nvme, nsids);

	if (count < 0)
		return count;
	for (struct nvme_namespace *ns = nvme->namespaces; ns; ns = ns->next)
		if (!listed(nsids, count, ns->nsid))
			*changed |= take_away(ns);
	for (int i = 0; i < count; i++) {
		int err = look_at(nvme, nsids[i], changed);

		if (err)
			return err;
	}
	return 0;
}

void nvme_namespaces_fail(struct nvme *nvme, int err)
{
	for (struct nvme_namespace *ns = nvme->namespaces; ns; ns = ns->next)
		__atomic_store_n(&ns->gone, err, __ATOMIC_RELAXED);
}

void nvme_namespaces_destroy(struct nvme *nvme)
{
	while (nvme->namespaces) {
		struct nvme_namespace *ns = nvme->namespaces;

		nvme->namespaces = ns->next;
		disk_fini(&ns->disk);
		free(ns);
	}
}

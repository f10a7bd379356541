#ifndef PROTO_NVME_H
#define PROTO_NVME_H

#include <stdint.h>

/*
 * NVM Express Base Specification 1.4 over PCI Express, as far as our emulator and driver speak it.
 * Little-endian. Section numbers are those of 1.4.
 */

/* --- Controller registers (3.1), in BAR 0 */

enum nvme_register {
	NVME_REG_CAP = 0x00,   /* 8 bytes */
	NVME_REG_VS = 0x08,    /* 4 from here on */
	NVME_REG_INTMS = 0x0C, /* not with MSI-X */
	NVME_REG_INTMC = 0x10, /* not with MSI-X */
	NVME_REG_CC = 0x14,
	NVME_REG_CSTS = 0x1C,
	NVME_REG_NSSR = 0x20,
	NVME_REG_AQA = 0x24,
	NVME_REG_ASQ = 0x28, /* 8 bytes */
	NVME_REG_ACQ = 0x30, /* 8 bytes */
	NVME_REG_CMBLOC = 0x38,
	NVME_REG_CMBSZ = 0x3C,
	NVME_REG_DOORBELLS = 0x1000,
};

/* Doorbells (3.1.24, 3.1.25) with the stride CAP.DSTRD, 4 << DSTRD bytes. */
#define NVME_SQ_DOORBELL(qid, dstrd) (NVME_REG_DOORBELLS + (2 * (uint64_t)(qid)) * (4u << (dstrd)))
#define NVME_CQ_DOORBELL(qid, dstrd) \
	(NVME_REG_DOORBELLS + (2 * (uint64_t)(qid) + 1) * (4u << (dstrd)))

#define NVME_CAP_MQES(cap)   ((uint32_t)((cap)&0xFFFF))       /* entries - 1 */
#define NVME_CAP_CQR         (1ull << 16)                     /* queues must be contiguous */
#define NVME_CAP_TO(cap)     ((uint32_t)((cap) >> 24 & 0xFF)) /* in 500 ms, for CSTS.RDY */
#define NVME_CAP_TO_SHIFT    24
#define NVME_CAP_DSTRD(cap)  ((uint32_t)((cap) >> 32 & 0xF))
#define NVME_CAP_NSSRS       (1ull << 36)
#define NVME_CAP_CSS_NVM     (1ull << 37)
#define NVME_CAP_MPSMIN(cap) ((uint32_t)((cap) >> 48 & 0xF)) /* 4096 << that */
#define NVME_CAP_MPSMAX(cap) ((uint32_t)((cap) >> 52 & 0xF))

#define NVME_VS_1_4 0x00010400u

#define NVME_CC_EN           0x1u
#define NVME_CC_CSS(cc)      ((cc) >> 4 & 0x7)
#define NVME_CC_MPS(cc)      ((cc) >> 7 & 0xF)
#define NVME_CC_MPS_SHIFT    7
#define NVME_CC_AMS(cc)      ((cc) >> 11 & 0x7)
#define NVME_CC_SHN_MASK     0xC000u
#define NVME_CC_SHN_NORMAL   0x4000u
#define NVME_CC_SHN_ABRUPT   0x8000u
#define NVME_CC_IOSQES(cc)   ((cc) >> 16 & 0xF) /* log2 of the size of entries */
#define NVME_CC_IOSQES_SHIFT 16
#define NVME_CC_IOCQES(cc)   ((cc) >> 20 & 0xF)
#define NVME_CC_IOCQES_SHIFT 20

#define NVME_CSTS_RDY           0x1u
#define NVME_CSTS_CFS           0x2u /* fatal: only a reset helps */
#define NVME_CSTS_SHST_MASK     0xCu
#define NVME_CSTS_SHST_NORMAL   0x0u
#define NVME_CSTS_SHST_OCCURING 0x4u
#define NVME_CSTS_SHST_COMPLETE 0x8u

#define NVME_AQA_ASQS(aqa)  ((aqa)&0xFFF) /* entries - 1 */
#define NVME_AQA_ACQS(aqa)  ((aqa) >> 16 & 0xFFF)
#define NVME_AQA_ACQS_SHIFT 16

#define NVME_PAGE_SIZE     4096u /* with CC.MPS = 0 */
#define NVME_SQE_SIZE_LOG2 6
#define NVME_CQE_SIZE_LOG2 4
#define NVME_NSID_ALL      0xFFFFFFFFu
#define NVME_NSID_MAX_LIST 1024u /* namespace identifiers in a 4096-byte list */
#define NVME_IDENTIFY_SIZE 4096u

/* --- Queue entries (4.2, 4.6) */

#define NVME_SQE_FUSE_MASK 0x03
#define NVME_SQE_PSDT_MASK 0xC0
#define NVME_SQE_PSDT_PRP  0x00
#define NVME_SQE_PSDT_SGL  0x40 /* metadata, if any, is one buffer */
#define NVME_SQE_PSDT_SGL2 0x80 /* metadata by SGL */

/* SGL descriptor (4.4). */
struct nvme_sgl {
	uint64_t address;
	uint32_t length; /* bytes */
	uint8_t rsvd12[3];
	uint8_t type; /* type in bits 7:4, sub-type in 3:0 */
};

_Static_assert(sizeof(struct nvme_sgl) == 16, "NVMe 1.4, 4.4");

enum nvme_sgl_type {
	NVME_SGL_DATA = 0x00,
	NVME_SGL_BIT_BUCKET = 0x10,
	NVME_SGL_SEGMENT = 0x20,
	NVME_SGL_LAST_SEGMENT = 0x30,
};

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* NVME_SQE_* */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	union {
		struct {
			uint64_t prp1, prp2;
		};
		struct nvme_sgl sgl;
	};
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

_Static_assert(sizeof(struct nvme_sqe) == 64, "NVMe 1.4, 4.2");

struct nvme_cqe {
	uint32_t result; /* dword 0 */
	uint32_t rsvd4;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0: the phase tag; above it, an enum nvme_status */
};

_Static_assert(sizeof(struct nvme_cqe) == 16, "NVMe 1.4, 4.6");

#define NVME_CQE_PHASE        0x0001u
#define NVME_CQE_STATUS(cqes) ((uint16_t)((cqes) >> 1))

/* Status without the phase tag (4.6.1): code in bits 7:0, its type in 10:8, and two flags. */
#define NVME_STATUS_MORE    0x2000
#define NVME_STATUS_DNR     0x4000 /* do not retry: it would fail again */
#define NVME_STATUS_CODE(s) ((s)&0x7FF)
#define NVME_STATUS_TYPE(s) ((s) >> 8 & 0x7)

enum nvme_status {
	NVME_SC_SUCCESS = 0x000,
	NVME_SC_INVALID_OPCODE = 0x001,
	NVME_SC_INVALID_FIELD = 0x002,
	NVME_SC_CID_CONFLICT = 0x003,
	NVME_SC_DATA_TRANSFER_ERROR = 0x004,
	NVME_SC_POWER_LOSS = 0x005,
	NVME_SC_INTERNAL = 0x006,
	NVME_SC_ABORT_REQUESTED = 0x007,
	NVME_SC_ABORT_SQ_DELETED = 0x008,
	NVME_SC_INVALID_NS = 0x00B,
	NVME_SC_COMMAND_SEQUENCE = 0x00C,
	NVME_SC_SGL_INVALID_LAST = 0x00D,
	NVME_SC_SGL_INVALID_COUNT = 0x00E,
	NVME_SC_SGL_INVALID_DATA = 0x00F,
	NVME_SC_SGL_INVALID_TYPE = 0x011,
	NVME_SC_PRP_INVALID_OFFSET = 0x013,
	NVME_SC_HOST_ID_INCONSISTENT = 0x018,
	NVME_SC_NS_WRITE_PROTECTED = 0x020,
	NVME_SC_LBA_RANGE = 0x080,
	NVME_SC_CAPACITY_EXCEEDED = 0x081,
	NVME_SC_NS_NOT_READY = 0x082,
	NVME_SC_RESERVATION_CONFLICT = 0x083,
	/* Command specific. */
	NVME_SC_INVALID_CQ = 0x100,
	NVME_SC_INVALID_QID = 0x101,
	NVME_SC_INVALID_QUEUE_SIZE = 0x102,
	NVME_SC_ABORT_LIMIT = 0x103,
	NVME_SC_ASYNC_LIMIT = 0x105,
	NVME_SC_INVALID_VECTOR = 0x108,
	NVME_SC_INVALID_LOG_PAGE = 0x109,
	NVME_SC_INVALID_QUEUE_DELETION = 0x10C,
	NVME_SC_FEATURE_NOT_SAVEABLE = 0x10D,
	NVME_SC_FEATURE_NOT_CHANGEABLE = 0x10E,
	NVME_SC_FEATURE_NOT_NS_SPECIFIC = 0x10F,
	NVME_SC_CONFLICTING_ATTRIBUTES = 0x180,
	NVME_SC_INVALID_PI = 0x181,
	NVME_SC_READ_ONLY_RANGE = 0x182,
	/* Media and data integrity. */
	NVME_SC_WRITE_FAULT = 0x280,
	NVME_SC_READ_ERROR = 0x281,
	NVME_SC_COMPARE_FAILED = 0x285,
	NVME_SC_ACCESS_DENIED = 0x286,
};

/* --- Admin commands (5) */

enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG_PAGE = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0A,
	NVME_ADMIN_ASYNC_EVENT = 0x0C,
	NVME_ADMIN_KEEP_ALIVE = 0x18,
	NVME_ADMIN_DOORBELL_BUFFER_CONFIG = 0x7C,
};

/* Create I/O queues: cdw10 is id | (entries - 1) << 16. */
#define NVME_QUEUE_CONTIGUOUS 0x1u /* cdw11 */
#define NVME_CQ_INTERRUPT     0x2u /* cdw11, the vector in bits 31:16 */
#define NVME_SQ_CQID_SHIFT    16   /* cdw11 */

/* Dword 0 of an Abort's completion: set when the command was not aborted. */
#define NVME_ABORT_NOT_ABORTED 0x1u

/* Identify: CNS, cdw10 bits 7:0. */
enum nvme_identify_cns {
	NVME_CNS_NAMESPACE = 0x00,
	NVME_CNS_CONTROLLER = 0x01,
	NVME_CNS_ACTIVE_LIST = 0x02,
	NVME_CNS_NS_DESCRIPTORS = 0x03,
	NVME_CNS_ALLOCATED_LIST = 0x10,
	NVME_CNS_ALLOCATED_NAMESPACE = 0x11,
	NVME_CNS_NS_CONTROLLERS = 0x12,
	NVME_CNS_CONTROLLERS = 0x13,
};

struct nvme_power_state {
	uint16_t max_power; /* in 0.01 W */
	uint8_t rsvd2;
	uint8_t flags;
	uint32_t entry_latency; /* microseconds */
	uint32_t exit_latency;
	uint8_t rsvd12[20];
};

_Static_assert(sizeof(struct nvme_power_state) == 32, "NVMe 1.4, figure 248");

/* Identify Controller (5.15.2.2). Texts are ASCII, padded with spaces. */
struct nvme_id_ctrl {
	uint16_t vid;
	uint16_t ssvid;
	char sn[20];
	char mn[40];
	char fr[8];
	uint8_t rab;
	uint8_t ieee[3];
	uint8_t cmic;
	uint8_t mdts; /* log2 of the largest transfer in pages of CAP.MPSMIN; 0: any */
	uint16_t cntlid;
	uint32_t ver;
	uint32_t rtd3r; /* microseconds */
	uint32_t rtd3e;
	uint32_t oaes;
	uint32_t ctratt;
	uint16_t rrls;
	uint8_t rsvd102[9];
	uint8_t cntrltype;
	uint8_t fguid[16];
	uint16_t crdt[3];
	uint8_t rsvd134[119];
	uint8_t nvmsr;
	uint8_t vwci;
	uint8_t mec;
	uint16_t oacs;
	uint8_t acl;  /* concurrent aborts - 1 */
	uint8_t aerl; /* outstanding async event requests - 1 */
	uint8_t frmw;
	uint8_t lpa;
	uint8_t elpe; /* error log entries - 1 */
	uint8_t npss; /* power states - 1 */
	uint8_t avscc;
	uint8_t apsta;
	uint16_t wctemp; /* kelvin */
	uint16_t cctemp;
	uint16_t mtfa;
	uint32_t hmpre;
	uint32_t hmmin;
	uint8_t tnvmcap[16];
	uint8_t unvmcap[16];
	uint32_t rpmbs;
	uint16_t edstt;
	uint8_t dsto;
	uint8_t fwug;
	uint16_t kas;
	uint16_t hctma;
	uint16_t mntmt;
	uint16_t mxtmt;
	uint32_t sanicap;
	uint32_t hmminds;
	uint16_t hmmaxd;
	uint16_t nsetidmax;
	uint16_t endgidmax;
	uint8_t anatt;
	uint8_t anacap;
	uint32_t anagrpmax;
	uint32_t nanagrpid;
	uint32_t pels;
	uint8_t rsvd356[156];
	uint8_t sqes; /* log2 of the size: required in bits 3:0, maximum in 7:4 */
	uint8_t cqes;
	uint16_t maxcmd;
	uint32_t nn; /* the largest namespace identifier */
	uint16_t oncs;
	uint16_t fuses;
	uint8_t fna;
	uint8_t vwc;
	uint16_t awun;
	uint16_t awupf;
	uint8_t nvscc;
	uint8_t nwpc;
	uint16_t acwu;
	uint8_t rsvd534[2];
	uint32_t sgls;
	uint32_t mnan;
	uint8_t rsvd544[224];
	char subnqn[256];
	uint8_t rsvd1024[1024];
	struct nvme_power_state psd[32];
	uint8_t vs[1024];
};

_Static_assert(sizeof(struct nvme_id_ctrl) == 4096, "NVMe 1.4, figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, cntrltype) == 111, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, oacs) == 256, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, sanicap) == 328, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, sqes) == 512, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, sgls) == 536, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, subnqn) == 768, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, psd) == 2048, "figure 247");

#define NVME_CMIC_MULTI_CONTROLLER 0x02
#define NVME_CTRLTYPE_IO           0x01
#define NVME_CTRATT_HOSTID_128     0x01u
#define NVME_OACS_DOORBELL_BUFFER  0x0100
#define NVME_ONCS_COMPARE          0x0001
#define NVME_ONCS_WRITE_UNCORRECT  0x0002
#define NVME_ONCS_DSM              0x0004
#define NVME_ONCS_WRITE_ZEROES     0x0008
#define NVME_ONCS_SAVE_FEATURES    0x0010
#define NVME_ONCS_RESERVATIONS     0x0020
#define NVME_ONCS_TIMESTAMP        0x0040
#define NVME_ONCS_VERIFY           0x0080
#define NVME_VWC_PRESENT           0x01
#define NVME_VWC_FLUSH_ALL         0x06 /* Flush with NVME_NSID_ALL is supported */
#define NVME_LPA_CHANGED_NS_EXT    0x04 /* extended data: offsets into log pages */
#define NVME_SGLS_SUPPORTED        0x1u /* any alignment */

/* LBA format (figure 246). */
struct nvme_lba_format {
	uint16_t ms;   /* metadata bytes */
	uint8_t lbads; /* log2 of data bytes */
	uint8_t rp;
};

_Static_assert(sizeof(struct nvme_lba_format) == 4, "NVMe 1.4, figure 246");

/* Identify Namespace (5.15.2.1). Sizes in logical blocks. */
struct nvme_id_ns {
	uint64_t nsze;
	uint64_t ncap;
	uint64_t nuse;
	uint8_t nsfeat;
	uint8_t nlbaf; /* formats - 1 */
	uint8_t flbas;
	uint8_t mc;
	uint8_t dpc;
	uint8_t dps;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	uint8_t dlfeat;
	uint16_t nawun;
	uint16_t nawupf;
	uint16_t nacwu;
	uint16_t nabsn;
	uint16_t nabo;
	uint16_t nabspf;
	uint16_t noiob;
	uint8_t nvmcap[16];
	uint16_t npwg; /* blocks - 1, as the next four */
	uint16_t npwa;
	uint16_t npdg;
	uint16_t npda;
	uint16_t nows;
	uint8_t rsvd74[18];
	uint32_t anagrpid;
	uint8_t rsvd96[3];
	uint8_t nsattr;
	uint16_t nvmsetid;
	uint16_t endgid;
	uint8_t nguid[16];
	uint8_t eui64[8];
	struct nvme_lba_format lbaf[16];
	uint8_t rsvd192[192];
	uint8_t vs[3712];
};

_Static_assert(sizeof(struct nvme_id_ns) == 4096, "NVMe 1.4, figure 245");
_Static_assert(__builtin_offsetof(struct nvme_id_ns, npwg) == 64, "figure 245");
_Static_assert(__builtin_offsetof(struct nvme_id_ns, nguid) == 104, "figure 245");
_Static_assert(__builtin_offsetof(struct nvme_id_ns, lbaf) == 128, "figure 245");

#define NVME_NSFEAT_THIN           0x01
#define NVME_NSFEAT_ATOMICS        0x02
#define NVME_NSFEAT_OPTIMAL        0x10 /* npwg to nows are there */
#define NVME_FLBAS_FORMAT(flbas)   ((flbas)&0xF)
#define NVME_NMIC_SHARED           0x01
#define NVME_DLFEAT_READS_MASK     0x07
#define NVME_DLFEAT_READS_ZERO     0x01
#define NVME_DLFEAT_ZEROES_DEALLOC 0x08 /* Write Zeroes knows DEAC */
#define NVME_NSATTR_READ_ONLY      0x01

#define NVME_RESCAP_PERSIST   0x01
#define NVME_RESCAP_ALL_TYPES 0x7E
#define NVME_RESCAP_IEKEY_1_3 0x80

/* Namespace identification descriptors (figure 249). */
struct nvme_ns_descriptor {
	uint8_t nidt;
	uint8_t nidl; /* bytes of the identifier, which follows */
	uint8_t rsvd2[2];
};

_Static_assert(sizeof(struct nvme_ns_descriptor) == 4, "NVMe 1.4, figure 249");

enum nvme_ns_descriptor_type {
	NVME_NIDT_EUI64 = 1,
	NVME_NIDT_NGUID = 2,
	NVME_NIDT_UUID = 3,
};

/* Features (5.21). */
enum nvme_feature {
	NVME_FEATURE_ARBITRATION = 0x01,
	NVME_FEATURE_POWER = 0x02,
	NVME_FEATURE_TEMPERATURE = 0x04,
	NVME_FEATURE_ERROR_RECOVERY = 0x05,
	NVME_FEATURE_WRITE_CACHE = 0x06,
	NVME_FEATURE_QUEUES = 0x07,
	NVME_FEATURE_COALESCING = 0x08,
	NVME_FEATURE_VECTOR = 0x09,
	NVME_FEATURE_ATOMICITY = 0x0A,
	NVME_FEATURE_ASYNC_EVENTS = 0x0B,
	NVME_FEATURE_TIMESTAMP = 0x0E,
	NVME_FEATURE_HOST_ID = 0x81,
	NVME_FEATURE_RESERVATION_MASK = 0x82,
	NVME_FEATURE_RESERVATION_PERSIST = 0x83,
};

#define NVME_FEATURE_ID(cdw10)     ((cdw10)&0xFF)
#define NVME_FEATURE_SELECT(cdw10) ((cdw10) >> 8 & 0x7)
#define NVME_FEATURE_SAVE          0x80000000u /* Set Features, cdw10 */

enum nvme_feature_select {
	NVME_SELECT_CURRENT = 0,
	NVME_SELECT_DEFAULT = 1,
	NVME_SELECT_SAVED = 2,
	NVME_SELECT_SUPPORTED = 3,
};

#define NVME_FEATURE_CAP_SAVEABLE   0x1u
#define NVME_FEATURE_CAP_PER_NS     0x2u
#define NVME_FEATURE_CAP_CHANGEABLE 0x4u

/* Number of queues: submission queues - 1, and completion queues - 1 from bit 16; both ways. */
#define NVME_QUEUES(sq, cq) (((uint32_t)(cq)-1) << 16 | ((uint32_t)(sq)-1))

/* Asynchronous event configuration, and Identify Controller's oaes. */
#define NVME_AEC_SMART_MASK    0x000000FFu
#define NVME_AEC_NS_ATTRIBUTES 0x00000100u
#define NVME_AEC_FIRMWARE      0x00000200u

/* Asynchronous events (5.2): dword 0 is type | information << 8 | log page << 16. */
#define NVME_EVENT(type, info, log) ((type) | (uint32_t)(info) << 8 | (uint32_t)(log) << 16)
#define NVME_EVENT_TYPE(dw0)        ((dw0)&0x7)
#define NVME_EVENT_INFO(dw0)        ((dw0) >> 8 & 0xFF)
#define NVME_EVENT_LOG(dw0)         ((dw0) >> 16 & 0xFF)

enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_SMART = 1,
	NVME_EVENT_NOTICE = 2,
	NVME_EVENT_IO = 6,
};

enum nvme_event_error {
	NVME_EVENT_DOORBELL_REGISTER = 0,
	NVME_EVENT_DOORBELL_VALUE = 1,
	NVME_EVENT_PERSISTENT_ERROR = 3,
};

#define NVME_EVENT_NS_CHANGED      0x00 /* a notice */
#define NVME_EVENT_RESERVATION_LOG 0x00 /* an I/O command set event */

/* Get Log Page (5.14): identifier in cdw10 bits 7:0. */
enum nvme_log_page {
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
	NVME_LOG_RESERVATION = 0x80,
};

#define NVME_LOG_RETAIN_EVENT 0x8000u /* cdw10 */

struct nvme_error_log {
	uint64_t count; /* 0: no entry */
	uint16_t sqid;
	uint16_t cid;
	uint16_t status; /* with the phase tag, as in the completion */
	uint16_t location;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vs;
	uint8_t trtype;
	uint8_t rsvd30[2];
	uint64_t specific;
	uint16_t trspecific;
	uint8_t rsvd42[22];
};

_Static_assert(sizeof(struct nvme_error_log) == 64, "NVMe 1.4, figure 195");

/* Counters are 128 bits wide; the low half does. */
struct nvme_counter {
	uint64_t low, high;
};

struct nvme_smart_log {
	uint8_t critical_warning;
	uint8_t temperature[2]; /* kelvin */
	uint8_t spare;          /* percent */
	uint8_t spare_threshold;
	uint8_t percent_used;
	uint8_t endurance_warning;
	uint8_t rsvd7[25];
	struct nvme_counter data_units_read; /* of 1000 * 512 bytes */
	struct nvme_counter data_units_written;
	struct nvme_counter host_reads;
	struct nvme_counter host_writes;
	struct nvme_counter busy_minutes;
	struct nvme_counter power_cycles;
	struct nvme_counter power_on_hours;
	struct nvme_counter unsafe_shutdowns;
	struct nvme_counter media_errors;
	struct nvme_counter error_log_entries;
	uint32_t warning_minutes;
	uint32_t critical_minutes;
	uint16_t sensor[8];
	uint8_t rsvd216[296];
};

_Static_assert(sizeof(struct nvme_smart_log) == 512, "NVMe 1.4, figure 196");

struct nvme_firmware_log {
	uint8_t afi; /* the active slot */
	uint8_t rsvd1[7];
	char frs[7][8];
	uint8_t rsvd64[448];
};

_Static_assert(sizeof(struct nvme_firmware_log) == 512, "NVMe 1.4, figure 197");

struct nvme_effects_log {
	uint32_t acs[256];
	uint32_t iocs[256];
	uint8_t rsvd2048[2048];
};

_Static_assert(sizeof(struct nvme_effects_log) == 4096, "NVMe 1.4, figure 199");

#define NVME_EFFECT_SUPPORTED   0x1u
#define NVME_EFFECT_DATA_CHANGE 0x2u

/* --- NVM commands (6) */

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_WRITE_UNCORRECTABLE = 0x04,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
	NVME_IO_VERIFY = 0x0C,
	NVME_IO_RESERVATION_REGISTER = 0x0D,
	NVME_IO_RESERVATION_REPORT = 0x0E,
	NVME_IO_RESERVATION_ACQUIRE = 0x11,
	NVME_IO_RESERVATION_RELEASE = 0x15,
};

/* Read, write and their like: the first block in cdw10 and cdw11, blocks - 1 in cdw12. */
#define NVME_IO_NLB(cdw12) (((cdw12)&0xFFFF) + 1)
#define NVME_IO_DEAC       0x02000000u /* Write Zeroes: deallocate */
#define NVME_IO_PRINFO     0x3C000000u
#define NVME_IO_FUA        0x40000000u
#define NVME_IO_LR         0x80000000u /* limited retry */

/* Dataset Management: ranges - 1 in cdw10 bits 7:0. */
#define NVME_DSM_DEALLOCATE 0x4u /* cdw11 */
#define NVME_DSM_MAX_RANGES 256u

struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t nlb; /* blocks, not less one */
	uint64_t slba;
};

_Static_assert(sizeof(struct nvme_dsm_range) == 16, "NVMe 1.4, figure 368");

/* --- Reservations (6.10 to 6.13, 8.8) */

enum nvme_reservation_type {
	NVME_RESERVATION_NONE = 0,
	NVME_RESERVATION_WRITE_EXCLUSIVE = 1,
	NVME_RESERVATION_EXCLUSIVE_ACCESS = 2,
	NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS = 3,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS = 4,
	NVME_RESERVATION_WRITE_EXCLUSIVE_ALL = 5,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL = 6,
};

/* cdw10 of register, acquire and release: action, ignore existing key, and the rest. */
#define NVME_RESERVATION_ACTION(cdw10) ((cdw10)&0x7)
#define NVME_RESERVATION_IEKEY         0x8u
#define NVME_RESERVATION_TYPE(cdw10)   ((cdw10) >> 8 & 0xFF)
#define NVME_RESERVATION_TYPE_SHIFT    8
#define NVME_RESERVATION_CPTPL(cdw10)  ((cdw10) >> 30)
#define NVME_RESERVATION_CPTPL_CLEAR   2u
#define NVME_RESERVATION_CPTPL_SET     3u
#define NVME_RESERVATION_EDS           0x1u /* report, cdw11: 128-bit host identifiers */

enum nvme_reservation_register_action {
	NVME_RREGA_REGISTER = 0,
	NVME_RREGA_UNREGISTER = 1,
	NVME_RREGA_REPLACE = 2,
};

enum nvme_reservation_acquire_action {
	NVME_RACQA_ACQUIRE = 0,
	NVME_RACQA_PREEMPT = 1,
	NVME_RACQA_PREEMPT_ABORT = 2,
};

enum nvme_reservation_release_action {
	NVME_RRELA_RELEASE = 0,
	NVME_RRELA_CLEAR = 1,
};

/* Data of register (current, new), acquire (current, the one to preempt); release has the first. */
struct nvme_reservation_keys {
	uint64_t crkey;
	uint64_t second;
};

_Static_assert(sizeof(struct nvme_reservation_keys) == 16, "NVMe 1.4, figures 381 and 385");

/* Reservation status: a header, then an entry for each registered controller (figures 391, 394). */
struct nvme_reservation_status {
	uint32_t gen;
	uint8_t rtype;
	uint8_t regctl[2]; /* registered controllers, little-endian */
	uint8_t rsvd7[2];
	uint8_t ptpls;
	uint8_t rsvd10[14];
};

_Static_assert(sizeof(struct nvme_reservation_status) == 24, "NVMe 1.4, figure 391");

struct nvme_registered_controller {
	uint16_t cntlid;
	uint8_t rcsts; /* bit 0: holds the reservation */
	uint8_t rsvd3[5];
	uint64_t hostid;
	uint64_t rkey;
};

_Static_assert(sizeof(struct nvme_registered_controller) == 24, "NVMe 1.4, figure 392");

/* The extended structure's header is 64 bytes: the one above and 40 reserved ones. */
#define NVME_RESERVATION_EXTENDED_HEADER 64u

struct nvme_registered_controller_extended {
	uint16_t cntlid;
	uint8_t rcsts;
	uint8_t rsvd3[5];
	uint64_t rkey;
	uint8_t hostid[16];
	uint8_t rsvd32[32];
};

_Static_assert(sizeof(struct nvme_registered_controller_extended) == 64, "NVMe 1.4, figure 394");

#endif

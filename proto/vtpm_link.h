#ifndef PROTO_VTPM_LINK_H
#define PROTO_VTPM_LINK_H

#include <assert.h>
#include <stdint.h>

/*
 * Between the paravisor and the vTPM's process, over a pair of pipes in packet mode (O_DIRECT, pipe(2)): a write is a
 * packet, and so is a read. One request is under way at a time; its answer carries its number. While the vTPM works on
 * a request it may ask for its stored state. /init holds both ends of both pipes, so neither side sees the other's end
 * of file: /init itself says so when the vTPM has died. docs/vtpm-process.md.
 */

/* Where /init leaves the paravisor's ends. The vTPM's are its standard input and output. */
#define VTPM_LINK_FROM_VTPM 3
#define VTPM_LINK_TO_VTPM   4

#define VTPM_LINK_PACKET 4096 /* PIPE_BUF: no larger write stays whole */

enum vtpm_link_type {
	/* Requests of the paravisor, each answered by VTPM_LINK_DONE. */
	VTPM_LINK_POWER_ON = 1,
	VTPM_LINK_EXECUTE,
	VTPM_LINK_RESET, /* TPM2_Shutdown, _TPM_Init, TPM2_Startup */
	/* Its answer to a request of the vTPM. */
	VTPM_LINK_STORE_DONE,

	/* Of the vTPM. */
	VTPM_LINK_DONE = 0x100,
	VTPM_LINK_STORE_READ,
	VTPM_LINK_STORE_WRITE,
	VTPM_LINK_STORE_SYNC,

	/* Of /init: the process has died; another one has been started, or (GONE) not. */
	VTPM_LINK_DIED = 0x200,
	VTPM_LINK_GONE,
};

struct vtpm_link_header {
	uint32_t type;
	uint32_t id; /* of the request; an answer repeats it */
};
static_assert(sizeof(struct vtpm_link_header) == 8, "packed by nature");

#define VTPM_LINK_STARTUP 1u /* TPM2_Startup(CLEAR), as firmware does */
#define VTPM_LINK_CAP     2u /* and no PCR of the boot may have its right value any more */
#define VTPM_LINK_SEALED  4u /* `key` seals the stored state */
#define VTPM_LINK_KEPT    8u /* the state outlives the paravisor: a new TPM gets endorsement keys */

struct vtpm_link_power_on {
	struct vtpm_link_header header;
	uint32_t flags;
	uint8_t key[32];
};
static_assert(sizeof(struct vtpm_link_power_on) == 44, "packed by nature");

#define VTPM_LINK_RESET_ESTABLISHED 1u
#define VTPM_LINK_PRESENCE          2u /* physical presence, during the command */

/* The TPM's command follows. */
struct vtpm_link_execute {
	struct vtpm_link_header header;
	uint32_t locality;
	uint32_t flags;
};
static_assert(sizeof(struct vtpm_link_execute) == 16, "packed by nature");

/* The answer to the request of that number: a TPM's response follows. */
struct vtpm_link_done {
	struct vtpm_link_header header;
	int32_t error; /* 0 or -errno */
	uint32_t established;
};
static_assert(sizeof(struct vtpm_link_done) == 16, "packed by nature");

/* READ: len bytes are wanted, at most what a packet has room for. WRITE: the bytes follow. */
struct vtpm_link_store {
	struct vtpm_link_header header;
	uint64_t offset;
	uint32_t len;
	uint32_t reserved_14;
};
static_assert(sizeof(struct vtpm_link_store) == 24, "packed by nature");

/* What was read follows. */
struct vtpm_link_store_done {
	struct vtpm_link_header header;
	int32_t error; /* 0 or -errno */
	uint32_t reserved_0c;
};
static_assert(sizeof(struct vtpm_link_store_done) == 16, "packed by nature");

#define VTPM_LINK_STORE_MAX (VTPM_LINK_PACKET - sizeof(struct vtpm_link_store))

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Time per TPM command, of two servers side by side:
 *   tpm_latency [-d DIRECTORY] [-s] NAME COMMAND NAME COMMAND
 * Each COMMAND starts a server that answers raw commands on the UNIX socket $SOCKET, with its state in
 * $STATE (below DIRECTORY, /tmp without), powered on and started. Both get the same commands in turns; a row is the
 * best of the turns' means, because everything else on the machine only ever adds. -s: only what stores state, and
 * what a durable write of the same size costs there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/tpm.h"

#define TURNS       5
#define TURN_NS     150000000u
#define MAX_MESSAGE 4096u
#define NV_INDEX    0x01800100u
#define CONNECT_S   20

struct peer {
	const char *name, *command;
	char state[88], path[104];
	pid_t pid;
	int fd;
	uint64_t first_start_ns, start_ns;
	uint32_t parent, ecc, rsa, hmac; /* transient handles */
	uint8_t cipher[256];             /* an RSA ciphertext */
	uint8_t created[1024];           /* TPM2B_PRIVATE and TPM2B_PUBLIC */
	size_t created_len;
};

struct message {
	uint8_t bytes[MAX_MESSAGE];
	size_t len;
};

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("tpm_latency: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- building commands --- */

static void put_bytes(struct message *m, const void *data, size_t len)
{
	if (len > sizeof(m->bytes) - m->len)
		fail("a command is too long");
	memcpy(m->bytes + m->len, data, len);
	m->len += len;
}

static void put(struct message *m, uint64_t value, unsigned int size)
{
	uint8_t b[8];

	for (unsigned int i = 0; i < size; i++)
		b[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	put_bytes(m, b, size);
}

static void begin(struct message *m, bool sessions, uint32_t code)
{
	m->len = 0;
	put(m, sessions ? TPM_ST_SESSIONS : TPM_ST_NO_SESSIONS, 2);
	put(m, 0, 4);
	put(m, code, 4);
}

/* One empty password. */
static void put_password(struct message *m)
{
	put(m, 9, 4);
	put(m, TPM_RS_PW, 4);
	put(m, 0, 2);
	put(m, 0, 1);
	put(m, 0, 2);
}

static void put_filled(struct message *m, uint8_t byte, size_t len)
{
	uint8_t data[1024];

	memset(data, byte, sizeof(data));
	put(m, len, 2);
	put_bytes(m, data, len);
}

/* --- talking --- */

static void read_all(struct peer *p, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = read(p->fd, buf, len);

		if (n <= 0)
			fail("%s closed the connection", p->name);
		buf += n;
		len -= (size_t)n;
	}
}

static uint32_t load32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Returns the response code. */
static uint32_t transact(struct peer *p, struct message *request, struct message *response)
{
	uint32_t size = (uint32_t)request->len;

	for (unsigned int i = 0; i < 4; i++)
		request->bytes[2 + i] = (uint8_t)(size >> (8 * (3 - i)));
	if (write(p->fd, request->bytes, size) != (ssize_t)size)
		fail("%s takes no command", p->name);
	read_all(p, response->bytes, 10);
	response->len = load32(response->bytes + 2);
	if (response->len < 10 || response->len > sizeof(response->bytes))
		fail("%s: a response of %zu bytes", p->name, response->len);
	read_all(p, response->bytes + 10, response->len - 10);
	return load32(response->bytes + 6);
}

static void must(struct peer *p, struct message *request, struct message *response)
{
	uint32_t rc = transact(p, request, response);

	/* libtpms' way to write a mark first: Part 3, 5.2 */
	if (rc == TPM_RC_RETRY)
		rc = transact(p, request, response);
	if (rc)
		fail("%s answers command %08x with %08x", p->name, load32(request->bytes + 6), rc);
}

static void flush(struct peer *p, uint32_t handle)
{
	struct message m, r;

	begin(&m, false, TPM_CC_FlushContext);
	put(&m, handle, 4);
	must(p, &m, &r);
}

/* --- templates --- */

enum template {
	STORAGE_P256,
	STORAGE_RSA,
	SIGN_P256,
	PLAIN_RSA, /* signs and decrypts, the scheme is the command's */
	HMAC_KEY
};

static void put_template(struct message *m, enum template what, uint32_t unique)
{
	static const uint32_t own = TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent |
				    TPMA_OBJECT_sensitiveDataOrigin | TPMA_OBJECT_userWithAuth;
	bool storage = what == STORAGE_P256 || what == STORAGE_RSA;
	bool rsa = what == STORAGE_RSA || what == PLAIN_RSA;
	struct message t = { .len = 0 };

	put(&t, what == HMAC_KEY ? TPM_ALG_KEYEDHASH : rsa ? TPM_ALG_RSA : TPM_ALG_ECC, 2);
	put(&t, TPM_ALG_SHA256, 2);
	put(&t,
	    own | (storage             ? TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt
		   : what == PLAIN_RSA ? TPMA_OBJECT_sign | TPMA_OBJECT_decrypt
				       : TPMA_OBJECT_sign),
	    4);
	put(&t, 0, 2); /* authPolicy */
	if (what == HMAC_KEY) {
		put(&t, TPM_ALG_HMAC, 2);
		put(&t, TPM_ALG_SHA256, 2);
		put(&t, 0, 2);
	} else {
		if (storage) {
			put(&t, TPM_ALG_AES, 2);
			put(&t, 128, 2);
			put(&t, TPM_ALG_CFB, 2);
		} else {
			put(&t, TPM_ALG_NULL, 2);
		}
		put(&t, TPM_ALG_NULL, 2); /* scheme */
		put(&t, rsa ? 2048 : TPM_ECC_NIST_P256, 2);
		if (rsa)
			put(&t, 0, 4); /* exponent */
		else
			put(&t, TPM_ALG_NULL, 2); /* kdf */
		put(&t, 4, 2);
		put(&t, unique, 4);
		if (!rsa)
			put(&t, 0, 2);
	}
	put(m, t.len, 2);
	put_bytes(m, t.bytes, t.len);
}

static void create_command(struct message *m, uint32_t code, uint32_t parent, enum template what,
			   uint32_t unique)
{
	begin(m, true, code);
	put(m, parent, 4);
	put_password(m);
	put(m, 4, 2); /* inSensitive: no auth, no data */
	put(m, 0, 4);
	put_template(m, what, unique);
	put(m, 0, 2); /* outsideInfo */
	put(m, 0, 4); /* creationPCR */
}

static uint32_t create_primary(struct peer *p, enum template what, uint32_t unique)
{
	struct message m, r;

	create_command(&m, TPM_CC_CreatePrimary, TPM_RH_OWNER, what, unique);
	must(p, &m, &r);
	return load32(r.bytes + 10);
}

/* --- rows: one turn of a command; n counts them --- */

static void row_self_test(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	begin(&m, false, TPM_CC_SelfTest);
	put(&m, 1, 1);
	must(p, &m, &r);
}

static void row_get_random(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	begin(&m, false, TPM_CC_GetRandom);
	put(&m, 32, 2);
	must(p, &m, &r);
}

static void row_pcr_extend(struct peer *p, uint32_t n)
{
	struct message m, r;
	uint8_t digest[32];

	memset(digest, (int)n, sizeof(digest));
	begin(&m, true, TPM_CC_PCR_Extend);
	put(&m, 10, 4);
	put_password(&m);
	put(&m, 1, 4);
	put(&m, TPM_ALG_SHA256, 2);
	put_bytes(&m, digest, sizeof(digest));
	must(p, &m, &r);
}

static void put_pcr_selection(struct message *m)
{
	put(m, 1, 4);
	put(m, TPM_ALG_SHA256, 2);
	put(m, 3, 1);
	put(m, 0xff0000, 3); /* PCRs 0 to 7 */
}

static void row_pcr_read(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	begin(&m, false, TPM_CC_PCR_Read);
	put_pcr_selection(&m);
	must(p, &m, &r);
}

static void row_hash(struct peer *p, uint32_t n)
{
	struct message m, r;

	begin(&m, false, TPM_CC_Hash);
	put_filled(&m, (uint8_t)n, 1024);
	put(&m, TPM_ALG_SHA256, 2);
	put(&m, TPM_RH_NULL, 4);
	must(p, &m, &r);
}

static void row_hmac(struct peer *p, uint32_t n)
{
	struct message m, r;

	begin(&m, true, TPM_CC_HMAC);
	put(&m, p->hmac, 4);
	put_password(&m);
	put_filled(&m, (uint8_t)n, 1024);
	put(&m, TPM_ALG_SHA256, 2);
	must(p, &m, &r);
}

static void row_session(struct peer *p, uint32_t n)
{
	struct message m, r;

	begin(&m, false, TPM_CC_StartAuthSession);
	put(&m, TPM_RH_NULL, 4);
	put(&m, TPM_RH_NULL, 4);
	put_filled(&m, (uint8_t)n, 32);
	put(&m, 0, 2);
	put(&m, TPM_SE_HMAC, 1);
	put(&m, TPM_ALG_NULL, 2);
	put(&m, TPM_ALG_SHA256, 2);
	must(p, &m, &r);
	flush(p, load32(r.bytes + 10));
}

static void row_primary_ecc(struct peer *p, uint32_t n)
{
	flush(p, create_primary(p, STORAGE_P256, 1000 + n));
}

/* Another key each time: how long a prime search takes is a matter of luck. */
static void row_primary_rsa(struct peer *p, uint32_t n)
{
	flush(p, create_primary(p, STORAGE_RSA, 1000 + n));
}

static void row_create(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	create_command(&m, TPM_CC_Create, p->parent, SIGN_P256, 0);
	must(p, &m, &r);
}

static void row_load(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	begin(&m, true, TPM_CC_Load);
	put(&m, p->parent, 4);
	put_password(&m);
	put_bytes(&m, p->created, p->created_len);
	must(p, &m, &r);
	flush(p, load32(r.bytes + 10));
}

static void sign_with(struct peer *p, uint32_t key, uint16_t scheme, uint32_t n)
{
	struct message m, r;

	begin(&m, true, TPM_CC_Sign);
	put(&m, key, 4);
	put_password(&m);
	put_filled(&m, (uint8_t)n, 32);
	put(&m, scheme, 2);
	put(&m, TPM_ALG_SHA256, 2);
	put(&m, TPM_ST_HASHCHECK, 2);
	put(&m, TPM_RH_NULL, 4);
	put(&m, 0, 2);
	must(p, &m, &r);
}

static void row_sign_ecc(struct peer *p, uint32_t n)
{
	sign_with(p, p->ecc, TPM_ALG_ECDSA, n);
}

static void row_sign_rsa(struct peer *p, uint32_t n)
{
	sign_with(p, p->rsa, TPM_ALG_RSASSA, n);
}

static void row_quote(struct peer *p, uint32_t n)
{
	struct message m, r;

	begin(&m, true, TPM_CC_Quote);
	put(&m, p->rsa, 4);
	put_password(&m);
	put_filled(&m, (uint8_t)n, 20);
	put(&m, TPM_ALG_RSASSA, 2);
	put(&m, TPM_ALG_SHA256, 2);
	put_pcr_selection(&m);
	must(p, &m, &r);
}

static void row_rsa_decrypt(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	begin(&m, true, TPM_CC_RSA_Decrypt);
	put(&m, p->rsa, 4);
	put_password(&m);
	put(&m, sizeof(p->cipher), 2);
	put_bytes(&m, p->cipher, sizeof(p->cipher));
	put(&m, TPM_ALG_RSAES, 2);
	put(&m, 0, 2);
	must(p, &m, &r);
}

static void nv_command(struct message *m, uint32_t code)
{
	begin(m, true, code);
	put(m, TPM_RH_OWNER, 4);
	put(m, NV_INDEX, 4);
	put_password(m);
}

static void row_nv_write(struct peer *p, uint32_t n)
{
	struct message m, r;

	nv_command(&m, TPM_CC_NV_Write);
	put_filled(&m, (uint8_t)n, 256);
	put(&m, 0, 2);
	must(p, &m, &r);
}

static void row_nv_read(struct peer *p, uint32_t n)
{
	struct message m, r;

	(void)n;
	nv_command(&m, TPM_CC_NV_Read);
	put(&m, 256, 2);
	put(&m, 0, 2);
	must(p, &m, &r);
}

/* Transient objects: 3 slots, of which the rows that make one need one. */
enum needs {
	NOTHING,
	PARENT,
	ECC,
	RSA,
	HMAC,
	NV
};

static const struct row {
	const char *name;
	void (*run)(struct peer *p, uint32_t n);
	enum needs needs;
} rows[] = {
	{ "self-test (full)", row_self_test, NOTHING },
	{ "GetRandom 32", row_get_random, NOTHING },
	{ "PCR_Extend", row_pcr_extend, NOTHING },
	{ "PCR_Read (8)", row_pcr_read, NOTHING },
	{ "Hash 1 KiB", row_hash, NOTHING },
	{ "HMAC 1 KiB", row_hmac, HMAC },
	{ "session start+flush", row_session, NOTHING },
	{ "CreatePrimary P-256", row_primary_ecc, NOTHING },
	{ "CreatePrimary RSA-2048", row_primary_rsa, NOTHING },
	{ "Create P-256", row_create, PARENT },
	{ "Load P-256", row_load, PARENT },
	{ "Sign ECDSA P-256", row_sign_ecc, ECC },
	{ "Sign RSASSA 2048", row_sign_rsa, RSA },
	{ "Quote RSA-2048", row_quote, RSA },
	{ "RSA_Decrypt 2048", row_rsa_decrypt, RSA },
	{ "NV_Write 256", row_nv_write, NV },
	{ "NV_Read 256", row_nv_read, NV },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- what rows need --- */

static void prepare_load(struct peer *p)
{
	struct message m, r;
	size_t private_len, public_len;

	p->parent = create_primary(p, STORAGE_P256, 1);
	create_command(&m, TPM_CC_Create, p->parent, SIGN_P256, 0);
	must(p, &m, &r);
	/* header 10, parameter size 4, then the two TPM2Bs */
	private_len = 2u + (size_t)(r.bytes[14] << 8 | r.bytes[15]);
	public_len = 2u + (size_t)(r.bytes[14 + private_len] << 8 | r.bytes[15 + private_len]);
	p->created_len = private_len + public_len;
	if (p->created_len > sizeof(p->created))
		fail("%s: a key of %zu bytes", p->name, p->created_len);
	memcpy(p->created, r.bytes + 14, p->created_len);
}

static void prepare_rsa(struct peer *p)
{
	struct message m, r;

	p->rsa = create_primary(p, PLAIN_RSA, 2);
	begin(&m, false, TPM_CC_RSA_Encrypt);
	put(&m, p->rsa, 4);
	put_filled(&m, 0x5a, 32);
	put(&m, TPM_ALG_RSAES, 2);
	put(&m, 0, 2);
	must(p, &m, &r);
	if (r.len < 12 + sizeof(p->cipher))
		fail("%s: a short ciphertext", p->name);
	memcpy(p->cipher, r.bytes + 12, sizeof(p->cipher));
}

static void prepare_nv(struct peer *p)
{
	struct message m, r;

	begin(&m, true, TPM_CC_NV_DefineSpace);
	put(&m, TPM_RH_OWNER, 4);
	put_password(&m);
	put(&m, 0, 2);
	put(&m, 14, 2);
	put(&m, NV_INDEX, 4);
	put(&m, TPM_ALG_SHA256, 2);
	put(&m, TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD, 4);
	put(&m, 0, 2);
	put(&m, 256, 2);
	must(p, &m, &r);
	row_nv_write(p, 0);
}

static void prepare(struct peer *p, enum needs needs)
{
	if (needs == PARENT)
		prepare_load(p);
	else if (needs == ECC)
		p->ecc = create_primary(p, SIGN_P256, 3);
	else if (needs == RSA)
		prepare_rsa(p);
	else if (needs == HMAC)
		p->hmac = create_primary(p, HMAC_KEY, 0);
	else if (needs == NV)
		prepare_nv(p);
}

static void release(struct peer *p, enum needs needs)
{
	struct message m, r;

	if (needs == PARENT)
		flush(p, p->parent);
	else if (needs == ECC)
		flush(p, p->ecc);
	else if (needs == RSA)
		flush(p, p->rsa);
	else if (needs == HMAC)
		flush(p, p->hmac);
	if (needs != NV)
		return;
	nv_command(&m, TPM_CC_NV_UndefineSpace);
	must(p, &m, &r);
}

/* --- servers --- */

static bool try_connect(struct peer *p)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		fail("socket: %s", strerror(errno));
	if (!connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return true;
	close(p->fd);
	return false;
}

/* From the start of the process to the first answer; the socket is asked for every 50 us. */
static uint64_t start(struct peer *p)
{
	struct timespec pause = { .tv_nsec = 50000 };
	uint64_t begun = now_ns();

	unlink(p->path);
	p->pid = fork();
	if (p->pid < 0)
		fail("fork: %s", strerror(errno));
	if (!p->pid) {
		setenv("SOCKET", p->path, 1);
		setenv("STATE", p->state, 1);
		execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
		_exit(127);
	}
	while (!try_connect(p)) {
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid)
			fail("%s does not start: %s", p->name, p->command);
		if (now_ns() - begun > (uint64_t)CONNECT_S * 1000000000u)
			fail("%s does not listen", p->name);
		nanosleep(&pause, NULL);
	}
	row_get_random(p, 0);
	return now_ns() - begun;
}

static void stop(struct peer *p)
{
	close(p->fd);
	kill(p->pid, SIGTERM);
	waitpid(p->pid, NULL, 0);
}

/* Resident memory in KiB; 0 when it cannot be told. */
static unsigned long resident(const struct peer *p)
{
	unsigned long kib = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Removes what lies in the server's directory. */
static void empty_state(const struct peer *p)
{
	struct dirent *entry;
	DIR *dir = opendir(p->state);

	if (!dir)
		fail("%s: %s", p->state, strerror(errno));
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* --- measuring --- */

/* Mean nanoseconds of one, over a turn. */
static double turn(const struct row *row, struct peer *p, uint32_t *n)
{
	uint64_t begun = now_ns(), spent;
	uint32_t first = *n;

	do {
		row->run(p, (*n)++);
		spent = now_ns() - begun;
	} while (spent < TURN_NS || *n - first < 5);
	return (double)spent / (*n - first);
}

static void measure(const struct row *row, struct peer peers[2])
{
	double sum[2] = { 0 }, best[2] = { 1e18, 1e18 };
	bool luck = row->run == row_primary_rsa;
	uint32_t n[2] = { 0 };

	for (unsigned int i = 0; i < 2; i++)
		prepare(&peers[i], row->needs);
	for (unsigned int t = 0; t < (luck ? 8 * TURNS : TURNS); t++) {
		for (unsigned int i = 0; i < 2; i++) {
			double mean = turn(row, &peers[i], &n[i]);

			sum[i] += mean / (luck ? 8 * TURNS : TURNS);
			best[i] = mean < best[i] ? mean : best[i];
		}
	}
	for (unsigned int i = 0; i < 2; i++) {
		release(&peers[i], row->needs);
		best[i] = luck ? sum[i] : best[i];
	}
	printf("%-24s %12.1f %12.1f %8.2f\n", row->name, best[0] / 1000, best[1] / 1000,
	       best[0] / best[1]);
}

static void open_peer(struct peer *p, const char *directory, const char *name, const char *command)
{
	p->name = name;
	p->command = command;
	snprintf(p->state, sizeof(p->state), "%.60s/tpm-latency-XXXXXX", directory);
	if (!mkdtemp(p->state))
		fail("a directory in %s: %s", directory, strerror(errno));
	snprintf(p->path, sizeof(p->path), "%s/socket", p->state);
	p->start_ns = p->first_start_ns = UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* First starts, each with no state yet, and starts with one, the two servers in turns. Both run afterwards. */
static void measure_starts(struct peer peers[2])
{
	for (unsigned int t = 0; t < 2 * TURNS; t++) {
		for (unsigned int i = 0; i < 2; i++) {
			if (t)
				stop(&peers[i]);
			if (t < TURNS) {
				empty_state(&peers[i]);
				peers[i].first_start_ns =
					least(peers[i].first_start_ns, start(&peers[i]));
			} else {
				peers[i].start_ns = least(peers[i].start_ns, start(&peers[i]));
			}
		}
	}
}

/* Microseconds for a write of 1 KiB into a file that is there, and its fdatasync(): what storing at all costs. */
static double durable_write(const struct peer *p)
{
	char path[200], block[1024] = { 0 };
	double best = 1e18;
	int fd;

	snprintf(path, sizeof(path), "%s/write", p->state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (unsigned int t = 0; t < TURNS; t++) {
		uint64_t begun = now_ns(), spent;
		unsigned int n = 0;

		do {
			if (pwrite(fd, block, sizeof(block), 0) != sizeof(block) || fdatasync(fd))
				fail("%s: %s", path, strerror(errno));
			n++;
			spent = now_ns() - begun;
		} while (spent < TURN_NS);
		best = (double)spent / n < best ? (double)spent / n : best;
	}
	close(fd);
	unlink(path);
	return best / 1000;
}

static void row_of_two(const char *name, double a, double b)
{
	printf("%-24s %12.1f %12.1f %8.2f\n", name, a, b, a / b);
}

int main(int argc, char **argv)
{
	const char *directory = "/tmp";
	struct peer peers[2];
	bool storing = false;
	int option;

	while ((option = getopt(argc, argv, "d:s")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 's')
			storing = true;
		else
			argc = 0;
	}
	if (argc != optind + 4) {
		fputs("usage: tpm_latency [-d DIRECTORY] [-s] NAME COMMAND NAME COMMAND\n", stderr);
		return 2;
	}
	argv += optind;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(peers, 0, sizeof(peers));
	for (unsigned int i = 0; i < 2; i++)
		open_peer(&peers[i], directory, argv[2 * i], argv[1 + 2 * i]);
	measure_starts(peers);
	printf("%-24s %12s %12s %8s\n", "microseconds", peers[0].name, peers[1].name, "ratio");
	row_of_two("first start", (double)peers[0].first_start_ns / 1000,
		   (double)peers[1].first_start_ns / 1000);
	row_of_two("start to first answer", (double)peers[0].start_ns / 1000,
		   (double)peers[1].start_ns / 1000);
	for (unsigned int i = 0; i < ROWS; i++)
		if (!storing || rows[i].run == row_nv_write)
			measure(&rows[i], peers);
	if (storing)
		row_of_two("1 KiB and fdatasync", durable_write(&peers[0]),
			   durable_write(&peers[1]));
	row_of_two("resident KiB", (double)resident(&peers[0]), (double)resident(&peers[1]));
	for (unsigned int i = 0; i < 2; i++) {
		stop(&peers[i]);
		empty_state(&peers[i]);
		if (rmdir(peers[i].state))
			fail("%s is left behind", peers[i].state);
	}
	return 0;
}

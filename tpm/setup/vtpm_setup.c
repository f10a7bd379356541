// SPDX-License-Identifier: MIT
/* vtpm-setup: makes the state of a TPM that vtpmd or the paravisor then serves. docs/vtpm-setup.md. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "core/key_file.h"
#include "tpm/setup/manufacture.h"
#include "tpm/store_file.h"

#define VMGS_SIZE (4 << 20) /* of a file that is to be a guest's VMGS device */

struct options {
	const char *dir, *file, *key_file, *ca_cert, *ca_key, *ca_password_file, *banks;
	bool create_ek, create_cert, ecc, overwrite, keep, reconfigure, display;
	unsigned int rsa_bits;
	struct manufacture m;
};

enum {
	OPT_STATE = 256,
	OPT_CREATE_EK,
	OPT_CREATE_CERT,
	OPT_SPK,
	OPT_ECC,
	OPT_LOCK,
	OPT_DISPLAY,
	OPT_KEY,
	OPT_OVERWRITE,
	OPT_KEEP,
	OPT_BANKS,
	OPT_RSA,
	OPT_CERT_FILES,
	OPT_VMID,
	OPT_RECONFIGURE,
	OPT_LOG,
	OPT_CAPABILITIES,
	OPT_CA_CERT,
	OPT_CA_KEY,
	OPT_CA_PASSWORD,
	OPT_DAYS,
	OPT_NOTHING,
};

static void usage(FILE *to)
{
	fputs("usage: vtpm-setup --tpm-state WHERE [options]\n"
	      "  --tpm-state WHERE        DIR or dir://DIR for vtpmd, file://FILE for ./entresol "
	      "run "
	      "--tpm-state\n"
	      "  --createek               make endorsement keys: RSA, P-256, P-384\n"
	      "  --create-ek-cert         and their certificates, which --ca-cert and --ca-key "
	      "sign\n"
	      "  --ca-cert FILE           the CA's certificate, PEM or DER\n"
	      "  --ca-key FILE            its private key\n"
	      "  --ca-pwdfile FILE        the key's password\n"
	      "  --days N                 how long certificates are valid (default: without end)\n"
	      "  --vmid NAME              common name in the certificates (default: none)\n"
	      "  --write-ek-cert-files D  leave them in folder D as files too\n"
	      "  --lock-nvram             lock the certificates' NV indices against writing\n"
	      "  --rsa-keysize N          of the RSA endorsement key: 2048 (default) or 3072\n"
	      "  --create-spk [--ecc]     make the storage root key: RSA 2048, or P-256\n"
	      "  --pcr-banks LIST         of sha1,sha256,sha384,sha512 (default: sha256); - for "
	      "all\n"
	      "  --keyfile FILE           seals the state: 64 hexadecimal digits or 32 bytes\n"
	      "  --overwrite              replace a state that is there\n"
	      "  --not-overwrite          leave one that is there, and end well\n"
	      "  --reconfigure            change the PCR banks of one that is there\n"
	      "  --display                say what was made\n"
	      "  --logfile FILE  --print-capabilities  --tpm2 (accepted)\n",
	      to);
}

/* --- options --- */

static int parse_banks(const char *list, uint8_t *banks)
{
	static const char *const names[HASH_COUNT] = { "sha1", "sha256", "sha384", "sha512" };
	size_t len;

	*banks = 0;
	if (!strcmp(list, "-"))
		return 0;
	for (;; list += len + 1) {
		unsigned int i = 0;

		len = strcspn(list, ",");
		while (i < HASH_COUNT && (strlen(names[i]) != len || memcmp(names[i], list, len)))
			i++;
		if (i == HASH_COUNT) {
			warnx("--pcr-banks: no bank '%.*s'", (int)len, list);
			return -EINVAL;
		}
		*banks |= (uint8_t)(1u << i);
		if (!list[len])
			return 0;
	}
}

static int parse_number(const char *name, const char *text, unsigned int max, unsigned int *v)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > max) {
		warnx("%s: '%s' is not a number up to %u", name, text, max);
		return -EINVAL;
	}
	*v = (unsigned int)n;
	return 0;
}

static void set_state(struct options *o, const char *where)
{
	o->dir = o->file = NULL;
	if (!strncmp(where, "file://", 7))
		o->file = where + 7;
	else
		o->dir = strncmp(where, "dir://", 6) ? where : where + 6;
}

static void capabilities(void)
{
	puts("{ \"type\": \"swtpm_setup\", \"features\": [ \"tpm-2.0\", "
	     "\"cmdarg-write-ek-cert-files\", "
	     "\"cmdarg-reconfigure-pcr-banks\", \"tpm2-rsa-keysize-2048\", "
	     "\"tpm2-rsa-keysize-3072\" ] }");
	exit(0);
}

static int parse_one(struct options *o, int option, const char *arg)
{
	switch (option) {
	case OPT_STATE:
		set_state(o, arg);
		return 0;
	case OPT_CREATE_CERT:
		o->create_cert = true;
		/* fall through */
	case OPT_CREATE_EK:
		o->create_ek = true;
		return 0;
	case OPT_SPK:
		o->m.srk = true;
		return 0;
	case OPT_ECC:
		o->m.srk_ecc = true;
		return 0;
	case OPT_LOCK:
		o->m.lock_nv = true;
		return 0;
	case OPT_DISPLAY:
		o->display = true;
		return 0;
	case OPT_KEY:
		o->key_file = arg;
		return 0;
	case OPT_OVERWRITE:
		o->overwrite = true;
		return 0;
	case OPT_KEEP:
		o->keep = true;
		return 0;
	case OPT_BANKS:
		return parse_banks(arg, &o->m.banks);
	case OPT_RSA:
		return parse_number("--rsa-keysize", arg, 4096, &o->rsa_bits);
	case OPT_CERT_FILES:
		o->m.cert_dir = arg;
		return 0;
	case OPT_VMID:
		o->m.cert.subject = arg;
		return 0;
	case OPT_RECONFIGURE:
		o->reconfigure = true;
		return 0;
	case OPT_LOG:
		if (freopen(arg, "a", stderr))
			return 0;
		return -errno;
	case OPT_CA_CERT:
		o->ca_cert = arg;
		return 0;
	case OPT_CA_KEY:
		o->ca_key = arg;
		return 0;
	case OPT_CA_PASSWORD:
		o->ca_password_file = arg;
		return 0;
	case OPT_DAYS:
		return parse_number("--days", arg, 36500, &o->m.cert.days);
	case OPT_CAPABILITIES:
		capabilities();
		return 0;
	case 'h':
		usage(stdout);
		exit(0);
	case OPT_NOTHING:
		return 0;
	default:
		return -EINVAL;
	}
}

static int check(const struct options *o)
{
	const char *wrong = NULL;

	if (!o->dir && !o->file)
		wrong = "--tpm-state is missing";
	else if (o->create_cert && (!o->ca_cert || !o->ca_key))
		wrong = "--create-ek-cert needs --ca-cert and --ca-key";
	else if (!o->create_cert && (o->ca_cert || o->ca_key || o->m.cert_dir))
		wrong = "what signs certificates, or a folder for them, but no --create-ek-cert";
	else if (o->rsa_bits != 2048 && o->rsa_bits != 3072)
		wrong = "--rsa-keysize: 2048 or 3072";
	else if (o->overwrite + o->keep + o->reconfigure > 1)
		wrong = "one of --overwrite, --not-overwrite and --reconfigure";
	else if (o->reconfigure && (o->create_ek || o->m.srk))
		wrong = "--reconfigure makes no keys";
	else if (o->m.cert.subject && (!*o->m.cert.subject || strlen(o->m.cert.subject) > 64))
		wrong = "--vmid: a common name has 1 to 64 bytes (RFC 5280, appendix A)";
	if (wrong)
		warnx("%s", wrong);
	return wrong ? -EINVAL : 0;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tpm-state", required_argument, NULL, OPT_STATE },
		{ "tpmstate", required_argument, NULL, OPT_STATE },
		{ "createek", no_argument, NULL, OPT_CREATE_EK },
		{ "create-ek-cert", no_argument, NULL, OPT_CREATE_CERT },
		{ "create-spk", no_argument, NULL, OPT_SPK },
		{ "ecc", no_argument, NULL, OPT_ECC },
		{ "lock-nvram", no_argument, NULL, OPT_LOCK },
		{ "display", no_argument, NULL, OPT_DISPLAY },
		{ "keyfile", required_argument, NULL, OPT_KEY },
		{ "overwrite", no_argument, NULL, OPT_OVERWRITE },
		{ "not-overwrite", no_argument, NULL, OPT_KEEP },
		{ "pcr-banks", required_argument, NULL, OPT_BANKS },
		{ "rsa-keysize", required_argument, NULL, OPT_RSA },
		{ "write-ek-cert-files", required_argument, NULL, OPT_CERT_FILES },
		{ "vmid", required_argument, NULL, OPT_VMID },
		{ "reconfigure", no_argument, NULL, OPT_RECONFIGURE },
		{ "logfile", required_argument, NULL, OPT_LOG },
		{ "print-capabilities", no_argument, NULL, OPT_CAPABILITIES },
		{ "ca-cert", required_argument, NULL, OPT_CA_CERT },
		{ "ca-key", required_argument, NULL, OPT_CA_KEY },
		{ "ca-pwdfile", required_argument, NULL, OPT_CA_PASSWORD },
		{ "days", required_argument, NULL, OPT_DAYS },
		{ "tpm2", no_argument, NULL, OPT_NOTHING },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, ret = 0;

	o->rsa_bits = 2048;
	parse_banks("sha256", &o->m.banks);
	while (!ret && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		ret = parse_one(o, c, optarg);
	if (!ret && optind < argc) {
		warnx("'%s': not an option", argv[optind]);
		ret = -EINVAL;
	}
	return ret ? ret : check(o);
}

static void choose_eks(struct options *o)
{
	const char *const names[] = { o->rsa_bits == 3072 ? "rsa3072" : "rsa2048", "p256", "p384" };

	for (size_t i = 0; o->create_ek && i < sizeof(names) / sizeof(*names); i++)
		o->m.eks[o->m.ek_count++] = ek_find(names[i]);
}

/* --- state --- */

/* A store in a file, with the instance's blob as its content. */
struct state {
	struct store_file file;
	struct instance instance;
	bool open;
};

static int open_state(struct state *s, const char *path, const uint8_t *key)
{
	int ret = store_file_open(&s->file, path, false);

	if (ret) {
		warnx("%s: %s", path, ret == -EBUSY ? "in use" : strerror(-ret));
		return ret;
	}
	ret = store_open(&s->instance.permanent, &store_file_device, &s->file, TPM_MAX_BLOB, key,
			 instance_random);
	if (!ret)
		ret = instance_open(&s->instance);
	s->open = !ret;
	if (ret)
		store_file_close(&s->file);
	return ret;
}

static void close_state(struct state *s)
{
	if (!s->open)
		return;
	instance_close(&s->instance);
	store_file_close(&s->file);
	s->open = false;
}

/* Is there a state? 1, 0 or -errno; one that cannot be read is one too. */
static int state_is_there(struct state *s)
{
	long len = store_load(&s->instance.permanent, s->instance.buf, TPM_MAX_BLOB);

	mbedtls_platform_zeroize(s->instance.buf, TPM_MAX_BLOB);
	return len == -EBADMSG || len == -EACCES || len > 0 ? 1 : (int)len;
}

/* Everything into the file, and the file into its folder, in the place of the old one. */
static int put_in_place(struct state *s, const char *from, const char *to, bool vmgs)
{
	char folder[4096];
	struct stat status;
	int fd, ret;

	if (fstat(s->file.fd, &status) ||
	    (vmgs && status.st_size < VMGS_SIZE && ftruncate(s->file.fd, VMGS_SIZE)) ||
	    fsync(s->file.fd) || rename(from, to))
		return -errno;
	snprintf(folder, sizeof(folder), "%s", to);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

/* Beside the old one, which stays until the new one is whole. */
static int make_new(const struct options *o, const char *path, const uint8_t *key)
{
	char temporary[4096];
	struct state s = { 0 };
	int ret;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	unlink(temporary);
	ret = open_state(&s, temporary, key);
	if (ret)
		return ret;
	ret = instance_init(&s.instance, true);
	if (!ret)
		ret = manufacture(&s.instance, &o->m);
	instance_stop(&s.instance);
	if (!ret) {
		ret = put_in_place(&s, temporary, path, o->file != NULL);
		if (ret)
			warnx("%s: %s", path, strerror(-ret));
	}
	if (ret)
		unlink(temporary);
	close_state(&s);
	return ret;
}

static int reconfigure(struct state *s, const struct options *o, const char *path)
{
	int ret;

	s->file.durable = true;
	ret = instance_init(&s->instance, true);
	if (ret)
		warnx("%s: %s", path,
		      ret == -EACCES ? "sealed with another key, or none" : "not a state");
	return ret ? ret : manufacture_banks(&s->instance, o->m.banks);
}

static int with_old(struct state *old, const struct options *o, const char *path,
		    const uint8_t *key)
{
	int there = state_is_there(old);

	if (there < 0)
		return there;
	if (o->reconfigure && !there) {
		warnx("%s: there is no state to change", path);
		return -ENOENT;
	}
	if (o->reconfigure)
		return reconfigure(old, o, path);
	if (there && o->keep)
		return 0;
	if (there && !o->overwrite) {
		warnx("%s: there is a state already; --overwrite replaces it", path);
		return -EEXIST;
	}
	return make_new(o, path, key);
}

static void display(const struct options *o, const char *path)
{
	printf("state: %s%s\n", path, o->key_file ? " (sealed)" : "");
	for (unsigned int i = 0; i < o->m.ek_count; i++)
		printf("endorsement key %s: 0x%08x%s\n", o->m.eks[i]->name, o->m.eks[i]->handle,
		       o->m.issuer ? ", certificate" : "");
	for (unsigned int i = 0; o->m.issuer && i < o->m.ek_count; i++)
		printf("certificate %s: NV 0x%08x\n", o->m.eks[i]->name, o->m.eks[i]->nv_index);
	if (o->m.srk)
		printf("storage root key: 0x%08x\n", SRK_HANDLE);
}

static int set_up(struct options *o)
{
	char path[4000], resumed[4096];
	struct state old = { 0 };
	uint8_t key[STORE_KEY_SIZE];
	int ret = 0;

	if (snprintf(path, sizeof(path), "%s%s", o->dir ? o->dir : o->file,
		     o->dir ? "/vtpm.permanent" : "") >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (o->key_file && (ret = key_file_read(o->key_file, key))) {
		warnx("%s: %s", o->key_file, strerror(-ret));
		return ret;
	}
	ret = open_state(&old, path, o->key_file ? key : NULL);
	if (!ret)
		ret = with_old(&old, o, path, o->key_file ? key : NULL);
	/* What was suspended belonged to the state before. */
	snprintf(resumed, sizeof(resumed), "%s/vtpm.volatile", o->dir ? o->dir : "");
	if (!ret && o->dir && !o->keep)
		unlink(resumed);
	close_state(&old);
	mbedtls_platform_zeroize(key, sizeof(key));
	if (!ret && o->display)
		display(o, path);
	return ret;
}

static int read_password(const char *path, char *password, size_t max)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(password, (int)max, f)) {
		warn("%s", path);
		if (f)
			fclose(f);
		return -EINVAL;
	}
	fclose(f);
	password[strcspn(password, "\r\n")] = 0;
	return 0;
}

static int with_issuer(struct options *o)
{
	struct issuer issuer;
	char password[256];
	int ret = 0;

	if (o->ca_password_file)
		ret = read_password(o->ca_password_file, password, sizeof(password));
	if (ret)
		return ret;
	ret = issuer_load(&issuer, o->ca_cert, o->ca_key, o->ca_password_file ? password : NULL);
	mbedtls_platform_zeroize(password, sizeof(password));
	o->m.issuer = &issuer;
	if (!ret)
		ret = set_up(o);
	issuer_free(&issuer);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };

	prctl(PR_SET_DUMPABLE, 0);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	if (parse(&o, argc, argv)) {
		fputs("vtpm-setup --help lists the options\n", stderr);
		return 2;
	}
	choose_eks(&o);
	return (o.create_cert ? with_issuer(&o) : set_up(&o)) ? 1 : 0;
}

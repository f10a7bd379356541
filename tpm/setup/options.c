// SPDX-License-Identifier: MIT
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tpm/option_value.h"
#include "tpm/setup/options.h"

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
		while (i < HASH_COUNT && !option_word(list, len, names[i]))
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

static void set_state(struct setup_options *o, const char *where)
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

static int parse_one(struct setup_options *o, int option, const char *arg)
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
		return option_number("--rsa-keysize", arg, 10, 4096, &o->rsa_bits);
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
		return option_number("--days", arg, 10, 36500, &o->m.cert.days);
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

static int check(const struct setup_options *o)
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

static void choose_eks(struct setup_options *o)
{
	const char *const names[] = { o->rsa_bits == 3072 ? "rsa3072" : "rsa2048", "p256", "p384" };

	for (size_t i = 0; o->create_ek && i < sizeof(names) / sizeof(*names); i++)
		o->m.eks[o->m.ek_count++] = ek_find(names[i]);
}

int setup_options_parse(struct setup_options *o, int argc, char **argv)
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
	if (!ret)
		ret = check(o);
	if (!ret)
		choose_eks(o);
	return ret;
}

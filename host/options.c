#include "host/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "host/option_value.h"

#define MIB (1024ull * 1024)

#define DEFAULT_CPUS        2
#define DEFAULT_MEMORY      (1024 * MIB)
#define DEFAULT_VTL2_MEMORY (64 * MIB)
#define MIN_MEMORY          (64 * MIB)
#define MAX_MEMORY          (1024 * 1024 * MIB)
#define MIN_VTL2_MEMORY     (12 * MIB)
#define MAX_VTL2_MEMORY     (4096 * MIB)
#define MAX_TIMEOUT         (7 * 24 * 3600)

static const char usage[] =
	"usage: vtlhost --igvm FILE [options]\n"
	"  --igvm FILE          the image (igvmtool builds them)\n"
	"  --kernel FILE        what VTL0 boots, if the image leaves it to the host: bzImage or "
	"ELF\n"
	"  --initrd FILE        VTL0's initramfs\n"
	"  --append STRING      VTL0's kernel command line\n"
	"  --cpus N             virtual processors (1 to 64; default 2)\n"
	"  --memory SIZE        VTL0's RAM, bytes with K, M or G (default 1G)\n"
	"  --vtl2-memory SIZE   VTL2's RAM (default 64M)\n"
	"  --vtl2-append STRING words for VTL2's kernel; the image takes what it allows\n"
	"  --nvme FILE[,...]    an NVMe disk of VTL2's, which becomes a SCSI disk of the guest's;\n"
	"                       FILE: a file, a block device, or memory; may be repeated; with\n"
	"                       ro (read-only), dvd (FILE may be none), size=SIZE (of a new file "
	"or of memory),\n"
	"                       lun=N (disks of the same LUN are striped; from 64, 128 and 192 "
	"on, of further\n"
	"                       SCSI controllers), chunk=KIB (default 128),\n"
	"                       sector=512|4096, physical=512|4096 (512e), "
	"fault=KIND[:KEY=VALUE]... (docs/nvme.md)\n"
	"  --net user[,mtu=N][,hostfwd=tcp:[ADDRESS]:PORT-:PORT]...|tap=NAME|packet=NAME|none\n"
	"                       the guest's network: through passt, a TAP device, all of an "
	"interface,\n"
	"                       none (default); ,vf: with a function of the guest's own beside "
	"the card\n"
	"  --guest-state FILE   the guest's persistent state (vTPM and others), made when missing\n"
	"  --tpm-key FILE       the vTPM's part of it is sealed: 64 hexadecimal digits or 32 "
	"bytes\n"
	"  --timeout SECONDS    end the run after that long\n"
	"  --no-reboot          a guest reset ends the run\n"
	"  --on-crash WHAT      of a guest that reports a crash: end (default), or continue, as "
	"on\n"
	"                       Hyper-V, for kdump\n"
	"  --own-timers         VTL0's timers are not left to KVM (for tests)\n"
	"  --log FILE           VTL2's log (- is standard error)\n"
	"  --check              look at the options and at what --net needs, run nothing: exit 0, "
	"or 1\n"
	"  --probe              say whether KVM can run guests here: exit 0, or 2 and why not\n"
	"Ctrl-A x ends a run from the terminal; Ctrl-A c and a line is a command: add FILE[,...],\n"
	"remove LUN, insert LUN FILE, eject LUN (DVDs), resize LUN SIZE, fault LUN FAULT,\n"
	"vf on|off, net up|down|reset (network).\n";

enum option_id {
	OPTION_IGVM = 256,
	OPTION_VTL2_APPEND,
	OPTION_VTL2_MEMORY,
	OPTION_KERNEL,
	OPTION_INITRD,
	OPTION_APPEND,
	OPTION_CPUS,
	OPTION_MEMORY,
	OPTION_NVME,
	OPTION_NET,
	OPTION_GUEST_STATE,
	OPTION_TPM_KEY,
	OPTION_TIMEOUT,
	OPTION_NO_REBOOT,
	OPTION_OWN_TIMERS,
	OPTION_ON_CRASH,
	OPTION_LOG,
	OPTION_CHECK,
	OPTION_PROBE,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "igvm", required_argument, NULL, OPTION_IGVM },
	{ "vtl2-append", required_argument, NULL, OPTION_VTL2_APPEND },
	{ "vtl2-memory", required_argument, NULL, OPTION_VTL2_MEMORY },
	{ "kernel", required_argument, NULL, OPTION_KERNEL },
	{ "initrd", required_argument, NULL, OPTION_INITRD },
	{ "append", required_argument, NULL, OPTION_APPEND },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "nvme", required_argument, NULL, OPTION_NVME },
	{ "net", required_argument, NULL, OPTION_NET },
	{ "guest-state", required_argument, NULL, OPTION_GUEST_STATE },
	{ "tpm-key", required_argument, NULL, OPTION_TPM_KEY },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "no-reboot", no_argument, NULL, OPTION_NO_REBOOT },
	{ "own-timers", no_argument, NULL, OPTION_OWN_TIMERS },
	{ "on-crash", required_argument, NULL, OPTION_ON_CRASH },
	{ "log", required_argument, NULL, OPTION_LOG },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "probe", no_argument, NULL, OPTION_PROBE },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static int read_tpm_key(struct options *o, const char *path)
{
	int ret = key_file_read(path, o->tpm_key);

	if (ret)
		fprintf(stderr, "vtlhost: --tpm-key '%s': %s\n", path,
			ret == -EINVAL ? "not 64 hexadecimal digits or 32 bytes" : strerror(-ret));
	o->has_tpm_key = !ret;
	return ret ? -EINVAL : 0;
}

static int read_on_crash(struct options *o, const char *what)
{
	o->outlive_crash = !strcmp(what, "continue");
	return o->outlive_crash || !strcmp(what, "end")
		       ? 0
		       : option_fail("--on-crash", what, "must be end or continue");
}

static int take(struct options *o, int id)
{
	switch (id) {
	case OPTION_IGVM:
		o->igvm = optarg;
		return 0;
	case OPTION_VTL2_APPEND:
		o->vtl2_append = optarg;
		return 0;
	case OPTION_VTL2_MEMORY:
		return option_size("--vtl2-memory", optarg, MIN_VTL2_MEMORY, MAX_VTL2_MEMORY,
				   2 * MIB, &o->vtl2_memory);
	case OPTION_KERNEL:
		o->kernel = optarg;
		return 0;
	case OPTION_INITRD:
		o->initrd = optarg;
		return 0;
	case OPTION_APPEND:
		o->append = optarg;
		return 0;
	case OPTION_CPUS:
		return option_count("--cpus", optarg, 1, HOST_MAX_VPS, &o->cpus);
	case OPTION_MEMORY:
		return option_size("--memory", optarg, MIN_MEMORY, MAX_MEMORY, 2 * MIB, &o->memory);
	case OPTION_NVME:
		return disk_option_parse(optarg, o->disks, &o->disk_count);
	case OPTION_NET:
		return net_option_parse(optarg, &o->net);
	case OPTION_GUEST_STATE:
		o->guest_state = optarg;
		return 0;
	case OPTION_TPM_KEY:
		return read_tpm_key(o, optarg);
	case OPTION_TIMEOUT:
		return option_count("--timeout", optarg, 1, MAX_TIMEOUT, &o->timeout);
	case OPTION_NO_REBOOT:
		o->no_reboot = true;
		return 0;
	case OPTION_OWN_TIMERS:
		o->own_timers = true;
		return 0;
	case OPTION_ON_CRASH:
		return read_on_crash(o, optarg);
	case OPTION_LOG:
		o->log = optarg;
		return 0;
	case OPTION_CHECK:
		o->check = true;
		return 0;
	case OPTION_PROBE:
		o->probe = true;
		return 0;
	case OPTION_HELP:
		fputs(usage, stdout);
		return 1;
	default: /* getopt has said what is wrong */
		return -EINVAL;
	}
}

static int check_required(const struct options *o)
{
	if (o->igvm || o->check || o->probe)
		return 0;
	fprintf(stderr, "vtlhost: --igvm is missing (--help lists the options)\n");
	return -EINVAL;
}

int options_parse(struct options *o, int argc, char **argv)
{
	int id, ret;

	*o = (struct options){
		.cpus = DEFAULT_CPUS,
		.memory = DEFAULT_MEMORY,
		.vtl2_memory = DEFAULT_VTL2_MEMORY,
	};
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		ret = take(o, id);
		if (ret)
			return ret;
	}
	if (optind < argc)
		return option_fail("unexpected argument", argv[optind], "--help lists the options");
	return check_required(o);
}

#include "host/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	"usage: vtlhost --vtl2-kernel FILE --vtl2-initrd FILE --kernel FILE [options]\n"
	"  --kernel FILE        what VTL0 boots: bzImage or ELF\n"
	"  --initrd FILE        VTL0's initramfs\n"
	"  --append STRING      VTL0's kernel command line\n"
	"  --cpus N             virtual processors (1 to 64; default 2)\n"
	"  --memory SIZE        VTL0's RAM, bytes with K, M or G (default 1G)\n"
	"  --vtl2-memory SIZE   VTL2's RAM (default 64M)\n"
	"  --vtl2-append STRING more words for VTL2's kernel command line\n"
	"  --timeout SECONDS    end the run after that long\n"
	"  --no-reboot          a guest reset ends the run\n"
	"  --log FILE           VTL2's log (- is standard error)\n"
	"  --probe              say whether KVM can run guests here: exit 0, or 2 and why not\n"
	"Ctrl-A x ends a run from the terminal.\n";

static int fail(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "vtlhost: %s '%s': %s\n", what, value, why);
	return -EINVAL;
}

/* Decimal digits only: strtoull() alone would take signs and blanks. */
static int parse_number(const char *text, uint64_t max, uint64_t *value, const char **end)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &stop, 10);
	*end = stop;
	return errno || *value > max ? -ERANGE : 0;
}

static int parse_count(const char *what, const char *text, uint64_t min, uint64_t max,
		       unsigned int *count)
{
	char range[64];
	const char *end;
	uint64_t value;

	snprintf(range, sizeof(range), "must be a number from %llu to %llu",
		 (unsigned long long)min, (unsigned long long)max);
	if (parse_number(text, max, &value, &end) || *end || value < min)
		return fail(what, text, range);
	*count = (unsigned int)value;
	return 0;
}

static int parse_size(const char *what, const char *text, uint64_t min, uint64_t max,
		      uint64_t *size)
{
	static const char suffixes[] = "KMG";
	const char *end, *suffix;
	char range[80];
	uint64_t value, unit = 1;

	snprintf(range, sizeof(range), "must be bytes with K, M or G, from %lluM to %lluM",
		 (unsigned long long)(min / MIB), (unsigned long long)(max / MIB));
	if (parse_number(text, max, &value, &end))
		return fail(what, text, range);
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || end[1])
			return fail(what, text, range);
		unit = 1024ull << (10 * (suffix - suffixes));
	}
	if (value > max / unit || value * unit < min)
		return fail(what, text, range);
	*size = value * unit & ~(2 * MIB - 1);
	return 0;
}

enum option_id {
	OPTION_VTL2_KERNEL = 256,
	OPTION_VTL2_INITRD,
	OPTION_VTL2_APPEND,
	OPTION_VTL2_MEMORY,
	OPTION_KERNEL,
	OPTION_INITRD,
	OPTION_APPEND,
	OPTION_CPUS,
	OPTION_MEMORY,
	OPTION_TIMEOUT,
	OPTION_NO_REBOOT,
	OPTION_LOG,
	OPTION_PROBE,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "vtl2-kernel", required_argument, NULL, OPTION_VTL2_KERNEL },
	{ "vtl2-initrd", required_argument, NULL, OPTION_VTL2_INITRD },
	{ "vtl2-append", required_argument, NULL, OPTION_VTL2_APPEND },
	{ "vtl2-memory", required_argument, NULL, OPTION_VTL2_MEMORY },
	{ "kernel", required_argument, NULL, OPTION_KERNEL },
	{ "initrd", required_argument, NULL, OPTION_INITRD },
	{ "append", required_argument, NULL, OPTION_APPEND },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "no-reboot", no_argument, NULL, OPTION_NO_REBOOT },
	{ "log", required_argument, NULL, OPTION_LOG },
	{ "probe", no_argument, NULL, OPTION_PROBE },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static int take(struct options *o, int id)
{
	switch (id) {
	case OPTION_VTL2_KERNEL:
		o->vtl2_kernel = optarg;
		return 0;
	case OPTION_VTL2_INITRD:
		o->vtl2_initrd = optarg;
		return 0;
	case OPTION_VTL2_APPEND:
		o->vtl2_append = optarg;
		return 0;
	case OPTION_VTL2_MEMORY:
		return parse_size("--vtl2-memory", optarg, MIN_VTL2_MEMORY, MAX_VTL2_MEMORY,
				  &o->vtl2_memory);
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
		return parse_count("--cpus", optarg, 1, HOST_MAX_VPS, &o->cpus);
	case OPTION_MEMORY:
		return parse_size("--memory", optarg, MIN_MEMORY, MAX_MEMORY, &o->memory);
	case OPTION_TIMEOUT:
		return parse_count("--timeout", optarg, 1, MAX_TIMEOUT, &o->timeout);
	case OPTION_NO_REBOOT:
		o->no_reboot = true;
		return 0;
	case OPTION_LOG:
		o->log = optarg;
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
	const char *missing = !o->vtl2_kernel   ? "--vtl2-kernel"
			      : !o->vtl2_initrd ? "--vtl2-initrd"
			      : !o->kernel      ? "--kernel"
						: NULL;

	if (!missing || o->probe)
		return 0;
	fprintf(stderr, "vtlhost: %s is missing (--help lists the options)\n", missing);
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
		return fail("unexpected argument", argv[optind], "--help lists the options");
	return check_required(o);
}

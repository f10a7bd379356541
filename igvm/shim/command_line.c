#include <errno.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"

/*
 * Words of a command line are what lies between blanks. Those that begin with "--" are the
 * paravisor's, the rest the kernel's; "--" itself is ours to set.
 */

/* What the host may say to an image that is not confidential: what is seen, not what is done. */
static const char visible[][20] = {
	"console=",       "earlyprintk=", "loglevel=",    "debug",         "ignore_loglevel",
	"initcall_debug", "printk.time=", "--log-level=", "--wall-clock=",
};

/* To every image, with a number: VTL2 has no clock of its own, and the host's is the only one there is. */
static const char always[][20] = { "--wall-clock=" };

struct word {
	const char *text;
	size_t len;
};

struct line {
	struct shim *shim;
	char *buf;
	size_t size, len;
	bool full;
};

static void add(struct line *line, const char *text, size_t len)
{
	size_t blank = line->len ? 1 : 0;

	if (len + blank + 1 > line->size - line->len) {
		line->full = true;
		return;
	}
	if (blank)
		line->buf[line->len++] = ' ';
	memcpy(line->buf + line->len, text, len);
	line->len += len;
	line->buf[line->len] = 0;
}

/* Exactly the name, or a name with '=' and a value after it. */
static bool is_listed(const struct word *word, const char (*list)[20], unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		size_t len = strlen(list[i]);

		if (list[i][len - 1] == '=' ? word->len > len : word->len == len)
			if (!memcmp(word->text, list[i], len))
				return true;
	}
	return false;
}

/* Nothing that another parser could take for more than one word, whatever the image. */
static bool is_plain(const struct word *word)
{
	size_t i;

	for (i = 0; i < word->len; i++)
		if (word->text[i] <= ' ' || word->text[i] > '~' || word->text[i] == '"' ||
		    word->text[i] == '\'')
			return false;
	return true;
}

/* All that follows the name is digits: what else stands there is not the host's to say. */
static bool has_number(const struct word *word)
{
	const char *end = word->text + word->len;
	const char *value = memchr(word->text, '=', word->len);

	if (!value++ || value == end)
		return false;
	while (value < end && *value >= '0' && *value <= '9')
		value++;
	return value == end;
}

static bool passes(const struct shim *shim, const struct word *word)
{
	if (!is_plain(word))
		return false;
	if (shim->params.flags & SHIM_CONFIDENTIAL)
		return is_listed(word, always, sizeof(always) / sizeof(*always)) &&
		       has_number(word);
	return shim->params.flags & SHIM_DEBUG ||
	       is_listed(word, visible, sizeof(visible) / sizeof(*visible));
}

static bool is_paravisors(const struct word *word)
{
	return word->len >= 2 && word->text[0] == '-' && word->text[1] == '-';
}

static void refuse(struct line *line, const struct word *word)
{
	char text[48];
	size_t len = word->len < sizeof(text) - 1 ? word->len : sizeof(text) - 1;

	memcpy(text, word->text, len);
	text[len] = 0;
	shim_log_line(line->shim, "the host's word \"%s\" is ignored", text);
}

/* The kernel's words of a text, or the paravisor's. A refused word is logged in the first pass only. */
static void add_words(struct line *line, const char *text, size_t len, bool host, bool paravisors)
{
	struct word word = { text, 0 };
	const char *end = text + len;

	for (; word.text < end; word.text += word.len) {
		while (word.text < end && *word.text == ' ')
			word.text++;
		for (word.len = 0; word.text + word.len < end && word.text[word.len] != ' ';)
			word.len++;
		if (!word.len || (word.len == 2 && is_paravisors(&word)))
			continue;
		if (host && !passes(line->shim, &word)) {
			if (!paravisors)
				refuse(line, &word);
			continue;
		}
		if (is_paravisors(&word) == paravisors)
			add(line, word.text, word.len);
	}
}

/* Each tick of VTL2 takes a VP out of VTL0: only VP 0, which keeps the time, has one. */
static void add_tickless(struct line *line)
{
	char text[32];

	if (line->shim->machine.vp_count < 2)
		return;
	add(line, text,
	    shim_print(text, sizeof(text), "nohz_full=1-%u", line->shim->machine.vp_count - 1));
}

static void add_payloads(struct line *line)
{
	static const char names[SHIM_PAYLOAD_COUNT][12] = { "kernel", "initrd", "cmdline",
							    "firmware" };
	const struct shim_payload *payloads = shim_payloads(line->shim);
	char text[64];
	unsigned int i;

	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++)
		if (payloads[i].len)
			add(line, text,
			    shim_print(text, sizeof(text), "--%s=%llx:%llx", names[i],
				       (unsigned long long)payloads[i].gpa,
				       (unsigned long long)payloads[i].len));
}

int shim_command_line_build(struct shim *shim, char *buf, size_t size)
{
	const struct shim_range *measured = &shim->params.command_line;
	const struct shim_range *area = &shim->params.host_command_line;
	const char *ours = (const char *)shim_pointer(shim, measured->offset);
	const char *hosts = (const char *)shim_pointer(shim, area->offset);
	const char *end = memchr(hosts, 0, area->len);
	struct line line = { shim, buf, size, 0, false };
	size_t host_len;

	if (!end)
		return shim_stop(shim, "host: the command line has no end");
	host_len = (size_t)(end - hosts);
	buf[0] = 0;
	add_words(&line, ours, measured->len, false, false);
	add_tickless(&line);
	add_words(&line, hosts, host_len, true, false);
	add(&line, "--", 2);
	add_payloads(&line);
	add_words(&line, ours, measured->len, false, true);
	add_words(&line, hosts, host_len, true, true);
	if (line.full)
		return shim_stop(shim, "the kernel's command line is longer than %u bytes",
				 (unsigned int)size - 1);
	return 0;
}

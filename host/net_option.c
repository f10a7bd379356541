#include "host/net_option.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "host/option_value.h"

/* "ADDRESS:PORT" or ":PORT" or "PORT", which `colon` may follow. */
static int parse_end(char *text, const char **address, unsigned int *port)
{
	char *colon = strrchr(text, ':');

	*address = NULL;
	if (colon) {
		*colon = 0;
		if (colon != text)
			*address = text;
		text = colon + 1;
	}
	return option_count("--net hostfwd port", text, 1, 65535, port);
}

/* "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT", as QEMU has it; the guest has one address, so its is not used. */
static int parse_forward(char *text, struct net_option *net)
{
	struct net_forward *forward = &net->forwards[net->forward_count];
	char *guest = strchr(text, '-');
	const char *unused;
	int ret;

	if (net->forward_count == HOST_MAX_FORWARDS)
		return option_fail("--net hostfwd", text, "too many");
	if ((strncmp(text, "tcp:", 4) && strncmp(text, "udp:", 4)) || !guest)
		return option_fail("--net hostfwd", text, "must be like tcp:2222-:22");
	*guest++ = 0;
	forward->udp = *text == 'u';
	ret = parse_end(text + 4, &forward->address, &forward->host_port);
	if (!ret)
		ret = parse_end(guest, &unused, &forward->guest_port);
	if (!ret)
		net->forward_count++;
	return ret;
}

static int parse_interface(const char *name, enum net_kind kind, struct net_option *net)
{
	if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, '/'))
		return option_fail("--net", name, "is not an interface's name");
	net->kind = kind;
	net->name = name;
	return 0;
}

static int parse_word(char *word, struct net_option *net)
{
	if (net->kind != NET_NONE && !strcmp(word, "vf")) {
		net->vf = true;
		return 0;
	}
	if (net->kind == NET_USER && !strncmp(word, "hostfwd=", 8))
		return parse_forward(word + 8, net);
	if (net->kind == NET_USER && !strncmp(word, "mtu=", 4))
		return option_count("--net mtu", word + 4, 576, NET_MTU_MAX, &net->mtu);
	return option_fail("--net", word, "is not known for such a network");
}

int net_option_parse(char *text, struct net_option *net)
{
	char *rest = text, *word = strsep(&rest, ",");
	int ret = 0;

	*net = (struct net_option){ .kind = NET_NONE };
	if (!strncmp(word, "tap=", 4))
		ret = parse_interface(word + 4, NET_TAP, net);
	else if (!strncmp(word, "packet=", 7))
		ret = parse_interface(word + 7, NET_PACKET, net);
	else if (!strcmp(word, "user"))
		net->kind = NET_USER;
	else if (strcmp(word, "none"))
		return option_fail("--net", word, "must be user, tap=NAME, packet=NAME or none");
	while (!ret && (word = strsep(&rest, ",")))
		ret = parse_word(word, net);
	return ret;
}

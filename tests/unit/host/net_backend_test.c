/* The stream to passt, with a passt that sends back what it gets. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "core/net_frame.h"
#include "host/net_backend.h"
#include "host/net_open.h"
#include "host/net_option.h"

static char path[4096]; /* $PATH */
static char folder[] = "/tmp/net_backend_test.XXXXXX";
static struct event_loop *loop;
static struct net_backend *backend;
static unsigned int received, rooms;
static bool gone; /* as an error in the log says */
static size_t last_len;
static uint8_t last[70000];

static void receive(void *ctx, const uint8_t *frame, size_t len)
{
	(void)ctx;
	received++;
	last_len = len;
	memcpy(last, frame, len);
}

static void room(void *ctx)
{
	(void)ctx;
	rooms++;
}

static const struct net_backend_client client = { .receive = receive, .room = room };

static void log_write(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	if (level == LOG_ERROR && len > 15 && !memcmp(line, "the network is ", 15))
		gone = true;
}

static void write_passt(const char *script)
{
	char name[64];
	FILE *file;

	snprintf(name, sizeof(name), "%s/passt", folder);
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(script, file);
	fclose(file);
	assert_int_equal(chmod(name, 0755), 0);
}

static void remove_passt(void)
{
	char file[64];

	snprintf(file, sizeof(file), "%s/passt", folder);
	unlink(file);
}

static int create(const char *text)
{
	static char copy[64];
	struct net_option option;

	snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(net_option_parse(copy, &option), 0);
	return host_net_backend_create(&option, &backend);
}

static void start(const char *text)
{
	gone = false;
	assert_int_equal(create(text), 0);
	assert_int_equal(backend->ops->start(backend, loop, &client, NULL), 0);
	received = 0;
}

static void stop(void)
{
	backend->ops->stop(backend);
	host_net_backend_destroy(backend);
}

static void send_frame(const uint8_t *frame, size_t len)
{
	struct iovec pieces[] = { { (void *)(uintptr_t)frame, len / 3 },
				  { (void *)(uintptr_t)(frame + len / 3), len - len / 3 } };

	backend->ops->send(backend, pieces, 2, NULL);
}

static void frames_come_back_whole(void **state)
{
	static uint8_t frame[65536];
	static const size_t sizes[] = { 14, 60, 1514, 9014, 65536 };

	(void)state;
	/* --foreground --quiet --fd N */
	write_passt("#!/bin/sh\nexec cat <&$4 >&$4\n");
	start("user");
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	for (unsigned int i = 0; i < 5; i++) {
		send_frame(frame, sizes[i]);
		while (received <= i)
			assert_true(event_loop_run_once(loop, 10000) > 0);
		assert_int_equal(last_len, sizes[i]);
		assert_memory_equal(last, frame, sizes[i]);
	}
	stop();
}

static void receive_until(unsigned int count)
{
	while (received < count)
		assert_true(event_loop_run_once(loop, 10000) > 0);
}

static void run_until_gone(void)
{
	while (!gone)
		assert_true(event_loop_run_once(loop, 10000) > 0);
}

/* Nobody takes them. */
static void send_until_full(void)
{
	static const uint8_t frame[30000];

	while (!backend->ops->full(backend))
		send_frame(frame, sizeof(frame));
}

/* A sender that waits while the network is full loses nothing. */
static void a_full_network_is_waited_for(void **state)
{
	static uint8_t frame[30000];
	unsigned int waits = 0, before = 0;

	(void)state;
	start("user");
	for (unsigned int i = 0; i < 300; i++) {
		memset(frame, (int)i, sizeof(frame));
		send_frame(frame, sizeof(frame) - i);
		for (rooms = 0; backend->ops->full(backend); waits++)
			assert_true(event_loop_run_once(loop, 10000) > 0);
		assert_int_equal(rooms, waits != before);
		before = waits;
	}
	assert_true(waits);
	receive_until(300);
	assert_int_equal(event_loop_run_once(loop, 0), 0); /* nothing is left to be done */
	assert_int_equal(last_len, sizeof(frame) - 299);
	assert_int_equal(last[0], (uint8_t)299);
	stop();
}

static void a_paused_network_is_not_read(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	start("user");
	send_frame(frame, sizeof(frame));
	while (!received)
		assert_true(event_loop_run_once(loop, 10000) > 0);
	backend->ops->pause(backend, true);
	send_frame(frame, sizeof(frame));
	assert_int_equal(event_loop_run_once(loop, 100), 0);
	assert_int_equal(received, 1);
	backend->ops->pause(backend, false);
	while (received == 1)
		assert_true(event_loop_run_once(loop, 10000) > 0);
	stop();
}

/* One that does not loses frames, but never the place in the stream. */
static void a_flood_loses_frames_but_not_the_framing(void **state)
{
	static uint8_t frame[30000];

	(void)state;
	start("user");
	for (unsigned int i = 0; i < 300; i++)
		send_frame(frame, sizeof(frame) - i);
	while (backend->ops->full(backend))
		assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_true(received < 299);
	send_frame(frame, 77);
	while (last_len != 77)
		assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_true(received < 299);
	stop();
}

/* --- The real one */

static size_t put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return 2;
}

/* DHCPDISCOVER of a card (RFC 2131). */
static size_t make_discover(uint8_t *frame)
{
	static const uint8_t mac[] = { 2, 0x45, 0x4e, 0x54, 0x52, 1 };
	static const uint8_t options[] = { 99, 130, 83, 99, 53, 1, 1, 255 };
	struct net_frame parsed;
	size_t len = 14 + 20 + 8 + 300;

	memset(frame, 0, len);
	memset(frame, 0xFF, 6);
	memcpy(frame + 6, mac, sizeof(mac));
	put16(frame + 12, 0x800);
	frame[14] = 0x45;
	put16(frame + 16, (unsigned int)(len - 14));
	frame[22] = 64;
	frame[23] = 17;
	memset(frame + 30, 0xFF, 4);
	put16(frame + 34, 68);
	put16(frame + 36, 67);
	put16(frame + 38, 8 + 300);
	frame[42] = 1;
	frame[43] = 1;
	frame[44] = 6;
	memcpy(frame + 70, mac, sizeof(mac));
	memcpy(frame + 278, options, sizeof(options));
	net_frame_parse(frame, len, &parsed);
	net_frame_fill_ip(frame, &parsed);
	return len;
}

/* Of a reply's DHCP options. */
static const uint8_t *find_option(const uint8_t *frame, size_t len, uint8_t code)
{
	for (size_t at = 282; at + 2 < len && frame[at] != 255; at += 2u + frame[at + 1])
		if (frame[at] == code)
			return frame + at + 2;
	return NULL;
}

/* Where it is installed, and this machine has a network for it to show. */
static void passt_gives_an_address(void **state)
{
	uint8_t frame[400];
	const uint8_t *mtu;

	(void)state;
	remove_passt();
	if (system("command -v passt >/dev/null"))
		skip();
	start("user,mtu=4000");
	send_frame(frame, make_discover(frame));
	do {
		assert_true(event_loop_run_once(loop, 10000) > 0);
	} while (!gone && (!received || last[12] != 8 || last[13] || last[23] != 17));
	if (gone) {
		stop();
		skip();
	}
	assert_true(received && last_len > 300);
	assert_int_equal(last[42], 2); /* a reply */
	mtu = find_option(last, last_len, 26);
	assert_non_null(mtu);
	assert_int_equal(mtu[0] << 8 | mtu[1], 4000);
	stop();
}

/* --- A TAP device, whose other end is an interface of this machine: raw packets of that */

static struct end {
	struct net_backend *backend;
	size_t len;
	uint8_t frame[9100];
} tap, packet;

/* Of a type that nobody else sends; tags are in front of it. */
static void end_receive(void *ctx, const uint8_t *frame, size_t len)
{
	struct end *end = ctx;
	size_t type = frame[12] == 0x81 ? 16 : 12;

	if (len < 60 || len > sizeof(end->frame) || frame[type] != 0x88 || frame[type + 1] != 0xB5)
		return;
	end->len = len;
	memcpy(end->frame, frame, len);
}

static const struct net_backend_client end_client = { .receive = end_receive, .room = room };

/* One that has no room for more. */
static void end_pauses(void *ctx, const uint8_t *frame, size_t len)
{
	struct end *end = ctx;

	end_receive(ctx, frame, len);
	if (frame[12] == 0x88 && frame[13] == 0xB5)
		end->backend->ops->pause(end->backend, true);
}

static const struct net_backend_client pausing_client = { .receive = end_pauses, .room = room };

static void start_end(struct end *end, const char *text)
{
	assert_int_equal(create(text), 0);
	end->backend = backend;
	assert_int_equal(backend->ops->start(backend, loop, &end_client, end), 0);
}

static void crosses(const struct end *from, struct end *to, bool tagged, size_t len)
{
	uint8_t frame[9100];

	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 3);
	memset(frame, 0xFF, 6);
	frame[6] = 2;
	if (tagged)
		memcpy(frame + 12, (const uint8_t[]){ 0x81, 0, 0x60, 5, 0x88, 0xB5 }, 6);
	else
		memcpy(frame + 12, (const uint8_t[]){ 0x88, 0xB5 }, 2);
	to->len = 0;
	from->backend->ops->send(from->backend, &(struct iovec){ frame, len }, 1, NULL);
	while (!to->len)
		assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_int_equal(to->len, len);
	assert_memory_equal(to->frame, frame, len);
}

/* Nothing is read behind the frame that made the card pause. */
static void a_pause_holds_at_once(const char *name)
{
	uint8_t frame[60] = { [0 ... 5] = 0xFF, [6] = 2, [12] = 0x88, [13] = 0xB5 };
	char text[32];

	snprintf(text, sizeof(text), "packet=%s", name);
	assert_int_equal(create(text), 0);
	packet.backend = backend;
	for (frame[14] = 1; frame[14] < 4; frame[14]++) /* before it is looked at */
		tap.backend->ops->send(tap.backend, &(struct iovec){ frame, sizeof(frame) }, 1,
				       NULL);
	assert_int_equal(backend->ops->start(backend, loop, &pausing_client, &packet), 0);
	for (uint8_t i = 1; i < 4; i++) {
		for (packet.len = 0; !packet.len;)
			assert_true(event_loop_run_once(loop, 10000) > 0);
		assert_int_equal(packet.frame[14], i);
		packet.len = 0;
		while (event_loop_run_once(loop, 0) > 0) /* the kernel's own, by the TAP device */
			;
		assert_int_equal(packet.len, 0);
		backend->ops->pause(backend, false);
	}
	stop();
}

static void set_up(const char *name, bool up)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* A device that stays, or -1. */
static int make_tap(const char *name, unsigned long persist)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR), other = socket(AF_INET, SOCK_DGRAM, 0), ret;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	ret = fd < 0 || ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETPERSIST, persist);
	request.ifr_mtu = 9000;
	ret = ret || (persist && ioctl(other, SIOCSIFMTU, &request));
	close(fd);
	close(other);
	return ret ? -1 : 0;
}

static void frames_cross_a_tap_device(void **state)
{
	char name[IFNAMSIZ], text[32];
	struct net_option option;

	(void)state;
	snprintf(name, sizeof(name), "ent%d", (int)getpid());
	if (geteuid() || make_tap(name, 1))
		skip();
	snprintf(text, sizeof(text), "tap=%s", name);
	start_end(&tap, text);
	assert_int_equal(net_option_parse(text, &option), 0);
	assert_int_equal(net_mtu(&option), 9000);
	snprintf(text, sizeof(text), "packet=%s", name);
	start_end(&packet, text);
	crosses(&tap, &packet, false, 60);
	crosses(&packet, &tap, false, 9014);
	crosses(&tap, &packet, true, 100);
	crosses(&packet, &tap, true, 100);
	crosses(&tap, &packet, true, 9018);
	/* The interface goes down, which is not its end. */
	set_up(name, false);
	while (event_loop_run_once(loop, 0) > 0)
		;
	set_up(name, true);
	crosses(&tap, &packet, false, 60);
	crosses(&packet, &tap, false, 60);
	backend = packet.backend;
	stop();
	a_pause_holds_at_once(name);
	backend = tap.backend;
	stop();
	assert_int_equal(make_tap(name, 0), 0);
}

/* --- Before anything starts */

static int check(const char *text)
{
	static char copy[64];
	struct net_option option;

	snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(net_option_parse(copy, &option), 0);
	return net_check(&option);
}

static void what_cannot_be_is_refused_before(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	char text[64];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(text, sizeof(text), "user,hostfwd=tcp:127.0.0.1:%u-:22", ntohs(address.sin_port));
	assert_int_equal(check(text), -EINVAL);
	snprintf(text, sizeof(text), "user,hostfwd=tcp:%u-:22", ntohs(address.sin_port));
	assert_int_equal(check(text), -EINVAL);
	close(fd);
	assert_int_equal(check(text), 0);
	assert_int_equal(check("user,hostfwd=tcp:localhost:1-:2"), -EINVAL);
	assert_int_equal(check("tap=no-such-tap"), -EINVAL);
	assert_int_equal(check("tap=lo"), -EINVAL);
	assert_int_equal(check("packet=no-such"), -EINVAL);
	assert_int_equal(check("packet=lo"), 0);
	assert_int_equal(check("none"), 0);
}

/* A script for passt that goes on when the test has made the file FOLDER/go. */
static void write_waiting_passt(const char *before, const char *after)
{
	char script[400];

	snprintf(script, sizeof(script),
		 "#!/bin/sh\n%s\nwhile [ ! -e %s/go ]; do sleep 0.01; done\n%s\n", before, folder,
		 after);
	write_passt(script);
}

static void let_go(bool go)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/go", folder);
	if (go)
		fclose(fopen(name, "w"));
	else
		unlink(name);
}

/* Two of its 16 bytes are still to come: it is no frame yet. */
static void a_frame_comes_in_pieces(void **state)
{
	(void)state;
	write_waiting_passt(
		"printf '\\000\\000\\000\\020abcdefghijklmn' >&$4",
		"printf 'op\\000\\000\\000\\016ABCDEFGHIJKLMN' >&$4; exec cat <&$4 >/dev/null");
	start("user");
	assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_int_equal(received, 0);
	let_go(true);
	receive_until(1);
	if (received == 1) {
		assert_int_equal(last_len, 16);
		assert_memory_equal(last, "abcdefghijklmnop", 16);
	}
	receive_until(2);
	assert_int_equal(last_len, 14);
	assert_memory_equal(last, "ABCDEFGHIJKLMN", 14);
	let_go(false);
	stop();
}

/* Whoever waits for a network that ends is told, and waits no more; also when it is not read. */
static void a_network_that_ends_is_not_waited_for(void **state)
{
	static const uint8_t frame[30000];

	(void)state;
	write_waiting_passt("", "exit 0");
	start("user");
	send_until_full();
	backend->ops->pause(backend, true);
	assert_int_equal(event_loop_run_once(loop, 0), 0);
	rooms = 0;
	let_go(true);
	run_until_gone();
	assert_false(backend->ops->full(backend));
	assert_true(rooms);
	send_frame(frame, sizeof(frame));
	assert_false(backend->ops->full(backend));
	let_go(false);
	stop();
}

/* Frames that it took in part go on where they were: nothing of them twice, and nothing before their end. */
static void a_frame_goes_in_pieces(void **state)
{
	static uint8_t frame[65536];
	unsigned int large = 0, seen = 0;

	(void)state;
	write_waiting_passt("", "exec cat <&$4 >&$4");
	start("user");
	for (; !backend->ops->full(backend); large++) {
		memset(frame, (int)large, sizeof(frame));
		send_frame(frame, sizeof(frame) - 1000 * large);
	}
	let_go(true);
	for (unsigned int i = 0; i < 100;
	     i++) { /* behind the others, also when there is room again */
		send_frame(frame, 99);
		usleep(1000);
	}
	while (last_len != 99) {
		assert_true(event_loop_run_once(loop, 10000) > 0);
		for (; seen < received && seen < large; seen++)
			if (received == seen + 1)
				assert_int_equal(last[last_len - 1], (uint8_t)seen);
	}
	assert_int_equal(seen, large);
	receive_until(large + 100);
	assert_int_equal(last_len, 99);
	let_go(false);
	stop();
}

/* Room for what is sent does not make it read. */
static void a_paused_network_is_written_to(void **state)
{
	(void)state;
	write_waiting_passt("printf '\\000\\000\\000\\020abcdefghijklmnop' >&$4",
			    "exec cat <&$4 >/dev/null");
	start("user");
	backend->ops->pause(backend, true);
	send_until_full();
	let_go(true);
	while (backend->ops->full(backend))
		assert_true(event_loop_run_once(loop, 10000) > 0);
	assert_int_equal(received, 0);
	backend->ops->pause(backend, false);
	receive_until(1);
	assert_int_equal(last_len, 16);
	let_go(false);
	stop();
}

/* The network is at its end for another reason than that it takes no more. */
static void what_waits_for_no_network_is_lost(void **state)
{
	(void)state;
	write_waiting_passt("", "printf '\\377\\377\\377\\377x' >&$4; exec sleep 100");
	start("user");
	send_until_full();
	rooms = 0;
	let_go(true);
	run_until_gone();
	assert_false(backend->ops->full(backend));
	assert_int_equal(rooms, 1);
	let_go(false);
	stop();
}

static void what_is_no_frame_ends_the_network(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	write_passt("#!/bin/sh\nprintf '\\377\\377\\377\\377x' >&$4\nexec cat <&$4 >/dev/null\n");
	start("user,hostfwd=tcp:2222-:22");
	run_until_gone();
	assert_true(gone);
	send_frame(frame, sizeof(frame)); /* to nobody */
	assert_int_equal(received, 0);
	stop();
	write_passt("#!/bin/sh\nexit 1\n");
	start("user");
	for (int i = 0; i < 100; i++) { /* before and after it is noticed */
		send_frame(frame, sizeof(frame));
		usleep(1000);
	}
	run_until_gone();
	stop();
	remove_passt();
	setenv("PATH", "/nowhere", 1);
	assert_int_equal(create("user"), -ENOENT);
	setenv("PATH", path, 1);
}

static int setup(void **state)
{
	static const struct log_sink sink = { .write = log_write };

	(void)state;
	log_set_level(LOG_ERROR);
	log_set_sink(&sink);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
	setenv("PATH", path, 1);
	loop = event_loop_create();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	event_loop_destroy(loop);
	remove_passt();
	rmdir(folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back_whole),
		cmocka_unit_test(a_full_network_is_waited_for),
		cmocka_unit_test(a_paused_network_is_not_read),
		cmocka_unit_test(a_flood_loses_frames_but_not_the_framing),
		cmocka_unit_test(a_frame_comes_in_pieces),
		cmocka_unit_test(a_frame_goes_in_pieces),
		cmocka_unit_test(a_network_that_ends_is_not_waited_for),
		cmocka_unit_test(what_waits_for_no_network_is_lost),
		cmocka_unit_test(a_paused_network_is_written_to),
		cmocka_unit_test(what_is_no_frame_ends_the_network),
		cmocka_unit_test(passt_gives_an_address),
		cmocka_unit_test(frames_cross_a_tap_device),
		cmocka_unit_test(what_cannot_be_is_refused_before),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

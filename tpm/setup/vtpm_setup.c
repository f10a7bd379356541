// SPDX-License-Identifier: MIT
/* vtpm-setup: makes the state of a TPM that vtpmd or the paravisor then serves. docs/vtpm-setup.md. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "core/key_file.h"
#include "tpm/setup/options.h"
#include "tpm/store_file.h"

#define VMGS_SIZE (4 << 20) /* of a file that is to be a guest's VMGS device */

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
static int make_new(const struct setup_options *o, const char *path, const uint8_t *key)
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

static int reconfigure(struct state *s, const struct setup_options *o, const char *path)
{
	int ret;

	s->file.durable = true;
	ret = instance_init(&s->instance, true);
	if (ret)
		warnx("%s: %s", path,
		      ret == -EACCES ? "sealed with another key, or none" : "not a state");
	return ret ? ret : manufacture_banks(&s->instance, o->m.banks);
}

static int with_old(struct state *old, const struct setup_options *o, const char *path,
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

static void display(const struct setup_options *o, const char *path)
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

static int set_up(struct setup_options *o)
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

static int with_issuer(struct setup_options *o)
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
	o->m.issuer = NULL;
	issuer_free(&issuer);
	return ret;
}

int main(int argc, char **argv)
{
	struct setup_options o = { 0 };

	prctl(PR_SET_DUMPABLE, 0);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	if (setup_options_parse(&o, argc, argv)) {
		fputs("vtpm-setup --help lists the options\n", stderr);
		return 2;
	}
	return (o.create_cert ? with_issuer(&o) : set_up(&o)) ? 1 : 0;
}

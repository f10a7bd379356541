#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/image.h"
#include "igvm/tool.h"

/* igvmtool build: the image that a manifest describes, and its side-car. */

/* The files of the inputs; kept apart for the blobs to be freed. */
struct input {
	const char *path;
	struct image_blob *blob;
	uint8_t *data;
};

#define INPUTS_MAX (4 + SHIM_PAYLOAD_COUNT)

static unsigned int list_inputs(const struct manifest *m, struct image_inputs *in,
				struct input list[INPUTS_MAX])
{
	unsigned int count = 0, i;

	list[count++] = (struct input){ m->shim, &in->shim, NULL };
	list[count++] = (struct input){ m->kernel, &in->kernel, NULL };
	list[count++] = (struct input){ m->initrd, &in->initrd, NULL };
	list[count++] = (struct input){ m->reset_vector, &in->reset_vector, NULL };
	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++)
		if (i != SHIM_PAYLOAD_CMDLINE)
			list[count++] = (struct input){ m->payload[i], &in->payload[i], NULL };
	return count;
}

static int read_input(struct input *input)
{
	size_t len;
	int ret;

	if (!input->path)
		return 0;
	ret = tool_read_file(input->path, &input->data, &len);
	if (!ret && !len)
		ret = tool_fail(-EINVAL, "%s: is empty", input->path);
	*input->blob = (struct image_blob){ input->data, len };
	return ret;
}

static int read_manifest(struct manifest *manifest, const char *path)
{
	const char *reason;
	uint8_t *text;
	size_t len;
	int ret = tool_read_file(path, &text, &len);

	if (ret)
		return ret;
	ret = manifest_parse(manifest, (char *)text, &reason);
	if (ret)
		tool_fail(ret, "%s:%u: %s", path, manifest->line, reason);
	if (ret)
		manifest_free(manifest);
	return ret;
}

/* --- side-car: no paths and no times in it, for it is to be the same everywhere --- */

static void write_components(FILE *out, const struct image *image)
{
	unsigned int i;

	for (i = 0; i < image->component_count; i++) {
		const struct image_component *c = &image->components[i];

		fprintf(out,
			"%s\n    { \"name\": \"%s\", \"gpa\": \"%#llx\", \"memory\": %llu, "
			"\"bytes\": %llu, \"sha256\": \"%s\" }",
			i ? "," : "", c->name, (unsigned long long)c->gpa,
			(unsigned long long)c->memory, (unsigned long long)c->len,
			tool_hex(c->sha256, sizeof(c->sha256)));
	}
}

static void write_sidecar(FILE *out, const struct tool_image *built, const struct image *image,
			  const struct manifest *m, const struct igvm_measurement *measurement)
{
	uint8_t digest[32];

	tool_sha256(built->data, built->len, digest);
	fprintf(out, "{\n  \"isolation\": \"%s\",\n  \"svn\": %u,\n",
		manifest_isolation_name(m->isolation), m->svn);
	fprintf(out, "  \"image\": { \"bytes\": %zu, \"sha256\": \"%s\" },\n", built->len,
		tool_hex(digest, sizeof(digest)));
	fprintf(out,
		"  \"measurement\": { \"name\": \"%s\", \"algorithm\": \"%s\", \"digest\": \"%s\" "
		"},\n",
		measurement->name, measurement->algorithm,
		tool_hex(measurement->digest, measurement->len));
	fprintf(out, "  \"region\": { \"gpa\": \"%#llx\", \"bytes\": %llu },\n",
		(unsigned long long)image->region_gpa, (unsigned long long)image->region_len);
	fputs("  \"components\": [", out);
	write_components(out, image);
	fputs("\n  ]\n}\n", out);
}

static int save_sidecar(const char *output, const struct tool_image *built,
			const struct image *image, const struct manifest *m,
			const struct igvm_measurement *measurement)
{
	char *text = NULL, *path = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int ret = -ENOMEM;

	if (out) {
		write_sidecar(out, built, image, m, measurement);
		if (fclose(out) == 0 && asprintf(&path, "%s.json", output) >= 0)
			ret = tool_write_file(path, text, len);
	}
	free(path);
	free(text);
	return ret;
}

/* What is written is read back first, as strictly as anybody else's file. */
static int save(const char *output, const struct image *image, const struct manifest *m)
{
	struct igvm_measurement measurement = { 0 };
	struct tool_image built;
	struct igvm_error error;
	int ret = tool_write_file(output, image->file, image->len);

	if (ret)
		return ret;
	ret = tool_open_image(&built, output);
	if (!ret)
		ret = igvm_measure(&built.file, built.platform, &measurement, &error);
	if (!ret)
		ret = save_sidecar(output, &built, image, m, &measurement);
	if (!ret)
		printf("%s: %zu bytes, %s %s\n", output, built.len, measurement.name,
		       tool_hex(measurement.digest, measurement.len));
	tool_close_image(&built);
	return ret;
}

static int build(const struct manifest *manifest, const char *output)
{
	struct image_inputs inputs = { 0 };
	struct input list[INPUTS_MAX];
	unsigned int count = list_inputs(manifest, &inputs, list), i;
	struct image image = { 0 };
	char error[200];
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = read_input(&list[i]);
	if (!ret) {
		ret = image_build(&image, manifest, &inputs, error, sizeof(error));
		if (ret)
			tool_fail(ret, "%s", error);
	}
	if (!ret)
		ret = save(output, &image, manifest);
	for (i = 0; i < count; i++)
		free(list[i].data);
	free(image.file);
	return ret;
}

int tool_build(int argc, char **argv)
{
	struct manifest manifest;
	int ret;

	if (argc != 2)
		return tool_fail(EXIT_FAILURE, "build takes MANIFEST OUTPUT");
	if (read_manifest(&manifest, argv[0]))
		return EXIT_FAILURE;
	ret = build(&manifest, argv[1]);
	manifest_free(&manifest);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

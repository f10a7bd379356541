#include <stdlib.h>
#include <string.h>

#include "igvm/image.h"
#include "igvm/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next part of the input: its length in two bytes, then its bytes, copied so that reading past it is seen. */
static uint8_t *part(const uint8_t **data, size_t *left, size_t *len)
{
	uint8_t *copy;

	*len = *left >= 2 ? (size_t)((*data)[0] | (*data)[1] << 8) : 0;
	*data += *left >= 2 ? 2 : *left;
	*left -= *left >= 2 ? 2 : *left;
	if (*len > *left)
		*len = *left;
	copy = malloc(*len + 1);
	if (!copy)
		abort();
	memcpy(copy, *data, *len);
	copy[*len] = 0; /* a manifest is a string */
	*data += *len;
	*left -= *len;
	return copy;
}

/* What is built is valid; what is not built has a reason. */
static void check(struct image *image, int ret, const char *text)
{
	struct igvm_file file;
	struct igvm_error error;

	if (ret ? !text[0] : igvm_open(&file, image->file, image->len, &error))
		abort();
	free(image->file);
}

/* Any manifest, with any files as shim, kernel and VTL0's kernel. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_inputs in = { 0 };
	struct manifest manifest;
	struct image image;
	char error[200] = "";
	const char *reason;
	uint8_t *text, *shim, *kernel, *guest;
	size_t len;
	int ret;

	text = part(&data, &size, &len);
	shim = part(&data, &size, &in.shim.len);
	kernel = part(&data, &size, &in.kernel.len);
	guest = part(&data, &size, &in.payload[SHIM_PAYLOAD_KERNEL].len);
	in.shim.data = shim;
	in.kernel.data = kernel;
	in.payload[SHIM_PAYLOAD_KERNEL].data = guest;
	in.reset_vector = in.payload[SHIM_PAYLOAD_KERNEL];
	if (!manifest_parse(&manifest, (char *)text, &reason)) {
		ret = image_build(&image, &manifest, &in, error, sizeof(error));
		check(&image, ret, error);
	} else if (!reason) {
		abort();
	}
	manifest_free(&manifest);
	free(shim);
	free(kernel);
	free(guest);
	return 0;
}

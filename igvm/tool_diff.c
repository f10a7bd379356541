#include <stdlib.h>
#include <string.h>

#include "igvm/layout.h"
#include "igvm/tool.h"

/*
 * igvmtool diff: by component, and what belongs to none: pages outside of all components and
 * headers that are not page data, both in the order of the file.
 */

#define EXIT_TROUBLE 2 /* 1 is: they differ */

static const struct igvm_component *find(const struct tool_image *image, const char *name)
{
	unsigned int i;

	for (i = 0; i < image->component_count; i++)
		if (!strcmp(image->components[i].name, name))
			return &image->components[i];
	return NULL;
}

static bool same_content(const struct tool_image *a, const struct igvm_component *x,
			 const struct tool_image *b, const struct igvm_component *y)
{
	uint8_t dx[32], dy[32];

	igvm_content_digest(&a->content, x->gpa, x->len, dx);
	igvm_content_digest(&b->content, y->gpa, y->len, dy);
	return !memcmp(dx, dy, sizeof(dx));
}

static bool diff_component(const struct tool_image *a, const struct igvm_component *x,
			   const struct tool_image *b)
{
	const struct igvm_component *y = find(b, x->name);

	if (!y) {
		printf("%s: only in %s\n", x->name, a->path);
		return true;
	}
	if (x->gpa != y->gpa)
		printf("%s: at %#llx, then %#llx\n", x->name, (unsigned long long)x->gpa,
		       (unsigned long long)y->gpa);
	if (x->len != y->len)
		printf("%s: %llu bytes, then %llu\n", x->name, (unsigned long long)x->len,
		       (unsigned long long)y->len);
	else if (!same_content(a, x, b, y))
		printf("%s: content differs\n", x->name);
	else
		return x->gpa != y->gpa;
	return true;
}

static bool diff_components(const struct tool_image *a, const struct tool_image *b)
{
	bool differs = false;
	unsigned int i;

	for (i = 0; i < a->component_count; i++)
		differs |= diff_component(a, &a->components[i], b);
	for (i = 0; i < b->component_count; i++)
		if (!find(a, b->components[i].name)) {
			printf("%s: only in %s\n", b->components[i].name, b->path);
			differs = true;
		}
	return differs;
}

/* --- pages of no component --- */

static bool in_component(const struct tool_image *image, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < image->component_count; i++)
		if (gpa + IGVM_PAGE_SIZE > image->components[i].gpa &&
		    gpa < image->components[i].gpa + image->components[i].len)
			return true;
	return false;
}

static bool same_page(const struct tool_image *a, const struct tool_image *b,
		      const struct igvm_content_page *page)
{
	uint8_t x[IGVM_PAGE_SIZE], y[IGVM_PAGE_SIZE];

	igvm_content_read(&a->content, page->gpa, x, sizeof(x));
	igvm_content_read(&b->content, page->gpa, y, sizeof(y));
	return !memcmp(x, y, sizeof(x));
}

/* Pages of `a` that `b` has not, and if `contents`, those that it has otherwise. */
static bool diff_pages(const struct tool_image *a, const struct tool_image *b, bool contents)
{
	bool differs = false;
	size_t i;

	for (i = 0; i < a->content.count; i++) {
		const struct igvm_content_page *page = &a->content.pages[i];

		if (in_component(a, page->gpa) || in_component(b, page->gpa))
			continue;
		if (!igvm_content_has(&b->content, page->gpa))
			printf("page %#llx: only in %s\n", (unsigned long long)page->gpa, a->path);
		else if (contents && !same_page(a, b, page))
			printf("page %#llx: content differs\n", (unsigned long long)page->gpa);
		else
			continue;
		differs = true;
	}
	return differs;
}

/* --- other headers --- */

static bool next_other(const struct tool_image *image, uint32_t *position,
		       struct igvm_header *header)
{
	while (igvm_next(&image->file, position, header))
		if (header->type != IGVM_VHT_PAGE_DATA)
			return true;
	return false;
}

/* File offsets differ with everything before them: compared is what lies there. */
static void clear_file_offset(struct igvm_header *header)
{
	const struct igvm_layout *layout = igvm_layout(header->type);

	if (layout && layout->file_offset_at != IGVM_LAYOUT_NONE)
		memset((char *)&header->supported_platform + layout->file_offset_at, 0,
		       sizeof(uint32_t));
}

static bool same_header(const struct igvm_header *x, const struct igvm_header *y)
{
	struct igvm_header a = *x, b = *y;

	if (a.type != b.type || a.length != b.length || a.data_len != b.data_len ||
	    !a.data != !b.data)
		return false;
	clear_file_offset(&a);
	clear_file_offset(&b);
	if (a.known && memcmp(&a.supported_platform, &b.supported_platform, a.length) != 0)
		return false;
	return !a.data || !memcmp(a.data, b.data, a.data_len);
}

static bool diff_headers(const struct tool_image *a, const struct tool_image *b)
{
	uint32_t at = 0, bt = 0;
	struct igvm_header x, y;
	bool more_a, more_b;

	for (;;) {
		more_a = next_other(a, &at, &x);
		more_b = next_other(b, &bt, &y);
		if (!more_a && !more_b)
			return false;
		if (!more_a || !more_b) {
			printf("headers: more of them in %s, from type %#x on\n",
			       more_a ? a->path : b->path, more_a ? x.type : y.type);
			return true;
		}
		if (!same_header(&x, &y)) {
			printf("headers: differ from type %#x (%#x) at %#x (%#x) on\n", x.type,
			       y.type, x.offset, y.offset);
			return true;
		}
	}
}

int tool_diff(int argc, char **argv)
{
	struct tool_image a = { 0 }, b = { 0 };
	bool differs = false;
	int ret;

	if (argc != 2)
		return tool_fail(EXIT_TROUBLE, "diff takes FILE FILE");
	ret = tool_open_image(&a, argv[0]);
	if (!ret)
		ret = tool_open_image(&b, argv[1]);
	if (!ret) {
		differs = diff_components(&a, &b);
		differs |= diff_pages(&a, &b, true);
		differs |= diff_pages(&b, &a, false);
		differs |= diff_headers(&a, &b);
		if (!differs)
			puts("no difference");
	}
	tool_close_image(&a);
	tool_close_image(&b);
	return ret ? EXIT_TROUBLE : differs;
}

#ifndef PARAVISOR_SHIM_LOG_H
#define PARAVISOR_SHIM_LOG_H

#include <stddef.h>

/*
 * Logs what the boot shim wrote before VTL2's kernel began (docs/shim.md), a line each, with "boot shim: " before it.
 * It passed through the host's memory or tells the host's words: what is not printable ASCII shows as '?'.
 */
void shim_log_print(const char *text, size_t len);

#endif

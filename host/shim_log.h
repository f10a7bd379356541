#ifndef HOST_SHIM_LOG_H
#define HOST_SHIM_LOG_H

struct partition;

/*
 * Copies the boot shim's lines (proto/shim.h, struct shim_log) from VTL2's memory to the log, with the time that
 * the shim took. Nothing when there is no such page. VTL2 is the guest's: what it holds is bounded
 * and shown, never believed.
 */
void shim_log_show(struct partition *partition);

#endif

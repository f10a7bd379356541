#ifndef HOST_MONITOR_H
#define HOST_MONITOR_H

#include <stddef.h>

/*
 * Commands to a run, typed after Ctrl-A c: disks that come, go, grow and fail, the network. A line in, a line out.
 *
 *   add FILE[,...]      a disk, as --nvme takes it
 *   remove LUN
 *   insert LUN FILE     another disc into a DVD drive; eject LUN: none
 *   resize LUN SIZE
 *   fault LUN FAULT     its first controller misbehaves from now on (nvme_emu_fault_parse()); none: no more
 *   net up|down|reset   the card's link; the function asks its driver to reset it
 */

struct options;
struct partition;

/*
 * Executes a command and writes its answer. The line is cut apart. Disks that come are added to the
 * options, so that they are there after a reset, too. The main thread only.
 */
void monitor_command(struct options *options, struct partition *partition, char *line, char *answer,
		     size_t len);

#endif

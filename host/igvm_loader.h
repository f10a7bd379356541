#ifndef HOST_IGVM_LOADER_H
#define HOST_IGVM_LOADER_H

struct partition;

/*
 * Loads --igvm's file as Hyper-V loads an image for VSM: page data into memory, moved as a whole when
 * VTL2's memory is elsewhere and the file allows it; parameter areas filled with what they ask for;
 * VP 0's registers in VTL2, which is started. Before any VP's thread runs. What the file asks for and cannot be
 * had is refused: one line is logged. 0 or -errno.
 */
int igvm_loader_load(struct partition *partition);

#endif

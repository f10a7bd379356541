/* SPDX-License-Identifier: MIT */
#ifndef TPM_CONFINE_H
#define TPM_CONFINE_H

/*
 * Takes from the process, for good, all that a TPM between two pipes does not need: the file system (it is in an empty
 * folder's root, when it may change that), capabilities and its user, other files, other processes, core dumps, and every
 * system call but a dozen. Memory is locked as it is touched. Descriptors 0 and 1 stay.
 *
 * empty: a folder to have for a root, or NULL. 0, or -errno of what could not be given up: then the process is in no
 * state to go on. What it may not do for want of privileges it does not need to give up.
 */
int confine(const char *empty);

#endif

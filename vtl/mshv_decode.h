#ifndef VTL_MSHV_DECODE_H
#define VTL_MSHV_DECODE_H

struct hv_message;
struct vp_exit;

/*
 * An intercept message of the hypervisor as a struct vp_exit. *message is the caller's own copy. A
 * message that is not understood, or not well-formed, becomes VP_EXIT_UNKNOWN. Any thread.
 */
void mshv_decode_message(const struct hv_message *message, struct vp_exit *exit);

#endif

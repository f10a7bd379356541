#ifndef PROTO_PPI_H
#define PROTO_PPI_H

/*
 * The registers behind the TPM device's _DSM, of 32 bits each: ours, between the paravisor and the AML that it writes.
 * What they mean is TCG's PC Client Platform Physical Presence Interface Specification 1.30.
 */

#define PPI_BASE 0xFED45000u /* behind the TPM's localities */
#define PPI_SIZE 0x1000u

#define PPI_REQUEST   0x00 /* the pending operation; written: submits one, with the parameter written before */
#define PPI_PARAMETER 0x04
#define PPI_RESULT    0x08 /* of the last submission: PPI_SUBMIT_* */
#define PPI_LAST      0x0C /* the operation that the last start carried out */
#define PPI_RESPONSE  0x10 /* and what came of it: 0, a TPM's return code, PPI_FAILURE */
#define PPI_OPERATION 0x14 /* written: asks for the status of one */
#define PPI_STATUS    0x18 /* PPI_OPERATION_* */
#define PPI_REGISTERS 7

/* Results of functions 2 and 7 */
#define PPI_SUBMIT_GOOD            0
#define PPI_SUBMIT_NOT_IMPLEMENTED 1
#define PPI_SUBMIT_FAILURE         2

/* Results of function 8 */
#define PPI_OPERATION_NOT_IMPLEMENTED 0
#define PPI_OPERATION_ALLOWED         4 /* and needs nobody to be there */

#define PPI_FAILURE 0xFFFFFFF1u

/* Table 7: operations */
#define PPI_NO_OPERATION   0
#define PPI_CLEAR          5
#define PPI_ENABLE_CLEAR   14
#define PPI_ENABLE_CLEAR_2 21
#define PPI_ENABLE_CLEAR_3 22
#define PPI_SET_PCR_BANKS  23 /* parameter: bit 0 SHA-1, 1 SHA-256, 2 SHA-384, 3 SHA-512 */
#define PPI_CHANGE_EPS     24

#endif

// SPDX-License-Identifier: MIT
#include "tpm/engine/handlers.h"
HANDLER(certify_x509)
{
	(void)t;
	(void)c;
	return TPM_RC_COMMAND_CODE;
}

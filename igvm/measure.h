#ifndef IGVM_MEASURE_H
#define IGVM_MEASURE_H

#include "igvm/reader.h"

/* What the platform has measured when it starts a VM from the file. */

#define IGVM_DIGEST_MAX 48

struct igvm_measurement {
	const char *name;      /* "SNP launch digest", ... */
	const char *algorithm; /* "sha384", ... */
	unsigned int len;
	uint8_t digest[IGVM_DIGEST_MAX];
};

/*
 * Measures the file as platform `type` (enum igvm_platform_type) would:
 *   SEV_SNP        launch digest: SEV-SNP firmware ABI, section 8.17 (SNP_LAUNCH_UPDATE)
 *   TDX            MRTD: TDX module, TDH.MEM.PAGE.ADD, TDH.MR.EXTEND, TDH.MR.FINALIZE
 *   VSM_ISOLATION  VBS boot measurement, as the igvm crate 0.5 documents it
 * 0; -ENOENT: the file is not for that platform; -EOPNOTSUPP: the platform measures nothing;
 * -EINVAL: a header that cannot be imported there (`error` says where and why).
 */
int igvm_measure(const struct igvm_file *file, unsigned int type, struct igvm_measurement *m,
		 struct igvm_error *error);

#endif

#ifndef PROTO_GUID_H
#define PROTO_GUID_H

#include <stdint.h>

/* A GUID as Microsoft's interfaces store it: the first three parts little-endian. */
struct guid {
	uint32_t data1;
	uint16_t data2;
	uint16_t data3;
	uint8_t data4[8];
};
_Static_assert(sizeof(struct guid) == 16, "GUID");

#endif

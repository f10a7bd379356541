#ifndef CORE_CONTAINER_OF_H
#define CORE_CONTAINER_OF_H

#include <stddef.h>

/* The struct `type` in which *ptr is the field `member`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif

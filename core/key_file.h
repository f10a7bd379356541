#ifndef CORE_KEY_FILE_H
#define CORE_KEY_FILE_H

#include <stdint.h>

#define KEY_FILE_SIZE 32

/*
 * Reads a key of 256 bits: 64 hexadecimal digits, with or without a newline, or 32 bytes. 0, -EINVAL when the file has
 * neither, or -errno. What is read is left nowhere else.
 */
int key_file_read(const char *path, uint8_t key[KEY_FILE_SIZE]);

#endif

/*
 * hex: hexadecimal numbers as text.  buf_add_hex writes them.  Pure.
 */
#ifndef OCTROI_BASE_HEX_H
#define OCTROI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* 0 to 15, of either case; -1: it is no digit. */
int hex_digit(char c);

/* Reads so many bytes from the beginning of the text, two digits each; false when there are not as many digits. */
bool hex_read(const char *text, unsigned char *bytes, size_t count);

#endif

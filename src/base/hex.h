/*
 * hex: hexadecimal numbers as text.  buf_add_hex writes them.  Pure.
 */
#ifndef OCTROI_BASE_HEX_H
#define OCTROI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* 0 to 15, of either case; -1 when c is no digit. */
int hex_digit(char c);

/* Reads count bytes from the beginning of the text, two digits each; false when there are fewer digits. */
bool hex_read(const char *text, unsigned char *bytes, size_t count);

#endif

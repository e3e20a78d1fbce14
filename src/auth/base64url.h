/* base64url.h - base64url as RFC 7515 wants it: no padding, no spaces, unused bits zero, so that
 * every run of bytes has exactly one text.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_AUTH_BASE64URL_H
#define RVPN_AUTH_BASE64URL_H

#include "base/slice.h"

/* Text bytes for `len` bytes, and the most bytes that `len` of text stand for. */
#define BASE64URL_TEXT(len) (((len)*4 + 2) / 3)
#define BASE64URL_BYTES(len) ((len) / 4 * 3 + 2)

/* Decodes all of `text` into out[0..size) and says how many bytes that was in *len.
 * Returns 0; -EINVAL if it is not strict base64url; -EMSGSIZE if it does not fit. */
int base64url_parse(struct slice text, uint8_t *out, size_t size, size_t *len);

/* Writes `bytes` as text, NUL-terminated.  Returns its length, or -EMSGSIZE. */
int base64url_write(struct slice bytes, char *out, size_t size);

#endif

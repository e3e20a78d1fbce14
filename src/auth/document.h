/* document.h - a JSON object out of foreign bytes, strictly (RFC 8259): no member twice, no depth
 * over DOCUMENT_DEPTH, no numbers out of range, valid UTF-8, nothing after it.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_AUTH_DOCUMENT_H
#define RVPN_AUTH_DOCUMENT_H

#include "base/slice.h"

#include <jansson.h>

#define DOCUMENT_DEPTH 16 /* objects and arrays, the outermost counted */

/* Gives the caller a reference to the object that `text` is.  Returns 0, or -EINVAL; then *line,
 * unless `line` is NULL, is where (from 1; 0 if unknown). */
int document_parse(struct slice text, json_t **out, int *line);

/* The text under `name`: *out is lent by `object`, or NULL if there is no such member or it is
 * null.  Returns 0; -EINVAL if it is no text, is empty or has over `max` bytes. */
int document_text(const json_t *object, const char *name, size_t max, const char **out);

#endif

/* assets.h - the files of web/, which are part of the program.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_ADMIN_ASSETS_H
#define RVPN_ADMIN_ASSETS_H

#include "edge/front.h"

#define ASSET_TAG_SIZE 35U /* 32 hex digits in quotes, and a NUL */

struct asset {
    const char *path; /* that it is served under */
    const char *type; /* Content-Type */
    const uint8_t *start, *end;
};

/* The asset of that path, or NULL. */
const struct asset *asset_find(struct slice path);

/* Its strong entity tag (RFC 9110 8.8.3): it changes with the content. */
void asset_write_tag(const struct asset *a, char out[ASSET_TAG_SIZE]);

/* The "GET" route of assets: 200, or 304 to who has it already. */
void assets_serve(const struct front_request *request);

#endif

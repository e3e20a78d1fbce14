/* load_token.h - the token of one device: as given, or signed here with the relay's secret. */
#ifndef RVPN_BENCH_LOAD_TOKEN_H
#define RVPN_BENCH_LOAD_TOKEN_H

#include <stddef.h>

void token_write(const char *name, char *out, size_t size);

#endif

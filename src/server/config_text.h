/* config_text.h - sizes, durations and ports as people write them.
 *
 * Threads: reentrant.
 * Errors:  0 or -EINVAL; the output is touched on success only.
 */
#ifndef RVPN_SERVER_CONFIG_TEXT_H
#define RVPN_SERVER_CONFIG_TEXT_H

#include "server/config.h"

/* 65536, 64KiB, 1MiB, 4GiB to bytes. */
int config_size_parse(struct slice text, uint64_t *bytes);

/* 500ms, 10s, 5m, 12h, 30d to milliseconds.  Only 0 needs no unit. */
int config_duration_parse(struct slice text, uint64_t *ms);

/* 30000-39999 or 5432; ports from 1 on. */
int config_ports_parse(struct slice text, struct config_port_range *out);

#endif

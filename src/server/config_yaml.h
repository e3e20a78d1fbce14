/* config_yaml.h - the bytes of a YAML file into a draft.
 *
 * One map of keys; a value is a scalar, a list of scalars, or a list of maps of scalars.  That is
 * all: deeper nesting, anchors, aliases, tags and a second document are refused where they begin.
 *
 * Threads: main thread.
 * Errors:  as config_draft.h.
 */
#ifndef RVPN_SERVER_CONFIG_YAML_H
#define RVPN_SERVER_CONFIG_YAML_H

#include "server/config_draft.h"

/* Sets in the draft what `yaml` says; config->file names it in errors. */
int config_yaml_parse(struct slice yaml, struct config_draft *d);

#endif

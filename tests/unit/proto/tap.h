/* tap.h - reads the recordings of original clients and relays: the bytes of the binary messages
 * of each connection, one after the other. */
#ifndef RVPN_TESTS_UNIT_PROTO_TAP_H
#define RVPN_TESTS_UNIT_PROTO_TAP_H

#include "gather.h"
#include "hex.h"

#include <stdbool.h>
#include <stdio.h>

#define TAP_STREAMS 32

enum tap_from { TAP_FROM_DEVICE, TAP_FROM_RELAY };

/* What one end of one connection said. */
struct tap_stream {
    unsigned long connection;
    enum tap_from from;
    struct gather said;
};

struct tap {
    struct tap_stream streams[TAP_STREAMS];
    size_t count;
};

/* The stream that "+0.685 #1 C>S BIN ..." belongs to; NULL if the line opens no binary message. */
static inline struct tap_stream *tap_open(struct tap *t, const char *line)
{
    const char *number = strchr(line, '#');
    enum tap_from from = strstr(line, " C>S BIN ") ? TAP_FROM_DEVICE : TAP_FROM_RELAY;
    unsigned long connection;

    if (!number || (from == TAP_FROM_RELAY && !strstr(line, " S>C BIN ")))
        return NULL;
    connection = strtoul(number + 1, NULL, 10);
    for (size_t i = 0; i < t->count; i++) {
        if (t->streams[i].connection == connection && t->streams[i].from == from)
            return &t->streams[i];
    }
    if (t->count == TAP_STREAMS)
        abort();
    t->streams[t->count] = (struct tap_stream){.connection = connection, .from = from};
    return &t->streams[t->count++];
}

/* "    0010  2c 2c ... |,,|", or "    ... 65314 more" where the recording left bytes of a body out:
 * they read as 'x'. */
static inline void tap_line(struct tap_stream *s, char *line)
{
    char *text = strchr(line, '|');
    uint8_t *bytes;
    size_t len;

    if (strncmp(line, "    ... ", 8) == 0) {
        gather_add(&s->said, slice_of(NULL, strtoul(line + 8, NULL, 10)));
    } else if (text && strlen(line) > 10) {
        *text = '\0';
        bytes = hex_bytes(line + 10, &len);
        gather_add(&s->said, slice_of(bytes, len));
        free(bytes);
    }
}

static inline bool tap_load(struct tap *t, const char *path)
{
    FILE *file = fopen(path, "r");
    struct tap_stream *s = NULL;
    char line[512];

    *t = (struct tap){.count = 0};
    if (!file)
        return false;
    while (fgets(line, sizeof(line), file)) {
        if (line[0] != ' ')
            s = tap_open(t, line);
        else if (s)
            tap_line(s, line);
    }
    (void)fclose(file);
    return true;
}

static inline void tap_fini(struct tap *t)
{
    for (size_t i = 0; i < t->count; i++)
        gather_fini(&t->streams[i].said);
}

#endif

#include "load_head.h"

#include "load_loop.h"

#include <string.h>

size_t head_take(struct head *h, const uint8_t *in, size_t len, bool *whole)
{
    static const char end[] = "\r\n\r\n";
    size_t had = h->len, room = HEAD_MAX - 1 - had, count = len < room ? len : room;
    size_t from = had > 3 ? had - 3 : 0;
    const char *found;

    memcpy(h->text + had, in, count);
    found = memmem(h->text + from, had + count - from, end, 4);
    *whole = found != NULL;
    if (!found) {
        if (count == room)
            die("a head without end: %.60s", h->text);
        h->len = (uint16_t)(had + count);
        return count;
    }
    count = (size_t)(found - h->text) + 4 - had;
    h->text[had + count] = 0;
    h->len = 0;
    return count;
}

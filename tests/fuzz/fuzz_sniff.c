/* fuzz_sniff.c - what was once said of a visitor's first bytes is never taken back. */
#include "proto/sniff.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum sniff answer, const struct sniffed *out)
{
    if ((answer == SNIFF_BAD) != (out->err < 0))
        abort();
    if (out->kind == SNIFFED_UNKNOWN && answer != SNIFF_MORE)
        abort();
    if (out->kind == SNIFFED_OTHER && answer != SNIFF_BAD)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum sniff answer = SNIFF_MORE;
    enum sniffed_kind kind = SNIFFED_UNKNOWN;
    size_t step = size / 32 + 1;
    size_t due_at = 0;

    for (size_t cut = 0; cut <= size; cut += step) {
        struct sniffed out;
        enum sniff now = sniff(data, cut, &out);

        check(now, &out);
        if ((answer != SNIFF_MORE && now != answer) ||
            (kind != SNIFFED_UNKNOWN && out.kind != kind))
            abort();
        if (now == SNIFF_MORE ? out.due_at <= cut : now != SNIFF_BAD && cut < due_at)
            abort();
        due_at = out.due_at;
        answer = now;
        kind = out.kind;
    }
    return 0;
}

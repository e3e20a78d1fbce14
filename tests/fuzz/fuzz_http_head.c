/* fuzz_http_head.c - a head that is taken ends with a blank line, its slices lie inside, and no
 * part of it was answered otherwise. */
#include "proto/http_head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slice(struct slice s, const uint8_t *data, size_t len)
{
    if (s.len && (s.ptr < data || s.ptr + s.len > data + len))
        abort();
}

static void check_head(const struct http_head *head, const uint8_t *data, size_t len)
{
    if (memcmp(data + len - 4, "\r\n\r\n", 4) != 0 || memchr(data, '\0', len))
        abort();
    if ((head->minor && !head->has_host) || head->field_count > HTTP_HEAD_FIELDS)
        abort();
    if ((head->framing == HTTP_FRAMING_LENGTH) != (http_head_field(head, "Content-Length") != NULL))
        abort();
    check_slice(head->method, data, len);
    check_slice(head->target, data, len);
    check_slice(head->query, data, len);
    for (unsigned i = 0; i < head->field_count; i++) {
        check_slice(head->fields[i].name, data, len);
        check_slice(head->fields[i].value, data, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    ssize_t n = http_head_parse(data, size, &head);
    int status;

    if (n > (ssize_t)size || http_status_parse(data, size, &status) > (ssize_t)size)
        abort();
    if (n > 0) {
        check_head(&head, data, (size_t)n);
        if (http_head_parse(data, (size_t)n - 1, &head) != 0)
            abort();
        return 0;
    }
    for (size_t cut = 0; cut < size; cut += size / 16 + 1) {
        ssize_t before = http_head_parse(data, cut, &head);

        if (before > 0 || (before < 0 && before != n))
            abort();
    }
    return 0;
}

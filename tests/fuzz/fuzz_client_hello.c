/* fuzz_client_hello.c - an answer stays when more bytes come, and half a hello has no name. */
#include "proto/client_hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello_wish wish;
    enum client_hello answer = client_hello_parse(data, size, &wish);
    enum client_hello before = CLIENT_HELLO_MORE;

    if (answer == CLIENT_HELLO_FOUND && hostname_parse(hostname_slice(&wish.host), &wish.host))
        abort();
    if (answer == CLIENT_HELLO_FOUND || answer == CLIENT_HELLO_NO_NAME)
        (void)client_hello_has_alpn(&wish, "h2");
    for (size_t cut = size / 2; cut <= size; cut += size / 16 + 1) {
        enum client_hello now = client_hello_parse(data, cut, &wish);

        if (before != CLIENT_HELLO_MORE && now != before)
            abort();
        before = now;
    }
    if (before != CLIENT_HELLO_MORE && before != answer)
        abort();
    return 0;
}

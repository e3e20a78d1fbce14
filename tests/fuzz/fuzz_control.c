/* A control message; what it says is quoted back and must read as it was. */
#include "proto/control.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[CONTROL_MAX * 8];

static void check_quoted(struct slice message, struct slice code)
{
    struct control again;
    ssize_t len = control_write_error(out, sizeof(out), 9, (struct control_fault){message, code});

    assert(len > 0);
    if (len > (ssize_t)CONTROL_MAX)
        return;
    assert(control_parse(out, (size_t)len, &again) == 0);
    assert(again.kind == CONTROL_ERROR && again.id == 9);
    assert(slice_is_equal(again.message, message));
    assert(slice_is_equal(again.code, code));
    control_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_fault raw = {slice_of(data, size), slice_of(data, size / 2)};
    struct control c;
    ssize_t len;

    if (control_parse(data, size, &c) == 0) {
        assert(c.id >= 0);
        check_quoted(c.command, c.token);
        check_quoted(c.message, c.code);
        (void)control_text(&c, "subject");
        control_fini(&c);
    }
    /* Bytes that are no text at all must still come out as JSON. */
    len = control_write_error(out, sizeof(out), 1, raw);
    if (len > 0 && len <= (ssize_t)CONTROL_MAX && !(size && memchr(data, '\0', size))) {
        assert(control_parse(out, (size_t)len, &c) == 0);
        control_fini(&c);
    }
    return 0;
}

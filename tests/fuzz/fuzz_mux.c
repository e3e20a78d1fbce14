/* fuzz_mux.c - bytes of a device, cut where the first byte says, into a mux with three streams:
 * nothing comes up for a stream that has ended, and all data that comes up lies in what was fed. */
#include "tunnel/mux.h"

#include <stdlib.h>

#define STREAMS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mux mux;
static struct gather gather;
static struct mux_stream streams[STREAMS];
static bool is_open[STREAMS];
static struct slice fed;

static int write_message(struct mux *m, const uint8_t *message, size_t len)
{
    (void)m;
    if (len < 4 || message[0] != 0x82)
        abort();
    return 0;
}

static size_t number_of(const struct mux_stream *ms)
{
    size_t i = (size_t)(ms - streams);

    if (i >= STREAMS || !is_open[i])
        abort();
    return i;
}

static void on_data(struct mux_stream *ms, const struct iovec *iov, unsigned count)
{
    (void)number_of(ms);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *at = iov[i].iov_base;

        if (at < fed.ptr || at + iov[i].iov_len > fed.ptr + fed.len)
            abort();
    }
}

static void on_signal(struct mux_stream *ms, enum mproxy_kind kind)
{
    size_t i = number_of(ms);

    if (kind == MPROXY_END || kind == MPROXY_ERROR) {
        mux_remove(&mux, ms);
        is_open[i] = false;
    }
}

static void on_control(struct mux *m, const uint8_t *json, size_t len)
{
    (void)m;
    if (len && !json)
        abort();
}

static const struct mux_ops ops = {
    .write = write_message,
    .on_data = on_data,
    .on_signal = on_signal,
    .on_control = on_control,
};

/* 9.8.7.6 and ports 1 to 3. */
static void open_streams(void)
{
    struct address a;
    struct mux_route route = {
        .visitor = &a, .service = slice_text("https"), .name = slice_text("a.example")};

    if (address_parse(slice_text("9.8.7.6:0"), &a))
        abort();
    for (uint16_t i = 0; i < STREAMS; i++) {
        address_set_port(&a, (uint16_t)(i + 1));
        is_open[i] = mux_add(&mux, &streams[i], &route) == 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step;
    int err = 0;

    if (size < 1)
        return 0;
    step = data[0] / 4U + 1U;
    gather_init(&gather);
    mux_init(&mux, &ops, &gather, (enum dialect)(data[0] % 4));
    open_streams();
    for (size_t at = 1; at < size && !err; at += step) {
        fed = slice_of(data + at, size - at < step ? size - at : step);
        mux.now_ms += 1000;
        err = mux_feed(&mux, fed.ptr, fed.len);
        mux_deliver(&mux);
        if (gather.used != 1)
            abort();
    }
    for (size_t i = 0; i < STREAMS; i++) {
        if (is_open[i])
            mux_remove(&mux, &streams[i]);
    }
    mux_fini(&mux);
    return 0;
}

#include "edge/refusal.h"

#include "base/log.h"

#include <stdio.h>

const struct refusal refusal_unknown = {
    TALLY_REFUSED_UNKNOWN_NAME, 404, REFUSE_ALERT_UNRECOGNIZED_NAME, 0,
    "No device has ever served %s on this relay. Is the name spelled right?"};
const struct refusal refusal_full = {
    TALLY_REFUSED_DEVICE_FULL, 503, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "The device that serves %s has as many visitors as it may have. Try again soon."};
const struct refusal refusal_trouble = {
    TALLY_REFUSED_NO_RESOURCES, 503, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "The relay cannot take a visitor for %s right now. Try again soon."};
const struct refusal refusal_visitors = {
    TALLY_REFUSED_VISITORS_MAX, 503, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "The relay has as many visitors as it may have, and no room for one of %s. Try again soon."};
const struct refusal refusal_descriptors = {
    TALLY_REFUSED_DESCRIPTORS, 503, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "The relay has as many visitors as it can have, and no room for one of %s. Try again soon."};
const struct refusal refusal_memory = {
    TALLY_REFUSED_MEMORY, 503, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "The relay has no memory for a visitor of %s right now. Try again soon."};
const struct refusal refusal_long_name = {
    TALLY_REFUSED_NAME_TOO_LONG, 400, REFUSE_ALERT_UNRECOGNIZED_NAME, 0,
    "The name %s is too long for the protocol that its device speaks."};

const struct refusal refusal_connections = {
    TALLY_REFUSED_ADDRESS_CONNECTIONS, 429, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "Your address has as many connections to this relay as it may have; none is left for %s."};
const struct refusal refusal_handshakes = {
    TALLY_REFUSED_ADDRESS_HANDSHAKES, 429, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "Your address has connected to %s too often. Try again soon."};
const struct refusal refusal_streams = {
    TALLY_REFUSED_TOKEN_STREAMS, 429, REFUSE_ALERT_INTERNAL_ERROR, 5,
    "Whoever serves %s has as many visitors as they may have. Try again soon."};

void refusal_note(struct edge *e, uint64_t visitor, const struct stream_request *request,
                  enum tally_id why)
{
    tally_add(&e->tally, why);
    log_event(LOG_INFO, "visitor_refused", LOG_UINT("visitor", visitor),
              LOG_STR("service", stream_service_name[request->service]),
              LOG_SLICE("host", hostname_slice(&request->host)), LOG_UINT("port", request->port),
              LOG_STR("why", tally_name[why]));
}

void refusal_note_unseen(struct edge *e, uint16_t port, enum tally_id why)
{
    tally_add(&e->tally, why);
    log_event(LOG_WARN, "visitor_refused", LOG_UINT("port", port), LOG_STR("why", tally_name[why]));
}

static void tell_http(struct conn *conn, const struct stream_request *request,
                      const struct refusal *r)
{
    char sentence[512], retry[40];

    (void)snprintf(sentence, sizeof(sentence), r->sentence,
                   request->host.len ? request->host.text : "the relay");
    (void)snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", r->retry_s);
    refuse_http(conn, r->status, sentence, r->retry_s ? retry : NULL);
}

void refusal_tell(struct conn *conn, const struct stream_request *request, const struct refusal *r)
{
    switch (request->service) {
    case STREAM_HTTP: tell_http(conn, request, r); return;
    case STREAM_HTTPS: refuse_tls(conn, r->alert); return;
    case STREAM_TCP: conn_reset(conn); return;
    }
}

void refusal_tell_unserved(struct conn *conn, enum stream_service service)
{
    if (service == STREAM_HTTP)
        refuse_http(conn, 502, "The device could not reach the service behind it.", NULL);
    else
        conn_reset(conn);
}

#include "server/relay.h"

#include "base/log.h"
#include "net/gcm_provider.h"
#include "server/capacity.h"
#include "server/rules.h"
#include "server/trust_load.h"
#include "server/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LAST_WORDS_MS 5000 /* after the grace: for goodbyes and what is on its way */

enum relay_state {
    RELAY_RUNNING,
    RELAY_DRAINING,   /* streams may finish within the grace */
    RELAY_LAST_WORDS, /* devices have been told to go */
    RELAY_ABANDONING, /* workers leave their loops whatever is open */
};

struct relay {
    enum relay_state state;
    const struct config *config;
    int argc;
    char *const *argv;
    struct config *reloaded; /* what `trust` was built from, if not `config` */
    struct loop loop;        /* the main thread's */
    struct watch signals;
    struct deadline patience; /* of the grace, then of the last words */
    int exit_code;            /* ABANDONING */
    OSSL_PROVIDER *aes;       /* of vectorised AES, or NULL */
    const char *properties;   /* which say so to OpenSSL, or NULL */
    struct edge_rules rules;
    struct supply supply;
    struct registry *registry;
    struct quota *quota;
    struct trust *trust;
    struct trust *old_trust; /* until every worker has let go of it */
    struct config *old_reloaded;
    unsigned trust_replies_due;
    struct edge *edges;
    struct worker *workers;
    unsigned worker_count;
    unsigned started; /* workers[0..started) have a thread */
    unsigned left;    /* of those, have left their loop */
};

static void order_all(struct relay *r, const struct order *order)
{
    for (unsigned i = 0; i < r->started; i++) /* who has left throws it away */
        worker_order(&r->workers[i], order);
}

static void abandon(struct relay *r, int exit_code, const char *why)
{
    if (r->state == RELAY_ABANDONING)
        return;
    r->state = RELAY_ABANDONING;
    r->exit_code = exit_code;
    log_event(LOG_WARN, "abandoning", LOG_STR("why", why));
    order_all(r, &(struct order){.kind = ORDER_STOP});
}

static void on_patience(struct deadline *d)
{
    struct relay *r = LIST_OWNER(d, struct relay, patience);

    if (r->state != RELAY_DRAINING) {
        abandon(r, 0, "connections are left");
        return;
    }
    r->state = RELAY_LAST_WORDS;
    log_event(LOG_INFO, "grace_over", LOG_INT("ms", r->config->grace_ms));
    order_all(r, &(struct order){.kind = ORDER_DRAIN_NOW});
    loop_start_deadline(&r->loop, &r->patience, LAST_WORDS_MS);
}

static void stop(struct relay *r, const char *signal_name)
{
    if (r->state != RELAY_RUNNING) {
        abandon(r, 1, "second signal");
        return;
    }
    r->state = RELAY_DRAINING;
    order_all(r, &(struct order){.kind = ORDER_DRAIN});
    log_event(LOG_INFO, "draining", LOG_STR("signal", signal_name),
              LOG_INT("grace_ms", r->config->grace_ms));
    loop_start_deadline(&r->loop, &r->patience, r->config->grace_ms);
}

/* A worker uses the new trust now.  parcel.open on the main thread. */
static void on_trust_reply(struct parcel *parcel, void *receiver)
{
    struct relay *r = receiver;

    (void)parcel;
    if (!r || --r->trust_replies_due > 0)
        return;
    trust_free(r->old_trust);
    config_free(r->old_reloaded);
    r->old_trust = NULL;
    r->old_reloaded = NULL;
}

static void reload(struct relay *r)
{
    extern char **environ;
    struct config *fresh;
    struct config_error why;
    struct trust *trust;

    if (r->trust_replies_due || r->state != RELAY_RUNNING) {
        log_event(LOG_WARN, "reload_refused",
                  LOG_STR("why", r->trust_replies_due ? "the last one is still under way"
                                                      : "the relay is stopping"));
        return;
    }
    if (config_load(r->argc, r->argv, environ, &fresh, &why)) {
        log_event(LOG_ERROR, "reload_refused", LOG_STR("why", why.text));
        return;
    }
    if (trust_load(fresh, r->properties, r->trust, &trust)) {
        config_free(fresh);
        log_event(LOG_ERROR, "reload_refused", LOG_STR("why", "keys and certificates stay"));
        return;
    }
    r->old_trust = r->trust;
    r->old_reloaded = r->reloaded;
    r->trust = trust;
    r->reloaded = fresh;
    r->trust_replies_due = r->started;
    order_all(r, &(struct order){.kind = ORDER_TRUST,
                                 .trust = trust,
                                 .reply_to = &r->loop.mailbox,
                                 .on_reply = on_trust_reply});
    log_event(LOG_INFO, "reloaded", LOG_UINT("keys", keyring_count(trust->keyring)),
              LOG_UINT("certificates", trust->certificates.count));
}

static void on_signal(struct watch *w, unsigned ready)
{
    struct relay *r = LIST_OWNER(w, struct relay, signals);
    struct signalfd_siginfo info;

    (void)ready;
    while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            reload(r);
        else
            stop(r, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    }
}

/* All threads inherit the mask: signals come through the fd and nowhere else. */
static int watch_signals(struct relay *r)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGPIPE); /* blocked, and not looked at */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL))
        return -EINVAL;
    (void)sigdelset(&set, SIGPIPE);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd == -1)
        return -errno;
    r->signals.on_ready = on_signal;
    return loop_watch(&r->loop, &r->signals, fd, LOOP_READ);
}

static int listen_on(struct relay *r, const struct config_address *where)
{
    struct address at = where->address;
    char host[ADDRESS_TEXT_MAX];
    int err = listener_probe(&at);

    for (unsigned i = 0; i < r->worker_count && !err; i++)
        err = worker_listen(&r->workers[i], &at);
    if (err) {
        log_event(LOG_ERROR, "listen_failed", LOG_STR("listen", where->text),
                  LOG_STR("why", strerror(-err)));
        return err;
    }
    r->rules.own_ports[r->rules.own_port_count++] = address_port(&at);
    address_write_host(&at, host);
    log_event(LOG_INFO, "listening", LOG_STR("addr", host), LOG_UINT("port", address_port(&at)));
    return 0;
}

static int make_workers(struct relay *r)
{
    struct edge_parts parts = {.worker_count = r->worker_count,
                               .registry = r->registry,
                               .supply = &r->supply,
                               .quota = r->quota,
                               .rules = &r->rules,
                               .trust = r->trust};

    r->edges = calloc(r->worker_count, sizeof(*r->edges));
    r->workers = calloc(r->worker_count, sizeof(*r->workers));
    if (!r->edges || !r->workers)
        return -ENOMEM;
    parts.workers = r->edges;
    for (; parts.worker < r->worker_count; parts.worker++) {
        int err = worker_init(&r->workers[parts.worker], parts, r->config->listen.count);

        if (err)
            return err;
    }
    return 0;
}

/* A worker has left its loop.  parcel.open on the main thread. */
static void on_worker_left(struct parcel *parcel, void *receiver)
{
    struct relay *r = receiver;

    (void)parcel;
    if (r && ++r->left == r->started)
        loop_stop(&r->loop);
}

static int start(struct relay *r)
{
    int err = make_workers(r);

    for (size_t i = 0; i < r->config->listen.count && !err; i++)
        err = listen_on(r, &r->config->listen.at[i]);
    if (!err)
        err = capacity_measure(&r->supply, r->config, r->loop.epoll_fd);
    for (; r->started < r->worker_count && !err; r->started++) {
        err = worker_start(&r->workers[r->started], &r->loop.mailbox, on_worker_left);
        if (err)
            break;
    }
    return err;
}

static void choose_aes(struct relay *r)
{
    const char *why = "vector_aes is off";

    if (r->config->vector_aes == CONFIG_VECTOR_AES_AUTO && !gcm_provider_start(&r->aes, &why))
        r->properties = GCM_PROVIDER_PROPERTIES;
    log_event(LOG_INFO, "aes_chosen", LOG_STR("aes", r->properties ? "vector" : "openssl"),
              LOG_STR("why", why));
}

static int prepare(struct relay *r)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int err;

    capacity_raise();
    r->worker_count = r->config->workers ? r->config->workers : cores > 0 ? (unsigned)cores : 1;
    log_event(LOG_INFO, "relay_start", LOG_STR("version", RVPN_VERSION),
              LOG_UINT("workers", r->worker_count), LOG_STR("state", r->config->state));
    for (size_t i = 0; i < r->config->ignored.count; i++)
        log_event(LOG_WARN, "variable_ignored", LOG_STR("name", r->config->ignored.at[i]));
    err = loop_init(&r->loop, r);
    if (err)
        return err;
    deadline_init(&r->patience, on_patience);
    err = watch_signals(r);
    choose_aes(r);
    if (!err)
        err = rules_init(&r->rules, r->config, r->worker_count);
    if (!err)
        err = trust_load(r->config, r->properties, NULL, &r->trust);
    r->registry = registry_new();
    r->quota = quota_new(&r->rules.quota);
    return err ? err : r->registry && r->quota ? 0 : -ENOMEM;
}

static void finish(struct relay *r)
{
    for (unsigned i = 0; r->workers && i < r->worker_count; i++)
        worker_fini(&r->workers[i]);
    if (r->signals.fd > 0)
        (void)close(r->signals.fd);
    loop_fini(&r->loop);
    if (r->registry)
        registry_free(r->registry);
    quota_free(r->quota);
    rules_fini(&r->rules);
    trust_free(r->trust);
    trust_free(r->old_trust);
    gcm_provider_stop(r->aes);
    config_free(r->reloaded);
    config_free(r->old_reloaded);
    free(r->workers);
    free(r->edges);
}

int relay_run(const struct config *config, int argc, char *const argv[])
{
    struct relay r = {.config = config, .argc = argc, .argv = argv, .loop.epoll_fd = -1};
    int err = prepare(&r);

    if (!err)
        err = start(&r);
    if (err)
        order_all(&r, &(struct order){.kind = ORDER_STOP});
    if (r.started)
        loop_run(&r.loop);
    for (unsigned i = 0; i < r.started; i++)
        worker_join(&r.workers[i]);
    if (r.state == RELAY_ABANDONING) { /* what is open still points here and there */
        log_event(LOG_WARN, "relay_stop", LOG_STR("why", "connections were left"));
        _exit(r.exit_code);
    }
    finish(&r);
    log_event(err ? LOG_ERROR : LOG_INFO, "relay_stop",
              LOG_STR("why", err ? strerror(-err) : "all connections are closed"));
    return err;
}

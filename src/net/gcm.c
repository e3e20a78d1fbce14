#include "net/gcm.h"

#include "base/slab.h"
#include "net/vaes.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>

#define TAG_MIN 12U
#define KEY_MAX 32U
#define SCHEDULES 512U
#define AAD_MAX 1048576U /* nobody's has more; TLS has 5 or 13 */
#define RECORD_AAD 13U   /* RFC 5246 6.2.3.3 */
#define RECORD_FIXED 4U  /* RFC 5288 3 */
#define RECORD_NONCE 8U
#define MESSAGE_MAX ((UINT64_C(1) << 36) - 32) /* SP 800-38D 5.2.1.1 */

enum phase {
    PHASE_NO_IV, /* or one that has been used */
    PHASE_IV,    /* an IV, and perhaps AAD, wait for a message */
    PHASE_DATA,  /* a message is under way */
    PHASE_SEALED /* as NO_IV; `tag` is that of the last message */
};

/* What is computed from a key takes a kilobyte, more than all else here, and an idle connection has
 * no use for it: each thread keeps that of the keys it has used lately, and computes it again for
 * others.  Keys get their places in turn: the two of a connection do not meet. */
struct schedule {
    _Alignas(VAES_KEY_ALIGNMENT) uint8_t key[VAES_KEY_SIZE];
    size_t raw_len; /* 0: empty */
    uint8_t raw[KEY_MAX];
};

static _Thread_local struct schedule *schedules; /* NULL before the first key, and without memory */
static _Thread_local struct schedule only;       /* without memory */
static _Thread_local unsigned last_place;

struct gcm {
    _Alignas(16) uint8_t message[VAES_MESSAGE_SIZE];
    const struct vaes *aes;
    uint8_t *aad; /* of the message to come */
    size_t aad_len, aad_room;
    uint64_t message_len;
    enum phase phase;
    enum gcm_way way;
    bool has_key;
    bool has_record_iv;  /* iv[0..4) is for records of TLS 1.2 */
    bool expects_record; /* the AAD is its */
    uint16_t place;      /* in schedules */
    uint8_t key_len, iv_len;
    uint8_t tag_len; /* of what to compare with; 0: not known yet */
    uint8_t iv[GCM_IV_MAX];
    uint8_t tag[GCM_TAG];
    uint8_t raw[KEY_MAX]; /* the key */
};

static_assert(GCM_TAG == VAES_TAG, "tags are cut");

/* Found again by the key itself, so that it cannot be another's. */
static bool is_of(const struct schedule *s, const struct gcm *g)
{
    return s->raw_len == g->key_len && CRYPTO_memcmp(s->raw, g->raw, g->key_len) == 0;
}

/* Mapped, so that places without a key take no memory. */
static struct schedule *place_of(const struct gcm *g)
{
    void *table;

    if (schedules)
        return &schedules[g->place];
    table = mmap(NULL, SCHEDULES * sizeof(only), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        return &only;
    schedules = table;
    return &schedules[g->place];
}

static struct gcm_key_data *key_of(const struct gcm *g)
{
    struct schedule *s = place_of(g);

    if (!is_of(s, g)) {
        g->aes->expand(g->raw, (struct gcm_key_data *)s->key);
        memcpy(s->raw, g->raw, g->key_len);
        s->raw_len = g->key_len;
    }
    return (struct gcm_key_data *)s->key;
}

/* Of this thread; whatever else knows the key cleanses its own. */
static void forget_key(struct gcm *g)
{
    struct schedule *s = place_of(g);

    if (g->has_key && is_of(s, g))
        OPENSSL_cleanse(s, sizeof(*s));
    OPENSSL_cleanse(g->raw, sizeof(g->raw));
}

static struct gcm_context_data *message_of(struct gcm *g)
{
    return (struct gcm_context_data *)g->message;
}

struct gcm *gcm_new(size_t key_len)
{
    const struct vaes *aes = vaes_for(key_len);
    struct gcm *g = aes ? slab_zalloc(sizeof(*g)) : NULL;

    if (!g)
        return NULL;
    g->aes = aes;
    g->place = (uint16_t)(++last_place % SCHEDULES);
    g->key_len = (uint8_t)key_len;
    g->iv_len = GCM_IV;
    return g;
}

struct gcm *gcm_dup(const struct gcm *g)
{
    struct gcm *copy = gcm_new(g->key_len);
    uint8_t *aad = g->aad_room ? slab_alloc(g->aad_room) : NULL;

    if (!copy || (g->aad_room && !aad)) {
        gcm_free(copy);
        slab_free(aad);
        return NULL;
    }
    *copy = *g;
    copy->place = (uint16_t)(++last_place % SCHEDULES);
    copy->aad = aad;
    if (aad)
        memcpy(aad, g->aad, g->aad_len);
    return copy;
}

void gcm_free(struct gcm *g)
{
    if (!g)
        return;
    slab_free(g->aad);
    forget_key(g);
    OPENSSL_cleanse(g, sizeof(*g));
    slab_free(g);
}

/* So that nothing is sealed under a part of it, or under one that a record has brought. */
static void forget_iv(struct gcm *g)
{
    g->phase = PHASE_NO_IV;
    g->has_record_iv = false;
    g->expects_record = false;
}

void gcm_turn(struct gcm *g, enum gcm_way way)
{
    if (g->way != way)
        forget_iv(g);
    g->way = way;
}

int gcm_set_key(struct gcm *g, const uint8_t *key, size_t len)
{
    if (len != g->key_len)
        return -EINVAL;
    forget_key(g);
    memcpy(g->raw, key, len);
    g->has_key = true;
    g->has_record_iv = false;
    g->expects_record = false;
    if (g->phase != PHASE_IV)
        g->phase = PHASE_NO_IV;
    return 0;
}

int gcm_set_iv_len(struct gcm *g, size_t len)
{
    if (len < 1 || len > GCM_IV_MAX)
        return -EINVAL;
    if (len != g->iv_len)
        forget_iv(g);
    g->iv_len = (uint8_t)len;
    return 0;
}

int gcm_set_iv(struct gcm *g, const uint8_t *iv, size_t len)
{
    if (len < 1 || len > GCM_IV_MAX)
        return -EINVAL;
    memcpy(g->iv, iv, len);
    g->iv_len = (uint8_t)len;
    g->phase = PHASE_IV;
    g->aad_len = 0;
    g->has_record_iv = false;
    g->expects_record = false;
    return 0;
}

size_t gcm_key_len(const struct gcm *g)
{
    return g->key_len;
}

size_t gcm_iv_len(const struct gcm *g)
{
    return g->iv_len;
}

const uint8_t *gcm_iv(const struct gcm *g)
{
    return g->iv;
}

static int append_aad(struct gcm *g, const uint8_t *bytes, size_t len)
{
    if (len > AAD_MAX - g->aad_len)
        return -EINVAL;
    if (len > g->aad_room - g->aad_len) {
        size_t all = g->aad_len + len;
        size_t room = all < RECORD_AAD ? RECORD_AAD : 2 * all;
        uint8_t *grown = slab_resize(g->aad, room);

        if (!grown)
            return -ENOMEM;
        g->aad = grown;
        g->aad_room = room;
    }
    if (len)
        memcpy(g->aad + g->aad_len, bytes, len);
    g->aad_len += len;
    return 0;
}

int gcm_add_aad(struct gcm *g, const uint8_t *bytes, size_t len)
{
    return g->phase == PHASE_IV ? append_aad(g, bytes, len) : -EPROTO;
}

static void begin(struct gcm *g)
{
    g->aes->begin(key_of(g), message_of(g), g->iv, g->iv_len, g->aad, g->aad_len);
    g->message_len = 0;
    g->phase = PHASE_DATA;
}

/* Begins the message unless that is done. */
static int get_going(struct gcm *g)
{
    if (!g->has_key || (g->phase != PHASE_IV && g->phase != PHASE_DATA))
        return -EPROTO;
    if (g->phase == PHASE_IV)
        begin(g);
    return 0;
}

static void crypt_bytes(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len)
{
    if (len == 0)
        return;
    if (g->way == GCM_ENCRYPT)
        g->aes->encrypt(key_of(g), message_of(g), out, in, len);
    else
        g->aes->decrypt(key_of(g), message_of(g), out, in, len);
}

int gcm_crypt(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len)
{
    int err = get_going(g);

    if (err)
        return err;
    if (len > MESSAGE_MAX - g->message_len)
        return -EINVAL;
    g->message_len += len;
    crypt_bytes(g, out, in, len);
    return 0;
}

/* Ends a message that was decrypted: 0 if its tag is `tag`, else -EBADMSG. */
static int compare(struct gcm *g, const uint8_t *tag, size_t len)
{
    uint8_t right[GCM_TAG];
    int differ;

    g->aes->end(key_of(g), message_of(g), right, sizeof(right));
    g->phase = PHASE_NO_IV;
    differ = CRYPTO_memcmp(right, tag, len);
    OPENSSL_cleanse(right, sizeof(right)); /* a forger would like to see it */
    return differ ? -EBADMSG : 0;
}

int gcm_end(struct gcm *g)
{
    size_t tag_len = g->tag_len;
    int err = get_going(g);

    if (err)
        return err;
    if (g->way == GCM_ENCRYPT) {
        g->aes->end(key_of(g), message_of(g), g->tag, sizeof(g->tag));
        g->phase = PHASE_SEALED;
        return 0;
    }
    g->tag_len = 0;
    if (tag_len)
        return compare(g, g->tag, tag_len);
    g->phase = PHASE_NO_IV;
    return -EPROTO;
}

int gcm_set_tag(struct gcm *g, const uint8_t *tag, size_t len)
{
    if (len < TAG_MIN || len > GCM_TAG)
        return -EINVAL;
    if (g->way == GCM_ENCRYPT)
        return -EPROTO;
    memcpy(g->tag, tag, len);
    g->tag_len = (uint8_t)len;
    return 0;
}

int gcm_get_tag(const struct gcm *g, uint8_t *out, size_t len)
{
    if (len < TAG_MIN || len > GCM_TAG)
        return -EINVAL;
    if (g->phase != PHASE_SEALED)
        return -EPROTO;
    memcpy(out, g->tag, len);
    return 0;
}

int gcm_set_record_iv(struct gcm *g, const uint8_t *fixed, size_t len)
{
    if (len != RECORD_FIXED || g->iv_len != GCM_IV)
        return -EINVAL;
    memcpy(g->iv, fixed, RECORD_FIXED);
    if (g->way == GCM_ENCRYPT && RAND_bytes(g->iv + RECORD_FIXED, RECORD_NONCE) != 1)
        return -ENOMEM;
    g->phase = PHASE_NO_IV;
    g->has_record_iv = true;
    return 0;
}

int gcm_expect_record(struct gcm *g, const uint8_t *aad, size_t len)
{
    size_t beside = RECORD_NONCE + (g->way == GCM_DECRYPT ? GCM_TAG : 0);
    size_t text_len;
    int err;

    if (len != RECORD_AAD)
        return -EINVAL;
    text_len = (size_t)aad[11] << 8 | aad[12];
    if (text_len < beside)
        return -EINVAL;
    if (!g->has_record_iv)
        return -EPROTO;
    g->aad_len = 0;
    err = append_aad(g, aad, len);
    if (err)
        return err;
    text_len -= beside;
    g->aad[11] = (uint8_t)(text_len >> 8);
    g->aad[12] = (uint8_t)text_len;
    g->expects_record = true;
    return 0;
}

bool gcm_expects_record(const struct gcm *g)
{
    return g->expects_record;
}

/* Takes the nonce from the record, or puts one there that has not been used. */
static void share_nonce(struct gcm *g, uint8_t *record)
{
    uint8_t *nonce = g->iv + RECORD_FIXED;

    if (g->way == GCM_DECRYPT) {
        memcpy(nonce, record, RECORD_NONCE);
        begin(g);
        return;
    }
    memcpy(record, nonce, RECORD_NONCE);
    begin(g);
    for (size_t i = RECORD_NONCE; i-- > 0 && ++nonce[i] == 0;)
        ;
}

int gcm_crypt_record(struct gcm *g, uint8_t *record, size_t len, size_t *out_len)
{
    uint8_t *text = record + RECORD_NONCE;
    size_t text_len;

    if (!g->expects_record)
        return -EPROTO;
    g->expects_record = false;
    if (len < RECORD_NONCE + GCM_TAG)
        return -EINVAL;
    text_len = len - RECORD_NONCE - GCM_TAG;
    share_nonce(g, record);
    crypt_bytes(g, text, text, text_len);
    if (g->way == GCM_ENCRYPT) {
        g->aes->end(key_of(g), message_of(g), text + text_len, GCM_TAG);
        g->phase = PHASE_NO_IV;
        *out_len = len;
        return 0;
    }
    if (compare(g, text + text_len, GCM_TAG)) {
        OPENSSL_cleanse(text, text_len);
        return -EBADMSG;
    }
    *out_len = text_len;
    return 0;
}

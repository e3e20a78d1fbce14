#include "net/gcm_provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (17 * 1024 + 1)
#define AAD_MAX 4096

enum maker { OURS, THEIRS };

static EVP_CIPHER *ciphers[2][2]; /* by maker, by key length */
static uint8_t text[TEXT_MAX], sealed[TEXT_MAX], out[TEXT_MAX], aad[AAD_MAX];
static const uint8_t *leaked; /* 32 bytes that must not be in anything that is freed */
static bool leak_seen;

void __real_free(void *p);
void __wrap_free(void *p);

void __wrap_free(void *p)
{
    if (p && leaked && memmem(p, malloc_usable_size(p), leaked, 32))
        leak_seen = true;
    __real_free(p);
}

/* A message as EVP is asked for it. */
struct message {
    uint8_t key[32], iv[64];
    size_t key_len, iv_len, aad_len, len;
};

static EVP_CIPHER *cipher_of(enum maker maker, const struct message *m)
{
    return ciphers[maker][m->key_len == 32];
}

static EVP_CIPHER_CTX *start(enum maker maker, const struct message *m, int encrypts)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    assert_int_equal(EVP_CipherInit_ex2(c, cipher_of(maker, m), NULL, NULL, encrypts, NULL), 1);
    if (m->iv_len != 12)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)m->iv_len, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex2(c, NULL, m->key, m->iv, encrypts, NULL), 1);
    return c;
}

static int add_aad(EVP_CIPHER_CTX *c, const uint8_t *bytes, size_t len)
{
    int done;

    return EVP_CipherUpdate(c, NULL, &done, bytes, (int)len) == 1 && done == (int)len;
}

static int crypt(EVP_CIPHER_CTX *c, uint8_t *to, const uint8_t *from, size_t len)
{
    int done;

    return EVP_CipherUpdate(c, to, &done, from, (int)len) == 1 && done == (int)len;
}

static int end(EVP_CIPHER_CTX *c)
{
    uint8_t none[16];
    int done;
    int ok = EVP_CipherFinal_ex(c, none, &done);

    ERR_clear_error();
    return ok == 1 && done == 0;
}

static int get_tag(EVP_CIPHER_CTX *c, uint8_t tag[16])
{
    return EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag);
}

static int set_tag(EVP_CIPHER_CTX *c, uint8_t *tag, size_t len)
{
    return EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, (int)len, tag);
}

/* text[] to `to`, in one piece. */
static void seal(enum maker maker, const struct message *m, uint8_t *to, uint8_t tag[16])
{
    EVP_CIPHER_CTX *c = start(maker, m, 1);

    assert_int_equal(add_aad(c, aad, m->aad_len), 1);
    assert_int_equal(crypt(c, to, text, m->len), 1);
    assert_int_equal(end(c), 1);
    assert_int_equal(get_tag(c, tag), 1);
    EVP_CIPHER_CTX_free(c);
}

/* from[] to out[] by ours; returns whether the tag was right. */
static int is_opened(const struct message *m, const uint8_t *from, uint8_t *tag, size_t tag_len)
{
    EVP_CIPHER_CTX *c = start(OURS, m, 0);
    int ok;

    assert_int_equal(set_tag(c, tag, tag_len), 1);
    assert_int_equal(add_aad(c, aad, m->aad_len), 1);
    assert_int_equal(crypt(c, out, from, m->len), 1);
    ok = end(c);
    EVP_CIPHER_CTX_free(c);
    return ok;
}

static struct message random_message(size_t key_len, size_t aad_len, size_t len)
{
    struct message m = {.key_len = key_len, .iv_len = 12, .aad_len = aad_len, .len = len};

    assert_int_equal(RAND_bytes(m.key, sizeof(m.key)), 1);
    assert_int_equal(RAND_bytes(m.iv, sizeof(m.iv)), 1);
    return m;
}

/* As libssl drives it: the key once, then a new IV with each record, in place. */
static void check_record(EVP_CIPHER_CTX *c, const struct message *m, int encrypts)
{
    uint8_t want[16], got[16];
    const uint8_t *result = encrypts ? sealed : text;

    seal(THEIRS, m, sealed, want);
    memcpy(out, encrypts ? text : sealed, m->len);
    assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, m->iv, encrypts), 1);
    if (!encrypts)
        assert_int_equal(set_tag(c, want, 16), 1);
    assert_int_equal(add_aad(c, aad, m->aad_len), 1);
    assert_int_equal(crypt(c, out, out, m->len), 1);
    assert_int_equal(end(c), 1);
    assert_memory_equal(out, result, m->len);
    if (encrypts) {
        assert_int_equal(get_tag(c, got), 1);
        assert_memory_equal(got, want, 16);
    }
}

static void records_of_every_length_are_as_openssl_has_them(void **state)
{
    static const size_t aad_lens[] = {5,  13, 0,  1,  15, 16, 17,  31,
                                      32, 33, 47, 48, 64, 65, 127, 300};

    (void)state;
    for (size_t key_len = 16; key_len <= 32; key_len += 16) {
        struct message m = random_message(key_len, 0, 0);
        EVP_CIPHER_CTX *seals = start(OURS, &m, 1), *opens = start(OURS, &m, 0);

        for (m.len = 0; m.len < TEXT_MAX; m.len++) {
            m.aad_len = aad_lens[m.len / 3 % 16];
            assert_int_equal(RAND_bytes(m.iv, 12), 1);
            check_record(seals, &m, 1);
            check_record(opens, &m, 0);
        }
        EVP_CIPHER_CTX_free(seals);
        EVP_CIPHER_CTX_free(opens);
    }
}

/* In pieces of up to `most` bytes, out of place. */
static void crypt_in_pieces(EVP_CIPHER_CTX *c, const struct message *m, const uint8_t *from,
                            size_t most)
{
    for (size_t at = 0, piece; at < m->aad_len; at += piece) {
        piece = 1 + (size_t)rand() % most;
        piece = piece < m->aad_len - at ? piece : m->aad_len - at;
        assert_int_equal(add_aad(c, aad + at, piece), 1);
    }
    for (size_t at = 0, piece; at < m->len; at += piece) {
        piece = 1 + (size_t)rand() % most;
        piece = piece < m->len - at ? piece : m->len - at;
        assert_int_equal(crypt(c, out + at, from + at, piece), 1);
        assert_int_equal(crypt(c, out + at, from, 0), 1);
    }
}

static void pieces_of_any_length_come_to_the_same(void **state)
{
    static const size_t most[] = {1, 15, 16, 17, 64, 255, 256, 1000, 5000, TEXT_MAX};

    (void)state;
    for (size_t i = 0; i < 400; i++) {
        struct message m = random_message(i % 2 ? 16 : 32, i % 7 ? i % 40 : AAD_MAX,
                                          (size_t)rand() % (i % 10 ? 2000 : TEXT_MAX));
        EVP_CIPHER_CTX *c;
        uint8_t want[16], got[16];

        seal(THEIRS, &m, sealed, want);
        c = start(OURS, &m, 1);
        crypt_in_pieces(c, &m, text, most[i % 10]);
        assert_int_equal(end(c), 1);
        assert_int_equal(get_tag(c, got), 1);
        assert_memory_equal(out, sealed, m.len);
        assert_memory_equal(got, want, 16);
        EVP_CIPHER_CTX_free(c);
        c = start(OURS, &m, 0);
        crypt_in_pieces(c, &m, sealed, most[i % 10]);
        assert_int_equal(set_tag(c, want, 16), 1); /* it may come last */
        assert_int_equal(end(c), 1);
        assert_memory_equal(out, text, m.len);
        EVP_CIPHER_CTX_free(c);
    }
}

static void from_hex(const char *hex, uint8_t *to, size_t size, size_t *len)
{
    *len = 0;
    if (*hex)
        assert_int_equal(OPENSSL_hexstr2buf_ex(to, size, len, hex, 0), 1);
}

/* Of "The Galois/Counter Mode of Operation", McGrew and Viega, appendix B. */
static void the_examples_of_its_inventors_come_out(void **state)
{
#define K "feffe9928665731c6d6a8f9467308308"
#define P                                                                                          \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6" \
    "b525b16aedf5aa0de657ba637b39"
#define A "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define ZERO "00000000000000000000000000000000"
    static const struct {
        const char *key, *iv, *aad, *text, *tag;
    } rows[] = {
        {ZERO, "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
        {ZERO, "000000000000000000000000", "", ZERO, "ab6e47d42cec13bdf53a67b21257bddf"},
        {K, "cafebabefacedbaddecaf888", "", P "1aafd255", "4d5c2af327cd64a62cf35abd2ba6fab4"},
        {K, "cafebabefacedbaddecaf888", A, P, "5bc94fbc3221a5db94fae95ae7121a47"},
        {K, "cafebabefacedbad", A, P, "3612d2e79e3b0785561be14aaca2fccb"},
        {ZERO ZERO, "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
        {ZERO ZERO, "000000000000000000000000", "", ZERO, "d0d1c8a799996bf0265b98b5d48ab919"},
        {K K, "cafebabefacedbaddecaf888", "", P "1aafd255", "b094dac5d93471bdec1a502270e3cc6c"},
        {K K, "cafebabefacedbaddecaf888", A, P, "76fc6ece0f4e1768cddf8853bb2d551b"},
        {K K, "cafebabefacedbad", A, P, "3a337dbf46a792c45e454913fe2ea8f2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m;
        uint8_t want[16], got[16];
        size_t len;

        from_hex(rows[i].key, m.key, sizeof(m.key), &m.key_len);
        from_hex(rows[i].iv, m.iv, sizeof(m.iv), &m.iv_len);
        from_hex(rows[i].aad, aad, sizeof(aad), &m.aad_len);
        from_hex(rows[i].text, text, sizeof(text), &m.len);
        from_hex(rows[i].tag, want, sizeof(want), &len);
        seal(OURS, &m, sealed, got);
        assert_memory_equal(got, want, 16);
        assert_int_equal(is_opened(&m, sealed, got, 16), 1);
        assert_memory_equal(out, text, m.len);
    }
}

static void whatever_was_changed_is_not_opened(void **state)
{
    static const size_t lens[] = {0, 1, 16, 17, 256, 1000, 16384};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        struct message m = random_message(i % 2 ? 16 : 32, 13, lens[i / 2]);
        uint8_t tag[16];

        seal(OURS, &m, sealed, tag);
        assert_int_equal(is_opened(&m, sealed, tag, 16), 1);
        for (unsigned bit = 0; bit < 128; bit++) {
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t at = 0; at < m.len; at += 1 + m.len / 100) {
            sealed[at] ^= 0x80;
            assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
            sealed[at] ^= 0x80;
        }
        for (size_t at = 0; at < m.aad_len; at++) {
            aad[at] ^= 1;
            assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
            aad[at] ^= 1;
        }
        m.aad_len--;
        assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
        m.aad_len++;
        m.iv[11] ^= 1;
        assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
        m.iv[11] ^= 1;
        m.key[15] ^= 1;
        assert_int_equal(is_opened(&m, sealed, tag, 16), 0);
    }
}

static void tags_of_12_to_16_bytes_are_compared_and_no_others(void **state)
{
    struct message m = random_message(16, 5, 100);
    EVP_CIPHER_CTX *c = start(OURS, &m, 0);
    uint8_t tag[17] = {0};

    (void)state;
    seal(THEIRS, &m, sealed, tag);
    for (size_t len = 0; len <= 17; len++)
        assert_int_equal(set_tag(c, tag, len) == 1, len >= 12 && len <= 16);
    for (size_t len = 12; len <= 16; len++) {
        assert_int_equal(is_opened(&m, sealed, tag, len), 1);
        tag[len - 1] ^= 1;
        assert_int_equal(is_opened(&m, sealed, tag, len), 0);
        tag[len - 1] ^= 1;
    }
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

static void ivs_of_1_to_16_bytes_are_taken_and_no_others(void **state)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    struct message m = random_message(32, 13, 333);
    uint8_t want[16], got[16];

    (void)state;
    for (m.iv_len = 1; m.iv_len <= 16; m.iv_len++) {
        seal(THEIRS, &m, sealed, want);
        seal(OURS, &m, out, got);
        assert_memory_equal(out, sealed, m.len);
        assert_memory_equal(got, want, 16);
    }
    assert_int_equal(EVP_CipherInit_ex2(c, ciphers[OURS][1], NULL, NULL, 1, NULL), 1);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 0, NULL) <= 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 17, NULL) <= 0);
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

/* GF(2^128) as GCM has it: bit 0 is the most significant of the first byte. */
struct element {
    uint64_t high, low;
};

static struct element element_of(const uint8_t bytes[16])
{
    struct element e = {0, 0};

    for (unsigned i = 0; i < 8; i++) {
        e.high = e.high << 8 | bytes[i];
        e.low = e.low << 8 | bytes[i + 8];
    }
    return e;
}

static struct element times(struct element x, struct element y)
{
    struct element product = {0, 0};

    for (unsigned bit = 0; bit < 128; bit++) {
        uint64_t in_x = (bit < 64 ? x.high >> (63 - bit) : x.low >> (127 - bit)) & 1;
        uint64_t over = y.low & 1;

        product.high ^= in_x ? y.high : 0;
        product.low ^= in_x ? y.low : 0;
        y.low = y.low >> 1 | y.high << 63;
        y.high = y.high >> 1 ^ (over ? UINT64_C(0xe1) << 56 : 0);
    }
    return product;
}

/* x^(2^128 - 2) */
static struct element inverse(struct element x)
{
    struct element power = x, result = {UINT64_C(1) << 63, 0};

    for (unsigned i = 1; i < 128; i++) {
        power = times(power, power);
        result = times(result, power);
    }
    return result;
}

static void write_element(struct element e, uint8_t bytes[16])
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(e.high >> (56 - 8 * i));
        bytes[i + 8] = (uint8_t)(e.low >> (56 - 8 * i));
    }
}

static void encrypt_block(const struct message *m, const uint8_t in[16], uint8_t to[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_CIPHER *block =
        EVP_CIPHER_fetch(NULL, m->key_len == 16 ? "AES-128-ECB" : "AES-256-ECB", "");
    int len;

    assert_int_equal(EVP_EncryptInit_ex2(c, block, m->key, NULL, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(c, to, &len, in, 16), 1);
    EVP_CIPHER_free(block);
    EVP_CIPHER_CTX_free(c);
}

/* The IV of 16 bytes from which the counter begins at `counter`: J0 = ((IV H) + length) H. */
static void find_iv(struct message *m, struct element counter)
{
    static const uint8_t zero[16];
    struct element h;
    uint8_t bytes[16];

    encrypt_block(m, zero, bytes);
    h = inverse(element_of(bytes));
    counter = times(counter, h);
    counter.low ^= 128; /* the IV's length in bits */
    write_element(times(counter, h), m->iv);
    m->iv_len = 16;
}

static void the_counter_goes_round_at_32_bits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1200; i += i < 70 ? 1 : 37)
        for (size_t key_len = 16; key_len <= 32; key_len += 16) {
            struct message m = random_message(key_len, 13, TEXT_MAX);
            struct element counter = {UINT64_C(0xfffffffffffffff0) + i % 16,
                                      UINT64_C(0xffffffff00000000) | (UINT32_MAX - i)};
            uint8_t want[16], got[16];

            find_iv(&m, counter);
            counter.low = (counter.low & ~(uint64_t)UINT32_MAX) | (uint32_t)(counter.low + 1);
            write_element(counter, got);
            encrypt_block(&m, got, want);
            seal(OURS, &m, out, got);
            for (unsigned at = 0; at < 16; at++) /* it does begin there */
                assert_int_equal(out[at] ^ text[at], want[at]);
            seal(THEIRS, &m, sealed, want);
            assert_memory_equal(out, sealed, m.len);
            assert_memory_equal(got, want, 16);
            assert_int_equal(is_opened(&m, sealed, want, 16), 1);
            assert_memory_equal(out, text, m.len);
        }
}

static void an_iv_serves_one_message(void **state)
{
    struct message m = random_message(16, 5, 100);
    EVP_CIPHER_CTX *c = start(OURS, &m, 1);
    uint8_t tag[16];

    (void)state;
    assert_int_equal(crypt(c, out, text, m.len), 1);
    assert_int_equal(add_aad(c, aad, 1), 0); /* too late */
    assert_int_equal(get_tag(c, tag), 0);    /* too early */
    assert_int_equal(set_tag(c, tag, 16), 0);
    assert_int_equal(end(c), 1);
    assert_int_equal(get_tag(c, tag), 1);
    assert_int_equal(crypt(c, out, text, m.len), 0);
    assert_int_equal(end(c), 0);
    assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, m.key, NULL, 1), 1);
    assert_int_equal(crypt(c, out, text, m.len), 0);
    assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, m.iv, 1), 1);
    assert_int_equal(crypt(c, out, text, m.len), 1);
    /* Nor for the other direction, in the midst of one. */
    assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(crypt(c, out, text, m.len), 0);
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

static void a_tag_counts_once_and_without_one_nothing_is_good(void **state)
{
    struct message m = random_message(16, 5, 100);
    EVP_CIPHER_CTX *c;
    uint8_t tag[16];

    (void)state;
    seal(OURS, &m, sealed, tag);
    c = start(OURS, &m, 0);
    assert_int_equal(add_aad(c, aad, m.aad_len), 1);
    assert_int_equal(crypt(c, out, sealed, m.len), 1);
    assert_int_equal(end(c), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, m.iv, 0), 1);
        if (i == 0)
            assert_int_equal(set_tag(c, tag, 16), 1);
        assert_int_equal(add_aad(c, aad, m.aad_len), 1);
        assert_int_equal(crypt(c, out, sealed, m.len), 1);
        assert_int_equal(end(c), i == 0);
        assert_int_equal(crypt(c, out, sealed, m.len), 0);
    }
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

static void nothing_goes_without_a_key_or_without_an_iv(void **state)
{
    struct message m = random_message(16, 5, 100);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    (void)state;
    assert_int_equal(EVP_CipherInit_ex2(c, ciphers[OURS][0], NULL, m.iv, 1, NULL), 1);
    assert_int_equal(crypt(c, out, text, m.len), 0);
    assert_int_equal(end(c), 0);
    EVP_CIPHER_CTX_reset(c);
    assert_int_equal(EVP_CipherInit_ex2(c, ciphers[OURS][0], m.key, NULL, 1, NULL), 1);
    assert_int_equal(crypt(c, out, text, m.len), 0);
    assert_int_equal(end(c), 0);
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

static void a_copy_goes_its_own_way(void **state)
{
    struct message m = random_message(32, 40, 1000);
    EVP_CIPHER_CTX *c = start(OURS, &m, 1), *copy = EVP_CIPHER_CTX_new();
    uint8_t want[16], got[16];

    (void)state;
    seal(THEIRS, &m, sealed, want);
    assert_int_equal(add_aad(c, aad, 20), 1);
    assert_int_equal(EVP_CIPHER_CTX_copy(copy, c), 1); /* in the midst of the AAD */
    assert_int_equal(add_aad(c, aad, 3), 1);
    assert_int_equal(add_aad(copy, aad + 20, 20), 1);
    assert_int_equal(crypt(copy, out, text, 77), 1);
    EVP_CIPHER_CTX_free(c);
    c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CIPHER_CTX_copy(c, copy), 1); /* in the midst of the text */
    EVP_CIPHER_CTX_free(copy);
    assert_int_equal(crypt(c, out + 77, text + 77, m.len - 77), 1);
    assert_int_equal(end(c), 1);
    assert_int_equal(get_tag(c, got), 1);
    assert_memory_equal(out, sealed, m.len);
    assert_memory_equal(got, want, 16);
    EVP_CIPHER_CTX_free(c);
}

static void a_key_that_is_let_go_is_wiped(void **state)
{
    struct message m = random_message(32, 5, 100);
    EVP_CIPHER_CTX *c = start(OURS, &m, 1), *copy = EVP_CIPHER_CTX_new();

    (void)state;
    assert_int_equal(EVP_CIPHER_CTX_copy(copy, c), 1);
    leaked = m.key; /* an expanded key begins with it */
    EVP_CIPHER_CTX_free(c);
    assert_int_equal(EVP_CIPHER_CTX_reset(copy), 1);
    EVP_CIPHER_CTX_free(copy);
    leaked = NULL;
    assert_false(leak_seen);
}

/* Records of TLS 1.2. */

static EVP_CIPHER_CTX *start_records(enum maker maker, const struct message *m, int encrypts)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    assert_int_equal(EVP_CipherInit_ex(c, cipher_of(maker, m), NULL, m->key, NULL, encrypts), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IV_FIXED, 4, (void *)(uintptr_t)m->iv),
                     1);
    return c;
}

/* A whole record in place; `len` is that of all of it, from nonce to tag.  Returns as
 * EVP_CipherUpdate() does, and how many bytes it gave. */
static int crypt_record(EVP_CIPHER_CTX *c, uint8_t *record, size_t len, int *given)
{
    /* libssl puts there the text's length and the nonce's, when encrypting. */
    size_t told = EVP_CIPHER_CTX_is_encrypting(c) ? len - 16 : len;
    uint8_t head[13] = {1, 2, 3, 4, 5, 6, 7, 8, 23, 3, 3, (uint8_t)(told >> 8), (uint8_t)told};

    if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, sizeof(head), head) != 16)
        return 0;
    return EVP_CipherUpdate(c, record, given, record, (int)len);
}

static void records_of_tls_1_2_are_as_openssl_has_them(void **state)
{
    static uint8_t record[16384 + 24];
    int given = 0;

    (void)state;
    for (size_t row = 0; row < 4; row++) {
        struct message m = random_message(row % 2 ? 16 : 32, 13, 0);
        EVP_CIPHER_CTX *seals = start_records(row / 2 ? OURS : THEIRS, &m, 1);
        EVP_CIPHER_CTX *opens = start_records(row / 2 ? THEIRS : OURS, &m, 0);

        for (size_t len = 0; len <= 16384; len += len < 600 ? 1 : 263) {
            memcpy(record + 8, text, len);
            assert_int_equal(crypt_record(seals, record, len + 24, &given), 1);
            assert_int_equal(given, len + 24);
            assert_int_equal(crypt_record(opens, record, len + 24, &given), 1);
            assert_int_equal(given, len);
            assert_memory_equal(record + 8, text, len);
        }
        EVP_CIPHER_CTX_free(seals);
        EVP_CIPHER_CTX_free(opens);
    }
}

static void each_record_of_tls_1_2_has_a_nonce_of_its_own(void **state)
{
    struct message m = random_message(16, 13, 0);
    EVP_CIPHER_CTX *c = start_records(OURS, &m, 1);
    uint8_t record[50] = {0};
    uint64_t last = 0;
    int given = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t nonce;

        assert_int_equal(crypt_record(c, record, sizeof(record), &given), 1);
        nonce = element_of(record).high;
        assert_true(i == 0 || nonce == last + 1);
        last = nonce;
    }
    /* What is no record has no IV. */
    assert_int_equal(crypt(c, out, text, 10), 0);
    assert_int_equal(end(c), 0);
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

static void no_nonce_of_a_record_is_lost_to_another_use(void **state)
{
    struct message m = random_message(16, 13, 0);
    uint8_t record[50] = {0};
    int given = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        EVP_CIPHER_CTX *c = start_records(OURS, &m, 1);

        assert_int_equal(crypt_record(c, record, sizeof(record), &given), 1);
        if (i == 0) { /* a part of it would stay the same */
            assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 8, NULL), 1);
        } else { /* a record that is opened brings its own */
            assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, NULL, 0), 1);
            assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, NULL, NULL, 1), 1);
        }
        assert_int_equal(crypt_record(c, record, sizeof(record), &given), 0);
        EVP_CIPHER_CTX_free(c);
    }
    ERR_clear_error();
}

static void a_broken_record_of_tls_1_2_is_wiped(void **state)
{
    static const uint8_t zero[1000];
    struct message m = random_message(16, 13, 0);
    EVP_CIPHER_CTX *seals = start_records(OURS, &m, 1), *opens = start_records(OURS, &m, 0);
    uint8_t record[1024] = {0};
    int given = 0;

    (void)state;
    for (size_t at = 0; at < sizeof(record); at += 31) {
        memcpy(record + 8, text, 1000);
        assert_int_equal(crypt_record(seals, record, sizeof(record), &given), 1);
        record[at] ^= 1;
        assert_int_equal(crypt_record(opens, record, sizeof(record), &given), 0);
        assert_memory_equal(record + 8, zero, 1000);
    }
    EVP_CIPHER_CTX_free(seals);
    EVP_CIPHER_CTX_free(opens);
    ERR_clear_error();
}

static void records_of_tls_1_2_that_cannot_be_are_refused(void **state)
{
    struct message m = random_message(16, 13, 0);
    EVP_CIPHER_CTX *c = start_records(OURS, &m, 0);
    uint8_t record[64] = {0}, head[13] = {0, 0, 0, 0, 0, 0, 0, 0, 23, 3, 3, 0, 64};
    int given = 0;

    (void)state;
    for (size_t len = 0; len < 24; len++)
        assert_int_equal(crypt_record(c, record, len, &given), 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, 12, head) <= 0);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, 13, head), 16);
    assert_int_equal(EVP_CipherUpdate(c, record, &given, record, 23), 0);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, 13, head), 16);
    assert_int_equal(EVP_CipherUpdate(c, out, &given, record, 64), 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IV_FIXED, 3, head) <= 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IV_FIXED, -1, head) <= 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_IV_GEN, 8, head) <= 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IV_INV, 8, head) <= 0);
    assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, m.key, m.iv, 0), 1); /* for a message */
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, 13, head) <= 0);
    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
}

/* Who does not ask for it may get it all the same, and must not see a difference. */
static void what_it_says_of_itself_is_what_openssl_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const EVP_CIPHER *ours = ciphers[OURS][i], *theirs = ciphers[THEIRS][i];

        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(ours)), "rvpn");
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(theirs)), "default");
        assert_int_equal(EVP_CIPHER_get_nid(ours), EVP_CIPHER_get_nid(theirs));
        assert_int_equal(EVP_CIPHER_get_flags(ours), EVP_CIPHER_get_flags(theirs));
        assert_int_equal(EVP_CIPHER_get_mode(ours), EVP_CIPHER_get_mode(theirs));
        assert_int_equal(EVP_CIPHER_get_key_length(ours), EVP_CIPHER_get_key_length(theirs));
        assert_int_equal(EVP_CIPHER_get_iv_length(ours), EVP_CIPHER_get_iv_length(theirs));
        assert_int_equal(EVP_CIPHER_get_block_size(ours), EVP_CIPHER_get_block_size(theirs));
    }
}

static void what_it_does_not_offer_comes_from_openssl(void **state)
{
    static const char *const names[] = {"AES-192-GCM", "AES-256-CBC", "ChaCha20-Poly1305"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, names[i], GCM_PROVIDER_PROPERTIES);

        assert_non_null(c);
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(c)), "default");
        EVP_CIPHER_free(c);
    }
}

static void fetch(enum maker maker, const char *properties)
{
    ciphers[maker][0] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", properties);
    ciphers[maker][1] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", properties);
}

static void more_keys_at_once_than_are_kept_ready_do_not_meet(void **state)
{
    enum { KEYS = 1200, LEN = 600 };
    static EVP_CIPHER_CTX *contexts[KEYS];
    static struct message messages[KEYS];
    static uint8_t all[KEYS][LEN];
    uint8_t want[16], got[16];

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        messages[i] = random_message(i % 2 ? 16 : 32, 13, LEN);
        contexts[i] = start(OURS, &messages[i], 1);
        assert_int_equal(add_aad(contexts[i], aad, 13), 1);
    }
    for (unsigned at = 0; at < LEN; at += 150) { /* all messages are under way at once */
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(crypt(contexts[i], all[i] + at, text + at, 150), 1);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(end(contexts[i]), 1);
        assert_int_equal(get_tag(contexts[i], got), 1);
        seal(THEIRS, &messages[i], sealed, want);
        assert_memory_equal(got, want, 16);
        assert_memory_equal(all[i], sealed, LEN);
        EVP_CIPHER_CTX_free(contexts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_every_length_are_as_openssl_has_them),
        cmocka_unit_test(pieces_of_any_length_come_to_the_same),
        cmocka_unit_test(the_examples_of_its_inventors_come_out),
        cmocka_unit_test(whatever_was_changed_is_not_opened),
        cmocka_unit_test(tags_of_12_to_16_bytes_are_compared_and_no_others),
        cmocka_unit_test(ivs_of_1_to_16_bytes_are_taken_and_no_others),
        cmocka_unit_test(the_counter_goes_round_at_32_bits),
        cmocka_unit_test(an_iv_serves_one_message),
        cmocka_unit_test(a_tag_counts_once_and_without_one_nothing_is_good),
        cmocka_unit_test(nothing_goes_without_a_key_or_without_an_iv),
        cmocka_unit_test(more_keys_at_once_than_are_kept_ready_do_not_meet),
        cmocka_unit_test(a_copy_goes_its_own_way),
        cmocka_unit_test(a_key_that_is_let_go_is_wiped),
        cmocka_unit_test(records_of_tls_1_2_are_as_openssl_has_them),
        cmocka_unit_test(each_record_of_tls_1_2_has_a_nonce_of_its_own),
        cmocka_unit_test(no_nonce_of_a_record_is_lost_to_another_use),
        cmocka_unit_test(a_broken_record_of_tls_1_2_is_wiped),
        cmocka_unit_test(records_of_tls_1_2_that_cannot_be_are_refused),
        cmocka_unit_test(what_it_says_of_itself_is_what_openssl_says),
        cmocka_unit_test(what_it_does_not_offer_comes_from_openssl),
    };
    OSSL_PROVIDER *provider;
    const char *why;
    int failed;

    if (gcm_provider_start(&provider, &why)) {
        print_message("skipped: %s\n", why);
        return 77;
    }
    fetch(OURS, GCM_PROVIDER_PROPERTIES);
    fetch(THEIRS, "provider=default");
    assert_true(RAND_bytes(text, sizeof(text)) == 1 && RAND_bytes(aad, sizeof(aad)) == 1);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < 4; i++)
        EVP_CIPHER_free(ciphers[i / 2][i % 2]);
    gcm_provider_stop(provider);
    return failed;
}

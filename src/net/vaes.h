/* vaes.h - AES-GCM in the widest vector registers (VAES, VPCLMULQDQ, AVX-512), as Intel's
 * multi-buffer library has it; the build works without that library.
 *
 * Knows no rules: what may follow what, and what a tag is compared with, is gcm's.
 *
 * Threads: vaes_start() on the main thread before the workers start; then any thread.  A key may
 *          be used by several at once, a message by one.
 * Memory:  the caller's.  Keys and messages hold secrets: cleanse them.
 */
#ifndef RVPN_NET_VAES_H
#define RVPN_NET_VAES_H

#include <stddef.h>
#include <stdint.h>

#define VAES_TAG 16U
#define VAES_KEY_SIZE 1024U /* bytes that hold a gcm_key_data, a multiple of its alignment */
#define VAES_KEY_ALIGNMENT 64U
#define VAES_MESSAGE_SIZE 96U /* bytes that hold a gcm_context_data */

struct gcm_key_data;     /* a key made ready; the library's */
struct gcm_context_data; /* a message under way; the library's */

/* With keys of one length.  No length is 0 but aad_len; `out` may be `in`. */
struct vaes {
    void (*expand)(const void *bytes, struct gcm_key_data *key);
    void (*begin)(const struct gcm_key_data *key, struct gcm_context_data *message,
                  const uint8_t *iv, uint64_t iv_len, const uint8_t *aad, uint64_t aad_len);
    void (*encrypt)(const struct gcm_key_data *key, struct gcm_context_data *message, uint8_t *out,
                    const uint8_t *in, uint64_t len);
    void (*decrypt)(const struct gcm_key_data *key, struct gcm_context_data *message, uint8_t *out,
                    const uint8_t *in, uint64_t len);
    /* Gives the tag, of what was encrypted and of what was decrypted alike. */
    void (*end)(const struct gcm_key_data *key, struct gcm_context_data *message, uint8_t *tag,
                uint64_t tag_len);
};

/* Returns 0 and *why, which library it is; or -ENOTSUP and *why not. */
int vaes_start(const char **why);

/* Lends what works with keys of 16 or 32 bytes; NULL unless vaes_start() has returned 0. */
const struct vaes *vaes_for(size_t key_bytes);

#endif

/* gcm.h - AES-GCM message by message on top of vaes: what may follow what, and when a tag is right.
 *
 * An IV serves one message: a second needs another, also after a failure.  Where a tag is wrong,
 * a record of TLS 1.2 is wiped; a message in pieces has been handed out by then, and is worth
 * nothing until gcm_end() has returned 0.
 *
 * Stricter than OpenSSL's own: IVs of 1 to 16 bytes and none made up, tags of 12 to 16 bytes
 * (SP 800-38D 5.2.1.2), and a tag to compare with counts once.
 *
 * Threads: a struct belongs to one thread at a time.
 * Memory:  gcm_free() cleanses, what its own thread has computed from the key included.  Nothing is
 *          allocated per message unless its AAD is the longest yet.
 * Errors:  0; -EINVAL for an argument, -EPROTO for what may not follow, -EBADMSG for a wrong tag,
 *          -ENOMEM.
 */
#ifndef RVPN_NET_GCM_H
#define RVPN_NET_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_IV 12U /* bytes, unless gcm_set_iv_len() says otherwise */
#define GCM_IV_MAX 16U
#define GCM_TAG 16U
#define GCM_RECORD_PAD 16U /* what a record of TLS 1.2 grows by behind its text */

enum gcm_way { GCM_DECRYPT, GCM_ENCRYPT };

struct gcm;

/* For keys of 16 or 32 bytes; NULL where vaes has none for them, or without memory. */
struct gcm *gcm_new(size_t key_len);
struct gcm *gcm_dup(const struct gcm *g);
void gcm_free(struct gcm *g);

/* A turn or a new key ends a message that is under way; a turn, or another length, an IV. */
void gcm_turn(struct gcm *g, enum gcm_way way);
int gcm_set_key(struct gcm *g, const uint8_t *key, size_t len);
int gcm_set_iv_len(struct gcm *g, size_t len);
int gcm_set_iv(struct gcm *g, const uint8_t *iv, size_t len);

size_t gcm_key_len(const struct gcm *g);
size_t gcm_iv_len(const struct gcm *g);
const uint8_t *gcm_iv(const struct gcm *g);

/* A message: AAD, then text in any number of pieces, then the end.  `out` may be `in`. */
int gcm_add_aad(struct gcm *g, const uint8_t *bytes, size_t len);
int gcm_crypt(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len);
int gcm_end(struct gcm *g);

/* What gcm_end() is to compare with; what it has made. */
int gcm_set_tag(struct gcm *g, const uint8_t *tag, size_t len);
int gcm_get_tag(const struct gcm *g, uint8_t *out, size_t len);

/* Records of TLS 1.2 (RFC 5288): the nonce is 4 bytes of the handshake's, then 8 that go with the
 * record, counted up from a random start.  The AAD's last two bytes are the length of what
 * gcm_crypt_record() will be given, but for the pad where that is still to come. */
int gcm_set_record_iv(struct gcm *g, const uint8_t *fixed, size_t len);
int gcm_expect_record(struct gcm *g, const uint8_t *aad, size_t len);
bool gcm_expects_record(const struct gcm *g);

/* In place: 8 bytes, text, 16 bytes.  Gives how much of it counts: all when encrypting, else the
 * text's length, which starts at record[8]. */
int gcm_crypt_record(struct gcm *g, uint8_t *record, size_t len, size_t *out_len);

#endif

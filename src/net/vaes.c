#include "net/vaes.h"

#include <errno.h>

static struct vaes of_128, of_256; /* written by vaes_start() only */

#ifdef RVPN_IPSEC_MB

#include <assert.h>
#include <intel-ipsec-mb.h>

static_assert(sizeof(struct gcm_key_data) <= VAES_KEY_SIZE &&
                  _Alignof(struct gcm_key_data) <= VAES_KEY_ALIGNMENT &&
                  sizeof(struct gcm_context_data) <= VAES_MESSAGE_SIZE,
              "what the library keeps has grown");

/* To set the library up where these are missing is an illegal instruction. __builtin_cpu_supports()
 * also asks whether the kernel saves such registers. */
static int look_for_processor(const IMB_MGR *m)
{
    return (m->features & IMB_CPUFLAGS_AVX512_T2) == IMB_CPUFLAGS_AVX512_T2 &&
           __builtin_cpu_supports("avx512f");
}

/* Keeps the functions, and not the manager, which has 200 KB for jobs we never give it. */
static void take_functions(const IMB_MGR *m)
{
    of_128 = (struct vaes){m->gcm128_pre, m->gcm128_init_var_iv, m->gcm128_enc_update,
                           m->gcm128_dec_update, m->gcm128_enc_finalize};
    of_256 = (struct vaes){m->gcm256_pre, m->gcm256_init_var_iv, m->gcm256_enc_update,
                           m->gcm256_dec_update, m->gcm256_enc_finalize};
}

int vaes_start(const char **why)
{
    IMB_MGR *m = alloc_mb_mgr(0);

    if (!m) {
        *why = "no memory";
        return -ENOTSUP;
    }
    if (!look_for_processor(m)) {
        *why = "the processor has no VAES with AVX-512";
        goto fail;
    }
    init_mb_mgr_avx512(m); /* ends with the library's own known-answer tests */
    if (imb_get_errno(m) || !(m->features & IMB_FEATURE_SELF_TEST_PASS)) {
        *why = "ipsec-mb fails its own test";
        goto fail;
    }
    take_functions(m);
    free_mb_mgr(m);
    *why = "ipsec-mb " IMB_VERSION_STR;
    return 0;

fail:
    free_mb_mgr(m);
    return -ENOTSUP;
}

#else

int vaes_start(const char **why)
{
    *why = "built without ipsec-mb";
    return -ENOTSUP;
}

#endif

const struct vaes *vaes_for(size_t key_bytes)
{
    if (!of_128.expand)
        return NULL;
    return key_bytes == 16 ? &of_128 : key_bytes == 32 ? &of_256 : NULL;
}

#include "load_token.h"

#include "load.h"
#include "load_loop.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

static size_t write_base64url(const void *bytes, size_t len, char *out)
{
    int count = EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

    for (char *c = out; *c; c++)
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
    while (count && out[count - 1] == '=')
        out[--count] = 0;
    return (size_t)count;
}

static const char *secret(void)
{
    static char text[1024];
    FILE *file = text[0] ? NULL : fopen(options.secret_file, "re");

    if (!text[0] && (!file || !fgets(text, sizeof(text), file)))
        die("%s", options.secret_file);
    if (file)
        (void)fclose(file);
    text[strcspn(text, "\r\n")] = 0;
    return text;
}

void token_write(const char *name, char *out, size_t size)
{
    static const char head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    unsigned char sum[EVP_MAX_MD_SIZE];
    char claims[256], ports[32] = "";
    unsigned sum_len;
    size_t len;
    int claims_len;

    if (options.token) {
        (void)snprintf(out, size, "%s", options.token);
        return;
    }
    if (options.raw_port)
        (void)snprintf(ports, sizeof(ports), ",\"ports\":[%u]", options.raw_port);
    claims_len = snprintf(claims, sizeof(claims), "{\"domains\":[\"%s\"]%s}", name, ports);
    if (size < 1024)
        die("a token needs room");
    len = write_base64url(head, sizeof(head) - 1, out);
    out[len++] = '.';
    len += write_base64url(claims, (size_t)claims_len, out + len);
    if (!HMAC(EVP_sha256(), secret(), (int)strlen(secret()), (unsigned char *)out, len, sum,
              &sum_len))
        die("HMAC");
    out[len++] = '.';
    (void)write_base64url(sum, sum_len, out + len);
}

/* load_handshake.h - TLS 1.3 handshakes in memory: the most that OpenSSL alone allows a relay. */
#ifndef RVPN_BENCH_LOAD_HANDSHAKE_H
#define RVPN_BENCH_LOAD_HANDSHAKE_H

/* With options.certificate and options.key, for options.seconds; prints one line of JSON, with
 * what the server's side of one took.  Returns what main() returns. */
int handshakes_in_memory(void);

#endif

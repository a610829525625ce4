// The server's answer to Sec-WebSocket-Key (RFC 6455, 4.2.2): base64 of SHA-1 of the key and a GUID.
#ifndef ACCEPT_KEY_H
#define ACCEPT_KEY_H

// `key` has 24 letters; `out` gets 28 and a NUL.
void accept_key(const char *key, char *out);

#endif

#pragma once
#include <openssl/evp.h>

// SHA-256 of `size` bytes; false only when the library fails.
static inline int gloss_sha256(const void *bytes, size_t size, unsigned char digest[32]) {
    return EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL);
}

#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

// SHA-256 of `size` bytes; false only when the library fails.
static inline int gloss_sha256(const void *bytes, size_t size, unsigned char digest[32]) {
    return EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL);
}

// Whether `size` bytes hold a certificate in PEM form.
static inline int gloss_has_certificate(const void *bytes, int size) {
    BIO *source = BIO_new_mem_buf(bytes, size);
    if (!source) return 0;
    X509 *certificate = PEM_read_bio_X509(source, NULL, NULL, NULL);
    if (!certificate) ERR_clear_error();
    X509_free(certificate);
    BIO_free(source);
    return certificate != NULL;
}

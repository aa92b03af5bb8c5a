// libcurl with types: its setopt and getinfo are variadic, which Swift does not call.
#pragma once

#include <curl/curl.h>
#include <stdint.h>

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value);
CURLcode ccurl_set_size(CURL *easy, CURLoption option, curl_off_t value);
CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value);
CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value);
CURLcode ccurl_on_body(CURL *easy, curl_write_callback callback, void *context);
CURLcode ccurl_on_header(CURL *easy, curl_write_callback callback, void *context);
CURLcode ccurl_on_open_socket(CURL *easy, curl_opensocket_callback callback, void *context);

// A value that curl does not have is 0 or NULL. Strings are curl's own.
long ccurl_get_long(CURL *easy, CURLINFO info);
curl_off_t ccurl_get_size(CURL *easy, CURLINFO info);
const char *ccurl_get_string(CURL *easy, CURLINFO info);

// The file of authorities that libcurl was built to trust, or NULL.
const char *ccurl_authorities(void);

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value);

// The result of the next finished transfer: its easy handle, or NULL when there is none.
CURL *ccurl_next_finished(CURLM *multi, CURLcode *result);

// The address of a socket about to be opened, in network order. Returns its length in bytes: 4 (IPv4), 16 (IPv6),
// or 0 for any other family.
int ccurl_read_address(const struct curl_sockaddr *address, uint8_t bytes[16], uint16_t *port);

// Opens the socket that curl asks for, closed in child processes. CURL_SOCKET_BAD when that fails.
curl_socket_t ccurl_open_socket(const struct curl_sockaddr *address);

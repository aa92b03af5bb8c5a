// This program's own connect and getaddrinfo, which libcurl finds before the C library's: no packet leaves.
#define _GNU_SOURCE
#include "CFuzzer.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

enum { most_bytes = 64 << 10, most_peers = 16 };

static uint8_t answer[most_bytes];
static size_t answer_size;
// The servers' ends stay open until the next answer: a client may still be sending its request.
static int peers[most_peers], peer_count;

void cfuzzer_answer(const uint8_t *bytes, size_t count) {
    while (peer_count) close(peers[--peer_count]);
    answer_size = count < most_bytes ? count : most_bytes;
    memcpy(answer, bytes, answer_size);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    (void)length;
    int pair[2];
    if (address->sa_family == AF_UNIX || peer_count == most_peers || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        errno = ECONNREFUSED;
        return -1;
    }
    if (write(pair[1], answer, answer_size) < 0) return -1;
    shutdown(pair[1], SHUT_WR);
    peers[peer_count++] = pair[1];
    const int flags = fcntl(socket, F_GETFL);
    dup2(pair[0], socket);
    close(pair[0]);
    return fcntl(socket, F_SETFL, flags);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
    (void)name;
    resolver *real = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
    return real("93.184.216.34", service, hints, list);
}

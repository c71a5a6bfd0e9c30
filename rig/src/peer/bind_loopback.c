/*
 * Preloaded into servers that know only "all addresses" (openssl ocsp -port takes a number alone): what they bind to
 * any address is bound to the loopback address in SEALFAX_BIND instead. Nobody else on the network ever sees them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    const char *text = getenv("SEALFAX_BIND");
    struct in_addr here;
    if (text == NULL || inet_pton(AF_INET, text, &here) != 1)
        here.s_addr = htonl(INADDR_LOOPBACK);
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        if (four.sin_addr.s_addr == htonl(INADDR_ANY))
            four.sin_addr = here;
        return next(socket, (struct sockaddr *)&four, sizeof four);
    }
    if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        if (memcmp(&six.sin6_addr, &in6addr_any, sizeof six.sin6_addr) == 0) {
            /* The IPv4 address inside IPv6 (RFC 4291 2.5.5.2). */
            memset(&six.sin6_addr, 0, sizeof six.sin6_addr);
            six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
            memcpy(&six.sin6_addr.s6_addr[12], &here, sizeof here);
        }
        return next(socket, (struct sockaddr *)&six, sizeof six);
    }
    return next(socket, address, length);
}

/* lookup NAME...: what the C library's resolver says of each name: one line each, addresses in the order
 * they came. Built against musl, whose resolver is another one than glibc's. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(argv[i], NULL, &hints, &list);
    printf("%s: %s", argv[i], status ? gai_strerror(status) : list->ai_canonname);
    for (struct addrinfo *at = status ? NULL : list; at; at = at->ai_next) {
      char text[64];
      getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
      printf(" %s", text);
    }
    putchar('\n');
  }
}

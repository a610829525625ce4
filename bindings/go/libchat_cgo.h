// libchat.h for the binding.
#ifndef LIBCHAT_CGO_H
#define LIBCHAT_CGO_H

// The type is defined so that cgo does not check at each call whether a pointer to it points to memory
// of Go, which would slow down publishing. A server is never in memory of Go.
struct chat_server {
	char opaque;
};

#include <libchat.h>

#endif

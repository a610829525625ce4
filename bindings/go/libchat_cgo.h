// libchat.h as the binding sees it.
#ifndef LIBCHAT_CGO_H
#define LIBCHAT_CGO_H

// Of a pointer to a type that is not defined cgo asks at each call whether it is Go's: a twentieth of
// what publishing a message takes. C's servers never are.
struct chat_server {
	char opaque;
};

#include <libchat.h>

#endif

// libchat.h for the binding.
#ifndef LIBCHAT_CGO_H
#define LIBCHAT_CGO_H

// The type is defined so that cgo does not check at each call whether a pointer to it points to memory
// of Go, which would slow down publishing. A server is never in memory of Go.
struct chat_server {
	char opaque;
};

#include <libchat.h>
#include <string.h>

// Keeps the text of a call that failed in memory of its own, which keptError frees: the text is
// the thread's, and the next call of a goroutine may be on another thread. For calls that are made too often to
// lock the goroutine to its thread; `*why` is a number so that cgo does not look behind a pointer at each call.
static inline chat_status chat_go_keep(chat_status status, uintptr_t *why) {
	if (status != CHAT_OK) *why = (uintptr_t)strdup(chat_last_error_message());
	return status;
}

#endif

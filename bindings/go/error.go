package chat

/*
#include "libchat_cgo.h"
#include <stdlib.h>

static const char *why_text(uintptr_t why) { return (const char *)why; }
static void why_free(uintptr_t why) { free((void *)why); }
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// The errors of this package, one value for each thing that a program can act on. Every error wraps
// one of them: compare with errors.Is. The texts are for people, and may change: they name the argument
// that is wrong, such as "chat: room: it is empty", and say what to do next.
var (
	// ErrInvalidArgument says that an argument or an option has a value that is not allowed.
	ErrInvalidArgument = errors.New("chat: an argument or an option has a value that is not allowed")
	// ErrInvalidUTF8 says that a text is not UTF-8. Send it as Binary.
	ErrInvalidUTF8 = errors.New("chat: a text is not UTF-8; send it as binary")
	// ErrTooLarge says that a message or a text is longer than its limit.
	ErrTooLarge = errors.New("chat: a message or text is longer than its limit")
	// ErrNotFound says that there is no such client or decision. A client may just have left; a
	// decision may have been made before, or its time is over.
	ErrNotFound = errors.New("chat: no such client or decision; a client may have left, or a decision may be too late")
	// ErrStopped says that the server is stopping or has stopped.
	ErrStopped = errors.New("chat: the server has stopped")
	// ErrTimedOut says that the given time was not enough.
	ErrTimedOut = errors.New("chat: the time given was not enough")
	// ErrQueueFull says that too much waits to be delivered, and did so for the whole
	// Options.PublishTimeout. Nothing was done: publish again later.
	ErrQueueFull = errors.New("chat: too much waits to be delivered; publish again later")
	// ErrUnsupported says that the server was started without the option that the call needs.
	ErrUnsupported = errors.New("chat: the server was started without the option that the call needs")
	// ErrTooManyRooms says that the client is in as many rooms as it may be: one with events, else
	// Options.MaxRoomsPerClient. Let it leave one first.
	ErrTooManyRooms = errors.New("chat: the client is in as many rooms as it may be: one with events, " +
		"else MaxRoomsPerClient; let it leave one first")
	// ErrFailed says that a part of the server could not go on, so that the server has stopped by
	// itself. The text of an error that wraps it says which part, and why, such as the text of a panic.
	ErrFailed = errors.New("chat: a part of the server could not go on, so it has stopped; the log says why")
	// ErrKeyReused says that the key was used for another message within the last five minutes. Nothing
	// was published: publish each message with its own key.
	ErrKeyReused = errors.New("chat: another message has this key; publish each message with its own")

	// ErrAddressInUse says that another socket has the port. It is also syscall.EADDRINUSE.
	ErrAddressInUse = errors.New("chat: the port is in use")
	// ErrAddressUnavailable says that the address does not belong to this machine. It is also
	// syscall.EADDRNOTAVAIL.
	ErrAddressUnavailable = errors.New("chat: the address does not belong to this machine")
	// ErrPermissionDenied says that the operating system does not permit it, for example a port below
	// 1024. It is also syscall.EACCES.
	ErrPermissionDenied = errors.New("chat: the operating system does not permit it")
	// ErrResourceLimit says that the operating system has no thread, descriptor or memory left.
	ErrResourceLimit = errors.New("chat: the operating system has no thread, descriptor or memory left")
	// ErrIO says that the operating system reported another error.
	ErrIO = errors.New("chat: the operating system reported an error")

	// ErrInternal says that libchat has a bug. The call had no effect, or only a part of it.
	ErrInternal = errors.New("chat: a bug in libchat")
)

// callError says why a call failed, with libchat's text, which names the argument that is wrong, such as
// "room: it is empty", each option that is, or the address that is not available.
type callError struct {
	text  string
	kind  error         // One of the Err values.
	errno syscall.Errno // The operating system's error; 0 if it reported none.
}

func (e *callError) Error() string { return "chat: " + e.text }

func (e *callError) Unwrap() []error {
	if e.errno == 0 {
		return []error{e.kind}
	}
	return []error{e.kind, e.errno}
}

// invalid returns ErrInvalidArgument with a text that says what is wrong.
func invalid(format string, args ...any) error {
	return &callError{text: fmt.Sprintf(format, args...), kind: ErrInvalidArgument}
}

// told makes a call of C, and returns its error with the text of the thread that made it.
func told(call func() C.chat_status) error {
	// The text is the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return lastError(call())
}

// lastError returns the error of the last call of C of this thread, to which the goroutine is locked; nil for
// CHAT_OK.
func lastError(status C.chat_status) error {
	if status == C.CHAT_OK {
		return nil
	}
	return &callError{text: C.GoString(C.chat_last_error_message()), kind: statusError(status)}
}

// keptError returns the error of a call whose text chat_go_keep has kept; nil for CHAT_OK.
func keptError(status C.chat_status, why C.uintptr_t) error {
	if status == C.CHAT_OK {
		return nil
	}
	if why == 0 {
		return statusError(status)
	}
	defer C.why_free(why)
	return &callError{text: C.GoString(C.why_text(why)), kind: statusError(status)}
}

package chat

import (
	"errors"
	"fmt"
	"syscall"
)

// The errors of this package, one value for each thing that a program can act on. Every error wraps
// one of them: compare with errors.Is. The texts are for people, and may change.
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
	// itself. The log says why.
	ErrFailed = errors.New("chat: a part of the server could not go on, so it has stopped; the log says why")

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

// startError says why a server did not start, with libchat's text, which names each wrong option or
// the address that is not available.
type startError struct {
	text  string
	kind  error         // One of the Err values.
	errno syscall.Errno // The operating system's error; 0 if it reported none.
}

func (e *startError) Error() string { return "chat: " + e.text }

func (e *startError) Unwrap() []error {
	if e.errno == 0 {
		return []error{e.kind}
	}
	return []error{e.kind, e.errno}
}

// invalid returns ErrInvalidArgument with a text that says what is wrong.
func invalid(format string, args ...any) error {
	return &startError{text: fmt.Sprintf(format, args...), kind: ErrInvalidArgument}
}

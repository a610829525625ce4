package chat

import (
	"errors"
	"fmt"
	"syscall"
)

// What can go wrong, one value for each thing that a program can act on. Errors of this package
// wrap one of them: compare with errors.Is. The texts are for people, and no API.
var (
	// ErrInvalidArgument says that an argument or an option has a value that is not allowed.
	ErrInvalidArgument = errors.New("chat: an argument or an option has a value that is not allowed")
	// ErrInvalidUTF8 says that a text is not UTF-8. Send it as Binary.
	ErrInvalidUTF8 = errors.New("chat: a text is not UTF-8; send it as binary")
	// ErrTooLarge says that a message or a text is longer than its limit.
	ErrTooLarge = errors.New("chat: a message or text is longer than its limit")
	// ErrNotFound says that there is no such client or decision. A client may just have left; a
	// decision may have been made before, or its time be over.
	ErrNotFound = errors.New("chat: there is no such client or decision; a client may have left, a decision come too late")
	// ErrStopped says that the server is stopping or has stopped.
	ErrStopped = errors.New("chat: the server has stopped")
	// ErrTimedOut says that the time given was not enough.
	ErrTimedOut = errors.New("chat: the time given was not enough")
	// ErrQueueFull says that too much is waiting to be delivered, and was for the whole of
	// Options.PublishTimeout. Nothing was done: publish again later.
	ErrQueueFull = errors.New("chat: too much is waiting to be delivered; publish again later")
	// ErrUnsupported says that the server was started without the option that the call needs.
	ErrUnsupported = errors.New("chat: the server was started without what the call needs")
	// ErrTooManyRooms says that the client is in as many rooms as it may be
	// (Options.MaxRoomsPerClient).
	ErrTooManyRooms = errors.New("chat: the client is in as many rooms as it may be")

	// ErrAddressInUse says that another socket has the port. It is also syscall.EADDRINUSE.
	ErrAddressInUse = errors.New("chat: the port is in use")
	// ErrAddressUnavailable says that the address is not one of this machine. It is also
	// syscall.EADDRNOTAVAIL.
	ErrAddressUnavailable = errors.New("chat: the address is not one of this machine")
	// ErrPermissionDenied says that the operating system does not allow it, such as a port below
	// 1024. It is also syscall.EACCES.
	ErrPermissionDenied = errors.New("chat: the operating system does not allow it")
	// ErrResourceLimit says that the operating system has no thread, descriptor or memory left.
	ErrResourceLimit = errors.New("chat: the operating system has no thread, descriptor or memory left")
	// ErrIO says that the operating system reported another error.
	ErrIO = errors.New("chat: the operating system reported an error")

	// ErrInternal says that there is a bug in libchat. The call had no effect or only a part of it.
	ErrInternal = errors.New("chat: a bug in libchat")
)

// startError says why a server did not start: in libchat's words, which name each wrong option or
// the address that cannot be had.
type startError struct {
	text  string
	kind  error         // One of the Err values.
	errno syscall.Errno // What the operating system said; 0 if it had no part in it.
}

func (e *startError) Error() string { return "chat: " + e.text }

func (e *startError) Unwrap() []error {
	if e.errno == 0 {
		return []error{e.kind}
	}
	return []error{e.kind, e.errno}
}

// invalid is ErrInvalidArgument with what is wrong.
func invalid(format string, args ...any) error {
	return &startError{text: fmt.Sprintf(format, args...), kind: ErrInvalidArgument}
}

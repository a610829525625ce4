package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_signal
#cgo nocallback chat_server_signal
#cgo noescape chat_server_signal_client
#cgo nocallback chat_server_signal_client
*/
import "C"

import "runtime"

// Signal tells the clients in a room something that is stored nowhere and has no position, such as
// that somebody types. It comes in the order of the room's messages. Clients of the JSON form and of
// events get it; plain WebSocket clients get none. A client that lags is passed over, and is told
// nothing of it. The data is copied: at most 4 KiB, or Options.MaxMessageSize if that is less.
//
// Signal never waits. Where too much waits already, the signal is dropped and counted
// (Stats.SignalsDropped), and Signal returns nil, as it does if nobody is in the room. The errors are
// ErrInvalidArgument for a name that no room can have or an unknown kind, ErrInvalidUTF8, ErrTooLarge
// and ErrStopped.
func (s *Server) Signal(room string, kind Kind, data []byte) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	status := C.chat_server_signal(s.handle.server, chars(room), C.size_t(len(room)), C.uint32_t(kind),
		payload(data), C.size_t(len(data)))
	s.handle.end()
	runtime.KeepAlive(s)
	if status == C.CHAT_ERR_INVALID_ARGUMENT && (kind == Text || kind == Binary) {
		return invalidRoom(room)
	}
	return statusError(status)
}

// SignalClient sends a signal to one client, as Signal does to a room. A client that lags or waits for
// admission is passed over.
//
// The errors are ErrNotFound, ErrInvalidArgument for an unknown kind, ErrInvalidUTF8, ErrTooLarge and
// ErrStopped.
func (s *Server) SignalClient(client ClientID, kind Kind, data []byte) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	status := C.chat_server_signal_client(s.handle.server, C.chat_client_id(client), C.uint32_t(kind),
		payload(data), C.size_t(len(data)))
	s.handle.end()
	runtime.KeepAlive(s)
	return statusError(status)
}

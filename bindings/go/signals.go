package chat

/*
#include "libchat_cgo.h"

static chat_status signal_to_room(chat_server *server, const char *room, size_t room_len, uint32_t kind,
		const uint8_t *data, size_t data_len, uintptr_t *why) {
	return chat_go_keep(chat_server_signal(server, room, room_len, kind, data, data_len), why);
}

static chat_status signal_to_client(chat_server *server, chat_client_id client, uint32_t kind, const uint8_t *data,
		size_t data_len, uintptr_t *why) {
	return chat_go_keep(chat_server_signal_client(server, client, kind, data, data_len), why);
}

#cgo noescape signal_to_room
#cgo nocallback signal_to_room
#cgo noescape signal_to_client
#cgo nocallback signal_to_client
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
	var why C.uintptr_t
	status := C.signal_to_room(s.handle.server, chars(room), C.size_t(len(room)), C.uint32_t(kind),
		payload(data), C.size_t(len(data)), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return keptError(status, why)
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
	var why C.uintptr_t
	status := C.signal_to_client(s.handle.server, C.chat_client_id(client), C.uint32_t(kind), payload(data),
		C.size_t(len(data)), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return keptError(status, why)
}

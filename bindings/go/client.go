package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_allow_changed
#cgo nocallback chat_server_allow_changed
#cgo noescape chat_server_reject
#cgo nocallback chat_server_reject
#cgo noescape chat_server_join
#cgo nocallback chat_server_join
#cgo noescape chat_server_leave
#cgo nocallback chat_server_leave
#cgo noescape chat_server_set_identity
#cgo nocallback chat_server_set_identity
*/
import "C"

import "runtime"

// Accept lets a client be connected that an EventConnectRequest told of. It gets what is published to
// its room from here on. What else the answer says is said before: SetIdentity, Join and Leave (also
// of the room that it asks for), SetEcho, Send.
//
// The errors are ErrNotFound if the client has left, was decided on before, or the time is over, and
// ErrStopped.
func (s *Server) Accept(client ClientID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_accept(server, C.chat_client_id(client))
	})
}

// Reject refuses a client that an EventConnectRequest told of: its request is answered with an HTTP
// status of 400 to 599 and a text of at most 1,024 bytes.
//
// The errors are ErrNotFound if the client has left, was decided on before, or the time is over;
// ErrInvalidArgument for another status, ErrInvalidUTF8, ErrTooLarge and ErrStopped.
func (s *Server) Reject(client ClientID, httpStatus int, reason string) error {
	status := C.uint16_t(min(max(httpStatus, 0), 1<<16-1))
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_reject(server, C.chat_client_id(client), status, chars(reason), C.size_t(len(reason)))
	})
}

// Join puts a client into a room, beside those that it is in: it receives what is published to the
// room from here on. It speaks to the room that it joined first of those that it is in. EventJoined
// follows, unless the client is in the room already.
//
// While more is to be done than the server may keep it waits, up to Options.PublishTimeout. The errors are
// ErrNotFound, ErrInvalidArgument for a name that no room has, ErrTooManyRooms, ErrInvalidUTF8, ErrTooLarge, ErrQueueFull
// and ErrStopped.
func (s *Server) Join(client ClientID, room string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_join(server, C.chat_client_id(client), chars(room), C.size_t(len(room)))
	})
}

// Leave takes a client out of a room: it receives nothing that is published to the room from here on.
// A client that is in no room any more speaks to the program alone. EventLeft follows, unless the
// client is not in the room. The errors are those of Join.
func (s *Server) Leave(client ClientID, room string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_leave(server, C.chat_client_id(client), chars(room), C.size_t(len(room)))
	})
}

// SetEcho sets whether a client receives its own messages, whatever the option or its query said. It may
// wait as Join does. The errors are ErrNotFound, ErrQueueFull and ErrStopped.
func (s *Server) SetEcho(client ClientID, echo bool) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_echo(server, C.chat_client_id(client), C.bool(echo))
	})
}

// SetIdentity sets what the program calls a client, such as the name of its user: all later events of
// the client carry it. At most 256 bytes of UTF-8; clients do not see it. It may wait as Join does. The
// errors are ErrNotFound, ErrInvalidUTF8, ErrTooLarge, ErrQueueFull and ErrStopped.
func (s *Server) SetIdentity(client ClientID, identity string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_identity(server, C.chat_client_id(client), chars(identity), C.size_t(len(identity)))
	})
}

// Allow lets a message be published that an EventMessageRequest told of. It goes on when what the same
// client sent before is decided. A client that leaves meanwhile stays in its rooms, and its
// EventDisconnected waits, until its messages are decided.
//
// The errors are ErrNotFound if it was decided before or the time is over, and ErrStopped.
func (s *Server) Allow(decision DecisionID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_allow(server, C.chat_decision_id(decision))
	})
}

// AllowChanged does what Allow does, with another message in the place of the client's. The errors are
// those of Allow; with ErrInvalidArgument for an unknown kind, ErrInvalidUTF8 and ErrTooLarge the
// message is still to be decided on.
func (s *Server) AllowChanged(decision DecisionID, kind Kind, data []byte) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_allow_changed(server, C.chat_decision_id(decision), C.uint32_t(kind),
			payload(data), C.size_t(len(data)))
	})
}

// Refuse lets a message not be published that an EventMessageRequest told of. Its sender is not told:
// say so with Send. The errors are those of Allow.
func (s *Server) Refuse(decision DecisionID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_refuse(server, C.chat_decision_id(decision))
	})
}

// call makes a call of C's while the server cannot be freed.
func (s *Server) call(call func(*C.chat_server) C.chat_status) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	status := call(s.handle.server)
	s.handle.end()
	runtime.KeepAlive(s)
	return statusError(status)
}

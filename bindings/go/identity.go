package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_send_to_identity
#cgo nocallback chat_server_send_to_identity
#cgo noescape chat_server_disconnect_identity
#cgo nocallback chat_server_disconnect_identity
#cgo noescape chat_server_join_identity
#cgo nocallback chat_server_join_identity
#cgo noescape chat_server_leave_identity
#cgo nocallback chat_server_leave_identity
#cgo noescape chat_server_identity_clients
#cgo nocallback chat_server_identity_clients
*/
import "C"

import (
	"errors"
	"unsafe"
)

// SendToIdentity sends a message to all connections of an identity (SetIdentity), whatever rooms they are
// in. It returns how many they are: 0 is no error. A connection counts from the SetIdentity that has given
// it the identity until that of another one, a Disconnect, or its end. One that waits for admission counts,
// and receives the message when it is accepted. An empty identity is nobody's.
//
// SendToIdentity may wait as Join does. The errors are ErrInvalidArgument for an unknown kind,
// ErrInvalidUTF8, ErrTooLarge for the message and for an identity of more than 256 bytes; ErrQueueFull if
// too much waits for any of the connections: nothing was sent then, to no one; and ErrStopped: a part may
// have been sent.
func (s *Server) SendToIdentity(identity string, kind Kind, data []byte) (int, error) {
	var reached C.size_t
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_send_to_identity(server, chars(identity), C.size_t(len(identity)),
			C.uint32_t(kind), payload(data), C.size_t(len(data)), &reached)
	})
	return int(reached), err
}

// DisconnectIdentity closes all connections of an identity, each as Disconnect does, and does not wait for
// them. It returns how many they are. One that waits for admission is rejected with HTTP 403 and the reason.
//
// When DisconnectIdentity has returned, the identity has no connection: one that is closed with Disconnect
// or with this does not count any more, though its EventDisconnected may come later, and still carries the
// identity.
//
// The errors are ErrInvalidArgument for a code that Disconnect does not take, ErrInvalidUTF8, ErrTooLarge
// for the reason and for an identity of more than 256 bytes, and ErrStopped.
func (s *Server) DisconnectIdentity(identity string, code uint16, reason string) (int, error) {
	var reached C.size_t
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_disconnect_identity(server, chars(identity), C.size_t(len(identity)),
			C.uint16_t(code), chars(reason), C.size_t(len(reason)), &reached)
	})
	return int(reached), err
}

// JoinIdentity puts all connections of an identity into a room, each as Join does. It returns how many of
// them are in the room then; those that were there already are among them. All enter between the same
// messages, and get nothing of the room's past: to give it, call JoinWithPast for each of IdentityClients. A
// client of events is in one room: one that is in another stays there, and does not count.
//
// JoinIdentity may wait as Join does. The error is ErrTooManyRooms if any other connection of the identity
// is in as many rooms as it may be (Options.MaxRoomsPerClient); to put those into the room that have a place,
// call Join for each of IdentityClients. The others are ErrInvalidArgument for a name that no room can have,
// ErrInvalidUTF8, ErrTooLarge, ErrQueueFull and ErrStopped. After each error nothing has changed for any of
// the connections.
func (s *Server) JoinIdentity(identity, room string) (int, error) {
	var reached C.size_t
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_join_identity(server, chars(identity), C.size_t(len(identity)),
			chars(room), C.size_t(len(room)), &reached)
	})
	return int(reached), err
}

// LeaveIdentity takes all connections of an identity out of a room, each as Leave does. It returns how many
// of them were in the room. One that waits for admission to the room does not ask for it any more, and
// counts.
//
// LeaveIdentity may wait as Join does. The errors are ErrInvalidArgument for a name that no room can have,
// ErrInvalidUTF8, ErrTooLarge and ErrQueueFull, after which nothing has changed, and ErrStopped: a part may
// have left.
func (s *Server) LeaveIdentity(identity, room string) (int, error) {
	var reached C.size_t
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_leave_identity(server, chars(identity), C.size_t(len(identity)),
			chars(room), C.size_t(len(room)), &reached)
	})
	return int(reached), err
}

// IdentityClients returns the clients that have an identity now, in no particular order: those whom
// SendToIdentity would reach. Those that wait for admission are among them. The errors are ErrInvalidUTF8,
// ErrTooLarge for an identity of more than 256 bytes, and ErrStopped.
func (s *Server) IdentityClients(identity string) ([]ClientID, error) {
	clients := make([]ClientID, 8)
	for {
		var count C.size_t
		err := s.call(func(server *C.chat_server) C.chat_status {
			return C.chat_server_identity_clients(server, chars(identity), C.size_t(len(identity)),
				(*C.chat_client_id)(unsafe.Pointer(unsafe.SliceData(clients))), C.size_t(len(clients)), &count)
		})
		if err == nil {
			return clients[:count], nil
		}
		if !errors.Is(err, ErrTooLarge) || int(count) <= len(clients) {
			return nil, err
		}
		clients = make([]ClientID, count+count/2) // More may come meanwhile.
	}
}

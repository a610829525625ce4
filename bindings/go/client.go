package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_allow_changed
#cgo nocallback chat_server_allow_changed
#include <stddef.h>

// The lengths of a header's name and value: Go must not pass memory that points to other memory of Go.
struct lengths {
	size_t name, value;
};

// Rejects with headers whose names and values lie one behind the other in bytes. One more than the
// library takes is enough for it to say so.
static chat_status reject_packed(chat_server *server, chat_client_id client, uint16_t http_status,
		const char *reason, size_t reason_len, const char *bytes, const struct lengths *lengths, size_t count) {
	chat_header headers[65];
	if (count > 65) count = 65;
	for (size_t i = 0; i < count; i++) {
		const char *value = bytes + lengths[i].name;
		headers[i] = (chat_header){bytes, lengths[i].name, value, lengths[i].value};
		bytes = value + lengths[i].value;
	}
	return chat_server_reject(server, client, http_status, reason, reason_len, headers, count);
}

#cgo noescape reject_packed
#cgo nocallback reject_packed
#cgo noescape chat_server_join
#cgo nocallback chat_server_join
#cgo noescape chat_server_join_with_past
#cgo nocallback chat_server_join_with_past
#cgo noescape chat_server_leave
#cgo nocallback chat_server_leave
#cgo noescape chat_server_set_identity
#cgo nocallback chat_server_set_identity
#cgo noescape chat_server_set_name
#cgo nocallback chat_server_set_name
#cgo noescape chat_server_set_subprotocol
#cgo nocallback chat_server_set_subprotocol
*/
import "C"

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"unsafe"
)

// Accept accepts the client of an EventConnectRequest: it completes the client's handshake. The
// client receives what is published to its room from this call on, and first as much of the room's
// past as it asks for with "?history=" or "?since="; AcceptWithPast bounds that.
//
// What else the host decides about the client, it does before this call: SetIdentity, SetName, Join
// and Leave (also of the room that the client asks for), SetEcho, SetSubprotocol, Send. A client that the host has
// joined to the room that it asks for gets the past that the host gave there: with Join, none.
//
// The errors are ErrNotFound if the client has left, was decided on before, or its time is over,
// and ErrStopped.
func (s *Server) Accept(client ClientID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_accept(server, C.chat_client_id(client))
	})
}

// AcceptWithPast accepts a client as Accept does, which is this with PastAll, and bounds what the
// client may have of the past of the room that it asks for. Within `past` the client gets what it
// asks for: with "?history=N" the last N messages, with "?since=POSITION" what was published after
// that position, and nothing if it asks for nothing. The header Last-Event-ID of a client of events
// counts as "?since=POSITION". If the client lacks more, it gets as many messages as `past` says, or the
// last N if it also has "?history=N" and that is less. The bound does not concern rooms that the host
// joins the client to.
//
// The errors are those of Accept, and ErrInvalidArgument for a negative `past`.
func (s *Server) AcceptWithPast(client ClientID, past Past) error {
	count, err := past.count()
	if err != nil {
		return err
	}
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_accept_with_past(server, C.chat_client_id(client), count)
	})
}

// Reject rejects the client of an EventConnectRequest: it answers the client's request with an HTTP
// status of 400 to 599 and a text of at most 1,024 bytes, or with 204 ("stop asking", for an
// EventSource) and no text: `reason` is not sent then.
//
// The answer has the headers of `header`, such as Retry-After, sorted by name: at most 64, with at
// most 8 KiB in all; nil means none. A header that HTTP requires with the status is added if it is
// not among them: "WWW-Authenticate: Bearer" with 401, "Allow: GET" with 405, "Proxy-Authenticate:
// Basic" with 407, "Upgrade: websocket" with 426.
//
// Any status ends an EventSource for ever (FormEvents). A host that means "later" calls Accept, and then
// Disconnect with 1013.
//
// The errors are ErrNotFound if the client has left, was decided on before, or its time is over;
// ErrInvalidArgument for another status, and for a header that breaks the rules of HTTP or that
// libchat sets itself (Connection, Content-Length, Content-Type, Date, Transfer-Encoding, Upgrade);
// ErrInvalidUTF8, ErrTooLarge and ErrStopped.
func (s *Server) Reject(client ClientID, httpStatus int, reason string, header http.Header) error {
	if httpStatus != int(uint16(httpStatus)) {
		return invalid("http_status: %d does not refuse a request; use 204, or 400 to 599", httpStatus)
	}
	var bytes []byte
	var lengths []C.struct_lengths
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			lengths = append(lengths, C.struct_lengths{C.size_t(len(name)), C.size_t(len(value))})
			bytes = append(append(bytes, name...), value...)
		}
	}
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.reject_packed(server, C.chat_client_id(client), C.uint16_t(httpStatus), chars(reason), C.size_t(len(reason)),
			(*C.char)(unsafe.Pointer(unsafe.SliceData(bytes))), unsafe.SliceData(lengths), C.size_t(len(lengths)))
	})
}

// Join puts a client into a room, in addition to the rooms that it is in. The client receives what
// is published to the room from this call on. What the client sends is published to one of its
// rooms: the one that it joined first. EventJoined follows, unless the client is already in the
// room. The client gets nothing of the room's past: JoinWithPast gives it.
//
// Join waits up to Options.PublishTimeout while too much waits to be done. The errors are
// ErrNotFound, ErrInvalidArgument for a name that no room can have, ErrTooManyRooms if the client is in
// as many rooms as it may be (Options.MaxRoomsPerClient; a client of events in one: let it leave that
// first), ErrInvalidUTF8, ErrTooLarge, ErrQueueFull and ErrStopped.
func (s *Server) Join(client ClientID, room string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_join(server, C.chat_client_id(client), chars(room), C.size_t(len(room)))
	})
}

// JoinWithPast puts a client into a room as Join does, which is this with PastNone, and gives it the
// last messages of the room, as many as `past` says. The client need not have asked for them. It
// receives them first, and then what is published from this call on: nothing is missing between them,
// and nothing comes twice.
//
// A client that comes back gets what it lacks, if that is at most as many messages as `past` says, and
// otherwise the last of them. `since` is the position up to which it has everything, such as that of
// the room when a page was rendered (Position). If it is zero, the server uses the position that the
// client sent for this room ("?since.ROOM=POSITION"; for the room of its path also "?since="), once: when
// the client first enters it, whichever call puts it there. What a client of events sends as Last-Event-ID
// or "?since=" counts for the room that it enters first. A position of another room or of a history that
// is gone is no error: the client does not recover. A client that is in the room already gets nothing.
//
// JoinWithPast may wait as Join does. The errors are those of Join, and ErrInvalidArgument for a
// negative `past`.
func (s *Server) JoinWithPast(client ClientID, room string, past Past, since Position) error {
	count, err := past.count()
	if err != nil {
		return err
	}
	position := C.chat_position{C.uint64_t(since.Epoch), C.uint64_t(since.Offset)}
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_join_with_past(server, C.chat_client_id(client), chars(room), C.size_t(len(room)),
			count, &position)
	})
}

// Leave takes a client out of a room. The client receives nothing that is published to the room
// from this call on, and what it sends after the call has returned does not go there. What a client
// in no room sends goes to the host alone. EventLeft follows, unless the client is not in the room.
// Leave may wait as Join does. The errors are those of Join but ErrTooManyRooms.
func (s *Server) Leave(client ClientID, room string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_leave(server, C.chat_client_id(client), chars(room), C.size_t(len(room)))
	})
}

// SetEcho sets whether a client receives its own messages: those that it sends after the call has
// returned. This overrides the option and the client's query. As Options.NoEcho, it does not count for
// a room's past. SetEcho may wait as Join does. The errors are ErrNotFound, ErrQueueFull and ErrStopped.
func (s *Server) SetEcho(client ClientID, echo bool) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_echo(server, C.chat_client_id(client), flag(echo))
	})
}

// SetIdentity sets a client's identity: the host's name for it, such as the name of its user.
// All later events of the client carry it, those of the messages that it sends after the call has
// returned among them. At most 256 bytes of UTF-8. Clients do not see it; what they see is the name
// (SetName). Several clients may have one identity: SendToIdentity and the calls like it reach them all,
// this client from when SetIdentity has returned. An empty identity takes the identity back: the client
// then has none. SetIdentity may wait as Join does. The errors are ErrNotFound, ErrInvalidUTF8, ErrTooLarge,
// ErrQueueFull and ErrStopped.
func (s *Server) SetIdentity(client ClientID, identity string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_identity(server, C.chat_client_id(client), chars(identity), C.size_t(len(identity)))
	})
}

// SetName sets the name under which other clients see a client's messages: all that it sends after the
// call has returned. At most 128 bytes of UTF-8 without control characters. By default a client has the
// name that it claims itself with "?name=", or none. The host's name replaces a claimed one. An empty
// name takes the name back, the host's and the claimed one: the client then has none.
//
// Clients of the JSON form see names, and of claimed ones that they are claimed ("claimed":true); plain
// clients see none. A message that a room keeps keeps its name. Several clients may have one name: what
// the host knows a client by is the identity.
//
// SetName may wait as Join does. The errors are ErrNotFound, ErrInvalidArgument for a longer name or one
// with control characters, ErrInvalidUTF8, ErrTooLarge, ErrQueueFull and ErrStopped.
func (s *Server) SetName(client ClientID, name string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_name(server, C.chat_client_id(client), chars(name), C.size_t(len(name)))
	})
}

// SetSubprotocol chooses the subprotocol that the answer to the client of an EventConnectRequest names,
// before Accept: one that the client offers in its header Sec-WebSocket-Protocol, compared as it is. So a page
// can offer names of its own, such as one that carries a token beside one that the host chooses. The last call
// counts. Without a call the answer names libchat.json if the client offers it, and else none.
//
// It does not change how the client receives messages (Form). A client that offers libchat.json among others
// speaks the JSON form under that name, and can have no other; with "?format=json" in its address it speaks
// the JSON form under any name, or under none.
//
// The errors are ErrInvalidArgument if the client does not offer it, or offers libchat.json too without
// "?format=json", or is one of events; ErrNotFound if the client has left, was decided on before, or its time
// is over; ErrInvalidUTF8, ErrTooLarge and ErrStopped. After each of them nothing has changed.
func (s *Server) SetSubprotocol(client ClientID, name string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_subprotocol(server, C.chat_client_id(client), chars(name), C.size_t(len(name)))
	})
}

// Allow allows the message of an EventMessageRequest: it publishes the message to the event's room,
// as soon as the client's earlier messages are decided. The message is not published, and counts in
// Stats.MessagesRefused, if by then the host has taken the client out of that room or the server
// stops. A client that disconnects before its messages are decided stays in its rooms until they
// are; its EventDisconnected follows them.
//
// The errors are ErrNotFound if the message was decided on before or its time is over, and
// ErrStopped.
func (s *Server) Allow(decision DecisionID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_allow(server, C.chat_decision_id(decision))
	})
}

// AllowChanged does what Allow does, but publishes another message in place of the client's. The
// errors are those of Allow, and ErrInvalidArgument for an unknown kind, ErrInvalidUTF8 and
// ErrTooLarge: after these three the message still waits for a decision.
func (s *Server) AllowChanged(decision DecisionID, kind Kind, data []byte) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_allow_changed(server, C.chat_decision_id(decision), C.uint32_t(kind),
			payload(data), C.size_t(len(data)))
	})
}

// Refuse refuses the message of an EventMessageRequest: it is not published. A sender of the JSON form is
// told ("refused"), a plain one is not: use Send to tell it. The errors are those of Allow.
func (s *Server) Refuse(decision DecisionID) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_refuse(server, C.chat_decision_id(decision))
	})
}

// call calls C while the server cannot be freed.
func (s *Server) call(call func(*C.chat_server) C.chat_status) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	err := told(func() C.chat_status { return call(s.handle.server) })
	s.handle.end()
	runtime.KeepAlive(s)
	return err
}

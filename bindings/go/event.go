package chat

import (
	"fmt"
	"net/netip"
)

// ClientID is the id of one client's connection: never 0, never used twice by a server.
type ClientID uint64

// Kind says whether a message is text or bytes.
type Kind uint32

const (
	// Text is UTF-8 text.
	Text Kind = 1
	// Binary is bytes of any value.
	Binary Kind = 2
)

// String returns "text" or "binary".
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Form says how a client receives messages. Later versions may add forms.
type Form uint32

const (
	// FormPlain is a WebSocket whose messages are the messages themselves.
	FormPlain Form = 1
	// FormJSON is a WebSocket whose messages are objects.
	FormJSON Form = 2
	// FormEvents is server-sent events over HTTP, of the messages themselves or of objects. Such a
	// client sends nothing, and is in one room.
	FormEvents Form = 3
)

// String returns "plain", "json" or "events".
func (f Form) String() string {
	switch f {
	case FormPlain:
		return "plain"
	case FormJSON:
		return "json"
	case FormEvents:
		return "events"
	}
	return fmt.Sprintf("form %d", uint32(f))
}

// Event is something that happened on a server: one of the Event types of this package, which a
// type switch tells apart. Later versions may add types: ignore those that you do not know.
//
// The events of one client come in this order: EventConnectRequest (if Options.AdmissionTimeout is
// set), EventConnected, any number of EventMessageRequest, EventMessage, EventSignal, EventJoined,
// EventLeft and EventMessagesDropped, EventDisconnected. If the host joins a client to rooms before it accepts
// it, those EventJoined come before EventConnected. A client that is not admitted has no
// EventConnected. The host owns all that an event holds.
type Event interface{ isEvent() }

// EventConnectRequest says that a client asks to be connected, and waits for Server.Accept or
// Server.Reject (see Options.AdmissionTimeout).
type EventConnectRequest struct {
	Client ClientID
	Room   string // The room that it asks for.
	Form   Form   // How it will receive messages.
	Request
}

// EventConnected says that a client has connected and is in its room.
type EventConnected struct {
	Client   ClientID
	Identity string // The client's identity (see Server.SetIdentity).
	Room     string // The room that it is in and publishes to; empty if it is in none.
	Form     Form   // How it receives messages.
	Request
}

// EventJoined says that the host has put a client into a room (see Server.Join).
type EventJoined struct {
	Client   ClientID
	Identity string
	Room     string
}

// EventLeft says that the host has taken a client out of a room (see Server.Leave).
type EventLeft struct {
	Client   ClientID
	Identity string
	Room     string
}

// DecisionID is the id of one decision on a client's message: never 0, never used twice by a
// server.
type DecisionID uint64

// EventMessageRequest says that a client sent a message, which waits for Server.Allow,
// Server.AllowChanged or Server.Refuse (see Options.ReviewTimeout). If it is published, EventMessage
// follows.
type EventMessageRequest struct {
	Client   ClientID
	Identity string
	Room     string // The room that the message is for.
	Decision DecisionID
	Kind     Kind
	Data     []byte // The payload, which is UTF-8 if Kind is Text.
}

// EventMessage says that a client published a message, which is being delivered to the room. The
// message of a client in no room goes to the host alone: then Room is empty and Position is zero.
type EventMessage struct {
	Client   ClientID
	Identity string
	Room     string
	Position Position
	Kind     Kind
	Data     []byte // The payload, which is UTF-8 if Kind is Text.
}

// EventSignal says that a client has signalled to the others in a room, or to the host alone (see
// Options.SignalRate). While half of the event queue is full, signals are dropped, and counted in
// Stats.SignalsDropped.
type EventSignal struct {
	Client   ClientID
	Identity string
	Room     string // Empty if the client is in none: then the signal was for the host.
	Kind     Kind
	Data     []byte // The payload, which is UTF-8 if Kind is Text: at most 4 KiB.
}

// EventMessagesDropped says that the oldest messages that waited for a slow consumer were dropped
// (see DropOldest).
type EventMessagesDropped struct {
	Client ClientID
	Count  uint64
}

// EventDisconnected says that a client has disconnected, or was not admitted. It is in no room any
// more.
type EventDisconnected struct {
	Client   ClientID
	Identity string
	// Code is the close code: the client's own, or the one that it was closed with. 1005 if its close
	// frame had no code, 1006 if the connection ended without a close frame (RFC 6455, 7.4.1). A client
	// of events that leaves has 1006.
	Code   uint16
	Reason string // The close frame's reason, or what ended the connection.
}

// EventAcceptFailed says that a listener could not accept connections, usually for lack of
// descriptors. It keeps trying. Reported once for each run of failures.
type EventAcceptFailed struct {
	Addr   netip.AddrPort // The listener's address.
	Reason string         // The operating system's text.
}

// EventEventsDropped says that message events were dropped at this point, because the host did
// not take events in time (see Options.EventQueue).
type EventEventsDropped struct{ Count uint64 }

// EventStopped says that the server has stopped. This is the last event.
type EventStopped struct{}

// EventMemberEntered says that somebody has come to a room: the first client of an identity, or a
// client without one (see Options.Members). A client enters its room before it counts as connected,
// so this comes before its EventConnected.
type EventMemberEntered struct {
	Client   ClientID
	Identity string
	Room     string
}

// EventMemberLeft says that somebody is not in a room any more: no client of the identity is there,
// nor was for Options.MemberGrace, or a client without identity has left.
type EventMemberLeft struct {
	Client   ClientID // The identity's last client there.
	Identity string
	Room     string
}

// EventRoomOccupied says that a room has got its first client (see Options.Occupancy). Of each room,
// EventRoomOccupied and EventRoomVacated take turns.
type EventRoomOccupied struct {
	Room string
}

// EventRoomVacated says that a room has no client, and had none for Options.MemberGrace. When the
// server stops, each room is vacated before EventStopped.
type EventRoomVacated struct {
	Room string
}

func (EventConnectRequest) isEvent()  {}
func (EventConnected) isEvent()       {}
func (EventJoined) isEvent()          {}
func (EventLeft) isEvent()            {}
func (EventMessageRequest) isEvent()  {}
func (EventMessage) isEvent()         {}
func (EventSignal) isEvent()          {}
func (EventMessagesDropped) isEvent() {}
func (EventDisconnected) isEvent()    {}
func (EventAcceptFailed) isEvent()    {}
func (EventEventsDropped) isEvent()   {}
func (EventStopped) isEvent()         {}
func (EventMemberEntered) isEvent()   {}
func (EventMemberLeft) isEvent()      {}
func (EventRoomOccupied) isEvent()    {}
func (EventRoomVacated) isEvent()     {}

package chat

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// ClientID is the name of one client's connection: never 0, never used twice by a server.
type ClientID uint64

// Offset is a message's place in its room's order: 1 for the first.
type Offset uint64

// Kind says whether a message is text or bytes.
type Kind uint32

const (
	// Text is UTF-8 text.
	Text Kind = 1
	// Binary is bytes of any value.
	Binary Kind = 2
)

// String is "text" or "binary".
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Event is something that happened on a server: one of the Event types of this package, to be told
// apart by a type switch. Further ones may come, so pass over those that you do not know.
//
// The events of one client come in the order EventConnectRequest (if Options.AdmissionTimeout is set),
// EventConnected, any number of EventMessage, EventJoined, EventLeft and EventMessagesDropped,
// EventDisconnected. What the program joins a client to before it accepts it comes before
// EventConnected, and a client that is not admitted has none. All that an event holds is Go's memory and the program's.
type Event interface{ isEvent() }

// Request is what a client asked for when it connected.
type Request struct {
	Addr   netip.AddrPort // The client's address and port.
	Path   string         // As the client sent it, percent-encoded, without the query.
	Query  string         // As the client sent it, without the question mark.
	Header []Header       // The request's headers, in the order in which they were sent.
}

// Header is a line of a request's head.
type Header struct {
	Name  string // In lower case.
	Value string // Bytes, which HTTP does not promise to be UTF-8.
}

// Get returns the first value of a header, whose name is compared without regard to case; it is
// empty if the client sent none.
func (r Request) Get(name string) string {
	for _, header := range r.Header {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// HTTPHeader is the request's headers as net/http has them, for what reads cookies and the like.
func (r Request) HTTPHeader() http.Header {
	header := make(http.Header, len(r.Header))
	for _, line := range r.Header {
		header.Add(line.Name, line.Value)
	}
	return header
}

// EventConnectRequest says that a client asks to be connected, and waits for Server.Accept or
// Server.Reject (see Options.AdmissionTimeout).
type EventConnectRequest struct {
	Client ClientID
	Room   string // The room that it asks for.
	Request
}

// EventConnected says that a client has connected and is in its room.
type EventConnected struct {
	Client   ClientID
	Identity string // What the program calls it (see Server.SetIdentity).
	Room     string // The room that it is in, and speaks to; empty if it is in none.
	Request
}

// EventJoined says that the program has put a client into a room (see Server.Join).
type EventJoined struct {
	Client   ClientID
	Identity string
	Room     string
}

// EventLeft says that the program has taken a client out of a room (see Server.Leave).
type EventLeft struct {
	Client   ClientID
	Identity string
	Room     string
}

// EventMessage says that a client published a message, which is on its way to the room. Of a client
// that is in no room, the room is empty and the offset 0: it speaks to the program alone.
type EventMessage struct {
	Client   ClientID
	Identity string
	Room     string
	Offset   Offset
	Kind     Kind
	Data     []byte // The payload, which is UTF-8 if Kind is Text.
}

// EventMessagesDropped says that the oldest messages that waited for a slow consumer were dropped
// (see DropOldest).
type EventMessagesDropped struct {
	Client ClientID
	Count  uint64
}

// EventDisconnected says that a client has left, or was not admitted. It is in no room any more.
type EventDisconnected struct {
	Client   ClientID
	Identity string
	// Code is the close code: the client's own, or the one that it was closed with. 1005 if its
	// close frame held none, 1006 if the connection ended without one (RFC 6455, 7.4.1).
	Code   uint16
	Reason string // The close frame's, or what ended the connection.
}

// EventAcceptFailed says that a listener could not accept connections, for want of descriptors as a
// rule. It goes on trying. Reported once for each run of failures.
type EventAcceptFailed struct {
	Addr   netip.AddrPort // The listener's.
	Reason string         // What the operating system said.
}

// EventEventsDropped says that message events were dropped here, because they were not taken in
// time (see Options.EventQueue).
type EventEventsDropped struct{ Count uint64 }

// EventStopped says that the server has stopped. The last event.
type EventStopped struct{}

func (EventConnectRequest) isEvent()  {}
func (EventConnected) isEvent()       {}
func (EventJoined) isEvent()          {}
func (EventLeft) isEvent()            {}
func (EventMessage) isEvent()         {}
func (EventMessagesDropped) isEvent() {}
func (EventDisconnected) isEvent()    {}
func (EventAcceptFailed) isEvent()    {}
func (EventEventsDropped) isEvent()   {}
func (EventStopped) isEvent()         {}

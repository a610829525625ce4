package chat

import (
	"log/slog"
	"time"
)

// SlowConsumer is what happens to a client whose outbox is full because it does not read what it is
// sent: see Options.OutboxSize and Options.OutboxAge.
type SlowConsumer uint32

const (
	// Disconnect closes the connection with code 1013 and a reason that says so.
	Disconnect SlowConsumer = 1
	// DropOldest drops the oldest whole messages that wait for the client, and reports how many with
	// EventMessagesDropped. A client of the JSON form is told too: in place of the messages of a room
	// it gets one object "dropped". Nothing but messages is dropped of it: if more than OutboxSize of
	// answers and the like waits for it, its connection is closed with code 1013.
	DropOldest SlowConsumer = 2
)

// Overdue is what happens to a client or a message that the host does not decide on in time.
type Overdue uint32

const (
	// Refuse rejects the client with HTTP 503, a client of events with 200 and the event "closing", and
	// refuses the message.
	Refuse Overdue = 1
	// Allow accepts the client, and allows the message.
	Allow Overdue = 2
)

// Members is who is told who is in a room.
type Members uint32

const (
	// MembersOff tells nobody: no members are kept.
	MembersOff Members = 1
	// MembersHost tells the host, and the clients of the JSON form that the host allows it
	// (Server.SetMembers) and that ask for it with "?members=true".
	MembersHost Members = 2
	// MembersClients tells the host, and each client of the JSON form that asks for it, unless the host
	// does not allow it.
	MembersClients Members = 3
)

// Options are the options of a server. The zero value of the struct and of every field is the
// default. By default every queue, size and time is bounded.
//
// A negative value turns off what can be turned off; elsewhere it is refused. Start refuses values
// that are out of their limits with ErrInvalidArgument and a text that names all of them. Durations
// are rounded up to whole milliseconds. Sizes are in bytes.
type Options struct {
	// Listen are the addresses to listen on, with their ports: an IP address, as in "127.0.0.1:9001" or
	// "[::1]:9001"; ":9001" for every address of IPv4 and of IPv6; "localhost:9001" for all addresses that
	// a name has on this machine. Start looks a name up, and waits for the system's resolver. Port 0 takes
	// a free port, which Server.Addr returns. "0.0.0.0" is every address of IPv4. "[::]" is every address
	// of IPv6 and of IPv4; of IPv6 alone if an address of IPv4 with the same port is given too, or with
	// IPv6Only. Empty means "127.0.0.1:9001".
	Listen []string

	// IPv6Only means that "[::]" is every address of IPv6 alone, so that another program can have the port
	// for IPv4. False means that it is every address of IPv4 too.
	IPv6Only bool

	// Workers is how many threads share the connections. Zero means one for each core, and at most
	// four. At most 256.
	Workers int

	// BusyPoll is how long a worker polls for its next event before it sleeps (busy polling). Where
	// the next event usually comes within this time, polling saves a sleep and a wake-up, which are a
	// large part of a short round trip; the worker may then use a whole core. Where it does not, the
	// worker sleeps at once, and polls once in about a thousand sleeps. If there are more workers than
	// cores, no worker polls. Zero means 15 µs. Negative means that no worker polls, which leaves the
	// most processor time to the rest of the program. At most 1 ms. It is rounded up to whole
	// microseconds.
	BusyPoll time.Duration

	// NoEcho means that a sender does not receive its own messages when they are published. A client
	// overrides this for itself with "?echo=true" or "?echo=false", and the host with Server.SetEcho. A
	// client that gets a room's past gets its own messages in it in any case. False means that a sender
	// receives them.
	NoEcho bool

	// Origins are the origins whose pages may connect:
	//
	//   - "https://app.example" or "https://app.example:8443": pages of this scheme, host and port. The
	//     port of the scheme, as in "https://app.example:443", may be left out.
	//   - "https://*.app.example": pages of all its subdomains, at any depth, and not of app.example
	//     itself. It admits every site that has a subdomain there.
	//   - "http://localhost:*": pages of this host on every port.
	//   - "file://" and "null": pages that were opened from a file; browsers send the one or the other.
	//     "null" is also the origin of sandboxed frames, which every site can have.
	//   - "app://localhost" and the like: pages of apps and extensions, as the browser sends it.
	//   - "*": every page.
	//
	// Programs, which send no Origin header, may always connect, and so may pages from the server's own
	// host and port: those whose origin names what the request's Host header names. A proxy in front
	// must pass this header on, with its port (nginx: proxy_set_header Host $http_host).
	//
	// Pages of other origins are answered with HTTP 403, and a text that says what to add. The log has
	// it too, at the level info, at most once a second. Start refuses what is not an origin, such as
	// one with a path or a user name, and says why. Empty means that only programs and the server's own
	// pages may connect.
	Origins []string

	// MaxConnections is how many clients may be connected at once. A further client is answered with
	// HTTP 503; a client of events (FormEvents) with 200 and the event "closing", so that it comes back.
	// Zero means 65,536. At most 100,000,000.
	MaxConnections int

	// MaxHandshakes is how many connections may be in their handshake at once. A further connection is
	// answered with HTTP 503, a client of events with 200 and the event "closing"; if nothing of a
	// request has come, it is closed without an answer. Requests for pages such as /health
	// count too. HTTP connections that are kept between requests do not: there may be half as many of
	// them. Zero means 1,024. At most 1,000,000.
	MaxHandshakes int

	// MaxRoomsPerClient is how many rooms one client may be in at once, the room that it asks for
	// included (Server.Join). Zero means 1,000. At most 1,000,000.
	MaxRoomsPerClient int

	// HandshakeTimeout is how long a handshake may take in total, from the accepted connection to the
	// upgrade. A handshake that takes longer is answered with HTTP 408 and closed; if nothing of a
	// request has come, it is closed without an answer. The same time holds for requests for pages such
	// as /health, and on an HTTP connection that is kept for the wait for each further request, and for
	// that request. Zero means 5 s. From 10 ms to 1 day.
	HandshakeTimeout time.Duration

	// HandshakeSize is how long the head of a handshake may be, in bytes. A longer head, or one with
	// more than 100 headers, is answered with HTTP 431. Zero means 16 KiB. From 8 KiB to 1 MiB.
	HandshakeSize int

	// BasePath is the path under which the server is served, for a proxy in front that passes it on as
	// it is: with "/chat", clients connect to /chat/ and /chat/rooms/{room}, and everything outside of
	// it is answered with HTTP 404. /health and /ready are answered with it and without. Request.Path is
	// as it came. Empty means /. It begins with a slash and does not end with one, has no %, and at most
	// 256 bytes.
	BasePath string

	// AdmissionTimeout is how long the host may take to decide on a client that asks to be
	// connected. Zero means that the host does not decide, and every client is accepted.
	//
	// With a time, each client waits for the host's decision. The host gets EventConnectRequest
	// and calls Server.Accept or Server.Reject. A client that it does not decide on in time is counted
	// in Stats.AdmissionsTimedOut, and rejected with HTTP 503 (a client of events with 200 and the event
	// "closing") unless Overdue says otherwise. No other client waits. From 10 ms to 1 day. It needs
	// EventQueue.
	AdmissionTimeout time.Duration

	// ReviewTimeout is how long the host may take to decide on a message of a client before it is
	// published. Zero means that the host does not decide, and every message is published.
	//
	// With a time, each message waits for the host's decision. The host gets EventMessageRequest
	// and calls Server.Allow, Server.AllowChanged or Server.Refuse. A message that it does not decide
	// on in time is counted in Stats.ReviewsTimedOut, and refused unless Overdue says otherwise. The
	// messages of one client keep their order; those of other clients do not wait for them. While 64
	// messages or 1 MiB of a client are undecided, the server does not read from that client. These
	// bounds are soft: of what one read of at most 64 KiB held, which can be 10,922 empty messages, every
	// message is asked about. A message that does not fit into the EventQueue is refused, whatever
	// Overdue says, and counted in Stats.MessagesRefused and Stats.EventsDropped. From 10 ms to 1 day.
	// It needs EventQueue.
	ReviewTimeout time.Duration

	// Overdue is what happens to a client or a message that the host does not decide on in time.
	// Zero means Refuse, so that a slow host lets nobody in.
	Overdue Overdue

	// MaxMessageSize is how long a message may be, in bytes of payload. A client that sends a longer
	// message is closed with code 1009, or told "refused" if it uses the JSON form; a longer message of
	// the host is ErrTooLarge. Zero means 1 MiB, or what OutboxSize holds if that is set and less: 3/4 of
	// (OutboxSize - 4 KiB). At most 1 GiB.
	MaxMessageSize int

	// OutboxSize is how many bytes may wait for one client that does not read them. Beyond this size
	// the client is a slow consumer. The memory that keeps the bytes counts too: about 130 bytes for
	// each write. Zero means 4 MiB, or 4 times MaxMessageSize if that is more. At least 4/3 of
	// MaxMessageSize + 4 KiB, so that it holds a message in base64, at most 64 GiB.
	OutboxSize int

	// OutboxAge is how long the oldest byte may wait for a client that does not read it. After this
	// time the client is a slow consumer. Zero means 5 s. From 10 ms to 1 day.
	OutboxAge time.Duration

	// SlowConsumer is what happens to a slow consumer. A client of events is always disconnected: it
	// comes back, and recovers. Zero means Disconnect.
	SlowConsumer SlowConsumer

	// PingInterval is how often the server pings a client. Zero means 25 s, negative means never; a
	// client of events gets the event "ping" every 25 s then. From 10 ms to 1 day.
	PingInterval time.Duration

	// PingTimeout is how long a client may take to answer a ping; any bytes are an answer. The server
	// aborts the connection of a client that does not answer: at most PingInterval + PingTimeout after
	// the client's last byte. Zero means 10 s. From 10 ms to 1 day.
	PingTimeout time.Duration

	// TCPKeepalive is how long a connection may be without traffic until TCP keepalive probes are
	// sent, and the time between them. Zero means 15 s, negative means no probes. Whole seconds, from
	// 1 s to 9 hours.
	TCPKeepalive time.Duration

	// HistoryMessages is how many messages a room keeps: for clients that ask for the last ones
	// ("?history=N"), that come back ("?since=POSITION"), or that get them of the host
	// (Server.JoinWithPast). Zero means 1,000, negative means none. At most 1,000,000.
	HistoryMessages int

	// HistorySize is how many bytes of messages a room keeps. Each message counts with 128 bytes more,
	// for what keeps it, and a client that published it with about 90 bytes and its name, once for
	// messages of it that follow each other. A room always keeps its last message, also one that is longer
	// than this. Zero means 4 MiB, or 4 times MaxMessageSize if that is more; negative means none. At most 64 GiB.
	HistorySize int

	// HistoryAge is how long a room keeps a message. Zero means 1 hour. From 10 ms to 10,000 days.
	HistoryAge time.Duration

	// HistoryTotal is how many bytes of messages all rooms together keep. Beyond this size, the rooms
	// that have been without subscribers for longest lose their history first, and then large rooms
	// lose their oldest messages. Zero means 64 MiB, or what one room keeps if that is more:
	// HistorySize, and MaxMessageSize + 4 KiB. Negative means none. At least MaxMessageSize + 4 KiB. At
	// most 1 TiB.
	HistoryTotal int

	// PublishTimeout is how long a call waits while more waits to be delivered than the server may
	// keep. After this time it fails with ErrQueueFull. It holds for Broadcast, Publish, PublishBatch
	// (the whole batch), PublishWith, PublishTo (all rooms together), Send, Join, JoinWithPast, Leave, SetEcho, SetIdentity, SetName, SetMembers,
	// SendToIdentity, JoinIdentity, LeaveIdentity and Forget. Zero means 5 s, negative means that they fail at once.
	// At most 1 day.
	PublishTimeout time.Duration

	// EventQueue is how many events may wait for Server.Events. Zero means that no events are
	// collected. At most 16,777,216.
	//
	// When this many events wait, or when their messages and requests hold 64 MiB, message events are
	// dropped and counted (EventEventsDropped), and a message that needs a decision is refused.
	// Connects and disconnects are never dropped: while the queue is full, further clients are
	// answered with HTTP 503, clients of events with 200 and the event "closing". A host that
	// sets EventQueue must therefore take the events.
	EventQueue int

	// SignalRate is how many signals a client may send in a second: what others are told at once and
	// nobody stores, such as that somebody types, where a pointer is, or that a program may stop to write
	// its answer. Zero means that clients may send none, and are told "refused" with the code "forbidden".
	// The host may always signal (Server.Signal). At most 1,000,000.
	//
	// What a client sends within two seconds may come at once. Signals beyond the rate are dropped and
	// counted (Stats.SignalsDropped). They pass no review: every client that is connected may signal to
	// the rooms that it is in. Clients of the JSON form can send them, each of at most 4 KiB. The host
	// gets EventSignal of each.
	SignalRate int

	// Members is who is told who is in a room. The host gets EventMemberEntered and EventMemberLeft, and
	// calls Server.Members and Server.MemberCount. A client of the JSON form that connects with
	// "?members=true" is told who is in its rooms, if it may know. Of a room with more than 200 members it is
	// told the number alone. It gets at most four objects a second of each room. Zero means MembersOff.
	// Another value needs an OutboxSize of at least 128 KiB.
	Members Members

	// MemberGrace is for how long the place of a client in a room is kept when its connection ends, so
	// that one that comes back is not said to have left. It holds for clients with an identity
	// (Server.SetIdentity): another connection with the same identity takes the place over. A client that
	// the host disconnects or takes out of the room leaves at once, and so does one that never was
	// admitted. For as long a room counts as occupied after its last client has left. Zero means 2 s,
	// negative means that each leaves at once. At most 60 s. Of MaxConnections times 16 places and rooms
	// that are kept so, the oldest are given up earlier.
	MemberGrace time.Duration

	// Occupancy means that the host is told when a room gets its first client (EventRoomOccupied), and
	// when it has had none for MemberGrace (EventRoomVacated), with no event for each client between. It
	// does not need Members. Zero means false.
	Occupancy bool

	// Logger gets the server's log lines, at the levels that it has enabled when Start is called. At
	// slog.LevelInfo these are start, stop, slow consumers and limits that are reached, at most one
	// line a second of each sort; at slog.LevelDebug also every client that connects, disconnects or
	// is refused. A line is one message without attributes. Its words may change in every version. Nil
	// means that nothing is logged.
	//
	// A goroutine calls the logger, one line after the other. While the logger is slow, 1,024 lines
	// wait. Further lines are dropped, and the logger gets a line that says how many. Shutdown and
	// Close wait up to a second for the logger, so it must not call them.
	Logger *slog.Logger
}

package chat

import (
	"log/slog"
	"time"
)

// SlowConsumer is what becomes of a client that does not take what it is sent, once its outbox is
// full: see Options.OutboxSize and Options.OutboxAge.
type SlowConsumer uint32

const (
	// Disconnect closes the connection with code 1013 and a reason that says so.
	Disconnect SlowConsumer = 1
	// DropOldest drops the oldest whole messages that wait for the client, and tells how many with
	// EventMessagesDropped.
	DropOldest SlowConsumer = 2
)

// Overdue is what becomes of a client or a message that the program has not decided on in time.
type Overdue uint32

const (
	// Refuse is as if the program had rejected the client, with HTTP 503, or refused the message.
	Refuse Overdue = 1
	// Allow is as if the program had accepted the client or allowed the message.
	Allow Overdue = 2
)

// Options say how a server is to be. The zero value of the struct and of every field is the
// default, which is safe on the open internet.
//
// A negative value turns off what can be turned off; elsewhere it is refused. Start refuses every
// value out of its limits with ErrInvalidArgument and a text that names all of them. Durations are
// kept in whole milliseconds, rounded up; sizes are bytes.
type Options struct {
	// Listen are the addresses to listen on: an IP address and a port, such as "127.0.0.1:9001" or
	// "[::1]:9001". Port 0 takes a free one, which Server.Addr tells. Empty means
	// "127.0.0.1:9001".
	Listen []string

	// Workers is how many threads share the connections. Zero means one for each core, four at the
	// most. At most 256.
	Workers int

	// BusyPoll is how long a worker looks for its next event before it sleeps (busy polling). Where that
	// comes within this time as a rule, a sleep and a wake-up are saved, which are much of a short round
	// trip, and the worker may use a whole core. Where it does not, the worker sleeps at once, but for one
	// time in a thousand. If there are more workers than cores, none looks. Zero means 15 µs; negative
	// means that none looks, which leaves the most processor time to the rest of the program. At most 1 ms.
	BusyPoll time.Duration

	// NoEcho keeps a sender's own message from it. A client overrides it for itself with
	// "?echo=true" or "?echo=false". False means that a sender receives its own message.
	NoEcho bool

	// Origins are those whose pages may connect, such as "https://example.org", or "*" for every
	// origin. Others are answered with HTTP 403. Programs, which send no Origin header, and pages
	// from the server's own host always may. Empty means these two alone.
	Origins []string

	// MaxConnections is how many clients may be connected at once. One more is answered with HTTP
	// 503. Zero means 65,536. At most 100,000,000.
	MaxConnections int

	// MaxHandshakes is how many connections may be in their handshake at once. One more is answered
	// with HTTP 503. Zero means 1,024. At most 1,000,000.
	MaxHandshakes int

	// MaxRoomsPerClient is how many rooms one client may be in at once, the room that it asks for
	// included (Server.Join). Zero means 1,000. At most 1,000,000.
	MaxRoomsPerClient int

	// HandshakeTimeout is how long a handshake may take in total. Then it is answered with HTTP 408
	// and closed. Zero means 5 s. From 10 ms to 1 day.
	HandshakeTimeout time.Duration

	// HandshakeSize is how long the head of a handshake may be, in bytes. A longer one is answered
	// with HTTP 431. Zero means 16 KiB. From 8 KiB to 1 MiB.
	HandshakeSize int

	// AdmissionTimeout lets the program decide on each client that asks to be connected, and is how
	// long it may take: it gets EventConnectRequest and answers with Server.Accept or Server.Reject.
	// A client that it has not answered in this time is counted in Stats.AdmissionsTimedOut, and refused
	// with HTTP 503 unless Overdue says otherwise. Nobody else waits meanwhile. Zero accepts every
	// client. From 10 ms to 1 day; it needs EventQueue.
	AdmissionTimeout time.Duration

	// ReviewTimeout lets the program decide on each message of a client before it is published, and is
	// how long it may take: it gets EventMessageRequest and answers with Server.Allow,
	// Server.AllowChanged or Server.Refuse. What it has not decided on in this time is counted in
	// Stats.ReviewsTimedOut, and refused unless Overdue says otherwise. A client's messages keep their
	// order; others' go on. While 64 messages or 1 MiB of a client are undecided, it is not read. Zero
	// publishes every message. From 10 ms to 1 day; it needs EventQueue.
	ReviewTimeout time.Duration

	// Overdue is what becomes of a client or a message that the program has not decided on in time. Zero
	// means Refuse, so that nobody is let in because the program is slow.
	Overdue Overdue

	// MaxMessageSize is how long a message may be, in bytes of payload. A client that sends a longer
	// one is closed with code 1009. Zero means 1 MiB. At most 1 GiB.
	MaxMessageSize int

	// OutboxSize is how many bytes may wait for one client that does not take them. Then it is a
	// slow consumer. What waits counts with what keeping it costs: about 130 bytes for each write. Zero
	// means 4 MiB. At least MaxMessageSize + 4 KiB, at most 64 GiB.
	OutboxSize int

	// OutboxAge is how long the oldest byte may wait for a client that does not take it. Then the
	// client is a slow consumer. Zero means 5 s. From 10 ms to 1 day.
	OutboxAge time.Duration

	// SlowConsumer is what becomes of a slow consumer. Zero means Disconnect.
	SlowConsumer SlowConsumer

	// PingInterval is how often a client is pinged. Zero means 25 s, negative never. From 10 ms to
	// 1 day.
	PingInterval time.Duration

	// PingTimeout is how long a client may take to answer a ping; any bytes are an answer. Then its
	// connection is cut: at most PingInterval + PingTimeout after its last byte. Zero means 10 s.
	// From 10 ms to 1 day.
	PingTimeout time.Duration

	// TCPKeepalive is after how long without traffic TCP keep-alives pass, and how often. Zero means
	// 15 s, negative none. Whole seconds, from 1 s to 9 hours.
	TCPKeepalive time.Duration

	// HistoryMessages is how many messages a room keeps for clients that ask with "?history=N". Zero
	// means 100, negative none. At most 1,000,000.
	HistoryMessages int

	// HistorySize is how many bytes of messages a room keeps. Zero means 1 MiB, negative none. At most
	// 64 GiB.
	HistorySize int

	// HistoryAge is how long a room keeps a message. Zero means 1 hour. From 10 ms to 10,000 days.
	HistoryAge time.Duration

	// HistoryTotal is how many bytes of messages all rooms together keep. Beyond it the rooms that
	// have been without subscribers for longest forget theirs first. Zero means 64 MiB, negative
	// none. At most 1 TiB.
	HistoryTotal int

	// PublishTimeout is how long Broadcast, Publish, PublishBatch (all of it), Send, Join, Leave, SetEcho
	// and SetIdentity wait while more is to be delivered than the server may keep. Then they fail with
	// ErrQueueFull. Zero means 5 s, negative that they fail at once. At most 1 day.
	PublishTimeout time.Duration

	// EventQueue is how many events wait for Server.Events. Zero means that none are collected. At
	// most 16,777,216.
	//
	// When they are as many, or their messages hold 64 MiB, message events are dropped and counted
	// (EventEventsDropped). Connects and disconnects are never dropped: while the queue is full,
	// further clients are answered with HTTP 503. So a program that sets it takes the events.
	EventQueue int

	// Logger gets the server's log lines, at the levels that it has enabled when Start is called: at
	// slog.LevelInfo start, stop, slow consumers and limits that are reached, at most one line a
	// second of each sort; at slog.LevelDebug every client that comes, goes or is refused. A line's
	// words, which may change with every version, are its message, without attributes. Nil means
	// that nothing is logged.
	//
	// A goroutine calls it, one line after the other. While it is slow 1,024 lines wait; further ones
	// are dropped, and it is told how many. Shutdown and Close wait for it up to a second; it must
	// not call them.
	Logger *slog.Logger
}

// Package chat runs a libchat server, a WebSocket chat and broadcast server, inside a Go program: the
// host.
//
// Clients connect by WebSocket, or by HTTP for events, and are in rooms. A message that a client sends is
// published to its room, and delivered to every client in the room, in one order for all. The host can
// publish messages too, and gets events.
//
// # A first program
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//		"os/signal"
//
//		chat "libchat/bindings/go"
//	)
//
//	func main() {
//		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
//		server, err := chat.Start(chat.Options{}) // listens on 127.0.0.1:9001
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Printf("chat at ws://%s/ - Ctrl-C stops it\n", server.Addr())
//		if _, err := server.Publish("lobby", chat.Text, []byte("welcome")); err != nil { // for ?history=1
//			log.Fatal(err)
//		}
//
//		server.Wait(ctx) // until Ctrl-C, or until the server has failed
//		stop()           // a second Ctrl-C ends the program at once
//		if err := server.Shutdown(context.Background()); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// A client that connects to ws://127.0.0.1:9001/?history=1 gets the welcome.
//
// The folder examples/signin has a larger program: a net/http server with a chat behind its sign-in, on
// one port. The folder examples/support has a support desk, where agents hand customers over to each other.
//
// # Building
//
// The server is a Rust library with a C interface, which is linked into the Go program. A build needs
// Go 1.24, cgo, a C compiler and libchat.a. In a clone of libchat, with Rust:
//
//	cargo build --release --lib --no-default-features --features http
//	go run ./bindings/go/examples/signin
//
// A program in another module names the clone in its go.mod:
//
//	go mod edit -require=libchat@v0.0.0 -replace=libchat=/path/to/libchat
//	go build
//
// The archive is looked for in the folders of CGO_LDFLAGS (-L/path/to/folder), in target/release of the
// clone, and in bindings/go/archive. A copy in the last folder is vendored by `go mod vendor`. The
// archive becomes part of the program, which needs no other file of libchat to run. Go does not
// notice a changed archive in the first two: after a new build of libchat, build with `go build -a`.
//
// If libchat is installed and pkg-config finds its libchat.pc, the program is linked with that:
//
//	go build -tags libchat_pkgconfig
//
// # Clients
//
// WebSocket clients, or clients of events (EventSource, curl), which only receive and are in
// one room:
//
//	curl -N 'http://127.0.0.1:9001/?format=events'
//
// By the subprotocol libchat.json, or ?format=json, a client speaks the JSON
// form: objects with positions, senders and times, answers to what it sends, and exact recovery
// (docs/wire.md). A page that offers subprotocols must have libchat.json among them, unless the host chooses
// another one (SetSubprotocol): a browser closes a connection of whose subprotocols none is taken. The log
// says so once. A page from another host or port needs Options.Origins.
//
// # Events
//
// A host that sets Options.EventQueue gets an event for each client that connects or disconnects, and
// for each message:
//
//	for event, err := range server.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		switch event := event.(type) {
//		case chat.EventConnected:
//			log.Printf("%d connected to %s from %s", event.Client, event.Room, event.Addr)
//		case chat.EventMessage:
//			log.Printf("%d sent %q", event.Client, event.Data)
//		case chat.EventDisconnected:
//			log.Printf("%d disconnected: %d %s", event.Client, event.Code, event.Reason)
//		}
//	}
//
// Events report what has happened: a message is delivered to its room without waiting for the host.
//
// # Decisions
//
// With Options.AdmissionTimeout, the host decides on each client before it is connected
// (EventConnectRequest, Server.Accept, Server.Reject). With Options.ReviewTimeout, it decides on each
// message before it is published (EventMessageRequest, Server.Allow, Server.AllowChanged,
// Server.Refuse). Only that client waits for the decision. What the client has sent with its request is read
// with Request.QueryValue, Request.Cookie and Request.Bearer; Server.SetIdentity keeps who it is.
//
// # Users
//
// A user may have several connections, with one identity. Server.SendToIdentity, DisconnectIdentity,
// JoinIdentity, LeaveIdentity and IdentityClients concern all of them. With Options.Members, Server.Members
// tells who is in a room, and EventMemberEntered and EventMemberLeft tell of each identity once.
// Options.Occupancy tells of rooms that get their first client, or have none any more.
//
// # Publishing once, and signals
//
// Server.PublishWith publishes under a name, without history, or with a key: a message with a key is
// published once, however often the host tries. Server.PublishTo publishes to many rooms. What is of use at
// this moment alone, such as that somebody types, is a signal (Server.Signal, Options.SignalRate): nobody
// stores it.
//
// # The past
//
// Rooms keep their last messages, in memory (Options.HistoryMessages). A client that connects gets as
// much of its room's past as it asks for; a host that decides on clients bounds that
// (Server.AcceptWithPast). A client that the host puts into a room gets as much as the host gives
// (Server.JoinWithPast): nothing by default. A page that is rendered first subscribes from
// Server.Position, with "?since=POSITION": nothing falls between. The host itself reads what a room keeps
// with Server.History, and drops it with Server.Trim and Server.Forget.
//
// # Log lines
//
// Options.Logger, a slog.Logger, gets the server's log lines. Without it, the server logs nothing.
//
// # The end
//
// Server.Wait waits until the server has ended. A host that takes no events learns there, by ErrFailed,
// of a server that could not go on.
//
// # Goroutines
//
// Any goroutine may call any method of a Server at any time, also while another goroutine closes it.
// Broadcast, Publish and Send wait only while too much waits to be delivered, at most for
// Options.PublishTimeout, and allocate nothing. A call that waits holds a thread of the operating
// system. So does a server whose events are collected, and a server with a logger. The server's own
// threads run no Go code.
//
// A Server must stay reachable: the garbage collector closes a Server that nothing refers to. A
// deferred Close, as after os.Open, keeps it until the function returns.
package chat

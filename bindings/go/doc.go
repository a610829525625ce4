// Package chat runs a libchat server inside a Go program: a WebSocket chat and broadcast server.
//
// Clients connect by WebSocket, and what one client of a room sends goes to every client of that
// room, in one order for all. The program takes part: it publishes, and is told what happens.
//
// # A first program
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"os"
//		"os/signal"
//
//		chat "libchat/bindings/go"
//	)
//
//	func main() {
//		server, err := chat.Start(chat.Options{}) // listens on 127.0.0.1:9001
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Printf("chat at ws://%s/", server.Addr())
//		stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
//		<-stop.Done()
//		if err := server.Shutdown(context.Background()); err != nil {
//			log.Print(err)
//		}
//	}
//
// # Building
//
// The server is a Rust library behind C functions, which a Go program is linked with: it needs cgo,
// a C compiler, and libchat.a. In a clone of libchat, with Rust and Go:
//
//	cargo build --release --lib --no-default-features
//	export CGO_LDFLAGS="-L$PWD/target/release"
//	go test ./bindings/go
//
// A program of another module names the clone in its go.mod, and is built with the same variable:
//
//	go mod edit -require=libchat@v0.0.0 -replace=libchat=/path/to/libchat
//	CGO_LDFLAGS="-L/path/to/libchat/target/release" go build
//
// The archive becomes a part of the program, which needs no file of libchat's to run. Go does not
// notice that an archive has changed: after a new build of libchat, build with `go build -a`, or
// give the archive a folder with another name.
//
// With libchat installed, and its libchat.pc where pkg-config finds it, no variable is needed:
//
//	go build -tags libchat_pkgconfig
//
// # Events
//
// A program that sets Options.EventQueue is told who comes, what they say and who leaves:
//
//	for event, err := range server.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		switch event := event.(type) {
//		case chat.EventConnected:
//			log.Printf("%d came to %s from %s", event.Client, event.Room, event.Addr)
//		case chat.EventMessage:
//			log.Printf("%d said %q", event.Client, event.Data)
//		case chat.EventDisconnected:
//			log.Printf("%d left: %d %s", event.Client, event.Code, event.Reason)
//		}
//	}
//
// Events are a report: messages go to their room without waiting for the program.
//
// # Log lines
//
// Options.Logger, a slog.Logger, gets the server's own lines; without one there are none.
//
// # Goroutines
//
// Every method of a Server may be called from any goroutine at any time, also while another one
// closes it. Broadcast, Publish and Send wait only while too much is to be delivered, at most for
// Options.PublishTimeout, and allocate nothing; a call that waits holds a thread of the operating
// system, as does a server whose events are collected, and one that has a logger. The server's own
// threads run no Go code.
//
// A Server must stay reachable: one that the program has forgotten is closed when the garbage
// collector finds it. A deferred Close, as after os.Open, keeps it as long as the function runs.
package chat

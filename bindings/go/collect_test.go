package chat_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

// forget starts a server to which nothing refers when it returns, and connects a client to it.
func forget(t *testing.T, options chat.Options) *peer {
	options.Listen = []string{"127.0.0.1:0"}
	server, err := chat.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, server, "/")
}

// collect runs the garbage collector until the client is without a server.
func collect(t *testing.T, p *peer) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		runtime.GC()
		select {
		case <-p.got:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatal("the server runs for ever")
}

func TestAForgottenServerIsClosed(t *testing.T) {
	collect(t, forget(t, chat.Options{}))
}

func TestAForgottenServerWithEventsThatNobodyTakesIsClosed(t *testing.T) {
	collect(t, forget(t, chat.Options{EventQueue: 64}))
}

func TestALoopOverEventsKeepsItsServer(t *testing.T) {
	options := chat.Options{EventQueue: 64, Listen: []string{"127.0.0.1:0"}}
	server, err := chat.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	p := connect(t, server, "/")
	ctx, cancel := context.WithCancel(context.Background())
	events := make(chan chat.Event, 64)
	go func(server *chat.Server) {
		defer close(events)
		for event := range server.Events(ctx) {
			events <- event
		}
	}(server) // From here on the loop alone refers to it.
	next[chat.EventConnected](t, events)
	for range 10 {
		runtime.GC()
		p.say(t, "msg")
		next[chat.EventMessage](t, events)
		p.expect(t, "msg")
	}
	cancel()
	collect(t, p)
}

package chat_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

// forget starts a server to which nothing refers when it returns, and connects a client to it.
func forget(t *testing.T, options chat.Options) *peer {
	peers, _ := forgetSome(t, 1, options)
	return peers[0]
}

// forgetSome does it with several, and tells what is held while they run.
func forgetSome(t *testing.T, count int, options chat.Options) (peers []*peer, during resources) {
	options.Listen = []string{"127.0.0.1:0"}
	var servers []*chat.Server
	for range count {
		server, err := chat.Start(options)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
		peers = append(peers, connect(t, server, "/"))
	}
	during = held(t)
	// Not before: a client that is connecting keeps no server.
	runtime.KeepAlive(servers)
	return peers, during
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

// resources are what servers hold of the system and of Go.
type resources struct{ threads, descriptors, goroutines int }

func (r resources) within(limit resources) bool {
	return r.threads <= limit.threads && r.descriptors <= limit.descriptors && r.goroutines <= limit.goroutines
}

// held counts the threads that are libchat's: Go keeps its own for later.
func held(t *testing.T) resources {
	t.Helper()
	if runtime.GOOS != "linux" {
		return resources{} // Only Linux has /proc/self.
	}
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		t.Fatal(err)
	}
	threads := 0
	for _, file := range names {
		name, err := os.ReadFile(file) // It may have ended meanwhile.
		if err == nil && strings.HasPrefix(string(name), "libchat-") {
			threads++
		}
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return resources{threads, len(descriptors), runtime.NumGoroutine()}
}

func TestForgottenServersGiveBackTheirThreadsAndDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is counted")
	}
	// What Go opens once for all it opens here.
	server := start(t, chat.Options{})
	p := connect(t, server, "/")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for range p.got {
	}
	before := held(t)
	// A thread that has ended is among the entries of /proc for a moment longer.
	for deadline := time.Now().Add(patience); before.threads > 0 && time.Now().Before(deadline); before = held(t) {
		time.Sleep(time.Millisecond)
	}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	peers, during := forgetSome(t, 10, chat.Options{Workers: 2, EventQueue: 64, Logger: logger})
	if during.threads < before.threads+20 || during.descriptors < before.descriptors+20 {
		t.Errorf("10 servers with two threads and a client each hold %+v, and before %+v", during, before)
	}
	for _, p := range peers {
		collect(t, p)
	}
	after := held(t)
	for deadline := time.Now().Add(patience); !after.within(before) && time.Now().Before(deadline); after = held(t) {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if !after.within(before) {
		t.Errorf("they hold %+v, and before %+v", after, before)
	}
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

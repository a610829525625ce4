package chat_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

// buffer is written by the logger's goroutine and read by the test's.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

func TestALoggerHasEveryLineWhenTheServerHasStopped(t *testing.T) {
	var debug, warn buffer
	server := start(t, chat.Options{Logger: logger(&debug, slog.LevelDebug)})
	quiet := start(t, chat.Options{Logger: logger(&warn, slog.LevelWarn)})
	if _, err := dial(server, "/", "", http.Header{"Origin": {"https://elsewhere.example"}}); err == nil {
		t.Fatal("a page from elsewhere was let in")
	}
	connect(t, server, "/").leave(t)
	for _, s := range []*chat.Server{server, quiet} {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	text := debug.String()
	for _, line := range []string{
		"level=INFO msg=\"listening addrs=",
		"level=INFO msg=\"connection refused",
		"level=DEBUG msg=\"connected client=",
		"level=INFO msg=\"stopped connections_accepted=1\"",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if text := warn.String(); text != "" {
		t.Errorf("below its level:\n%s", text)
	}
}

// running counts the goroutines that are in a function.
func running(function string) int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), function)
}

// logging counts how many of the logging goroutines there are.
func logging() int { return running("(*logs).pull") }

func TestALoggersGoroutineEndsWithItsServer(t *testing.T) {
	before := logging()
	used := start(t, chat.Options{})
	for range 10 {
		options := chat.Options{Logger: logger(io.Discard, slog.LevelDebug)}
		options.Listen = []string{used.Addr().String()}
		if _, err := chat.Start(options); err == nil {
			t.Fatal("two servers on one port")
		}
		options.Listen = []string{"127.0.0.1:0"}
		server, err := chat.Start(options)
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
	}
	collect(t, forget(t, chat.Options{Logger: logger(io.Discard, slog.LevelDebug)}))
	for deadline := time.Now().Add(patience); logging() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, and %d before", logging(), before)
		}
	}
}

// stuck is a writer that takes nothing until it is let go, and then waits for the server's stop to
// return before it takes the word of dropped lines: for a moment, as a stop must not return before.
type stuck struct {
	buffer
	reached, let, stopped chan struct{}
	once                  sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { s.reached <- struct{}{} })
	<-s.let
	if bytes.Contains(p, []byte("log lines dropped")) {
		select {
		case <-s.stopped:
		case <-time.After(50 * time.Millisecond):
		}
	}
	return s.buffer.Write(p)
}

// refused says whether nobody listens there any more.
func refused(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

func TestALoggerThatIsStuckHoldsNobodyUp(t *testing.T) {
	w := &stuck{reached: make(chan struct{}, 1), let: make(chan struct{}), stopped: make(chan struct{})}
	server := start(t, chat.Options{Logger: logger(w, slog.LevelDebug)})
	receive(t, w.reached)
	for range 700 { // Two lines for each.
		connect(t, server, "/").leave(t)
	}
	done, addr := make(chan error, 1), server.Addr().String()
	go func() { done <- server.Shutdown(context.Background()) }()
	for !refused(addr) {
	}
	for deadline := time.Now().Add(patience); running("(*logs).flush") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stop does not wait for the logger")
		}
	}
	close(w.let)
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	text := w.String()
	close(w.stopped)
	if !strings.Contains(text, "log lines dropped") {
		t.Errorf("no word of dropped lines in %d bytes", len(text))
	}
}

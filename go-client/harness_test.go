package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// quick is the timing of tests that reconnect; the bounds that must not be hit stay long.
func quick() timing {
	fast := defaultTiming
	fast.backoffMin = 20 * time.Millisecond
	fast.backoffMax = 50 * time.Millisecond
	fast.stall = patience
	fast.closing = patience
	return fast
}

// output collects what a client prints, and lets a test wait for it.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed at each write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// snapshot returns the output, and a channel that is closed when there is more.
func (o *output) snapshot() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

// await waits until the output holds the text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	o.awaitCount(t, text, 1)
}

// awaitCount waits until the output holds the text n times.
func (o *output) awaitCount(t *testing.T, text string, n int) {
	t.Helper()
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		found, changed := strings.Count(o.text.String(), text) >= n, o.changed
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%q did not appear %d times in:\n%s", text, n, o)
		}
	}
}

// client is a running client, in this process or in one of its own.
type client struct {
	stdin  io.WriteCloser
	stdout *output
	stderr *output
	signal func(os.Signal)
	exited chan int
}

// startClient runs the client in this process, reading from a pipe.
func startClient(t *testing.T, timing timing, args ...string) *client {
	t.Helper()
	in, stdin := io.Pipe()
	signals := make(chan os.Signal, 2)
	c := &client{
		stdin:  stdin,
		stdout: newOutput(),
		stderr: newOutput(),
		signal: func(s os.Signal) { signals <- s },
		exited: make(chan int, 1),
	}
	go func() { c.exited <- run(args, in, c.stdout, c.stderr, signals, timing) }()
	t.Cleanup(func() { stdin.Close() })
	return c
}

// say writes a line to the client's input.
func (c *client) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.stdin, text+"\n"); err != nil {
		t.Fatal(err)
	}
}

// pipe writes all of the input and ends it.
func (c *client) pipe(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.stdin, text); err != nil {
		t.Fatal(err)
	}
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *client) interrupt() { c.signal(syscall.SIGINT) }

// expectExit waits for the client's end with this status.
func (c *client) expectExit(t *testing.T, status int) {
	t.Helper()
	if got := receive(t, c.exited); got != status {
		t.Fatalf("exit status %d, want %d; standard error:\n%s", got, status, c.stderr)
	}
}

// expectOutput compares all of standard output.
func (c *client) expectOutput(t *testing.T, want string) {
	t.Helper()
	if got := c.stdout.String(); got != want {
		t.Fatalf("standard output:\n%q, want\n%q; standard error:\n%s", got, want, c.stderr)
	}
}

// expectOneErrorLine checks that standard error is one line which holds the text.
func (c *client) expectOneErrorLine(t *testing.T, text string) {
	t.Helper()
	got := c.stderr.String()
	if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") || !strings.Contains(got, text) {
		t.Fatalf("standard error:\n%s\nwant one line with %q", got, text)
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

func expect[T comparable](t *testing.T, from <-chan T, want T) {
	t.Helper()
	if got := receive(t, from); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

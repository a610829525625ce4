package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestClientConnectsAgainAfterTheServerStops(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
	h.closeAll(websocket.CloseGoingAway, "bye\x1b")
	c.stderr.await(t, `the server is stopping (bye\x1b)`+"\n")
	c.stderr.await(t, "attempt 1 to connect again in ")
	c.stderr.await(t, "connected again\n")
	c.pipe(t, "b\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] a\n[x] b\n")
}

func TestFailedAttemptsAreReportedUntilOneSucceeds(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.refuses.Store(true)
	h.cut()
	c.stderr.await(t, "the server is gone: it ended the connection without a close\n")
	c.stderr.await(t, "attempt 3 failed: the server answered 503 Service Unavailable")
	h.refuses.Store(false)
	c.stderr.await(t, "connected again\n")
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
}

func TestReconnectFalseEndsWithStatus1(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", "-reconnect=false", h.url("/"))
	receive(t, h.joined)
	h.closeAll(websocket.CloseGoingAway, "")
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "the server is stopping")
}

func TestCloseOfASlowClientSaysSo(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.closeAll(websocket.CloseTryAgainLater, "outbox full")
	c.stderr.await(t, "because this client was too slow (outbox full)\n")
	c.stderr.await(t, "connected again\n")
}

func TestServerThatIsDoneIsNotAskedAgain(t *testing.T) {
	for code, status := range map[int]int{
		websocket.CloseNormalClosure:   exitOK,
		websocket.ClosePolicyViolation: exitFailed,
	} {
		h := startHub(t)
		c := startClient(t, quick(), "-id=x", h.url("/"))
		receive(t, h.joined)
		h.closeAll(code, "kicked")
		c.expectExit(t, status)
		c.expectOneErrorLine(t, fmt.Sprintf("with code %d (kicked)", code))
	}
}

func TestLineThatDidNotComeBackIsReportedAndNotSentAgain(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
	h.mute.Store(true)
	c.say(t, "b")
	c.say(t, "c")
	for _, line := range []string{"a", "b", "c"} {
		expect(t, h.received, "[x] "+line)
	}
	h.mute.Store(false)
	h.cut()
	c.stderr.await(t, `2 lines may not have been delivered and will not be sent again, from "[x] b" on`+"\n")
	c.stderr.await(t, "connected again\n")
	c.pipe(t, "d\n")
	c.expectExit(t, exitFailed)
	expect(t, h.received, "[x] d")
	c.expectOutput(t, "[x] a\n[x] d\n")
}

func TestPipedLinesWaitForTheConnection(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.refuses.Store(true)
	h.cut()
	c.stderr.await(t, "attempt 1 failed")
	var want strings.Builder
	sent := make(chan struct{})
	go func() { // more lines than the queue holds: the input is read on when they can go out
		defer close(sent)
		for i := range 3 * maxQueue {
			fmt.Fprintf(c.stdin, "%d\n", i)
		}
		c.stdin.Close()
	}()
	c.stderr.await(t, "attempt 3 failed")
	h.refuses.Store(false)
	receive(t, sent)
	c.expectExit(t, exitOK)
	for i := range 3 * maxQueue {
		fmt.Fprintf(&want, "[x] %d\n", i)
	}
	c.expectOutput(t, want.String())
}

func TestPipedInputThatEndedDoesNotWaitForEverForAConnection(t *testing.T) {
	h := startHub(t)
	timing := quick()
	timing.stall = 100 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	receive(t, h.joined)
	h.refuses.Store(true)
	h.cut()
	c.stderr.await(t, "attempt 1 failed")
	c.pipe(t, "a\nb\n")
	c.expectExit(t, exitFailed)
	c.stderr.await(t, "no connection within 100ms\n")
	c.stderr.await(t, `2 lines were not sent, from "[x] a" on`+"\n")
}

// A user types on while the server is away: each line is answered, and none is lost in silence.
func TestTypedLinesWaitInABoundedQueue(t *testing.T) {
	h := startHub(t)
	opts, err := parseOptions([]string{"-id=x", h.url("/")})
	if err != nil {
		t.Fatal(err)
	}
	first := opts.dial(t.Context(), quick(), opts.address(&positions{}), false)
	if first.err != nil {
		t.Fatal(first.err)
	}
	stdout, stderr := newOutput(), newOutput()
	input, exited := make(chan inputEvent), make(chan int, 1)
	typed := &screen{stdout: stdout, stderr: stderr, typed: true}
	s := newSession(opts, quick(), typed, input, nil)
	go func() { exited <- s.run(context.Background(), first) }()

	receive(t, h.joined)
	h.refuses.Store(true)
	h.cut()
	stderr.await(t, "attempt 1 failed")
	for i := range maxQueue + 1 {
		input <- inputEvent{line: fmt.Sprint(i)}
	}
	stderr.await(t, "not connected: the line waits (1 of 100)\n")
	stderr.await(t, "not connected: the line waits (100 of 100)\n")
	stderr.await(t, "100 lines wait to be sent already: this one is not sent\n")
	h.refuses.Store(false)
	stdout.await(t, "[x] 99\n")
	input <- inputEvent{err: io.EOF}
	expect(t, exited, exitOK)
	if strings.Contains(stdout.String(), "[x] 100\n") {
		t.Fatal("the refused line was sent")
	}
}

// A server that holds the connection but is dead inside is noticed by the unanswered ping.
func TestServerThatAnswersNoPingsIsGivenUp(t *testing.T) {
	h := startHub(t)
	h.deaf.Store(true)
	timing := quick()
	timing.ping, timing.alive = 20*time.Millisecond, 100*time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	receive(t, h.joined)
	h.deaf.Store(false)
	c.stderr.await(t, "the server does not answer any more\n")
	c.stderr.await(t, "connected again\n")
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
}

func TestServerThatOnlyAnswersPingsIsKept(t *testing.T) {
	h := startHub(t)
	timing := quick()
	timing.ping, timing.alive = 10*time.Millisecond, time.Second
	c := startClient(t, timing, "-id=x", h.url("/"))
	for start := time.Now(); time.Since(start) < 2*timing.alive; {
		receive(t, h.pings)
	}
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	if text := c.stderr.String(); text != "" {
		t.Fatalf("an idle connection is not kept:\n%s", text)
	}
}

func TestEndsAreExplained(t *testing.T) {
	for want, err := range map[string]error{
		"the server refused a message as too large":                &websocket.CloseError{Code: websocket.CloseMessageTooBig},
		"the server closed the connection with code 4000 (why)":    &websocket.CloseError{Code: 4000, Text: "why"},
		"the server is stopping":                                   &websocket.CloseError{Code: websocket.CloseGoingAway, Text: "the server is stopping"},
		"a message of more than 67108864 bytes arrived":            websocket.ErrReadLimit,
		"the connection is lost: use of closed network connection": net.ErrClosed,
	} {
		if got := explainEnd(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestLineThatTheReplayHasIsNotReported(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.mute.Store(true)
	c.say(t, "a")
	c.pipe(t, "a\n")
	for range 2 {
		receive(t, h.received)
	}
	h.publish("[x] a", fields{"client": "other"}) // its words, and not its own
	h.mute.Store(false)
	h.cut()
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\n[x] a\n[x] a\n[x] a\n")
	if strings.Contains(c.stderr.String(), "may not have been delivered") {
		t.Fatalf("standard error:\n%s", c.stderr)
	}
}

func TestLineThatTheReplayLacksIsReportedAndNotSentAgain(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) {
		h.verdict = func(text string) fields {
			if strings.HasSuffix(text, "lost") {
				return fields{}
			}
			return nil
		}
	})
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	c.say(t, "lost")
	receive(t, h.received)
	h.publish("[x] lost", fields{"client": "other"})
	c.stdout.await(t, "[x] lost\n")
	h.cut()
	c.stderr.await(t, `1 line may not have been delivered and will not be sent again, from "[x] lost" on`+"\n")
	c.pipe(t, "b\n")
	c.expectExit(t, exitFailed)
	if o := receive(t, h.received); o["text"] != "[x] b" {
		t.Fatalf("the client sent %v", o)
	}
	c.expectOutput(t, "there\n[x] lost\n[x] b\n")
}

func TestRefusedLineIsReportedWithItsReason(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) {
		h.verdict = func(text string) fields {
			if text != "[x] b" {
				return nil
			}
			return fields{"code": "rate_limited", "reason": "slow\x1bly", "retry": true}
		}
	})
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, "a\nb\nc\n")
	c.expectExit(t, exitFailed)
	c.expectOutput(t, "[x] a\n[x] c\n")
	c.expectOneErrorLine(t, `the server refused "[x] b" (rate_limited: slow\x1bly)`)
}

func TestLinesWithoutAnAnswerEndWithOneLineAndStatus1(t *testing.T) {
	h := startJSONHub(t)
	h.mute.Store(true)
	timing := quick()
	timing.stall = 100 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	c.pipe(t, "a\nb\n")
	c.expectExit(t, exitFailed)
	c.stderr.await(t, `no answer within 100ms to 2 lines, from "[x] a" on`+"\n")
	expect(t, h.closes, websocket.CloseNormalClosure)
}

// startTyped runs a session whose input is typed, without a terminal to show it.
func startTyped(t *testing.T, timing timing, args ...string) (input chan inputEvent, c *client) {
	t.Helper()
	opts, err := parseOptions(append([]string{"-id=x"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	first := opts.dial(t.Context(), timing, opts.address(&positions{}), false)
	if first.err != nil {
		t.Fatal(first.err)
	}
	c = &client{stdout: newOutput(), stderr: newOutput(), exited: make(chan int, 1)}
	input = make(chan inputEvent)
	typed := &screen{stdout: c.stdout, stderr: c.stderr, typed: true}
	s := newSession(opts, timing, typed, input, nil)
	go func() { c.exited <- s.run(context.Background(), first) }()
	return input, c
}

func TestUserWhoLeavesAfterALineIsToldItsFate(t *testing.T) {
	for mute, want := range map[bool]string{
		false: "",
		true:  `go-client: 1 line may not have been delivered and will not be sent again, from "[x] a" on` + "\n",
	} {
		h := startJSONHub(t)
		h.mute.Store(mute)
		timing := quick()
		timing.answer = 50 * time.Millisecond
		if !mute {
			timing.answer = patience
		}
		input, c := startTyped(t, timing, h.url("/"))
		input <- inputEvent{line: "a"}
		input <- inputEvent{err: io.EOF}
		expect(t, c.exited, exitOK)
		expect(t, h.closes, websocket.CloseNormalClosure)
		if got := c.stderr.String(); got != want {
			t.Fatalf("mute %v: standard error:\n%s", mute, got)
		}
		if o := receive(t, h.received); fmt.Sprint(o["text"], o["id"]) != "[x] a1" {
			t.Fatalf("the client sent %v", o)
		}
	}
}

func TestAnswersAreOfOneConnectionAndOneLine(t *testing.T) {
	var a answers
	for _, line := range []struct{ client, text string }{{"c1", "a"}, {"c2", "a"}, {"c2", "b"}, {"c2", "a"}} {
		a.send(line.client, line.text)
	}
	if a.seen("c3", "a") || !a.seen("c2", "a") || a.bytes != 3 {
		t.Fatalf("%+v", a)
	}
	if text, ok := a.answered("3"); !ok || text != "b" {
		t.Fatalf("the answer to 3: %q, %v", text, ok)
	}
	if _, ok := a.answered("3"); ok {
		t.Fatal("two answers to one line")
	}
	if others := a.takeOthers("c2"); len(others) != 1 || others[0].client != "c1" || others[0].id != "1" {
		t.Fatalf("of other connections: %+v", others)
	}
	if len(a.lines) != 1 || a.lines[0].id != "4" || a.bytes != 1 {
		t.Fatalf("left: %+v", a)
	}
}

func TestUnansweredLinesAreBounded(t *testing.T) {
	var many, large answers
	for range windowLines {
		if !many.hasRoom() {
			t.Fatal("no room before the bound")
		}
		many.send("c1", "a")
	}
	large.send("c1", strings.Repeat("a", windowBytes))
	if many.hasRoom() || large.hasRoom() {
		t.Fatal("room beyond the bound")
	}
}

func TestClientSendsNoMoreLinesThanItMayHaveUnanswered(t *testing.T) {
	h := startJSONHub(t)
	h.mute.Store(true)
	timing := quick()
	timing.stall = 300 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	go func() { _, _ = io.WriteString(c.stdin, strings.Repeat("a\n", 2*windowLines)) }()
	c.expectExit(t, exitFailed)
	c.stderr.await(t, `no answer within 300ms to 1024 lines, from "[x] a" on`+"\n")
	c.stderr.await(t, `100 lines were not sent, from "[x] a" on`+"\n")
}

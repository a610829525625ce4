package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// joinAndShow waits until the client is in the room, and has shown a message of the hub's.
func joinAndShow(t *testing.T, h *jsonHub, c *client) {
	t.Helper()
	receive(t, h.joined)
	h.publish("there")
	c.stdout.await(t, "there\n")
}

func TestClientComesBackWithTheLastPositionItHasSeen(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/?echo=true"))
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x")
	h.cut() // nothing has come but "entered"
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x&since=e-0")
	h.publish("a")
	c.stdout.await(t, "a\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x&since=e-1")
	c.say(t, "b")
	c.stdout.await(t, "[x] b\n")
	h.tell(fields{"type": "sent", "id": "none", "room": "lobby", "position": "e-2"})
	h.tell(fields{"type": "broadcast", "text": "to all"})
	c.stdout.await(t, "to all\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x&since=e-2")
}

func TestWhatCannotBeRecoveredIsSaidWithItsReason(t *testing.T) {
	for reason, prepare := range map[string]func(h *jsonHub){
		"epoch":   func(h *jsonHub) { h.epoch, h.history = "f", nil },
		"trimmed": func(h *jsonHub) { h.trimmed = len(h.history) },
		"ahead":   func(h *jsonHub) { h.history = nil },
		"invalid": func(h *jsonHub) {
			h.onEnter = func(entered fields) bool {
				entered["recovered"], entered["reason"], entered["position"] = false, "invalid", "e-0"
				return false
			}
		},
		"no_history": func(h *jsonHub) {
			h.onEnter = func(entered fields) bool {
				entered["recovered"], entered["reason"] = false, "no_history"
				delete(entered, "position")
				return false
			}
		},
		"phase_of_the_moon": func(h *jsonHub) {
			h.onEnter = func(entered fields) bool {
				entered["recovered"], entered["reason"], entered["position"] = false, "phase_of_the_moon", "e-9"
				return false
			}
		},
	} {
		t.Run(reason, func(t *testing.T) {
			h := startJSONHub(t)
			c := startClient(t, quick(), "-id=x", h.url("/"))
			joinAndShow(t, h, c)
			h.refuses.Store(true)
			h.cut()
			c.stderr.await(t, "attempt 1 failed")
			h.publish("meanwhile")
			h.mu.Lock()
			prepare(h)
			h.mu.Unlock()
			h.refuses.Store(false)
			c.stderr.await(t, `messages of the room "lobby" may be missing from here: `)
			c.pipe(t, "")
			c.expectExit(t, exitOK)
			told := ""
			for line := range strings.Lines(c.stderr.String()) {
				if strings.Contains(line, "may be missing") {
					told += line
				}
			}
			if strings.Count(told, "\n") != 1 || !strings.Contains(told, reason) {
				t.Fatalf("want one line with %q:\n%s", reason, told)
			}
		})
	}
}

// A room without history has no positions, and so none is asked for.
func TestReturnToARoomWithoutPositionsIsNotSilent(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) {
		h.onEnter = func(entered fields) bool {
			delete(entered, "position")
			return false
		}
	})
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.cut()
	c.stderr.await(t, `messages of the room "lobby" may be missing from here: the room has no history`+"\n")
}

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

func TestWithEchoFalseOwnLinesAreNotShownByAReplay(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/?echo=false"))
	joinAndShow(t, h, c)
	c.say(t, "a")
	receive(t, h.received)
	h.mute.Store(true)
	c.say(t, "b")
	receive(t, h.received)
	h.publish("[y] c", fields{"client": "other"})
	h.mute.Store(false)
	h.cut()
	c.stdout.await(t, "[y] c\n")
	c.pipe(t, "d\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\n[y] c\n")
}

func TestDroppedMessagesAreFetchedInTheirOrder(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.mute.Store(true)
	h.publish("b")
	h.publish("c")
	h.mute.Store(false)
	h.tell(fields{"type": "dropped", "room": "lobby", "after": "e-1", "before": "e-4", "count": 2})
	h.publish("d")
	c.stdout.await(t, "d\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\nb\nc\nd\n")
	c.stderr.await(t, `the server left out 2 messages of the room "lobby", because this client was too slow`+"\n")
}

func TestDroppedMessagesThatCannotBeFetchedAreSaid(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", "-reconnect=false", h.url("/"))
	joinAndShow(t, h, c)
	h.tell(fields{"type": "dropped", "room": "lobby", "after": "e-1", "before": "e-4", "count": 1})
	h.publish("d")
	c.stdout.await(t, "d\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOneErrorLine(t, `1 message is missing here in the room "lobby": this client was too slow`)
}

func TestUnknownTypesAndFieldsAreIgnored(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.tell(fields{"type": "signal", "room": 5, "text": fields{"a": 1}, "base64": "*"})
	h.tell(fields{"type": "members", "room": "lobby", "count": 1, "list": []fields{{"client": "c1"}}})
	h.tell(fields{"type": "broadcast", "text": "end", "colour": []int{1}})
	c.stdout.await(t, "end\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\nend\n")
	if text := c.stderr.String(); text != "" {
		t.Fatalf("standard error:\n%s", text)
	}
}

func TestFrameThatIsNoObjectEndsTheConnectionWithALine(t *testing.T) {
	for _, frame := range []string{"salut", "[]", "{}", `{"type":"message","text":5}`} {
		h := startJSONHub(t)
		c := startClient(t, quick(), "-id=x", "-reconnect=false", h.url("/"))
		receive(t, h.joined)
		h.each(func(m *jsonMember) { _ = m.WriteMessage(websocket.TextMessage, []byte(frame)) })
		c.expectExit(t, exitFailed)
		c.expectOneErrorLine(t, "not an object of libchat.json")
	}
}

func TestEveryMessageOfTheLargestSizePassesBothWays(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	control := strings.Repeat("\x01", maxMessage)
	encoded := base64.StdEncoding.EncodeToString([]byte(control))
	h.tell(fields{"type": "broadcast", "base64": encoded, "kind": "text"})
	h.tell(fields{"type": "broadcast", "base64": encoded})
	c.stdout.await(t, "<binary, 1048576 bytes>\n")
	quotes := strings.Repeat(`"`, maxMessage-len("[x] "))
	c.pipe(t, quotes+"\n"+control[:maxMessage/2]+"\nb\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, control+"\n<binary, 1048576 bytes>\n[x] "+quotes+"\n[x] "+control[:maxMessage/2]+"\n[x] b\n")
}

func TestEveryRoomIsRecoveredAndLinesNameTheirs(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	expect(t, h.queries, "name=x")
	h.tell(fields{"type": "entered", "room": "a&b ț", "position": "g-7"})
	h.tell(fields{"type": "live", "room": "a&b ț"})
	h.tell(fields{"type": "entered", "room": "gone", "position": "g-1"})
	h.tell(fields{"type": "live", "room": "gone"})
	h.tell(fields{"type": "removed", "room": "gone"})
	h.tell(fields{"type": "message", "room": "a&b ț", "position": "g-8", "text": "tea"})
	c.stdout.await(t, "tea\n")
	c.stderr.await(t, `the server has taken this client out of the room "gone"`+"\n")
	c.say(t, "a")
	if o := receive(t, h.received); o["room"] != "lobby" || o["text"] != "[x] a" {
		t.Fatalf("the client sent %v", o)
	}
	c.stdout.await(t, "[x] a\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "name=x&since=e-2&since.a%26b%20%C8%9B=g-8")
	c.say(t, "b")
	if o := receive(t, h.received); o["room"] != nil {
		t.Fatalf("the client sent %v", o)
	}
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

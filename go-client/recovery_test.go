package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
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
	expect(t, h.queries, "echo=true&name=x&since.lobby=e-0")
	h.publish("a")
	c.stdout.await(t, "a\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x&since.lobby=e-1")
	h.tell(fields{"type": "broadcast", "text": "to all"})
	c.stdout.await(t, "to all\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "echo=true&name=x&since.lobby=e-1")
}

// Without an echo the answer alone says how far the client has come.
func TestAnswerMovesThePositionOn(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/?echo=false"))
	joinAndShow(t, h, c)
	expect(t, h.queries, "echo=false&name=x")
	c.say(t, "b")
	receive(t, h.received)
	h.tell(fields{"type": "broadcast", "text": "to all"})
	c.stdout.await(t, "to all\n")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "echo=false&name=x&since.lobby=e-2")
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

func TestPositionOfTheURLThatIsOfNoUseIsSaid(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/?since=d-5"))
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] a\n")
	c.expectOneErrorLine(t, "may be missing from here: the room began anew (epoch)")
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

func TestDroppedBroadcastsAreSaidToBelongToNoRoom(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.tell(fields{"type": "dropped", "count": 2})
	h.publish("d")
	c.stdout.await(t, "d\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOneErrorLine(t, "2 messages are missing here, sent to all clients or to this one: this client was too slow\n")
}

func TestLineWaitsWhileTheClientIsInNoRoom(t *testing.T) {
	h := startJSONHub(t)
	timing := quick()
	timing.answer = time.Nanosecond
	input, c := startTyped(t, timing, h.url("/"))
	joinAndShow(t, h, c)
	h.tell(fields{"type": "removed", "room": "lobby"})
	c.stderr.await(t, `the server has taken this client out of the room "lobby"`+"\n")
	input <- inputEvent{line: "a"}
	c.stderr.await(t, "in no room: the line waits (1 of 100)\n")
	h.tell(fields{"type": "entered", "room": "tea", "position": "f-1"})
	h.tell(fields{"type": "live", "room": "tea"})
	c.stdout.await(t, "[x] a\n")
}

func TestRoomsBeyondTheBoundAreSaidAndHarmNothing(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	for i := range maxRooms {
		h.tell(fields{"type": "entered", "room": fmt.Sprint(i), "position": "f-1"})
	}
	c.stderr.await(t, `this client recovers at most 16 rooms: not "15"`+"\n")
	for i := range maxRooms {
		h.tell(fields{"type": "live", "room": fmt.Sprint(i)})
	}
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
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
	expect(t, h.queries, "name=x&since.lobby=e-2&since.a%26b%20%C8%9B=g-8")
	c.say(t, "b")
	if o := receive(t, h.received); o["room"] != nil {
		t.Fatalf("the client sent %v", o)
	}
}

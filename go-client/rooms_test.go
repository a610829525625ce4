package main

import (
	"strings"
	"testing"
	"time"
)

func inNews() []fields {
	return []fields{
		{"type": "entered", "room": "news", "position": "f-3"},
		{"type": "live", "room": "news"},
	}
}

// The host may put a client into a room before it accepts the client.
func TestRoomThatIsEnteredBeforeThatOfThePathIsRecoveredAsItself(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) { h.before = inNews() })
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	expect(t, h.queries, "name=x")
	h.cut()
	receive(t, h.joined)
	expect(t, h.queries, "name=x&since.news=f-3&since.lobby=e-1")
	h.publish("b")
	c.stdout.await(t, "b\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\nb\n")
}

func TestLineNamesNoRoomThatTheClientHasLeft(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	for _, room := range []string{"tea", "news"} {
		h.tell(fields{"type": "entered", "room": room, "position": "f-1"})
		h.tell(fields{"type": "live", "room": room})
	}
	h.tell(fields{"type": "removed", "room": "lobby"})
	c.stderr.await(t, "has taken this client out")
	c.say(t, "a")
	if o := receive(t, h.received); o["room"] != nil {
		t.Fatalf("the client sent %v", o)
	}
}

func TestLostLineIsReportedThoughTheClientIsNotInTheRoomOfItsPath(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) {
		h.verdict = func(string) fields { return fields{} }
		h.onEnter = func(entered fields) bool {
			entered["room"] = "tea"
			return false
		}
	})
	c := startClient(t, quick(), "-id=x", h.url("/rooms/lobby"))
	receive(t, h.joined)
	c.say(t, "a")
	receive(t, h.received)
	h.cut()
	c.stderr.await(t, `1 line may not have been delivered and will not be sent again, from "[x] a" on`+"\n")
}

func TestLineIsNotReportedBeforeTheReplayOfItsRoom(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) { h.before = inNews() })
	c := startClient(t, quick(), "-id=x", h.url("/rooms/lobby"))
	joinAndShow(t, h, c)
	h.mute.Store(true)
	c.say(t, "a")
	receive(t, h.received)
	h.mute.Store(false)
	h.cut()
	c.stdout.await(t, "[x] a\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\n[x] a\n")
	if strings.Contains(c.stderr.String(), "may not have been delivered") {
		t.Fatalf("standard error:\n%s", c.stderr)
	}
}

// startInTeaAndNews starts a client that the host puts into two rooms, not into that of its path, and back
// into one of them only. A line of it is lost.
func startInTeaAndNews(t *testing.T, returning time.Duration) (*jsonHub, *client) {
	h := startJSONHub(t, func(h *jsonHub) {
		h.before = inNews()
		h.verdict = func(text string) fields {
			if strings.HasSuffix(text, "lost") {
				return fields{}
			}
			return nil
		}
		h.onEnter = func(entered fields) bool {
			entered["room"] = "tea"
			return false
		}
	})
	timing := quick()
	timing.returning = returning
	c := startClient(t, timing, "-id=x", h.url("/rooms/lobby"))
	receive(t, h.joined)
	c.say(t, "lost")
	receive(t, h.received)
	h.mu.Lock()
	h.before = nil
	h.mu.Unlock()
	h.cut()
	receive(t, h.joined)
	return h, c
}

func TestLostLineIsReportedThoughTheHostPutsTheClientIntoFewerRooms(t *testing.T) {
	h, c := startInTeaAndNews(t, 50*time.Millisecond)
	c.stderr.await(t, `1 line may not have been delivered and will not be sent again, from "[x] lost" on`+"\n")
	c.say(t, "b")
	if o := receive(t, h.received); o["text"] != "[x] b" {
		t.Fatalf("the client sent %v", o)
	}
}

func TestLineIsNotReportedWhileTheHostMayPutTheClientIntoItsRoom(t *testing.T) {
	h, c := startInTeaAndNews(t, patience)
	h.tell(fields{"type": "entered", "room": "news", "position": "f-3", "recovered": true})
	h.tell(fields{"type": "message", "room": "news", "position": "f-4", "client": "c1", "text": "[x] lost"})
	h.tell(fields{"type": "live", "room": "news"})
	c.stdout.await(t, "[x] lost\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	if strings.Contains(c.stderr.String(), "may not have been delivered") {
		t.Fatalf("standard error:\n%s", c.stderr)
	}
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestWaitThatTheServerAsksForIsHonoured(t *testing.T) {
	for _, code := range []int{
		websocket.CloseGoingAway, websocket.CloseServiceRestart, websocket.CloseTryAgainLater,
	} {
		h := startJSONHub(t)
		timing := quick()
		timing.backoffMin, timing.backoffMax = time.Hour, time.Hour
		c := startClient(t, timing, "-id=x", h.url("/"))
		joinAndShow(t, h, c)
		closed := time.Now()
		h.closeAll(code, fields{"retry": 120})
		c.stderr.await(t, "attempt 1 to connect again in 120ms\n")
		c.stderr.await(t, "connected again\n")
		if waited := time.Since(closed); waited < 120*time.Millisecond {
			t.Fatalf("the client waited %v", waited)
		}
	}
}

func TestCloseThatAsksToComeBackBeginsTheBackoffAnew(t *testing.T) {
	for code, attempt := range map[int]string{
		websocket.CloseGoingAway:      "attempt 1 ",
		websocket.CloseServiceRestart: "attempt 1 ",
		websocket.CloseTryAgainLater:  "attempt 1 ",
		4000:                          "attempt 4 ",
	} {
		h := startJSONHub(t)
		c := startClient(t, quick(), "-id=x", h.url("/"))
		joinAndShow(t, h, c)
		h.refuses.Store(true)
		h.cut()
		c.stderr.await(t, "attempt 2 failed")
		c.stderr.await(t, "attempt 3 to connect")
		h.refuses.Store(false)
		receive(t, h.joined)
		h.closeAll(code, nil)
		c.stderr.awaitCount(t, "connected again\n", 2)
		_, after, _ := strings.Cut(c.stderr.String(), "connected again\n")
		if !strings.Contains(after, attempt) {
			t.Fatalf("code %d: standard error after the close:\n%s", code, after)
		}
	}
}

func TestEnterTriesAtOnceWhileTheClientWaits(t *testing.T) {
	h := startJSONHub(t)
	input, c := startTyped(t, quick(), h.url("/"))
	joinAndShow(t, h, c)
	h.closeAll(websocket.CloseGoingAway, fields{"retry": 1e300})
	c.stderr.await(t, "attempt 1 to connect again in 10m0s; Enter tries at once\n")
	input <- inputEvent{line: ""}
	receive(t, h.joined)
	c.stderr.await(t, "connected again\n")
	h.closeAll(websocket.CloseGoingAway, fields{"retry": 3_600_000})
	c.stderr.awaitCount(t, "attempt 1 to connect again in 10m0s; Enter tries at once\n", 2)
	input <- inputEvent{line: "a"}
	c.stdout.await(t, "[x] a\n")
	if o := receive(t, h.received); o["text"] != "[x] a" {
		t.Fatalf("the client sent %v, but the first Enter was no line", o)
	}
}

// What one server asked for says nothing of how the next connection ends.
func TestAnnouncedWaitIsOfOneConnection(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.closeAll(websocket.CloseGoingAway, fields{"retry": 120})
	receive(t, h.joined)
	h.cut()
	c.stderr.awaitCount(t, "connected again\n", 2)
	if n := strings.Count(c.stderr.String(), "again in 120ms\n"); n != 1 {
		t.Fatalf("120 ms were waited %d times:\n%s", n, c.stderr)
	}
}

func TestAnnouncedWaitIsNotThatOfAPlainServerThatFollows(t *testing.T) {
	inJSON, plain := startJSONHub(t), startHub(t)
	var isPlain atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPlain.Load() {
			plain.ServeHTTP(w, r)
			return
		}
		inJSON.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		inJSON.cut()
		plain.cut()
		server.Close()
	})
	c := startClient(t, quick(), "-id=x", "-url=ws"+strings.TrimPrefix(server.URL, "http")+"/")
	joinAndShow(t, inJSON, c)
	isPlain.Store(true)
	inJSON.closeAll(websocket.CloseGoingAway, fields{"retry": 120})
	for n := range 2 {
		receive(t, plain.joined)
		plain.cut()
		c.stderr.awaitCount(t, "connected again\n", n+2)
	}
	if n := strings.Count(c.stderr.String(), "again in 120ms\n"); n != 1 {
		t.Fatalf("120 ms were waited %d times:\n%s", n, c.stderr)
	}
	c.stderr.await(t, "attempt 2 to connect again")
}

// A script waits as long as the server asks, and only then counts the time without progress.
func TestPipedLinesWaitAsLongAsTheServerAsks(t *testing.T) {
	h := startJSONHub(t)
	timing := quick()
	timing.stall = 800 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.closeAll(websocket.CloseGoingAway, fields{"retry": 1200})
	c.stderr.await(t, "attempt 1 to connect again in 1.2s\n")
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\n[x] a\n")
}

func TestLineThatIsSilentForLongerThanTheServerSaidIsDead(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) { h.ping = 0.05 })
	timing := quick()
	timing.ping, timing.slack = 10*time.Millisecond, 250*time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.silent.Store(true) // the WebSocket's own pings are answered on
	c.stderr.await(t, "the server does not answer any more\n")
	h.silent.Store(false)
	c.stderr.await(t, "connected again\n")
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\n[x] a\n")
}

func TestLineWithAHeartbeatIsKept(t *testing.T) {
	h := startJSONHub(t, func(h *jsonHub) { h.ping = 0.01 })
	timing := quick()
	timing.slack = time.Second
	c := startClient(t, timing, "-id=x", h.url("/"))
	joined := receive(t, h.joined)
	quiet := time.NewTimer(2 * timing.slack)
	select {
	case <-quiet.C:
	case <-joined.gone:
		t.Fatalf("the connection was given up:\n%s", c.stderr)
	}
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	if text := c.stderr.String(); text != "" {
		t.Fatalf("standard error:\n%s", text)
	}
}

package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
)

const noRecovery = "the server does not speak libchat.json: messages from the time of a lost connection stay missing\n"

// The paper's output is the messages, a line each, whatever the server wraps them in.
func TestPipedOutputIsTheSameInBothForms(t *testing.T) {
	const want = "[y] salut\n\n\x1b[2J\n<binary, 3 bytes>\n[x] a\n[x] \n[x] b\n"
	plain, inJSON := startHub(t), startJSONHub(t)
	binary := "\x00\x01\x02"
	for _, form := range []struct {
		name    string
		url     string
		joined  func()
		publish func(text string)
		binary  func()
	}{
		{
			"plain", plain.url("/"), func() { receive(t, plain.joined) }, plain.broadcast,
			func() { plain.deliver(nil, websocket.BinaryMessage, binary) },
		},
		{
			"JSON", inJSON.url("/"), func() { receive(t, inJSON.joined) },
			func(text string) {
				inJSON.publish(text, fields{"client": "y", "name": "not y", "claimed": true})
			},
			func() { inJSON.tell(fields{"type": "direct", "base64": []byte(binary)}) },
		},
	} {
		c := startClient(t, quick(), "-id=x", form.url)
		form.joined()
		for _, text := range []string{"[y] salut", "", "\x1b[2J"} {
			form.publish(text)
		}
		form.binary()
		c.stdout.await(t, "bytes>\n")
		c.pipe(t, "a\n\nb\r\n")
		c.expectExit(t, exitOK)
		c.expectOutput(t, want)
		if text := c.stderr.String(); text != "" {
			t.Fatalf("%s: a script's standard error is not silent:\n%s", form.name, text)
		}
	}
}

func TestTenThousandPipedLinesComeBackInOrderInJSON(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, strings.Repeat("a\nb\n", 5_000))
	c.expectExit(t, exitOK)
	c.expectOutput(t, strings.Repeat("[x] a\n[x] b\n", 5_000))
}

func TestHistoryIsNotTakenForTheEchoInJSON(t *testing.T) {
	h := startJSONHub(t)
	h.publish("[x] a", fields{"client": "earlier"})
	c := startClient(t, quick(), "-id=x", h.url("/?history=5"))
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] a\n[x] a\n")
}

func TestServerWithoutRecoveryIsSaidOnce(t *testing.T) {
	h := startHub(t)
	_, typed := startTyped(t, quick(), h.url("/"))
	typed.stderr.await(t, noRecovery)
	script := startClient(t, quick(), "-id=y", h.url("/"))
	for range 2 {
		receive(t, h.joined)
	}
	if text := script.stderr.String(); text != "" {
		t.Fatalf("a script that lacks nothing yet:\n%s", text)
	}
	for n := range 3 {
		h.cut()
		for _, c := range []*client{typed, script} {
			c.stderr.awaitCount(t, "connected again\n", n+1)
		}
		for range 2 {
			receive(t, h.joined)
		}
	}
	script.pipe(t, "a\n")
	script.expectExit(t, exitOK)
	for _, c := range []*client{typed, script} {
		if n := strings.Count(c.stderr.String(), noRecovery); n != 1 {
			t.Fatalf("said %d times:\n%s", n, c.stderr)
		}
	}
}

func TestPlainOffersNothingAndSaysNothing(t *testing.T) {
	h := startJSONHub(t)
	opts, err := parseOptions([]string{"-id=x", "-plain", h.url("/")})
	if err != nil {
		t.Fatal(err)
	}
	result := opts.dial(t.Context(), quick(), opts.address(&positions{}), false)
	if result.err != nil || result.json {
		t.Fatalf("%+v", result)
	}
	result.ws.Close()
	expect(t, h.queries, "")

	plain := startHub(t)
	_, c := startTyped(t, quick(), "-plain", plain.url("/"))
	receive(t, plain.joined)
	plain.cut()
	c.stderr.await(t, "connected again\n")
	if strings.Contains(c.stderr.String(), subprotocol) {
		t.Fatalf("standard error:\n%s", c.stderr)
	}
}

// picky answers an offered subprotocol as the tests choose, and else serves as the hub.
func picky(h *hub, requests *atomic.Int64, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if len(websocket.Subprotocols(r)) > 0 {
			answer(w, r)
			return
		}
		if r.URL.RawQuery != "" {
			panic("the second request is not as the user's URL")
		}
		h.ServeHTTP(w, r)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestServerThatRefusesTheOfferIsAskedWithoutIt(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"400":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "what?", http.StatusBadRequest) },
		"501":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		"hangs up": hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			h := startHub(t)
			h.Config.Handler = picky(h, &requests, answer)
			c := startClient(t, quick(), "-id=x", h.url("/"))
			c.pipe(t, "a\n")
			c.expectExit(t, exitOK)
			c.expectOutput(t, "[x] a\n")
			if n := requests.Load(); n != 2 {
				t.Fatalf("%d requests", n)
			}
		})
	}
}

func TestRefusalThatIsNotAboutTheOfferIsTakenAtItsWord(t *testing.T) {
	for _, status := range []int{401, 403, 404, 429, 503} {
		var requests atomic.Int64
		h := startHub(t)
		h.Config.Handler = picky(h, &requests, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		c := startClient(t, quick(), "-id=x", h.url("/"))
		c.expectExit(t, exitFailed)
		if n := requests.Load(); n != 1 {
			t.Fatalf("status %d: %d requests", status, n)
		}
	}
}

// A handshake that breaks is no reason to go on without recovery.
func TestServerThatSpokeJSONIsNotAskedForLess(t *testing.T) {
	var breaks atomic.Bool
	h := startJSONHub(t)
	serve := h.Config.Handler
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(websocket.Subprotocols(r)) == 0:
			panic("asked for the plain form")
		case breaks.Load():
			hangUp(w, r)
		default:
			serve.ServeHTTP(w, r)
		}
	})
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	breaks.Store(true)
	h.cut()
	c.stderr.await(t, "attempt 2 failed")
	h.publish("meanwhile")
	breaks.Store(false)
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\nmeanwhile\n[x] a\n")
}

// After a server was replaced by an older one, its messages have no positions: the last one is of no use.
func TestServerThatSpeaksJSONNoMoreIsSaid(t *testing.T) {
	h, older := startJSONHub(t), startHub(t)
	serve := h.Config.Handler
	var isOlder atomic.Bool
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isOlder.Load() {
			older.ServeHTTP(w, r)
			return
		}
		serve.ServeHTTP(w, r)
	})
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	receive(t, h.queries)
	isOlder.Store(true)
	h.mute.Store(true)
	c.say(t, "unknown")
	receive(t, h.received)
	h.mute.Store(false)
	h.cut()
	c.stderr.await(t, noRecovery)
	c.stderr.await(t, `1 line may not have been delivered and will not be sent again, from "[x] unknown" on`+"\n")
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
	isOlder.Store(false)
	older.cut()
	receive(t, h.joined)
	expect(t, h.queries, "name=x")
	c.pipe(t, "b\n")
	c.expectExit(t, exitFailed)
	c.expectOutput(t, "there\n[x] a\n[x] b\n")
}

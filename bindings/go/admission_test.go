package chat_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

func TestTheProgramDecidesWhoIsConnected(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	events := follow(t, server)
	rejected := make(chan *http.Response, 1)
	go func() {
		_, response, _ := websocket.DefaultDialer.Dial("ws://"+server.Addr().String()+"/", nil)
		rejected <- response
	}()
	id := next[chat.EventConnectRequest](t, events).Client
	check(t, "reject with 200", server.Reject(id, 200, "", nil), chat.ErrInvalidArgument)
	check(t, "reject nobody with 204", server.Reject(id+1000, 204, "", nil), chat.ErrNotFound)
	check(t, "reject with 70000", server.Reject(id, 70000, "", nil), chat.ErrInvalidArgument)
	check(t, "reject with a long text", server.Reject(id, 401, strings.Repeat("x", 1025), nil), chat.ErrTooLarge)
	check(t, "reject with no text", server.Reject(id, 401, "\xff", nil), chat.ErrInvalidUTF8)
	for name, wrong := range map[string]http.Header{
		"a line break":          {"X-A": {"b\r\nX-C: d"}},
		"a name with a space":   {"X A": {"b"}},
		"a header of libchat's": {"Content-Length": {"7"}},
	} {
		check(t, "reject with "+name, server.Reject(id, 401, "", wrong), chat.ErrInvalidArgument)
	}
	many := http.Header{"A": make([]string, 1000)}
	check(t, "reject with many headers", server.Reject(id, 401, "", many), chat.ErrTooLarge)
	header := http.Header{"Www-Authenticate": {"Basic realm=\"chat\""}, "X-Thrice": {"one", "", "three"}}
	if err := server.Reject(id, http.StatusUnauthorized, "sign in first", header); err != nil {
		t.Fatal(err)
	}
	response := <-rejected
	if response == nil || response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("the rejected client got %v", response)
	}
	for name, values := range header {
		if got := response.Header[name]; !slices.Equal(got, values) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if left := next[chat.EventDisconnected](t, events); left.Client != id {
		t.Errorf("client %d left", left.Client)
	}
	check(t, "accept the rejected", server.Accept(id), chat.ErrNotFound)

	connected := make(chan *peer, 1)
	go func() {
		header := http.Header{"Cookie": {"name=ana"}}
		connected <- connectFrom(t, server, "/rooms/wanted", "127.0.0.1", header)
	}()
	asked := next[chat.EventConnectRequest](t, events)
	if asked.Room != "wanted" || asked.Get("cookie") != "name=ana" || asked.HTTPHeader().Get("Cookie") != "name=ana" {
		t.Errorf("asked: %+v", asked)
	}
	id = asked.Client
	for _, err := range []error{
		server.SetIdentity(id, "ana"),
		server.SetName(id, "Ana"),
		server.SetEcho(id, false),
		server.Leave(id, "wanted"),
		server.Join(id, "given"),
		server.Send(id, chat.Text, []byte("welcome")),
		server.Accept(id),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p := <-connected
	if joined := next[chat.EventJoined](t, events); joined != (chat.EventJoined{id, "ana", "given"}) {
		t.Errorf("joined: %+v", joined)
	}
	if is := next[chat.EventConnected](t, events); is.Room != "given" || is.Identity != "ana" {
		t.Errorf("connected: %+v", is)
	}
	p.expect(t, "welcome")
	if _, err := server.Publish("given", chat.Text, []byte("to the room")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "to the room")
	if err := server.Leave(id, "given"); err != nil {
		t.Fatal(err)
	}
	if left := next[chat.EventLeft](t, events); left != (chat.EventLeft{id, "ana", "given"}) {
		t.Errorf("left: %+v", left)
	}
	check(t, "join no room", server.Join(id, ""), chat.ErrInvalidArgument)
	check(t, "leave no room", server.Leave(id, "\xff"), chat.ErrInvalidUTF8)
	check(t, "a long identity", server.SetIdentity(id, strings.Repeat("x", 257)), chat.ErrTooLarge)
	check(t, "echo of nobody", server.SetEcho(0, true), chat.ErrNotFound)
}

func TestAProgramThatDoesNotDecideHasRejected(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: 10 * time.Millisecond})
	if _, err := dial(server, "/", "", nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the client got %v", err)
	}
	if count := server.Stats().AdmissionsTimedOut; count != 1 {
		t.Errorf("%d admissions timed out", count)
	}
}

func TestTheProgramDecidesOnMessages(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, ReviewTimeout: patience})
	events := follow(t, server)
	p := connect(t, server, "/")
	id := next[chat.EventConnected](t, events).Client
	if err := server.SetIdentity(id, "ana"); err != nil {
		t.Fatal(err)
	}
	// What it says may be read before the identity is set, unless it has seen something that follows.
	if err := server.Send(id, chat.Text, []byte("you are ana")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "you are ana")
	for _, text := range []string{"good", "bad", "rude"} {
		p.say(t, text)
	}
	decisions := map[string]chat.DecisionID{}
	for len(decisions) < 3 {
		asked := next[chat.EventMessageRequest](t, events)
		if asked.Client != id || asked.Identity != "ana" || asked.Room != "lobby" || asked.Kind != chat.Text {
			t.Errorf("asked: %+v", asked)
		}
		decisions[string(asked.Data)] = asked.Decision
	}
	check(t, "no text", server.AllowChanged(decisions["rude"], chat.Text, []byte("\xff")), chat.ErrInvalidUTF8)
	for _, err := range []error{
		server.AllowChanged(decisions["rude"], chat.Text, []byte("polite")),
		server.Refuse(decisions["bad"]),
		server.Allow(decisions["good"]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.expect(t, "good")
	p.expect(t, "polite")
	check(t, "allow again", server.Allow(decisions["good"]), chat.ErrNotFound)
	if count := server.Stats().MessagesRefused; count != 1 {
		t.Errorf("%d messages refused", count)
	}
}

package chat_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestTheProgramDecidesWhoIsConnected(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	events := follow(t, server)
	rejected := make(chan error, 1)
	go func() {
		_, err := dial(server, "/", "", nil)
		rejected <- err
	}()
	id := next[chat.EventConnectRequest](t, events).Client
	check(t, "reject with 200", server.Reject(id, 200, ""), chat.ErrInvalidArgument)
	check(t, "reject with 70000", server.Reject(id, 70000, ""), chat.ErrInvalidArgument)
	check(t, "reject with a long text", server.Reject(id, 401, strings.Repeat("x", 1025)), chat.ErrTooLarge)
	check(t, "reject with no text", server.Reject(id, 401, "\xff"), chat.ErrInvalidUTF8)
	if err := server.Reject(id, http.StatusUnauthorized, "sign in first"); err != nil {
		t.Fatal(err)
	}
	if err := <-rejected; err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("the rejected client got %v", err)
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

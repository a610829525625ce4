package chat_test

import (
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// Two clients, told apart by their addresses: each message goes to both, and at the end each leaves
// with a clean close.
func TestTwoClientsTalkAndLeave(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	events := follow(t, server)
	first := connectFrom(t, server, "/", "127.0.0.1", nil)
	second := connectFrom(t, server, "/", "127.0.0.3", nil)
	for _, from := range []string{"127.0.0.1", "127.0.0.3"} {
		connected := next[chat.EventConnected](t, events)
		if connected.Addr.Addr().String() != from || connected.Room != "lobby" {
			t.Errorf("got %+v, want a client from %s in the lobby", connected, from)
		}
	}
	first.say(t, "[client1] salut")
	first.expect(t, "[client1] salut")
	second.expect(t, "[client1] salut")
	second.say(t, "[client2] salut")
	first.expect(t, "[client2] salut")
	second.expect(t, "[client2] salut")

	first.leave(t)
	second.say(t, "[client2] alone")
	second.expect(t, "[client2] alone")
	second.leave(t)
	for range 2 {
		if left := until[chat.EventDisconnected](t, events); left.Code != 1000 {
			t.Errorf("got %+v, want code 1000", left)
		}
	}
}

// "All others" instead of all: for the whole server, or for one connection, which overrides it.
func TestEchoIsOnOrOffForTheServerAndForOneConnection(t *testing.T) {
	for _, test := range []struct {
		name   string
		noEcho bool
		path   string
		echo   bool
	}{
		{"on", false, "/", true},
		{"off for one", false, "/?echo=false", false},
		{"off", true, "/", false},
		{"on for one", true, "/?echo=true", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := start(t, chat.Options{NoEcho: test.noEcho})
			sender := connect(t, server, test.path)
			other := connect(t, server, "/")
			sender.say(t, "msg")
			other.expect(t, "msg")
			// The other's message is the next one, unless the sender's own came before it.
			other.say(t, "answer")
			if test.echo {
				sender.expect(t, "msg")
			}
			sender.expect(t, "answer")
		})
	}
}

func TestTextStaysTextAndBinaryStaysBinary(t *testing.T) {
	server := start(t, chat.Options{})
	p := connect(t, server, "/")
	for _, sent := range []message{
		{websocket.TextMessage, "żółw", nil},
		{websocket.BinaryMessage, "\x00\xff", nil},
		{websocket.TextMessage, "", nil},
		{websocket.BinaryMessage, "", nil},
	} {
		kind := chat.Text
		if sent.kind == websocket.BinaryMessage {
			kind = chat.Binary
		}
		if err := p.WriteMessage(sent.kind, []byte(sent.data)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, p.got); got != sent {
			t.Errorf("got %+v of the client's %+v", got, sent)
		}
		if err := server.Broadcast(kind, []byte(sent.data)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, p.got); got != sent {
			t.Errorf("got %+v of the host's %+v", got, sent)
		}
	}
}

func TestAForeignPageMayNotConnect(t *testing.T) {
	page := http.Header{"Origin": {"https://example.org"}}
	if conn, err := dial(start(t, chat.Options{}), "/", "", page); err == nil {
		conn.Close()
		t.Error("connected from a foreign page")
	}
	allowed := start(t, chat.Options{Origins: []string{"https://example.org"}})
	connectFrom(t, allowed, "/", "", page)
}

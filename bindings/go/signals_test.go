package chat_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

func TestClientsAndTheHostSignalToEachOther(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 100, SignalRate: 10})
	events := follow(t, server)
	enter := func() (*websocket.Conn, chat.ClientID) {
		conn, err := dial(server, "/rooms/a?format=json", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		for readObject(t, conn).Type != "live" {
		}
		return conn, next[chat.EventConnected](t, events).Client
	}
	ana, client := enter()
	ben, _ := enter()
	if err := server.SetIdentity(client, "user 7"); err != nil {
		t.Fatal(err)
	}
	say(t, ana, `{"type":"signal","text":"typing"}`)
	if got := readObject(t, ben); got.Type != "signal" || got.Room != "a" || got.Client == "" || got.Text != "typing" {
		t.Errorf("got %+v", got)
	}
	want := chat.EventSignal{Client: client, Identity: "user 7", Room: "a", Kind: chat.Text, Data: []byte("typing")}
	if got := next[chat.EventSignal](t, events); !equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	say(t, ana, `{"type":"signal","to":"host","base64":"AP8="}`)
	want.Kind, want.Data = chat.Binary, []byte{0, 0xff}
	if got := next[chat.EventSignal](t, events); !equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := server.Signal("a", chat.Text, []byte("all")); err != nil {
		t.Error(err)
	}
	if err := server.SignalClient(client, chat.Text, []byte("one")); err != nil {
		t.Error(err)
	}
	for _, want := range []said{{Type: "signal", Room: "a", Text: "all"}, {Type: "signal", Text: "one"}} {
		if got := readObject(t, ana); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if stats := server.Stats(); stats.SignalsReceived != 2 || stats.SignalsDropped != 0 {
		t.Errorf("%+v", stats)
	}
	long := make([]byte, 4097)
	for _, test := range []struct{ got, want error }{
		{server.Signal("nobody is here", chat.Text, nil), nil},
		{server.Signal("", chat.Text, nil), chat.ErrInvalidArgument},
		{server.Signal("a", 3, nil), chat.ErrInvalidArgument},
		{server.Signal("a", chat.Text, []byte{0xff}), chat.ErrInvalidUTF8},
		{server.Signal("a", chat.Binary, long), chat.ErrTooLarge},
		{server.SignalClient(client, chat.Binary, long), chat.ErrTooLarge},
		{server.SignalClient(1<<60, chat.Text, nil), chat.ErrNotFound},
		{server.Close(), nil},
		{server.Signal("a", chat.Text, nil), chat.ErrStopped},
		{server.SignalClient(client, chat.Text, nil), chat.ErrStopped},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

// said is an object of the JSON form.
type said struct{ Type, Room, Client, Text string }

func readObject(t *testing.T, conn *websocket.Conn) (object said) {
	t.Helper()
	_, data, err := conn.ReadMessage()
	if err == nil {
		err = json.Unmarshal(data, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func say(t *testing.T, conn *websocket.Conn, object string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(object)); err != nil {
		t.Fatal(err)
	}
}

func equal(a, b chat.EventSignal) bool {
	same := a.Client == b.Client && a.Identity == b.Identity && a.Room == b.Room && a.Kind == b.Kind
	return same && string(a.Data) == string(b.Data)
}

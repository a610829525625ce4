package chat_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

// check wants an error of this kind, whose text begins as those of the package do.
func check(t *testing.T, what string, err error, kinds ...error) {
	t.Helper()
	for _, kind := range kinds {
		if !errors.Is(err, kind) {
			t.Errorf("%s: got %v, want %v", what, err, kind)
		}
	}
	if err != nil && !strings.HasPrefix(err.Error(), "chat: ") {
		t.Errorf("%s: the text %q", what, err)
	}
}

func TestAFailedStartSaysWhy(t *testing.T) {
	server := start(t, chat.Options{})
	addr := server.Addr().String()
	_, err := chat.Start(chat.Options{Listen: []string{addr}})
	check(t, "a port in use", err, chat.ErrAddressInUse, syscall.EADDRINUSE)
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("%v does not name %s", err, addr)
	}
	if errors.Is(err, chat.ErrIO) || errors.Is(err, syscall.EACCES) {
		t.Errorf("%v is too much", err)
	}
	_, err = chat.Start(chat.Options{Listen: []string{"192.0.2.1:0"}})
	check(t, "a foreign address", err, chat.ErrAddressUnavailable, syscall.EADDRNOTAVAIL)
	_, err = chat.Start(chat.Options{Listen: []string{"localhost"}, Workers: 1000})
	check(t, "two wrong options", err, chat.ErrInvalidArgument)
	if err == nil || !strings.Contains(err.Error(), "listen") || !strings.Contains(err.Error(), "workers") {
		t.Errorf("%v does not name both", err)
	}
}

func TestEachCallSaysWhatIsWrong(t *testing.T) {
	server := start(t, chat.Options{MaxMessageSize: 10, EventQueue: 8})
	events := follow(t, server)
	p := connect(t, server, "/")
	id := next[chat.EventConnected](t, events).Client
	long := make([]byte, 11)
	for _, test := range []struct {
		what string
		kind chat.Kind
		data []byte
		want error
	}{
		{"an unknown kind", 0, nil, chat.ErrInvalidArgument},
		{"an unknown kind", 3, nil, chat.ErrInvalidArgument},
		{"no UTF-8", chat.Text, []byte("\xff"), chat.ErrInvalidUTF8},
		{"too long", chat.Binary, long, chat.ErrTooLarge},
	} {
		check(t, "broadcast: "+test.what, server.Broadcast(test.kind, test.data), test.want)
		_, err := server.Publish("lobby", test.kind, test.data)
		check(t, "publish: "+test.what, err, test.want)
		published, err := server.PublishBatch([]chat.Message{{"lobby", chat.Text, nil}, {"lobby", test.kind, test.data}})
		check(t, "publish in a batch: "+test.what, err, test.want)
		if len(published) != 0 {
			t.Errorf("%d messages of a batch were published that has %s", len(published), test.what)
		}
		check(t, "send: "+test.what, server.Send(id, test.kind, test.data), test.want)
	}
	for _, test := range []struct {
		room string
		want error
	}{
		{"", chat.ErrInvalidArgument},
		{"a\nb", chat.ErrInvalidArgument},
		{strings.Repeat("r", 129), chat.ErrInvalidArgument},
		{"\xff", chat.ErrInvalidUTF8},
	} {
		_, err := server.Publish(test.room, chat.Text, nil)
		check(t, "publish to "+test.room, err, test.want)
		_, err = server.PublishBatch([]chat.Message{{test.room, chat.Text, nil}})
		check(t, "publish in a batch to "+test.room, err, test.want)
		_, err = server.Position(test.room)
		check(t, "position of "+test.room, err, test.want)
	}
	check(t, "send to nobody", server.Send(0, chat.Text, nil), chat.ErrNotFound)
	check(t, "disconnect nobody", server.Disconnect(id+1<<20, 1000, ""), chat.ErrNotFound)
	check(t, "disconnect with 1005", server.Disconnect(id, 1005, ""), chat.ErrInvalidArgument)
	check(t, "a long reason", server.Disconnect(id, 1000, strings.Repeat("r", 124)), chat.ErrTooLarge)
	check(t, "a reason that is no text", server.Disconnect(id, 1000, "\xff"), chat.ErrInvalidUTF8)

	// None of it was sent.
	if err := server.Send(id, chat.Text, nil); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "")
	if err := server.Disconnect(id, 1000, ""); err != nil {
		t.Fatal(err)
	}
	p.expectClose(t, 1000)
	next[chat.EventDisconnected](t, events)
	// Its id is forgotten soon after the event.
	deadline := time.Now().Add(patience)
	var err error
	for err == nil && time.Now().Before(deadline) {
		err = server.Send(id, chat.Text, nil)
	}
	check(t, "send to one who left", err, chat.ErrNotFound)
}

func TestACallAfterTheEndSaysSo(t *testing.T) {
	for name, end := range map[string]func(*chat.Server) error{
		"close":    (*chat.Server).Close,
		"shutdown": func(s *chat.Server) error { return s.Shutdown(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, chat.Options{EventQueue: 8})
			connect(t, server, "/").leave(t)
			addr, before := server.Addr().String(), server.Stats()
			if err := end(server); err != nil {
				t.Fatal(err)
			}
			check(t, "broadcast", server.Broadcast(chat.Text, nil), chat.ErrStopped)
			_, err := server.Publish("lobby", chat.Text, nil)
			check(t, "publish", err, chat.ErrStopped)
			_, err = server.PublishBatch([]chat.Message{{"lobby", chat.Text, nil}})
			check(t, "publish a batch", err, chat.ErrStopped)
			_, err = server.Position("lobby")
			check(t, "position", err, chat.ErrStopped)
			check(t, "send", server.Send(1, chat.Text, nil), chat.ErrStopped)
			check(t, "disconnect", server.Disconnect(1, 1000, ""), chat.ErrStopped)
			server.RequestStop()
			if server.Addr().String() != addr {
				t.Error("the address is forgotten")
			}
			if stats := server.Stats(); stats.ConnectionsAccepted != before.ConnectionsAccepted ||
				stats.ConnectionsAccepted != 1 || stats.Connections != 0 {
				t.Errorf("the counters are %+v", stats)
			}
			if err := errors.Join(server.Close(), server.Shutdown(t.Context()), server.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACallWhileTheServerStopsSaysSo(t *testing.T) {
	server := start(t, chat.Options{})
	server.RequestStop()
	check(t, "broadcast", server.Broadcast(chat.Text, nil), chat.ErrStopped)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

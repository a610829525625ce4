package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// slowRoom is a room with clients that read and one that does not.
type slowRoom struct {
	server *chat.Server
	fast   []*peer
	slow   *websocket.Conn
	events <-chan chat.Event
	count  int // Messages that were published.
}

func newSlowRoom(t *testing.T, policy chat.SlowConsumer) *slowRoom {
	r := &slowRoom{server: start(t, chat.Options{
		SlowConsumer:   policy,
		MaxMessageSize: 64 << 10,
		OutboxSize:     128 << 10,
		OutboxAge:      time.Hour, // The size decides.
		EventQueue:     1 << 16,
	})}
	r.events = follow(t, r.server)
	for range 3 {
		r.fast = append(r.fast, connect(t, r.server, "/"))
		next[chat.EventConnected](t, r.events)
	}
	slow, err := dial(r.server, "/?echo=false", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.Close() })
	r.slow = slow
	next[chat.EventConnected](t, r.events)
	return r
}

// publish publishes a message, which begins with its number from 0, and waits until those that read
// have it.
func (r *slowRoom) publish(t *testing.T) {
	t.Helper()
	text := fmt.Sprint(r.count, " ", strings.Repeat("x", 32<<10))
	if _, err := r.server.Publish("lobby", chat.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.fast {
		p.expect(t, text)
	}
	r.count++
}

// publishUntil publishes until the server tells of this.
func publishUntil[E chat.Event](t *testing.T, r *slowRoom) E {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		r.publish(t)
		select {
		case event := <-r.events:
			if wanted, ok := event.(E); ok {
				return wanted
			}
			t.Fatalf("got %T%+v", event, event)
		default:
		}
	}
	t.Fatalf("nothing came of %d messages", r.count)
	panic("unreachable")
}

// number reads a message's number.
func number(t *testing.T, data []byte) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(string(data), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestASlowConsumerIsClosedAndTheOthersGetEverything(t *testing.T) {
	r := newSlowRoom(t, chat.Disconnect)
	left := publishUntil[chat.EventDisconnected](t, r)
	if left.Code != websocket.CloseTryAgainLater || left.Reason == "" {
		t.Errorf("got %+v", left)
	}
	if slow := r.server.Stats().SlowConsumers; slow != 1 {
		t.Errorf("%d slow consumers", slow)
	}
	// What it did get is a beginning without a gap, and then it is told.
	r.slow.SetReadDeadline(time.Now().Add(patience))
	for want := 0; ; want++ {
		_, data, err := r.slow.ReadMessage()
		if err != nil {
			closed := closeError(t, message{err: err}, websocket.CloseTryAgainLater)
			if closed.Text != left.Reason {
				t.Errorf("the client was told %q, the host %q", closed.Text, left.Reason)
			}
			break
		}
		if got := number(t, data); got != want {
			t.Fatalf("message %d follows %d", got, want-1)
		}
	}
	r.publish(t)
}

func TestASlowConsumerMayLoseTheOldestWhichAreCounted(t *testing.T) {
	r := newSlowRoom(t, chat.DropOldest)
	dropped := publishUntil[chat.EventMessagesDropped](t, r).Count
	// It reads again: each message that comes is whole, and later than the one before.
	r.slow.SetReadDeadline(time.Now().Add(patience))
	last, got := -1, uint64(0)
	for last < r.count-1 {
		_, data, err := r.slow.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		n := number(t, data)
		if n <= last || len(data) < 32<<10 {
			t.Fatalf("message %d of %d bytes after %d", n, len(data), last)
		}
		last = n
		got++
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := r.slow.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.slow.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Error(err)
	}
	for {
		event := receive(t, r.events)
		if more, ok := event.(chat.EventMessagesDropped); ok {
			dropped += more.Count
		}
		if _, ok := event.(chat.EventDisconnected); ok {
			break
		}
	}
	if got+dropped != uint64(r.count) || dropped != r.server.Stats().MessagesDropped {
		t.Errorf("%d published, %d received, %d dropped, %d counted",
			r.count, got, dropped, r.server.Stats().MessagesDropped)
	}
}

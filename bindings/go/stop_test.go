package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// What Publish said yes to reaches everyone in the room, exactly once, before the close.
func TestAStopUnderLoadDeliversWhatWasAccepted(t *testing.T) {
	const rooms, readers, publishers = 3, 4, 2 // readers and publishers of each room
	server := start(t, chat.Options{OutboxSize: 1 << 30, OutboxAge: time.Hour})
	var mu sync.Mutex
	accepted := make([]map[string]bool, rooms)
	received := make([][]map[string]int, rooms)
	warm := make(chan struct{}, rooms*readers)
	var work []func() error
	for room := range rooms {
		name := fmt.Sprintf("r%d", room)
		accepted[room] = map[string]bool{}
		received[room] = make([]map[string]int, readers)
		for reader := range readers {
			p := connect(t, server, "/rooms/"+name)
			work = append(work, func() error {
				seen := map[string]int{}
				received[room][reader] = seen
				for got := range p.got {
					if got.err != nil {
						if websocket.IsCloseError(got.err, websocket.CloseGoingAway) {
							return nil
						}
						return got.err
					}
					if seen[got.data]++; len(seen) == 50 {
						warm <- struct{}{}
					}
				}
				return errors.New("no end")
			})
		}
		for publisher := range publishers {
			work = append(work, func() error {
				for number := 0; ; number++ {
					text := fmt.Sprintf("%s p%d %d", name, publisher, number)
					_, err := server.Publish(name, chat.Text, []byte(text))
					if errors.Is(err, chat.ErrStopped) {
						return nil
					}
					if err != nil {
						return err
					}
					mu.Lock()
					accepted[room][text] = true
					mu.Unlock()
				}
			})
		}
	}
	work = append(work, func() error {
		for range rooms * readers {
			receive(t, warm)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return server.Shutdown(ctx)
	})
	together(t, work...)

	for room := range rooms {
		for reader, seen := range received[room] {
			for text, times := range seen {
				if times != 1 || !accepted[room][text] {
					t.Fatalf("reader %d of room %d got %q %d times", reader, room, text, times)
				}
			}
			if len(seen) != len(accepted[room]) {
				t.Errorf("reader %d of room %d got %d of %d", reader, room, len(seen), len(accepted[room]))
			}
		}
	}
}

func TestShutdownWaitsForItsContextAndNoLonger(t *testing.T) {
	for _, test := range []struct {
		name    string
		context func() (context.Context, context.CancelFunc)
		cause   error
	}{
		{"deadline", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 50*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancelled before", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, cancel
		}, context.Canceled},
		{"cancelled meanwhile", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := start(t, chat.Options{EventQueue: 8})
			events := follow(t, server)
			// It never reads, and so never answers the close.
			conn, err := dial(server, "/", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			next[chat.EventConnected](t, events)
			ctx, cancel := test.context()
			defer cancel()
			began := time.Now()
			err = server.Shutdown(ctx)
			if !errors.Is(err, chat.ErrTimedOut) || !errors.Is(err, test.cause) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > chat.DefaultDrain/2 {
				t.Errorf("took %v", took)
			}
			until[chat.EventStopped](t, events)
		})
	}
}

func TestAServerStartsAgainOnItsPort(t *testing.T) {
	listen := []string{"127.0.0.1:0"}
	for range 5 {
		server := start(t, chat.Options{Listen: listen})
		listen[0] = server.Addr().String()
		p := connect(t, server, "/")
		p.say(t, "salut")
		p.expect(t, "salut")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := server.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		p.expectClose(t, websocket.CloseGoingAway)
	}
}

func TestManyServersRunAtOnce(t *testing.T) {
	one := start(t, chat.Options{Listen: []string{"127.0.0.1:0", "[::1]:0"}})
	if addrs := one.Addrs(); len(addrs) != 2 || addrs[0].String() != one.Addr().String() ||
		addrs[0].String() == addrs[1].String() || addrs[1].Network() != "tcp" {
		t.Errorf("listens on %v", addrs)
	}
	two := start(t, chat.Options{})
	first, second := connect(t, one, "/"), connect(t, two, "/")
	if err := one.Broadcast(chat.Text, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := two.Broadcast(chat.Text, []byte("two")); err != nil {
		t.Fatal(err)
	}
	first.expect(t, "one")
	second.expect(t, "two")
}

// Goroutines in every call while the server stops: each call ends, with ErrStopped in the end, and
// none meets a server that is freed.
func TestCallsEndWhenTheServerStops(t *testing.T) {
	for round := range 20 {
		server := start(t, chat.Options{EventQueue: 1 << 16, AdmissionTimeout: patience, ReviewTimeout: patience})
		p, id := connectAccepted(t, server)
		var work []func() error
		under := make(chan struct{}, 64)
		loop := func(call func() error) {
			work = append(work, func() error {
				for number := 0; ; number++ {
					err := call()
					if number == 0 {
						under <- struct{}{}
					}
					if errors.Is(err, chat.ErrStopped) {
						return nil
					}
					if err != nil && !errors.Is(err, chat.ErrNotFound) {
						return err
					}
				}
			})
		}
		data := []byte("msg")
		batch := []chat.Message{{"lobby", chat.Text, data}, {"other", chat.Binary, data}}
		loop(func() error { return server.Broadcast(chat.Text, data) })
		loop(func() error { _, err := server.Publish("lobby", chat.Binary, data); return err })
		loop(func() error { _, err := server.PublishBatch(batch); return err })
		loop(func() error { return server.Send(id, chat.Text, data) })
		loop(func() error { return server.Disconnect(12345, 1000, "") })
		loop(func() error { server.Stats(); return server.Broadcast(chat.Text, nil) })
		loop(func() error { return server.Join(id, "other") })
		loop(func() error { return server.Leave(id, "other") })
		loop(func() error { return server.SetEcho(id, false) })
		loop(func() error { return server.SetIdentity(id, "ana") })
		// What there is to decide on, the loops over events decide; these come too late, or too early.
		loop(func() error { return server.Accept(id) })
		loop(func() error { return server.Reject(12345, 403, "no", nil) })
		loop(func() error { return server.Allow(1 << 40) })
		loop(func() error { return server.AllowChanged(1<<40, chat.Text, data) })
		loop(func() error { return server.Refuse(1 << 40) })
		// Clients come, say something and leave.
		loop(func() error {
			if conn, err := dial(server, "/", "", nil); err == nil {
				for range 3 {
					conn.WriteMessage(websocket.TextMessage, data)
				}
				conn.Close()
			}
			return server.Refuse(1 << 40)
		})
		for range 2 {
			work = append(work, func() error { return decide(server) })
		}
		work = append(work, func() error {
			for range p.got {
			}
			return nil
		})
		for closer := range 3 {
			work = append(work, func() error {
				receive(t, under)
				switch (round + closer) % 3 {
				case 0:
					return server.Close()
				case 1:
					server.RequestStop()
					return server.Close()
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				if err := server.Shutdown(ctx); err != nil && !errors.Is(err, chat.ErrTimedOut) {
					return err
				}
				return nil
			})
		}
		together(t, work...)
	}
}

// connectAccepted connects a peer whom the program accepts, and tells its id.
func connectAccepted(t *testing.T, server *chat.Server) (*peer, chat.ClientID) {
	t.Helper()
	connected := make(chan *peer, 1)
	go func() { connected <- connect(t, server, "/") }()
	for event, err := range server.Events(t.Context()) {
		if asked, ok := event.(chat.EventConnectRequest); ok {
			err = server.Accept(asked.Client)
		}
		if err != nil {
			t.Fatal(err)
		}
		if is, ok := event.(chat.EventConnected); ok {
			return receive(t, connected), is.Client
		}
	}
	panic("unreachable")
}

// decide answers all that a server asks, in every way that there is, until it has stopped.
func decide(server *chat.Server) error {
	for event, err := range server.Events(context.Background()) {
		switch event := event.(type) {
		case chat.EventConnectRequest:
			if event.Client%4 == 0 {
				err = server.Reject(event.Client, 403, "no", nil)
			} else {
				err = server.Accept(event.Client)
			}
		case chat.EventMessageRequest:
			switch event.Decision % 3 {
			case 0:
				err = server.Allow(event.Decision)
			case 1:
				err = server.AllowChanged(event.Decision, chat.Binary, event.Data)
			case 2:
				err = server.Refuse(event.Decision)
			}
		}
		if err != nil && !errors.Is(err, chat.ErrStopped) && !errors.Is(err, chat.ErrNotFound) {
			return err
		}
	}
	return nil
}

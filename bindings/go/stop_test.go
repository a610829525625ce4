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
		server := start(t, chat.Options{EventQueue: 1 << 16})
		p := connect(t, server, "/")
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
		loop(func() error { return server.Broadcast(chat.Text, data) })
		loop(func() error { _, err := server.Publish("lobby", chat.Binary, data); return err })
		loop(func() error { return server.Send(12345, chat.Text, data) })
		loop(func() error { return server.Disconnect(12345, 1000, "") })
		loop(func() error { server.Stats(); return server.Broadcast(chat.Text, nil) })
		for range 2 {
			work = append(work, func() error {
				for _, err := range server.Events(t.Context()) {
					if err != nil && !errors.Is(err, chat.ErrStopped) {
						return err
					}
				}
				return nil
			})
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

package chat_test

import (
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestPublishingAllocatesNothing(t *testing.T) {
	// The client does not read, since what it allocated would count too, and is not cut for it.
	server := start(t, chat.Options{EventQueue: 64, OutboxSize: 1 << 30, OutboxAge: time.Hour})
	events := follow(t, server)
	conn, err := dial(server, "/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id := next[chat.EventConnected](t, events).Client
	data := []byte("[client1] salut")
	batch := make([]chat.Message, 64)
	for i := range batch {
		batch[i] = chat.Message{Room: "lobby", Kind: chat.Text, Data: data}
	}
	for _, test := range []struct {
		name  string
		times int
		call  func() error
		want  float64 // For each call.
	}{
		{"broadcast", 10_000, func() error { return server.Broadcast(chat.Text, data) }, 0},
		{"publish", 10_000, func() error { _, err := server.Publish("lobby", chat.Text, data); return err }, 0},
		// The slice of positions.
		{"batch", 1000, func() error { _, err := server.PublishBatch(batch); return err }, 1},
		{"send", 10_000, func() error { return server.Send(id, chat.Text, data) }, 0},
		{"stats", 10_000, func() error { server.Stats(); return nil }, 0},
	} {
		calls := func() {
			for range test.times {
				if err := test.call(); err != nil {
					t.Fatal(err)
				}
			}
		}
		// All calls are one run: of several it would be the average, rounded down. What Go's runtime
		// allocates for itself, such as a thread, does not come three times.
		allocated := testing.AllocsPerRun(1, calls)
		for range 2 {
			allocated = min(allocated, testing.AllocsPerRun(1, calls))
		}
		if allocated > test.want*float64(test.times) {
			t.Errorf("%d times %s: %v allocations", test.times, test.name, allocated)
		}
	}
}

func BenchmarkBroadcast(b *testing.B) {
	server := start(b, chat.Options{})
	data := []byte("[client1] salut")
	for b.Loop() {
		if err := server.Broadcast(chat.Text, data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	server := start(b, chat.Options{})
	for b.Loop() {
		server.Stats()
	}
}

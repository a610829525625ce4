package chat_test

import (
	"testing"

	chat "libchat/bindings/go"
)

func TestPublishingAllocatesNothing(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	events := follow(t, server)
	// It does not read: what it allocated would count too.
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
	for name, call := range map[string]func() error{
		"broadcast": func() error { return server.Broadcast(chat.Text, data) },
		"publish":   func() error { _, err := server.Publish("lobby", chat.Text, data); return err },
		"batch":     func() error { _, err := server.PublishBatch(batch); return err },
		"send":      func() error { return server.Send(id, chat.Text, data) },
		"stats":     func() error { server.Stats(); return nil },
	} {
		allocated := testing.AllocsPerRun(1000, func() {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		})
		if allocated != 0 {
			t.Errorf("%s: %v allocations", name, allocated)
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

package chat_test

import (
	"fmt"
	"slices"
	"testing"

	chat "libchat/bindings/go"
)

// Fifty clients in five rooms, and the host, all talking at once: every message reaches everyone in
// its room and nobody else, exactly once, in the order of its sender, and in one order for all.
func TestFiftyClientsInSeveralRoomsLoseNothing(t *testing.T) {
	const (
		rooms    = 5
		members  = 10 // of a room
		messages = 40 // of each member, and of the host to each room
		expected = (members + 1) * messages
	)
	server := start(t, chat.Options{})
	peers := make([][]*peer, rooms)
	received := make([][][]string, rooms)
	var talk []func() error
	for room := range rooms {
		peers[room] = make([]*peer, members)
		received[room] = make([][]string, members)
		for member := range members {
			p := connect(t, server, fmt.Sprintf("/rooms/r%d", room))
			peers[room][member] = p
			talk = append(talk, func() error {
				for number := range messages {
					if err := p.send(fmt.Sprintf("r%d m%d %d", room, member, number)); err != nil {
						return err
					}
				}
				return nil
			}, func() (err error) {
				received[room][member], err = read(p, expected)
				return err
			})
		}
		talk = append(talk, func() error {
			for number := range messages {
				text := fmt.Sprintf("r%d host %d", room, number)
				if _, err := server.Publish(fmt.Sprintf("r%d", room), chat.Text, []byte(text)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	together(t, talk...)

	for room := range rooms {
		for member := range members {
			if !slices.Equal(received[room][member], received[room][0]) {
				t.Errorf("members 0 and %d of room %d saw different orders", member, room)
			}
		}
		next := map[string]int{} // each sender's
		for _, text := range received[room][0] {
			var from, number int
			var sender string
			if _, err := fmt.Sscanf(text, "r%d %s %d", &from, &sender, &number); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if from != room || number != next[sender] {
				t.Fatalf("room %d got %q, want number %d", room, text, next[sender])
			}
			next[sender]++
		}
		if len(next) != members+1 {
			t.Errorf("room %d heard %d senders", room, len(next))
		}
	}

	// Nothing more was on its way: what comes next is this.
	if err := server.Broadcast(chat.Text, []byte("end")); err != nil {
		t.Fatal(err)
	}
	for _, room := range peers {
		for _, p := range room {
			p.expect(t, "end")
		}
	}
	if stats := server.Stats(); stats.Connections != rooms*members || stats.Rooms != rooms ||
		stats.MessagesReceived != rooms*members*messages ||
		stats.MessagesPublished != rooms*expected+1 {
		t.Errorf("%+v", stats)
	}
}

// read takes this many messages.
func read(p *peer, count int) ([]string, error) {
	texts := make([]string, 0, count)
	for got := range p.got {
		if got.err != nil {
			return nil, fmt.Errorf("after %d messages: %w", len(texts), got.err)
		}
		if texts = append(texts, got.data); len(texts) == count {
			return texts, nil
		}
	}
	return nil, fmt.Errorf("%d messages", len(texts))
}

func TestABroadcastReachesEveryRoomAndASendOneClient(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	events := follow(t, server)
	lobby := connect(t, server, "/")
	next[chat.EventConnected](t, events)
	other := connect(t, server, "/rooms/other")
	id := next[chat.EventConnected](t, events).Client
	if err := server.Send(id, chat.Text, []byte("for one")); err != nil {
		t.Fatal(err)
	}
	if position, err := server.Publish("lobby", chat.Text, []byte("for a room")); err != nil || position.Offset != 1 {
		t.Fatal(position, err)
	}
	if err := server.Broadcast(chat.Text, []byte("for all")); err != nil {
		t.Fatal(err)
	}
	lobby.expect(t, "for a room")
	lobby.expect(t, "for all")
	other.expect(t, "for one")
	other.expect(t, "for all")
}

func TestARoomHandsOutItsHistory(t *testing.T) {
	server := start(t, chat.Options{HistoryMessages: 3})
	for number := range 5 {
		position, err := server.Publish("news", chat.Text, fmt.Append(nil, number))
		if err != nil || position.Offset != uint64(number+1) {
			t.Fatal(position, err)
		}
	}
	p := connect(t, server, "/rooms/news?history=10")
	if _, err := server.Publish("news", chat.Text, []byte("live")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"2", "3", "4", "live"} {
		p.expect(t, text)
	}
}

func TestNegativeHistoryIsNone(t *testing.T) {
	server := start(t, chat.Options{HistoryMessages: -1})
	if _, err := server.Publish("news", chat.Text, []byte("past")); err != nil {
		t.Fatal(err)
	}
	p := connect(t, server, "/rooms/news?history=10")
	if _, err := server.Publish("news", chat.Text, []byte("live")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "live")
}

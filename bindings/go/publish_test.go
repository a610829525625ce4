package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	chat "libchat/bindings/go"
)

// told is what the server tells a client of the JSON form.
type told struct {
	Type, Room, Position, Client, Name, Key, Text, Code, Reason string
	ID                                                          int
	Duplicate                                                   bool
}

// told returns the next object of a type; others are skipped.
func (p *peer) told(t testing.TB, kind string) told {
	t.Helper()
	for {
		message := receive(t, p.got)
		if message.err != nil {
			t.Fatal(message.err)
		}
		var object told
		if err := json.Unmarshal([]byte(message.data), &object); err != nil {
			t.Fatal(message.data, err)
		}
		if object.Type == kind {
			return object
		}
	}
}

func TestAKeyTwiceIsOneMessageFromEightGoroutinesAtOnce(t *testing.T) {
	const keys = 100
	server := start(t, chat.Options{})
	var wait sync.WaitGroup
	var first atomic.Int64
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range keys {
				key := chat.PublishOptions{Key: fmt.Sprint(i)}
				published, err := server.PublishWith("lobby", chat.Text, []byte("x"), key)
				if err != nil || published.Position.IsZero() {
					t.Error(published, err)
				}
				if !published.IsDuplicate {
					first.Add(1)
				}
			}
		}()
	}
	wait.Wait()
	top, err := server.Position("lobby")
	if err != nil || top.Offset != keys || first.Load() != keys {
		t.Error(top, first.Load(), err)
	}
	if stats := server.Stats(); stats.Duplicates != 7*keys || stats.KeysEvicted != 0 {
		t.Error(stats)
	}
}

func TestAMessageIsPublishedAsItsOptionsSay(t *testing.T) {
	server := start(t, chat.Options{})
	p := connect(t, server, "/?format=json")
	options := chat.PublishOptions{Identity: "agent 7", Name: "Support", Key: "k"}
	one, err := server.PublishWith("lobby", chat.Text, []byte("hi"), options)
	if err != nil || one.IsDuplicate {
		t.Fatal(one, err)
	}
	if told := p.told(t, "message"); told.Name != "Support" || told.Key != "k" || told.Client != "" ||
		told.Position != one.Position.String() {
		t.Error(told)
	}
	_, err = server.PublishWith("lobby", chat.Text, []byte("ho"), options)
	check(t, "the key again", err, chat.ErrKeyReused)
	none, err := server.PublishWith("lobby", chat.Text, []byte("now"), chat.PublishOptions{WithoutHistory: true})
	if told := p.told(t, "message"); err != nil || !none.Position.IsZero() || told.Position != "" || told.Text != "now" {
		t.Error(none, told, err)
	}
	next, err := server.Publish("lobby", chat.Text, []byte("after"))
	if err != nil || next.Offset != one.Position.Offset+1 {
		t.Error(next, err)
	}

	published, err := server.PublishTo([]string{"a", "lobby", "b"}, chat.Text, []byte("hi"), options)
	if err != nil || len(published) != 3 || published[0].IsDuplicate || published[1] != (chat.Published{one.Position, true}) {
		t.Error(published, err)
	}
	if published, err := server.PublishTo(nil, chat.Text, nil, chat.PublishOptions{}); len(published) != 0 || err != nil {
		t.Error(published, err)
	}
	published, err = server.PublishTo([]string{"c", "lobby"}, chat.Text, []byte("ho"), options)
	check(t, "to a room where the key is another message's", err, chat.ErrKeyReused)
	if len(published) != 1 || published[0].IsDuplicate {
		t.Error(published)
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("room %d", i)
	}
	if published, err := server.PublishTo(many, chat.Text, nil, chat.PublishOptions{}); len(published) != 100 || err != nil {
		t.Error(len(published), err)
	}
}

func TestWhatIsWrongWithAnOptionIsTold(t *testing.T) {
	server := start(t, chat.Options{})
	for _, test := range []struct {
		options chat.PublishOptions
		want    error
	}{
		{chat.PublishOptions{Key: strings.Repeat("k", 65)}, chat.ErrInvalidArgument},
		{chat.PublishOptions{Key: "\n"}, chat.ErrInvalidArgument},
		{chat.PublishOptions{Key: "\xff"}, chat.ErrInvalidUTF8},
		{chat.PublishOptions{Name: strings.Repeat("n", 129)}, chat.ErrInvalidArgument},
		{chat.PublishOptions{Identity: strings.Repeat("i", 257)}, chat.ErrTooLarge},
	} {
		_, err := server.PublishWith("lobby", chat.Text, nil, test.options)
		check(t, fmt.Sprint(test.options), err, test.want)
		published, err := server.PublishTo([]string{"a", "b"}, chat.Text, nil, test.options)
		check(t, fmt.Sprint("to several ", test.options), err, test.want)
		if len(published) != 0 {
			t.Error(published)
		}
	}
	for _, room := range []string{"", "..", strings.Repeat("r", 200)} {
		_, err := server.PublishTo([]string{"a", room}, chat.Text, nil, chat.PublishOptions{})
		check(t, "to "+room, err, chat.ErrInvalidArgument)
	}
	_, err := server.PublishTo([]string{strings.Repeat("r", 1<<20)}, chat.Text, nil, chat.PublishOptions{})
	check(t, "to a very long name", err, chat.ErrTooLarge)
	if stats := server.Stats(); stats.MessagesPublished != 0 {
		t.Error(stats)
	}
	server.Close()
	_, err = server.PublishWith("lobby", chat.Text, nil, chat.PublishOptions{})
	check(t, "with options after the end", err, chat.ErrStopped)
	_, err = server.PublishTo([]string{"a"}, chat.Text, nil, chat.PublishOptions{})
	check(t, "to rooms after the end", err, chat.ErrStopped)
}

func TestARefusalHasTheHostsReasonAndFreesTheKey(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, ReviewTimeout: patience})
	events := follow(t, server)
	p := connect(t, server, "/?format=json")
	next[chat.EventConnected](t, events)
	p.say(t, `{"id":1,"key":"k","text":"rude"}`)
	decision := next[chat.EventMessageRequest](t, events).Decision
	check(t, "a reason that is too long", server.RefuseWith(decision, strings.Repeat("r", 257)), chat.ErrTooLarge)
	if err := server.RefuseWith(decision, "be polite"); err != nil {
		t.Fatal(err)
	}
	if told := p.told(t, "refused"); told.ID != 1 || told.Code != "refused" || told.Reason != "be polite" {
		t.Error(told)
	}
	for _, id := range []int{2, 3} {
		p.say(t, fmt.Sprintf(`{"id":%d,"key":"k","text":"polite"}`, id))
	}
	if err := server.Allow(next[chat.EventMessageRequest](t, events).Decision); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{2, 3} {
		if told := p.told(t, "sent"); told.ID != id || told.Duplicate != (id == 3) {
			t.Error(told)
		}
	}
	check(t, "refuse again", server.RefuseWith(decision, ""), chat.ErrNotFound)
}

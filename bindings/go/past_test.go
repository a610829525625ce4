package chat_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	chat "libchat/bindings/go"
)

// object is what a client of the JSON form is sent.
type object struct {
	Type, Room, Position, Text, Name, Reason string
	Claimed, Recovered                       *bool
}

// object waits for the next object.
func (p *peer) object(t testing.TB) object {
	t.Helper()
	got := receive(t, p.got)
	var o object
	if err := json.Unmarshal([]byte(got.data), &o); got.err != nil || err != nil {
		t.Fatal(got, err)
	}
	return o
}

// entered waits until a client is in a room, and returns how it entered and the past that it got.
func (p *peer) entered(t testing.TB, room string) (how object, texts []string) {
	t.Helper()
	for {
		o := p.object(t)
		switch {
		case o.Type == "welcome":
		case o.Room != room:
			t.Fatalf("%+v, want what is of %s", o, room)
		case o.Type == "entered":
			how = o
		case o.Type == "message":
			texts = append(texts, o.Text)
		case o.Type == "live":
			return how, texts
		default:
			t.Fatalf("%+v", o)
		}
	}
}

// numbers publishes the numbers up to count, and returns their positions.
func numbers(t testing.TB, server *chat.Server, room string, count int) (positions []chat.Position) {
	t.Helper()
	for number := range count {
		position, err := server.Publish(room, chat.Text, fmt.Append(nil, number))
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, position)
	}
	return positions
}

func TestAClientGetsAsMuchOfTheRoomsPastAsTheProgramGives(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 1000})
	events := follow(t, server)
	positions := numbers(t, server, "a", 5)
	all := []string{"0", "1", "2", "3", "4"}
	for _, test := range []struct {
		query     string // What the client says of the room a.
		past      chat.Past
		since     chat.Position
		want      []string
		recovered string
	}{
		{"", chat.PastNone, chat.Position{}, nil, ""},
		{"", 2, chat.Position{}, all[3:], ""},
		{"", 100, chat.Position{}, all, ""},
		{"", chat.PastAll, chat.Position{}, all, ""},
		{"", chat.PastAll, positions[2], all[3:], "true"},
		{"", 1, positions[2], all[4:], "false trimmed"},
		{"", chat.PastAll, chat.Position{Epoch: 1, Offset: 1}, all, "false epoch"},
		{positions[1].String(), chat.PastAll, chat.Position{}, all[2:], "true"},
		{positions[1].String(), chat.PastNone, chat.Position{}, nil, "false trimmed"},
		{positions[1].String(), chat.PastAll, positions[3], all[4:], "true"},
	} {
		path := "/rooms/own?format=json"
		if test.query != "" {
			path += "&since.a=" + test.query
		}
		p := connect(t, server, path)
		id := next[chat.EventConnected](t, events).Client
		p.entered(t, "own")
		if err := server.JoinWithPast(id, "a", test.past, test.since); err != nil {
			t.Fatal(err)
		}
		how, texts := p.entered(t, "a")
		recovered := ""
		if how.Recovered != nil {
			recovered = strings.TrimSpace(fmt.Sprint(*how.Recovered, " ", how.Reason))
		}
		if !slices.Equal(texts, test.want) || recovered != test.recovered {
			t.Errorf("%+v: got %v, %s", test, texts, recovered)
		}
		if next[chat.EventJoined](t, events).Room != "a" {
			t.Error("the host was told of another room")
		}
	}
	check(t, "less than nothing", server.JoinWithPast(1, "a", -1, chat.Position{}), chat.ErrInvalidArgument)
	check(t, "least", server.JoinWithPast(1, "a", math.MinInt, chat.Position{}), chat.ErrInvalidArgument)
	check(t, "no room", server.JoinWithPast(1, "", chat.PastAll, chat.Position{}), chat.ErrInvalidArgument)
	check(t, "nobody", server.JoinWithPast(1, "a", chat.PastAll, positions[0]), chat.ErrNotFound)
}

// The program publishes while it joins clients: each gets the last messages, then what follows.
func TestNothingIsMissingBetweenThePastAndWhatFollows(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 1000, HistoryMessages: 50})
	events := follow(t, server)
	numbers(t, server, "a", 100)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for number := 100; ; number++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := server.Publish("a", chat.Text, fmt.Append(nil, number)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 20 {
		p := connect(t, server, "/rooms/own?format=json")
		id := next[chat.EventConnected](t, events).Client
		p.entered(t, "own")
		if err := server.JoinWithPast(id, "a", 20, chat.Position{}); err != nil {
			t.Fatal(err)
		}
		next[chat.EventJoined](t, events)
		how, texts := p.entered(t, "a")
		if len(texts) != 20 {
			t.Errorf("%d messages of the past", len(texts))
		}
		for len(texts) < 100 {
			texts = append(texts, p.object(t).Text)
		}
		before, err := chat.ParsePosition(how.Position)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if want := fmt.Sprint(before.Offset + uint64(i)); text != want {
				t.Fatalf("message %d is %s, want %s", i, text, want)
			}
		}
		p.leave(t)
		next[chat.EventDisconnected](t, events)
	}
	close(stop)
	if err := receive(t, stopped); err != nil {
		t.Error(err)
	}
}

func TestTheProgramBoundsThePastOfWhomItAcceptsAndNamesThem(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	events := follow(t, server)
	numbers(t, server, "a", 5)
	for _, test := range []struct {
		past chat.Past
		want []string
	}{{chat.PastNone, nil}, {2, []string{"3", "4"}}, {chat.PastAll, []string{"1", "2", "3", "4"}}} {
		connected := make(chan *peer, 1)
		go func() { connected <- connect(t, server, "/rooms/a?format=json&history=4&name=eve") }()
		id := next[chat.EventConnectRequest](t, events).Client
		check(t, "less than nothing", server.AcceptWithPast(id, -1), chat.ErrInvalidArgument)
		check(t, "a long name", server.SetName(id, strings.Repeat("x", 129)), chat.ErrInvalidArgument)
		check(t, "a control character", server.SetName(id, "a\nb"), chat.ErrInvalidArgument)
		check(t, "no text", server.SetName(id, "\xff"), chat.ErrInvalidUTF8)
		for _, err := range []error{server.SetName(id, "ana"), server.AcceptWithPast(id, test.past)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(t, "accept again", server.AcceptWithPast(id, test.past), chat.ErrNotFound)
		p := receive(t, connected)
		next[chat.EventConnected](t, events)
		if _, texts := p.entered(t, "a"); !slices.Equal(texts, test.want) {
			t.Errorf("%d: got %v", test.past, texts)
		}
		p.say(t, `{"text": "hi"}`)
		if said := p.object(t); said.Name != "ana" || said.Claimed != nil {
			t.Errorf("%+v", said)
		}
		if err := server.SetName(id, ""); err != nil {
			t.Fatal(err)
		}
		p.say(t, `{"text": "hi"}`)
		if said := p.object(t); said.Name != "" || said.Claimed != nil {
			t.Errorf("%+v", said)
		}
		p.leave(t)
		next[chat.EventMessage](t, events)
		next[chat.EventMessage](t, events)
		next[chat.EventDisconnected](t, events)
		numbers(t, server, "a", 5) // The next one finds the same past.
	}
}

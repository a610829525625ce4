package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

// follow collects a server's events until EventStopped, or until the test ends.
func follow(t testing.TB, server *chat.Server) <-chan chat.Event {
	events := make(chan chat.Event, 4096)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(events)
		for event, err := range server.Events(ctx) {
			if errors.Is(err, context.Canceled) {
				return
			}
			if err != nil {
				t.Error("events:", err)
				return
			}
			select {
			case events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range events {
		}
	})
	return events
}

// next waits for the next event, which is of this type.
func next[E chat.Event](t testing.TB, events <-chan chat.Event) E {
	t.Helper()
	event := receive(t, events)
	wanted, ok := event.(E)
	if !ok {
		t.Fatalf("got %T%+v, want a %T", event, event, wanted)
	}
	return wanted
}

// until waits for an event of this type, and passes over others.
func until[E chat.Event](t testing.TB, events <-chan chat.Event) E {
	t.Helper()
	for {
		if wanted, ok := receive(t, events).(E); ok {
			return wanted
		}
	}
}

func TestEventsTellAllThatIsKnown(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	events := follow(t, server)
	header := http.Header{"X-Token": {"s3cret", "second"}, "User-Agent": {"test"}}
	p := connectFrom(t, server, "/rooms/caf%C3%A9?echo=false&x=1", "127.0.0.3", header)
	connected := next[chat.EventConnected](t, events)
	if connected.Client == 0 || connected.Room != "café" || connected.Path != "/rooms/caf%C3%A9" ||
		connected.Query != "echo=false&x=1" || connected.Addr.String() != p.LocalAddr().String() {
		t.Errorf("got %+v", connected)
	}
	if connected.Get("x-TOKEN") != "s3cret" || connected.Get("User-Agent") != "test" || connected.Get("none") != "" {
		t.Errorf("got the headers %+v", connected.Header)
	}
	tokens := 0
	for _, header := range connected.Header {
		if header.Name != strings.ToLower(header.Name) {
			t.Errorf("%q is not in lower case", header.Name)
		}
		if header.Name == "x-token" {
			tokens++
		}
	}
	if tokens != 2 {
		t.Errorf("%d tokens", tokens)
	}

	p.say(t, "salut")
	said := next[chat.EventMessage](t, events)
	if said.Client != connected.Client || said.Room != "café" || said.Position.Offset != 1 ||
		said.Kind != chat.Text || string(said.Data) != "salut" {
		t.Errorf("got %+v", said)
	}

	if err := server.Disconnect(connected.Client, 4321, "enough"); err != nil {
		t.Fatal(err)
	}
	if closed := p.expectClose(t, 4321); closed.Text != "enough" {
		t.Errorf("got %v", closed)
	}
	left := next[chat.EventDisconnected](t, events)
	if left.Client != connected.Client || left.Code != 4321 || left.Reason != "enough" {
		t.Errorf("got %+v", left)
	}
	server.RequestStop()
	next[chat.EventStopped](t, events)
	if _, open := <-events; open {
		t.Error("an event after the last one")
	}
}

func TestALoopThatIsLeftLosesNothing(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 4096})
	p := connect(t, server, "/")
	const count = 500
	for range count {
		p.say(t, "msg")
	}
	// A new loop for each event.
	for offset := uint64(0); offset < count; {
		for event, err := range server.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if said, ok := event.(chat.EventMessage); ok {
				if offset++; said.Position.Offset != offset {
					t.Fatalf("got offset %d, want %d", said.Position.Offset, offset)
				}
			}
			break
		}
	}
}

func TestALoopEndsWithItsContext(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	waiting := make(chan struct{})
	go func() {
		var last error
		close(waiting)
		for _, err := range server.Events(ctx) {
			last = err
		}
		ended <- last
	}()
	<-waiting
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The next loop is not hindered by it.
	events := follow(t, server)
	connect(t, server, "/")
	next[chat.EventConnected](t, events)
}

func TestEventsThatWaitSurviveTheServer(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 4096})
	p := connect(t, server, "/")
	const count = 300
	for number := range count {
		text := fmt.Sprint("msg ", number)
		p.say(t, text)
		p.expect(t, text)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	// The server's memory is given back: what the events hold is Go's.
	events := follow(t, server)
	next[chat.EventConnected](t, events)
	for number := range count {
		if said := next[chat.EventMessage](t, events); string(said.Data) != fmt.Sprint("msg ", number) {
			t.Fatalf("event %d holds %q", number, said.Data)
		}
	}
	next[chat.EventDisconnected](t, events)
	next[chat.EventStopped](t, events)
	for event, err := range server.Events(t.Context()) {
		if event != nil || !errors.Is(err, chat.ErrStopped) {
			t.Errorf("after the last event: %v, %v", event, err)
		}
	}
}

// While the goroutine that fetches events copies many of them, the server stops, and the last ones
// follow at once: they must not pass those.
func TestTheEndOfAServerKeepsTheOrderOfItsEvents(t *testing.T) {
	for _, processors := range []int{1, runtime.GOMAXPROCS(0)} {
		t.Run(fmt.Sprint("GOMAXPROCS=", processors), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			for range 5 {
				stopWithEventsLeft(t)
			}
		})
	}
}

func stopWithEventsLeft(t *testing.T) {
	const clients, moves = 20, 20_000
	server := start(t, chat.Options{EventQueue: 1 << 16})
	ids := make(chan chat.ClientID)
	goOn := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		present := map[chat.ClientID]bool{}
		var last chat.Event
		var mover chat.ClientID
		connected, moved := 0, 0
		for event, err := range server.Events(t.Context()) {
			if err != nil {
				ended <- err
				return
			}
			switch event := event.(type) {
			case chat.EventConnected:
				present[event.Client] = true
				if connected++; connected == clients {
					mover = event.Client
					ids <- mover
					<-goOn // What happens meanwhile comes in one batch.
				}
			case chat.EventJoined:
				if moved++; moved%2 != 1 {
					ended <- fmt.Errorf("move %d is a join", moved)
					return
				}
			case chat.EventLeft:
				if moved++; moved%2 != 0 {
					ended <- fmt.Errorf("move %d is a leave", moved)
					return
				}
			case chat.EventDisconnected:
				if event.Client == mover && moved != 2*moves {
					ended <- fmt.Errorf("the client was disconnected after %d moves", moved)
					return
				}
				delete(present, event.Client)
			}
			last = event
		}
		if last != (chat.EventStopped{}) || connected != clients || len(present) > 0 {
			ended <- fmt.Errorf("%T was the last event; %d of %d clients are still there", last, len(present), connected)
			return
		}
		ended <- nil
	}()
	for range clients {
		conn, err := dial(server, "/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	id := receive(t, ids)
	room := strings.Repeat("r", 128)
	for range moves {
		if err := errors.Join(server.Join(id, room), server.Leave(id, room)); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
}

// One loop's time with an event is not another's: what all of them wait for comes only if each has an
// event.
func TestSeveralLoopsWorkAtOnce(t *testing.T) {
	const workers = 8
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	var work []func() error
	for range workers {
		work = append(work, func() error {
			conn, err := dial(server, "/", "", nil)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	var busy atomic.Int64
	all := make(chan struct{})
	for range workers {
		work = append(work, func() error {
			for event, err := range server.Events(t.Context()) {
				asked, ok := event.(chat.EventConnectRequest)
				if !ok {
					return fmt.Errorf("got %T%+v, %v", event, event, err)
				}
				if busy.Add(1) == workers {
					close(all)
				}
				select {
				case <-all:
					return server.Accept(asked.Client)
				case <-time.After(patience / 2):
					return errors.New("the other loops wait")
				}
			}
			return errors.New("no event")
		})
	}
	together(t, work...)
}

func TestALoopThatIsLeftLetsTheOthersGoOn(t *testing.T) {
	const loops = 10
	server := start(t, chat.Options{EventQueue: 64})
	p := connect(t, server, "/")
	for range loops {
		p.say(t, "msg")
		p.expect(t, "msg")
	}
	var work []func() error
	for range loops {
		work = append(work, func() error {
			for _, err := range server.Events(t.Context()) {
				return err
			}
			return nil
		})
	}
	together(t, work...)
}

// Loops that wait when the last event is taken, and one that comes later, all end.
func TestEveryLoopEndsWithTheServer(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	stopped := make(chan error, 1)
	var work []func() error
	for range 5 {
		work = append(work, func() error {
			for event, err := range server.Events(t.Context()) {
				if event == (chat.EventStopped{}) {
					stopped <- nil
				} else if !errors.Is(err, chat.ErrStopped) {
					return fmt.Errorf("got %v, %v", event, err)
				}
			}
			return nil
		})
	}
	together(t, append(work, server.Close)...)
	if len(stopped) != 1 {
		t.Error("nobody was told of the end")
	}
	together(t, work[0])
}

// A loop that is woken and leaves with its context leaves the event to another.
func TestALoopThatEndsWithItsContextTakesNoEventWithIt(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	p := connect(t, server, "/")
	events := make(chan chat.Event, 64)
	loop := func(ctx context.Context) {
		for event, err := range server.Events(ctx) {
			if err == nil {
				events <- event
			}
		}
	}
	go loop(t.Context())
	next[chat.EventConnected](t, events)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go loop(ctx)
		go cancel()
		p.say(t, "msg")
		next[chat.EventMessage](t, events)
		p.expect(t, "msg")
	}
}

func TestWithoutAQueueThereAreNoEvents(t *testing.T) {
	server := start(t, chat.Options{})
	loops := 0
	for event, err := range server.Events(t.Context()) {
		loops++
		if event != nil || !errors.Is(err, chat.ErrUnsupported) || !strings.Contains(err.Error(), "EventQueue") {
			t.Errorf("got %v, %v", event, err)
		}
	}
	if loops != 1 {
		t.Errorf("%d rounds", loops)
	}
}

func TestEventsThatAreNotTakenAreDroppedAndCounted(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 2})
	p := connect(t, server, "/")
	const count = 100
	for range count {
		p.say(t, "msg")
		p.expect(t, "msg")
	}
	p.leave(t)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var taken, dropped uint64
	for event, err := range server.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case chat.EventMessage:
			taken++
		case chat.EventEventsDropped:
			dropped += event.Count
		}
	}
	if taken+dropped != count || dropped == 0 || dropped != server.Stats().EventsDropped {
		t.Errorf("%d taken, %d dropped, %d counted", taken, dropped, server.Stats().EventsDropped)
	}
}

package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

func TestTheExampleIsShort(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if lines := strings.Count(string(source), "\n"); err != nil || lines >= 120 {
		t.Error(lines, err)
	}
}

func TestAgentsComeWithATokenAndCustomersWithACookie(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, refused := range []struct {
		path   string
		header http.Header
	}{
		{"/", nil},
		{"/", http.Header{"Cookie": {"customer="}}},
		{"/", http.Header{"Cookie": {"other=c1"}}},
		{"/rooms/desk", nil},
		{"/rooms/desk?token=eve-secret", nil},
		{"/rooms/desk?token=", nil},
		{"/rooms/desk", http.Header{"Cookie": {"customer=c1"}}},
		{"/rooms/desk?token=ana-secret", http.Header{"Authorization": {"Bearer eve-secret"}}},
	} {
		_, answer, err := websocket.DefaultDialer.Dial(p.url+refused.path, refused.header)
		if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v: %v %v", refused, answer, err)
		}
	}
	p.connect(t, "/rooms/desk?format=json", http.Header{"Authorization": {"Bearer ana-secret"}}).enters(t)
	p.agent(t, "ben")
	p.customer(t, "c1")
}

func TestACustomerIsInNoRoomButItsOwn(t *testing.T) {
	t.Parallel()
	p := start(t)
	one, room := p.customer(t, "c1")
	other := p.connect(t, "/rooms/"+room+"?format=json&name=ana", http.Header{"Cookie": {"customer=c2"}})
	otherRoom := other.enters(t).Room
	if room == otherRoom || room == "lobby" || strings.Contains(room, "c1") {
		t.Fatal(room, otherRoom)
	}
	one.say(t, room, "help")
	one.hears(t, object{Room: room, Name: room, Text: "help"})
	other.say(t, room, "me too")
	if refused := other.told(t, "refused"); refused.Code != "not_in_room" {
		t.Error(refused)
	}
	other.say(t, otherRoom, "me three")
	other.hears(t, object{Room: otherRoom, Name: otherRoom, Text: "me three"}) // Not as "ana".

	// An agent by mistake gives the one to the other.
	ana := p.agent(t, "ana")
	ana.say(t, "desk", "assign "+room+" "+otherRoom)
	ana.hears(t, object{Room: "desk", Name: "ana", Text: "assign " + room + " " + otherRoom})
	ana.say(t, "desk", "assign "+otherRoom+" ana")
	ana.hears(t, object{Room: "desk", Text: otherRoom + ": ana"})
	one.say(t, room, "still alone?")
	one.hears(t, object{Room: room, Name: room, Text: "still alone?"})
	ana.say(t, otherRoom, "salut")
	other.hears(t, object{Room: otherRoom, Name: "ana", Text: "salut"})
	for _, heard := range append(other.seen, one.seen...) {
		if heard.Room == "desk" || heard.Text == "still alone?" && heard.Room != room {
			t.Error(heard)
		}
	}
	if slices.ContainsFunc(other.seen, func(it object) bool { return it.Room == room }) {
		t.Error("the other is told of the room:", other.seen)
	}
}

func TestAnAgentWhoGetsACustomerGetsAllThatWasSaid(t *testing.T) {
	t.Parallel()
	p := start(t)
	customer, room := p.customer(t, "c1")
	customer.say(t, room, "help")
	customer.say(t, room, "assign "+room+" ben") // From a customer it is no command.
	customer.hears(t, object{Room: room, Name: room, Text: "assign " + room + " ben"})

	ana, ben := p.agent(t, "ana"), p.agent(t, "ben")
	for _, agent := range []*peer{ana, ben} {
		agent.hears(t, object{Room: "desk", Text: room + ": waits"})
	}
	ana.say(t, "desk", "assign "+room+" ana")
	ana.hears(t, object{Room: room, Name: room, Text: "help"})
	ben.hears(t, object{Room: "desk", Text: room + ": ana"})
	ana.say(t, room, "what is broken?")
	customer.hears(t, object{Room: room, Name: "ana", Text: "what is broken?"})
	customer.say(t, room, "the bill")
	ana.hears(t, object{Room: room, Name: room, Text: "the bill"})

	ana.say(t, "desk", "assign "+room+" ben")
	for _, said := range []object{{Name: room, Text: "help"}, {Name: "ana", Text: "what is broken?"}, {Name: room, Text: "the bill"}} {
		said.Room = room
		ben.hears(t, said)
	}
	if removed := ana.told(t, "removed"); removed.Room != room {
		t.Error(removed)
	}
	ana.hears(t, object{Room: "desk", Text: room + ": ben"})
	ben.say(t, room, "the bill is mine now")
	customer.hears(t, object{Room: room, Name: "ben", Text: "the bill is mine now"})

	if news := ana.news(); !slices.Equal(news, []string{room + ": waits", room + ": ana", room + ": ben"}) {
		t.Error(news)
	}

	// Ana hears no more of it.
	ben.say(t, "desk", "thanks")
	ana.hears(t, object{Room: "desk", Name: "ben", Text: "thanks"})
	if heard := ana.seen[len(ana.seen)-1]; heard.Room != "desk" {
		t.Error(ana.seen)
	}
	if slices.ContainsFunc(ana.seen, func(it object) bool { return it.Text == "the bill is mine now" }) {
		t.Error("ana has heard it:", ana.seen)
	}
}

func TestACustomerWhoReloadsThePageIsTheSameAndHasNotLeft(t *testing.T) {
	t.Parallel()
	p := start(t)
	customer, room := p.customer(t, "c1")
	customer.say(t, room, "help")
	customer.hears(t, object{Room: room, Name: room, Text: "help"})
	ana := p.agent(t, "ana")
	ana.say(t, "desk", "assign "+room+" ana")
	ana.watches(t, room, func(it object) bool { return it.Count == 2 && len(it.List) == 2 })

	customer.Close()
	again, sameRoom := p.customer(t, "c1")
	if sameRoom != room {
		t.Fatal("another room:", sameRoom)
	}
	again.hears(t, object{Room: room, Name: room, Text: "help"})
	ana.watches(t, room, func(it object) bool { return len(it.Returned) == 1 && it.Count == 2 })
	again.say(t, room, "I am back")
	ana.hears(t, object{Room: room, Name: room, Text: "I am back"})
	if slices.ContainsFunc(ana.seen, func(it object) bool { return len(it.Left) > 0 }) {
		t.Error("a leave was seen:", ana.seen)
	}

	// One who does not come back has left: once, and after the grace.
	again.Close()
	if removed := ana.told(t, "removed"); removed.Room != room {
		t.Error(removed)
	}
	ana.hears(t, object{Room: "desk", Text: room + ": has left"})
	ana.say(t, "desk", "assign "+room+" ben") // One who is not there.
	ana.say(t, "desk", "bye")
	ana.hears(t, object{Room: "desk", Name: "ana", Text: "bye"})
	customer, _ = p.customer(t, "c1")
	ana.hears(t, object{Room: "desk", Text: room + ": waits"})
	if news := ana.news(); !slices.Equal(news, []string{room + ": waits", room + ": ana", room + ": has left", room + ": waits"}) {
		t.Error(news)
	}
}

func TestAnAgentWhoReloadsThePageHasItsCustomersAndOneWhoLeavesHasThemWait(t *testing.T) {
	t.Parallel()
	p := start(t)
	customer, room := p.customer(t, "c1")
	ana, ben := p.agent(t, "ana"), p.agent(t, "ben")
	ana.say(t, "desk", "assign "+room+" ana")
	ben.hears(t, object{Room: "desk", Text: room + ": ana"})
	ana.Close()
	ana = p.agent(t, "ana")
	customer.say(t, room, "are you there?")
	ana.hears(t, object{Room: room, Name: room, Text: "are you there?"})
	ana.Close()
	ben.hears(t, object{Room: "desk", Text: room + ": waits"})
	ana = p.agent(t, "ana") // Too late.
	ben.say(t, "desk", "assign "+room+" ben")
	ben.hears(t, object{Room: room, Name: room, Text: "are you there?"})
	ana.hears(t, object{Room: "desk", Text: room + ": ben"})
	if slices.ContainsFunc(ana.seen, func(it object) bool { return it.Room == room }) {
		t.Error("ana has the customer still:", ana.seen)
	}
}

func TestCtrlCClosesTheClientsAndLogsNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	customer, _ := p.customer(t, "c1")
	ana := p.agent(t, "ana")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*peer{customer, ana} {
		_, _, err := client.ReadMessage()
		for err == nil {
			_, _, err = client.ReadMessage()
		}
		if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Error(err)
		}
	}
	if err := p.Wait(); err != nil || p.stderr.Len() > 0 {
		t.Error(err, p.stderr.String())
	}
}

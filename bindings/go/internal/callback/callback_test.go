package callback

import (
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const patience = 30 * time.Second

func TestAHandlerInGoMayCallBackAndPanic(t *testing.T) {
	var events []string // Written by the handler's thread alone, read after the stop.
	dropped := 0
	host := &Host{}
	host.Dropped = func() { dropped++ }
	host.Event = func(event Event) {
		switch event.Type {
		case Connected:
			events = append(events, "connected")
			if err := host.Send(event.Client, "welcome"); err != nil {
				t.Error(err)
			}
		case Message:
			events = append(events, event.Data)
			panic("the host's own fault")
		case Disconnected:
			events = append(events, "disconnected")
			if err := host.RequestStop(); err != nil {
				t.Error(err)
			}
		case Stopped:
			events = append(events, "stopped")
		}
	}
	addr, err := host.Start()
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetReadDeadline(time.Now().Add(patience))
	expect := func(want string) {
		t.Helper()
		if _, data, err := client.ReadMessage(); err != nil || string(data) != want {
			t.Fatalf("got %q, %v, want %q", data, err, want)
		}
	}
	expect("welcome")
	for _, text := range []string{"one", "two"} {
		if err := client.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		expect(text)
	}
	client.Close()
	panics, err := host.Stop()
	if err != nil {
		t.Error(err)
	}
	if panics != 2 || dropped != 1 {
		t.Errorf("%d panics stopped, dropped %d times", panics, dropped)
	}
	if got := fmt.Sprint(events); got != "[connected one two disconnected stopped]" {
		t.Errorf("got %s", got)
	}
}

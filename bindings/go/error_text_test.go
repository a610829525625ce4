package chat_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	chat "libchat/bindings/go"
)

func TestTheTextOfAnErrorNamesTheArgument(t *testing.T) {
	server := start(t, chat.Options{MaxMessageSize: 10, EventQueue: 8})
	publish := func(room string, kind chat.Kind, data string) error {
		_, err := server.Publish(room, kind, []byte(data))
		return err
	}
	batch := func(messages ...chat.Message) error {
		_, err := server.PublishBatch(messages)
		return err
	}
	_, badPosition := server.Position(".")
	_, badText := chat.ParsePosition("7")
	_, badStart := chat.Start(chat.Options{Listen: []string{"\xff"}})
	long := strings.Repeat("x", 257)
	for want, err := range map[string]error{
		"room: it is empty":                             publish("", chat.Text, ""),
		"room: it has control characters":               publish("a\nb", chat.Text, ""),
		"room: the text is not UTF-8, from byte 1 on":   publish("a\xff", chat.Text, ""),
		"room: clients take . and .. for steps":         badPosition,
		"data: 11 bytes are too many: 10 are allowed":   publish("r", chat.Text, "01234567890"),
		"data: the text is not UTF-8":                   server.Broadcast(chat.Text, []byte("\xff")),
		"kind: 7 is neither CHAT_TEXT nor CHAT_BINARY":  server.Send(1, 7, nil),
		"messages[1].room: it is empty":                 batch(chat.Message{"r", chat.Text, nil}, chat.Message{"", chat.Text, nil}),
		"identity: 257 bytes are too many":              server.SetIdentity(1, long),
		"name: it is longer than 128 bytes":             server.SetName(1, long),
		"client: there is no such client":               server.SetEcho(1, true),
		"decision: there is no such decision":           server.Allow(1),
		"code: 1005 must not be sent":                   server.Disconnect(1, 1005, ""),
		"reason: 257 bytes are too many":                server.Disconnect(1, 1000, long),
		"http_status: 200 does not refuse a request":    server.Reject(1, 200, "", nil),
		"http_status: 70000 does not refuse a request":  server.Reject(1, 70_000, "", nil),
		"headers: libchat sets this header itself":      server.Reject(1, 403, "", map[string][]string{"Date": {"now"}}),
		"past: -1 messages are no past":                 server.JoinWithPast(1, "r", -1, chat.Position{}),
		`text: "7" is not a position`:                   badText,
		"listen: the text is not UTF-8, from byte 0 on": badStart,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "chat: "+want) {
			t.Errorf("%v does not begin with %q", err, want)
		}
	}
}

func TestTheTextIsThatOfTheGoroutinesOwnCall(t *testing.T) {
	server := start(t, chat.Options{})
	var group sync.WaitGroup
	for range 8 {
		for want, call := range map[string]func() error{
			"chat: room: ":   func() error { _, err := server.Publish("", chat.Text, nil); return err },
			"chat: kind: ":   func() error { return server.Broadcast(0, nil) },
			"chat: client: ": func() error { return server.SetEcho(1, true) },
			"chat: code: ":   func() error { return server.Disconnect(1, 1, "") },
		} {
			group.Add(1)
			go func() {
				defer group.Done()
				for range 500 {
					err := call()
					if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, chat.ErrInternal) {
						t.Errorf("%v does not begin with %q", err, want)
						return
					}
					runtime.Gosched()
				}
			}()
		}
	}
	group.Wait()
}

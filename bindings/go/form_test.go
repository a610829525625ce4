package chat_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestTheProgramIsToldHowAClientCame(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	events := follow(t, server)
	admit := func(form chat.Form) chat.ClientID {
		asked := next[chat.EventConnectRequest](t, events)
		if asked.Form != form {
			t.Errorf("asked: %v, not %v", asked.Form, form)
		}
		if err := server.Accept(asked.Client); err != nil {
			t.Fatal(err)
		}
		if is := until[chat.EventConnected](t, events); is.Form != form || is.Client != asked.Client {
			t.Errorf("connected: %v, not %v", is.Form, form)
		}
		return asked.Client
	}
	for query, form := range map[string]chat.Form{"": chat.FormPlain, "?format=json": chat.FormJSON} {
		connected := make(chan *peer, 1)
		go func() { connected <- connect(t, server, "/rooms/tea"+query) }()
		admit(form)
		(<-connected).leave(t)
		until[chat.EventDisconnected](t, events)
	}
	for _, query := range []string{"", "&format=json"} {
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "GET /rooms/tea?format=events%s HTTP/1.0\r\n\r\n", query); err != nil {
			t.Fatal(err)
		}
		id := admit(chat.FormEvents)
		if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Errorf("%q, %v", line, err)
		}
		check(t, "a second room", server.Join(id, "another"), chat.ErrTooManyRooms)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		until[chat.EventDisconnected](t, events)
	}
}

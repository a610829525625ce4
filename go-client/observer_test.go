package main

import (
	"fmt"
	"testing"

	"github.com/gorilla/websocket"
)

// observer is a client of the plain form that prints what it gets, and sends what it is told.
type observer struct {
	*websocket.Conn
	seen *output
}

func (s *server) observe(t *testing.T) *observer {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &observer{conn, newOutput()}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			_, data, err := conn.ReadMessage()
			if err != nil {
				return
			}
			fmt.Fprintf(o.seen, "%s\n", data)
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-read
	})
	return o
}

func (o *observer) send(t *testing.T, text string) {
	t.Helper()
	if err := o.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

package chat_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// start starts a server on a free port, which is closed when the test ends.
func start(t testing.TB, options chat.Options) *chat.Server {
	t.Helper()
	if options.Listen == nil {
		options.Listen = []string{"127.0.0.1:0"}
	}
	server, err := chat.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return server
}

// dial connects to a server's path and query from a local address, which may be empty.
func dial(server *chat.Server, path, from string, header http.Header) (*websocket.Conn, error) {
	local := &net.TCPAddr{IP: net.ParseIP(from)}
	dialer := websocket.Dialer{
		NetDialContext:   (&net.Dialer{LocalAddr: local, Timeout: patience}).DialContext,
		HandshakeTimeout: patience,
	}
	conn, response, err := dialer.Dial("ws://"+server.Addr().String()+path, header)
	if err != nil && response != nil {
		return nil, fmt.Errorf("%w: %s", err, response.Status)
	}
	return conn, err
}

// message is what a peer received: a message, or the error that ended the connection.
type message struct {
	kind int
	data string
	err  error
}

// peer is a client that reads all the time, as far as the test takes what it got.
type peer struct {
	*websocket.Conn
	got     chan message
	writing sync.Mutex
}

// connect makes a peer and waits until it is in its room, so that nothing sent later misses it.
func connect(t testing.TB, server *chat.Server, path string) *peer {
	t.Helper()
	return connectFrom(t, server, path, "127.0.0.1", nil)
}

func connectFrom(t testing.TB, server *chat.Server, path, from string, header http.Header) *peer {
	t.Helper()
	conn, err := dial(server, path, from, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &peer{Conn: conn, got: make(chan message, 1024)}
	joined := make(chan string, 1)
	conn.SetPongHandler(func(data string) error {
		joined <- data
		return nil
	})
	go p.read()
	// The server answers pings of those that are in their room.
	if err := conn.WriteControl(websocket.PingMessage, []byte("joined?"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	receive(t, joined)
	return p
}

func (p *peer) read() {
	defer close(p.got)
	defer p.Close()
	for {
		kind, data, err := p.ReadMessage()
		p.got <- message{kind, string(data), err}
		if err != nil {
			return
		}
	}
}

// send sends text. Several goroutines may.
func (p *peer) send(text string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.SetWriteDeadline(time.Now().Add(patience))
	return p.WriteMessage(websocket.TextMessage, []byte(text))
}

func (p *peer) say(t testing.TB, text string) {
	t.Helper()
	if err := p.send(text); err != nil {
		t.Fatal(err)
	}
}

// expect waits for the next message, which is this text.
func (p *peer) expect(t testing.TB, text string) {
	t.Helper()
	got := receive(t, p.got)
	if got.err != nil || got.kind != websocket.TextMessage || got.data != text {
		t.Fatalf("got %+v, want the text %.100q", got, text)
	}
}

// expectClose waits for the end of the connection, which comes next, with this code.
func (p *peer) expectClose(t testing.TB, code int) *websocket.CloseError {
	t.Helper()
	return closeError(t, receive(t, p.got), code)
}

func closeError(t testing.TB, got message, code int) *websocket.CloseError {
	t.Helper()
	var closed *websocket.CloseError
	if !errors.As(got.err, &closed) || closed.Code != code {
		t.Fatalf("got %+v, want a close with code %d", got, code)
	}
	return closed
}

// leave closes with code 1000, and waits for the server's answer.
func (p *peer) leave(t testing.TB) {
	t.Helper()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := p.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for got := range p.got {
		if got.err != nil {
			closeError(t, got, websocket.CloseNormalClosure)
			return
		}
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case value, open := <-from:
		if !open {
			t.Fatal("nothing follows")
		}
		return value
	case <-timeout.C:
		t.Fatal("nothing came in time")
	}
	panic("unreachable")
}

// together runs functions at once, and fails with their errors when all have returned.
func together(t testing.TB, functions ...func() error) {
	t.Helper()
	failed := make(chan error, len(functions))
	for _, function := range functions {
		go func() { failed <- function() }()
	}
	for range functions {
		if err := receive(t, failed); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

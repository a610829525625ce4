package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// hub is a small chat server whose misbehaviour the tests choose. It has one room, and speaks
// ?echo=false and ?history=N.
type hub struct {
	*httptest.Server
	received chan string // every text message, in order
	closes   chan int    // the code of every close frame
	joined   chan struct{}
	pings    chan struct{} // one for each ping, as many as find room

	mute    atomic.Bool // nobody gets anything
	deaf    atomic.Bool // new connections are not read from: neither pongs nor answers to a close
	refuses atomic.Bool // upgrades get 503

	mu      sync.Mutex
	history []string
	members map[*websocket.Conn]bool // whether it wants its own messages
}

func startHub(t *testing.T) *hub {
	h := &hub{
		received: make(chan string, 100_000),
		closes:   make(chan int, 100),
		joined:   make(chan struct{}, 100),
		pings:    make(chan struct{}, 1),
		members:  map[*websocket.Conn]bool{},
	}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() {
		h.cut()
		h.Close()
	})
	return h
}

func (h *hub) url(rest string) string {
	return "-url=ws" + strings.TrimPrefix(h.URL, "http") + rest
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.refuses.Load() {
		http.Error(w, "full\nvery", http.StatusServiceUnavailable)
		return
	}
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		select {
		case h.pings <- struct{}{}:
		default:
		}
		return answer(data)
	})
	deaf := h.deaf.Load()
	h.join(conn, r)
	if deaf {
		<-r.Context().Done()
		return
	}
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			if closed, ok := err.(*websocket.CloseError); ok {
				h.closes <- closed.Code
			}
			h.mu.Lock()
			delete(h.members, conn)
			h.mu.Unlock()
			return
		}
		h.received <- string(data)
		if !h.mute.Load() {
			h.deliver(conn, websocket.TextMessage, string(data))
		}
	}
}

func (h *hub) join(conn *websocket.Conn, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, _ := strconv.Atoi(r.URL.Query().Get("history"))
	for _, text := range h.history[max(0, len(h.history)-n):] {
		_ = conn.WriteMessage(websocket.TextMessage, []byte(text))
	}
	h.members[conn] = r.URL.Query().Get("echo") != "false"
	h.joined <- struct{}{}
}

// deliver sends to all, and to the sender if it wants that. Writes have a deadline, so that a
// client that does not read fails its own test only.
func (h *hub) deliver(from *websocket.Conn, kind int, data string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, data)
	for conn, echo := range h.members {
		if conn != from || echo {
			_ = conn.SetWriteDeadline(time.Now().Add(patience))
			_ = conn.WriteMessage(kind, []byte(data))
		}
	}
}

// broadcast is a message from the host.
func (h *hub) broadcast(text string) { h.deliver(nil, websocket.TextMessage, text) }

// closeAll sends every member a close frame.
func (h *hub) closeAll(code int, reason string) {
	h.each(func(conn *websocket.Conn) {
		frame := websocket.FormatCloseMessage(code, reason)
		_ = conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(patience))
	})
}

// cut ends every connection without a close frame.
func (h *hub) cut() { h.each(func(conn *websocket.Conn) { conn.Close() }) }

func (h *hub) each(do func(*websocket.Conn)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conn := range h.members {
		do(conn)
	}
}

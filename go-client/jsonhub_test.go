package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
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

// fields are those of an object.
type fields map[string]any

// jsonHub is a small chat server of one room, in the JSON form, whose misbehaviour the tests choose. It
// keeps all messages, but for those that a test trims.
type jsonHub struct {
	*httptest.Server
	received chan fields // every object of a client, when it is stored and answered
	closes   chan int    // the code of every close frame
	joined   chan *jsonMember
	queries  chan string // of every request

	ping    float64                   // seconds, for welcome
	silent  atomic.Bool               // no heartbeat
	mute    atomic.Bool               // what clients send is stored, and nobody is told
	refuses atomic.Bool               // upgrades get 503
	budget  func() int                // bytes after which a new connection breaks, or nil
	verdict func(text string) fields  // the refusal; empty: refused without a word; nil: stored
	onEnter func(entered fields) bool // changes "entered"; returns whether to replay everything
	before  []fields                  // what a new client gets before it enters the room of its path

	mu      sync.Mutex
	epoch   string
	clients int
	trimmed int // so many of the first messages are kept no longer
	history []fields
	members map[*jsonMember]bool
}

type jsonMember struct {
	*websocket.Conn
	hub    *jsonHub
	client string
	name   string
	echo   bool
	gone   chan struct{} // closed when nothing more of it is stored
	broken func() bool
}

func startJSONHub(t *testing.T, configure ...func(*jsonHub)) *jsonHub {
	h := &jsonHub{
		received: make(chan fields, 100_000),
		closes:   make(chan int, 10_000),
		joined:   make(chan *jsonMember, 10_000),
		queries:  make(chan string, 10_000),
		epoch:    "e",
		members:  map[*jsonMember]bool{},
	}
	for _, change := range configure {
		change(h)
	}
	h.Server = httptest.NewUnstartedServer(h)
	h.Listener = &breakingListener{h.Listener, h}
	h.Start()
	t.Cleanup(func() {
		h.cut()
		h.Close()
	})
	return h
}

func (h *jsonHub) url(rest string) string {
	return "-url=ws" + strings.TrimPrefix(h.URL, "http") + rest
}

func (h *jsonHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.queries <- r.URL.RawQuery
	if h.refuses.Load() {
		http.Error(w, "full", http.StatusServiceUnavailable)
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{subprotocol}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	m := &jsonMember{
		Conn:   conn,
		hub:    h,
		name:   r.URL.Query().Get("name"),
		echo:   r.URL.Query().Get("echo") != "false",
		gone:   make(chan struct{}),
		broken: func() bool { return false },
	}
	if breaking, ok := conn.NetConn().(*breakingConn); ok {
		m.broken = breaking.broken.Load
	}
	defer close(m.gone)
	m.join(r)
	for {
		_, data, err := conn.ReadMessage()
		if err != nil || m.broken() {
			if closed, ok := err.(*websocket.CloseError); ok {
				h.closes <- closed.Code
			}
			h.mu.Lock()
			delete(h.members, m)
			h.mu.Unlock()
			return
		}
		o := fields{}
		if err := json.Unmarshal(data, &o); err != nil {
			panic(err)
		}
		h.take(m, o)
		h.received <- o
	}
}

// join sends what a new client gets. It first waits until what broken connections sent is stored or
// lost, so that a test can say which lines must be reported.
func (m *jsonMember) join(r *http.Request) {
	h := m.hub
	h.mu.Lock()
	var broken []*jsonMember
	for other := range h.members {
		if other.broken() {
			broken = append(broken, other)
		}
	}
	h.mu.Unlock()
	for _, other := range broken {
		<-other.gone
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients++
	m.client = fmt.Sprintf("c%d", h.clients)
	welcome := fields{"type": "welcome", "version": 1, "client": m.client}
	if h.ping > 0 {
		welcome["ping"] = h.ping
	}
	m.send(welcome)
	for _, o := range h.before {
		m.send(o)
	}
	from := len(h.history)
	if n, err := strconv.Atoi(r.URL.Query().Get("history")); err == nil {
		from = max(h.trimmed, from-n)
	}
	entered := fields{"type": "entered", "room": "lobby"}
	if since := cmp.Or(r.URL.Query().Get("since"), r.URL.Query().Get("since.lobby")); since != "" {
		reason := ""
		epoch, offset, _ := strings.Cut(since, "-")
		at, err := strconv.Atoi(offset)
		switch {
		case err != nil:
			reason = "invalid"
		case epoch != h.epoch:
			reason = "epoch"
		case at > len(h.history):
			reason = "ahead"
		case at < h.trimmed:
			reason = "trimmed"
		}
		entered["recovered"] = reason == ""
		from = at
		if reason != "" {
			entered["reason"] = reason
			from = h.trimmed
		}
	}
	entered["position"] = h.position(from)
	if h.onEnter != nil && h.onEnter(entered) {
		from = h.trimmed
	}
	m.send(entered)
	for _, message := range h.history[from:] {
		m.send(message)
	}
	m.send(fields{"type": "live", "room": entered["room"]})
	h.members[m] = true
	h.joined <- m
	if h.ping > 0 {
		go m.beat()
	}
}

// beat sends heartbeats until the connection is gone.
func (m *jsonMember) beat() {
	ticker := time.NewTicker(time.Duration(m.hub.ping * float64(time.Second)))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.hub.mu.Lock()
			if !m.hub.silent.Load() {
				m.send(fields{"type": "ping"})
			}
			m.hub.mu.Unlock()
		case <-m.gone:
			return
		}
	}
}

func (h *jsonHub) position(offset int) string { return h.epoch + "-" + strconv.Itoa(offset) }

// take stores a client's message, and tells the members and then the sender.
func (h *jsonHub) take(m *jsonMember, o fields) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text, isText := o["text"].(string)
	if !isText {
		decoded, err := base64.StdEncoding.DecodeString(o["base64"].(string))
		if err != nil || o["kind"] != "text" {
			panic(o)
		}
		text = string(decoded)
	}
	if h.verdict != nil {
		if refused := h.verdict(text); refused != nil {
			answer := fields{"type": "refused", "id": o["id"]}
			maps.Copy(answer, refused)
			if len(refused) > 0 {
				m.send(answer)
			}
			return
		}
	}
	message := fields{"client": m.client, "text": text}
	if m.name != "" {
		message["name"], message["claimed"] = m.name, true
	}
	h.store(m, message)
	if !h.mute.Load() {
		m.send(fields{"type": "sent", "id": o["id"], "room": "lobby", "position": h.position(len(h.history))})
	}
}

// store must be called with the lock.
func (h *jsonHub) store(from *jsonMember, message fields) {
	h.history = append(h.history, message)
	message["type"], message["room"] = "message", "lobby"
	message["position"] = h.position(len(h.history))
	message["time"] = 1795600000000 + len(h.history)
	message["later"] = fields{"nobody": []string{"knows"}}
	if h.mute.Load() {
		return
	}
	for m := range h.members {
		if m != from || m.echo {
			m.send(message)
		}
	}
}

// publish stores a message of the host, or what the fields say.
func (h *jsonHub) publish(text string, more ...fields) {
	h.mu.Lock()
	defer h.mu.Unlock()
	message := fields{"text": text}
	for _, m := range more {
		maps.Copy(message, m)
	}
	h.store(nil, message)
}

// tell sends an object to all, and stores nothing.
func (h *jsonHub) tell(o fields) { h.each(func(m *jsonMember) { m.send(o) }) }

// closeAll announces a close, and closes.
func (h *jsonHub) closeAll(code int, more fields) {
	h.each(func(m *jsonMember) {
		if more != nil {
			closing := fields{"type": "closing", "code": code, "reason": "bye"}
			maps.Copy(closing, more)
			m.send(closing)
		}
		frame := websocket.FormatCloseMessage(code, "bye")
		_ = m.WriteControl(websocket.CloseMessage, frame, time.Now().Add(patience))
	})
}

// cut ends every connection without a close frame.
func (h *jsonHub) cut() { h.each(func(m *jsonMember) { m.Conn.Close() }) }

func (h *jsonHub) each(do func(*jsonMember)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.members {
		do(m)
	}
}

// texts returns the stored messages, a line each.
func (h *jsonHub) texts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all strings.Builder
	for _, message := range h.history {
		fmt.Fprintf(&all, "%v\n", message["text"])
	}
	return all.String()
}

// send writes an object, in a frame for itself. It must be called with the hub's lock.
func (m *jsonMember) send(o fields) {
	frame, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	_ = m.SetWriteDeadline(time.Now().Add(patience))
	_ = m.WriteMessage(websocket.TextMessage, frame)
}

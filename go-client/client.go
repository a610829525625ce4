package main

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// maxArriving bounds a message that arrives, in bytes. The server's own bound is 1 MiB by
	// default; this one holds for any server, so that none can fill this machine's memory.
	maxArriving = 64 << 20

	// finishWait bounds the wait for the server's FIN after the close handshake.
	finishWait = time.Second

	// confirmDelay is the time from a line to the ping that confirms it, if there is no echo.
	confirmDelay = time.Second
)

type eventKind int

const (
	eventText   eventKind = iota // a text message
	eventBinary                  // a binary message
	eventObject                  // an object of the JSON form
	eventPong                    // a pong: the server has read the first n lines
	eventClosed                  // the connection has ended with err; nothing follows
)

// event is something that happened on a connection.
type event struct {
	kind   eventKind
	data   string
	object *object
	n      int
	err    error
}

// connection is one WebSocket to the server.
//
// One goroutine reads and one writes, as gorilla's connections require. The session sends lines to
// outgoing, receives from events, and ends the connection with close or abandon. Every write has a
// deadline. The connection also ends if nothing arrives for timing.alive, not even a pong, or if no
// object arrives for as long as the server's welcome says.
type connection struct {
	ws       *websocket.Conn
	timing   timing
	json     bool          // one object in each text frame, both ways
	confirms bool          // whether a ping soon confirms each line, because there is no echo
	outgoing chan outgoing // closed by close
	events   chan event    // from the reader
	gone     chan struct{} // closed by abandon

	silence time.Duration // longest between two messages, or 0; for the reader alone, as is quiet
	quiet   time.Time     // since when no message has arrived

	mu    sync.Mutex
	cause error // the writer's error; the reader only sees its consequence
}

// connect starts the goroutines of a connection in the plain form. If confirms is set, a ping soon
// confirms each line. If pingFirst is set, it first sends a ping, whose pong shows that everything which
// the server sends to a new client has arrived.
func connect(ws *websocket.Conn, timing timing, confirms, pingFirst bool) *connection {
	c := newConnection(ws, timing, maxArriving)
	c.confirms = confirms
	go c.read()
	go c.write(pingFirst)
	return c
}

// connectJSON starts the goroutines of a connection in the JSON form, in which the server itself says
// what the pings of the plain form find out.
func connectJSON(ws *websocket.Conn, timing timing) *connection {
	c := newConnection(ws, timing, maxObject)
	c.json = true
	go c.read()
	go c.write(false)
	return c
}

func newConnection(ws *websocket.Conn, timing timing, limit int64) *connection {
	c := &connection{
		ws:       ws,
		timing:   timing,
		outgoing: make(chan outgoing),
		events:   make(chan event, 64),
		gone:     make(chan struct{}),
	}
	ws.SetReadLimit(limit)
	ws.SetPingHandler(func(data string) error {
		c.heard()
		// The error is left to the writer. Returned here, it would stop the reader before a close
		// frame that may still arrive.
		_ = ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		return nil
	})
	ws.SetPongHandler(func(data string) error {
		c.heard()
		if n, err := strconv.Atoi(data); err == nil {
			c.tell(event{kind: eventPong, n: n})
		}
		return nil
	})
	return c
}

// close sends a close frame with code 1000 after the lines that were sent to outgoing; eventClosed
// follows. Nothing may be sent to outgoing any more.
func (c *connection) close() { close(c.outgoing) }

// abandon ends the connection at once. No event follows.
func (c *connection) abandon() {
	close(c.gone)
	c.ws.Close()
}

// write is the goroutine that sends messages. A ping carries the number of lines before it.
func (c *connection) write(pingFirst bool) {
	ticker := time.NewTicker(c.timing.ping)
	defer ticker.Stop()
	var confirm <-chan time.Time
	lines := 0
	var err error
	if pingFirst {
		err = c.control(websocket.PingMessage, []byte("0"))
	}
	for err == nil {
		select {
		case line, open := <-c.outgoing:
			if !open {
				err = c.control(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
				c.fail(err)
				return
			}
			_ = c.ws.SetWriteDeadline(time.Now().Add(c.timing.write))
			frame := []byte(line.text)
			if c.json {
				frame = line.encode()
			}
			err = c.ws.WriteMessage(websocket.TextMessage, frame)
			lines++
			if c.confirms && confirm == nil {
				confirm = time.After(confirmDelay)
			}
		case <-confirm:
			confirm = nil
			err = c.control(websocket.PingMessage, strconv.AppendInt(nil, int64(lines), 10))
		case <-ticker.C:
			err = c.control(websocket.PingMessage, strconv.AppendInt(nil, int64(lines), 10))
		case <-c.gone:
			return
		}
	}
	c.fail(err)
}

func (c *connection) control(kind int, data []byte) error {
	return c.ws.WriteControl(kind, data, time.Now().Add(c.timing.write))
}

// fail stores why the writer ended. The reader continues for finishWait: a close frame with the
// server's reason may already have arrived.
func (c *connection) fail(err error) {
	if err == nil || errors.Is(err, websocket.ErrCloseSent) {
		return
	}
	c.mu.Lock()
	c.cause = err
	c.mu.Unlock()
	time.AfterFunc(finishWait, func() { c.ws.Close() })
}

package main

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// read is the goroutine that receives messages.
func (c *connection) read() {
	err := c.readMessages()
	// Before finish: an error of the writer on the connection that finish closes is not the cause.
	c.mu.Lock()
	var closed *websocket.CloseError
	if c.cause != nil && !errors.As(err, &closed) {
		err = c.cause
	}
	c.mu.Unlock()
	c.finish(err)
	c.tell(event{kind: eventClosed, err: err})
}

func (c *connection) readMessages() error {
	for {
		c.quiet = time.Now()
		c.heard()
		kind, reader, err := c.ws.NextReader()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(&attentive{c, reader})
		if err != nil {
			return err
		}
		message, err := c.decode(kind, data)
		if err != nil {
			return err
		}
		if message != nil && !c.tell(*message) {
			return net.ErrClosed
		}
	}
}

// decode returns the event of a message, or nil if the client ignores the message.
func (c *connection) decode(kind int, data []byte) (*event, error) {
	switch {
	case !c.json && kind == websocket.BinaryMessage:
		return &event{kind: eventBinary, n: len(data)}, nil
	case !c.json:
		return &event{kind: eventText, data: string(data)}, nil
	case kind == websocket.BinaryMessage:
		return nil, nil
	}
	o, err := decodeObject(data)
	if o == nil || err != nil {
		return nil, err
	}
	if o.Type == "welcome" {
		if silence := o.silence(); silence > 0 {
			c.silence = silence + c.timing.slack
		}
	}
	return &event{kind: eventObject, object: o}, nil
}

// attentive extends the read deadline at each read: a large message on a slow line may take longer
// than timing.alive.
type attentive struct {
	c      *connection
	reader io.Reader
}

func (a *attentive) Read(p []byte) (int, error) {
	a.c.quiet = time.Now()
	a.c.heard()
	return a.reader.Read(p)
}

// heard sets the read deadline to timing.alive from now, or to the end of the longest silence.
func (c *connection) heard() {
	deadline := time.Now().Add(c.timing.alive)
	if end := c.quiet.Add(c.silence); c.silence > 0 && end.Before(deadline) {
		deadline = end
	}
	_ = c.ws.SetReadDeadline(deadline)
}

// tell passes an event to the session. It returns false if the session has abandoned the connection.
func (c *connection) tell(e event) bool {
	select {
	case c.events <- e:
		return true
	case <-c.gone:
		return false
	}
}

// finish closes the TCP connection. After the close handshake it sends a FIN and waits for the
// server's, so that neither side sees a reset.
func (c *connection) finish(err error) {
	defer c.ws.Close()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure {
		return
	}
	conn := c.ws.NetConn()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(finishWait))
	_, _ = io.Copy(io.Discard, conn)
}

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/gorilla/websocket"
)

// maxQueue bounds the lines that wait to be sent. At a terminal a further line is refused; piped
// input is not read further.
const maxQueue = 100

// session is the state that outlives a connection: the lines, and how far each has come. It runs on
// the goroutine that calls run; the others (input, connection, dialing) use channels to reach it.
type session struct {
	opts    *options
	timing  timing
	screen  *screen
	input   <-chan inputEvent
	signals <-chan os.Signal
	piped   bool // input is not typed: every line must be echoed, and failures count

	conn      *connection // nil while there is none
	connected time.Time
	ready     bool // lines may be sent: everything for a new client has arrived
	delivery  delivery
	queue     []string
	backoff   backoff
	retry     <-chan time.Time
	dialed    chan dialResult

	inputEnded bool
	leaving    bool             // told to end: no further line is sent
	deadline   <-chan time.Time // of the server's answer to our close; nil unless we closed
	progress   time.Time        // when piped input last made progress
	failed     bool
	ended      bool
}

func newSession(opts *options, timing timing, screen *screen, input <-chan inputEvent, signals <-chan os.Signal) *session {
	return &session{
		opts:    opts,
		timing:  timing,
		screen:  screen,
		input:   input,
		signals: signals,
		piped:   !screen.typed,
		backoff: backoff{min: timing.backoffMin, max: timing.backoffMax},
		dialed:  make(chan dialResult, 1),
	}
}

// run uses ws, and then the connections that replace it, until the input or the user ends the session.
// It returns the exit status.
func (s *session) run(ctx context.Context, ws *websocket.Conn) int {
	s.adopt(ws)
	for {
		s.closeIfDone()
		if s.ended {
			break
		}
		head, outgoing := s.next()
		select {
		case in := <-s.openInput():
			s.takeInput(in)
		case outgoing <- head:
			s.queue = s.queue[1:]
			s.delivery.send(head)
			s.progress = time.Now()
		case e := <-s.connEvents():
			s.takeEvent(e)
		case <-s.retry:
			s.retry = nil
			go func() { s.dialed <- s.opts.dial(ctx, s.timing) }()
		case result := <-s.dialed:
			s.takeDialed(result)
		case <-s.signals:
			s.interrupted()
		case <-s.stalled():
			s.giveUp()
		case <-s.deadline:
			s.say("the server did not answer the close within %v", s.timing.closing)
			s.drop()
			s.end(true)
		}
	}
	if s.conn != nil {
		s.conn.abandon()
	}
	if s.failed {
		return exitFailed
	}
	return exitOK
}

// adopt makes ws the session's connection.
func (s *session) adopt(ws *websocket.Conn) {
	history := s.opts.history()
	s.conn = connect(ws, s.timing, !s.opts.echo(), history)
	s.ready = !history
	s.delivery = delivery{echo: s.opts.echo()}
	s.connected = time.Now()
	if !s.inputEnded {
		// After the end of input, a new connection alone is no progress: a server may accept
		// connections and drop them.
		s.progress = s.connected
	}
}

// next returns the next line and the channel to send it to; the channel is nil while no line may be
// sent.
func (s *session) next() (string, chan<- string) {
	if s.conn == nil || !s.ready || s.deadline != nil || len(s.queue) == 0 || !s.delivery.hasRoom() {
		return "", nil
	}
	return s.queue[0], s.conn.outgoing
}

// openInput returns the input, or nil while it is not read. Typed lines are always read, so that a
// refusal can be shown.
func (s *session) openInput() <-chan inputEvent {
	if s.inputEnded || s.leaving || s.piped && len(s.queue) >= maxQueue {
		return nil
	}
	return s.input
}

func (s *session) connEvents() <-chan event {
	if s.conn == nil {
		return nil
	}
	return s.conn.events
}

func (s *session) takeInput(in inputEvent) {
	var left *lineError
	switch {
	case errors.As(in.err, &left):
		s.refuse("%v: not sent", left)
	case in.err != nil:
		s.inputEnded = true
		s.progress = time.Now()
		if in.err != io.EOF {
			s.refuse("cannot read the input: %v", in.err)
		}
	default:
		s.takeLine(in.line)
	}
}

func (s *session) takeEvent(e event) {
	switch e.kind {
	case eventText:
		if s.ready && s.delivery.arrive(e.data) {
			s.progress = time.Now()
		}
		s.show(s.screen.message(e.data))
	case eventBinary:
		s.show(s.screen.line(describeBinary(e.n)))
	case eventPong:
		s.ready = true
		s.delivery.confirm(e.n)
		if !s.piped {
			// Typed input does not wait for its echo; without echoes the window must not fill up.
			s.delivery.forgetConfirmed()
		}
	case eventClosed:
		s.lost(e.err)
	}
}

// show handles the result of printing a message: a client that cannot print leaves.
func (s *session) show(err error) {
	if err != nil && !s.leaving {
		s.say("cannot write to standard output: %v", err)
		s.failed = true
		s.leave()
	}
}

func (s *session) say(format string, args ...any) { s.screen.notice(format, args...) }

// refuse reports input that cannot be sent. If the input is piped, the exit status reports it too.
func (s *session) refuse(format string, args ...any) {
	s.say(format, args...)
	s.failed = s.failed || s.piped
}

// end makes run return.
func (s *session) end(failed bool) {
	s.failed = s.failed || failed
	s.ended = true
}

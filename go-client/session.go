package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
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
	ready     bool     // lines may be sent: everything for a new client has arrived
	delivery  delivery // of a connection in the plain form
	recovery  recovery // of all connections in the JSON form
	queue     []string
	backoff   backoff
	retry     <-chan time.Time // of the next attempt to connect
	dialed    chan dialResult

	inputEnded bool
	leaving    bool             // told to end: no further line is sent
	deadline   <-chan time.Time // of the server's answer to our close; nil unless we closed
	lingered   bool             // the close waits no longer for the answers to the last lines
	progress   time.Time        // when input or its delivery last made progress
	excused    bool             // progress is counted from a wait that the server asked for
	failed     bool
	ended      bool
}

func newSession(opts *options, timing timing, screen *screen, input <-chan inputEvent, signals <-chan os.Signal) *session {
	s := &session{
		opts:    opts,
		timing:  timing,
		screen:  screen,
		input:   input,
		signals: signals,
		piped:   !screen.typed,
		backoff: backoff{min: timing.backoffMin, max: timing.backoffMax},
		dialed:  make(chan dialResult, 1),
	}
	s.recovery.positions.home = homeOf(opts.url)
	return s
}

// run uses the first connection, and then those that replace it, until the input or the user ends the
// session. It returns the exit status.
func (s *session) run(ctx context.Context, first dialResult) int {
	s.adopt(first)
	if s.screen.editor != nil {
		s.say("connected to %s as %s; Ctrl-D leaves", s.opts.url, s.opts.id)
	}
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
			s.sent(head)
		case e := <-s.connEvents():
			s.takeEvent(e)
		case <-s.retry:
			s.retry = nil
			address, known := s.opts.address(&s.recovery.positions), s.recovery.spoken
			go func() { s.dialed <- s.opts.dial(ctx, s.timing, address, known) }()
		case result := <-s.dialed:
			s.takeDialed(result)
		case <-s.signals:
			s.interrupted()
		case <-s.returning():
			s.settle()
		case <-s.stalled():
			s.giveUp()
		case <-s.lingering():
			s.lingered = true
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

// adopt makes a new WebSocket the session's connection.
func (s *session) adopt(dialed dialResult) {
	s.connected = time.Now()
	if dialed.json {
		s.conn = connectJSON(dialed.ws, s.timing)
		s.ready = false
		s.recovery.begin()
	} else {
		history := s.opts.history()
		s.conn = connect(dialed.ws, s.timing, !s.opts.echo(), history)
		s.ready = !history
		s.delivery = delivery{echo: s.opts.echo()}
		s.forgetPositions()
	}
	if !s.inputEnded {
		// After the end of input, a new connection alone is no progress: a server may accept
		// connections and drop them.
		s.progress = s.connected
	}
}

// next returns the next line and the channel to send it to; the channel is nil while no line may be
// sent.
func (s *session) next() (outgoing, chan<- outgoing) {
	if s.conn == nil || !s.ready || s.deadline != nil || len(s.queue) == 0 {
		return outgoing{}, nil
	}
	if !s.delivery.hasRoom() || !s.recovery.answers.hasRoom() {
		return outgoing{}, nil
	}
	return outgoing{
		text: s.queue[0],
		id:   s.recovery.answers.nextID(),
		room: s.recovery.target(),
	}, s.conn.outgoing
}

// sent records a line that the connection has taken.
func (s *session) sent(line outgoing) {
	if s.conn.json {
		s.recovery.answers.send(s.recovery.self(), line.text)
	} else {
		s.delivery.send(line.text)
	}
	s.advance()
}

// advance records that lines made progress.
func (s *session) advance() {
	s.excused = false
	if now := time.Now(); now.After(s.progress) {
		s.progress = now
	}
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
		s.advance()
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
			s.advance()
		}
		s.show(s.screen.message(e.data))
	case eventBinary:
		s.show(s.screen.line(describeBinary(e.n)))
	case eventObject:
		s.takeObject(e.object)
	case eventPong:
		if s.conn.json {
			return
		}
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
	s.reportUnanswered("")
	s.failed = s.failed || failed
	s.ended = true
}

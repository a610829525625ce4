package main

import (
	"strconv"
	"strings"
	"time"
)

// takeLine makes a message from a line of input, and queues it.
func (s *session) takeLine(line string) {
	text := s.opts.prefix() + strings.ToValidUTF8(line, "\uFFFD")
	switch {
	case len(text) > maxMessage:
		s.refuse("a line makes a message of more than %d bytes: not sent", maxMessage)
		return
	case len(s.queue) >= maxQueue:
		s.refuse("%d lines wait to be sent already: this one is not sent", maxQueue)
		return
	}
	s.queue = append(s.queue, text)
	if s.conn == nil && !s.piped {
		s.say("not connected: the line waits (%d of %d)", len(s.queue), maxQueue)
	}
}

// awaitsEcho returns whether piped lines are not echoed yet.
func (s *session) awaitsEcho() bool { return s.piped && len(s.delivery.awaited) > 0 }

// closeIfDone ends the session once all input is handled, with a close handshake if it is connected.
func (s *session) closeIfDone() {
	if s.ended || s.deadline != nil || !s.inputEnded && !s.leaving {
		return
	}
	if s.conn == nil {
		// Piped lines wait for the next connection; a user who leaves does not.
		if s.leaving || !s.piped || len(s.queue) == 0 {
			s.unsent()
			s.end(false)
		}
		return
	}
	if !s.leaving && (len(s.queue) > 0 || s.awaitsEcho()) {
		return
	}
	s.unsent()
	s.screen.close()
	s.conn.close()
	s.deadline = time.After(s.timing.closing)
}

// leave makes closeIfDone close without sending or awaiting further lines.
func (s *session) leave() { s.leaving = true }

// interrupted handles a signal: it leaves with a clean close, or at once if the close is under way.
func (s *session) interrupted() {
	if s.deadline != nil {
		s.say("left without waiting for the server's close")
		s.end(true)
		return
	}
	s.leave()
}

// unsent reports and discards the lines that were never sent.
func (s *session) unsent() {
	if n := len(s.queue); n > 0 {
		s.say("%s not sent, from %s on", wereLines(n), excerpt(s.queue[0]))
		s.failed = true
		s.queue = nil
	}
}

// unconfirmed reports the lines of a lost connection that may not have been delivered.
func (s *session) unconfirmed() {
	n := s.delivery.unconfirmed()
	if n == 0 {
		return
	}
	from := ""
	if waiting := len(s.delivery.awaited); waiting >= n {
		from = ", from " + excerpt(s.delivery.awaited[waiting-n]) + " on"
	}
	s.refuse("%s may not have been delivered and will not be sent again%s", count(n, "line"), from)
}

// stalled fires when piped input waits for the server and made no progress for timing.stall.
func (s *session) stalled() <-chan time.Time {
	// While input continues, it may wait for a connection without limit; after its end it may not.
	blocked := s.inputEnded || s.conn != nil && len(s.queue) >= maxQueue
	waits := len(s.queue) > 0 || s.awaitsEcho()
	if !s.piped || s.leaving || s.deadline != nil || !blocked || !waits {
		return nil
	}
	return time.After(time.Until(s.progress.Add(s.timing.stall)))
}

// giveUp ends a piped session that has stalled.
func (s *session) giveUp() {
	switch waiting := len(s.delivery.awaited); {
	case s.conn == nil:
		s.say("no connection within %v", s.timing.stall)
	case waiting > 0:
		s.say("no echo within %v: %s did not come back, from %s on (if the server does not echo, add ?echo=false to -url)",
			s.timing.stall, count(waiting, "line"), excerpt(s.delivery.awaited[0]))
	default:
		s.say("the server takes no more lines since %v", s.timing.stall)
	}
	s.failed = true
	s.leave()
}

func wereLines(n int) string {
	if n == 1 {
		return "1 line was"
	}
	return count(n, "line") + " were"
}

// excerpt quotes the beginning of a message.
func excerpt(text string) string {
	runes := []rune(text[:min(len(text), 200)])
	if len(runes) > 40 {
		return strconv.Quote(string(runes[:40]) + "…")
	}
	return strconv.Quote(string(runes))
}

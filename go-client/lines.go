package main

import (
	"strconv"
	"strings"
	"time"
)

// takeLine makes a message from a line of input, and queues it.
func (s *session) takeLine(line string) {
	text := s.opts.prefix() + strings.ToValidUTF8(line, "\uFFFD")
	if s.conn == nil && !s.piped {
		s.tryAtOnce()
		if line == "" {
			return
		}
	}
	switch {
	case len(text) > maxMessage:
		s.refuse("a line makes a message of more than %d bytes: not sent", maxMessage)
		return
	case len(s.queue) >= maxQueue:
		s.refuse("%d lines wait to be sent already: this one is not sent", maxQueue)
		return
	}
	s.queue = append(s.queue, text)
	switch {
	case s.piped:
	case s.conn == nil:
		s.say("not connected: the line waits (%d of %d)", len(s.queue), maxQueue)
	case s.conn.json && len(s.recovery.entered) == 0 && time.Since(s.connected) > s.timing.answer:
		s.say("in no room: the line waits (%d of %d)", len(s.queue), maxQueue)
	}
}

// awaitsEcho returns whether piped lines are neither echoed nor answered yet.
func (s *session) awaitsEcho() bool {
	return s.piped && (len(s.delivery.awaited) > 0 || s.awaitsAnswers())
}

// awaitsAnswers returns whether the server has not said what became of lines in the JSON form.
func (s *session) awaitsAnswers() bool { return len(s.recovery.answers.lines) > 0 }

// closeIfDone ends the session once all input is handled, with a close handshake if it is connected.
func (s *session) closeIfDone() {
	if s.ended || s.deadline != nil || !s.inputEnded && !s.leaving {
		return
	}
	if s.conn == nil {
		// Piped lines wait for the next connection; a user who leaves does not.
		if s.leaving || !s.piped || len(s.queue) == 0 && !s.awaitsAnswers() {
			s.unsent()
			s.end(false)
		}
		return
	}
	switch waits := len(s.queue) > 0 || s.awaitsEcho(); {
	case !s.leaving && waits && (s.piped || !s.conn.json), s.lingers():
		return
	}
	s.unsent()
	s.screen.close()
	s.conn.close()
	s.deadline = time.After(s.timing.closing)
}

// lingers returns whether the close waits for answers that the last lines will get in the JSON form. A
// user who leaves right after a line would otherwise be told that it may not have been delivered.
func (s *session) lingers() bool {
	return s.conn != nil && s.conn.json && !s.lingered && s.deadline == nil &&
		(s.leaving || s.inputEnded && !s.piped) &&
		(s.awaitsAnswers() || !s.leaving && len(s.queue) > 0)
}

// lingering fires when lines of a user who leaves made no progress for timing.answer.
func (s *session) lingering() <-chan time.Time {
	if !s.lingers() {
		return nil
	}
	return time.After(time.Until(s.progress.Add(s.timing.answer)))
}

// leave makes closeIfDone close without sending further lines.
func (s *session) leave() {
	if !s.leaving {
		s.leaving = true
		s.advance()
	}
}

// interrupted handles a signal: it leaves with a clean close, or at once if the close is under way.
func (s *session) interrupted() {
	s.lingered = s.lingered || s.leaving
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
	unanswered := s.recovery.answers.lines
	switch waiting := len(s.delivery.awaited); {
	case s.conn == nil:
		s.say("no connection within %v", s.timing.stall)
	case len(unanswered) > 0:
		s.say("no answer within %v to %s, from %s on",
			s.timing.stall, count(len(unanswered), "line"), excerpt(unanswered[0].text))
	case waiting > 0:
		s.say("no echo within %v: %s did not come back, from %s on (if the server does not echo, add ?echo=false to -url)",
			s.timing.stall, count(waiting, "line"), excerpt(s.delivery.awaited[0]))
	default:
		s.say("the server takes no more lines since %v", s.timing.stall)
	}
	s.failed, s.lingered = true, true
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

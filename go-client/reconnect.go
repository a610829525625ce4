package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// lost handles the end of a connection, whether this client, the server or the network ended it.
func (s *session) lost(err error) {
	var closed *websocket.CloseError
	byPeer := errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
	if s.deadline != nil && byPeer && closed.Code == websocket.CloseNormalClosure {
		// RFC 6455, 5.5.1: the answer to our close. The server has read all lines before it.
		s.delivery.confirm(s.delivery.sent)
	}
	announced := s.announcedRetry()
	s.drop()
	if s.deadline != nil {
		if !byPeer {
			s.say("%s before it answered the close", explainEnd(err))
		}
		s.end(!byPeer)
		return
	}

	s.say("%s", explainEnd(err))
	done := byPeer && closed.Code == websocket.CloseNormalClosure
	refused := byPeer && closed.Code == websocket.ClosePolicyViolation
	if done || refused || !s.opts.reconnect {
		s.unsent()
		s.end(!done)
		return
	}
	if announced > 0 || byPeer && asksToComeBack(closed.Code) || time.Since(s.connected) >= s.timing.settled {
		s.backoff.reset()
	}
	s.scheduleDial(announced)
}

// asksToComeBack returns whether a close is no failure of the server's: it stops, restarts or has too
// much to do just now.
func asksToComeBack(code int) bool {
	switch code {
	case websocket.CloseGoingAway, websocket.CloseServiceRestart, websocket.CloseTryAgainLater:
		return true
	}
	return false
}

// announcedRetry returns the wait that the server asked for before it closed the connection, or 0.
func (s *session) announcedRetry() time.Duration {
	if s.recovery.closing == nil {
		return 0
	}
	return s.recovery.closing.comeBack()
}

// drop abandons the connection and reports the lines that may have been lost with it.
func (s *session) drop() {
	s.conn.abandon()
	s.conn = nil
	s.recovery.closing = nil
	s.unconfirmed()
	s.delivery = delivery{}
}

// scheduleDial plans the next attempt to connect, after the wait that the server asked for, if any.
func (s *session) scheduleDial(announced time.Duration) {
	if s.leaving || s.inputEnded && len(s.queue) == 0 && !(s.piped && s.awaitsAnswers()) {
		return // closeIfDone ends the session
	}
	wait := s.backoff.next()
	if announced > 0 {
		wait = announced
		if !s.excused {
			// The server's wait is not the stall of piped input, unless it asks again and again.
			s.excused = true
			s.progress = time.Now().Add(wait)
		}
	}
	hint := ""
	if !s.piped {
		hint = "; Enter tries at once"
	}
	s.say("attempt %d to connect again in %v%s", s.backoff.attempt, wait.Round(10*time.Millisecond), hint)
	s.retry = time.After(wait)
}

// tryAtOnce ends the wait before the next attempt.
func (s *session) tryAtOnce() {
	if s.retry != nil {
		s.retry = time.After(0)
	}
}

// forgetPositions handles a connection in the plain form. Its messages have no positions: to go back to
// the last one would show them again.
func (s *session) forgetPositions() {
	s.reportUnanswered("")
	s.recovery.positions = positions{home: homeOf(s.opts.url)}
	// A script's standard error stays silent until something is missing.
	again := s.recovery.spoken || s.backoff.attempt > 0
	if s.opts.plain || !s.opts.reconnect || s.recovery.warned || s.piped && !again {
		return
	}
	s.recovery.warned = true
	s.say("the server does not speak %s: messages from the time of a lost connection stay missing", subprotocol)
}

func (s *session) takeDialed(result dialResult) {
	if result.err != nil {
		s.say("attempt %d failed: %v", s.backoff.attempt, result.err)
		s.scheduleDial(0)
		return
	}
	s.say("connected again")
	s.adopt(result)
}

// explainEnd returns a text that says why a connection ended.
func explainEnd(err error) string {
	var closed *websocket.CloseError
	var netErr net.Error
	switch {
	case errors.As(err, &closed):
		return explainClose(closed)
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Sprintf("a message of more than %d bytes arrived", maxArriving)
	case errors.As(err, &netErr) && netErr.Timeout():
		return "the server does not answer any more"
	}
	return "the connection is lost: " + escape(err.Error())
}

func explainClose(closed *websocket.CloseError) string {
	text := ""
	switch closed.Code {
	case websocket.CloseAbnormalClosure:
		// The server did not send this code: gorilla uses it for an end without a close frame.
		return "the server is gone: it ended the connection without a close"
	case websocket.CloseGoingAway:
		text = "the server is stopping"
	case websocket.CloseMessageTooBig:
		text = "the server refused a message as too large"
	case websocket.CloseTryAgainLater:
		text = "the server closed the connection because this client was too slow"
	default:
		text = fmt.Sprintf("the server closed the connection with code %d", closed.Code)
	}
	if closed.Text != "" && closed.Text != text {
		text += " (" + escape(closed.Text) + ")"
	}
	return text
}

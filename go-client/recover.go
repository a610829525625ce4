package main

import "time"

// maxRetry bounds the wait that a server asks for before the client connects again.
const maxRetry = 10 * time.Minute

// reasons explain why a server could not recover a room.
var reasons = map[string]string{
	"epoch":      "the room began anew",
	"trimmed":    "the room no longer keeps what was said first",
	"ahead":      "the server lost the room's last messages",
	"no_history": "the room has no history",
	"invalid":    "the server could not read the position",
}

// enter handles the entry into a room: what follows is a replay, until "live".
func (s *session) enter(o *object) {
	r := &s.recovery
	r.moved = time.Now()
	last, visited := r.positions.of(o.Room)
	// Where the client stands may also say that it continues.
	continues := last != "" && last == o.Position
	isRecovered := o.Recovered != nil && *o.Recovered
	if visited && !continues && !isRecovered || o.Recovered != nil && !isRecovered {
		s.say("messages of the room %s may be missing from here: %s", excerpt(o.Room), whyNot(o))
	}
	if !r.positions.enter(o.Room, o.Position) {
		s.say("this client recovers at most %d rooms: not %s", maxRooms, excerpt(o.Room))
		return
	}
	r.entered[o.Room] = false
	s.ready = false
}

// live handles the end of a replay: lines may be sent, and those of earlier connections are settled.
func (s *session) live(o *object) {
	s.recovery.moved = time.Now()
	if _, entered := s.recovery.entered[o.Room]; entered {
		s.recovery.entered[o.Room] = true
	}
	s.ready = s.recovery.isReady()
	// A client that is not in home has no replay of it to wait for, unless it was there before.
	if o.Room == s.recovery.positions.home || s.recovery.isBack() {
		s.settle()
	}
}

// whyNot explains why the client's position in a room was of no use.
func whyNot(o *object) string {
	reason := o.Reason
	if reason == "" && o.Position == "" {
		reason = "no_history"
	}
	explained, ok := reasons[reason]
	switch {
	case ok && o.Reason != "":
		return explained + " (" + reason + ")"
	case ok:
		return explained
	case reason != "":
		return escape(reason)
	}
	return "the server did not continue from the last message"
}

// returning fires when the search for the lines of earlier connections has no end in sight: the host has put
// this client into no further room for timing.returning.
func (s *session) returning() <-chan time.Time {
	r := &s.recovery
	if s.conn == nil || !s.conn.json || r.isLoading() || !r.answers.hasOthers(r.self()) {
		return nil
	}
	return time.After(time.Until(r.moved.Add(s.timing.returning)))
}

// settle ends the search for the lines of earlier connections. A line that the replay did not have may
// still arrive later: the server may not have read it yet. To send it again could double it.
func (s *session) settle() { s.reportUnanswered(s.recovery.self()) }

// reportUnanswered reports the lines without an answer, but for those of one connection.
func (s *session) reportUnanswered(except string) {
	if lines := s.recovery.answers.takeOthers(except); len(lines) > 0 {
		s.refuse("%s may not have been delivered and will not be sent again, from %s on",
			count(len(lines), "line"), excerpt(lines[0].text))
	}
}

// takeDropped handles a gap that the server has left because this client was too slow. The history may
// still have what is missing: a new connection gets it, in its place in the order.
func (s *session) takeDropped(o *object) {
	messages := count(o.Count, "message")
	if o.Room == "" {
		s.say("%s missing here, sent to all clients or to this one: this client was too slow", isMissing(o.Count))
		return
	}
	if o.After == "" || !s.opts.reconnect || s.leaving || s.deadline != nil || s.inputEnded && !s.piped {
		s.say("%s missing here in the room %s: this client was too slow", isMissing(o.Count), excerpt(o.Room))
		return
	}
	s.recovery.positions.store(o.Room, o.After)
	s.say("the server left out %s of the room %s, because this client was too slow", messages, excerpt(o.Room))
	settled := time.Since(s.connected) >= s.timing.settled
	s.drop()
	if settled {
		s.backoff.reset()
	}
	s.scheduleDial(0)
}

func isMissing(n int) string {
	if n == 1 {
		return "1 message is"
	}
	return count(n, "message") + " are"
}

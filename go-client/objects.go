package main

import (
	"slices"
	"time"
)

// maxOwn bounds the client ids that are remembered as this client's.
const maxOwn = 1000

// recovery is what the session knows of the JSON form.
type recovery struct {
	positions positions
	answers   answers
	own       []string        // client ids of this session's connections, the last one last
	moved     time.Time       // when the present connection began, or last entered a room or ended a replay
	entered   map[string]bool // rooms of this connection: whether the replay is over
	closing   *object         // the server's announcement that it closes the present connection
	spoken    bool            // whether a connection was in the JSON form
	warned    bool            // the user knows that the plain form recovers nothing
}

// begin resets what concerns one connection.
func (r *recovery) begin() {
	r.moved = time.Now()
	r.entered = map[string]bool{}
	r.spoken, r.warned = true, false
}

// self returns the client id of the present connection.
func (r *recovery) self() string {
	if len(r.own) == 0 {
		return ""
	}
	return r.own[len(r.own)-1]
}

// isReady returns whether the client is in a room, and the replay of all its rooms is over.
func (r *recovery) isReady() bool {
	for _, live := range r.entered {
		if !live {
			return false
		}
	}
	return len(r.entered) > 0
}

// isLoading returns whether the replay of a room goes on.
func (r *recovery) isLoading() bool { return len(r.entered) > 0 && !r.isReady() }

// isBack returns whether the client is again in every room whose position it keeps, and no replay goes on.
func (r *recovery) isBack() bool {
	isAway := func(p roomPosition) bool {
		_, entered := r.entered[p.room]
		return !entered
	}
	return r.isReady() && !slices.ContainsFunc(r.positions.rooms, isAway)
}

// target returns the room to name in a line, which only a client in several rooms must do. Without a name
// the server takes the room that the client entered first.
func (r *recovery) target() string {
	if _, entered := r.entered[r.positions.home]; !entered || len(r.entered) < 2 {
		return ""
	}
	return r.positions.home
}

// takeObject handles an object of the JSON form.
func (s *session) takeObject(o *object) {
	switch o.Type {
	case "welcome":
		s.recovery.own = append(s.recovery.own, o.Client)
		s.recovery.moved = time.Now()
		s.recovery.own = s.recovery.own[max(0, len(s.recovery.own)-maxOwn):]
	case "entered":
		s.enter(o)
	case "live":
		s.live(o)
	case "message", "broadcast", "direct":
		s.takeMessage(o)
	case "sent":
		s.storePosition(o)
		if _, awaited := s.recovery.answers.answered(o.ID); awaited {
			s.advance()
		}
	case "refused":
		s.takeRefusal(o)
	case "dropped":
		s.takeDropped(o)
	case "removed":
		delete(s.recovery.entered, o.Room)
		s.recovery.positions.forget(o.Room)
		s.ready = s.recovery.isReady()
		s.say("the server has taken this client out of the room %s", excerpt(o.Room))
	case "closing":
		s.recovery.closing = o
	}
}

// takeMessage prints a message, and then stores its position.
func (s *session) takeMessage(o *object) {
	own := o.Client != "" && slices.Contains(s.recovery.own, o.Client)
	text, isText := o.payload()
	if own && isText && s.recovery.answers.seen(o.Client, text) {
		s.advance()
	}
	// A replay has this client's messages too, whatever the echo is.
	if !own || s.opts.echo() {
		s.print(o, text, isText, own)
	}
	s.storePosition(o)
}

// print shows a message: on a terminal with its sender and, in several rooms, its room.
func (s *session) print(o *object, text string, isText, own bool) {
	if !isText {
		text = describeBinary(len(text))
	}
	if s.screen.escapes {
		text = attributed(o, text, own)
		if o.Room != "" && len(s.recovery.entered) > 1 {
			text = nameText(o.Room) + ": " + text
		}
	}
	s.show(s.screen.message(text))
}

// storePosition stores the position of an object whose room the client is in.
func (s *session) storePosition(o *object) {
	if o.Room != "" && o.Position != "" {
		s.recovery.positions.store(o.Room, o.Position)
	}
}

// takeRefusal reports a line that the server stored nowhere.
func (s *session) takeRefusal(o *object) {
	why := escape(o.code())
	if o.Reason != "" {
		why += ": " + escape(o.Reason)
	}
	if text, awaited := s.recovery.answers.answered(o.ID); awaited {
		s.advance()
		s.refuse("the server refused %s (%s)", excerpt(text), why)
		return
	}
	s.refuse("the server refused a line (%s)", why)
}

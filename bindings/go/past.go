package chat

// #include "libchat_cgo.h"
import "C"

import "math"

// Past is how much of a room's past a client may have when it enters the room: a number of messages,
// the last ones that the room keeps (Options.HistoryMessages). The zero value is PastNone.
//
// The client receives the past first, and then what is published after it has entered. A plain client
// receives it as messages like all others. A client of the JSON form is also told where the past begins
// ("entered") and that it is over ("live"), and if it came back with a position, whether it recovers
// ("recovered") or why not ("reason": "trimmed" if it lacks more than it may have or the room keeps).
// Such a client may also ask for earlier messages ("history"), and gets none that it may not have.
type Past int

const (
	PastNone Past = 0           // Nothing: the client receives what is published after it has entered.
	PastAll  Past = math.MaxInt // All that the room keeps.
)

// count returns the number of messages for C.
func (p Past) count() (C.uint64_t, error) {
	switch {
	case p < 0:
		return 0, invalid("past: %d messages are no past; pass a number from 0, PastNone or PastAll", int(p))
	case p == PastAll:
		return C.CHAT_PAST_ALL, nil
	default:
		return C.uint64_t(p), nil
	}
}

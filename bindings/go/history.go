package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_history
#cgo nocallback chat_server_history
#cgo noescape chat_server_trim
#cgo nocallback chat_server_trim
#cgo noescape chat_server_forget
#cgo nocallback chat_server_forget
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Range says which messages of those that a room keeps. The zero value is RangeLast.
type Range struct {
	kind     uint32
	position Position
}

var (
	// RangeLast is the last messages.
	RangeLast = Range{kind: C.CHAT_RANGE_LAST}
)

// RangeAfter is the first messages after a position: what a client that has everything up to there
// lacks. With no position it is the oldest messages that are kept.
func RangeAfter(position Position) Range { return Range{C.CHAT_RANGE_AFTER, position} }

// RangeBefore is the last messages before a position, without the message at the position.
func RangeBefore(position Position) Range { return Range{C.CHAT_RANGE_BEFORE, position} }

// Gap says why a page does not begin right after the position of RangeAfter, or, with RangeBefore, why
// the position is none of the room's. A client that comes back with the position is told the same.
type Gap uint32

const (
	GapNone      Gap = C.CHAT_GAP_NONE       // There is no gap.
	GapEpoch     Gap = C.CHAT_GAP_EPOCH      // The position is of another history: of another room, or of one that was forgotten.
	GapTrimmed   Gap = C.CHAT_GAP_TRIMMED    // What comes next is not kept any more.
	GapAhead     Gap = C.CHAT_GAP_AHEAD      // The room has not come that far.
	GapNoHistory Gap = C.CHAT_GAP_NO_HISTORY // Rooms have no history.
)

// String returns the gap as clients are told it: "trimmed", for example; "none" for GapNone.
func (g Gap) String() string {
	names := [...]string{"none", "epoch", "trimmed", "ahead", "no_history"}
	if int(g) < len(names) {
		return names[g]
	}
	return fmt.Sprintf("gap %d", uint32(g))
}

// HistoryPage is a part of what a room keeps.
type HistoryPage struct {
	Messages []StoredMessage // The oldest first. Their offsets are consecutive.
	HasMore  bool            // Whether the room keeps more in the direction of the range: later ones with RangeAfter, else earlier ones.
	Position Position        // Where the room stood when the page was read: the position of its last message, in the page or not.
	Gap      Gap             // After a gap a page of RangeAfter begins with the oldest message that the room keeps.
}

// StoredMessage is a message that a room keeps, and who published it.
type StoredMessage struct {
	Position      Position  // Where it is in the room's history.
	Client        ClientID  // The client that published it, which may have left; 0 for the host.
	Identity      string    // What the host called its publisher then. Clients are not told.
	Name          string    // The name that clients of the JSON form see with it.
	IsNameClaimed bool      // Whether the client itself said that this is its name.
	Key           string    // Its key; empty if its publisher gave it none.
	Time          time.Time // When it was published, by the system's clock, to the millisecond. For display: the clock may have been set back.
	Kind          Kind
	Data          []byte
}

// History reads a part of what a room keeps, up to `limit` messages, the oldest first: who said what,
// and when. All is as it was at one moment, also HistoryPage.Position, from which a client or a later page
// goes on without a gap.
//
// To read all that a room keeps, begin with RangeAfter(Position{}), and go on after the last message while
// HasMore; or begin with RangeLast and go on before the first. A page has at most what the room keeps
// (Options.HistoryMessages and what follows it), and at most 10,000 messages, and 16 MiB of payloads or one
// message. A room that does not exist keeps nothing.
//
// The errors are ErrInvalidArgument for a name that no room can have and for a negative limit,
// ErrInvalidUTF8 and ErrStopped.
func (s *Server) History(room string, r Range, limit int) (HistoryPage, error) {
	if limit < 0 {
		return HistoryPage{}, invalid("limit: %d messages are no limit; pass a number from 0", limit)
	}
	position := C.chat_position{C.uint64_t(r.position.Epoch), C.uint64_t(r.position.Offset)}
	var page *C.chat_history
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_history(server, chars(room), C.size_t(len(room)), C.uint32_t(r.kind), &position,
			C.size_t(limit), &page)
	})
	if err != nil {
		return HistoryPage{}, err
	}
	defer C.chat_history_free(page)
	return copyPage(page), nil
}

// copyPage copies a page of C.
func copyPage(page *C.chat_history) HistoryPage {
	var position C.chat_position
	C.chat_history_position(page, &position)
	copied := HistoryPage{
		Messages: make([]StoredMessage, int(C.chat_history_len(page))),
		HasMore:  C.chat_history_has_more(page) != 0,
		Position: positionOf(position),
		Gap:      Gap(C.chat_history_gap(page)),
	}
	for i := range copied.Messages {
		message := C.chat_history_get(page, C.size_t(i))
		copied.Messages[i] = StoredMessage{
			Position:      positionOf(message.position),
			Client:        ClientID(message.client),
			Identity:      text(message.identity, message.identity_len),
			Name:          text(message.name, message.name_len),
			IsNameClaimed: message.is_name_claimed != 0,
			Key:           text(message.key, message.key_len),
			Time:          time.UnixMilli(int64(message.time)),
			Kind:          Kind(message.kind),
			Data:          append([]byte{}, unsafe.Slice((*byte)(message.data), int(message.data_len))...),
		}
	}
	return copied
}

// Trim drops the messages of a room up to a position, that of the position included. They are not
// replayed any more, nor in pages, and count no more in Options.HistoryTotal. With the room's own position
// (Server.Position) the room keeps nothing.
//
// Positions stay as they are. A client that comes back with an earlier one is told "trimmed", and gets
// what the room keeps; one that comes back with `upTo` or a later one gets what it lacks. A replay that is
// under way goes on as it began. Nothing happens if the messages are gone already, or there is no such room.
//
// The errors are ErrInvalidArgument for a name that no room can have, and for a position that is none, is of
// another history, or that the room has not reached; ErrInvalidUTF8 and ErrStopped.
func (s *Server) Trim(room string, upTo Position) error {
	position := C.chat_position{C.uint64_t(upTo.Epoch), C.uint64_t(upTo.Offset)}
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_trim(server, chars(room), C.size_t(len(room)), &position)
	})
}

// Forget drops all that a room keeps, and begins a new history: from here on its positions have another
// epoch, so that no earlier position leads anywhere. A client that comes back with one is told "epoch", and
// gets what the room keeps by then.
//
// Clients that are in the room stay, and receive what is published to it. Those of the JSON form are told,
// behind the last message of the old history, that they are in another one: "entered" with the new position,
// "recovered":false and the reason "epoch"; clients of events get the event "gap". Plain clients are told
// nothing. A replay that is under way goes on as it began, and comes before that. To drop messages and leave
// positions as they are, use Trim.
//
// Offsets go on, so that two messages of a room never have the same. A room without clients is forgotten, also
// where it stood. A message with a key that is still known stays a duplicate of the earlier one. Without history
// nothing happens. The errors are ErrInvalidArgument for a name that no room can have, ErrInvalidUTF8,
// ErrQueueFull as of Publish, when nothing has changed, and ErrStopped.
func (s *Server) Forget(room string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_forget(server, chars(room), C.size_t(len(room)))
	})
}

package chat

// #include "libchat_cgo.h"
import "C"

import (
	"strconv"
	"strings"
)

// Position is the place of a message in a room's history: which history, and which message of it.
//
// A room with history has a random epoch of its own, which no other room has. It keeps the epoch
// while it exists, and when it comes again after it was forgotten, unless that was too long ago. Two
// positions of one epoch are of one room, and the larger offset is the later message.
//
// The zero value is no position: of what is published to a room without history, and of the message
// of a client in no room.
type Position struct {
	Epoch  uint64 // Which history; 0 if there is no position.
	Offset uint64 // Which message of it: 1 for the first that the room has stored, 0 for the place before it.
}

// IsZero reports whether there is no position.
func (p Position) IsZero() bool { return p == Position{} }

// String returns the position as EPOCH-OFFSET: the epoch in lower-case base 36, the offset in decimal,
// such as "1kx9w4c-42".
func (p Position) String() string {
	text := strconv.AppendUint(make([]byte, 0, C.CHAT_POSITION_SIZE), p.Epoch, 36)
	return string(strconv.AppendUint(append(text, '-'), p.Offset, 10))
}

// ParsePosition returns the position that has a text, as String has written it. The error is
// ErrInvalidArgument.
func ParsePosition(text string) (Position, error) {
	epoch, offset, _ := strings.Cut(text, "-")
	var p Position
	var epochErr, offsetErr error
	p.Epoch, epochErr = strconv.ParseUint(epoch, 36, 64)
	p.Offset, offsetErr = strconv.ParseUint(offset, 10, 64)
	// Each position has one text.
	if epochErr != nil || offsetErr != nil || p.String() != text {
		return Position{}, invalid("text: %.200q is not a position; pass what Position.String returned, such as 1kx9w4c-42", text)
	}
	return p, nil
}

func positionOf(p C.chat_position) Position {
	return Position{Epoch: uint64(p.epoch), Offset: uint64(p.offset)}
}

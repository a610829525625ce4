package chat

/*
#include "libchat_cgo.h"
#include <stdlib.h>

// What a message is published with, beside its payload: Go must not pass memory that points to other memory of Go.
#define OPTIONS                                                                                \
	const char *identity, size_t identity_len, const char *name, size_t name_len, const char *key, \
		size_t key_len, uint32_t without_history

static inline chat_publish_options options(OPTIONS) {
	chat_publish_options options = {.size = sizeof options, .without_history = without_history};
	if (identity_len > 0) options.identity = identity, options.identity_len = identity_len;
	if (name_len > 0) options.name = name, options.name_len = name_len;
	if (key_len > 0) options.key = key, options.key_len = key_len;
	return options;
}

static chat_status publish_with(chat_server *server, const char *room, size_t room_len, uint32_t kind,
		const uint8_t *data, size_t data_len, OPTIONS, chat_position *position, uint32_t *is_duplicate, uintptr_t *why) {
	chat_publish_options with = options(identity, identity_len, name, name_len, key, key_len, without_history);
	return chat_go_keep(chat_server_publish_with(server, room, room_len, kind, data, data_len, &with, position,
		is_duplicate), why);
}

// Publishes to rooms whose names lie one behind the other in bytes.
static chat_status publish_to(chat_server *server, const char *names, const size_t *lengths, size_t count, uint32_t kind,
		const uint8_t *data, size_t data_len, OPTIONS, size_t *published, chat_position *positions, uint32_t *duplicates,
		uintptr_t *why) {
	chat_publish_options with = options(identity, identity_len, name, name_len, key, key_len, without_history);
	chat_room_name few[64];
	chat_room_name *rooms = count <= 64 ? few : calloc(count, sizeof *rooms);
	if (rooms == NULL) return CHAT_ERR_RESOURCE_LIMIT;
	for (size_t i = 0; i < count; i++) {
		rooms[i] = (chat_room_name){names, lengths[i]};
		names += lengths[i];
	}
	chat_status status = chat_go_keep(chat_server_publish_to(server, rooms, count, kind, data, data_len, &with,
		published, positions, duplicates), why);
	if (rooms != few) free(rooms);
	return status;
}

#cgo noescape publish_with
#cgo nocallback publish_with
#cgo noescape publish_to
#cgo nocallback publish_to
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// PublishOptions say how a message is published, for PublishWith and PublishTo. The zero value is what
// Publish does.
type PublishOptions struct {
	// Identity says on whose behalf the message is published: what the host calls a client (SetIdentity),
	// at most 256 bytes. Empty means the host itself. Clients do not see it. It is kept with the message,
	// and the key is one of its keys.
	Identity string
	// Name is the name under which clients of the JSON form see the message: at most 128 bytes without
	// control characters. Empty means none. Such a message has no "client".
	Name string
	// Key is a name of the message that the host chooses, so that the message is published once however
	// often the host tries: at most 64 bytes without control characters. Empty means none. Clients of the
	// JSON form see it.
	//
	// It is known for five minutes after the message was published, within its room and the identity,
	// which shares the keys of clients with that identity; without an identity it is the host's own. A
	// server knows the last 100,000 keys: Stats.KeysEvicted counts those that it has forgotten earlier.
	Key string
	// WithoutHistory says that the room's history does not get the message. It is delivered in the room's
	// order to the clients that are in the room now, has no position, and nobody recovers it.
	WithoutHistory bool
}

// Published tells where a message of the host is.
type Published struct {
	// Position is its place in the room's history: no position if rooms have none, or the message was
	// published without.
	Position Position
	// IsDuplicate tells whether the key was known: the message was published before, at this position, and
	// not again.
	IsDuplicate bool
}

// PublishWith publishes a message to a room, as Publish does, and as the options say: under a name, on
// behalf of an identity, without history, or with a key. With a key that is known nothing is published,
// and there is no error: so a host that does not know whether a call had an effect makes it again.
//
// A client's message with the same identity and key that waits for review does not hold this call up:
// the host's message is published, and the client's becomes the duplicate.
//
// The errors are those of Publish, ErrInvalidArgument for a key or a name that breaks the rules,
// ErrTooLarge for an identity that does, and ErrKeyReused if the key was used for another message. With
// each of them nothing was published.
func (s *Server) PublishWith(room string, kind Kind, data []byte, options PublishOptions) (Published, error) {
	if !s.handle.begin() {
		return Published{}, ErrStopped
	}
	var position C.chat_position
	var isDuplicate C.uint32_t
	var why C.uintptr_t
	status := C.publish_with(s.handle.server, chars(room), C.size_t(len(room)), C.uint32_t(kind), payload(data),
		C.size_t(len(data)), chars(options.Identity), C.size_t(len(options.Identity)), chars(options.Name),
		C.size_t(len(options.Name)), chars(options.Key), C.size_t(len(options.Key)), flag(options.WithoutHistory),
		&position, &isDuplicate, &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return Published{Position: positionOf(position), IsDuplicate: isDuplicate != 0}, keptError(status, why)
}

// PublishTo publishes one message to several rooms, one after the other, as PublishWith does to each. The
// payload is kept once for all of them. It returns where the message is in the rooms that it was
// published to, from the first on: in all if there is no error.
//
// The errors are those of PublishWith. With ErrQueueFull, after Options.PublishTimeout for all rooms
// together, ErrKeyReused and ErrStopped the message may have been published to some rooms, with each of
// the others to none. With a key the host can make the same call again.
func (s *Server) PublishTo(rooms []string, kind Kind, data []byte, options PublishOptions) ([]Published, error) {
	if !s.handle.begin() {
		return nil, ErrStopped
	}
	var names []byte
	lengths := make([]C.size_t, len(rooms))
	for i, room := range rooms {
		// C refuses a name that is too long by its length, without reading it.
		lengths[i] = C.size_t(min(len(room), 1<<16))
		names = append(names, room[:lengths[i]]...)
	}
	positions, duplicates := make([]C.chat_position, len(rooms)), make([]C.uint32_t, len(rooms))
	var count C.size_t
	var why C.uintptr_t
	status := C.publish_to(s.handle.server, (*C.char)(unsafe.Pointer(unsafe.SliceData(names))),
		unsafe.SliceData(lengths), C.size_t(len(rooms)), C.uint32_t(kind), payload(data), C.size_t(len(data)),
		chars(options.Identity), C.size_t(len(options.Identity)), chars(options.Name), C.size_t(len(options.Name)),
		chars(options.Key), C.size_t(len(options.Key)), flag(options.WithoutHistory), &count,
		unsafe.SliceData(positions), unsafe.SliceData(duplicates), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	published := make([]Published, count)
	for i := range published {
		published[i] = Published{Position: positionOf(positions[i]), IsDuplicate: duplicates[i] != 0}
	}
	return published, keptError(status, why)
}

// RefuseWith refuses a message as Refuse does, and tells a sender of the JSON form why: the object
// "refused" has the text, for people to read. It has at most 256 bytes; an empty one is as none. The
// errors are those of Allow, and ErrInvalidUTF8 and ErrTooLarge: after these two the message still waits
// for a decision.
func (s *Server) RefuseWith(decision DecisionID, reason string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_refuse_with(server, C.chat_decision_id(decision), chars(reason), C.size_t(len(reason)))
	})
}

package chat

/*
#include "libchat_cgo.h"
#include <stdlib.h>

// A message without pointers: Go must not pass memory that points to other memory of Go.
struct packed {
	uint32_t room_len, kind;
	size_t data_len;
};

// Publishes messages whose rooms and payloads lie one behind the other in bytes.
static chat_status publish_packed(chat_server *server, const struct packed *packed, size_t count,
		const uint8_t *bytes, size_t *published, chat_position *positions, uintptr_t *why) {
	chat_message few[64];
	chat_message *messages = count <= 64 ? few : calloc(count, sizeof *messages);
	if (messages == NULL) return CHAT_ERR_RESOURCE_LIMIT;
	for (size_t i = 0; i < count; i++) {
		const char *room = (const char *)bytes;
		const uint8_t *data = bytes + packed[i].room_len;
		messages[i] = (chat_message){room, packed[i].room_len, data, packed[i].data_len, packed[i].kind};
		bytes = data + packed[i].data_len;
	}
	chat_status status = chat_server_publish_batch(server, messages, sizeof *messages, count, published,
		positions);
	if (messages != few) free(messages);
	return chat_go_keep(status, why);
}

#cgo noescape publish_packed
#cgo nocallback publish_packed
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Message is one message of a batch, and the room that it is published to.
type Message struct {
	Room string
	Kind Kind
	Data []byte
}

// packing holds a batch in the form in which C gets it.
type packing struct {
	heads []C.struct_packed
	bytes []byte
}

// maxKept is the most bytes of a packing that is kept for the next batch.
const maxKept = 1 << 20

// packings are kept for the next batches. Beyond this number they are left to the garbage
// collector.
var packings = make(chan *packing, 16)

func takePacking() *packing {
	select {
	case packing := <-packings:
		return packing
	default:
		return new(packing)
	}
}

func (p *packing) giveBack() {
	if cap(p.bytes) > maxKept || cap(p.heads) > maxKept/16 {
		return
	}
	select {
	case packings <- p:
	default:
	}
}

func (p *packing) pack(batch []Message) {
	p.heads, p.bytes = p.heads[:0], p.bytes[:0]
	for i := range batch {
		message := &batch[i]
		p.heads = append(p.heads, C.struct_packed{
			room_len: C.uint32_t(min(len(message.Room), 1<<16)),
			kind:     C.uint32_t(message.Kind),
			data_len: C.size_t(len(message.Data)),
		})
		// C refuses a name that is too long by its length, without reading it.
		p.bytes = append(p.bytes, message.Room[:min(len(message.Room), 1<<16)]...)
		p.bytes = append(p.bytes, message.Data...)
	}
}

// PublishBatch publishes messages in their order, each as Publish does, and returns the positions of
// those that were published, from the first on: of all if there is no error. It costs less than as
// many calls, above all if messages to the same room follow each other: up to 256 of these get
// consecutive offsets, and no message of another publisher comes between them. The data is copied.
//
// The errors are ErrInvalidArgument for a name that no room can have or an unknown kind,
// ErrInvalidUTF8 and ErrTooLarge for any of the messages, and ErrResourceLimit if there is no
// memory for the batch: with these, no message was published. ErrQueueFull, after
// Options.PublishTimeout, and ErrStopped can come after some messages were published.
func (s *Server) PublishBatch(batch []Message) ([]Position, error) {
	if !s.handle.begin() {
		return nil, ErrStopped
	}
	packing := takePacking()
	packing.pack(batch)
	var published C.size_t
	var why C.uintptr_t
	positions := make([]Position, len(batch))
	status := C.publish_packed(s.handle.server, unsafe.SliceData(packing.heads), C.size_t(len(batch)),
		payload(packing.bytes), &published, (*C.chat_position)(unsafe.Pointer(unsafe.SliceData(positions))), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	packing.giveBack()
	return positions[:published], keptError(status, why)
}

package chat

/*
#include "libchat_cgo.h"

// Returns many events with one call from Go.
static size_t chat_go_events(const chat_events *events, size_t from, const chat_event **out, size_t cap) {
  size_t count = 0;
  const chat_event *event;
  while (count < cap && (event = chat_events_get(events, from + count)) != NULL) {
    out[count++] = event;
  }
  return count;
}
*/
import "C"

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"unsafe"
)

// queue passes events from C to the loops over Server.Events. A goroutine waits in C, without a
// time limit. A loop can therefore stop waiting at once, and no event that arrives meanwhile is
// lost.
//
// Only this goroutine adds events. It fetches more when all are taken: events keep their order,
// however many loops take them, and C bounds those that nobody takes.
type queue struct {
	more     chan struct{} // Holds a token while an event is left or the end has come: wakes one loop.
	empty    chan struct{} // Holds a token when the last event was taken: wakes the goroutine.
	finished chan struct{} // Closed when the server has stopped, and all events must be fetched from C.

	mu   sync.Mutex
	rest []Event // Events that were fetched and not yet taken.
	end  error   // Why no event follows; nil before the end.
}

func newQueue() *queue {
	return &queue{
		more:     make(chan struct{}, 1),
		empty:    make(chan struct{}, 1),
		finished: make(chan struct{}),
	}
}

// pull fetches events until the last one. It runs on its own goroutine, as one call of the handle:
// the server in C is not freed before it ends.
func (q *queue) pull(h *handle) {
	defer h.end()
	for {
		batch, err := h.nextEvents()
		q.keep(batch, err)
		if err != nil {
			return // The last event was fetched.
		}
		if len(batch) == 0 {
			continue // All were events of a later version: there is nothing to take.
		}
		select {
		case <-q.empty:
		case <-q.finished:
			// Do not wait for a loop: the events are in Go's memory, and C can be freed.
		}
	}
}

func (q *queue) keep(batch []Event, end error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rest = append(q.rest, batch...)
	q.end = end
	put(q.more)
}

// next waits for an event. Its errors are that of the context, and ErrStopped after the last event.
func (q *queue) next(ctx context.Context) (Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			put(q.more) // This loop may have taken the token: pass it to another loop.
			return nil, err
		}
		if event, err := q.take(); event != nil || err != nil {
			return event, err
		}
		select {
		case <-q.more:
		case <-ctx.Done():
		}
	}
}

// take returns nil and nil if no event waits.
func (q *queue) take() (Event, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rest) == 0 {
		if q.end != nil {
			put(q.more) // The end is for all loops.
		}
		return nil, q.end
	}
	event := q.rest[0]
	q.rest[0] = nil
	q.rest = q.rest[1:]
	if len(q.rest) == 0 {
		q.rest = nil
		put(q.empty)
	}
	if q.rest != nil || q.end != nil {
		put(q.more) // This loop is busy with its event: another loop may take the next.
	}
	return event, nil
}

// put puts a token into a channel, unless it already holds one.
func put(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// nextEvents waits for a batch and copies it. It must be inside a call of the handle.
func (h *handle) nextEvents() ([]Event, error) {
	var events *C.chat_events
	err := told(func() C.chat_status {
		return C.chat_server_next_events(h.server, C.CHAT_WAIT_FOREVER, &events)
	})
	if err != nil {
		return nil, err
	}
	defer C.chat_events_free(events)
	batch := make([]Event, 0, int(C.chat_events_len(events)))
	var chunk [64]*C.chat_event
	for from := 0; ; {
		count := int(C.chat_go_events(events, C.size_t(from), &chunk[0], C.size_t(len(chunk))))
		for _, event := range chunk[:count] {
			if event := copyEvent(event); event != nil {
				batch = append(batch, event)
			}
		}
		if from += count; count < len(chunk) {
			return batch, nil
		}
	}
}

// copyEvent copies an event from C to Go. It returns nil for an event of a later version.
func copyEvent(e *C.chat_event) Event {
	client := ClientID(e.client)
	switch e._type {
	case C.CHAT_EVENT_CONNECT_REQUEST:
		return EventConnectRequest{
			Client:  client,
			Room:    text(e.room, e.room_len),
			Form:    Form(e.form),
			Request: request(e),
		}
	case C.CHAT_EVENT_CONNECTED:
		return EventConnected{
			Client:   client,
			Identity: text(e.identity, e.identity_len),
			Room:     text(e.room, e.room_len),
			Form:     Form(e.form),
			Request:  request(e),
		}
	case C.CHAT_EVENT_JOINED:
		return EventJoined{client, text(e.identity, e.identity_len), text(e.room, e.room_len)}
	case C.CHAT_EVENT_LEFT:
		return EventLeft{client, text(e.identity, e.identity_len), text(e.room, e.room_len)}
	case C.CHAT_EVENT_MESSAGE_REQUEST:
		return EventMessageRequest{
			Client:   client,
			Identity: text(e.identity, e.identity_len),
			Room:     text(e.room, e.room_len),
			Decision: DecisionID(e.decision),
			Kind:     Kind(e.kind),
			Data:     bytes.Clone(unsafe.Slice((*byte)(e.data), int(e.data_len))),
		}
	case C.CHAT_EVENT_MESSAGE:
		return EventMessage{
			Client:   client,
			Identity: text(e.identity, e.identity_len),
			Room:     text(e.room, e.room_len),
			Position: positionOf(e.position),
			Kind:     Kind(e.kind),
			Data:     bytes.Clone(unsafe.Slice((*byte)(e.data), int(e.data_len))),
		}
	case C.CHAT_EVENT_SIGNAL:
		return EventSignal{
			Client:   client,
			Identity: text(e.identity, e.identity_len),
			Room:     text(e.room, e.room_len),
			Kind:     Kind(e.kind),
			Data:     bytes.Clone(unsafe.Slice((*byte)(e.data), int(e.data_len))),
		}
	case C.CHAT_EVENT_MEMBER_ENTERED:
		return EventMemberEntered{client, text(e.identity, e.identity_len), text(e.room, e.room_len)}
	case C.CHAT_EVENT_MEMBER_LEFT:
		return EventMemberLeft{client, text(e.identity, e.identity_len), text(e.room, e.room_len)}
	case C.CHAT_EVENT_ROOM_OCCUPIED:
		return EventRoomOccupied{Room: text(e.room, e.room_len)}
	case C.CHAT_EVENT_ROOM_VACATED:
		return EventRoomVacated{Room: text(e.room, e.room_len)}
	case C.CHAT_EVENT_MESSAGES_DROPPED:
		return EventMessagesDropped{Client: client, Count: uint64(e.count)}
	case C.CHAT_EVENT_DISCONNECTED:
		return EventDisconnected{
			Client:   client,
			Identity: text(e.identity, e.identity_len),
			Code:     uint16(e.code),
			Reason:   text(e.reason, e.reason_len),
		}
	case C.CHAT_EVENT_ACCEPT_FAILED:
		return EventAcceptFailed{
			Addr:   addrPort(text(e.addr, e.addr_len)),
			Reason: text(e.reason, e.reason_len),
		}
	case C.CHAT_EVENT_EVENTS_DROPPED:
		return EventEventsDropped{Count: uint64(e.count)}
	case C.CHAT_EVENT_STOPPED:
		return EventStopped{}
	}
	return nil
}

func request(e *C.chat_event) Request {
	return Request{
		Addr:   addrPort(text(e.addr, e.addr_len)),
		Path:   text(e.path, e.path_len),
		Query:  text(e.query, e.query_len),
		Header: headers(e),
	}
}

func headers(e *C.chat_event) []Header {
	headers := make([]Header, 0, int(e.header_count))
	var name, value *C.char
	var nameLen, valueLen C.size_t
	for i := range e.header_count {
		C.chat_event_header_at(e, i, &name, &nameLen, &value, &valueLen)
		headers = append(headers, Header{Name: text(name, nameLen), Value: text(value, valueLen)})
	}
	return headers
}

func text(data *C.char, length C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(length)))
}

// addrPort reads an address that libchat wrote.
func addrPort(text string) netip.AddrPort {
	addr, _ := netip.ParseAddrPort(text)
	return addr
}

package chat

/*
#include "libchat_cgo.h"

// chat_server_stats keeps no pointer and does not call back, so its arguments need not be on the heap.
#cgo noescape chat_server_stats
#cgo nocallback chat_server_stats
*/
import "C"

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// handle is the server in C, and the calls that are running on it. The last call to return after
// the stop frees the server: no call waits for another one, and none uses a server that is freed.
//
// It does not refer to the Server that a program holds, so that the garbage collector finds a
// Server that the program has forgotten.
type handle struct {
	server *C.chat_server
	calls  atomic.Int64 // How many calls are running, and the bits below.
	queue  *queue       // nil if no events are collected.
	logs   *logs        // nil if nothing is logged.

	finishing sync.Once
	final     Stats // The result of Stats once no call may begin. Written before `finished` is set.
	outcome   error // The result of Wait then.

	waiting sync.Once
	ended   chan struct{} // Closed when the server has ended, if a Wait has begun before.
	how     error         // The result of that Wait. Written before `ended` is closed.
}

const (
	finished = 1 << 62 // No call may begin any more.
	freed    = 1 << 61 // The server is freed.
)

// begin announces a call. If it returns false, the call must not be made; otherwise end must
// follow.
func (h *handle) begin() bool {
	if h.calls.Add(1) < freed {
		return true
	}
	h.end()
	return false
}

// end says that a call has returned. The last one after finish frees the server.
func (h *handle) end() {
	// The swap succeeds once: calls that failed to begin also end here, later.
	if h.calls.Add(-1) == finished && h.calls.CompareAndSwap(finished, finished|freed) {
		C.chat_server_free(h.server)
		h.server = nil // C may reuse the memory: keep no pointer to it.
	}
}

// stop stops the server: within `drain`, or at once when the context is done. Afterwards C frees
// it. A server that has stopped before is no error.
func (h *handle) stop(ctx context.Context, drain time.Duration) error {
	if !h.begin() {
		return nil
	}
	defer h.end()
	// If the context ends first, a second stop shortens the time of this one.
	stop := func(ms uint64) error {
		return told(func() C.chat_status { return C.chat_server_stop(h.server, C.uint32_t(ms)) })
	}
	shortened := make(chan error, 1)
	isInTime := context.AfterFunc(ctx, func() { shortened <- stop(0) })
	err := stop(min(inUnits(drain, time.Millisecond), math.MaxUint32))
	if !isInTime() {
		// C tells one of the two that connections were aborted.
		if other := <-shortened; err == nil {
			err = other
		}
	}
	h.finish()
	return err
}

// cut stops the server without a drain. Connections that it aborts are no error.
func (h *handle) cut() error {
	if err := h.stop(context.Background(), 0); !errors.Is(err, ErrTimedOut) {
		return err
	}
	return nil // Aborted connections are what the caller asked for.
}

// finish allows no further call, once the server has stopped.
func (h *handle) finish() {
	h.finishing.Do(func() {
		h.final = h.stats()
		h.outcome = h.awaitEnd()
		h.calls.Or(finished)
		if h.queue != nil {
			close(h.queue.finished)
		}
		if h.logs != nil {
			h.logs.flush()
		}
	})
}

// wait waits until the server has ended, or the context is done.
func (h *handle) wait(ctx context.Context) error {
	if !h.begin() {
		return h.outcome
	}
	defer h.end()
	h.waiting.Do(func() {
		h.ended = make(chan struct{})
		h.calls.Add(1) // As begin does, which cannot fail inside a call.
		go func() {
			defer h.end()
			h.how = h.awaitEnd()
			close(h.ended)
		}()
	})
	select {
	case <-h.ended:
		return h.how
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitEnd waits in C until the server has ended. It must be inside a call.
func (h *handle) awaitEnd() error {
	return told(func() C.chat_status { return C.chat_server_wait(h.server, C.CHAT_WAIT_FOREVER) })
}

// stats reads the counters. It must be inside a call.
func (h *handle) stats() Stats {
	var c C.chat_stats
	// This fails only for wrong arguments.
	C.chat_server_stats(h.server, &c, C.size_t(unsafe.Sizeof(c)))
	return Stats{
		Connections:         uint64(c.connections),
		Handshakes:          uint64(c.handshakes),
		Rooms:               uint64(c.rooms),
		ConnectionsAccepted: uint64(c.connections_accepted),
		ConnectionsRefused:  uint64(c.connections_refused),
		AcceptFailures:      uint64(c.accept_failures),
		MessagesReceived:    uint64(c.messages_received),
		MessagesPublished:   uint64(c.messages_published),
		MessagesDelivered:   uint64(c.messages_delivered),
		BytesDelivered:      uint64(c.bytes_delivered),
		MessagesDropped:     uint64(c.messages_dropped),
		SlowConsumers:       uint64(c.slow_consumers),
		PingTimeouts:        uint64(c.ping_timeouts),
		ProtocolErrors:      uint64(c.protocol_errors),
		EventsDropped:       uint64(c.events_dropped),
		AdmissionsRejected:  uint64(c.admissions_rejected),
		AdmissionsTimedOut:  uint64(c.admissions_timed_out),
		MessagesRefused:     uint64(c.messages_refused),
		ReviewsTimedOut:     uint64(c.reviews_timed_out),
		RequestsAnswered:    uint64(c.requests_answered),
		SignalsReceived:     uint64(c.signals_received),
		SignalsDropped:      uint64(c.signals_dropped),
		Duplicates:          uint64(c.duplicates),
		KeysEvicted:         uint64(c.keys_evicted),
	}
}

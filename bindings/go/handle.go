package chat

/*
#include "libchat_cgo.h"

// It keeps no pointer and does not call back: what is passed need not move to the heap.
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

// handle is C's server and the calls that are under way on it. C frees it after the last of them,
// whoever that is: no call waits for another one, and none meets a server that is freed.
//
// It knows nothing of the Server that a program holds, so that one that was forgotten is found.
type handle struct {
	server *C.chat_server
	calls  atomic.Int64 // How many calls are under way, and the bits below.
	queue  *queue       // nil if no events are collected.
	logs   *logs        // nil if nothing is logged.

	finishing sync.Once
	final     Stats // What Stats is once no call may begin. Written before `finished` is set.
}

const (
	finished = 1 << 62 // No call may begin any more.
	freed    = 1 << 61 // The server is freed.
)

// begin announces a call; false says that it must not be made. A call that has begun must end.
func (h *handle) begin() bool {
	if h.calls.Add(1) < freed {
		return true
	}
	h.end()
	return false
}

// end says that a call has returned. The last one after finish frees the server.
func (h *handle) end() {
	// The swap fails for all but one: those that failed to begin come and go later too.
	if h.calls.Add(-1) == finished && h.calls.CompareAndSwap(finished, finished|freed) {
		C.chat_server_free(h.server)
		h.server = nil // No pointer of C's is kept that C may give back.
	}
}

// stop ends the server: within `drain`, or at once when the context is done. Afterwards all that is
// left of it in C is freed. A server that has ended before is no error.
func (h *handle) stop(ctx context.Context, drain time.Duration) error {
	if !h.begin() {
		return nil
	}
	defer h.end()
	// Of two stops the shorter time counts.
	defer context.AfterFunc(ctx, func() { h.cut() })()
	ms := min(inUnits(drain, time.Millisecond), math.MaxUint32)
	status := C.chat_server_stop(h.server, C.uint32_t(ms))
	h.finish()
	return statusError(status)
}

// cut is stop for a server from which nothing is expected any more.
func (h *handle) cut() error {
	if err := h.stop(context.Background(), 0); !errors.Is(err, ErrTimedOut) {
		return err
	}
	return nil // Clients that did not answer in no time were to be cut.
}

// finish lets no further call begin, once the server has stopped.
func (h *handle) finish() {
	h.finishing.Do(func() {
		h.final = h.stats()
		h.calls.Or(finished)
		if h.queue != nil {
			close(h.queue.finished)
		}
		if h.logs != nil {
			h.logs.flush()
		}
	})
}

// stats reads the counters; a call must be under way.
func (h *handle) stats() Stats {
	var c C.chat_stats
	// It fails only for arguments that are wrong.
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
	}
}

package chat

/*
#include "libchat_cgo.h"

static chat_status broadcast(chat_server *server, uint32_t kind, const uint8_t *data, size_t data_len, uintptr_t *why) {
	return chat_go_keep(chat_server_broadcast(server, kind, data, data_len), why);
}

static chat_status publish(chat_server *server, const char *room, size_t room_len, uint32_t kind, const uint8_t *data,
		size_t data_len, chat_position *position, uintptr_t *why) {
	return chat_go_keep(chat_server_publish(server, room, room_len, kind, data, data_len, position), why);
}

static chat_status send_to(chat_server *server, chat_client_id client, uint32_t kind, const uint8_t *data, size_t data_len,
		uintptr_t *why) {
	return chat_go_keep(chat_server_send(server, client, kind, data, data_len), why);
}

// None of these keeps a pointer or calls back, so their arguments need not be on the heap.
#cgo noescape broadcast
#cgo nocallback broadcast
#cgo noescape publish
#cgo nocallback publish
#cgo noescape send_to
#cgo nocallback send_to
#cgo noescape chat_server_position
#cgo nocallback chat_server_position
#cgo noescape chat_server_disconnect
#cgo nocallback chat_server_disconnect
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"runtime"
	"time"
	"unsafe"
)

// DefaultDrain is how long Shutdown waits for the clients' answers if its context has no deadline.
const DefaultDrain = 10 * time.Second

// Server is a running server.
//
// Any goroutine may call any method at any time. After Shutdown or Close, methods that return an
// error return ErrStopped; Shutdown and Close themselves return nil.
//
// The garbage collector closes a Server that nothing refers to. A running method is a reference.
type Server struct {
	handle *handle
	addrs  []net.Addr
}

// Start starts a server. The server listens when Start returns, and runs on its own threads.
//
// The errors are ErrInvalidArgument, with a text that names every option that is out of its limits;
// ErrAddressInUse, ErrAddressUnavailable, ErrPermissionDenied, ErrResourceLimit and ErrIO. An error
// of the operating system also wraps its syscall.Errno.
func Start(options Options) (*Server, error) {
	server, lines, err := start(&options)
	if err != nil {
		return nil, err
	}
	h := &handle{server: server, logs: lines}
	s := &Server{handle: h, addrs: localAddrs(server)}
	if options.EventQueue > 0 {
		h.queue = newQueue()
		h.begin()
		go h.queue.pull(h)
	}
	// On a goroutine of its own: a stop would hold up the goroutine that runs the cleanups.
	runtime.AddCleanup(s, func(h *handle) { go h.cut() }, h)
	return s, nil
}

func localAddrs(server *C.chat_server) (addrs []net.Addr) {
	for {
		var buf [C.CHAT_ADDR_SIZE]C.char
		var length C.size_t
		index := C.size_t(len(addrs))
		if C.chat_server_local_addr(server, index, &buf[0], C.CHAT_ADDR_SIZE, &length) != C.CHAT_OK {
			return addrs
		}
		addrs = append(addrs, net.TCPAddrFromAddrPort(addrPort(text(&buf[0], length))))
	}
}

// Addr returns the address of the first listener, a *net.TCPAddr with the actual port.
func (s *Server) Addr() net.Addr { return s.addrs[0] }

// Addrs returns the addresses of all listeners, in the order of Options.Listen.
func (s *Server) Addrs() []net.Addr { return append([]net.Addr(nil), s.addrs...) }

// Broadcast sends a message to every client of this server, whatever its rooms. The message is in
// no room's order or history. The calls of one goroutine reach each client in the order in which
// they were made. The data is copied.
//
// Broadcast waits up to Options.PublishTimeout while too much waits to be delivered. The errors are
// ErrInvalidArgument for an unknown kind, ErrInvalidUTF8, ErrTooLarge, ErrQueueFull and ErrStopped;
// with each of them nothing was sent.
func (s *Server) Broadcast(kind Kind, data []byte) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	var why C.uintptr_t
	status := C.broadcast(s.handle.server, C.uint32_t(kind), payload(data), C.size_t(len(data)), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return keptError(status, why)
}

// Publish publishes a message to a room, and returns where it is in the room's history: no position if
// rooms have none. The message is delivered to every client in the room, and added to the history. The
// name of a room is 1 to 128 bytes of UTF-8 without control characters, and not "." or ".."; the room
// of the path "/" is "lobby". The data is copied.
//
// When the server stops, it delivers a published message before it closes its clients. Publish
// waits up to Options.PublishTimeout while too much waits to be delivered. The errors are
// ErrInvalidArgument for a name that no room can have or an unknown kind, ErrInvalidUTF8,
// ErrTooLarge, ErrQueueFull and ErrStopped; with each of them nothing was published.
func (s *Server) Publish(room string, kind Kind, data []byte) (Position, error) {
	if !s.handle.begin() {
		return Position{}, ErrStopped
	}
	var position C.chat_position
	var why C.uintptr_t
	status := C.publish(s.handle.server, chars(room), C.size_t(len(room)),
		C.uint32_t(kind), payload(data), C.size_t(len(data)), &position, &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return positionOf(position), keptError(status, why)
}

// Position tells where a room stands: the position of the last message that it has stored. What is
// published later comes after it, and a client that connects with "?since=POSITION" gets all of that.
// There is no position if rooms have no history.
//
// The room need not exist: it begins at this position, unless it comes into being more than a day
// later, or 65,536 other rooms were forgotten meanwhile (16,384 if the room has never stored a
// message). The errors are ErrInvalidArgument for a name
// that no room can have, ErrInvalidUTF8 and ErrStopped.
func (s *Server) Position(room string) (Position, error) {
	var position C.chat_position
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_position(server, chars(room), C.size_t(len(room)), &position)
	})
	return positionOf(position), err
}

// Send sends a message to one client. The data is copied.
//
// Send waits up to Options.PublishTimeout while too much waits to be delivered. The errors are
// ErrNotFound, ErrInvalidArgument for an unknown kind, ErrInvalidUTF8, ErrTooLarge, ErrQueueFull
// and ErrStopped; with each of them nothing was sent.
func (s *Server) Send(client ClientID, kind Kind, data []byte) error {
	if !s.handle.begin() {
		return ErrStopped
	}
	var why C.uintptr_t
	status := C.send_to(s.handle.server, C.chat_client_id(client), C.uint32_t(kind),
		payload(data), C.size_t(len(data)), &why)
	s.handle.end()
	runtime.KeepAlive(s)
	return keptError(status, why)
}

// Disconnect closes a client's connection after the messages that were sent to it before, and does
// not wait for the client. What the client sends after the call has returned is not heard. The close
// code is 1000 to 1003, 1007 to 1013 or 3000 to 4999 (RFC 6455, 7.4); the reason is at most 123 bytes long and may be empty. A client that waits for admission is
// rejected with HTTP 403 and the reason.
//
// A client of events (FormEvents) gets the event "closing" with 1001, 1011, 1012 and 1013, and comes back;
// with every other code it gets "closed".
//
// The errors are ErrNotFound, ErrInvalidArgument for another code, ErrInvalidUTF8, ErrTooLarge and
// ErrStopped.
func (s *Server) Disconnect(client ClientID, code uint16, reason string) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_disconnect(server, C.chat_client_id(client), C.uint16_t(code),
			chars(reason), C.size_t(len(reason)))
	})
}

// Events yields the events of the server, in order, and waits for them. The loop ends after
// EventStopped, which is the last event. If it ends earlier, the last pair holds the error: that of
// the context once it is done, ErrStopped if EventStopped was taken before, ErrUnsupported if the
// server was started without Options.EventQueue.
//
// Each event is yielded once. A loop that ends early loses no event: the next loop continues where
// it ended. Several loops at once share the events, and none waits for another; one loop gets its
// events in order. Shutdown and Close keep the events that wait for a loop.
func (s *Server) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer runtime.KeepAlive(s)
		if s.handle.queue == nil {
			yield(nil, fmt.Errorf("%w: set Options.EventQueue to how many events may wait", ErrUnsupported))
			return
		}
		for {
			event, err := s.handle.queue.next(ctx)
			if !yield(event, err) || err != nil || event == (EventStopped{}) {
				return
			}
		}
	}
}

// Stats returns the counters. After Shutdown or Close they are those of the end.
func (s *Server) Stats() Stats {
	defer runtime.KeepAlive(s)
	if !s.handle.begin() {
		return s.handle.final
	}
	defer s.handle.end()
	return s.handle.stats()
}

// Wait waits until the server has ended: its ports are free, and its clients are gone. Any goroutine
// may stop it. It works after the end too. A server also ends by itself if one of its threads cannot go on,
// for example because of a bug in libchat: so a host that takes no events learns here that the server
// is gone.
//
// The error is nil if the server was stopped; ErrFailed if it ended by itself, with a text that says which
// part could not go on, and why; and that of the context if it is done before. The first Wait takes a goroutine and a thread, until the end.
func (s *Server) Wait(ctx context.Context) error {
	err := s.handle.wait(ctx)
	runtime.KeepAlive(s)
	return err
}

// RequestStop begins to stop the server, with 5 s for the clients, and returns at once. It is for a
// loop over Events. Shutdown, Close and Wait wait for the end.
func (s *Server) RequestStop() {
	if s.handle.begin() {
		C.chat_server_request_stop(s.handle.server)
		s.handle.end()
	}
	runtime.KeepAlive(s)
}

// Shutdown stops the server: it accepts no further connection, delivers every message that was
// published before, closes every client with code 1001, and waits for their answers until the
// context is done, or for DefaultDrain if the context has no deadline. Then it aborts the
// connections that are left. When Shutdown returns, the ports are free, no thread of the server is
// left, and its memory is freed.
//
// The streams of clients that receive events (FormEvents) end one after the other, a millisecond for
// each, over at most half of that time: these clients come back by themselves, and not all at once.
//
// The error is nil; ErrTimedOut if connections were aborted, together with the context's error if
// that was the cause; or ErrFailed if the server had ended by itself (Wait). In all cases the server
// has stopped.
func (s *Server) Shutdown(ctx context.Context) error {
	drain := DefaultDrain
	deadline, bounded := ctx.Deadline()
	if bounded {
		drain = max(time.Until(deadline), 0)
	}
	err := s.handle.stop(ctx, drain)
	runtime.KeepAlive(s)
	if !errors.Is(err, ErrTimedOut) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	if bounded {
		return fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
	}
	return err
}

// Close stops the server at once: it hands published messages to the sockets, and aborts the
// connection of every client that does not answer immediately. It may be called again, also after
// Shutdown. The error is nil, or ErrFailed if the server had ended by itself (Wait).
func (s *Server) Close() error {
	err := s.handle.cut()
	runtime.KeepAlive(s)
	return err
}

// payload is a message in the form in which C gets it with its length, valid for one call.
func payload(data []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data))) }

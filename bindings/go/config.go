package chat

/*
#include "libchat_cgo.h"
*/
import "C"

import (
	"math"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// start makes a C config from the options, and starts a server from the config.
func start(options *Options) (*C.chat_server, *logs, error) {
	config := C.chat_config_new(C.CHAT_ABI_VERSION)
	if config == nil {
		return nil, nil, invalid("libchat.h and libchat.a do not fit; build the program against one version")
	}
	defer C.chat_config_free(config)
	// The texts of setters that fail are the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := configure(config, options); err != nil {
		return nil, nil, err
	}
	var lines *logs
	if options.Logger != nil {
		var err error
		if lines, err = newLogs(config, options.Logger); err != nil {
			return nil, nil, err
		}
	}
	var server *C.chat_server
	var failure *C.chat_error
	status := C.chat_server_start(config, &server, &failure)
	if status == C.CHAT_OK {
		return server, lines, nil
	}
	defer C.chat_error_free(failure)
	return nil, nil, &callError{
		text:  C.GoString(C.chat_error_message(failure)),
		kind:  statusError(status),
		errno: syscall.Errno(C.chat_error_os_code(failure)),
	}
}

// setter collects the values that C cannot be given.
type setter struct{ problems []string }

func (s *setter) problem(option, text string) { s.problems = append(s.problems, option+": "+text) }

func (s *setter) check(option string, status C.chat_status) {
	if status != C.CHAT_OK {
		// C has another name for it: the parameter's.
		_, why, _ := strings.Cut(C.GoString(C.chat_last_error_message()), ": ")
		s.problem(option, why)
	}
}

// number sets a count or a size that is not zero, and refuses a negative one.
func (s *setter) number(option string, value int, set func(uint64) C.chat_status) {
	switch {
	case value < 0:
		s.problem(option, "it is negative")
	case value > 0:
		s.check(option, set(uint64(value)))
	}
}

// numberOrOff sets a count or a size that is not zero; a negative one becomes 0, which is C's
// "none".
func (s *setter) numberOrOff(option string, value int, set func(uint64) C.chat_status) {
	if value != 0 {
		s.check(option, set(uint64(max(value, 0))))
	}
}

// duration sets a duration that is not zero, and refuses a negative one.
func (s *setter) duration(option string, value time.Duration, set func(uint64) C.chat_status) {
	switch {
	case value < 0:
		s.problem(option, "it is negative")
	case value > 0:
		s.check(option, set(inUnits(value, time.Millisecond)))
	}
}

// durationOrOff sets a duration that is not zero, in C's unit for it; a negative one becomes 0,
// which is C's "off".
func (s *setter) durationOrOff(option string, value, unit time.Duration, set func(uint64) C.chat_status) {
	switch {
	case value < 0:
		s.check(option, set(0))
	case value > 0:
		s.check(option, set(inUnits(value, unit)))
	}
}

// inUnits rounds up: a duration that is not zero must not become 0, which means something else.
func inUnits(d, unit time.Duration) uint64 {
	units := uint64(d / unit)
	if d%unit != 0 {
		units++
	}
	return units
}

// u32 is the number, or the largest that C takes, which is beyond the limit of every option.
func u32(n uint64) C.uint32_t { return C.uint32_t(min(n, math.MaxUint32)) }

func configure(c *C.chat_config, o *Options) error {
	var s setter
	for _, addr := range o.Listen {
		s.check("listen", C.chat_config_add_listen(c, chars(addr), C.size_t(len(addr))))
	}
	for _, origin := range o.Origins {
		s.check("origin", C.chat_config_add_origin(c, chars(origin), C.size_t(len(origin))))
	}
	s.check("ipv6_only", C.chat_config_set_ipv6_only(c, flag(o.IPv6Only)))
	s.number("workers", o.Workers, func(n uint64) C.chat_status {
		return C.chat_config_set_workers(c, u32(n))
	})
	s.durationOrOff("busy_poll", o.BusyPoll, time.Microsecond, func(us uint64) C.chat_status {
		return C.chat_config_set_busy_poll(c, u32(us))
	})
	s.check("echo", C.chat_config_set_echo(c, flag(!o.NoEcho)))
	s.number("max_connections", o.MaxConnections, func(n uint64) C.chat_status {
		return C.chat_config_set_max_connections(c, u32(n))
	})
	s.number("max_handshakes", o.MaxHandshakes, func(n uint64) C.chat_status {
		return C.chat_config_set_max_handshakes(c, u32(n))
	})
	s.number("max_rooms_per_client", o.MaxRoomsPerClient, func(n uint64) C.chat_status {
		return C.chat_config_set_max_rooms_per_client(c, u32(n))
	})
	s.duration("handshake_timeout", o.HandshakeTimeout, func(ms uint64) C.chat_status {
		return C.chat_config_set_handshake_timeout(c, u32(ms))
	})
	s.number("handshake_size", o.HandshakeSize, func(n uint64) C.chat_status {
		return C.chat_config_set_handshake_size(c, C.size_t(n))
	})
	s.check("base_path", C.chat_config_set_base_path(c, chars(o.BasePath), C.size_t(len(o.BasePath))))
	s.duration("admission_timeout", o.AdmissionTimeout, func(ms uint64) C.chat_status {
		return C.chat_config_set_admission_timeout(c, u32(ms))
	})
	s.duration("review_timeout", o.ReviewTimeout, func(ms uint64) C.chat_status {
		return C.chat_config_set_review_timeout(c, u32(ms))
	})
	if o.Overdue != 0 {
		s.check("overdue", C.chat_config_set_overdue(c, C.uint32_t(o.Overdue)))
	}
	s.number("max_message_size", o.MaxMessageSize, func(n uint64) C.chat_status {
		return C.chat_config_set_max_message_size(c, C.size_t(n))
	})
	s.number("outbox_size", o.OutboxSize, func(n uint64) C.chat_status {
		return C.chat_config_set_outbox_size(c, C.size_t(n))
	})
	s.duration("outbox_age", o.OutboxAge, func(ms uint64) C.chat_status {
		return C.chat_config_set_outbox_age(c, u32(ms))
	})
	if o.SlowConsumer != 0 {
		s.check("slow_consumer", C.chat_config_set_slow_consumer(c, C.uint32_t(o.SlowConsumer)))
	}
	s.durationOrOff("ping_interval", o.PingInterval, time.Millisecond, func(ms uint64) C.chat_status {
		return C.chat_config_set_ping_interval(c, u32(ms))
	})
	s.duration("ping_timeout", o.PingTimeout, func(ms uint64) C.chat_status {
		return C.chat_config_set_ping_timeout(c, u32(ms))
	})
	s.durationOrOff("tcp_keepalive", o.TCPKeepalive, time.Millisecond, func(ms uint64) C.chat_status {
		return C.chat_config_set_tcp_keepalive(c, u32(ms))
	})
	s.numberOrOff("history_messages", o.HistoryMessages, func(n uint64) C.chat_status {
		return C.chat_config_set_history_messages(c, u32(n))
	})
	s.numberOrOff("history_size", o.HistorySize, func(n uint64) C.chat_status {
		return C.chat_config_set_history_size(c, C.size_t(n))
	})
	s.duration("history_age", o.HistoryAge, func(ms uint64) C.chat_status {
		return C.chat_config_set_history_age(c, C.uint64_t(ms))
	})
	s.numberOrOff("history_total", o.HistoryTotal, func(n uint64) C.chat_status {
		return C.chat_config_set_history_total(c, C.size_t(n))
	})
	s.durationOrOff("publish_timeout", o.PublishTimeout, time.Millisecond, func(ms uint64) C.chat_status {
		return C.chat_config_set_publish_timeout(c, u32(ms))
	})
	s.number("event_queue", o.EventQueue, func(n uint64) C.chat_status {
		return C.chat_config_set_event_queue(c, u32(n))
	})
	s.number("signal_rate", o.SignalRate, func(n uint64) C.chat_status {
		return C.chat_config_set_signal_rate(c, u32(n))
	})
	if o.Members != 0 {
		s.check("members", C.chat_config_set_members(c, C.uint32_t(o.Members)))
	}
	s.durationOrOff("member_grace", o.MemberGrace, time.Millisecond, func(ms uint64) C.chat_status {
		return C.chat_config_set_member_grace(c, u32(ms))
	})
	s.check("occupancy", C.chat_config_set_occupancy(c, flag(o.Occupancy)))
	if s.problems != nil {
		return invalid("%s", strings.Join(s.problems, "; "))
	}
	return nil
}

// chars is a text in the form in which C gets it with its length, valid for one call.
func chars(text string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(text))) }

// flag returns a truth value as C takes it.
func flag(is bool) C.uint32_t {
	if is {
		return 1
	}
	return 0
}

// statusError returns the error of a status; nil for CHAT_OK.
func statusError(status C.chat_status) error {
	switch status {
	case C.CHAT_OK:
		return nil
	case C.CHAT_ERR_INVALID_ARGUMENT:
		return ErrInvalidArgument
	case C.CHAT_ERR_INVALID_UTF8:
		return ErrInvalidUTF8
	case C.CHAT_ERR_TOO_LARGE:
		return ErrTooLarge
	case C.CHAT_ERR_NOT_FOUND:
		return ErrNotFound
	case C.CHAT_ERR_STOPPED:
		return ErrStopped
	case C.CHAT_ERR_TIMED_OUT:
		return ErrTimedOut
	case C.CHAT_ERR_QUEUE_FULL:
		return ErrQueueFull
	case C.CHAT_ERR_UNSUPPORTED:
		return ErrUnsupported
	case C.CHAT_ERR_TOO_MANY_ROOMS:
		return ErrTooManyRooms
	case C.CHAT_ERR_FAILED:
		return ErrFailed
	case C.CHAT_ERR_KEY_REUSED:
		return ErrKeyReused
	case C.CHAT_ERR_ADDRESS_IN_USE:
		return ErrAddressInUse
	case C.CHAT_ERR_ADDRESS_UNAVAILABLE:
		return ErrAddressUnavailable
	case C.CHAT_ERR_PERMISSION_DENIED:
		return ErrPermissionDenied
	case C.CHAT_ERR_RESOURCE_LIMIT:
		return ErrResourceLimit
	case C.CHAT_ERR_IO:
		return ErrIO
	}
	// CHAT_ERR_PANIC, and statuses that this package never causes.
	return ErrInternal
}

// Package callback uses libchat's event handler from Go. The binding does not: it takes events with
// calls from Go, because a call from C into Go costs more. The tests show that a host may do so, with
// a cgo.Handle as the handler's user data, and with Go's panics stopped before they reach C.
package callback

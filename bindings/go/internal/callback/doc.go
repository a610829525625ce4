// Package callback uses libchat's event handler from Go, which the binding does not: it pulls
// events, because a call from C into Go costs more. The tests show that a host may do it: a
// cgo.Handle as the handler's user data, and Go's panics stopped before they reach C.
package callback

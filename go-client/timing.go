package main

import (
	"math/rand/v2"
	"time"
)

// timing holds every duration, so that tests need not wait for the real ones.
type timing struct {
	handshake  time.Duration // from dialing to the upgrade
	ping       time.Duration // between the client's own pings
	alive      time.Duration // without a byte from the server, which then counts as dead
	slack      time.Duration // that the server may be late with its heartbeat
	write      time.Duration // for one message to be written
	closing    time.Duration // for the server to answer the close
	answer     time.Duration // for the last typed lines to be answered before the close
	returning  time.Duration // for the host to put a client that came back into its next room
	stall      time.Duration // without progress while piped input waits
	backoffMin time.Duration // longest wait before the first attempt to reconnect
	backoffMax time.Duration // longest wait before any attempt
	settled    time.Duration // a connection that lasted this long makes the waits short again
}

// The server pings every 25 s by default. A ping of the client every 20 s makes a live server answer
// within 30 s, whatever its options are.
var defaultTiming = timing{
	handshake:  10 * time.Second,
	ping:       20 * time.Second,
	alive:      30 * time.Second,
	slack:      10 * time.Second,
	write:      10 * time.Second,
	closing:    5 * time.Second,
	answer:     time.Second,
	returning:  2 * time.Second,
	stall:      5 * time.Second,
	backoffMin: 500 * time.Millisecond,
	backoffMax: 30 * time.Second,
	settled:    10 * time.Second,
}

// backoff counts the attempts to reconnect and spaces them. The wait doubles from min to max, and its
// second half is random, so that the clients of a restarted server do not all connect at once.
type backoff struct {
	min, max time.Duration
	attempt  int
}

// next counts an attempt and returns how long to wait before it.
func (b *backoff) next() time.Duration {
	wait := b.max
	// From 32 doublings on the shift could overflow.
	if b.attempt < 32 && b.min<<b.attempt < b.max {
		wait = b.min << b.attempt
	}
	b.attempt++
	return wait/2 + rand.N(wait/2+1)
}

func (b *backoff) reset() { b.attempt = 0 }

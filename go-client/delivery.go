package main

import "slices"

const (
	// windowLines and windowBytes bound the lines that were sent and are not echoed yet. They keep
	// the client's memory small, and its echoes far below the server's outbox size (4 MiB).
	windowLines = 1024
	windowBytes = 1 << 20
)

// delivery tracks the lines of one connection: sent, confirmed, echoed.
//
// A line is confirmed by its echo, or by the pong to a ping that was sent after it, since the server
// reads in order. The room's order is the same for all clients, so an echo confirms all lines before
// it. The same text from another client with the same id would be taken for the echo: ids must differ.
type delivery struct {
	awaited   []string // sent and not echoed yet, oldest first; empty if there is no echo
	bytes     int      // of awaited
	echo      bool     // whether the server echoes lines
	sent      int
	confirmed int
}

// send records a line that was sent.
func (d *delivery) send(text string) {
	d.sent++
	if d.echo {
		d.awaited = append(d.awaited, text)
		d.bytes += len(text)
	}
}

// arrive handles a message that arrived, and returns whether it is the echo of a line.
func (d *delivery) arrive(text string) bool {
	i := slices.Index(d.awaited, text)
	if i < 0 {
		return false
	}
	d.confirm(d.sent - len(d.awaited) + i + 1)
	d.forget(i + 1)
	return true
}

// confirm records that the server has read the first n lines.
func (d *delivery) confirm(n int) { d.confirmed = max(d.confirmed, min(n, d.sent)) }

// forgetConfirmed stops waiting for the echo of confirmed lines.
func (d *delivery) forgetConfirmed() {
	d.forget(max(0, d.confirmed-(d.sent-len(d.awaited))))
}

func (d *delivery) forget(n int) {
	for _, text := range d.awaited[:n] {
		d.bytes -= len(text)
	}
	d.awaited = slices.Delete(d.awaited, 0, n)
}

// hasRoom returns whether another line may be sent before an earlier one is echoed.
func (d *delivery) hasRoom() bool {
	return len(d.awaited) < windowLines && d.bytes < windowBytes
}

// unconfirmed returns the number of lines that may not have been delivered.
func (d *delivery) unconfirmed() int { return d.sent - d.confirmed }

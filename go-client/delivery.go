package main

import "slices"

const (
	// windowLines and windowBytes bound what is sent and not back yet. They keep the client's
	// memory small, and its own echo far from the server's bound for slow consumers (4 MiB).
	windowLines = 1024
	windowBytes = 1 << 20
)

// delivery follows the lines of one connection on their way: sent, confirmed, come back.
//
// A line is confirmed when it comes back, or when the server answers a ping that was sent after
// it: the server reads in order. The room's order is the same for everyone, so a line that came
// back confirms all before it. Another client with the same id and the same words could be taken
// for the echo; ids are to be different.
type delivery struct {
	awaited   []string // sent and not back yet, oldest first; empty where there is no echo
	bytes     int      // of awaited
	echo      bool     // whether lines come back
	sent      int
	confirmed int
}

// send notes a line that is on its way.
func (d *delivery) send(text string) {
	d.sent++
	if d.echo {
		d.awaited = append(d.awaited, text)
		d.bytes += len(text)
	}
}

// arrive takes a message that arrived, and tells whether it is the echo of a line.
func (d *delivery) arrive(text string) bool {
	i := slices.Index(d.awaited, text)
	if i < 0 {
		return false
	}
	d.confirm(d.sent - len(d.awaited) + i + 1)
	d.forget(i + 1)
	return true
}

// confirm notes that the server has read the first n lines.
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

// hasRoom tells whether another line may be sent before an earlier one is back.
func (d *delivery) hasRoom() bool {
	return len(d.awaited) < windowLines && d.bytes < windowBytes
}

// unconfirmed is the number of lines that may not have been delivered.
func (d *delivery) unconfirmed() int { return d.sent - d.confirmed }

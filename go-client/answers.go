package main

import (
	"slices"
	"strconv"
)

// answers tracks the lines that were sent in the JSON form, until the server says what became of each.
//
// A line is done when its answer arrives, or when it is seen in the room as this client's own. A line
// that had neither when its connection broke is looked for in what the next connection replays:
// the client id of its connection tells it from the same text of others.
type answers struct {
	lines []sentLine // without an answer, oldest first
	bytes int        // of lines
	last  uint64     // id of the last line; ids are never used twice
}

type sentLine struct {
	id     string
	client string // client id of the connection that sent it
	text   string
}

// nextID returns the id of the next line.
func (a *answers) nextID() string { return strconv.FormatUint(a.last+1, 10) }

// send records that the line with nextID was sent.
func (a *answers) send(client, text string) {
	a.lines = append(a.lines, sentLine{id: a.nextID(), client: client, text: text})
	a.bytes += len(text)
	a.last++
}

// answered ends the wait for a line. It returns the line's text, and whether it was awaited.
func (a *answers) answered(id string) (string, bool) {
	return a.remove(func(l sentLine) bool { return l.id == id })
}

// seen handles a message of one of this client's connections, and returns whether it was awaited.
// The room keeps the order of a connection: of lines with the same text the oldest comes first.
func (a *answers) seen(client, text string) bool {
	_, found := a.remove(func(l sentLine) bool { return l.client == client && l.text == text })
	return found
}

func (a *answers) remove(is func(sentLine) bool) (string, bool) {
	i := slices.IndexFunc(a.lines, is)
	if i < 0 {
		return "", false
	}
	text := a.lines[i].text
	a.bytes -= len(text)
	a.lines = slices.Delete(a.lines, i, i+1)
	return text, true
}

// hasOthers returns whether lines of other connections than the client's have no answer.
func (a *answers) hasOthers(client string) bool {
	return slices.ContainsFunc(a.lines, func(l sentLine) bool { return l.client != client })
}

// takeOthers removes and returns the lines that were sent by other connections than the client's.
func (a *answers) takeOthers(client string) []sentLine {
	var others []sentLine
	a.lines = slices.DeleteFunc(a.lines, func(l sentLine) bool {
		if l.client == client {
			return false
		}
		others = append(others, l)
		a.bytes -= len(l.text)
		return true
	})
	return others
}

// hasRoom returns whether another line may be sent before an earlier one is answered.
func (a *answers) hasRoom() bool { return len(a.lines) < windowLines && a.bytes < windowBytes }

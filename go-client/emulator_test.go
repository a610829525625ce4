package main

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// emulator is as much of a terminal as the editor and a chat need: it shows what a person would
// see. Wide characters take two columns, and a full row wraps when the next character comes.
type emulator struct {
	mu       sync.Mutex
	width    int
	rows     [][]string // a cell's text; "" follows a wide character
	row, col int
	pending  []byte // of an incomplete sequence
	strange  []string
	changed  chan struct{}
}

func newEmulator(width int) *emulator {
	return &emulator{width: width, rows: [][]string{{}}, changed: make(chan struct{})}
}

var sequence = regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`)

func (e *emulator) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = append(e.pending, p...)
	for len(e.pending) > 0 {
		if e.pending[0] == '\x1b' {
			match := sequence.FindSubmatch(e.pending)
			if match == nil && len(e.pending) < 10 {
				break
			}
			if match == nil {
				e.strange = append(e.strange, string(e.pending))
				e.pending = nil
				break
			}
			e.control(string(match[1]), match[2][0])
			e.pending = e.pending[len(match[0]):]
			continue
		}
		if !utf8.FullRune(e.pending) {
			break
		}
		r, size := utf8.DecodeRune(e.pending)
		e.put(r)
		e.pending = e.pending[size:]
	}
	close(e.changed)
	e.changed = make(chan struct{})
	return len(p), nil
}

func (e *emulator) control(number string, final byte) {
	n, err := strconv.Atoi(number)
	if err != nil {
		n = 1
	}
	switch final {
	case 'A':
		e.row = max(0, e.row-n)
	case 'B':
		e.row += n
	case 'C':
		e.col = min(e.width-1, e.col+n)
	case 'D':
		e.col = max(0, min(e.col, e.width-1)-n)
	case 'K':
		if number == "" && e.col < len(e.line()) {
			e.rows[e.row] = e.rows[e.row][:e.col]
		}
	default:
		e.strange = append(e.strange, number+string(final))
	}
}

func (e *emulator) put(r rune) {
	width := 1
	if r >= 0x1100 && r != '…' {
		width = 2
	}
	switch {
	case r == '\r':
		e.col = 0
		return
	case r == '\n':
		e.row++
		e.line()
		return
	case r < ' ':
		e.strange = append(e.strange, string(r))
		return
	case e.col+width > e.width:
		e.row, e.col = e.row+1, 0
	}
	for len(e.line()) < e.col+width {
		e.rows[e.row] = append(e.rows[e.row], " ")
	}
	e.rows[e.row][e.col] = string(r)
	if width == 2 {
		e.rows[e.row][e.col+1] = ""
	}
	e.col += width
}

func (e *emulator) line() []string {
	for len(e.rows) <= e.row {
		e.rows = append(e.rows, nil)
	}
	return e.rows[e.row]
}

// text is the screen, less spaces and empty rows at the ends.
func (e *emulator) text() string {
	var lines []string
	for _, row := range e.rows {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// await waits until the last rows, less empty ones at the end, are these.
func (e *emulator) await(t *testing.T, rows ...string) {
	t.Helper()
	want := strings.Join(rows, "\n")
	timeout := time.After(patience)
	for {
		e.mu.Lock()
		text, changed := e.text(), e.changed
		strange := e.strange
		e.mu.Unlock()
		if len(strange) > 0 {
			t.Fatalf("the terminal was sent %q", strange)
		}
		if text == want || strings.HasSuffix(text, "\n"+want) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("the screen is\n%s\nand does not end with\n%s", text, want)
		}
	}
}

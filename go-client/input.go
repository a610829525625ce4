package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

// inputEvent is a line of input without its end, a line that cannot be sent (*lineError), or the
// end of the input: io.EOF or the error that broke it. Nothing follows the end.
type inputEvent struct {
	line string
	err  error
}

// lineError says that a line is left out; the input continues after it.
type lineError struct {
	number int // 0: not counted
	limit  int
	unit   string
}

func (e *lineError) Error() string {
	if e.number == 0 {
		return fmt.Sprintf("the line is longer than %d %ss", e.limit, e.unit)
	}
	return fmt.Sprintf("line %d is longer than %d %ss", e.number, e.limit, e.unit)
}

// readLines sends the lines of a stream to out until the stream ends or the context is done. A line
// ends with LF or CRLF; the last line may end with the stream. readLines keeps at most limit bytes of
// a line, and skips the rest of a longer one.
func readLines(ctx context.Context, stream io.Reader, limit int, out chan<- inputEvent) {
	in := bufio.NewReaderSize(stream, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(in, limit)
		event := inputEvent{line: string(line), err: err}
		if errors.Is(err, errTooLong) {
			event.err = &lineError{number: number, limit: limit, unit: "byte"}
		}
		select {
		case out <- event:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, errTooLong) {
			return
		}
	}
}

var errTooLong = errors.New("line too long")

// readLine returns the next line. An error after the first bytes of a line is left to the next call,
// which gets it again.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var line []byte // at most limit+1 bytes: the last one may be the CR
	length, last, found := 0, byte(0), false
	for {
		part, err := in.ReadSlice('\n')
		found = found || len(part) > 0
		if err == nil {
			part = part[:len(part)-1]
		}
		if len(part) > 0 {
			length += len(part)
			last = part[len(part)-1]
			line = append(line, part[:min(len(part), limit+1-len(line))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !found {
			return nil, err
		}
		break
	}
	if last == '\r' {
		length--
	}
	if length > limit {
		return nil, errTooLong
	}
	return line[:length], nil
}

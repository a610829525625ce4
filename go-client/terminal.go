package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// maxTyped is the longest line that the editor takes, in characters. It is the limit of x/term, which
// ignores further characters.
const maxTyped = 4096

// screen prints messages and notices. With an editor it prints through the editor, above the line that
// is being typed; without one it prints to the stream. Any goroutine may call its methods.
type screen struct {
	mu       sync.Mutex
	stdout   io.Writer
	stderr   io.Writer
	escapes  bool    // standard output is a terminal: control characters must not reach it
	joins    bool    // standard error is a terminal too: notices share the editor's screen
	typed    bool    // standard input is a terminal
	editor   *editor // nil unless both are terminals
	isClosed bool
}

// openScreen checks which streams are terminals. If input and output are, it puts the terminal into raw
// mode; close restores it.
func openScreen(stdin io.Reader, stdout, stderr io.Writer) (*screen, error) {
	in, inFile := terminal(stdin)
	out, outFile := terminal(stdout)
	_, joins := terminal(stderr)
	s := &screen{stdout: stdout, stderr: stderr, escapes: outFile, joins: joins, typed: inFile}
	if !inFile || !outFile {
		return s, nil
	}
	var err error
	s.editor, err = newEditor(in, out)
	return s, err
}

func terminal(stream any) (*os.File, bool) {
	file, ok := stream.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// message prints a text message that arrived.
func (s *screen) message(text string) error {
	if s.escapes {
		text = escape(text)
	}
	return s.line(text)
}

// line prints a line on standard output.
func (s *screen) line(text string) error {
	return s.print(s.stdout, true, text+"\n")
}

// notice prints a line of the client's own on standard error.
func (s *screen) notice(format string, args ...any) {
	// An error of standard error cannot be reported.
	_ = s.print(s.stderr, s.joins, "go-client: "+fmt.Sprintf(format, args...)+"\n")
}

func (s *screen) print(stream io.Writer, shares bool, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor != nil && !s.isClosed && shares {
		stream = s.editor.terminal
	}
	_, err := io.WriteString(stream, text)
	return err
}

// close restores the terminal. Text that is printed later follows on lines of its own.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor != nil && !s.isClosed {
		s.editor.close()
	}
	s.isClosed = true
}

// editor is the line being typed, on a terminal in raw mode.
type editor struct {
	in, out   *os.File
	terminal  *term.Terminal
	saved     *term.State
	stopSizes func()
	truncated bool // the line being typed is longer than maxTyped; only read and its callback use it
}

func newEditor(in, out *os.File) (*editor, error) {
	saved, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	e := &editor{in: in, out: out, saved: saved}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, wideRunes{out}}, "> ")
	e.terminal.AutoCompleteCallback = e.complete
	e.stopSizes = onResize(func() {
		if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			_ = e.terminal.SetSize(width, height)
		}
	})
	return e, nil
}

func (e *editor) close() {
	e.stopSizes()
	// Move below the prompt and the line that was being typed. The editor would print both again, so
	// write to the terminal directly.
	_, _ = e.out.WriteString("\r\n")
	_ = term.Restore(int(e.in.Fd()), e.saved)
}

// read sends the typed lines to out until Ctrl-C, Ctrl-D on an empty line, or the terminal's end.
func (e *editor) read(ctx context.Context, out chan<- inputEvent) {
	for {
		line, err := e.terminal.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		event := inputEvent{line: line, err: err}
		if err == nil && e.truncated {
			event.err = &lineError{limit: maxTyped, unit: "character"}
		}
		e.truncated = false
		select {
		case out <- event:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// complete is called for each key. It replaces a tab, which the editor would ignore, by four spaces, and
// records that the editor ignores a character because the line is full.
func (e *editor) complete(line string, pos int, key rune) (string, int, bool) {
	const tab = "    "
	full := utf8.RuneCountInString(line) + len(tab)
	switch {
	case key == '\t' && full <= maxTyped:
		return line[:pos] + tab + line[pos:], pos + len(tab), true
	case key == '\t' || key >= ' ' && utf8.RuneCountInString(line) >= maxTyped:
		e.truncated = true
	}
	return "", 0, false
}

// wideRunes corrects what x/term writes before a message: it moves left by as many columns as the
// line has characters, which is too few if some of them are two columns wide.
type wideRunes struct{ out io.Writer }

func (w wideRunes) Write(p []byte) (int, error) {
	const clear = "\x1b[K"
	if move, rest, found := bytes.Cut(p, []byte(clear)); found && isMoveLeft(string(move)) {
		if _, err := io.WriteString(w.out, "\r"+clear); err != nil {
			return 0, err
		}
		if _, err := w.out.Write(rest); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return w.out.Write(p)
}

func isMoveLeft(sequence string) bool {
	digits, left := strings.CutSuffix(sequence, "D")
	digits, escape := strings.CutPrefix(digits, "\x1b[")
	return left && escape && strings.Trim(digits, "0123456789") == ""
}

//go:build unix

package main

import (
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/gorilla/websocket"
	"golang.org/x/term"
)

// typist is a client at a pseudo-terminal of 80 columns.
type typist struct {
	*client
	screen   *emulator
	keyboard *os.File
	tty      *os.File
	cooked   *term.State // the terminal's state before the client came
}

func startTypist(t *testing.T, args ...string) *typist {
	t.Helper()
	keyboard, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(keyboard, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	p := &typist{client: &client{stderr: newOutput()}, screen: newEmulator(80), keyboard: keyboard, tty: tty}
	if p.cooked, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	command := clientCommand(t, args...)
	command.Stdin, command.Stdout, command.Stderr = tty, tty, tty
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(p.screen, keyboard)
	}()
	// Runs after start's: the reading ends when the last who holds the terminal lets go of it.
	t.Cleanup(func() {
		tty.Close()
		<-read
		keyboard.Close()
	})
	start(t, command, p.client)
	return p
}

func (p *typist) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(p.keyboard, keys); err != nil {
		t.Fatal(err)
	}
}

// expectRestored checks that the client left with this status and the terminal as it was.
func (p *typist) expectRestored(t *testing.T, status int) {
	t.Helper()
	p.expectExit(t, status)
	state, err := term.GetState(int(p.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(state, p.cooked) {
		t.Fatalf("terminal state %+v, was %+v", state, p.cooked)
	}
}

func TestArrivingMessagesAppearAboveTheLineBeingTyped(t *testing.T) {
	long := strings.Repeat("0123456789", 17) // three rows with the prompt
	for _, typed := range []struct {
		line string
		rows []string
	}{
		{"salut, ce", []string{"> salut, ce"}},
		{"salut 👋 世界", []string{"> salut 👋 世界"}},
		{long, []string{"> " + long[:78], long[78:158], long[158:]}},
	} {
		h := startHub(t)
		p := startTypist(t, "-id=x", h.url("/"))
		p.screen.await(t, ">")
		receive(t, h.joined)
		p.press(t, typed.line)
		p.screen.await(t, typed.rows...)
		h.broadcast("[y] unu")
		p.screen.await(t, append([]string{"[y] unu"}, typed.rows...)...)
		h.broadcast("[y] doi")
		p.screen.await(t, append([]string{"[y] unu", "[y] doi"}, typed.rows...)...)
		p.press(t, "!\r")
		expect(t, h.received, "[x] "+typed.line+"!")
		rows := append([]string{"[y] unu", "[y] doi"}, typed.rows...)
		rows[len(rows)-1] += "!"
		if typed.line != long {
			p.screen.await(t, append(rows, "[x] "+typed.line+"!", ">")...)
		}
		p.press(t, "\x04")
		p.expectRestored(t, exitOK)
	}
}

func TestKeysThatLeaveCloseCleanlyAndRestoreTheTerminal(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, *typist){
		"Ctrl-C":                  func(t *testing.T, p *typist) { p.press(t, "\x03") },
		"Ctrl-D":                  func(t *testing.T, p *typist) { p.press(t, "\x04") },
		"Ctrl-C in a line":        func(t *testing.T, p *typist) { p.press(t, "half\x03") },
		"SIGTERM":                 func(t *testing.T, p *typist) { p.signal(syscall.SIGTERM) },
		"SIGINT from outside":     func(t *testing.T, p *typist) { p.signal(syscall.SIGINT) },
		"Ctrl-D after a sent one": func(t *testing.T, p *typist) { p.press(t, "a\r\x04") },
	} {
		t.Run(name, func(t *testing.T) {
			h := startHub(t)
			p := startTypist(t, "-id=x", h.url("/"))
			p.screen.await(t, ">")
			leave(t, p)
			p.expectRestored(t, exitOK)
			expect(t, h.closes, websocket.CloseNormalClosure)
		})
	}
}

func TestNoticesAppearAboveTheLineBeingTyped(t *testing.T) {
	h := startHub(t)
	p := startTypist(t, "-id=x", h.url("/"))
	p.screen.await(t, "go-client: connected to "+strings.TrimPrefix(h.url("/"), "-url=")+" as x; Ctrl-D leaves", ">")
	receive(t, h.joined)
	p.press(t, "half")
	p.screen.await(t, "> half")
	h.closeAll(websocket.CloseGoingAway, "")
	p.screen.await(t, "go-client: connected again", "> half")
	p.press(t, " and half\r")
	expect(t, h.received, "[x] half and half")
}

func TestServerThatEndsTheChatRestoresTheTerminal(t *testing.T) {
	h := startHub(t)
	p := startTypist(t, "-id=x", "-reconnect=false", h.url("/"))
	p.screen.await(t, ">")
	receive(t, h.joined)
	h.cut()
	p.expectRestored(t, exitFailed)
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	h := startHub(t)
	p := startTypist(t, "-id=x", h.url("/"))
	p.screen.await(t, ">")
	receive(t, h.joined)
	h.broadcast("[y] \x1b[2J\x07\r\n[z] feigned \u009b")
	p.screen.await(t, `[y] \x1b[2J\a\r\n[z] feigned \u009b`, ">")
}

func TestTypedTabsAndTooLongLinesAreNotLostInSilence(t *testing.T) {
	h := startHub(t)
	p := startTypist(t, "-id=x", h.url("/"))
	p.screen.await(t, ">")
	p.press(t, "a\tb\r")
	expect(t, h.received, "[x] a    b")
	p.press(t, strings.Repeat("z", maxTyped+1))
	p.press(t, "\r")
	p.screen.await(t, "go-client: the line is longer than 4096 characters: not sent", ">")
	p.press(t, strings.Repeat("z", maxTyped)+"\r")
	expect(t, h.received, "[x] "+strings.Repeat("z", maxTyped))
}

// As in `go-client -id=x | tee log`: the terminal edits the line itself, and Ctrl-D there is the
// user's leaving, which waits for no echo.
func TestTypedInputWithoutATerminalForOutputLeavesAtItsEnd(t *testing.T) {
	h := startHub(t)
	h.mute.Store(true)
	keyboard, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	defer tty.Close()
	c := &client{stdout: newOutput(), stderr: newOutput()}
	command := clientCommand(t, "-id=x", h.url("/"))
	command.Stdin, command.Stdout, command.Stderr = tty, c.stdout, c.stderr
	start(t, command, c)
	if _, err := io.WriteString(keyboard, "salut\n\x04"); err != nil {
		t.Fatal(err)
	}
	c.expectExit(t, exitOK)
	expect(t, h.received, "[x] salut")
	expect(t, h.closes, websocket.CloseNormalClosure)
}

func TestTerminalShowsWhoseWordANameIs(t *testing.T) {
	h := startJSONHub(t)
	p := startTypist(t, "-id=x", h.url("/"))
	p.screen.await(t, ">")
	receive(t, h.joined)
	p.press(t, "half")
	p.screen.await(t, "> half")
	h.publish("[ana] salut", fields{"client": "c9", "name": "ana"})
	h.publish("[ana] salut", fields{"client": "c8", "name": "ana", "claimed": true})
	h.publish("[ana] salut", fields{"client": "c7"})
	h.publish("[ana] salut", fields{"client": "c6", "name": "bob"})
	h.publish("salut", fields{"client": "c5"})
	h.publish("from the host\x1b")
	p.screen.await(t,
		"[ana] salut", "[ana?] salut", "[ana?] salut", "[bob] [ana?] salut", "[?] salut", `from the host\x1b`,
		"> half")
	p.press(t, " line\r")
	p.screen.await(t, "> half line", "[x] half line", ">")
	h.tell(fields{"type": "entered", "room": "te]a", "position": "g-7"})
	h.publish("[y] salut", fields{"client": "c9", "name": "y"})
	p.screen.await(t, "lobby: [y] salut", ">")
	p.press(t, "\x04")
	p.expectRestored(t, exitOK)
}

func TestTerminalMarksWhatOtherClientsOfTheServerClaim(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	p := startTypist(t, "-id=x", "-url="+s.url)
	p.screen.await(t, "go-client: connected to "+s.url+" as x; Ctrl-D leaves", ">")
	p.press(t, "a\r")
	p.screen.await(t, "[x] a", ">")
	s.join(t, "y")
	s.join(t, "z", "-plain")
	s.observe(t).send(t, "b")
	p.screen.await(t, "[x] a", "[y?] hello", "[z?] hello", "[?] b", ">")
	p.press(t, "\x04")
	p.expectRestored(t, exitOK)
}

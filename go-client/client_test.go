package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEscapedTextCannotControlATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"salut, țară 👋\t!":        "salut, țară 👋\t!",
		"a\x1b[2Jb":               `a\x1b[2Jb`,
		"a\r\nb\x00\x7f":          `a\r\nb\x00\x7f`,
		"\u009b2J\u2028":          `\u009b2J\u2028`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\xff\xc3":                `\xff\xc3`,
		"real \uFFFD, שלום\u200f": "real \uFFFD, שלום\u200f",
	} {
		if got := escape(text); got != want {
			t.Errorf("escape(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestMessagesAreOnlyEscapedForATerminal(t *testing.T) {
	for escapes, want := range map[bool]string{true: `\x1b` + "\n", false: "\x1b\n"} {
		stdout := newOutput()
		s := &screen{stdout: stdout, escapes: escapes}
		if err := s.message("\x1b"); err != nil || stdout.String() != want {
			t.Errorf("escapes=%v: %q, %v", escapes, stdout, err)
		}
	}
}

func TestBackoffDoublesUpToItsMaximumWithJitter(t *testing.T) {
	b := backoff{min: 100, max: 1000}
	for range 3 {
		for _, longest := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			if wait := b.next(); wait < longest/2 || wait > longest {
				t.Fatalf("attempt %d waits %d, want %d to %d", b.attempt, wait, longest/2, longest)
			}
		}
		b.reset()
	}
	b.attempt = 1000
	if wait := b.next(); wait < 500 || wait > 1000 {
		t.Fatalf("attempt 1001 waits %d", wait)
	}
	waits := map[time.Duration]bool{}
	for range 100 {
		b := backoff{min: time.Second, max: time.Minute}
		waits[b.next()] = true
	}
	if len(waits) < 50 {
		t.Fatal("the waits have no jitter")
	}
}

func TestLinesAreReadUpToTheLimitAndOnAfterIt(t *testing.T) {
	long := strings.Repeat("x", 70_000) // longer than the reader's buffer
	for input, want := range map[string][]string{
		"":                 {},
		"\n":               {""},
		"a\nb":             {"a", "b"},
		"a\r\n\r\nb\r":     {"a", "", "b"},
		"a\rb\n":           {"a\rb"},
		long + "\nb\n":     {long, "b"},
		long + "\r\nb\n":   {long, "b"},
		long + "y\nb\n":    {"-", "b"},
		long + "\ry\nb\n":  {"-", "b"},
		long + long + long: {"-"},
	} {
		in := bufio.NewReader(strings.NewReader(input))
		got := []string{}
		for {
			line, err := readLine(in, len(long))
			if errors.Is(err, io.EOF) {
				break
			}
			if errors.Is(err, errTooLong) {
				line = []byte("-")
			}
			got = append(got, string(line))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.20q… (%d bytes): %d lines, want %d: %.60q", input, len(input), len(got), len(want), got)
		}
	}
}

func TestBrokenInputIsReported(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
	c.stdin.(*io.PipeWriter).CloseWithError(errors.New("disk on fire"))
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "cannot read the input: disk on fire")
}

func TestDeliveryCountsOwnEchoesInOrder(t *testing.T) {
	d := delivery{echo: true}
	for _, text := range []string{"a", "a", "b", "c"} {
		d.send(text)
	}
	for _, step := range []struct {
		text        string
		own         bool
		unconfirmed int
	}{
		{"other", false, 4}, {"a", true, 3}, {"a", true, 2}, {"a", false, 2},
		{"c", true, 0}, // the server left out b, but has read it: the room has one order
		{"b", false, 0},
	} {
		if own := d.arrive(step.text); own != step.own || d.unconfirmed() != step.unconfirmed {
			t.Fatalf("after %q: own %v, %d unconfirmed; want %+v", step.text, own, d.unconfirmed(), step)
		}
	}
}

func TestAnAnsweredPingConfirmsTheLinesBeforeIt(t *testing.T) {
	d := delivery{echo: true}
	for i := range 5 {
		d.send(fmt.Sprint(i))
	}
	d.arrive("0")
	d.confirm(3)
	d.confirm(2)
	if d.unconfirmed() != 2 || len(d.awaited) != 4 {
		t.Fatalf("%d unconfirmed, %d awaited", d.unconfirmed(), len(d.awaited))
	}
	d.forgetConfirmed()
	if !slices.Equal(d.awaited, []string{"3", "4"}) || d.bytes != 2 {
		t.Fatalf("awaited %q, %d bytes", d.awaited, d.bytes)
	}
	d.confirm(99)
	if d.unconfirmed() != 0 {
		t.Fatal("more lines confirmed than sent")
	}
}

func TestTheWindowIsBoundedInLinesAndBytes(t *testing.T) {
	lines := delivery{echo: true}
	for range windowLines {
		if !lines.hasRoom() {
			t.Fatal("no room before the bound")
		}
		lines.send("a")
	}
	large := delivery{echo: true}
	large.send(strings.Repeat("a", windowBytes))
	if lines.hasRoom() || large.hasRoom() {
		t.Fatal("room beyond the bound")
	}
	large.arrive(strings.Repeat("a", windowBytes))
	if !large.hasRoom() {
		t.Fatal("no room after the echo")
	}
}

func TestRoomIsPercentEncodedOnTheURLsServer(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "ws://127.0.0.1:9001/",
		"-room=tea":                          "ws://127.0.0.1:9001/rooms/tea",
		"-room=a/b?c#d%e ț":                  "ws://127.0.0.1:9001/rooms/a%2Fb%3Fc%23d%25e%20%C8%9B",
		"-url=wss://h?echo=false -room=tea":  "wss://h/rooms/tea?echo=false",
		"-url=ws://h:1/rooms/a%2Fb?history=": "ws://h:1/rooms/a%2Fb?history=",
		"-url=ws://h/#top":                   "ws://h/",
	} {
		flags := []string{"-id=x"}
		if args != "" {
			first, second, _ := strings.Cut(args, " -")
			flags = append(flags, first)
			if second != "" {
				flags = append(flags, "-"+second)
			}
		}
		opts, err := parseOptions(flags)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		} else if got := opts.url.String(); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

func TestExcerptsAreShortAndSafe(t *testing.T) {
	if got := excerpt("[x] \x1b" + strings.Repeat("ț", 10_000)); len(got) > 150 || strings.Contains(got, "\x1b") {
		t.Fatalf("excerpt is %d bytes: %s", len(got), got)
	}
}

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// cuts is how often a connection to the real server is cut; CUTS changes it.
func cuts(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("CUTS")
	if text == "" {
		return 200
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("CUTS=%s: %v", text, err)
	}
	return n
}

// cutRun is a chat of a client whose connections are cut, with clients of the plain form.
type cutRun struct {
	shown  string // by the client, up to its last line
	seen   string // by another client, up to the same line
	said   int    // lines of the client but the last one
	status int
	stderr string
}

// cut lets a client chat through connections that break after any byte of the server's.
func (s *server) cut(t *testing.T, seed uint64, publishers int) cutRun {
	t.Helper()
	t.Logf("repeat with CUT_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	cuts := cuts(t)
	var connections atomic.Int64
	url := s.breakingProxy(t, func() int64 {
		switch n := connections.Add(1); {
		case n == 1: // the first connection must come about
			return 2000 + random.Int64N(1000)
		case n <= cuts:
			return random.Int64N(6000)
		}
		return 1 << 40
	})
	var others []*observer
	for range publishers {
		others = append(others, s.observe(t))
	}
	o := others[0]
	c := startClient(t, eager(), "-id=x", "-url="+url)
	c.say(t, "first")
	o.seen.await(t, "[x] first\n")
	run := cutRun{said: 1 + chat(t, others, c, func() bool { return connections.Load() > cuts })}
	c.pipe(t, "last\n")
	run.status = receive(t, c.exited)
	o.seen.await(t, "[x] last\n")
	run.seen, _, _ = strings.Cut(o.seen.String(), "[x] last\n")
	run.shown = strings.TrimSuffix(c.stdout.String(), "[x] last\n")
	run.stderr = c.stderr.String()
	return run
}

// chat lets the others send messages in turn, and the client say lines, until done, and returns the number
// of lines. The others are never far ahead of what the client has shown.
func chat(t *testing.T, others []*observer, c *client, done func() bool) (said int) {
	t.Helper()
	o := others[0]
	for i := 0; !done(); i++ {
		others[i%len(others)].send(t, fmt.Sprintf("[y] %d", i))
		if i%3 == 0 {
			c.say(t, fmt.Sprint(i))
			said++
		}
		timeout := time.After(patience)
		for !done() {
			shown, ofClient := c.stdout.snapshot()
			seen, ofRoom := o.seen.snapshot()
			if behind(shown, seen) < len(others)+i%20 && strings.Count(seen, "[y] ") > i-20 {
				break
			}
			select {
			case <-ofClient:
			case <-ofRoom:
			case <-timeout:
				t.Fatalf("the client shows nothing any more:\n%s", c.stderr)
			}
		}
	}
	return said
}

// behind returns how many lines of the room came after the last line of a text.
func behind(text, seen string) int {
	last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
	return strings.Count(seen[max(0, strings.LastIndex(seen, last)):], "\n") - 1
}

func TestServerRecoversAClientWhereverItsConnectionBreaks(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run("", func(t *testing.T) {
			s := startServer(t, "--listen", "127.0.0.1:0")
			run := s.cut(t, seed, 1)
			if got, want := run.shown, run.seen; got != want {
				at := 0
				for at < min(len(got), len(want)) && got[at] == want[at] {
					at++
				}
				t.Fatalf("%d bytes shown, %d in the room; the first that differs is %d: %.100q, %.100q\nstandard error:\n%s",
					len(got), len(want), at, got[at:], want[at:], run.stderr)
			}
			lost := run.said - strings.Count(run.seen, "[x] ")
			told := reported(t, run.stderr)
			// The server may read a line after the replay that lacks it.
			if told < lost || lost < 0 || (run.status == exitFailed) != (told > 0) {
				t.Fatalf("of %d lines %d are not in the room, and %d were reported; exit status %d",
					run.said, lost, told, run.status)
			}
			if strings.Contains(run.stderr, "may be missing") {
				t.Fatalf("a room was not recovered:\n%s", run.stderr)
			}
		})
	}
}

// A room that keeps little loses messages before the client is back.
func TestServerThatKeepsTooLittleLeavesNoGapUntold(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run("", func(t *testing.T) {
			s := startServer(t, "--listen", "127.0.0.1:0", "--history-messages", "10")
			run := s.cut(t, seed, 8)
			seen := strings.Split(run.seen, "\n")
			gaps, at := 0, 0
			for line := range strings.Lines(run.shown) {
				next := slices.Index(seen[at:], strings.TrimSuffix(line, "\n"))
				if next < 0 {
					t.Fatalf("%q is shown twice, or before what came before it\nstandard error:\n%s", line, run.stderr)
				}
				if next > 0 {
					gaps++
				}
				at += next + 1
			}
			told := strings.Count(run.stderr, "may be missing from here: the room no longer keeps what was said first (trimmed)\n")
			if gaps == 0 || gaps > told {
				t.Fatalf("%d gaps, %d of which are told:\n%s", gaps, told, run.stderr)
			}
		})
	}
}

func TestServerThatRestartedIsSaidToHaveANewHistory(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	c := s.join(t, "x")
	s.stop()
	expect(t, s.exited, 0)
	c.stderr.await(t, "go-client: the server is stopping")
	c.stderr.await(t, "attempt 1 to connect again in ")
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "ws://"), "/")
	startServer(t, "--listen", address)
	c.stderr.await(t, `messages of the room "lobby" may be missing from here: the room began anew (epoch)`+"\n")
	c.pipe(t, "again\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] hello\n[x] again\n")
}

func TestServersHeartbeatKeepsAClientToWhichNobodySpeaks(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0", "--ping-interval", "50ms", "--ping-timeout", "1h")
	timing := quick()
	timing.slack = time.Second
	c := startClient(t, timing, "-id=x", "-url="+s.url)
	c.say(t, "a")
	c.stdout.await(t, "[x] a\n")
	_, changed := c.stderr.snapshot()
	select {
	case <-time.After(2 * timing.slack):
	case <-changed:
		t.Fatalf("an idle connection is not kept:\n%s", c.stderr)
	}
}

// slowOutput is a standard output that nobody reads before it is released.
type slowOutput struct {
	*output
	released chan struct{}
}

func (s *slowOutput) Write(p []byte) (int, error) {
	<-s.released
	return s.output.Write(p)
}

func TestServerThatClosesASlowClientIsAskedForTheRest(t *testing.T) {
	testSlowClient(t, "disconnect", "because this client was too slow (")
}

func TestServerThatDropsMessagesOfASlowClientIsAskedForThem(t *testing.T) {
	testSlowClient(t, "drop-oldest", `of the room "lobby", because this client was too slow`+"\n")
}

// testSlowClient expects that a client which has not read for a while shows everything in the end, and
// says why it connected again.
func testSlowClient(t *testing.T, policy, said string) {
	t.Helper()
	const messages = 4_000
	s := startServer(t, "--listen", "127.0.0.1:0", "--slow-consumer", policy,
		"--history-messages", "10000", "--history-size", "64MiB", "--history-total", "64MiB")
	o := s.observe(t)
	stdout := &slowOutput{newOutput(), make(chan struct{})}
	stderr, exited := newOutput(), make(chan int, 1)
	in, stdin := io.Pipe()
	go func() { exited <- run([]string{"-id=x", "-url=" + s.url}, in, stdout, stderr, nil, quick()) }()
	if _, err := io.WriteString(stdin, "first\n"); err != nil {
		t.Fatal(err)
	}
	o.seen.await(t, "[x] first\n")
	filling := strings.Repeat("z", 4<<10)
	for i := range messages {
		o.send(t, fmt.Sprintf("[y] %d %s", i, filling))
		if i%200 == 199 { // the observer itself must not be too slow
			o.seen.await(t, fmt.Sprintf("[y] %d %s\n", i, filling))
		}
	}
	close(stdout.released)
	stdout.await(t, fmt.Sprintf("[y] %d %s\n", messages-1, filling))
	stdin.Close()
	expect(t, exited, exitOK)
	if stdout.String() != o.seen.String() {
		t.Fatalf("the client has shown %d bytes, the room has %d; standard error:\n%s",
			len(stdout.String()), len(o.seen.String()), stderr)
	}
	stderr.await(t, said)
}

func TestPaperSequenceBetweenTheTwoForms(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	client1 := s.join(t, "client1", "-plain")
	client2 := s.join(t, "client2", "-ip=127.0.0.3")
	client1.stdout.await(t, "[client2] hello\n")
	client1.say(t, "salut")
	client2.stdout.await(t, "[client1] salut\n")
	client2.pipe(t, "bună\n")
	client2.expectExit(t, exitOK)
	client1.stdout.await(t, "[client2] bună\n")
	client1.pipe(t, "")
	client1.expectExit(t, exitOK)
	client1.expectOutput(t, "[client1] hello\n[client2] hello\n[client1] salut\n[client2] bună\n")
	client2.expectOutput(t, "[client2] hello\n[client1] salut\n[client2] bună\n")
	for _, c := range []*client{client1, client2} {
		if text := c.stderr.String(); text != "" {
			t.Fatalf("standard error:\n%s", text)
		}
	}
}

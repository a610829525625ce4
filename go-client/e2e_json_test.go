package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// observer is a client of the plain form that prints what it gets, and sends what it is told.
type observer struct {
	*websocket.Conn
	seen *output
}

func (s *server) observe(t *testing.T) *observer {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &observer{conn, newOutput()}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			_, data, err := conn.ReadMessage()
			if err != nil {
				return
			}
			fmt.Fprintf(o.seen, "%s\n", data)
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-read
	})
	return o
}

func (o *observer) send(t *testing.T, text string) {
	t.Helper()
	if err := o.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// breakingProxy passes connections on to the server, each until the server has sent as many bytes as the
// budget says. It returns its URL.
func (s *server) breakingProxy(t *testing.T, budget func() int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "ws://"), "/")
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", address)
			if err != nil {
				down.Close()
				continue
			}
			left := budget()
			end := sync.OnceFunc(func() {
				up.Close()
				down.Close()
			})
			all.Add(2)
			go func() {
				defer all.Done()
				_, _ = io.CopyN(down, up, left)
				end()
			}()
			go func() {
				defer all.Done()
				_, _ = io.Copy(up, down)
				end()
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return "ws://" + listener.Addr().String() + "/"
}

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
	timing.slack = 500 * time.Millisecond
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

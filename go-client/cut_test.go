package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// seeds are those of a random test: three new ones, or that of the environment.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if text := os.Getenv("CUT_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CUT_SEED=%s: %v", text, err)
		}
		return []uint64{seed}
	}
	return []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()}
}

// eager is the timing of tests that reconnect hundreds of times.
func eager() timing {
	fast := quick()
	fast.backoffMin, fast.backoffMax = time.Millisecond, 2*time.Millisecond
	return fast
}

// Connections break after any byte of the server's: in the handshake, between two objects, in a replay,
// before an answer. Others talk on, some with this client's very words.
func TestNothingIsMissingOrDoubleWhereverTheConnectionBreaks(t *testing.T) {
	const cuts = 200
	for _, seed := range seeds(t) {
		t.Run("", func(t *testing.T) {
			t.Logf("repeat with CUT_SEED=%d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			var connections atomic.Int64
			h := startJSONHub(t, func(h *jsonHub) {
				h.budget = func() int {
					switch n := connections.Add(1); {
					case n == 1: // the first connection must come about
						return 1000 + random.IntN(1000)
					case n <= cuts:
						return random.IntN(6000)
					}
					return math.MaxInt
				}
			})
			c := startClient(t, eager(), "-id=x", h.url("/"))
			receive(t, h.joined)
			lines, others := talk(t, h, c, func() bool { return connections.Load() > cuts })
			c.pipe(t, "last\n")
			lines = append(lines, "[x] last")
			status := receive(t, c.exited)

			if got, want := c.stdout.String(), h.texts(); got != want {
				t.Fatalf("after %d messages of others, the client has shown\n%s\nand the room has\n%s\nstandard error:\n%s",
					others, got, want, c.stderr)
			}
			lost := len(lines) - stored(h, lines)
			if told := reported(t, c.stderr.String()); told != lost {
				t.Fatalf("%d lines are not in the room, and %d were reported:\n%s", lost, told, c.stderr)
			}
			if failed := status == exitFailed; failed != (lost > 0) {
				t.Fatalf("exit status %d with %d lost lines", status, lost)
			}
			if strings.Contains(c.stderr.String(), "may be missing") {
				t.Fatalf("a room was not recovered:\n%s", c.stderr)
			}
		})
	}
}

// talk publishes messages, and says lines of the client's, until done. It is never far ahead of what the
// client has shown, so that connections break at the end of the room as well as in replays.
func talk(t *testing.T, h *jsonHub, c *client, done func() bool) (lines []string, others int) {
	t.Helper()
	timeout := time.After(patience)
	for i := 0; !done(); i++ {
		h.publish(fmt.Sprintf("[y] %d", i), fields{"client": "other", "name": "y"})
		others++
		if i%3 == 0 {
			c.say(t, fmt.Sprint(i))
			lines = append(lines, fmt.Sprintf("[x] %d", i))
		}
		if i%9 == 0 {
			h.publish(fmt.Sprintf("[x] %d", i), fields{"client": "other"})
			others++
		}
		for !done() {
			shown, changed := c.stdout.snapshot()
			h.mu.Lock()
			behind := len(h.history) - strings.Count(shown, "\n")
			h.mu.Unlock()
			if behind < 1+i%20 {
				break
			}
			select {
			case <-changed:
			case <-timeout:
				t.Fatalf("the client shows nothing any more:\n%s", c.stderr)
			}
		}
	}
	return lines, others
}

// stored counts the lines that the room has from this client's connections.
func stored(h *jsonHub, lines []string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	said := map[string]bool{}
	for _, message := range h.history {
		if client, _ := message["client"].(string); client != "" && client != "other" {
			said[message["text"].(string)] = true
		}
	}
	n := 0
	for _, line := range lines {
		if said[line] {
			n++
		}
	}
	return n
}

var report = regexp.MustCompile(`(\d+) lines? may not have been delivered and will not be sent again`)

// reported adds up the lines that the client has reported.
func reported(t *testing.T, stderr string) int {
	t.Helper()
	sum := 0
	for _, match := range report.FindAllStringSubmatch(stderr, -1) {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

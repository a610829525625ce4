package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const (
	runExample = "LIBCHAT_TEST_RUNS_SUPPORT"
	patience   = 30 * time.Second // Bounds every wait of the tests.
)

// The test's program is the example itself, if its environment says so.
func TestMain(m *testing.M) {
	if os.Getenv(runExample) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the example, as a process of its own.
type program struct {
	*exec.Cmd
	url    string       // Without a path.
	stderr bytes.Buffer // Complete when the process has ended.
}

func start(t *testing.T) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(os.Args[0], "127.0.0.1:0")}
	p.Env = append(os.Environ(), runExample+"=1")
	p.Stderr = &p.stderr
	output, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	var addr string
	if _, scanned := fmt.Sscanf(line, "support at ws://%s - Ctrl-C stops it", &addr); scanned != nil {
		p.Wait()
		t.Fatalf("it says %q: %v %v\n%s", line, err, scanned, &p.stderr)
	}
	p.url = "ws://" + addr[:len(addr)-1]
	return p
}

// member is a client in a room, as others are told of it.
type member struct{ Client, Name, Was string }

// object is what the server tells a client of the JSON form.
type object struct {
	Type, Room, Name, Text, Code string
	Count                        int
	List, Joined, Left, Returned []member
}

// peer is a client of the JSON form.
type peer struct {
	*websocket.Conn
	seen []object // All that it was told.
}

func (p *program) connect(t *testing.T, path string, header http.Header) *peer {
	t.Helper()
	conn, answer, err := websocket.DefaultDialer.Dial(p.url+path, header)
	if err != nil {
		t.Fatal(path, answer, err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &peer{Conn: conn}
}

// agent connects an agent, who is told who is in its rooms.
func (p *program) agent(t *testing.T, name string) *peer {
	t.Helper()
	agent := p.connect(t, "/rooms/desk?format=json&members=true&token="+name+"-secret", nil)
	if room := agent.enters(t).Room; room != "desk" {
		t.Fatal("an agent enters", room)
	}
	return agent
}

// customer connects the customer with this cookie, and returns its room.
func (p *program) customer(t *testing.T, cookie string) (customer *peer, room string) {
	t.Helper()
	customer = p.connect(t, "/?format=json", http.Header{"Cookie": {"customer=" + cookie}})
	return customer, customer.enters(t).Room
}

// enters reads until the client enters a room.
func (p *peer) enters(t *testing.T) object {
	t.Helper()
	return p.told(t, "entered")
}

// told reads until an object of this type comes.
func (p *peer) told(t *testing.T, kind string) object {
	t.Helper()
	return p.until(t, kind, func(object) bool { return true })
}

// hears reads until this message comes. Further fields of it do not count.
func (p *peer) hears(t *testing.T, want object) {
	t.Helper()
	p.until(t, "message", func(it object) bool {
		return it.Room == want.Room && it.Name == want.Name && it.Text == want.Text
	})
}

// watches reads until what it is told of the members of a room fits.
func (p *peer) watches(t *testing.T, room string, fits func(object) bool) {
	t.Helper()
	p.until(t, "members", func(it object) bool { return it.Room == room && fits(it) })
}

func (p *peer) until(t *testing.T, kind string, fits func(object) bool) object {
	t.Helper()
	for {
		var got object
		_, data, err := p.ReadMessage()
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil {
			t.Fatalf("%v: no such %s, but %+v", err, kind, p.seen)
		}
		p.seen = append(p.seen, got)
		if got.Type == kind && fits(got) {
			return got
		}
	}
}

// news are the messages of the program in the desk, of all that came until now.
func (p *peer) news() (texts []string) {
	for _, heard := range p.seen {
		if heard.Room == "desk" && heard.Type == "message" && heard.Name == "" {
			texts = append(texts, heard.Text)
		}
	}
	return texts
}

func (p *peer) say(t *testing.T, room, text string) {
	t.Helper()
	if err := p.WriteJSON(map[string]string{"room": room, "text": text}); err != nil {
		t.Fatal(err)
	}
}

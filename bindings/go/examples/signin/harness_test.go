package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const (
	runExample = "LIBCHAT_TEST_RUNS_SIGNIN"
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
	opened string // The host and port that it says to open.
	port   string
	stderr bytes.Buffer // Complete when the process has ended.
}

func command(t *testing.T, args ...string) *exec.Cmd {
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), runExample+"=1")
	return command
}

// start starts the example on a free port, as -listen has it with this host.
func start(t *testing.T, host string) *program {
	t.Helper()
	p := &program{Cmd: command(t, "-listen="+host+":0")}
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
	if err != nil {
		p.Wait()
		t.Fatalf("%v\n%s", err, &p.stderr)
	}
	var address string
	fmt.Sscanf(line, "open %s in two browsers", &address)
	opened, err := url.Parse(address)
	if err != nil || opened.Port() == "" {
		t.Fatalf("it says %q: %v", line, err)
	}
	p.opened, p.port = opened.Host, opened.Port()
	return p
}

// browser is a person at one address of the program, with that person's cookies.
type browser struct {
	host string
	jar  http.CookieJar
}

func (p *program) browser(t *testing.T, name string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{host: name + ":" + p.port, jar: jar}
}

func (b *browser) origin() string { return "http://" + b.host }

// cookie is the cookie that the browser has got.
func (b *browser) cookie(t *testing.T) string {
	t.Helper()
	cookies := b.jar.Cookies(&url.URL{Scheme: "http", Host: b.host, Path: "/"})
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	return cookies[0].Value
}

// signIn sends the form, from a page of this origin, and returns the page that follows.
func (b *browser) signIn(t *testing.T, name, origin string) (status int, text string) {
	t.Helper()
	form := strings.NewReader(url.Values{"name": {name}}.Encode())
	request, err := http.NewRequestWithContext(t.Context(), "POST", b.origin()+"/signin", form)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", origin)
	client := http.Client{Jar: b.jar, Timeout: patience}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// open connects to the chat, from a page of this origin.
func (b *browser) open(origin string) (*websocket.Conn, int, error) {
	dialer := websocket.Dialer{Jar: b.jar, HandshakeTimeout: patience}
	conn, answer, err := dialer.Dial("ws://"+b.host+"/chat/?history=50", http.Header{"Origin": {origin}})
	if answer == nil {
		return conn, 0, err
	}
	return conn, answer.StatusCode, err
}

// chat signs in and connects.
func (b *browser) chat(t *testing.T, name string) *websocket.Conn {
	t.Helper()
	if status, text := b.signIn(t, name, b.origin()); status != http.StatusOK {
		t.Fatalf("signing in: %d %s", status, text)
	}
	conn, status, err := b.open(b.origin())
	if err != nil {
		t.Fatalf("connecting: %d %v", status, err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

func say(t *testing.T, conn *websocket.Conn, kind int, text string) {
	t.Helper()
	if err := conn.WriteMessage(kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// expect reads until a line comes that the author or, without one, the program has written.
func expect(t *testing.T, conn *websocket.Conn, want line) {
	t.Helper()
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("%v, before %+v", err, want)
		}
		var got line
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if got == want {
			return
		}
		// Of who comes and leaves, the order in the midst of a chat is open.
		if got.From != "" {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

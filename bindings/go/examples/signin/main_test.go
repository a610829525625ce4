package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

const runExample = "LIBCHAT_TEST_RUNS_SIGNIN"

// The test's program is the example itself, if its environment says so.
func TestMain(m *testing.M) {
	if os.Getenv(runExample) != "" {
		main()
		return
	}
	m.Run()
}

func TestOnlyThoseWhoSignedInMayChat(t *testing.T) {
	server, err := chat.Start(chat.Options{
		Listen: []string{"127.0.0.1:0"}, AdmissionTimeout: 10 * time.Second, EventQueue: 64,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sessions := signer{[]byte("a key of the test")}
	go host(t.Context(), server, sessions)
	pages := httptest.NewServer(web(sessions, 0))
	defer pages.Close()

	address := "ws://" + server.Addr().String() + "/"
	_, response, err := websocket.DefaultDialer.Dial(address, nil)
	if err == nil || response.StatusCode != http.StatusUnauthorized {
		t.Fatal("without a cookie:", err)
	}
	forged := http.Header{"Cookie": {cookieName + "=" + signer{[]byte("another key")}.sign("ana")}}
	_, response, err = websocket.DefaultDialer.Dial(address, forged)
	if err == nil || response.StatusCode != http.StatusUnauthorized {
		t.Fatal("with a forged cookie:", err)
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar, Timeout: 10 * time.Second}
	answer, err := browser.PostForm(pages.URL+"/login", url.Values{"name": {"ana"}})
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal("signing in:", answer, err)
	}
	answer.Body.Close()
	dialer := websocket.Dialer{Jar: jar, HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.Dial(address, nil)
	if err != nil {
		t.Fatal("with the cookie:", err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != "ana has come" {
		t.Fatalf("%q %v", text, err)
	}
}

// The example as a process: its pages are let in by their origin, others' are not, and Ctrl-C ends it.
func TestTheExamplesOwnPagesMayConnect(t *testing.T) {
	example := exec.CommandContext(t.Context(), os.Args[0], "-listen=127.0.0.1:0", "-chat=127.0.0.1:0")
	example.Env = append(os.Environ(), runExample+"=1")
	example.Stderr = os.Stderr
	output, err := example.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := example.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		example.Process.Kill()
		example.Wait()
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	var origin string
	if _, scanErr := fmt.Sscanf(line, "open %s in two browsers", &origin); err != nil || scanErr != nil {
		t.Fatalf("it says %q: %v", line, errors.Join(err, scanErr))
	}
	origin = origin[:len(origin)-1] // Without the slash, as browsers send it.

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar, Timeout: 10 * time.Second}
	answer, err := browser.PostForm(origin+"/login", url.Values{"name": {"ana"}})
	if err != nil {
		t.Fatal("signing in:", err)
	}
	html, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	port := regexp.MustCompile(`location.hostname \+ ":(\d+)/"`).FindSubmatch(html)
	if err != nil || port == nil {
		t.Fatalf("the page names no port of the chat: %v\n%s", err, html)
	}
	address := fmt.Sprintf("ws://127.0.0.1:%s/", port[1])
	dialer := websocket.Dialer{Jar: jar, HandshakeTimeout: 10 * time.Second}
	_, response, err := dialer.Dial(address, http.Header{"Origin": {"http://elsewhere.example"}})
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Fatal("from another origin:", response, err)
	}
	conn, _, err := dialer.Dial(address, http.Header{"Origin": {origin}})
	if err != nil {
		t.Fatal("from its own page:", err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != "ana has come" {
		t.Fatalf("%q %v", text, err)
	}

	if err := example.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Error("at the end:", err)
	}
	if err := example.Wait(); err != nil {
		t.Error("the example:", err)
	}
}

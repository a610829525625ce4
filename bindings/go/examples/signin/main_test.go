package main

import (
	"errors"
	"html"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestPeopleSeeWhoSaidWhatAtLocalhostAndAt127001(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1"} {
		p := start(t, "127.0.0.1")
		ana := p.browser(t, host).chat(t, "ana")
		expect(t, ana, line{"", "ana has come"})
		ben := p.browser(t, host).chat(t, "ben")
		expect(t, ana, line{"", "ben has come"})
		say(t, ana, websocket.TextMessage, "salut")
		expect(t, ben, line{"ana", "salut"})
		expect(t, ana, line{"ana", "salut"})
		say(t, ben, websocket.TextMessage, "bună")
		expect(t, ana, line{"ben", "bună"})
		ben.Close()
		expect(t, ana, line{"", "ben has left"})

		// Who comes later sees what was said, and by whom.
		dan := p.browser(t, host).chat(t, "dan")
		expect(t, dan, line{"ana", "salut"})
		expect(t, dan, line{"ben", "bună"})
	}
}

func TestOnlyThoseWhoSignedInMayChat(t *testing.T) {
	p := start(t, "127.0.0.1")
	stranger := p.browser(t, "127.0.0.1")
	for _, cookie := range []string{"", "session=", "session=AAAAAAAAAAAAAAAAAAAAAAAAAA", "other=x"} {
		header := http.Header{"Origin": {stranger.origin()}, "Cookie": {cookie}}
		_, answer, err := websocket.DefaultDialer.Dial("ws://"+stranger.host+"/chat/", header)
		if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("with the cookie %q: %v %v", cookie, answer, err)
		}
	}
}

func TestPagesOfOtherOriginsMayNeitherChatNorSignIn(t *testing.T) {
	p := start(t, "127.0.0.1")
	b := p.browser(t, "127.0.0.1")
	foreign := []string{"http://elsewhere.example", "http://localhost:" + p.port, "http://127.0.0.1:1", "null"}
	for _, origin := range foreign {
		if status, _ := b.signIn(t, "ana", origin); status != http.StatusForbidden {
			t.Errorf("%s signs in: %d", origin, status)
		}
	}
	b.chat(t, "ana")
	for _, origin := range foreign {
		if _, status, err := b.open(origin); err == nil || status != http.StatusForbidden {
			t.Errorf("%s connects: %d %v", origin, status, err)
		}
	}
}

func TestMarkupInNamesAndMessagesIsText(t *testing.T) {
	p := start(t, "127.0.0.1")
	const name, text = `<img src=x onerror="alert(1)">`, "</script>\u2028<b>&amp;"
	b := p.browser(t, "127.0.0.1")
	conn := b.chat(t, name)
	if _, page := b.signIn(t, name, b.origin()); strings.Contains(page, "<img") || !strings.Contains(html.UnescapeString(page), name) {
		t.Errorf("the page has the name as markup, or not at all:\n%s", page)
	}
	say(t, conn, websocket.TextMessage, text)
	expect(t, conn, line{name, text})
	if page, err := os.ReadFile("page.html"); err != nil || strings.Contains(string(page), "innerHTML") {
		t.Error("the page takes text for markup", err)
	}
}

func TestOnlyVisibleNamesAndShortTextAreTaken(t *testing.T) {
	p := start(t, "127.0.0.1")
	b := p.browser(t, "127.0.0.1")
	for _, name := range []string{"", "  ", strings.Repeat("x", maxName+1), "a\nb", "a\u202eb", "a\xff"} {
		if status, _ := b.signIn(t, name, b.origin()); status != http.StatusBadRequest {
			t.Errorf("the name %q: %d", name, status)
		}
	}
	conn := b.chat(t, strings.Repeat("<", maxName))
	refused := line{"", "Not sent: a message is text of at most 4096 bytes."}
	say(t, conn, websocket.BinaryMessage, "bytes")
	expect(t, conn, refused)
	say(t, conn, websocket.TextMessage, strings.Repeat("x", maxText+1))
	expect(t, conn, refused)
	// The longest that JSON can make of it.
	longest := strings.Repeat("<", maxText)
	say(t, conn, websocket.TextMessage, longest)
	expect(t, conn, line{strings.Repeat("<", maxName), longest})
}

func TestCtrlCWaitsForTheClientsAndTheCookieIsInNoLog(t *testing.T) {
	p := start(t, "127.0.0.1")
	b := p.browser(t, "127.0.0.1")
	conn := b.chat(t, "ana")
	if _, status, err := b.open("http://elsewhere.example"); err == nil || status != http.StatusForbidden {
		t.Fatal(status, err)
	}
	say(t, conn, websocket.TextMessage, "last words")
	expect(t, conn, line{"ana", "last words"})
	conn.SetCloseHandler(func(int, string) error { return nil }) // The answer takes its time.
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _, err := conn.ReadMessage()
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Error("at the end:", err)
	}
	conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := conn.NetConn().Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it did not wait for the answer:", err)
	}
	answer := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	if err := conn.WriteControl(websocket.CloseMessage, answer, time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err != nil {
		t.Error("the program:", err)
	}
	if log := p.stderr.String(); strings.Contains(log, b.cookie(t)) || log != "" {
		t.Errorf("it logged:\n%s", log)
	}
}

func TestAPortThatIsTakenIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	output, err := command(t, "-listen="+taken.Addr().String()).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "address already in use; choose another address with -listen") {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestTheAddressToOpenIsOneThatABrowserTakes(t *testing.T) {
	for listen, opened := range map[string]string{"127.0.0.1": "127.0.0.1", "0.0.0.0": "localhost"} {
		p := start(t, listen)
		if p.opened != opened+":"+p.port {
			t.Errorf("-listen=%s: it says to open %s", listen, p.opened)
		}
		p.browser(t, opened).chat(t, "ana")
	}
}

func TestTheCookieIsForTheServerAlone(t *testing.T) {
	p := start(t, "127.0.0.1")
	client := http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.PostForm("http://127.0.0.1:"+p.port+"/signin", map[string][]string{"name": {"ana"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	cookies := answer.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" {
		t.Errorf("%v", cookies)
	}
}

func TestTheOldestSessionIsForgottenWhereThereAreTooMany(t *testing.T) {
	users := &sessions{names: map[string]string{}}
	first := users.begin("first")
	second := users.begin("second")
	for range maxSessions - 2 {
		users.begin("another")
	}
	if users.name(first) != "first" {
		t.Error("forgotten too early")
	}
	last := users.begin("last")
	if users.name(first) != "" || users.name(second) != "second" || users.name(last) != "last" || len(users.names) != maxSessions {
		t.Error("the wrong one is forgotten")
	}
}

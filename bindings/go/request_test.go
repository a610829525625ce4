package chat_test

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// sent returns the bytes that a text of the table stands for: each character is a byte.
func sent(text string) string {
	var bytes []byte
	for _, char := range text {
		bytes = append(bytes, byte(char))
	}
	return string(bytes)
}

// or returns a value of the table, or "" if there is none.
func or(t *testing.T, value json.RawMessage) string {
	t.Helper()
	var text *string
	if err := json.Unmarshal(value, &text); err != nil {
		t.Fatal(err)
	}
	if text == nil {
		return ""
	}
	return *text
}

func TestARequestIsReadAsInEveryLanguage(t *testing.T) {
	table, err := os.ReadFile("../../tests/requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Queries, Cookies, Bearers [][]json.RawMessage }
	if err := json.Unmarshal(table, &cases); err != nil {
		t.Fatal(err)
	}
	request := func(name string, lines json.RawMessage) (r chat.Request) {
		var values []string
		if err := json.Unmarshal(lines, &values); err != nil {
			t.Fatal(err)
		}
		for _, value := range values {
			r.Header = append(r.Header, chat.Header{Name: name, Value: sent(value)})
		}
		return r
	}
	expect := func(what []json.RawMessage, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q", what, got)
		}
	}
	for _, it := range cases.Queries {
		expect(it, chat.Request{Query: or(t, it[0])}.QueryValue(or(t, it[1])), or(t, it[2]))
	}
	for _, it := range cases.Cookies {
		expect(it, request("cookie", it[0]).Cookie(or(t, it[1])), or(t, it[2]))
	}
	for _, it := range cases.Bearers {
		expect(it, request("authorization", it[0]).Bearer(), or(t, it[1]))
	}
	if count := len(cases.Queries) + len(cases.Cookies) + len(cases.Bearers); count < 60 {
		t.Errorf("%d cases", count)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("a=%", "a")
	f.Add("Bearer a=b; c", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		r := chat.Request{Query: text, Header: []chat.Header{{Name: "cookie", Value: text}, {Name: "authorization", Value: text}}}
		for _, value := range []string{r.QueryValue(name), r.Cookie(name), r.Bearer()} {
			if len(value) > len(text) {
				t.Errorf("%q has %q", text, value)
			}
		}
	})
}

func TestTheAnswerNamesTheSubprotocolThatTheProgramHasChosen(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64, AdmissionTimeout: patience})
	events := follow(t, server)
	answered := make(chan *http.Response, 1)
	go func() {
		dialer := websocket.Dialer{Subprotocols: []string{"v2", "v1"}, HandshakeTimeout: patience}
		conn, response, err := dialer.Dial("ws://"+server.Addr().String()+"/?token=a%2Bb", nil)
		if err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		answered <- response
	}()
	asked := next[chat.EventConnectRequest](t, events)
	if token := asked.QueryValue("token"); token != "a+b" {
		t.Errorf("the token is %q", token)
	}
	check(t, "not offered", server.SetSubprotocol(asked.Client, "v3"), chat.ErrInvalidArgument)
	if err := server.SetSubprotocol(asked.Client, "v1"); err != nil {
		t.Fatal(err)
	}
	if err := server.Accept(asked.Client); err != nil {
		t.Fatal(err)
	}
	check(t, "too late", server.SetSubprotocol(asked.Client, "v1"), chat.ErrNotFound)
	if name := receive(t, answered).Header.Get("Sec-WebSocket-Protocol"); name != "v1" {
		t.Errorf("the answer names %q", name)
	}
}

package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

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

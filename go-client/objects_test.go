package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestUnknownTypesAndFieldsAreIgnored(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	joinAndShow(t, h, c)
	h.tell(fields{"type": "signal", "room": 5, "text": fields{"a": 1}, "base64": "*"})
	h.tell(fields{"type": "members", "room": "lobby", "count": 1, "list": []fields{{"client": "c1"}}})
	h.tell(fields{"type": "broadcast", "text": "end", "colour": []int{1}})
	c.stdout.await(t, "end\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "there\nend\n")
	if text := c.stderr.String(); text != "" {
		t.Fatalf("standard error:\n%s", text)
	}
}

func TestFrameThatIsNoObjectEndsTheConnectionWithALine(t *testing.T) {
	for _, frame := range []string{"salut", "[]", "{}", `{"type":"message","text":5}`} {
		h := startJSONHub(t)
		c := startClient(t, quick(), "-id=x", "-reconnect=false", h.url("/"))
		receive(t, h.joined)
		h.each(func(m *jsonMember) { _ = m.WriteMessage(websocket.TextMessage, []byte(frame)) })
		c.expectExit(t, exitFailed)
		c.expectOneErrorLine(t, "not an object of libchat.json")
	}
}

func TestEveryMessageOfTheLargestSizePassesBothWays(t *testing.T) {
	h := startJSONHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	control := strings.Repeat("\x01", maxMessage)
	encoded := base64.StdEncoding.EncodeToString([]byte(control))
	h.tell(fields{"type": "broadcast", "base64": encoded, "kind": "text"})
	h.tell(fields{"type": "broadcast", "base64": encoded})
	c.stdout.await(t, "<binary, 1048576 bytes>\n")
	quotes := strings.Repeat(`"`, maxMessage-len("[x] "))
	c.pipe(t, quotes+"\n"+control[:maxMessage/2]+"\nb\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, control+"\n<binary, 1048576 bytes>\n[x] "+quotes+"\n[x] "+control[:maxMessage/2]+"\n[x] b\n")
}

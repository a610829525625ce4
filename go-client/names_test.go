package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestNameOfTheServerWinsAndClaimsAreMarked(t *testing.T) {
	for _, row := range []struct {
		name    string
		claimed bool
		text    string
		want    string
	}{
		{"ana", false, "salut", "[ana] salut"},
		{"ana", false, "[ana] salut", "[ana] salut"},
		{"ana", false, "[bob] salut", "[ana] [bob?] salut"},
		{"ana", false, "[ana", "[ana] [ana"},
		{"ana", false, "[ana]salut", "[ana] [ana]salut"},
		{"ana", true, "salut", "[ana?] salut"},
		{"ana", true, "[ana] salut", "[ana?] salut"},
		{"ana", true, "[bob] salut", "[ana?] [bob?] salut"},
		{"", false, "[bob] salut", "[bob?] salut"},
		{"", false, "[bob] ", "[bob?] "},
		{"", false, "salut", "[?] salut"},
		{"", false, "[bob]salut", "[?] [bob]salut"},
		{"", false, "", "[?] "},
		{"", false, " [bob] salut", "[?]  [bob] salut"},
		{"ana] salut", true, "x", `[ana\x5d salut?] x`},
		{"ana\r\n\u202e", true, "x", `[ana\r\n\u202e?] x`},
		{"", false, "[ana]\t[x] y", `[ana\x5d\t\x5bx?] y`},
	} {
		o := &object{Client: "c1", Name: row.name, Claimed: row.claimed}
		if got := attributed(o, row.text, false); got != row.want {
			t.Errorf("%+v: %q", row, got)
		}
		if got := attributed(o, row.text, true); got != row.text {
			t.Errorf("%+v: own: %q", row, got)
		}
		o.Client = ""
		if got := attributed(o, row.text, false); got != row.text {
			t.Errorf("%+v: of the host: %q", row, got)
		}
	}
}

func TestObjectsAreReadWhateverTheirNumbers(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"retry":4200`: 4200 * time.Millisecond, `"retry":0.5`: 500 * time.Microsecond,
		`"retry":-1`: 0, `"retry":true`: 0, `"retry":"5"`: 0, `"retry":1e999`: 0, `"retry":1e300`: maxRetry,
		`"later":1`: 0,
	} {
		o, err := decodeObject([]byte(`{"type":"closing","code":1001,` + text + `}`))
		if err != nil || o.comeBack() != want {
			t.Errorf("%s: %v, %v", text, o.comeBack(), err)
		}
	}
	for text, want := range map[string]time.Duration{"25": 25 * time.Second, "-5": 0, "0": 0, "1e300": 24 * time.Hour} {
		o, err := decodeObject([]byte(`{"type":"welcome","ping":` + text + `}`))
		if err != nil || o.silence() != want {
			t.Errorf("ping %s: %v, %v", text, o.silence(), err)
		}
	}
}

func TestLineKeepsItsTextInAnObject(t *testing.T) {
	text := "[x] <a>&\"\\\x01\u2028ț👋"
	frame := outgoing{text: text, id: "7"}.encode()
	back := map[string]string{}
	if err := json.Unmarshal(frame, &back); err != nil || back["text"] != text || back["id"] != "7" || len(back) != 2 {
		t.Fatalf("%s: %v", frame, err)
	}
	if !strings.Contains(string(frame), "<a>&") {
		t.Fatalf("%s is longer than it must be", frame)
	}
}

func TestNoTextMakesAnObjectThatIsTooLongForTheServer(t *testing.T) {
	for _, character := range []string{"a", `"`, "\x01", "\u2028", "\n", "<"} {
		text := strings.Repeat(character, maxMessage/len(character))
		frame := outgoing{text: text, id: "18446744073709551615", room: strings.Repeat("\u2028", maxName/3)}.encode()
		if len(frame) > 2*len(text)+4<<10 {
			t.Errorf("%q: an object of %d bytes for a text of %d", character, len(frame), len(text))
		}
		o, err := decodeObject([]byte(`{"type":"message",` + string(frame[1:])))
		if err != nil {
			t.Fatal(err)
		}
		if back, isText := o.payload(); back != text || !isText {
			t.Errorf("%q does not come back", character)
		}
	}
}

func TestPositionsReplaceThoseOfTheURL(t *testing.T) {
	for _, row := range []struct{ url, want string }{
		{"ws://h/", "ws://h/?name=x%20y&since=e-1&since.tea%20%26=f-2"},
		{"ws://h/rooms/tea%20%26", "ws://h/rooms/tea%20%26?name=x%20y&since.lobby=e-1&since=f-2"},
		{"ws://h/?name=&since=a&since.tea=b&echo=false&sincere=1", "ws://h/?name=&echo=false&sincere=1&since=e-1&since.tea%20%26=f-2"},
	} {
		opts, err := parseOptions([]string{"-id=x y", "-url=" + row.url})
		if err != nil {
			t.Fatal(err)
		}
		p := &positions{home: homeOf(opts.url)}
		p.enter("lobby", "e-0")
		p.enter("tea &", "f-2")
		p.enter("empty", "")
		p.store("lobby", "e-1")
		p.store("lobby", "")
		if got := opts.address(p); got != row.want {
			t.Errorf("%s: %s", row.url, got)
		}
	}
	p := &positions{}
	for range 2 {
		for i := range maxRooms + 1 {
			if p.enter(strings.Repeat("r", i+1), "e-1") != (i < maxRooms) {
				t.Fatalf("room %d", i)
			}
		}
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

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
		o, err := decodeObject([]byte(`{"type":"welcome","client":"c","ping":` + text + `}`))
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

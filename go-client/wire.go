package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// subprotocol names the JSON form: one object in each text frame.
	subprotocol = "libchat.json"

	// maxRest bounds what an object has beside its payload, in bytes. The server closes the connection
	// after an object of more than twice the largest message and 4 KiB.
	maxRest = 1 << 10

	// maxObject bounds an object that arrives, in bytes. No object is longer than 4/3 of its payload
	// and 1 KiB.
	maxObject = maxArriving/3*4 + maxRest
)

// object is what the server sends in the JSON form. Which fields are set depends on the type; a field
// or a type that is not known here is ignored.
type object struct {
	Type string `json:"type"`

	Client string  `json:"client"` // welcome: of this connection; message: of the sender, empty if the host
	Ping   float64 `json:"ping"`   // seconds

	Room      string `json:"room"`
	Position  string `json:"position"`
	Recovered *bool  `json:"recovered"` // nil: no position was given for the room
	Reason    string `json:"reason"`

	Name    string  `json:"name"`
	Claimed bool    `json:"claimed"` // the sender says the name, the server does not vouch for it
	Text    *string `json:"text"`
	Base64  *[]byte `json:"base64"`
	Kind    string  `json:"kind"` // "text": base64 holds text

	ID    string          `json:"id"`
	Code  json.RawMessage `json:"code"`  // refused: a word; closing: a number
	Retry json.RawMessage `json:"retry"` // refused: a boolean; closing: milliseconds

	After string `json:"after"`
	Count int    `json:"count"`
}

// known are the types that the client handles. It asks for neither members nor history.
var known = map[string]bool{
	"welcome": true, "entered": true, "live": true, "message": true, "broadcast": true, "direct": true,
	"sent": true, "refused": true, "dropped": true, "removed": true, "closing": true,
}

// decodeObject reads a frame. It returns nil for an object of a type that is not known.
func decodeObject(frame []byte) (*object, error) {
	o := new(object)
	err := json.Unmarshal(frame, o)
	var mismatch *json.UnmarshalTypeError
	var encoding base64.CorruptInputError
	if (err == nil || errors.As(err, &mismatch) || errors.As(err, &encoding)) && o.Type != "" && !known[o.Type] {
		// Its fields may have other types than those here.
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("not an object of %s: %w", subprotocol, err)
	}
	switch {
	case o.Type == "":
		return nil, fmt.Errorf("not an object of %s: it has no type", subprotocol)
	case o.Type == "welcome" && o.Client == "":
		return nil, fmt.Errorf("not a welcome of %s: it has no client", subprotocol)
	}
	return o, nil
}

// payload returns the message of an object, and whether it is text.
func (o *object) payload() (data string, text bool) {
	switch {
	case o.Text != nil:
		return *o.Text, true
	case o.Base64 != nil:
		return string(*o.Base64), o.Kind == "text"
	}
	return "", true
}

// code returns the word of a refusal, without its quotes.
func (o *object) code() string {
	if word, err := strconv.Unquote(string(o.Code)); err == nil {
		return word
	}
	return string(o.Code)
}

// silence returns how long the server may be silent, or 0 if it does not say.
func (o *object) silence() time.Duration { return duration(o.Ping, time.Second, 24*time.Hour) }

// comeBack returns how long to wait before connecting again, or 0 if the server does not say.
func (o *object) comeBack() time.Duration {
	ms, err := strconv.ParseFloat(string(o.Retry), 64)
	if err != nil {
		return 0
	}
	return duration(ms, time.Millisecond, maxRetry)
}

// duration converts a number from the server, which may be anything.
func duration(n float64, unit, longest time.Duration) time.Duration {
	switch {
	case !(n > 0):
		return 0
	case n >= float64(longest/unit):
		return longest
	}
	return time.Duration(n * float64(unit))
}

// outgoing is a line on its way to the server. The plain form sends its text alone.
type outgoing struct {
	text string
	id   string // to which the server answers
	room string // empty if the client is in one room
}

// encode returns the object of a line. It is at most twice as long as the text, and 1 KiB.
func (l outgoing) encode() []byte {
	object := struct {
		Text   string `json:"text,omitempty"`
		Base64 []byte `json:"base64,omitempty"`
		Kind   string `json:"kind,omitempty"`
		ID     string `json:"id"`
		Room   string `json:"room,omitempty"`
	}{Text: l.text, ID: l.id, Room: l.room}
	frame := marshal(object)
	if len(frame) > 2*len(l.text)+maxRest {
		// Control characters take six bytes each.
		object.Text, object.Base64, object.Kind = "", []byte(l.text), "text"
		frame = marshal(object)
	}
	return frame
}

func marshal(value any) []byte {
	var frame bytes.Buffer
	encoder := json.NewEncoder(&frame)
	// Otherwise <, > and & take six bytes each.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("strings always have a JSON form: " + err.Error())
	}
	return bytes.TrimSuffix(frame.Bytes(), []byte("\n"))
}

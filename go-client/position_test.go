package main

import (
	"strings"
	"testing"
)

func TestPositionsReplaceThoseOfTheURL(t *testing.T) {
	for _, row := range []struct{ url, want string }{
		{"ws://h/", "ws://h/?name=x%20y&since.lobby=e-1&since.tea%20%26=f-2"},
		{"ws://h/rooms/tea%20%26", "ws://h/rooms/tea%20%26?name=x%20y&since.lobby=e-1&since.tea%20%26=f-2"},
		{"ws://h/?name=&since=a&since.tea=b&echo=false&sincere=1", "ws://h/?name=&echo=false&sincere=1&since.lobby=e-1&since.tea%20%26=f-2"},
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

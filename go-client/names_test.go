package main

import (
	"testing"
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

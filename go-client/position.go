package main

import (
	"net/url"
	"slices"
	"strings"
)

// maxRooms bounds the rooms whose positions are kept, and with it the length of the URL.
const maxRooms = 16

// positions are the last positions that arrived, by room. The client hands them back when it
// reconnects, and the server sends what was published behind them. A position is opaque.
type positions struct {
	home  string // to which lines go: the room that the URL names, or else the first that was entered
	rooms []roomPosition
}

// roomPosition is a room that the client has been in, with its last position; that is empty if the
// room has no history.
type roomPosition struct{ room, position string }

// of returns the last position in a room, and whether the client has been in it.
func (p *positions) of(room string) (position string, visited bool) {
	if i := p.index(room); i >= 0 {
		return p.rooms[i].position, true
	}
	return "", false
}

func (p *positions) index(room string) int {
	return slices.IndexFunc(p.rooms, func(r roomPosition) bool { return r.room == room })
}

// store records a position. It returns false if there are too many rooms.
func (p *positions) store(room, position string) bool {
	i := p.index(room)
	switch {
	case i >= 0 && position != "":
		p.rooms[i].position = position
	case i >= 0:
	case len(p.rooms) < maxRooms:
		p.rooms = append(p.rooms, roomPosition{room, position})
	default:
		return false
	}
	return true
}

// enter records where the client stands in a room that it enters. Unlike store, it forgets the last
// position if the room has none any more.
func (p *positions) enter(room, position string) bool {
	if p.home == "" {
		p.home = room
	}
	p.forget(room)
	return p.store(room, position)
}

func (p *positions) forget(room string) {
	if i := p.index(room); i >= 0 {
		p.rooms = slices.Delete(p.rooms, i, i+1)
	}
}

// query returns the parameters that recover all rooms, without a leading "&".
func (p *positions) query() string {
	var parameters []string
	for _, r := range p.rooms {
		// "since" alone would be a position of the path's room, which home need not be.
		if r.position != "" {
			parameters = append(parameters, "since."+queryEscape(r.room)+"="+queryEscape(r.position))
		}
	}
	return strings.Join(parameters, "&")
}

// address returns the URL to connect to: that of the flags, with the claimed name and the positions.
// They replace those that the URL has.
func (o *options) address(p *positions) string {
	if o.plain {
		return o.url.String()
	}
	since := p.query()
	var parameters []string
	named := false
	for _, parameter := range strings.Split(o.url.RawQuery, "&") {
		key, _, _ := strings.Cut(parameter, "=")
		named = named || key == "name"
		if parameter == "" || since != "" && (key == "since" || strings.HasPrefix(key, "since.")) {
			continue
		}
		parameters = append(parameters, parameter)
	}
	if !named {
		parameters = append(parameters, "name="+queryEscape(o.id))
	}
	if since != "" {
		parameters = append(parameters, since)
	}
	u := *o.url
	u.RawQuery = strings.Join(parameters, "&")
	return u.String()
}

// homeOf returns the room that a URL's path names, or "" if only the server knows it.
func homeOf(u *url.URL) string {
	_, escaped, found := strings.Cut(u.EscapedPath(), "/rooms/")
	room, err := url.PathUnescape(escaped)
	if !found || err != nil {
		return ""
	}
	return room
}

// queryEscape escapes a space as %20, which every server understands.
func queryEscape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

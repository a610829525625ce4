package chat

import (
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Request is the request with which a client connected.
type Request struct {
	Addr   netip.AddrPort // The client's address and port.
	Path   string         // As the client sent it, percent-encoded, without the query.
	Query  string         // As the client sent it, without the question mark.
	Header []Header       // The request's headers, in the order in which they were sent.
}

// Header is one header of a request.
type Header struct {
	Name  string // In lower case.
	Value string // Bytes: HTTP does not guarantee UTF-8.
}

// Get returns the first value of a header, or "" if the client sent none. Upper and lower case are
// the same in its name.
func (r Request) Get(name string) string {
	for _, header := range r.Header {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// HTTPHeader returns the request's headers as an http.Header, for code that reads cookies and the
// like.
func (r Request) HTTPHeader() http.Header {
	header := make(http.Header, len(r.Header))
	for _, line := range r.Header {
		header.Add(line.Name, line.Value)
	}
	return header
}

// QueryValue returns the first value of a parameter of the query, decoded as browsers encode it: "+" is a
// space, and "%" with two hexadecimal digits is a byte. A "%" without them stays as it is. The value is ""
// if there is no such parameter, or its first value is not UTF-8. The name is compared as it is after
// decoding: upper and lower case differ.
func (r Request) QueryValue(name string) string {
	for pair := range strings.SplitSeq(r.Query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if pair != "" && decoded(key) == name {
			return valid(decoded(value))
		}
	}
	return ""
}

// Cookie returns the value of a cookie (RFC 6265, 4.2), the first one if several have the name, in whichever
// Cookie header it is. Quotes belong to the value, as in browsers, and nothing is decoded. The value is "" if
// there is no such cookie, or its first value is not UTF-8. Upper and lower case differ in the name.
func (r Request) Cookie(name string) string {
	for _, header := range r.Header {
		if header.Name != "cookie" || name == "" {
			continue
		}
		for cookie := range strings.SplitSeq(header.Value, ";") {
			key, value, found := strings.Cut(cookie, "=")
			if found && strings.Trim(key, " \t") == name {
				return valid(strings.Trim(value, " \t"))
			}
		}
	}
	return ""
}

// Bearer returns the token of "Authorization: Bearer TOKEN" (RFC 6750, 2.1): visible ASCII without spaces,
// which is more than the RFC lets tokens be. Upper and lower case are the same in "Bearer". The token is ""
// for another scheme or another form, and if the header is there several times: a proxy in front may have
// checked another one.
func (r Request) Bearer() string {
	var values []string
	for _, header := range r.Header {
		if header.Name == "authorization" {
			values = append(values, strings.Trim(header.Value, " \t"))
		}
	}
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	isHidden := func(char rune) bool { return char <= ' ' || char > '~' }
	if !strings.EqualFold(scheme, "Bearer") || strings.ContainsFunc(token, isHidden) {
		return ""
	}
	return token
}

// decoded returns a part of a query without its encoding.
func decoded(part string) string {
	part = strings.ReplaceAll(part, "+", " ")
	before, rest, found := strings.Cut(part, "%")
	if !found {
		return part
	}
	bytes := []byte(before)
	for found {
		var piece string
		char, err := hex.DecodeString(rest[:min(2, len(rest))])
		if err == nil && len(char) == 1 {
			bytes, rest = append(bytes, char[0]), rest[2:]
		} else {
			bytes = append(bytes, '%')
		}
		piece, rest, found = strings.Cut(rest, "%")
		bytes = append(bytes, piece...)
	}
	return string(bytes)
}

// valid returns a value if it is UTF-8.
func valid(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	return ""
}

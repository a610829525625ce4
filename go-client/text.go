package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escape returns the text in which characters that could control a terminal or imitate another line
// are written as in Go source: \x1b, \n, \u202e. Tabs stay.
func escape(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, isUnsafe) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case isUnsafe(r):
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		default:
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

// isUnsafe returns whether a rune is a control character, separates lines, or changes the direction of
// the text after it.
func isUnsafe(r rune) bool {
	switch {
	case r == '\t':
		return false
	case unicode.IsControl(r), r == 0x2028, r == 0x2029:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// describeBinary returns the text that is printed for a binary message.
func describeBinary(size int) string {
	return fmt.Sprintf("<binary, %s>", count(size, "byte"))
}

// count returns the number and the noun, in the plural unless the number is one.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package main

import "strings"

// attributed returns the line that a terminal shows for a message of the JSON form.
//
// The line of a client begins with the sender's name in brackets, which the sender's text cannot
// imitate. A question mark follows a name for which the server does not vouch: one that the sender
// claims, or that only the text says.
//
//	[ana] salut           the host calls the sender ana
//	[ana?] salut          the sender says that it is ana
//	[ana] [bob?] salut    the host calls it ana, and its text begins with "[bob] "
//	[?] salut             neither the server nor the text names the sender
//
// The text of the host stays as it is, and so does that of this client.
func attributed(o *object, text string, own bool) string {
	if own || o.Client == "" {
		return text
	}
	said, rest, bracketed := cutBracket(text)
	switch {
	case o.Name == "" && bracketed:
		return "[" + nameText(said) + "?] " + rest
	case o.Name == "":
		return "[?] " + text
	}
	name := "[" + nameText(o.Name)
	if o.Claimed {
		name += "?"
	}
	name += "] "
	switch {
	case !bracketed:
		return name + text
	case said == o.Name:
		return name + rest
	}
	return name + "[" + nameText(said) + "?] " + rest
}

// cutBracket splits "[id] line".
func cutBracket(text string) (said, rest string, found bool) {
	inner, found := strings.CutPrefix(text, "[")
	if !found {
		return "", "", false
	}
	return strings.Cut(inner, "] ")
}

// nameText escapes the characters with which a name could pretend to end.
func nameText(name string) string {
	return strings.NewReplacer("[", `\x5b`, "]", `\x5d`, "\t", `\t`).Replace(escape(name))
}

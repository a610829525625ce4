// Package include is the folder of libchat.h, as a package so that `go mod vendor` copies the header.
// It has no code: libchat/bindings/go is the package to import.
package include

import _ "embed"

// Go hashes what is embedded, and so compiles the binding again when the header has changed. The linker
// removes it, since nothing refers to it.
//
//go:embed libchat.h
var _ string

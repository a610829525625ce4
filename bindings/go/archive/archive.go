// Package archive is a folder in which Go's linker looks for libchat.a if libchat's target/release does
// not hold it, as in a vendored tree. Copy the archive here before `go mod vendor`, which then copies it
// too. Git ignores the copy.
//
// The package has no code. What is in its folder does not become part of a program.
package archive

import "embed"

// Go hashes what is embedded, and so notices that the archive has changed. The linker removes it, since
// nothing refers to it.
//
//go:embed *
var _ embed.FS

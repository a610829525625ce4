//go:build cgo && !libchat_pkgconfig

package chat

// The archive is linked by its file name: `-lchat` would prefer a libchat.so in the same folder, as in
// cargo's, and the program would need it at run time. The folders are searched in this order, after
// those of CGO_LDFLAGS. `cargo run` leaves the archive in deps alone. In the last folder lies a linker
// script, which fails with what to build; linkers outside Linux know no such scripts.

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo LDFLAGS: -L${SRCDIR}/../../target/release -L${SRCDIR}/../../target/release/deps -L${SRCDIR}/archive
#cgo linux LDFLAGS: -L${SRCDIR}/archive/missing -l:libchat.a -lm -ldl -lpthread
#cgo !linux LDFLAGS: -lchat -lm -lpthread
*/
import "C"

import (
	// Their files are found above. They are packages so that `go mod vendor` copies them.
	_ "libchat/bindings/go/archive"
	_ "libchat/include"
)

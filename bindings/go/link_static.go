//go:build cgo && !libchat_pkgconfig

package chat

// The archive by its file name: `-lchat` alone would take a libchat.so that lies beside it, as in
// cargo's folder, and the program would need it at run time.

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo linux LDFLAGS: -l:libchat.a -lm -ldl -lpthread
#cgo !linux LDFLAGS: -lchat -lm -lpthread
*/
import "C"

//go:build cgo && !libchat_pkgconfig

package chat

// The archive is linked by its file name: `-lchat` would prefer a libchat.so in the same folder, as in
// cargo's, and the program would need it at run time.

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo linux LDFLAGS: -l:libchat.a -lm -ldl -lpthread
#cgo !linux LDFLAGS: -lchat -lm -lpthread
*/
import "C"

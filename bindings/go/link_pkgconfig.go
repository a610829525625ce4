//go:build cgo && libchat_pkgconfig

package chat

/*
#cgo pkg-config: libchat
*/
import "C"

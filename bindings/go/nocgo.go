//go:build !cgo

package chat

// The server is a C library: without cgo there is none to start, and the build ends here.
var _ = libchat_needs_cgo__set_CGO_ENABLED_to_1_and_install_a_C_compiler

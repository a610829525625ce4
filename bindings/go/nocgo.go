//go:build !cgo

package chat

// The server is a C library: without cgo the build fails here, with this name in the error.
var _ = libchat_needs_cgo__set_CGO_ENABLED_to_1_and_install_a_C_compiler

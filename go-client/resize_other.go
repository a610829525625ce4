//go:build !unix

package main

// onResize calls the function once: this system has no signal for a changed size.
func onResize(resized func()) (stop func()) {
	resized()
	return func() {}
}

//go:build !unix

package main

// onResize calls the function once: there is no signal for a changed size here.
func onResize(resized func()) (stop func()) {
	resized()
	return func() {}
}

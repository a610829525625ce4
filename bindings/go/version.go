package chat

/*
#include "libchat_cgo.h"
*/
import "C"

// Version returns the version of the library that the program is linked with, such as "0.1.0". A
// shared library (see Building) may have another version than this package.
func Version() string { return C.GoString(C.chat_version_string()) }

#!/bin/sh
# Builds libchat and installs it for C, C++ and Go programs: the header, libchat.a, libchat.so, and what
# pkg-config and CMake look for.
#
#   ./install.sh [--prefix DIR] [--libdir DIR] [--destdir DIR] [--small] [--without-http]
#
# --prefix        where programs find it; /usr/local by default
# --libdir        the folder of the libraries; lib in the prefix by default
# --destdir       puts all files below this folder, from where a package takes them
# --small         a libchat.so that is a seventh smaller, and whose calls take a seventh longer
# --without-http  without the feature http: 0.2 MB less
set -eu
here=$PWD
cd "$(dirname "$0")"

fail() { echo "install.sh: $*" >&2; exit 1; }

absolute() {
    case $1 in
    *[[:space:]]*) fail "\"$1\" has a space, and pkg-config cannot say so: choose another folder" ;;
    # The shell leaves it as it is in --prefix=~/.local.
    [~]/*) echo "$HOME/${1#??}" ;;
    /*) echo "$1" ;;
    *) echo "$here/$1" ;;
    esac
}

prefix=/usr/local libdir='' destdir='' profile=shared features=http
while [ $# -gt 0 ]; do
    case $1 in
    --prefix=* | --libdir=* | --destdir=*) option=${1%%=*} value=${1#*=}; shift ;;
    --prefix | --libdir | --destdir)
        [ $# -ge 2 ] || fail "$1 needs a folder"
        option=$1 value=$2; shift 2 ;;
    --small) profile=small; shift; continue ;;
    --without-http) features=; shift; continue ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' install.sh; exit ;;
    *) fail "there is no option $1: see ./install.sh --help" ;;
    esac
    [ -n "$value" ] || fail "$option needs a folder"
    case $option in
    --prefix) prefix=$(absolute "$value") ;;
    --libdir) libdir=$(absolute "$value") ;;
    --destdir) destdir=$(absolute "$value") ;;
    esac
done
libdir=${libdir:-$prefix/lib}
[ -e include/libchat.h ] || fail "it has to stay in the folder of libchat, whose files it installs"
[ "$(uname)" = Linux ] || fail "it knows Linux only; elsewhere use cargo cinstall (bindings/c/README.md)"

# The first number of the SONAME is the ABI's: programs that were linked with one find only its like.
abi=$(sed -n 's/^#define CHAT_ABI_VERSION //p' include/libchat.h)
version=$(sed -n 's/^#define CHAT_VERSION_STRING "\(.*\)"/\1/p' include/libchat.h)

# A folder of its own: a libchat.so with a SONAME does not work from cargo's, where programs link it too.
target=${CARGO_TARGET_DIR:-target}/install
archive=$target/release/libchat.a shared=$target/$profile/libchat.so
build() {
    # Without the Rust library: what only that exports makes the others larger and slower.
    cargo rustc --quiet --locked --lib --no-default-features --features "$features" --target-dir "$target" "$@"
}
if command -v cargo >/dev/null; then
    echo "building (two minutes the first time)"
    build --release --crate-type staticlib
    build --profile "$profile" --crate-type cdylib -- -C "link-arg=-Wl,-soname,libchat.so.$abi"
elif [ ! -e "$archive" ] || [ ! -e "$shared" ]; then
    # The root user often has no cargo.
    fail "cargo is missing: install Rust 1.95 (rustup), or run ./install.sh first as the user that has it"
fi

for folder in "$destdir$prefix" "$destdir$libdir"; do
    if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
        fail "libchat is built, but you may not write to $folder: run it again with sudo, or choose another folder, \
such as --prefix \$HOME/.local"
    fi
done

put() {
    install -D -m "$1" "$2" "$destdir$3"
    echo "$destdir$3"
}
put 644 include/libchat.h "$prefix/include/libchat.h"
put 644 "$archive" "$libdir/libchat.a"
put 755 "$shared" "$libdir/libchat.so.$abi.0.0"
link() {
    ln -sf "$1" "$destdir$2"
    echo "$destdir$2"
}
link "libchat.so.$abi.0.0" "$libdir/libchat.so.$abi"
link "libchat.so.$abi" "$libdir/libchat.so"
for file in bindings/c/cmake/*.cmake; do
    put 644 "$file" "$prefix/share/libchat/cmake/${file##*/}"
done
cat >"$target/libchat.pc" <<END
prefix=$prefix
includedir=\${prefix}/include
libdir=$libdir

Name: libchat
Description: An embeddable WebSocket chat and broadcast server
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lchat
Libs.private: -lm -ldl -lpthread
END
put 644 "$target/libchat.pc" "$libdir/pkgconfig/libchat.pc"

[ -z "$destdir" ] || exit 0
PATH=$PATH:/usr/sbin:/sbin
# The loader finds a new library in its own folders only after this.
[ "$(id -u)" != 0 ] || ldconfig || true
echo
if [ "$(pkg-config --variable=libdir libchat 2>/dev/null)" != "$libdir" ]; then
    echo "pkg-config finds it with: export PKG_CONFIG_PATH=$libdir/pkgconfig"
fi
if ! ldconfig -p 2>/dev/null | grep -q "=> $libdir/libchat.so.$abi"; then
    echo "programs find it with: export LD_LIBRARY_PATH=$libdir (or link with -Wl,-rpath,$libdir)"
fi

#!/usr/bin/env bash
# A Rust toolchain for wasm32-unknown-unknown out of Debian's packages, for machines where
# `rustup target add` is not to be had.  Its only line on standard output: the folder of its
# programs, to be put first on PATH.  `cargo xtask` calls it.
#
#   wasm-toolchain.sh            make it, unless it is ready (then well under a second)
#   wasm-toolchain.sh --ready    only find it; exit code 1 when there is none
#   wasm-toolchain.sh --clippy   make it, with clippy
#
# Debian's newer Rust (rustc-web, cargo-web, rust-web-src, rust-web-llvm, lld) is installed and its
# standard library compiled once for the target, about a minute, into a sysroot under
# ${WASM_TOOLCHAIN_DIR:-~/.cache/peergraph-wasm}.  Nothing else on the machine changes, and several
# runs at once are safe.
set -euo pipefail

TARGET=wasm32-unknown-unknown
ROOT=${WASM_TOOLCHAIN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/peergraph-wasm}
RECIPE=1                      # raise it with the recipe below: older sysroots are then made again
RUSTC=/usr/bin/rustc          # Debian's, outside rustup
SYSROOT=$ROOT/sysroot

ready_only=0 clippy=0
for option in "$@"; do
  case $option in
    --ready) ready_only=1 ;;
    --clippy) clippy=1 ;;
    -h|--help) sed -n '2,14p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "unknown option $option" >&2; exit 2 ;;
  esac
done

log() { printf 'wasm-toolchain: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# Has the rustc at $1 a compiled standard library for the target?
has_std() {
  local dir
  dir=$("$1" --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
  compgen -G "$dir/libstd-*.rlib" >/dev/null
}

# What a sysroot is made by and for; a newer package makes an older sysroot useless.
stamp_of_now() { { echo "recipe $RECIPE"; "$RUSTC" -vV; } 2>/dev/null; }

ready() {
  [ -x "$RUSTC" ] && [ -x "$SYSROOT/bin/rustc" ] && [ -f "$SYSROOT/stamp" ] &&
    [ "$(cat "$SYSROOT/stamp")" = "$(stamp_of_now)" ] && has_std "$SYSROOT/bin/rustc" &&
    { [ "$clippy" = 0 ] || [ -x "$SYSROOT/bin/clippy-driver" ]; }
}

finish() { echo "$SYSROOT/bin"; exit 0; }

if ready; then finish; fi
if [ "$ready_only" = 1 ]; then exit 1; fi
have apt-get || { log "no apt-get here: this recipe is for Debian"; exit 1; }

mkdir -p "$ROOT"
exec 9>"$ROOT/lock"
flock 9                       # one builder at a time
if ready; then finish; fi

# ---- packages ----------------------------------------------------------------------------------
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
apt() {
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -q -o DPkg::Lock::Timeout=600 \
    -o Acquire::Retries=3 "$@" </dev/null >&2
}
apt_install() {               # with the lists as they are, else with new ones
  apt install -y --no-install-recommends "$@" ||
    { apt update && apt install -y --no-install-recommends "$@"; }
}
missing() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}
packages=(rustc-web cargo-web rust-web-src rust-web-llvm)
[ "$clippy" = 0 ] || packages+=(rust-web-clippy)
if [ -n "$(missing "${packages[@]}")" ]; then
  log "installing ${packages[*]}"
  apt_install "${packages[@]}"
fi

# The programs, told where the sysroot is. $1 is the folder that holds them.
wrap() {
  local tool
  ln -sfn /usr/bin/cargo "$1/cargo"
  for tool in rustc rustdoc; do
    printf '#!/bin/sh\nexec /usr/bin/%s --sysroot "%s" "$@"\n' "$tool" "$SYSROOT" >"$1/$tool"
    chmod +x "$1/$tool"
  done
  for tool in clippy-driver cargo-clippy; do      # clippy takes it from the environment
    [ -x "/usr/bin/$tool" ] || continue
    printf '#!/bin/sh\nSYSROOT="%s" exec /usr/bin/%s "$@"\n' "$SYSROOT" "$tool" >"$1/$tool"
    chmod +x "$1/$tool"
  done
}
if (clippy=0; ready); then    # only clippy was missing
  wrap "$SYSROOT/bin"
  ready || { log "the packages have no clippy"; exit 1; }
  finish
fi

# ---- linker ------------------------------------------------------------------------------------
# Debian's lld of the same LLVM, else rustup's, else any.
LIB=$("$RUSTC" --print sysroot)/lib/rustlib
HOST=$("$RUSTC" -vV | sed -n 's/^host: //p')
llvm=$("$RUSTC" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
have "lld-$llvm" || apt_install "lld-$llvm" || true
lld=
for candidate in "/usr/bin/lld-$llvm" "/usr/lib/llvm-$llvm/bin/lld" \
  "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/lib/rustlib/"$HOST"/bin/rust-lld \
  /usr/bin/rust-lld /usr/bin/lld; do
  if [ -x "$candidate" ]; then lld=$candidate; break; fi
done
[ -n "$lld" ] || { log "no lld found"; exit 1; }

# ---- standard library --------------------------------------------------------------------------
source=$LIB/src/rust/library
[ -f "$source/Cargo.lock" ] || { log "no source of the standard library at $source"; exit 1; }
log "compiling the standard library of $("$RUSTC" -V) for $TARGET (linker $lld)"
# A fixed path: the hashes of crates depend on it, and with equal hashes what is in a target folder
# already fits a library that was made again.
build=$ROOT/build
rm -rf "$build"
mkdir "$build"
trap 'rm -rf "$build"' EXIT
cp -rL "$source" "$build/library"                 # cargo writes beside the manifests
compile() {                   # compile [CARGO OPTION]
  cd "$build/library"
  unset RUSTUP_TOOLCHAIN CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET \
    RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
  # embed-bitcode: so that link-time optimisation of a crate reaches into the library.
  local flags="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes -Cdebuginfo=0"
  flags+=" --remap-path-prefix=$build/library=/rustc-src/library"
  env CARGO_TARGET_DIR="$build/target" RUSTC="$RUSTC" RUSTC_BOOTSTRAP=1 RUST_BACKTRACE=0 \
    CARGO_INCREMENTAL=0 __CARGO_DEFAULT_LIB_METADATA=peergraph-wasm RUSTFLAGS="$flags" \
    /usr/bin/cargo build --release --target "$TARGET" -p sysroot "$@" >&2
}
( compile --locked ) || ( compile )               # its few dependencies come from the registry

# ---- sysroot -----------------------------------------------------------------------------------
new=$build/sysroot
mkdir -p "$new/bin" "$new/lib/rustlib/$TARGET/lib" "$new/lib/rustlib/$HOST/bin"
cp "$build/target/$TARGET/release/deps/"*.rlib "$new/lib/rustlib/$TARGET/lib/"
rm -f "$new/lib/rustlib/$TARGET/lib/"libsysroot-*.rlib
ln -s "$LIB/src" "$new/lib/rustlib/src"
ln -s "$LIB/etc" "$new/lib/rustlib/etc"
ln -s "$LIB/$HOST/lib" "$new/lib/rustlib/$HOST/lib"
for file in "$LIB/$HOST/bin/"*; do ln -s "$file" "$new/lib/rustlib/$HOST/bin/"; done
ln -sf "$lld" "$new/lib/rustlib/$HOST/bin/rust-lld"
wrap "$new/bin"
stamp_of_now >"$new/stamp"
[ ! -e "$SYSROOT" ] || mv "$SYSROOT" "$build/old"
mv "$new" "$SYSROOT"
ready || { log "the sysroot at $SYSROOT is not usable"; exit 1; }
finish

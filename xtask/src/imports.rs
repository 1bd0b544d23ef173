//! The imports of a wasm module.
//!
//! The core decides everything and touches nothing: compiled alone, it must import nothing. An
//! import is the sign that somebody reached for a clock, for randomness or for a browser.
//!
//! A module is `\0asm`, the version `1`, and sections of `id (1 byte) ‖ size ‖ content`; numbers are
//! LEB128. Section 2 holds the imports, section 3 one number for each function that the module
//! defines (WebAssembly core specification 2.0, 5.5).

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{self, say};
use crate::toolchain::{TARGET, Toolchain};

/// Fewer functions than this in the core's module mean that the linker dropped the core, and that
/// an empty import list says nothing. Guess: far below any real core, far above an empty library.
const CORE_FUNCTIONS_MIN: u64 = 100;

/// How many names tell where an import comes from; one careless dependency brings hundreds.
const IMPORTS_SHOWN_MAX: usize = 5;

/// Builds the core alone as a module and checks that it imports nothing.
pub(crate) fn check_core(toolchain: &Toolchain) -> Result<()> {
    // The core exports no function by name, so the linker would drop all of it.
    let keep = ["-C", "link-dead-code", "-C", "link-arg=--no-gc-sections"];
    shell::run(
        toolchain
            .cargo()?
            .args(["rustc", "--locked", "--lib", "--crate-type", "cdylib", "--target", TARGET])
            .args(["-p", "peergraph-core", "--"])
            .args(keep),
    )?;
    let path = shell::target()?.join(TARGET).join("debug/peergraph_core.wasm");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let module = Module::read(&bytes).with_context(|| path.display().to_string())?;
    say(format!("core as wasm: {} functions, {} imports", module.functions, module.imports.len()));
    let first = &module.imports[..module.imports.len().min(IMPORTS_SHOWN_MAX)];
    ensure!(first.is_empty(), "the core must import nothing, it imports {}", first.join(", "));
    ensure!(
        module.functions >= CORE_FUNCTIONS_MIN,
        "only {} functions are left of the core: the check sees nothing",
        module.functions
    );
    Ok(())
}

/// The facts of a wasm module that are checked.
#[derive(Debug, PartialEq)]
struct Module {
    /// `module.name` of each import.
    imports: Vec<String>,
    /// How many functions it defines.
    functions: u64,
}

impl Module {
    fn read(bytes: &[u8]) -> Result<Module> {
        let mut file = Reader(bytes);
        ensure!(file.take(8)? == b"\0asm\x01\0\0\0", "this is no wasm module of version 1");
        let mut module = Module { imports: Vec::new(), functions: 0 };
        while !file.0.is_empty() {
            let id = file.byte()?;
            let size = file.number()?;
            let mut section = Reader(file.take(size)?);
            match id {
                2 => module.imports = section.imports()?,
                3 => module.functions = section.number()?,
                _ => {}
            }
        }
        Ok(module)
    }
}

/// The bytes that are not yet read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count)?;
        let (taken, rest) = self.0.split_at_checked(count).context("the module is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 number of at most 64 bits.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("a number is longer than 64 bits")
    }

    fn name(&mut self) -> Result<String> {
        let length = self.number()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn imports(&mut self) -> Result<Vec<String>> {
        let mut imports = Vec::new();
        for _ in 0..self.number()? {
            let (module, name) = (self.name()?, self.name()?);
            imports.push(format!("{module}.{name}"));
            match self.byte()? {
                // A function: its type.
                0 => drop(self.number()?),
                // A table: what it holds, and its limits.
                1 => {
                    self.byte()?;
                    self.limits()?;
                }
                // A memory.
                2 => self.limits()?,
                // A global: its type, and whether it changes.
                3 => drop(self.take(2)?),
                // A tag: an attribute, and its type.
                4 => {
                    self.byte()?;
                    self.number()?;
                }
                kind => bail!("import {module}.{name} is of the unknown kind {kind}"),
            }
        }
        Ok(imports)
    }

    /// A minimum, and a maximum if the first bit of the flags says so.
    fn limits(&mut self) -> Result<()> {
        let flags = self.byte()?;
        self.number()?;
        if flags & 1 == 1 {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\0asm\x01\0\0\0";

    fn module(sections: &[&[u8]]) -> Vec<u8> {
        [HEAD, &sections.concat()].concat()
    }

    #[test]
    fn module_without_import_section_imports_nothing() {
        // Type section with one type `() -> ()`, function section with two functions of it.
        let bytes = module(&[b"\x01\x04\x01\x60\0\0", b"\x03\x03\x02\0\0"]);
        let read = Module::read(&bytes).unwrap();
        assert_eq!(read, Module { imports: vec![], functions: 2 });
    }

    #[test]
    fn every_kind_of_import_is_named() {
        let imports = [
            &b"\x05"[..],
            b"\x03env\x03now\x00\x80\x01",
            b"\x03env\x01t\x01\x70\x01\x01\x02",
            b"\x03env\x01m\x02\x00\x11",
            b"\x03env\x01g\x03\x7f\x01",
            b"\x03env\x01x\x04\x00\x02",
        ]
        .concat();
        let section = [&[2, u8::try_from(imports.len()).unwrap()], &imports[..]].concat();
        let read = Module::read(&module(&[&section])).unwrap();
        assert_eq!(read.imports, ["env.now", "env.t", "env.m", "env.g", "env.x"]);
    }

    #[test]
    fn cut_off_module_is_an_error() {
        let whole = module(&[b"\x02\x09\x01\x03env\x01f\x00\x00"]);
        assert_eq!(Module::read(&whole).unwrap().imports, ["env.f"]);
        for length in 0..whole.len() {
            let cut = Module::read(&whole[..length]);
            assert!(cut.is_err() || length == HEAD.len(), "{length} bytes were taken as a module");
        }
    }

    #[test]
    fn endless_number_is_an_error() {
        assert!(
            Module::read(&module(&[b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])).is_err()
        );
    }
}

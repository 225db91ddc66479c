//! One refusal after the other, each with its cause and its remedy.

use super::compile::compile;
use super::inspect::check;
use super::limits::{MODULE_MAX, Metering};

const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const ABI: &str = r#"(func (export "shunt_policy_abi_1") (result i32) (i32.const 0))"#;
const REGION: &str = r#"(func (export "region") (param i32 i32) (result i32) (i32.const 8))"#;
const INIT: &str = r#"(func (export "init") (param i32) (result i32) (i32.const 0))"#;
const DECIDE: &str = r#"(func (export "decide") (result i32) (i32.const 0))"#;

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A module of all that is required, with `first` before and `last` behind it.
fn with(first: &str, last: &str) -> Vec<u8> {
    assemble(&format!("(module {first} {MEMORY} {ABI} {REGION} {INIT} {DECIDE} {last})"))
}

/// `check` refuses it, and the line has all of `parts`.
#[track_caller]
fn refuses(wasm: &[u8], parts: &[&str]) {
    let line = check(wasm).expect_err("it was not refused");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(line.contains("; "), "no remedy in {line:?}");
    assert!(!line.contains(char::is_control) && line.len() < 400, "{line:?}");
}

#[test]
fn a_minimal_policy_passes_and_so_does_what_webassembly_2_has() {
    check(&with("", "")).unwrap();
    let both =
        r#"(import "shunt" "log" (func (param i32 i32 i32))) (import "env" "abort" (func (param i32 i32 i32 i32)))"#;
    check(&with(both, r#"(func (export "save") (result i32) (i32.const 0)) (func (export "other"))"#)).unwrap();
    let simd = "(func (param v128) (result i32) (i32x4.extract_lane 0 (i32x4.add (local.get 0) (local.get 0))))";
    let bulk = "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 8)))";
    let values = "(func (result i32 i64) (i32.const 0) (i64.extend8_s (i64.const 0)))";
    let module = with("", &format!("{simd} {bulk} {values} (table 10000 funcref)"));
    check(&module).unwrap();
    compile(&module, Metering { fuel: true, epoch: true }).unwrap();
}

#[test]
fn what_is_no_module() {
    refuses(&[], &["not a WebAssembly module"]);
    refuses(b"(module)", &["not a WebAssembly module", "not its source"]);
    refuses(b"\x7fELF\x02\x01\x01\0", &["not a WebAssembly module"]);
    refuses(&assemble("(component)"), &["component", "wasm32-unknown-unknown"]);
    refuses(b"\0asm\x02\0\0\0", &["unknown version"]);
    refuses(&vec![0; MODULE_MAX + 1], &["more than 262144 octets", "asc -Oz"]);
    refuses(&vec![0; 10 << 20], &["more than 262144 octets"]);
}

#[test]
fn what_is_cut_off_anywhere() {
    let whole = with("", "(data (i32.const 0) \"abc\")");
    let refused = (8..whole.len()).filter(|length| check(&whole[..*length]).is_err()).count();
    // One cut is no mistake that can be seen: just before the data, which are not needed.
    assert_eq!(refused, whole.len() - 8 - 1);
    refuses(&whole[..whole.len() - 1], &["not valid WebAssembly", "cut off"]);
    // An octet that was changed: refused, or still a policy; never a panic.
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x55;
        let _ = check(&bent);
    }
}

#[test]
fn foreign_imports_by_name() {
    let import = |module: &str, name: &str, what: &str| with(&format!("(import {module:?} {name:?} {what})"), "");
    refuses(&import("env", "seed", "(func (result f64))"), &["env.seed", "entropy"]);
    refuses(&import("env", "Date.now", "(func (result f64))"), &["env.Date.now", "nowUs"]);
    refuses(&import("env", "console.log", "(func (param i32))"), &["env.console.log", "log()"]);
    refuses(&import("env", "trace", "(func (param i32))"), &["env.trace", "log()"]);
    let wasi = import("wasi_snapshot_preview1", "fd_write", "(func (param i32 i32 i32 i32) (result i32))");
    refuses(&wasi, &["wasi_snapshot_preview1.fd_write", "wasm32-unknown-unknown"]);
    refuses(
        &import("__wbindgen_placeholder__", "x", "(func)"),
        &["__wbindgen_placeholder__.x", "without wasm-bindgen"],
    );
    refuses(&import("env", "malloc", "(func (param i32) (result i32))"), &["env.malloc", "--allow-undefined"]);
    refuses(&import("shunt", "now", "(func (result i64))"), &["shunt.now", "shunt.log is all"]);
    refuses(&import("env", "table", "(table 1 funcref)"), &["env.table", "--importTable"]);
    refuses(&import("env", "__stack_pointer", "(global (mut i32))"), &["env.__stack_pointer", "-fPIC"]);
    let memory =
        format!(r#"(module (memory (export "memory") (import "env" "memory") 1) {ABI} {REGION} {INIT} {DECIDE})"#);
    refuses(&assemble(&memory), &["env.memory", "--importMemory"]);
    let hostile = "\u{1b}[2J\n".repeat(1000);
    refuses(&import(&hostile, &hostile, "(func)"), &["\\u{1b}[2J\\n"]);
}

#[test]
fn imports_of_the_wrong_type() {
    let log = with(r#"(import "shunt" "log" (func (param i32 i32)))"#, "");
    refuses(&log, &["import shunt.log", "(i32, i32)", "(i32, i32, i32)"]);
    let returns = with(r#"(import "shunt" "log" (func (param i32 i32 i32) (result i32)))"#, "");
    refuses(&returns, &["import shunt.log", "(i32, i32, i32) -> i32"]);
    refuses(&with(r#"(import "env" "abort" (global i32))"#, ""), &["import env.abort is no function"]);
    // A foreign import is named although the module also uses what it may not.
    let both = r#"(import "env" "memory" (memory 1 1 shared))"#;
    refuses(&assemble(&format!("(module {both})")), &["env.memory"]);
}

#[test]
fn exports_that_are_missing_or_of_the_wrong_type() {
    let all = [
        ("memory", MEMORY, "--noExportMemory"),
        ("shunt_policy_abi_1", ABI, "() -> i32"),
        ("region", REGION, "(i32, i32) -> i32"),
        ("init", INIT, "(i32) -> i32"),
        ("decide", DECIDE, "export_name(\"decide\")"),
    ];
    for (missing, _, remedy) in all {
        let rest: String = all.iter().filter(|(name, ..)| *name != missing).map(|(_, text, _)| *text).collect();
        refuses(&assemble(&format!("(module {rest})")), &["does not export", missing, remedy]);
        let wrong = format!("(module {rest} (func (export {missing:?}) (param i64)))");
        refuses(&assemble(&wrong), &[missing]);
        let global = format!("(module {rest} (global (export {missing:?}) i32 (i32.const 0)))");
        refuses(&assemble(&global), &[missing]);
    }
    let decide =
        format!(r#"(module {MEMORY} {ABI} {REGION} {INIT} (func (export "decide") (result i64) (i64.const 0)))"#);
    refuses(&assemble(&decide), &["export decide is a function () -> i64", "() -> i32"]);
    refuses(&with("", r#"(func (export "save"))"#), &["save", "() -> i32"]);
    refuses(&with("", r#"(func (export "load") (result i32) (i32.const 0))"#), &["load", "(i32) -> i32"]);
    refuses(&with("", r#"(func (export "_initialize") (param i32))"#), &["_initialize"]);
}

#[test]
fn memories_and_tables_that_are_too_large() {
    let memory = |pages: &str| {
        assemble(&format!(r#"(module (memory (export "memory") {pages}) {ABI} {REGION} {INIT} {DECIDE})"#))
    };
    check(&memory("256")).unwrap();
    check(&memory("1 65536")).unwrap();
    refuses(&memory("257"), &["16448 KiB", "16384 KiB is the limit", "--initialMemory"]);
    refuses(&memory("65536"), &["4194304 KiB"]);
    refuses(&with("", "(table 10001 funcref)"), &["10001 elements", "10000"]);
    refuses(&with("", "(table 0xffffffff funcref)"), &["4294967295 elements"]);
    refuses(&with("", "(table 1 funcref) (table 1 funcref)"), &["2 tables"]);
}

#[test]
fn features_beyond_webassembly_2() {
    let memory =
        |text: &str| assemble(&format!(r#"(module (memory (export "memory") {text}) {ABI} {REGION} {INIT} {DECIDE})"#));
    refuses(&memory("1 1 shared"), &["shared memory", "--enable threads"]);
    refuses(&memory("i64 1"), &["64-bit memory", "wasm32"]);
    refuses(&memory("1 (pagesize 1)"), &["custom page sizes"]);
    refuses(&with("", "(memory 1)"), &["more than one memory"]);
    refuses(&with("", "(func $f (return_call $f))"), &["tail calls", "-mno-tail-call"]);
    let relaxed = "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))";
    refuses(&with("", relaxed), &["relaxed SIMD", "--enable relaxed-simd"]);
    let constant = "(global i32 (i32.add (i32.const 1) (i32.const 2)))";
    refuses(&with("", constant), &["extended constant", "-mno-extended-const"]);
    let wide = "(func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))";
    refuses(&with("", wide), &["wide arithmetic"]);
    let atomic = "(func (result i32) (i32.atomic.load (i32.const 0)))";
    refuses(&with("", atomic), &["atomic"]);
    refuses(&with("", "(tag $t) (func (throw $t))"), &["exceptions", "panic=abort"]);
    refuses(&with("", "(type (struct (field i32)))"), &["WebAssembly 2.0"]);
    refuses(&with("", "(func (param (ref func)))"), &["WebAssembly 2.0"]);
    refuses(&with("", "(rec (type $f (func)) (type $c (cont $f)))"), &["WebAssembly 2.0"]);
}

#[test]
fn a_module_that_is_not_well_typed() {
    // func () -> i32 that leaves nothing on the stack: the name "decide" keeps its export, its body is 0 locals, end.
    let text = r#"(module (func (export "decide") (result i32) (nop)))"#;
    refuses(&assemble(text), &["not valid WebAssembly", "build it again"]);
}

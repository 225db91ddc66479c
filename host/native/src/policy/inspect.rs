//! What is looked at before a module is compiled. Each refusal is one line: the cause, and the compiler switch or the
//! line of source that mends it, for AssemblyScript (asc), Rust (rustc) and C (clang).

use wasmtime::wasmparser::types::{EntityType, TypesRef};
use wasmtime::wasmparser::{self, ValType, Validator, WasmFeatures};

use super::limits::{FEATURES, MEMORY_MAX, MODULE_MAX, TABLE_MAX};
use super::text;
use crate::vm::PAGE;

use ValType::I32;

/// A function's name and type.
type Signature = (&'static str, &'static [ValType], &'static [ValType]);

/// Functions that a policy may import, with the module they are in.
const IMPORTS: [(&str, Signature); 2] =
    [("shunt", ("log", &[I32, I32, I32], &[])), ("env", ("abort", &[I32, I32, I32, I32], &[]))];

/// Functions that it must export.
const EXPORTS: [Signature; 4] = [
    ("shunt_policy_abi_1", &[], &[I32]),
    ("region", &[I32, I32], &[I32]),
    ("init", &[I32], &[I32]),
    ("decide", &[], &[I32]),
];

/// Functions that it may export.
const OPTIONAL_EXPORTS: [Signature; 3] = [("save", &[], &[I32]), ("load", &[I32], &[I32]), ("_initialize", &[], &[])];

/// Refuses what is not a policy of ABI 1.
pub fn check(wasm: &[u8]) -> Result<(), String> {
    check_header(wasm)?;
    let types = match validate(wasm, FEATURES) {
        Ok(types) => types,
        // With what it may not use, it may still be WebAssembly, and a foreign import says more than a feature.
        Err(error) => match validate(wasm, WasmFeatures::all()) {
            Ok(types) => {
                check_imports(types.as_ref())?;
                return Err(unwanted(wasm, &error));
            }
            Err(error) => return Err(invalid(&error)),
        },
    };
    let types = types.as_ref();
    check_imports(types)?;
    check_exports(types)?;
    check_sizes(types)
}

fn validate(wasm: &[u8], features: WasmFeatures) -> wasmparser::Result<wasmparser::types::Types> {
    Validator::new_with_features(features).validate_all(wasm)
}

fn check_header(wasm: &[u8]) -> Result<(), String> {
    if wasm.len() > MODULE_MAX {
        return Err(format!(
            "it has more than {MODULE_MAX} octets; build it optimised and stripped (asc -Oz, rustc -C opt-level=s -C \
             strip=symbols, clang -Os -Wl,--strip-all)"
        ));
    }
    match wasm.first_chunk::<8>() {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Err("it is a component; build a core module (rustc --target \
             wasm32-unknown-unknown, or `wasm-tools component unbundle`)"
            .into()),
        Some([0, b'a', b's', b'm', ..]) => {
            Err("it is of an unknown version of WebAssembly; build it as a core module of version 1".into())
        }
        _ => Err("it is not a WebAssembly module; give the .wasm file that the compiler wrote, not its source".into()),
    }
}

fn invalid(error: &wasmparser::Error) -> String {
    let cause = text::escaped(error.message());
    format!("it is not valid WebAssembly ({cause} at octet {}); it may be cut off: build it again", error.offset())
}

/// A module that uses what came after WebAssembly 2.0: `error` is what stands in its way.
fn unwanted(wasm: &[u8], error: &wasmparser::Error) -> String {
    const WHAT: [(WasmFeatures, &str, &str); 9] = [
        (
            WasmFeatures::THREADS,
            "shared memory or atomic instructions",
            "asc without --enable threads, rustc -C target-feature=-atomics, clang without -pthread",
        ),
        (WasmFeatures::MEMORY64, "64-bit memory", "build it for wasm32"),
        (WasmFeatures::MULTI_MEMORY, "more than one memory", "keep all data in one, and name that \"memory\""),
        (
            WasmFeatures::TAIL_CALL,
            "tail calls",
            "asc without --enable tail-calls, rustc -C target-feature=-tail-call, clang -mno-tail-call",
        ),
        (
            WasmFeatures::RELAXED_SIMD,
            "relaxed SIMD, whose results depend on the processor",
            "asc without --enable relaxed-simd, rustc -C target-feature=-relaxed-simd, clang -mno-relaxed-simd",
        ),
        (
            WasmFeatures::EXTENDED_CONST,
            "extended constant expressions",
            "rustc -C target-feature=-extended-const, clang -mno-extended-const, and no position-independent code",
        ),
        (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic", "clang -mno-wide-arithmetic"),
        (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes", "leave the page size at 64 KiB"),
        (
            WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS),
            "exceptions",
            "rustc -C panic=abort, clang -fno-exceptions",
        ),
    ];
    // It is valid with all features, so the one without which it is not is one that it uses.
    let (what, remedy) = WHAT
        .iter()
        .find(|(feature, ..)| validate(wasm, !*feature).is_err())
        .map_or(("what came after WebAssembly 2.0", "build it for WebAssembly 2.0"), |(_, what, remedy)| {
            (what, remedy)
        });
    let cause = text::escaped(error.message());
    format!("it uses {what}, which policies do not have ({cause} at octet {}); {remedy}", error.offset())
}

fn check_imports(types: TypesRef<'_>) -> Result<(), String> {
    for (module, name, entity) in types.core_imports().into_iter().flatten() {
        let allowed = IMPORTS.iter().find(|(from, (of, ..))| (*from, *of) == (module, name));
        let shown = format!("{}.{}", text::name(module), text::name(name));
        match allowed {
            None => return Err(format!("it imports {shown}, which policies do not have; {}", without(module, name))),
            Some((_, signature)) => check_type(types, "import", &shown, entity, signature)?,
        }
    }
    Ok(())
}

/// How to build a module without an import.
fn without(module: &str, name: &str) -> &'static str {
    match (module, name) {
        ("env", "memory") => "asc without --importMemory, wasm-ld without --import-memory",
        ("env", "table" | "__indirect_function_table") => "asc without --importTable, wasm-ld without --import-table",
        ("env", "seed") => "take the table's entropy instead of Math.random(), which is the same on every replay",
        ("env", "trace") => "use the SDK's log() instead of trace()",
        ("env", "__stack_pointer" | "__memory_base" | "__table_base") | ("GOT.mem" | "GOT.func", _) => {
            "link an executable, not a library: clang without -fPIC and -shared, rustc -C relocation-model=static"
        }
        ("env", _) if name.starts_with("console.") => "use the SDK's log() instead of console",
        ("env", _) if name.starts_with("Date.") || name.starts_with("performance.") => {
            "take the table's nowUs instead of a clock"
        }
        ("shunt", _) => "shunt.log is all there is in ABI 1",
        _ if module.starts_with("wasi") => {
            "build without WASI: rustc --target wasm32-unknown-unknown, clang --target=wasm32 -nostdlib, asc without wasi-shim"
        }
        _ if module.starts_with("__wbindgen") || module == "wbg" => {
            "build without wasm-bindgen and the crates that need it"
        }
        _ => "define it in the policy, or remove what calls it; wasm-ld without --allow-undefined names the caller",
    }
}

fn check_exports(types: TypesRef<'_>) -> Result<(), String> {
    let find = |name: &str| types.core_exports().into_iter().flatten().find(|(n, _)| *n == name).map(|(_, ty)| ty);
    match find("memory") {
        Some(EntityType::Memory(_)) => {}
        Some(_) => return Err("its export memory is no memory; export its linear memory by that name".into()),
        None => {
            return Err(
                "it does not export its memory; asc without --noExportMemory, wasm-ld without --no-export-memory"
                    .into(),
            );
        }
    }
    for signature in &EXPORTS {
        let (name, ..) = signature;
        let entity = find(name).ok_or_else(|| {
            format!(
                "it does not export {name}{}; asc: export function {name}, rustc: #[unsafe(no_mangle)] pub extern \"C\" \
                 fn {name}, clang: __attribute__((export_name(\"{name}\")))",
                shape(signature.1, signature.2)
            )
        })?;
        check_type(types, "export", name, entity, signature)?;
    }
    for signature in &OPTIONAL_EXPORTS {
        if let Some(entity) = find(signature.0) {
            check_type(types, "export", signature.0, entity, signature)?;
        }
    }
    Ok(())
}

fn check_type(
    types: TypesRef<'_>,
    kind: &str,
    shown: &str,
    entity: EntityType,
    (_, params, results): &Signature,
) -> Result<(), String> {
    let expected = shape(params, results);
    let EntityType::Func(id) = entity else {
        return Err(format!("its {kind} {shown} is no function; declare it as a function {expected}"));
    };
    let function = types[id].unwrap_func();
    if function.params() == *params && function.results() == *results {
        return Ok(());
    }
    let found = shape(function.params(), function.results());
    Err(format!("its {kind} {shown} is a function {found}; declare it as {expected}"))
}

/// A function's type as in `(i32, i32) -> i32`.
fn shape(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ");
    let shown = match results {
        [] => format!("({})", list(params)),
        [one] => format!("({}) -> {one}", list(params)),
        many => format!("({}) -> ({})", list(params), list(many)),
    };
    text::name(&shown)
}

fn check_sizes(types: TypesRef<'_>) -> Result<(), String> {
    let pages = types.memory_at(0).initial;
    if pages > (MEMORY_MAX / PAGE) as u64 {
        return Err(format!(
            "it asks for {} KiB of memory from the start, {} KiB is the limit; asc --initialMemory, wasm-ld \
             --initial-memory and -z stack-size say how much",
            pages * 64,
            MEMORY_MAX >> 10
        ));
    }
    if types.table_count() > 1 {
        let count = types.table_count();
        return Err(format!("it has {count} tables, one is the limit; keep all function pointers in one"));
    }
    if types.table_count() == 1 && types.table_at(0).initial > TABLE_MAX as u64 {
        let size = types.table_at(0).initial;
        return Err(format!("its table has {size} elements, {TABLE_MAX} is the limit; use fewer function pointers"));
    }
    Ok(())
}

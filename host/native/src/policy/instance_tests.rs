//! What a well-behaved policy gets from the sandbox.

use super::compile::compile;
use super::fault::Kind;
use super::instance::Sandbox;
use super::limits::{INTENT_SIZE, Metering, STATE_MAX};

const METERED: Metering = Metering { fuel: true, epoch: true };

/// Keeps a count; every decision adds to it the setting and the table's first octet, and shows it in the intent's first
/// eight octets. The count is its state.
const COUNTER: &str = r#"(module
  (import "shunt" "log" (func $log (param i32 i32 i32)))
  (global $count (mut i64) (i64.const 0))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func $region (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "_initialize") (global.set $count (i64.const 1000)))
  (func (export "init") (param $length i32) (result i32) (i32.ne (local.get $length) (i32.const 8)))
  (func (export "decide") (result i32)
    (global.set $count (i64.add (global.get $count)
      (i64.add (i64.load (i32.const 8192)) (i64.load8_u (i32.const 16384)))))
    (i64.store (i32.const 24576) (global.get $count))
    (call $log (i32.const 2) (i32.const 100) (i32.const 5))
    (i32.const 0))
  (func (export "save") (result i32) (i64.store (i32.const 32768) (global.get $count)) (i32.const 8))
  (func (export "load") (param $length i32) (result i32)
    (if (i32.ne (local.get $length) (i32.const 8)) (then (return (i32.const 1))))
    (global.set $count (i64.load (i32.const 32768)))
    (i32.const 0))
  (data (i32.const 100) "hello"))"#;

fn code(text: &str) -> Vec<u8> {
    compile(&wat::parse_str(text).unwrap(), METERED).unwrap()
}

fn count(intent: [u8; INTENT_SIZE]) -> u64 {
    u64::from_le_bytes(intent[..8].try_into().unwrap())
}

#[test]
fn settings_table_intent_log_and_state_go_through() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let code = code(COUNTER);
    let mut first = sandbox.load(&code, &5u64.to_le_bytes(), None).0.unwrap();
    assert!(!first.state_loaded);
    assert_eq!(first.memory_size(), 65536);
    let (decided, report) = first.decide(&sandbox, &[7; 128]);
    let (status, intent) = decided.unwrap();
    assert_eq!((status, count(intent)), (0, 1012));
    assert_eq!(report.log.iter().map(|line| (line.level, line.text.as_str())).collect::<Vec<_>>(), [(2, "hello")]);
    assert!(report.fuel > 0 && report.nanoseconds > 0);

    let state = first.save(&sandbox).0.unwrap();
    let mut second = sandbox.load(&code, &5u64.to_le_bytes(), Some(&state)).0.unwrap();
    assert!(second.state_loaded);
    let (_, intent) = second.decide(&sandbox, &[7; 128]).0.unwrap();
    assert_eq!(count(intent), 1024);
    // The first goes on beside it.
    let (_, intent) = first.decide(&sandbox, &[0; 128]).0.unwrap();
    assert_eq!(count(intent), 1017);
}

#[test]
fn a_wish_lasts_for_one_decision() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let adds = COUNTER.replace(
        "(i64.store (i32.const 24576) (global.get $count))",
        "(i64.store (i32.const 24600) (i64.add (i64.load (i32.const 24600)) (i64.const 1)))",
    );
    let mut instance = sandbox.load(&code(&adds), &5u64.to_le_bytes(), None).0.unwrap();
    for _ in 0..3 {
        let (_, intent) = instance.decide(&sandbox, &[7; 128]).0.unwrap();
        assert_eq!(intent[24..32], 1u64.to_le_bytes());
    }
}

#[test]
fn equal_inputs_cost_equal_fuel() {
    let sandboxes = [Sandbox::new(METERED).unwrap(), Sandbox::new(METERED).unwrap()];
    let code = code(COUNTER);
    let run = |sandbox: &Sandbox| {
        let (loaded, report) = sandbox.load(&code, &5u64.to_le_bytes(), None);
        let mut instance = loaded.unwrap();
        let mut fuel = vec![report.fuel];
        for round in 0..100u8 {
            let (decided, report) = instance.decide(sandbox, &[round; 2112]);
            decided.unwrap();
            fuel.push(report.fuel);
        }
        (fuel, instance.save(sandbox).0.unwrap())
    };
    assert_eq!(run(&sandboxes[0]), run(&sandboxes[1]));
}

/// What leaves the module takes longer than an instruction and is to cost more: a flood of it would end by time only.
#[test]
fn growing_and_logging_cost_more_than_an_instruction() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let fuel = |body: &str| {
        let text =
            COUNTER.replace("(i32.const 5))\n    (i32.const 0))", &format!("(i32.const 5)) {body} (i32.const 0))"));
        let mut instance = sandbox.load(&code(&text), &[0; 8], None).0.unwrap();
        let (decided, report) = instance.decide(&sandbox, &[0; 64]);
        decided.unwrap();
        report.fuel
    };
    let without = fuel("");
    assert!((1000..1100).contains(&without), "{without}");
    assert!(fuel("(drop (memory.grow (i32.const 0)))") > without + 200);
    assert!(fuel("(call $log (i32.const 1) (i32.const 0) (i32.const 0))") > without + 1000);
    assert!(fuel("(memory.fill (i32.const 0) (i32.const 0) (i32.const 5000))") > without + 5000);
}

#[test]
fn a_state_that_is_refused_is_no_fault() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let mut instance = sandbox.load(&code(COUNTER), &[0; 8], Some(&[1; 9])).0.unwrap();
    assert!(!instance.state_loaded);
    let (_, intent) = instance.decide(&sandbox, &[0; 64]).0.unwrap();
    assert_eq!(count(intent), 1000);
}

#[test]
fn settings_that_are_refused_are_a_fault_that_says_so() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let fault = sandbox.load(&code(COUNTER), &[0; 16], None).0.err().unwrap();
    assert_eq!(fault.kind, Kind::Abi);
    assert!(fault.message.contains("init() refused its settings with code 1"), "{}", fault.message);
}

#[test]
fn what_is_too_long_for_a_region_is_not_passed() {
    let sandbox = Sandbox::new(METERED).unwrap();
    let long = vec![0; STATE_MAX + 1];
    let fault = sandbox.load(&code(COUNTER), &[0; 8], Some(&long)).0.err().unwrap();
    assert!(fault.message.contains("4096 is the limit"), "{}", fault.message);
}

#[test]
fn code_of_another_engine_is_refused() {
    let fuelless = Metering { fuel: false, epoch: true };
    let foreign = compile(&wat::parse_str(COUNTER).unwrap(), fuelless).unwrap();
    let sandbox = Sandbox::new(METERED).unwrap();
    let fault = sandbox.load(&foreign, &[0; 8], None).0.err().unwrap();
    assert!(fault.message.contains("compile it again"), "{}", fault.message);
    let without = Sandbox::new(fuelless).unwrap();
    let mut instance = without.load(&foreign, &[0; 8], None).0.unwrap();
    let (decided, report) = instance.decide(&without, &[0; 64]);
    decided.unwrap();
    assert_eq!(report.fuel, 0);
}

/// On a machine that is busy with others the epoch is raised under a call that has used no time yet: here by the log
/// line, before the call for the intent's region.
#[test]
fn an_operation_that_had_to_wait_goes_on() {
    let mut sandbox = Sandbox::new(METERED).unwrap();
    let engine = sandbox.engine.clone();
    sandbox.linker.allow_shadowing(true);
    sandbox.linker.func_wrap("shunt", "log", move |_: u32, _: u32, _: u32| engine.increment_epoch()).unwrap();
    let mut instance = sandbox.load(&code(COUNTER), &[0; 8], None).0.unwrap();
    for _ in 0..3 {
        instance.decide(&sandbox, &[0; 64]).0.unwrap();
    }
}

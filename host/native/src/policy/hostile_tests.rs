//! Every module in test/hostile-policies/, against the operation and the kind of fault that its first line promises.

use std::path::Path;

use super::compile::compile;
use super::fault::{Fault, Kind};
use super::instance::{Instance, Sandbox};
use super::limits::{FUEL, Metering};
use super::meter::Report;

/// By fuel alone, so that a slow machine does not end them by time.
const COUNTED: Metering = Metering { fuel: true, epoch: false };
/// Settings are left out: they would make region() the first thing to fail.
const TABLE: [u8; 128] = [0; 128];

/// What came of a module: the operation that failed, its fault and its cost.
type End = Option<(&'static str, Fault, Report)>;

/// Loads a module with a predecessor's state, lets it decide three times, saves its state.
fn live(sandbox: &Sandbox, code: &[u8]) -> End {
    let (loaded, report) = sandbox.load(code, &[], Some(&[1; 16]));
    let mut instance = match loaded {
        Ok(instance) => instance,
        Err(fault) => return Some(("load", fault, report)),
    };
    for _ in 0..3 {
        let (decided, report) = instance.decide(sandbox, &TABLE);
        if let Err(fault) = decided {
            check_dead(sandbox, &mut instance);
            return Some(("decide", fault, report));
        }
        assert!(report.log.len() <= 10 && report.log.iter().all(|line| line.text.len() < 2000), "{:?}", report.log);
        assert!(report.log.iter().all(|line| !line.text.contains(char::is_control)), "{:?}", report.log);
    }
    let (saved, report) = instance.save(sandbox);
    saved.err().map(|fault| ("save", fault, report))
}

fn check_dead(sandbox: &Sandbox, instance: &mut Instance) {
    let (again, report) = instance.decide(sandbox, &TABLE);
    assert!(again.unwrap_err().message.contains("has ended before"));
    assert_eq!(report.fuel, 0);
}

fn modules() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/hostile-policies");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "wat"));
    texts.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn hostile_modules_end_as_they_promise_and_nothing_else_does() {
    let sandbox = Sandbox::new(COUNTED).unwrap();
    let modules = modules();
    assert!(modules.len() >= 40, "only {} modules found", modules.len());
    for (name, text) in modules {
        let promise = text.lines().next().unwrap().trim_start_matches(";; ").split(':').next().unwrap();
        let code = compile(&wat::parse_str(&text).unwrap(), COUNTED).unwrap_or_else(|why| panic!("{name}: {why}"));
        let end = live(&sandbox, &code);
        let came =
            end.as_ref().map_or("served".into(), |(operation, fault, _)| format!("{operation} {}", fault.kind.name()));
        assert_eq!(came, promise, "{name}: {end:?}", end = end.as_ref().map(|(_, fault, _)| fault));
        let Some((_, fault, report)) = end else { continue };
        assert!(!fault.message.contains(char::is_control), "{name}: {}", fault.message);
        assert!(fault.message.contains("; ") && fault.message.len() < 700, "{name}: {}", fault.message);
        if fault.kind == Kind::Fuel {
            assert_eq!(report.fuel, FUEL, "{name}");
        }
    }
}

#[test]
fn the_end_of_a_hostile_module_is_the_same_every_time() {
    let sandbox = Sandbox::new(COUNTED).unwrap();
    for (name, text) in modules() {
        let code = compile(&wat::parse_str(&text).unwrap(), COUNTED).unwrap();
        let run = || live(&sandbox, &code).map(|(operation, fault, report)| (operation, fault, report.fuel));
        assert_eq!(run(), run(), "{name}");
    }
}

/// Without fuel, what never ends is stopped by the watchdog.
#[test]
fn without_fuel_a_loop_ends_with_its_time() {
    let metering = Metering { fuel: false, epoch: true };
    let sandbox = Sandbox::new(metering).unwrap();
    for part in ["decide-loops", "start-loops", "fills-memory", "logs-for-ever", "grows-by-nothing"] {
        let (_, text) = modules().into_iter().find(|(name, _)| name.ends_with(&format!("{part}.wat"))).unwrap();
        let code = compile(&wat::parse_str(&text).unwrap(), metering).unwrap();
        let (_, fault, report) = live(&sandbox, &code).unwrap();
        assert_eq!(fault.kind, Kind::Time, "{part}: {}", fault.message);
        assert!(report.nanoseconds >= 50_000_000, "{part}: {} ns", report.nanoseconds);
        assert_eq!(report.fuel, 0);
    }
}

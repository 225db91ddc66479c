//! The thread on which all instances of a daemon live. What is asked of it is done in order, so an instance never sees
//! two calls at once, and the longest that one can make another wait is its budget.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::fault::Fault;
use super::imports::LogLine;
use super::instance::{Instance, Sandbox};
use super::limits::{INTENT_SIZE, Metering};
use super::meter::Report;
use crate::error::{Error, Result};

/// More than STACK_MAX of the module's, plus what wasmtime and the imports need.
const STACK: usize = 2 << 20;

/// What became of one request. Fields that do not belong to it are empty.
#[derive(Default)]
pub struct Answer {
    /// Load: the number of the new instance.
    pub instance: u32,
    /// Load: the state was taken.
    pub state_loaded: bool,
    /// Decide: what decide() returned.
    pub status: u32,
    /// Decide: the intent. Save: the state.
    pub octets: Vec<u8>,
    /// Octets of the instance's memory.
    pub memory: usize,
    pub fuel: u64,
    pub nanoseconds: u64,
    pub log: Vec<LogLine>,
    pub log_dropped: u32,
    pub fault: Option<Fault>,
}

/// Takes an answer, on the policy thread.
pub type Reply = Box<dyn FnOnce(Result<Answer>) + Send>;

/// What may be asked.
pub enum Job {
    Load { code: Vec<u8>, settings: Vec<u8>, state: Option<Vec<u8>> },
    Decide { instance: u32, table: Vec<u8> },
    Save { instance: u32 },
    Close { instance: u32 },
}

/// The host's end. The thread ends when this is dropped.
pub struct Handle {
    jobs: Sender<(Job, Reply)>,
}

impl Handle {
    /// Passes `job` on; a reply that is dropped unused means that the thread has ended.
    pub fn send(&self, job: Job, reply: Reply) {
        let _ = self.jobs.send((job, reply));
    }
}

/// Starts the thread with an Engine of its own.
pub fn start(metering: Metering) -> Result<Handle> {
    let sandbox = Sandbox::new(metering)?;
    let (jobs, inbox) = channel();
    thread::Builder::new()
        .name("shunt-policy".into())
        .stack_size(STACK)
        .spawn(move || Desk { sandbox, instances: HashMap::new(), last: 0 }.serve(&inbox))
        .map_err(|error| Error::io("cannot start the policy thread", error))?;
    Ok(Handle { jobs })
}

struct Desk {
    sandbox: Sandbox,
    instances: HashMap<u32, Instance>,
    /// Number of the newest instance.
    last: u32,
}

impl Desk {
    fn serve(&mut self, inbox: &Receiver<(Job, Reply)>) {
        while let Ok((job, reply)) = inbox.recv() {
            // A panic is a mistake of ours; it costs the request, not all policies.
            let answer = catch_unwind(AssertUnwindSafe(|| self.perform(job)));
            reply(answer.map_err(|_| Error::Options("the policy thread panicked, please report it".into())));
        }
    }

    fn perform(&mut self, job: Job) -> Answer {
        match job {
            Job::Load { code, settings, state } => self.load(&code, &settings, state.as_deref()),
            Job::Decide { instance, table } => self.with(instance, |instance, sandbox| {
                let (decided, report) = instance.decide(sandbox, &table);
                let (status, intent) = decided.as_ref().copied().unwrap_or((0, [0; INTENT_SIZE]));
                Answer { status, octets: intent.to_vec(), ..answer(report, decided.err()) }
            }),
            Job::Save { instance } => self.with(instance, |instance, sandbox| {
                let (saved, report) = instance.save(sandbox);
                let (octets, fault) = saved.map_or_else(|fault| (Vec::new(), Some(fault)), |octets| (octets, None));
                Answer { octets, ..answer(report, fault) }
            }),
            Job::Close { instance } => {
                self.instances.remove(&instance);
                Answer::default()
            }
        }
    }

    fn load(&mut self, code: &[u8], settings: &[u8], state: Option<&[u8]>) -> Answer {
        let (loaded, report) = self.sandbox.load(code, settings, state);
        match loaded {
            Err(fault) => answer(report, Some(fault)),
            Ok(instance) => {
                self.last += 1;
                let (memory, state_loaded) = (instance.memory_size(), instance.state_loaded);
                self.instances.insert(self.last, instance);
                Answer { instance: self.last, memory, state_loaded, ..answer(report, None) }
            }
        }
    }

    fn with(&mut self, number: u32, work: impl FnOnce(&mut Instance, &Sandbox) -> Answer) -> Answer {
        let Some(instance) = self.instances.get_mut(&number) else {
            let fault = Fault::trap("this instance is closed; load a new one");
            return Answer { fault: Some(fault), ..Answer::default() };
        };
        let answer = work(instance, &self.sandbox);
        Answer { memory: instance.memory_size(), ..answer }
    }
}

fn answer(report: Report, fault: Option<Fault>) -> Answer {
    let Report { fuel, nanoseconds, log, log_dropped } = report;
    Answer { fuel, nanoseconds, log, log_dropped, fault, ..Answer::default() }
}

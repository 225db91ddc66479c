//! The spare engine of a shard, and what is left of dead ones. Both are made on a thread of their
//! own: a shard that loses its engine goes on with the spare at once.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::abi;
use crate::device::Received;
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, Result, Trap};
use crate::vm::Code;

/// Coredumps that one process writes at most: a packet that kills the engine comes again and again.
const DUMPS_MAX: u32 = 16;
/// How long a shard waits for a spare that is still being made.
const PATIENCE: Duration = Duration::from_secs(30);

/// A dead engine with what killed it.
pub struct Corpse {
    pub engine: Engine,
    pub trap: Box<Trap>,
    /// The batch it died of; empty if it died of something else.
    pub packets: Vec<Received>,
}

enum Job {
    MakeSpare,
    Dump(Box<Corpse>, PathBuf),
    Drop(Box<Corpse>),
}

/// Makes spares and writes coredumps in the background.
pub struct Nursery {
    jobs: Option<Sender<Job>>,
    spares: Receiver<Result<Engine>>,
    thread: Option<JoinHandle<()>>,
    directory: Option<PathBuf>,
    dumps: u32,
}

impl Nursery {
    /// Starts the thread, which makes the first spare at once. Coredumps go to `directory`, if any.
    pub fn start(code: Arc<Code>, options: EngineOptions, directory: Option<PathBuf>) -> Result<Nursery> {
        let (jobs, inbox) = channel();
        let (outbox, spares) = channel();
        let thread = thread::Builder::new()
            .name("shunt-spare".into())
            .stack_size(4 << 20)
            .spawn(move || work(&code, &options, &inbox, &outbox))
            .map_err(|error| Error::io("cannot start the spare engine's thread", error))?;
        let nursery = Nursery { jobs: Some(jobs), spares, thread: Some(thread), directory, dumps: 0 };
        nursery.ask(Job::MakeSpare);
        Ok(nursery)
    }

    fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this sender does.
            let _ = jobs.send(job);
        }
    }

    /// Takes the spare and has the next one made. Waits up to 30 s if there is none yet.
    pub fn take(&mut self) -> Result<Engine> {
        let spare = self.spares.recv_timeout(PATIENCE).map_err(|_| Error::Stopped("the data path"))?;
        self.ask(Job::MakeSpare);
        spare
    }

    /// Writes what is left of `corpse` in the background. Returns the path of the coredump-to-be,
    /// none if no directory was given or enough of them are there.
    pub fn bury(&mut self, corpse: Corpse) -> Option<PathBuf> {
        let directory = self.directory.as_ref().filter(|_| self.dumps < DUMPS_MAX);
        let Some(directory) = directory else {
            self.ask(Job::Drop(Box::new(corpse)));
            return None;
        };
        let name = format!("engine-{}-{}.coredump", std::process::id(), self.dumps);
        let path = directory.join(name);
        self.dumps += 1;
        self.ask(Job::Dump(Box::new(corpse), path.clone()));
        Some(path)
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(code: &Code, options: &EngineOptions, jobs: &Receiver<Job>, spares: &Sender<Result<Engine>>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::MakeSpare => {
                let _ = spares.send(Engine::new(code, options));
            }
            Job::Dump(mut corpse, path) => {
                // The failure event has named the path already; an unwritable directory must not
                // end the data path.
                if let Err(error) = dump(&mut corpse, &path) {
                    eprintln!("shunt: cannot write {}: {error}", path.display());
                }
            }
            Job::Drop(corpse) => drop(corpse),
        }
    }
}

/// Writes the coredump, and beside it the batch as `….batch`: "SHUNTBAT", u32 count, and for each
/// packet its descriptor, its length (u32) and its octets as the dead call left them.
fn dump(corpse: &mut Corpse, path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // Keys and payload of all connections are in there: for the owner's eyes only.
    let write = |path: &Path, octets: &[u8]| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(octets)
    };
    if let Some(coredump) = corpse.engine.instance.coredump(&corpse.trap) {
        write(path, &coredump)?;
    }
    let memory = corpse.engine.instance.memory();
    let size = abi::DESCRIPTOR_SIZE as usize;
    let mut batch = b"SHUNTBAT".to_vec();
    batch.extend_from_slice(&(corpse.packets.len() as u32).to_le_bytes());
    for (index, packet) in corpse.packets.iter().enumerate() {
        let descriptor = abi::DESCRIPTORS as usize + index * size;
        let start = packet.offset as usize;
        batch.extend_from_slice(&memory[descriptor..descriptor + size]);
        batch.extend_from_slice(&packet.length.to_le_bytes());
        batch.extend_from_slice(&memory[start..start + packet.length as usize]);
    }
    write(&path.with_extension("batch"), &batch)
}

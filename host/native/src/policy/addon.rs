//! The policy thread's face to Node; host/engine/addon.ts has the types, host/engine/sandbox.ts makes it pleasant.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi_derive::napi;

use super::limits::Metering;
use super::thread::{self, Answer, Handle, Job};
use crate::promise_of;

/// A line of a policy's log.
#[napi(object)]
pub struct NativePolicyLogLine {
    pub level: u32,
    pub text: String,
}

/// `fault::Fault`.
#[napi(object)]
pub struct NativePolicyFault {
    pub kind: String,
    pub message: String,
}

/// `thread::Answer`.
#[napi(object)]
pub struct NativePolicyOutcome {
    pub instance: u32,
    pub state_loaded: bool,
    pub status: u32,
    pub octets: Buffer,
    pub memory: u32,
    pub fuel: f64,
    pub nanoseconds: f64,
    pub log: Vec<NativePolicyLogLine>,
    pub log_dropped: u32,
    pub fault: Option<NativePolicyFault>,
}

/// A thread for policies, with a wasmtime Engine of its own.
#[napi]
pub struct PolicyThread {
    handle: Handle,
}

#[napi]
impl PolicyThread {
    /// `fuel` and `epoch` say which budgets calls have; code must have been compiled with the same.
    #[napi(constructor)]
    pub fn new(fuel: bool, epoch: bool) -> napi::Result<PolicyThread> {
        Ok(PolicyThread { handle: thread::start(Metering { fuel, epoch })? })
    }

    /// Makes an instance of code that shunt-policy-compile returned.
    #[napi]
    pub fn load<'env>(
        &self,
        env: &'env Env,
        code: Uint8Array,
        settings: Uint8Array,
        state: Option<Uint8Array>,
    ) -> napi::Result<Object<'env>> {
        let state = state.map(|octets| octets.to_vec());
        self.ask(env, Job::Load { code: code.to_vec(), settings: settings.to_vec(), state })
    }

    /// One decision.
    #[napi]
    pub fn decide<'env>(&self, env: &'env Env, instance: u32, table: Uint8Array) -> napi::Result<Object<'env>> {
        self.ask(env, Job::Decide { instance, table: table.to_vec() })
    }

    /// The instance's state.
    #[napi]
    pub fn save<'env>(&self, env: &'env Env, instance: u32) -> napi::Result<Object<'env>> {
        self.ask(env, Job::Save { instance })
    }

    /// Drops the instance after what was asked of it before.
    #[napi]
    pub fn close(&self, instance: u32) {
        self.handle.send(Job::Close { instance }, Box::new(|_| {}));
    }

    fn ask<'env>(&self, env: &'env Env, job: Job) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise_of(env, "the policy thread", outcome)?;
        self.handle.send(job, reply);
        Ok(promise)
    }
}

fn outcome(answer: Answer) -> NativePolicyOutcome {
    let log = answer.log.into_iter().map(|line| NativePolicyLogLine { level: line.level, text: line.text });
    NativePolicyOutcome {
        instance: answer.instance,
        state_loaded: answer.state_loaded,
        status: answer.status,
        octets: answer.octets.into(),
        memory: answer.memory as u32,
        fuel: answer.fuel as f64,
        nanoseconds: answer.nanoseconds as f64,
        log: log.collect(),
        log_dropped: answer.log_dropped,
        fault: answer.fault.map(|fault| NativePolicyFault { kind: fault.kind.name().into(), message: fault.message }),
    }
}

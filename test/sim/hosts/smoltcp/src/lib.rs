//! smoltcp as an end host of the simulator. `test/sim/hosts/smoltcp.ts` is the only importer and says what each call
//! means; here are the machine and its face to Node.
//!
//! 1. A packet that comes in is given to its connection, or to a new one if it is a SYN for a listener, or answered as
//!    a stray.
//! 2. advance() polls the connections that are due, in the order of their numbers.
//! 3. What they send waits for take().
//!
//! Nothing here reads a clock or draws a number that the seed does not fix.

mod connection;
mod device;
mod packet;

use std::collections::BTreeMap;
use std::net::IpAddr;

use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use smoltcp::socket::tcp::CongestionControl;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use connection::{Connection, Phase, Settings};
use device::{Limits, Outgoing};
use packet::Tuple;

/// See SmoltcpOptions in smoltcp.ts. Times are in microseconds, 0 = never.
#[napi(object)]
pub struct MachineOptions {
    pub addresses: Vec<String>,
    pub seed: f64,
    /// Initial sequence numbers of the first connections; later ones come from the seed.
    pub isns: Vec<u32>,
    pub mtu: u32,
    pub gso_max: u32,
    pub receive_buffer: u32,
    pub send_buffer: u32,
    pub congestion_control: String,
    pub keep_alive_us: f64,
    pub ack_delay_us: f64,
    pub timeout_us: f64,
    pub nagle: bool,
    pub timestamps: bool,
}

/// Listeners are numbered in the order of their listen().
#[napi(object)]
pub struct MachineAccepted {
    pub number: u32,
    pub listener: u32,
}

/// One machine.
#[napi]
pub struct Machine {
    settings: Settings,
    addresses: Vec<IpAddress>,
    isns: std::vec::IntoIter<u32>,
    random: u64,
    now: Instant,
    /// Never shrinks: a connection's number is its index.
    connections: Vec<Connection>,
    by_tuple: BTreeMap<Tuple, usize>,
    listeners: Vec<(IpAddress, u16)>,
    accepted: Vec<MachineAccepted>,
    outgoing: Vec<Outgoing>,
}

#[napi]
impl Machine {
    /// Throws when an address or the congestion control is none.
    #[napi(constructor)]
    pub fn new(options: MachineOptions) -> napi::Result<Machine> {
        let duration = |us: f64| (us > 0.0).then(|| Duration::from_micros(us as u64));
        let settings = Settings {
            limits: Limits { mtu: options.mtu as usize, gso_max: options.gso_max as usize },
            receive_buffer: options.receive_buffer as usize,
            send_buffer: options.send_buffer as usize,
            congestion_control: match options.congestion_control.as_str() {
                "none" => CongestionControl::None,
                "reno" => CongestionControl::Reno,
                "cubic" => CongestionControl::Cubic,
                other => return Err(failure(format!("no such congestion control: {other}"))),
            },
            keep_alive: duration(options.keep_alive_us),
            ack_delay: duration(options.ack_delay_us),
            timeout: duration(options.timeout_us),
            nagle: options.nagle,
            timestamps: options.timestamps,
        };
        Ok(Machine {
            settings,
            addresses: options.addresses.iter().map(|text| address(text)).collect::<napi::Result<_>>()?,
            isns: options.isns.into_iter(),
            random: options.seed as u64,
            now: Instant::ZERO,
            connections: Vec::new(),
            by_tuple: BTreeMap::new(),
            listeners: Vec::new(),
            accepted: Vec::new(),
            outgoing: Vec::new(),
        })
    }

    /// A packet for this machine. One for a foreign address is dropped.
    #[napi]
    pub fn input(&mut self, octets: &[u8], now_us: f64) -> napi::Result<()> {
        self.now = instant(now_us);
        let Some(head) = packet::read(octets) else { return Ok(()) };
        if !self.addresses.contains(&head.to) {
            return Ok(());
        }
        let octets = octets.to_vec();
        let Some(tcp) = head.tcp else {
            connection::answer_stray(self.settings.limits, head.to, octets, self.now, &mut self.outgoing);
            return Ok(());
        };
        let mut number = self.by_tuple.get(&tcp.tuple).copied();
        let listener = self.listeners.iter().position(|listener| *listener == tcp.tuple.local);
        if let (None, true, Some(listener)) = (number, tcp.opens, listener) {
            let isn = self.next_isn();
            let connection = Connection::expect(&self.settings, tcp.tuple, isn, listener, self.now);
            number = Some(self.add(connection.map_err(failure)?));
        }
        match number {
            Some(number) => self.poll(number, Some(octets)),
            None => connection::answer_stray(self.settings.limits, head.to, octets, self.now, &mut self.outgoing),
        }
        Ok(())
    }

    #[napi]
    pub fn advance(&mut self, now_us: f64) {
        self.now = instant(now_us);
        for number in 0..self.connections.len() {
            if self.connections[number].due.is_some_and(|due| due <= self.now) {
                self.poll(number, None);
            }
        }
    }

    /// When advance() is wanted next, Infinity for never.
    #[napi]
    pub fn next_us(&self) -> f64 {
        let due = self.connections.iter().filter_map(|connection| connection.due).min();
        due.map_or(f64::INFINITY, |due| due.max(self.now).total_micros() as f64)
    }

    /// Moves packets to send into `into`, each behind its length and its gsoSize (u32, little endian); those that there
    /// is no room for wait. Returns octets written.
    ///
    /// Memory of JavaScript's, since what Rust allocates is freed between two turns of the event loop only, and a
    /// simulation has none.
    #[napi]
    pub fn take(&mut self, mut into: BufferSlice) -> u32 {
        let mut used = 0;
        let fitting = self.outgoing.iter().take_while(|sent| {
            used += 8 + sent.octets.len();
            used <= into.len()
        });
        let count = fitting.count();
        let mut at = 0;
        for mut sent in self.outgoing.drain(..count) {
            if self.settings.limits.gso_max > 0 {
                packet::seal(&mut sent.octets);
            }
            let length = sent.octets.len();
            into[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
            into[at + 4..at + 8].copy_from_slice(&u32::from(sent.gso_size).to_le_bytes());
            into[at + 8..at + 8 + length].copy_from_slice(&sent.octets);
            at += 8 + length;
        }
        at as u32
    }

    /// The new connection's number. Throws when the four do not make one, or it is in use.
    #[napi]
    pub fn connect(
        &mut self,
        local: String,
        local_port: u16,
        remote: String,
        remote_port: u16,
        now_us: f64,
    ) -> napi::Result<u32> {
        self.now = instant(now_us);
        let tuple = Tuple { local: (address(&local)?, local_port), remote: (address(&remote)?, remote_port) };
        if self.by_tuple.contains_key(&tuple) {
            return Err(failure(format!("in use: {local}:{local_port} to {remote}:{remote_port}")));
        }
        let isn = self.next_isn();
        let connection = Connection::connect(&self.settings, tuple, isn, self.now).map_err(failure)?;
        Ok(self.add(connection) as u32)
    }

    #[napi]
    pub fn listen(&mut self, local: String, port: u16) -> napi::Result<()> {
        self.listeners.push((address(&local)?, port));
        Ok(())
    }

    /// Connections of listeners that were established, once.
    #[napi]
    pub fn take_accepted(&mut self) -> Vec<MachineAccepted> {
        std::mem::take(&mut self.accepted)
    }

    /// Address and port of the other side.
    #[napi]
    pub fn remote(&self, number: u32) -> (String, u16) {
        let (address, port) = self.connections[number as usize].tuple.remote;
        (address.to_string(), port)
    }

    /// Address and port of this side.
    #[napi]
    pub fn local(&self, number: u32) -> (String, u16) {
        let (address, port) = self.connections[number as usize].tuple.local;
        (address.to_string(), port)
    }

    /// 0 opening, 1 open, 2 closed, 3 reset.
    #[napi]
    pub fn phase(&self, number: u32) -> u32 {
        self.connections[number as usize].phase as u32
    }

    #[napi]
    pub fn writable(&mut self, number: u32) -> u32 {
        self.connections[number as usize].writable() as u32
    }

    #[napi]
    pub fn write(&mut self, number: u32, octets: &[u8]) -> u32 {
        self.connections[number as usize].write(octets, self.now) as u32
    }

    /// Fills `into` as far as there is something to read. Returns octets written.
    #[napi]
    pub fn read(&mut self, number: u32, mut into: BufferSlice) -> u32 {
        self.connections[number as usize].read(&mut into, self.now) as u32
    }

    #[napi]
    pub fn finished(&mut self, number: u32) -> bool {
        self.connections[number as usize].finished()
    }

    #[napi]
    pub fn drained(&mut self, number: u32) -> bool {
        self.connections[number as usize].drained()
    }

    #[napi]
    pub fn close(&mut self, number: u32) {
        self.connections[number as usize].close(self.now);
    }

    /// Frees everything. Nothing but this may be called afterwards.
    #[napi]
    pub fn free(&mut self) {
        self.connections = Vec::new();
        self.by_tuple.clear();
        self.outgoing = Vec::new();
    }

    #[napi]
    pub fn abort(&mut self, number: u32) {
        self.connections[number as usize].abort(self.now);
        self.forget_if_ended(number as usize);
    }
}

impl Machine {
    fn add(&mut self, connection: Connection) -> usize {
        let number = self.connections.len();
        self.by_tuple.insert(connection.tuple, number);
        self.connections.push(connection);
        number
    }

    fn poll(&mut self, number: usize, incoming: Option<Vec<u8>>) {
        let connection = &mut self.connections[number];
        connection.poll(incoming, self.now, &mut self.outgoing);
        // Closed within the same packet as opened is opened all the same: the listener may read what came.
        if matches!(connection.phase, Phase::Open | Phase::Closed)
            && let Some(listener) = connection.unaccepted.take()
        {
            self.accepted.push(MachineAccepted { number: number as u32, listener: listener as u32 });
        }
        self.forget_if_ended(number);
    }

    /// Lets the four-tuple be used again.
    fn forget_if_ended(&mut self, number: usize) {
        let connection = &self.connections[number];
        if !connection.alive() && self.by_tuple.get(&connection.tuple) == Some(&number) {
            self.by_tuple.remove(&connection.tuple);
        }
    }

    fn next_isn(&mut self) -> u32 {
        // splitmix64, drawn also for a chosen number: what comes later does not depend on the choice.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.isns.next().unwrap_or((mixed >> 32) as u32)
    }
}

fn instant(us: f64) -> Instant {
    Instant::from_micros(us as i64)
}

fn address(text: &str) -> napi::Result<IpAddress> {
    let parsed = text.parse::<IpAddr>().map_err(|error| failure(format!("{text}: {error}")))?;
    Ok(parsed.into())
}

fn failure(message: String) -> napi::Error {
    napi::Error::from_reason(message)
}

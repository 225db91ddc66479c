//! One connection: a smoltcp interface with a single socket in it.
//!
//! An interface of its own costs a few hundred octets and buys two things: the initial sequence number of every
//! connection can be chosen (smoltcp draws it from the interface's generator), and only what is due gets polled.

use std::cell::Cell;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, RecvError, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpListenEndpoint, Ipv4Address, Ipv6Address};

use crate::device::{Limits, Outgoing, Queues};
use crate::packet::{self, Tuple};

/// How a machine's sockets are set up.
#[derive(Clone)]
pub struct Settings {
    pub limits: Limits,
    pub receive_buffer: usize,
    pub send_buffer: usize,
    pub congestion_control: CongestionControl,
    pub keep_alive: Option<Duration>,
    pub ack_delay: Option<Duration>,
    pub timeout: Option<Duration>,
    pub nagle: bool,
    pub timestamps: bool,
}

/// As the simulator sees it (SocketState in stack.ts).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Opening = 0,
    Open = 1,
    Closed = 2,
    Reset = 3,
}

/// smoltcp may ask to be polled at once and then have nothing to send; it is asked again after this time, so that
/// virtual time goes on.
const POLL_AGAIN: Duration = Duration::from_millis(1);

thread_local! {
    /// Clock of the TCP timestamps, in milliseconds; smoltcp wants a plain function for it.
    static TIMESTAMP: Cell<u32> = const { Cell::new(0) };
}

struct Live {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    device: Queues,
}

pub struct Connection {
    /// None once nothing more can be sent or received.
    live: Option<Live>,
    pub tuple: Tuple,
    pub phase: Phase,
    /// The listener that is to be told when this one is established.
    pub unaccepted: Option<usize>,
    /// When poll() is wanted next; None for never.
    pub due: Option<Instant>,
    closing: bool,
    /// What was not read when the socket ended.
    rest: Vec<u8>,
    finished: bool,
    drained: bool,
}

impl Connection {
    /// Opens towards `tuple.remote`. The first SYN goes out with the next poll().
    pub fn connect(settings: &Settings, tuple: Tuple, isn: u32, now: Instant) -> Result<Connection, String> {
        let mut connection = Connection::new(settings, tuple, isn, now);
        let live = connection.live.as_mut().expect("a new connection is alive");
        let socket = live.sockets.get_mut::<Socket>(live.handle);
        let (remote, local) = (tuple.remote, tuple.local);
        socket.connect(live.interface.context(), remote, local).map_err(|error| error.to_string())?;
        Ok(connection)
    }

    /// Waits for the SYN of `tuple.remote`, which the caller has in hand.
    pub fn expect(
        settings: &Settings,
        tuple: Tuple,
        isn: u32,
        listener: usize,
        now: Instant,
    ) -> Result<Connection, String> {
        let mut connection = Connection::new(settings, tuple, isn, now);
        connection.unaccepted = Some(listener);
        let endpoint = IpListenEndpoint { addr: Some(tuple.local.0), port: tuple.local.1 };
        connection.socket().expect("a new connection is alive").listen(endpoint).map_err(|error| error.to_string())?;
        Ok(connection)
    }

    fn new(settings: &Settings, tuple: Tuple, isn: u32, now: Instant) -> Connection {
        let buffer = |size: usize| SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(settings.receive_buffer), buffer(settings.send_buffer));
        socket.set_congestion_control(settings.congestion_control);
        socket.set_keep_alive(settings.keep_alive);
        socket.set_ack_delay(settings.ack_delay);
        socket.set_timeout(settings.timeout);
        socket.set_nagle_enabled(settings.nagle);
        if settings.timestamps {
            socket.set_tsval_generator(Some(|| TIMESTAMP.get()));
        }
        let mut device = Queues::new(settings.limits);
        let interface = interface(&mut device, tuple.local.0, seed_for(isn), now);
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Connection {
            live: Some(Live { interface, sockets, handle, device }),
            tuple,
            phase: Phase::Opening,
            unaccepted: None,
            due: Some(now),
            closing: false,
            rest: Vec::new(),
            finished: false,
            drained: false,
        }
    }

    /// Takes a packet in, if there is one, lets timers fire, and appends what is sent to `out`.
    pub fn poll(&mut self, incoming: Option<Vec<u8>>, now: Instant, out: &mut Vec<Outgoing>) {
        let Some(live) = self.live.as_mut() else { return };
        TIMESTAMP.set(now.total_millis() as u32);
        let before = live.sockets.get::<Socket>(live.handle).state();
        let mut resets = incoming.as_deref().is_some_and(packet::resets);
        live.device.incoming.extend(incoming);
        live.interface.poll(now, &mut live.device, &mut live.sockets);
        resets |= live.device.outgoing.iter().any(|sent| packet::resets(&sent.octets));
        out.append(&mut live.device.outgoing);
        self.follow(before, resets);
        self.close_late(now, out);
        self.schedule(now);
    }

    /// Does what close() could not do during the handshake.
    fn close_late(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        let Some(live) = self.live.as_mut() else { return };
        let socket = live.sockets.get_mut::<Socket>(live.handle);
        if self.closing && socket.may_send() {
            socket.close();
            live.interface.poll(now, &mut live.device, &mut live.sockets);
            out.append(&mut live.device.outgoing);
        }
    }

    fn schedule(&mut self, now: Instant) {
        let Some(live) = self.live.as_mut() else {
            self.due = None;
            return;
        };
        let due = live.interface.poll_at(now, &live.sockets);
        self.due = due.map(|due| if due <= now { now + POLL_AGAIN } else { due });
    }

    /// Draws the conclusions from smoltcp's new state.
    fn follow(&mut self, before: State, resets: bool) {
        let Some(socket) = self.socket() else { return };
        match socket.state() {
            State::SynSent | State::SynReceived => {}
            // A RST in SYN-RECEIVED goes back to listening; here each SYN has a socket of its own.
            State::Listen => self.end(Phase::Reset),
            State::Closed => {
                let orderly = before == State::TimeWait || (before == State::LastAck && !resets);
                self.end(if orderly { Phase::Closed } else { Phase::Reset });
            }
            State::TimeWait => {
                self.phase = Phase::Closed;
                self.keep_rest();
            }
            _ => self.phase = Phase::Open,
        }
    }

    /// smoltcp empties its buffers when TIME-WAIT is over, read or not.
    fn keep_rest(&mut self) {
        let Some(socket) = self.socket() else { return };
        let mut rest = vec![0; socket.recv_queue()];
        let length = socket.recv_slice(&mut rest).unwrap_or(0);
        rest.truncate(length);
        let finished = matches!(socket.peek(1), Err(RecvError::Finished));
        self.rest.append(&mut rest);
        self.finished |= finished;
    }

    fn end(&mut self, phase: Phase) {
        self.keep_rest();
        self.drained = phase == Phase::Closed;
        self.phase = phase;
        self.live = None;
        self.due = None;
    }

    pub fn alive(&self) -> bool {
        self.live.is_some()
    }

    fn socket(&mut self) -> Option<&mut Socket<'static>> {
        let live = self.live.as_mut()?;
        Some(live.sockets.get_mut::<Socket>(live.handle))
    }

    /// Octets that write() would take now.
    pub fn writable(&mut self) -> usize {
        let closing = self.closing;
        let Some(socket) = self.socket() else { return 0 };
        if closing || !socket.may_send() { 0 } else { socket.send_capacity() - socket.send_queue() }
    }

    pub fn write(&mut self, octets: &[u8], now: Instant) -> usize {
        if self.writable() == 0 {
            return 0;
        }
        self.due = Some(now);
        self.socket().map_or(0, |socket| socket.send_slice(octets).unwrap_or(0))
    }

    /// Octets in order, as many as there are and fit.
    pub fn read(&mut self, into: &mut [u8], now: Instant) -> usize {
        if !self.rest.is_empty() {
            let length = into.len().min(self.rest.len());
            into[..length].copy_from_slice(&self.rest[..length]);
            self.rest.drain(..length);
            return length;
        }
        let length = self.socket().map_or(0, |socket| socket.recv_slice(into).unwrap_or(0));
        if length > 0 {
            self.due = Some(now);
        }
        length
    }

    /// The peer's FIN was reached and all before it was read.
    pub fn finished(&mut self) -> bool {
        if !self.rest.is_empty() {
            return false;
        }
        self.finished || self.socket().is_some_and(|socket| matches!(socket.peek(1), Err(RecvError::Finished)))
    }

    /// All that was written is acknowledged, the FIN too if there is to be one.
    pub fn drained(&mut self) -> bool {
        let closing = self.closing;
        let Some(socket) = self.socket() else { return self.drained };
        let fin_acknowledged = matches!(socket.state(), State::FinWait2 | State::TimeWait);
        socket.send_queue() == 0 && (fin_acknowledged || !closing)
    }

    /// Sends FIN after what was written; a handshake under way is waited for.
    pub fn close(&mut self, now: Instant) {
        self.closing = true;
        if self.phase != Phase::Opening
            && let Some(socket) = self.socket()
        {
            socket.close();
            self.due = Some(now);
        }
    }

    /// RST with the next poll(); none if the peer was never heard.
    pub fn abort(&mut self, now: Instant) {
        let Some(socket) = self.socket() else { return };
        match socket.state() {
            State::SynSent => self.end(Phase::Reset),
            State::TimeWait => self.end(Phase::Closed),
            _ => {
                socket.abort();
                self.phase = Phase::Reset;
                self.due = Some(now);
            }
        }
    }
}

/// What answers a packet for nobody: RST to TCP, echo to ping. ICMP errors fall on deaf ears: smoltcp has no path MTU
/// discovery and ends no connection for them.
pub fn answer_stray(limits: Limits, to: IpAddress, octets: Vec<u8>, now: Instant, out: &mut Vec<Outgoing>) {
    let mut device = Queues::new(limits);
    let mut interface = interface(&mut device, to, 0, now);
    device.incoming.push_back(octets);
    interface.poll(now, &mut device, &mut SocketSet::new(Vec::new()));
    out.append(&mut device.outgoing);
}

/// An interface with one address and everything behind one route.
fn interface(device: &mut Queues, address: IpAddress, seed: u64, now: Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, device, now);
    let prefix = match address {
        IpAddress::Ipv4(_) => 32,
        IpAddress::Ipv6(_) => 128,
    };
    interface.update_ip_addrs(|addresses| {
        let added = addresses.push(IpCidr::new(address, prefix));
        added.expect("there is room for one address");
    });
    let routes = interface.routes_mut();
    routes.add_default_ipv4_route(Ipv4Address::new(192, 0, 2, 1)).expect("there is room for two routes");
    routes.add_default_ipv6_route(Ipv6Address::LOCALHOST).expect("there is room for two routes");
    interface
}

/// The seed with which an interface's first connection gets `isn`.
///
/// smoltcp's generator (rand.rs, sPCG32) steps `state = state * M + A` and gives 32 bits of the new state, from a place
/// that its top three bits choose; with these three zero the place is bit 29. An interface first draws its IPv4 ident,
/// anew while that is zero, then the ISN: two steps to undo, with the low 29 bits free to avoid an ident of zero.
fn seed_for(isn: u32) -> u64 {
    const M: u64 = 0xbb2e_fcec_3c39_611d;
    const A: u64 = 0x7590_ef39;
    // Newton's iteration doubles the correct bits: an odd number is its own inverse in three bits.
    let inverse = (0..5).fold(M, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(M.wrapping_mul(inverse))));
    let before = |state: u64| state.wrapping_sub(A).wrapping_mul(inverse);
    let ident = |state: u64| {
        let drawn = (state >> (29 - (state >> 61))) as u32;
        (drawn ^ (drawn >> 16)) as u16
    };
    let states = (0..1 << 29).map(|low| before((u64::from(isn) << 29) | low));
    let first = states.into_iter().find(|state| ident(*state) != 0);
    before(first.expect("one in 65,536 is zero"))
}

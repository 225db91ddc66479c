//! What one direction of a link does to packets, as set by the controlling test.

use serde::{Deserialize, Serialize};

/// Kinds of segment from which the MPTCP option can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StripKind {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// The handshake's third segment: no SYN, no payload, MP_CAPABLE or MP_JOIN.
    ThirdAck,
    /// Any other segment with payload.
    Data,
    /// Any other segment without payload.
    Ack,
    /// Every segment.
    All,
}

/// How a stripped option goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StripMode {
    /// Overwritten with NOP options: header and packet keep their length.
    Nop,
    /// Removed: the header shrinks by whole words.
    Remove,
}

/// Parameters of one direction. Everything is off by default: a link starts as a wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Params {
    /// Constant one-way delay, ms.
    pub delay_ms: f64,
    /// Uniform extra delay in `[0, jitter_ms)`, ms. Order is kept: jitter alone never reorders.
    pub jitter_ms: f64,
    /// Rate, Mbit/s of Ethernet frames without FCS; 0 = unlimited.
    pub rate_mbit: f64,
    /// Tail drop once the backlog would take longer than this, ms; 0 = unlimited. Needs a rate.
    pub queue_ms: f64,
    /// Tail drop once the backlog would hold more than this, bytes; 0 = unlimited. Needs a rate.
    pub queue_bytes: u64,
    /// Independent loss, percent.
    pub loss_percent: f64,
    /// Share of packets held back so that later ones overtake them, percent.
    pub reorder_percent: f64,
    /// How long such a packet is held back, ms.
    pub reorder_delay_ms: f64,
    /// Share of packets delivered twice, percent.
    pub duplicate_percent: f64,
    /// Nothing passes and nobody is told.
    pub blackhole: bool,
    /// Largest IP packet, bytes; 0 = unlimited.
    pub mtu: usize,
    /// Whether a packet above `mtu` is answered by ICMP "fragmentation needed" / "packet too big".
    pub mtu_icmp: bool,
    /// Segments that lose their MPTCP option.
    pub strip: Vec<StripKind>,
    /// How they lose it.
    pub strip_mode: StripMode,
    /// Share of segments with payload that have one byte of it changed, percent; TCP's checksum is mended.
    pub alter_percent: f64,
    /// Kinds of other options that are taken out of SYNs: 3 window scale, 4 SACK permitted.
    pub strip_syn_kinds: Vec<u8>,
    /// SYNs announce this MSS at most, bytes; 0 = what they like.
    pub mss_clamp: u16,
    /// SYNs with an MPTCP option are lost and nobody is told.
    pub drop_mptcp_syn: bool,
    /// Segments with more payload than this are cut, bytes; 0 = none.
    pub split_bytes: usize,
    /// The pieces behind the first have lost their MPTCP option.
    pub split_bare: bool,
    /// Segments that follow each other at once are put together up to this payload, bytes; 0 = none.
    pub coalesce_bytes: usize,
    /// Gives segments other sequence numbers. For both directions, before a connection begins.
    pub randomise_sequence: bool,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            delay_ms: 0.0,
            jitter_ms: 0.0,
            rate_mbit: 0.0,
            queue_ms: 0.0,
            queue_bytes: 0,
            loss_percent: 0.0,
            reorder_percent: 0.0,
            reorder_delay_ms: 5.0,
            duplicate_percent: 0.0,
            blackhole: false,
            mtu: 0,
            mtu_icmp: true,
            strip: Vec::new(),
            strip_mode: StripMode::Nop,
            alter_percent: 0.0,
            strip_syn_kinds: Vec::new(),
            mss_clamp: 0,
            drop_mptcp_syn: false,
            split_bytes: 0,
            split_bare: false,
            coalesce_bytes: 0,
            randomise_sequence: false,
        }
    }
}

impl Params {
    /// These parameters with the members of the JSON object `change` replaced. Unknown members and wrong
    /// types are errors.
    pub fn merged(&self, change: &serde_json::Map<String, serde_json::Value>) -> Result<Params, String> {
        let mut whole = serde_json::to_value(self).map_err(|e| e.to_string())?;
        let members = whole.as_object_mut().expect("a struct serialises as an object");
        for (name, value) in change {
            members.insert(name.clone(), value.clone());
        }
        let merged: Params = serde_json::from_value(whole).map_err(|e| e.to_string())?;
        merged.check()?;
        Ok(merged)
    }

    fn check(&self) -> Result<(), String> {
        let numbers = [
            ("delayMs", self.delay_ms),
            ("jitterMs", self.jitter_ms),
            ("rateMbit", self.rate_mbit),
            ("queueMs", self.queue_ms),
            ("reorderDelayMs", self.reorder_delay_ms),
        ];
        let percents = [
            ("lossPercent", self.loss_percent),
            ("reorderPercent", self.reorder_percent),
            ("duplicatePercent", self.duplicate_percent),
            ("alterPercent", self.alter_percent),
        ];
        if let Some((name, value)) = numbers.iter().find(|(_, v)| !(0.0..=1e9).contains(v)) {
            return Err(format!("{name}: {value} is not between 0 and 1e9"));
        }
        if let Some((name, value)) = percents.iter().find(|(_, v)| !(0.0..=100.0).contains(v)) {
            return Err(format!("{name}: {value} is not between 0 and 100"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merge(change: serde_json::Value) -> Result<Params, String> {
        Params { delay_ms: 10.0, ..Params::default() }.merged(change.as_object().unwrap())
    }

    #[test]
    fn only_named_members_change() {
        let params = merge(json!({"lossPercent": 1, "strip": ["syn", "thirdAck"]})).unwrap();
        assert_eq!((params.delay_ms, params.loss_percent), (10.0, 1.0));
        assert_eq!(params.strip, [StripKind::Syn, StripKind::ThirdAck]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(merge(json!({"los": 1})).unwrap_err().contains("los"));
        assert!(merge(json!({"lossPercent": 101})).unwrap_err().contains("lossPercent"));
        assert!(merge(json!({"delayMs": -1})).unwrap_err().contains("delayMs"));
        assert!(merge(json!({"strip": ["rst"]})).is_err());
    }
}

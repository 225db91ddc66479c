// The classifier: which class a connection belongs to, by a table of rules that the host writes. The first rule
// matches whose conditions all hold; where none does, it is class 0. Looked at once per connection, at its SYN.
//
//   byte  size  field (rule, stride 48)
//      0     4  classId
//      4     4  flags          ClassRuleFlag bits
//      8     2  portFirst, 10 portLast
//     12     4  prefixLength   bits
//     16     4  uidFirst, 20 uidLast
//     32    16  prefix

import { CLASS_MAX, CLASS_RULES_MAX, ClassRule, ClassRuleFlag } from "../abi";
import { classAt } from "./classes";
import { commonBits } from "./paths";
import { NEXT_RULE_TABLE, RULE_SIZE, RULE_TABLE } from "./store";

@inline const PREFIX: usize = 32;

@final @unmanaged
class Rule {
  classId: u32;
  flags: u32;
  portFirst: u16;
  portLast: u16;
  prefixLength: u32;
  uidFirst: u32;
  uidLast: u32;
}
if (offsetof<Rule>() > PREFIX) ERROR("Rule: fields run into the prefix");
if (PREFIX + 16 > RULE_SIZE) ERROR("Rule: too large");

let rules: u32 = 0; // in force

@inline function ruleAt(table: usize, index: u32): Rule {
  return changetype<Rule>(table + <usize>index * RULE_SIZE);
}

/**
 * Takes rule `index` of `count`, as a ClassRule lies at `at`; with the last one all of them come into force. False for
 * a class or a number of rules that cannot be: then those before stay.
 */
export function ruleSet(at: usize, classId: u32): bool {
  const index = load<u32>(at, ClassRule.INDEX);
  const count = load<u32>(at, ClassRule.COUNT);
  if (count > CLASS_RULES_MAX || (count != 0 && index >= count) || classId >= CLASS_MAX) return false;
  if (count != 0) {
    const rule = ruleAt(NEXT_RULE_TABLE, index);
    rule.classId = classId;
    rule.flags = load<u32>(at, ClassRule.FLAGS);
    rule.portFirst = load<u16>(at, ClassRule.PORT_FIRST);
    rule.portLast = load<u16>(at, ClassRule.PORT_LAST);
    rule.prefixLength = load<u32>(at, ClassRule.PREFIX_LENGTH);
    rule.uidFirst = load<u32>(at, ClassRule.UID_FIRST);
    rule.uidLast = load<u32>(at, ClassRule.UID_LAST);
    memory.copy(changetype<usize>(rule) + PREFIX, at + ClassRule.PREFIX, 16);
  }
  if (index + 1 >= count) comeIntoForce(count);
  return true;
}

/** True if the ClassRule at `at` is the last of its table. */
export function ruleEnds(at: usize): bool {
  return load<u32>(at, ClassRule.INDEX) + 1 >= load<u32>(at, ClassRule.COUNT);
}

function comeIntoForce(count: u32): void {
  memory.copy(RULE_TABLE, NEXT_RULE_TABLE, count * RULE_SIZE);
  rules = count;
  for (let id: u32 = 0; id < CLASS_MAX; id++) classAt(id).rules = 0;
  for (let i: u32 = 0; i < count; i++) classAt(ruleAt(RULE_TABLE, i).classId).rules++;
}

/**
 * The class of a connection between `hostPt` here and `peer`:`peerPt`. `uid` is the user of the host's socket, if
 * `uidKnown`.
 */
export function classify(peer: usize, hostPt: u32, peerPt: u32, uid: u32, uidKnown: bool): u32 {
  for (let i: u32 = 0; i < rules; i++) {
    const rule = ruleAt(RULE_TABLE, i);
    const flags = rule.flags;
    if ((flags & ClassRuleFlag.PORTS) != 0 && !inPorts(rule, hostPt) && !inPorts(rule, peerPt)) continue;
    const prefix = changetype<usize>(rule) + PREFIX;
    if ((flags & ClassRuleFlag.PREFIX) != 0 && commonBits(prefix, peer) < rule.prefixLength) continue;
    if ((flags & ClassRuleFlag.UIDS) != 0 && !(uidKnown && uid >= rule.uidFirst && uid <= rule.uidLast)) continue;
    return rule.classId;
  }
  return 0;
}

@inline function inPorts(rule: Rule, port: u32): bool {
  return port >= <u32>rule.portFirst && port <= <u32>rule.portLast;
}

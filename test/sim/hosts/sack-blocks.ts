// The SACK option of a packet, as a sender reads it.

import * as p from "../../packet.ts";
import type { Block } from "./tcp-receiver.ts";
import type { Sender } from "./tcp-sender.ts";

/**
 * SACK blocks above `una`, as offsets. A D-SACK (RFC 2883) is counted and taken out. Throws on blocks that no honest
 * receiver reports.
 */
export function reportedBlocks(packet: p.Packet, una: number, snd: Sender, iss: number, name: string): Block[] {
  const option = p.option(packet, "sack");
  if (option === undefined) return [];
  if (!snd.sackAgreed) throw new Error(`${name}: SACK without agreement: ${p.show(packet)}`);
  const offset = (wire: number) => snd.una + ((wire - (iss + snd.una)) | 0);
  const blocks = option.blocks.map(([left, right]): Block => [offset(left), offset(right)]);
  for (const [left, right] of blocks) {
    if (right <= snd.nxt && left < right) continue;
    throw new Error(`${name}: SACK block ${left} to ${right}, sent were ${snd.nxt}: ${p.show(packet)}`);
  }
  const [first, second] = blocks;
  const inside = first && second && first[0] >= second[0] && first[1] <= second[1];
  if (first && (inside || first[1] <= una)) {
    snd.stats.dsacks++;
    blocks.shift();
  }
  return blocks.filter(([, right]) => right > una);
}

// Both ends have said their FIN, and the peer has gone on as plain TCP (docs/CONFORMANCE.md N-93; RFC 8684 §3.7).

import { describe, expect, it } from "vitest";
import type { Role } from "../../established.ts";
import { single } from "./cases.ts";

const ROLES: Role[] = ["opener", "responder"];

describe.each(ROLES)("behind both FINs, on the only subflow there ever was, we are the %s", (role) => {
  it("N-93 one acknowledgement without a DSS is enough where the host repeats what it acknowledges", () => {
    const e = single[role]();
    e.hostData(0, 100);
    e.peerData(0, 50, { acks: 100 }, { dan: 100, dsnOctets: 4, danOctets: 4 });
    e.fromPeer({ at: 50, acks: 100 }, [e.dataFin(50, 100)]);
    e.hostData(100, 100, { acks: 51, flags: "FPA" });
    expect(e.fromPeer({ at: 51, acks: 200 }, []).events).toEqual([]);
    const again = e.hostData(100, 100, { acks: 51, flags: "FPA" });
    expect(again).toMatchObject({ verdict: "accept", packet: { seq: e.tsn(100), flags: "FPA" } });
    expect(again.events.map(({ kind }) => kind)).toContain("CONNECTION_FALLBACK");
  });
});

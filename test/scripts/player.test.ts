// What a packet script says when it is wrong, and when the engine is: file and line, expected beside got.

import { describe, expect, it } from "vitest";
import { play, readScript } from "./player.ts";

/** What playing `text` complains of, behind `use opener`; "" if it plays. */
function complaint(text: string): string {
  try {
    play(readScript("/sample.pkt", `use opener\n${text}`));
    return "";
  } catch (error) {
    return (error as Error).message.replace(/^(\.\.\/)+/, "");
  }
}

describe("a packet that is not what is expected", () => {
  it("is shown beside the expected one, field by field, with a mark where they differ", () => {
    const said = complaint(`
      +.08 host < P. 1:101(100) ack 1
      +0   wire > P. 1:101(100) ack 1 win 7 <dss dack4=1 dsn4=2 ssn=1 dll=101 nocs FIN>`);
    expect(said.split("\n")).toEqual([
      "sample.pkt:4: the packet is not what is expected",
      "               expected      got",
      "    time       0.100000      0.100000",
      "    flags      P.            P.",
      "    seq        1             1",
      "    octets     100           100",
      "    ack        1             1",
      "  ! win        7             500",
      "    urg        0             0",
      "    checksums  good          good",
      "    options    dss           dss",
      "    dss dack4  1             1",
      "  ! dss dsn4   2             1",
      "    dss ssn    1             1",
      "  ! dss dll    101           100",
      "  ! dss FIN    1             -",
      "    payload    octets 1:101  octets 1:101",
      "    +0 wire > P. 1:101(100) ack 1 win 7 <dss dack4=1 dsn4=2 ssn=1 dll=101 nocs FIN>",
    ]);
  });

  it("with other options than expected is shown with those it has", () => {
    const said = complaint(`
      +0 host < P. 1:101(100) ack 1
      +0 wire > P. 1:101(100) ack 1 <mp_prio backup=1>`);
    expect(said).toMatch(/! options +mp_prio +dss\n.* dss dack4=1 dsn4=1 ssn=1 dll=100 nocs\n/);
  });

  it("at another time than expected is a failure, and one at all where there should be none", () => {
    const late = "+0 host < P. 1:101(100) ack 1\n+.5 wire > P. 1:101(100) ack 1 <...>";
    expect(complaint(late)).toMatch(/! time +0\.520000 +0\.020000\n/);
    expect(complaint("+0 host < P. 1:101(100) ack 1\n+0 wire > nothing")).toContain("expected nothing, there is");
  });

  it("that no line expects is a failure before the next thing happens, and at the end", () => {
    const data = "+0 host < P. 1:101(100) ack 1";
    const left = "wire > P. 1:101(100) ack 1 win 500 <dss dack4=1 dsn4=1 ssn=1 dll=100 nocs>";
    expect(complaint(data)).toContain(`before the script ends, no line has expected\n      0.020000  ${left}`);
    expect(complaint(`${data}\n+0 host < P. 101:201(100) ack 1`)).toContain("sample.pkt:3: before this happens");
  });

  it("that does not come is a failure that says what there is instead", () => {
    const said = complaint("+0 host < P. 1:101(100) ack 1\n+0 host > . 1:1(0) ack 1");
    expect(said).toContain('sample.pkt:3: no packet has left on "host"; there is');
    expect(said).toContain("wire > P. 1:101(100)");
  });

  it("with an octet of payload that is not the stream's is a failure", () => {
    const said = complaint(`
      +0 wire < P. 1:101(100) ack 1 probe <dss dack4=1 dsn4=1 ssn=1 dll=100 nocs>
      +0 host > P. 1:101(100) ack 1`);
    expect(said).toMatch(/! payload +octets 1:101 +wrong at octet \d+\n/);
  });

  it("of ICMP is compared as well", () => {
    expect(complaint("+0 host > [1] icmp too_big mtu 1475")).toContain("the host has been shown no ICMP error");
  });
});

describe("a mistake in a script", () => {
  it.each([
    ["+0 host < P. 1:101(99) ack 1", "1:101(99): from 1 to 101 there are 100 octets"],
    ["+0 host < P. 1:101(100)", 'expected "ack" and a number'],
    ["+0 host < P 1:101(100) ack 1", '"ack" without "."'],
    ["+0 host = P. 1:101(100) ack 1", 'expected "<" (into the engine) or ">" (out of it), found "="'],
    ["+0 host < X 1:101(100)", 'expected flags out of S F R P U E C and . for ACK, or - for none, found "X"'],
    ["+0 host < . 1:1(0) ack 1 whatever", 'or <options>, found "whatever"'],
    ["+0 host < . 1:1(0) ack 1 <mptcp 1>", 'unknown option "mptcp"; known are eol, mss'],
    ["+0 host < . 1:1(0) ack 1 <dss dack=1>", 'dss: cannot make sense of "dack=1"'],
    ["+0 host < . 1:1(0) ack 1 <sack 1-2>", 'expected blocks such as 101:201 behind "sack"'],
    ["+0 host < . 1:1(0) ack 1 <...>", "<...> is for what leaves"],
    ["+0 wire < . 1:1(0) ack 1 <mp_fastclose key=nobodys>", 'nothing is known of "nobodys" yet: give it a value'],
    ["+0 cellar < . 1:1(0) ack 1", '"cellar" is none of host, wire, wire2'],
    ["+0 handover", 'expected the number of a path, found ""'],
    ["+0 event NEVER_HEARD_OF", "no such event; there were:"],
    ["later host < . 1:1(0) ack 1", "expected a time or one of shows, use,"],
    ["0 host < . 1:1(0) ack 1", "this is 0.020000 s already"],
  ])("is named with file and line: %s", (line, message) => {
    const said = complaint(`\n\n${line}`);
    expect(said).toContain("sample.pkt:4: ");
    expect(said).toContain(message);
  });
});

describe("a script", () => {
  it("counts by relative numbers, whatever the initial ones are, and learns what is drawn", () => {
    const exchange = `
      +0   host < P. 1:101(100) ack 1
      +0   wire > P. 1:101(100) ack 1 <dss dack4=1 dsn4=1 ssn=1 dll=100 nocs>
      +0   subflow add 2
      +0   wire2 > S 0:0(0) <mss 1460,sackOK,wscale 7,
             mp_join_syn backup=1 address_id=any token=sha256_32(peers) rand=drawn>
      +1   wire2 > S 0:0(0) <mss 1460,sackOK,wscale 7,
             mp_join_syn backup=1 address_id=3 token=sha256_32(peers) rand=drawn>`;
    expect(complaint(exchange)).toBe("");
    expect(complaint(`isn host 4294967290\nisn wire 4294967290\n${exchange}`)).toBe("");
    expect(complaint(exchange.replace(/drawn>$/, "peers>"))).toContain("! mp_join_syn rand");
  });
});

import { describe, expect, test } from "vitest";
import { socketFilters } from "../../../host/net/orphans.ts";
import { portGroups, removalText, rulesText } from "../../../host/net/rules.ts";
import { createScript } from "../../../host/net/sets.ts";

const ICMP = "-A SHUNT7-IN -p icmp -m icmp --icmp-type 3 -m limit --limit 1000/s --limit-burst 1000";
const NONE = { output: false, input: false };

describe("netfilter rules", () => {
  test("for all ports but ssh to this machine, IPv4", () => {
    const text = rulesText({ queue: 7, ports: null, notrack: true }, 4, NONE);
    expect(text).toBe(
      `*raw
:SHUNT7-OUT - [0:0]
:SHUNT7-MATCH - [0:0]
-A SHUNT7-OUT -m mark --mark 0x5348/0xffff -j RETURN
-A SHUNT7-OUT -m mark --mark 0x5349/0xffff -j CT --notrack
-A SHUNT7-OUT -m mark --mark 0x5349/0xffff -j RETURN
-A SHUNT7-OUT ! -p tcp -j RETURN
-A SHUNT7-OUT -o lo -j RETURN
-A SHUNT7-OUT -p tcp -m set --match-set shunt7-converted4 src,src,dst -j NFQUEUE --queue-num 7
-A SHUNT7-OUT -p tcp -m set --match-set shunt7-converted4 dst,dst,src -j NFQUEUE --queue-num 7
-A SHUNT7-OUT -p tcp -m tcp --sport 22 -j RETURN
-A SHUNT7-OUT -j SHUNT7-MATCH
-A SHUNT7-MATCH -p tcp -m tcp --syn -j NFQUEUE --queue-num 7 --queue-bypass
-A SHUNT7-MATCH -p tcp -m set --match-set shunt7-bypass4 src,src,dst -j RETURN
-A SHUNT7-MATCH -p tcp -m set --match-set shunt7-bypass4 dst,dst,src -j RETURN
-A SHUNT7-MATCH -p tcp -j NFQUEUE --queue-num 7 --queue-bypass
-A OUTPUT -j SHUNT7-OUT
COMMIT
*mangle
:SHUNT7-IN - [0:0]
:SHUNT7-MATCH - [0:0]
-A SHUNT7-IN -m mark --mark 0x5348/0xffff -j RETURN
-A SHUNT7-IN -m mark --mark 0x5349/0xffff -j RETURN
${ICMP} -j NFQUEUE --queue-num 7 --queue-bypass
-A SHUNT7-IN ! -p tcp -j RETURN
-A SHUNT7-IN -i lo -j RETURN
-A SHUNT7-IN -p tcp -m set --match-set shunt7-converted4 src,src,dst -j NFQUEUE --queue-num 7
-A SHUNT7-IN -p tcp -m set --match-set shunt7-converted4 dst,dst,src -j NFQUEUE --queue-num 7
-A SHUNT7-IN -p tcp -m tcp --dport 22 -j RETURN
-A SHUNT7-IN -j SHUNT7-MATCH
-A SHUNT7-MATCH -p tcp -m tcp --syn -j NFQUEUE --queue-num 7 --queue-bypass
-A SHUNT7-MATCH -p tcp -m set --match-set shunt7-bypass4 src,src,dst -j RETURN
-A SHUNT7-MATCH -p tcp -m set --match-set shunt7-bypass4 dst,dst,src -j RETURN
-A SHUNT7-MATCH -p tcp -j NFQUEUE --queue-num 7 --queue-bypass
-A INPUT -j SHUNT7-IN
COMMIT
`,
    );
  });

  test("for IPv6 leave link-local addresses alone and use the sets of their family", () => {
    const text = rulesText({ queue: 7, ports: null, notrack: false }, 6, NONE);
    expect(text).toContain("-A SHUNT7-OUT -d fe80::/10 -j RETURN");
    expect(text).toContain("shunt7-converted6");
    expect(text).not.toContain("converted4");
    expect(text).not.toContain("CT --notrack");
    const icmp = text.split("\n").filter((line) => line.includes("icmp"));
    expect(icmp.map((line) => /^-A SHUNT7-IN -p ipv6-icmp -m icmp6 --icmpv6-type ([12]) /.exec(line)?.[1])).toEqual([
      "1",
      "2",
    ]);
  });

  test("never queue a converted flow with bypass, and nothing else without", () => {
    const lines = rulesText({ queue: 7, ports: null, notrack: true }, 4, NONE).split("\n");
    for (const line of lines.filter((candidate) => candidate.includes("NFQUEUE"))) {
      expect(line.includes("--queue-bypass")).toBe(!line.includes("converted"));
    }
  });

  test("do not jump twice", () => {
    const text = rulesText({ queue: 7, ports: null, notrack: true }, 4, { output: true, input: true });
    expect(text).not.toMatch(/-A (OUTPUT|INPUT) /);
  });

  test("for ports match either end and leave ssh to the list", () => {
    const ports = [
      { first: 5201, last: 5201 },
      { first: 8000, last: 8999 },
    ];
    const text = rulesText({ queue: 7, ports, notrack: true }, 4, NONE);
    expect(text).toContain("-A SHUNT7-OUT -p tcp -m multiport --ports 5201,8000:8999 -j SHUNT7-MATCH");
    expect(text).toContain("-A SHUNT7-IN -p tcp -m multiport --ports 5201,8000:8999 -j SHUNT7-MATCH");
    expect(text).not.toContain("--sport 22");
  });

  test("fit multiport's 15 slots, of which a range takes two", () => {
    const singles = Array.from({ length: 14 }, (_, i) => ({ first: i + 1, last: i + 1 }));
    expect(portGroups([...singles, { first: 90, last: 99 }])).toEqual(["1,2,3,4,5,6,7,8,9,10,11,12,13,14", "90:99"]);
  });

  test("are removed by what iptables-save says of them, and of no other daemon", () => {
    const saved = [
      ":SHUNT7-OUT - [0:0]",
      ":SHUNT8-OUT - [0:0]",
      "-A OUTPUT -j SHUNT7-OUT",
      "-A OUTPUT -j SHUNT8-OUT",
      "-A SHUNT7-OUT -o lo -j RETURN",
    ];
    expect(removalText("raw", saved, 7)).toBe("*raw\n-D OUTPUT -j SHUNT7-OUT\n-F SHUNT7-OUT\n-X SHUNT7-OUT\nCOMMIT\n");
    expect(removalText("raw", saved, null)).toContain("-X SHUNT8-OUT");
    expect(removalText("raw", [], 7)).toBe("");
  });
});

test("sets are bounded, and the bypass sets evict", () => {
  const lines = createScript(7, 1000).split("\n");
  expect(lines).toContain("create shunt7-converted4 hash:ip,port,ip family inet maxelem 2000 -exist");
  expect(lines).toContain(
    "create shunt7-bypass6 hash:ip,port,ip family inet6 maxelem 65536 timeout 3600 forceadd -exist",
  );
  expect(lines.filter((line) => line.startsWith("flush"))).toHaveLength(4);
});

test("sockets of a dead daemon's connections are found at whichever end opened them", () => {
  const saved = [
    "create shunt7-converted4 hash:ip,port,ip family inet hashsize 1024 maxelem 2000",
    "add shunt7-converted4 10.0.1.1,tcp:40000,10.0.1.2",
    "create shunt7-converted6 hash:ip,port,ip family inet6 hashsize 1024 maxelem 2000",
    "add shunt7-converted6 fd00:1::1,tcp:40001,fd00:1::2",
  ].join("\n");
  expect(socketFilters(saved)).toEqual([
    "( ( src 10.0.1.1 and sport = :40000 and dst 10.0.1.2 ) or ( dst 10.0.1.1 and dport = :40000 and src 10.0.1.2 ) )",
    "( ( src [fd00:1::1] and sport = :40001 and dst [fd00:1::2] ) or ( dst [fd00:1::1] and dport = :40001 and src [fd00:1::2] ) )",
  ]);
  expect(socketFilters("")).toEqual([]);
});

// Keys, tokens, HMACs (RFC 8684 §3.1, §3.2, §3.4.1), against node:crypto and against published vectors.

import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import { addAddrHmac, addressOctets, joinHmacA, joinHmacB, keyDigest } from "../../packet.ts";
import { AT, loadConnectionInternals } from "./internals.ts";

const { internals, octets } = loadConnectionInternals();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const KEYS = [1n, 0x0102030405060708n, (1n << 64n) - 1n, 0x8000000000000000n];

describe("keys", () => {
  it("token and IDSN are the first 32 and the last 64 bits of the key's SHA-256", () => {
    for (const key of KEYS) {
      const { token, idsn } = keyDigest(key);
      expect(internals.tokenOf(key) >>> 0).toBe(token);
      expect(BigInt.asUintN(64, internals.idsnOfDigest())).toBe(idsn);
    }
    // SHA-256 of eight zero octets: af5570f5a1810b7a f78caf4bc70a660f 0df51e42baf91d4d e5b2328de0e83dfc.
    expect(internals.tokenOf(0n) >>> 0).toBe(0xaf5570f5);
    expect(BigInt.asUintN(64, internals.idsnOfDigest())).toBe(0xe5b2328de0e83dfcn);
  });

  it("the HMAC is the one of Linux's self-test", () => {
    // net/mptcp/crypto_test.c: 16 octets of key and 8 of message, given as ASCII.
    const number = (text: string) => BigInt(`0x${Buffer.from(text, "latin1").toString("hex")}`);
    const vectors = [
      ["0b0b0b0b0b0b0b0b", "48692054", "8385e24fb4235ac37556b6b886db106284a1da671699f46db1f235ec622dcafa"],
      ["aaaaaaaaaaaaaaaa", "dddddddd", "2c5e219164ff1dca1c4a92318d847bb6b9d44492984e1eb71aff9022f71046e9"],
    ] as const;
    for (const [key, message, expected] of vectors) {
      const [keyA, keyB] = [number(key.slice(0, 8)), number(key.slice(8))];
      const [nonceA, nonceB] = [Number(number(message.slice(0, 4))), Number(number(message.slice(4)))];
      const at = internals.joinHmac(keyA, keyB, nonceA, nonceB);
      expect(hex(octets.slice(at, at + 32))).toBe(expected);
      expect(createHmac("sha256", key).update(message).digest("hex")).toBe(expected);
    }
  });

  it("joinHmac() makes both proofs of a join", () => {
    const random = new Random(7);
    for (let i = 0; i < 20; i++) {
      const [nonceA, nonceB] = [random.bits(), random.bits()];
      const [keyA, keyB] = [KEYS[i % 4] as bigint, KEYS[(i + 1) % 4] as bigint];
      let at = internals.joinHmac(keyB, keyA, nonceB, nonceA);
      expect(octets.slice(at, at + 8)).toEqual(joinHmacB(keyA, keyB, nonceA, nonceB));
      at = internals.joinHmac(keyA, keyB, nonceA, nonceB);
      expect(octets.slice(at, at + 20)).toEqual(joinHmacA(keyA, keyB, nonceA, nonceB));
    }
  });

  it("addAddrHmac() is the last 64 bits, over id, address and port", () => {
    for (const address of ["10.0.2.9", "fd00:2::9"]) {
      for (const port of [0, 80, 65535]) {
        const bytes = addressOctets(address);
        octets.set(bytes, AT);
        const at = internals.addAddrHmac(1n, 2n, 255, AT, bytes.length, port);
        expect(octets.slice(at, at + 8)).toEqual(addAddrHmac(1n, 2n, 255, address, port));
      }
    }
  });

  it("equalConstantTime() sees a difference in every octet", () => {
    const length = 20;
    for (let i = 0; i < length; i++) {
      octets.fill(7, AT, AT + 100);
      expect(internals.equalConstantTime(AT, AT + 50, length)).toBe(1);
      octets[AT + 50 + i] = 8;
      expect(internals.equalConstantTime(AT, AT + 50, length)).toBe(0);
    }
    octets[AT + 50 + length] = 9;
    expect(internals.equalConstantTime(AT, AT + 50, length - 1)).toBe(1);
  });

  it("hashTuple() depends on a secret that each engine draws, and on which port is whose", () => {
    const hash = (seed: number, portA = 80, portB = 40000) => {
      const one = loadConnectionInternals(seed);
      return one.internals.hashTuple(one.address("10.0.0.1"), one.address("10.0.0.2", AT + 16), portA, portB);
    };
    expect(hash(1)).toBe(hash(1));
    expect(hash(1)).not.toBe(hash(2));
    expect(hash(1)).not.toBe(hash(1, 40000, 80));
  });
});

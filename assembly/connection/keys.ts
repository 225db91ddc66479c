// Keys, tokens, initial data sequence numbers and HMACs (RFC 8684 §3.1, §3.2, §3.4.1).

import { drawU64, entropyHas } from "../clock";
import { storeU32BE, storeU64BE, loadU32BE, loadU64BE } from "../memory/bytes";
import { CRYPTO_DIGEST, CRYPTO_KEY, CRYPTO_MESSAGE } from "../scratch";
import { Dsn } from "../seq/space";

@external("crypto", "sha256")
declare function sha256(ptr: usize, length: u32, out: usize): void;
@external("crypto", "hmac_sha256")
declare function hmacSha256(keyPtr: usize, keyLength: u32, messagePtr: usize, messageLength: u32, out: usize): void;

/** A fresh key; 0 when the entropy pool is empty. Never 0 otherwise (Linux rejects a zero key). */
export function keyDraw(): u64 {
  if (!entropyHas(8)) return 0;
  const key = drawU64();
  return key == 0 ? 1 : key;
}

/**
 * Token of `key`: the most significant 32 bits of its SHA-256 (RFC 8684 §3.1). Leaves the digest for
 * idsnOfDigest().
 */
export function tokenOf(key: u64): u32 {
  storeU64BE(CRYPTO_KEY, key);
  sha256(CRYPTO_KEY, 8, CRYPTO_DIGEST);
  return loadU32BE(CRYPTO_DIGEST);
}

/** IDSN of the key given to tokenOf() just before: the least significant 64 bits of the digest (RFC 8684 §3.1). */
export function idsnOfDigest(): Dsn {
  return loadU64BE(CRYPTO_DIGEST + 24);
}

/**
 * HMAC of an MP_JOIN (RFC 8684 §3.2): key = `firstKey`‖`secondKey`, message = `firstNonce`‖`secondNonce`.
 * Returns the address of its 32 octets; the SYN/ACK carries the first 8, the ACK the first 20.
 */
export function joinHmac(firstKey: u64, secondKey: u64, firstNonce: u32, secondNonce: u32): usize {
  storeU64BE(CRYPTO_KEY, firstKey);
  storeU64BE(CRYPTO_KEY + 8, secondKey);
  storeU32BE(CRYPTO_MESSAGE, firstNonce);
  storeU32BE(CRYPTO_MESSAGE + 4, secondNonce);
  hmacSha256(CRYPTO_KEY, 16, CRYPTO_MESSAGE, 8, CRYPTO_DIGEST);
  return CRYPTO_DIGEST;
}

/**
 * HMAC of an ADD_ADDR (RFC 8684 §3.4.1): message = address id ‖ address (4 or 16) ‖ port (0 when absent).
 * `address` is in network order, `octets` of it. Returns the address of the rightmost 8 octets.
 */
export function addAddrHmac(senderKey: u64, receiverKey: u64, id: u32, address: usize, octets: u32, port: u32): usize {
  storeU64BE(CRYPTO_KEY, senderKey);
  storeU64BE(CRYPTO_KEY + 8, receiverKey);
  store<u8>(CRYPTO_MESSAGE, <u8>id);
  memory.copy(CRYPTO_MESSAGE + 1, address, octets);
  store<u8>(CRYPTO_MESSAGE + 1 + octets, <u8>(port >> 8));
  store<u8>(CRYPTO_MESSAGE + 2 + octets, <u8>port);
  hmacSha256(CRYPTO_KEY, 16, CRYPTO_MESSAGE, 3 + octets, CRYPTO_DIGEST);
  return CRYPTO_DIGEST + 24;
}

/** True if `length` octets at `a` and `b` are equal; the time it takes does not depend on where they differ. */
export function equalConstantTime(a: usize, b: usize, length: u32): bool {
  let difference: u32 = 0;
  for (let i: u32 = 0; i < length; i++) difference |= <u32>load<u8>(a + i) ^ <u32>load<u8>(b + i);
  return difference == 0;
}

let tupleSeed: u64 = 0;

/** Draws the secret that makes tuple hashes unpredictable to a peer. */
export function seedTuples(): void {
  tupleSeed = drawU64() | 1;
}

@inline function mix(hash: u64, value: u64): u64 {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

/** Hash of a tuple: two addresses of 16 octets and two ports. */
export function hashTuple(addressA: usize, addressB: usize, portA: u32, portB: u32): u32 {
  let hash = mix(tupleSeed, load<u64>(addressA));
  hash = mix(hash, load<u64>(addressA, 8));
  hash = mix(hash, load<u64>(addressB));
  hash = mix(hash, load<u64>(addressB, 8));
  hash = mix(hash, ((<u64>portA << 16) | <u64>portB) + tupleSeed);
  return <u32>(hash >> 32) ^ <u32>hash;
}

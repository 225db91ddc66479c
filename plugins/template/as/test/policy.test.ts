// What if? Single questions, quicker to ask than a scenario is to write.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { PathState } from "shunt/host/policy/abi.ts";
import { worldOf } from "shunt/plugins/sdk/what-if.ts";

const start = worldOf(join(import.meta.dirname, ".."));
const WIFI = { name: "wifi", state: PathState.ESTABLISHED, signal: -550 };

test("a weak radio is left after the hold", () => {
  const world = start({ paths: [WIFI, { name: "lte" }] });
  world.set("wifi", { signal: -800 });
  world.advance(4000);
  assert.equal(world.active, "wifi");
  world.advance(2000);
  assert.deepEqual(
    world.moves.map(({ to, reason }) => [to, reason]),
    [["lte", "STRONGER"]],
  );
});

test("a radio that breaks is left at once", () => {
  const world = start({ paths: [WIFI, { name: "lte", state: PathState.ESTABLISHED }] });
  world.down("wifi");
  assert.equal(world.active, "lte");
});

test("a setting counts", () => {
  const world = start({ paths: [WIFI, { name: "lte" }], settings: { weak_dbm: -90 } });
  world.set("wifi", { signal: -800 });
  world.advance(10_000);
  assert.equal(world.active, "wifi");
});

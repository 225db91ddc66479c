import { expect, test } from "vitest";
import { checkInputName, inputsOf, lookForInputs } from "../../../../../host/policy/inputs/sources.ts";

const FOUND = ["links", "nl80211", "wireless", "modemmanager", "power_supply", "networkmanager"];

test("auto stands for all that find themselves; each is there once, in the order of the list", () => {
  const names = (list: string[]) => inputsOf(list).map(({ name }) => name);
  expect(names(["auto"])).toEqual(FOUND);
  expect(names(["power_supply", "auto", "file:/a", "links", "file:/a", "file:/b"])).toEqual([
    ...["power_supply", "links", "nl80211", "wireless", "modemmanager", "networkmanager"],
    ...["file:/a", "file:/b"],
  ]);
  expect(names([])).toEqual([]);
});

test("names", () => {
  for (const name of ["auto", ...FOUND, "file:/x"]) expect(checkInputName(name)).toBeNull();
  for (const name of ["", "Auto", "file:", "file:x", "toString"]) expect(checkInputName(name)).toContain("expected");
});

test("this machine, whatever it is, can be looked at", async () => {
  const found = await lookForInputs();
  expect(found.map(({ name }) => name)).toEqual(FOUND);
  for (const { detail } of found) expect(detail).toMatch(/^[^\n]+$/);
});

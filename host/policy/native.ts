// Policies that are part of the engine. Loadable ones come beside these later.

export interface PolicyInfo {
  name: string;
  kind: "native";
  description: string;
}

export const NATIVE_POLICIES: readonly PolicyInfo[] = [
  {
    name: "active-standby",
    kind: "native",
    description: "all data on the most preferred path that is up; the others joined and waiting",
  },
];

import type { Command } from "commander";
import type { PolicyInfo } from "../policy/native.ts";
import { type CommonOptions, client, command, group, print, table } from "./options.ts";
import { reservedCommand } from "./reserved.ts";

interface PolicyAnswer {
  policies: PolicyInfo[];
  classes: { class: string; policy: string; prefer: string[] }[];
}

/** `shunt policy list`, and the names of what is to come. */
export function policyCommand(): Command {
  const policy = group("policy", "list policies");
  policy.addCommand(
    command("list", "list the policies and who uses them").action(async (options: CommonOptions) => {
      print(options, await client(options).call<PolicyAnswer>("GET", "/v1/policy"), policyText);
    }),
  );
  for (const name of ["use", "new", "test", "bench", "record", "replay"]) {
    policy.addCommand(reservedCommand(name), { hidden: true });
  }
  return policy;
}

function policyText(answer: PolicyAnswer): string {
  return table(
    ["POLICY", "KIND", "USED BY", "DESCRIPTION"],
    answer.policies.map((policy) => [
      policy.name,
      policy.kind,
      answer.classes
        .filter((entry) => entry.policy === policy.name)
        .map((entry) => `class ${entry.class}`)
        .join(", ") || "-",
      policy.description,
    ]),
  );
}

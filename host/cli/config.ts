import type { Command } from "commander";
import { type CommonOptions, command, group, print } from "./options.ts";

/** `shunt config check FILE`. Needs no daemon. */
export function configCommand(): Command {
  const config = group("config", "check a configuration");
  config.addCommand(
    command("check", "check a configuration file; every error names file, line and key")
      .argument("<file>", "configuration file")
      .action(async (file: string, options: CommonOptions) => {
        const { loadConfig } = await import("../config/load.ts");
        const { checkPolicies } = await import("../policy/check.ts");
        const checked = loadConfig(file, checkPolicies);
        print(options, checked, () => `${file}: fine (${checked.paths.map((path) => path.name).join(", ")})`);
      }),
  );
  return config;
}
